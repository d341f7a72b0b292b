//go:build race

package cmd

// underRace: each command of a script is a program of its own, which takes half a second to begin here.
const underRace = true
