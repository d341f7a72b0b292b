// Package traffic is what calls have taught so far: who is known to which line, who waits for a call-back of an emergency
// service, who passed a challenge, the last call of each extension, how callers have behaved within a day, the calls that
// hear an announcement now, how often the entries of lists decide.
//
// It is memory alone. It reads and writes nothing, and has no clock: the time is handed in. Every table has a bound and a
// counter of what found no room; facts that shall outlive the program go to a Sink. All of it may be used by many
// goroutines at once.
package traffic
