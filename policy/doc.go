// Package policy decides what happens to a call.
//
// It reads the administrator's policy file, normalises telephone numbers, compiles rules into one
// number index and answers Decide(call, lists). Everything here is a pure function of its
// arguments: no file but the text it is handed, no network, no clock of its own. It imports no
// other package of this project, so that a rule tried on the command line, in a test or on last
// week's calls is the very code that a live call meets.
package policy
