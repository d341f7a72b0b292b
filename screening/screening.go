// Package screening is how a call is screened and recorded: who calls, the decision, what the switch shall do, what the
// journal says, and what is learnt when the call ends.
//
//	Screen   facts → policy.Call → decision → verdict
//	         (a bridge carries it out and gives the call back)
//	Record   what was decided and what became of it → journal
//	Ended    what the switch says at the call's end → journal, traffic
//
// It reads what is in force and the memory of calls, which are handed in, and waits for nothing: records go to the
// journal's queue, facts to the keeper's (Keeper).
package screening

import (
	"log/slog"
	"sync/atomic"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/inforce"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/traffic"
)

// Options of a Screener.
type Options struct {
	Node     string      // this node's name in records
	Attached bool        // a switch tells of the ends of calls
	Reject   conf.Reject // what refusals say besides
	Journal  Journal
	Reports  Reports
	Private  *pseudonym.Key // nil: records name callers
	Measure  Measure        // nil: nobody
	Log      *slog.Logger
	Now      func() time.Time
}

// Journal takes records. None of its methods waits; what finds no room in its queue is dropped and counted there, and the
// result is false.
type Journal interface {
	Add(r storage.Record) bool
	// Amend puts a record in the place of the one with its ID.
	Amend(r storage.Record) bool
	// Outcome completes the record with an ID.
	Outcome(id string, o storage.Outcome) bool
}

// Reports takes what people ask for by the star codes.
type Reports interface {
	// CanReport says why a call's caller cannot be reported, nil if they can. It does not wait.
	CanReport(c traffic.LastCall) error
	// AddReport takes a report of a call. When it returns nil the report is on disk.
	AddReport(extension string, c traffic.LastCall) error
	// CanRelease says why a caller cannot be let through to a line, nil if they can. It does not wait.
	CanRelease(line string, c traffic.LastCall) error
	// Release lets the caller of a call that was stopped through to a line, for a month. When it returns nil that is on disk.
	Release(line, extension string, c traffic.LastCall) error
}

// Measure takes how long calls take, on their way: it waits for nothing.
type Measure interface {
	// Decided takes how long a decision took.
	Decided(took time.Duration)
	// Done takes a call that was given back or refused, with the time from the switch's connection until then.
	Done(action, mode string, took time.Duration)
}

// Screener screens calls. It is a bridge.Screener.
type Screener struct {
	o      Options
	force  *inforce.State
	memory *traffic.Memory

	calls  traffic.Calls[screened]         // whose legs may still end
	unseen traffic.Waiting[attach.CallEnd] // calls that ended without a record

	unread    atomic.Uint64 // calls that passed because a list had not been read
	guardTook atomic.Uint64 // calls that the switch's guard took, as the switch says at their end
	unasked   atomic.Uint64 // calls that rang without having come to us
}

var _ bridge.Screener = (*Screener)(nil)

// New makes a Screener that decides by what is in force and what memory has.
func New(force *inforce.State, memory *traffic.Memory, o Options) *Screener {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Screener{o: o, force: force, memory: memory}
}

// Reasons of calls that passed without a decision, beside those of the bridges.
const (
	FailLists  = "lists"  // a rule asked a list that had not been read yet
	FailGuard  = "guard"  // the switch's guard took the call away: the daemon had hung, or was stopped
	FailUnseen = "unseen" // it rang without having come to us, as the switch says at its end; those that the guard took are among them
)

// FailOpen is how many calls passed without a decision, by these reasons.
func (sc *Screener) FailOpen() map[string]uint64 {
	counts := make(map[string]uint64)
	for reason, n := range map[string]*atomic.Uint64{FailLists: &sc.unread, FailGuard: &sc.guardTook, FailUnseen: &sc.unasked} {
		if n := n.Load(); n > 0 {
			counts[reason] = n
		}
	}
	return counts
}

// ForgetNumber drops what is remembered of calls of a number that are over, or nearly: what is still to come of them makes no record, and puts none
// right. It says how many there were.
func (sc *Screener) ForgetNumber(e164 string) int {
	plan := sc.force.Rules().Policy.Plan()
	return sc.calls.Drop(func(s *screened) bool { return s.caller.E164 == e164 }) +
		sc.unseen.Drop(func(e *attach.CallEnd) bool { n := plan.Parse(e.Caller); return n.E164 == e164 })
}

// Unrecorded is how many calls that did not come to us have no record, for want of room.
func (sc *Screener) Unrecorded() uint64 { return sc.unseen.Over() }

// Forgotten is how many calls were forgotten before their legs had ended, for want of room.
func (sc *Screener) Forgotten() uint64 { return sc.calls.Lost() }
