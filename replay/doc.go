// Package replay reads journals and call detail records and runs their calls through policies. It writes
// nothing.
//
// The way of a call:
//
//	Source    a file, cut into chunks of whole rows (source.go, rows.go); what its beginning, or all of it, shows of how
//	          it is written (columns.go, layout.go, survey.go)
//	worker    row → Call (journal.go, layout.go, times.go, cells.go) → Verdict of one or two policies (judge.go)
//	join      several records of one call → one call (join.go)
//	tally     totals, changes, mistakes, callers (tally.go) → Report
//
// Where a policy has detectors, or a file says which calls were wanted, calls wait for their turn in time (inorder.go, queue.go), and each policy goes
// through them with what the calls before have left (live_run.go, timely.go); what detectors did and how decisions meet the labels is
// added up apart (trips.go, confusion.go).
//
// One goroutine reads, as many as there are processors decide, one adds up, chunk by chunk in the order of the
// files, so that the same input gives the same report whatever the scheduling. Memory is bounded: by chunks
// in flight, by tables with a bound each (the report says when one was reached), not by the number of calls.
//
// Only calls that came in are screened. Where a policy asks for known callers, or for those who call again, the calls before
// one count: the tally then follows who talked with whom, by calls that went out too, and who called (known.go), and
// decides again.
//
// What a file cannot say is not known here either: which call-backs an emergency number asked for,
// signatures (attestation is "none"), and in call detail records whether an internal number called from
// inside (see claim).
package replay
