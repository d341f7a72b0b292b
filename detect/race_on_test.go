//go:build race

package detect_test

// underRace: everything takes ten times as long, so that less of it has to do.
const underRace = true
