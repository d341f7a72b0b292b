// Package detect counts what calls do, each detector of the policy by its own key, and trips breakers: a number range that many
// strangers call from, a caller who calls many lines, a trunk that brings more than ever at this hour.
//
// The way of a call:
//
//	SubjectOf  the call as detectors see it: its keys, whether its caller is a stranger, who is protected
//	Called     counts it, and says which breakers hold for it, the one that it trips itself among them
//	           (policy.Decide)
//	Touch      takes room under max_share for what a rule does by a breaker; without room the detector only records
//	Decided    what was stopped, or would have been, teaches nothing
//	Ended      what became of it: short calls, unanswered ones, and the probes of a breaker
//
// Where there are other nodes, each tells what it counts (Tell), takes what they count (Heard), and follows what trips there (Peers, Follow):
//
//	calls, short_calls, unanswered, sequential         added up
//	callees, callers, strangers, first_time, decoys,   by name, so that each counts once
//	reports
//	concurrent                                         as it was a few seconds ago
//	prefixes                                           besides, from where in the range the calls came
//	share, surge                                       nothing: by each node's own calls and habits
//	trips, closings, and what persons do               of all detectors, the later word holds
//
// What others count stands beside what is counted here and is never in what is told, so that nothing can add up by going round. A call
// pays for it where the two together reach the trip, and otherwise one addition.
//
// It is memory alone, and has no clock: the time is handed in and never goes back for it (an earlier one counts as the latest).
// Every table has a bound and a counter of what found no room. What is asked of a count is only whether it has reached the
// trip, so counts are exact up to there and go no further. All of it may be used by many goroutines at once.
package detect

