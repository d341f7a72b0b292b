// Package number knows telephone numbers: the numbering plans of all countries, the text that callers and administrators
// write for a number, its kind, patterns of numbers and the index that finds, among a million patterns, those that match.
// It also makes texts of callers inert. It is pure: no input or output, no clock, and everything in it may be used by many
// goroutines at once.
package number
