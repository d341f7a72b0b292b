//go:build race

package traces

// underRace: a million calls through replay take minutes here.
const underRace = true
