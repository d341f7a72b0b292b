//go:build race

package storage

// underRace: the race detector checks pointers, and ends the process where bbolt follows a damaged page.
const underRace = true