import (
	"math"
	"sync"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// Subject is a call as detectors see it.
type Subject struct {
	Time      time.Time
	Trunk     string         // counts are kept apart by trunk; "" is one as well
	Caller    *number.Number // who calls; where the text is no number but holds one, that one. nil: nobody who can be counted
	Callee    string         // the called number in one spelling, cut to 64 bytes
	Customer  string         // whose the called line is; the line itself, if the policy does not say. "" for a number of no line
	Holder    string         // who holds the caller's range, "" if nobody is named
	Decoy     bool           // nobody has the called number
	Stranger  bool           // known neither to the called line nor to three lines of different customers
	Protected policy.DetectorSet
	Leg       string // the switch's name for the call, for `concurrent`; "" if there is none
}

// Options of a Set.
type Options struct {
	Zone *time.Location // by whose clock the hours of the week are, for habits; nil is UTC
	Seed uint64         // what chance comes from, where a table is full; the same seed and the same calls give the same trips
	Sink Sink           // nil: nobody is told
	// Peers is told what other nodes are to follow; nil where there are none.
	Peers Peers
}

// Sink is told of breakers. It must not block, and must not call the Set.
type Sink interface {
	// Changed is told that a breaker tripped, probes, closed or was taken by a person: what must outlive the program.
	Changed(b Breaker)
}

// How a breaker is.
const (
	Closed  = "closed"
	Tripped = "tripped"
	Probing = "probing"
)

// Breaker is the breaker of one key of a detector on one trunk.
type Breaker struct {
	Detector string        `json:"detector"`
	Trunk    string        `json:"trunk,omitempty"`
	Key      string        `json:"key"` // as a person reads and types it: 952116, +8613800138000, firm A, all
	State    string        `json:"state"`
	Since    time.Time     `json:"since,omitzero"` // of the state
	Until    time.Time     `json:"until,omitzero"` // when a tripped one begins to probe
	Hold     time.Duration `json:"hold,omitempty"` // of this trip; Until is earlier where it has been shut for as long as it may
	Trips    int           `json:"trips,omitempty"`
	Why      string        `json:"why,omitempty"`    // what it tripped by: "7 strangers in 3h, trips at 5"
	Pinned   string        `json:"pinned,omitempty"` // "open": a person holds it tripped; "shut": closed
	By       string        `json:"by,omitempty"`     // who
	Holder   string        `json:"holder,omitempty"` // of the range
	Node     string        `json:"node,omitempty"`   // where it tripped or was pinned, "" here

	Count   int    `json:"count"`             // now, within the window
	Trip    int    `json:"trip"`              // at which it trips now; 0 where a surge has no habit to go by
	Touched uint64 `json:"touched,omitempty"` // calls that a rule did something to by it
	Would   uint64 `json:"would,omitempty"`   // and would have, had it not been on trial or over max_share

	// What Count is made of where other nodes count of the key: what counts once, whoever met it, is in Count once.
	Here      int         `json:"here,omitempty"`
	Elsewhere []NodeCount `json:"elsewhere,omitempty"`
}

// Set is the detectors of one policy with all that they count.
type Set struct {
	detectors []policy.Detector
	zone      *time.Location
	seed      uint64
	sink      Sink

	mu        sync.Mutex
	all       []*detector
	ways      []*way
	call      uint64 // the one that is followed
	keySeed   uint64 // of the hash of all keys
	busy      busy
	broad     policy.DetectorSet
	narrow    policy.DetectorSet // by caller, prefix and holder
	clock     clock
	turn      int64 // when a sub-window of any detector ends
	trunks    names
	holders   names
	lastTrunk struct {
		name  string
		id    uint8
		known bool
	}
	seen    seen
	recent  recent
	budgets *budgets
	next    *Set // that has taken over

	tellTo  Peers
	peers   [mostNodes]peer
	shared  Shared
	toldAll int64  // when all was told anew last
	round   uint32 // that it was
}

// New makes a set that has counted nothing.
func New(detectors []policy.Detector, o Options) *Set {
	s := &Set{
		detectors: detectors, zone: o.Zone, seed: o.Seed, sink: o.Sink, tellTo: o.Peers, turn: math.MinInt64, keySeed: mix(o.Seed),
		recent: recent{newer: callTimes{seed: mix(o.Seed)}, older: callTimes{seed: mix(o.Seed)}},
		trunks: names{limit: mostTrunks}, holders: names{limit: mostHolders}, budgets: newBudgets(o.Zone),
	}
	for i := range s.detectors {
		s.all = append(s.all, s.newDetector(i, &s.detectors[i], len(s.detectors)))
		if isBroad(&s.detectors[i]) {
			s.broad = s.broad.With(i)
		}
		if k := s.detectors[i].Key; k == policy.ByCaller || k == policy.ByPrefix || k == policy.ByHolder {
			s.narrow = s.narrow.With(i)
		}
	}
	return s
}

// Adopt takes over what a set of an earlier policy has: of detectors that have the same name, key, levels, count and window all of it, of others of the
// same name and key the breakers that are not closed. The earlier one may be used by calls that began with it, and counts for nothing any more.
func (s *Set) Adopt(earlier *Set) {
	if earlier == nil || earlier == s {
		return
	}
	from := earlier.lock()
	defer from.mu.Unlock()
	if from == s {
		return // it has taken over already
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopt(from)
}

// Called counts a call that comes in. The same caller and callee within policy.SameCall is one call: that is looked at, not counted.
func (s *Set) Called(x *Subject) (n Count) {
	t := s.lock()
	defer t.mu.Unlock()
	s.calledBy(t, &n, x, false)
	return n
}

// Look is Called without the counting: what would hold for a call now.
func (s *Set) Look(x *Subject) (n Count) {
	t := s.lock()
	defer t.mu.Unlock()
	s.calledBy(t, &n, x, true)
	return n
}

// Fill tells a call what was found.
func (s *Set) Fill(n *Count, c *policy.Call) {
	c.Tripped, c.OnTrial, c.FirstTime, c.Trips = n.Tripped, n.OnTrial, n.FirstTime, nil
	if n.Tripped == 0 {
		return
	}
	t := s.lock()
	defer t.mu.Unlock()
	c.Trips = t.trips(n.read(t))
	if t != s {
		for i := range c.Trips {
			c.Trips[i].Detector = s.number(t.detectors[c.Trips[i].Detector].Name)
		}
	}
}

// Touch takes room under max_share for what is to be done to a call by these detectors. Without room for any of them it is
// false, and the call has to be decided again with those among OnTrial.
func (s *Set) Touch(n *Count, by policy.DetectorSet) bool {
	t := s.lock()
	defer t.mu.Unlock()
	m := n.read(t)
	defer n.keep(m)
	return t.touch(m, translate(by, s, t))
}

// Decided says whether the call was stopped, or would have been: then it teaches neither a habit nor who called before. would are the
// detectors by which a rule on trial would have done something.
func (s *Set) Decided(n *Count, stopped bool, would policy.DetectorSet) {
	t := s.lock()
	defer t.mu.Unlock()
	m := n.read(t)
	t.decided(m, stopped, translate(would, s, t))
	n.keep(m)
}

// End is what became of a call.
type End struct {
	At       time.Time
	Answered bool
	Talk     time.Duration
	Rang     bool // a phone rang, or it was answered
	Passed   bool // it passed a challenge
}

// Ended counts what became of a call, once.
func (s *Set) Ended(n *Count, e End) {
	t := s.lock()
	defer t.mu.Unlock()
	t.endedCall(n.read(t), &e)
}

// Reported counts a mark of a caller by a customer.
func (s *Set) Reported(x *Subject, customer string) {
	t := s.lock()
	defer t.mu.Unlock()
	t.reported(x, customer, translate(x.Protected, s, t))
}

// Tick lets time pass where no calls come: breakers move on, habits are learnt. It is called about once a minute.
func (s *Set) Tick(now time.Time) {
	t := s.lock()
	defer t.mu.Unlock()
	t.tick(now)
}

// Finding is what one detector has to say of a call.
type Finding struct {
	Breaker
	Protected bool   `json:"protected,omitempty"`
	Trial     string `json:"trial,omitempty"` // why it would only record
	Text      string `json:"text"`            // in one line: "range wakes: 952116 closed, 3 strangers in 3h, trips at 5"
}

// Explain says what each detector has to say of a call, were it to come now; it counts nothing.
func (s *Set) Explain(x *Subject) []Finding {
	t := s.lock()
	defer t.mu.Unlock()
	return t.explain(x)
}

// Breakers calls yield for each breaker that is not closed or is pinned, and with all for each that counts something, the detectors in the
// order of the file; name "" is all detectors.
func (s *Set) Breakers(name string, all bool, now time.Time, yield func(Breaker) bool) {
	for _, b := range s.breakers(name, all, now) {
		if !yield(b) {
			return
		}
	}
}

// Reset closes a breaker, and those of the ranges in it, and has them count from nothing; Pin holds it open (tripped) or shut (closed), Unpin no longer. key is as Breaker.Key
// has it; trunk "" is all trunks where it has one. They say how many breakers there were.
func (s *Set) Reset(name, trunk, key, by string, now time.Time) int {
	return s.byPerson(name, trunk, key, now, func(d *detector, k uint64) int {
		n := d.reset(k, by)
		d.didHere(k, trunk, key, ActReset, by)
		return n
	})
}

// Pin holds a breaker "open" (tripped) or "shut" (closed) until Unpin, also one that has counted nothing yet.
func (s *Set) Pin(name, trunk, key, how, by string, now time.Time) int {
	return s.byPerson(name, trunk, key, now, func(d *detector, k uint64) int {
		n := d.pinKey(k, key, how, by)
		if n > 0 {
			d.didHere(k, trunk, key, how, by)
		}
		return n
	})
}

// Unpin lets go of a breaker: it goes on where it would be by now, tripped for the rest of its hold if it was so before it was held open. Its counts stay,
// but for those that would trip it by what came while it was held.
func (s *Set) Unpin(name, trunk, key, by string, now time.Time) int {
	return s.byPerson(name, trunk, key, now, func(d *detector, k uint64) int {
		n := d.unpin(k, by)
		d.didHere(k, trunk, key, ActUnpin, by)
		return n
	})
}

// Restore puts a breaker back that a Sink was told of, before the first call.
func (s *Set) Restore(b Breaker) {
	t := s.lock()
	defer t.mu.Unlock()
	if i := t.number(b.Detector); i >= 0 {
		t.all[i].restore(&b)
	}
}

// Snapshot is all that was counted, for a Set of the same or a similar policy after a restart. Load puts it back, before the first call; what was
// counted by other settings is left out. Calls that come meanwhile wait for a copy of one detector at most, about a millisecond; some of them are in
// it and some are not.
func (s *Set) Snapshot() []byte { return s.snapshot() }

// Load puts a Snapshot back. An error says that it cannot be read.
func (s *Set) Load(snapshot []byte) error {
	t := s.lock()
	defer t.mu.Unlock()
	fresh := New(t.detectors, Options{Zone: t.zone, Seed: t.seed})
	if err := fresh.load(snapshot); err != nil {
		return err
	}
	before := t.restored()
	t.adopt(fresh)
	for i := range before {
		t.all[t.number(before[i].Detector)].restore(&before[i])
	}
	return nil
}

// ForgetNumber drops what is counted of a number, and says how many things there were.
func (s *Set) ForgetNumber(e164 string) int {
	t := s.lock()
	defer t.mu.Unlock()
	return t.forget(e164)
}

// Counters are what found no room, by detector: evicted, capped.
func (s *Set) Counters() (evicted, capped map[string]uint64) {
	t := s.lock()
	defer t.mu.Unlock()
	evicted, capped = make(map[string]uint64), make(map[string]uint64)
	for _, d := range t.all {
		evicted[d.Name], capped[d.Name] = d.evicted, d.capped
	}
	return evicted, capped
}

// Full counts what found no room besides the keys of detectors: texts, which are names of trunks and holders, and habits, with those that gave
// way to others.
func (s *Set) Full() (texts, habits uint64) {
	t := s.lock()
	defer t.mu.Unlock()
	texts, habits = t.trunks.full+t.holders.full, t.budgets.habits.full
	for _, d := range t.all {
		if d.habits != nil {
			habits += d.habits.full
		}
	}
	return texts, habits
}

// Wants reports whether a detector counts something of callers that memory has to fill in: who is known.
func (s *Set) Wants() bool { return len(s.detectors) > 0 }
