//go:build race

package replay

// underRace: what is long already takes ten times as long here.
const underRace = true
