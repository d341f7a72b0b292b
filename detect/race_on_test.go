//go:build race

package detect_test

// underRace: what only counts calls, in one goroutine, takes ten times as long here; `make test` runs the flood once more without it.
const underRace = true
