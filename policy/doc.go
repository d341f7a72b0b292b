// Package policy decides what happens to a call.
//
// It reads the administrator's policy file, compiles its rules into one index of numbers and answers Decide(call, lists).
// Everything here is a pure function of its arguments: no file but the text it is handed, no network, no clock of its own.
// Of this project it imports number alone, so that a rule tried on the command line, in a test or on last week's calls is
// the very code that a live call meets.
package policy
