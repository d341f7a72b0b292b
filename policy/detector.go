package policy

import (
	"time"
)

// MaxDetectors bounds the detectors of a policy, so that those of a call fit into a DetectorSet.
const MaxDetectors = 32

// DetectorSet is some of a policy's detectors, a bit each, in the order of the file.
type DetectorSet uint32

// Has reports whether the detector of that number is in the set.
func (s DetectorSet) Has(i int) bool { return s&(1<<i) != 0 }

// With gives the set with a detector in it.
func (s DetectorSet) With(i int) DetectorSet { return s | 1<<i }

// DetectorKey is what a detector keeps apart: it has a breaker for each.
type DetectorKey uint8

// What a detector keeps apart.
const (
	ByCaller DetectorKey = iota
	ByPrefix             // the first digits as written nationally, so many as Detector.Levels say
	ByHolder             // who holds the caller's range, by [ranges]
	ByTrunk
	ByCallee
	ByAll
)

var keyNames = [...]string{"caller", "prefix", "holder", "trunk", "callee", "all"}

// String is the word of the policy file, without the digits of prefix:N.
func (k DetectorKey) String() string {
	if int(k) < len(keyNames) {
		return keyNames[k]
	}
	return "all"
}

// Counted is something of which a detector counts how much there is of one key within its window.
type Counted uint8

// What a detector counts.
const (
	CountCalls      Counted = iota
	CountCallees            // called numbers, each once
	CountCallers            // callers, each once
	CountStrangers          // callers who are known neither to the called line nor to three lines of different customers, each once
	CountFirstTime          // callers who never called any line before, each once
	CountShortCalls         // calls that were answered and over within Detector.Short
	CountUnanswered         // calls that rang and that nobody answered
	CountDecoys             // lines that nobody has and that a caller called, each once a caller
	CountReports            // customers who marked a caller of the key, each once
	CountConcurrent         // calls that are under way
	CountSequential         // calls to the number behind the one that was called before, counted on
	countedKinds
)

var countedNames = [...]string{
	"calls", "callees", "callers", "strangers", "first_time", "short_calls", "unanswered", "decoys", "reports", "concurrent", "sequential",
}

// CountedNames are the words for what a detector can count.
func CountedNames() []string { return append([]string(nil), countedNames[:]...) }

// String is the word of the policy file.
func (c Counted) String() string {
	if int(c) < len(countedNames) {
		return countedNames[c]
	}
	return "calls"
}

// Weighed is one thing that a detector counts, and what each of it adds to the count.
type Weighed struct {
	Count  Counted
	Weight int // at least 1
}

// Level is one number of digits that a detector with key = "prefix" keeps apart, and the count at which such a prefix trips.
type Level struct {
	Digits, Trip int
}

// Detector is one [[detector]] of the policy: it counts behaviour over a window, a count for each key of each trunk, and trips.
type Detector struct {
	Name    string
	Key     DetectorKey
	Levels  []Level   // of ByPrefix: the widest first. prefix:N is one level, with Trip
	Count   []Weighed // one at least; of each kind one
	PerLine int       // of one called number no more than so many count within a window; 0: all
	Window  time.Duration
	Short   time.Duration // what a short call is, talked at most so long

	// When it trips. One of Trip (and those of Levels), Share and Surge is set.
	Trip    int
	Share   float64 // count by calls of the key, once there are AtLeast calls
	Surge   float64 // times the key's own habit at this hour of the week, once the count is AtLeast
	AtLeast int

	Hold, HoldMax time.Duration // stays tripped for Hold, twice as long each time that it trips again, HoldMax at most
	Probe         int           // then so many calls are let through, by which it closes or trips again

	MaxShare float64 // of the trunk's usual calls at this hour that it may touch; 1: all
	Mode     Mode    // Observe: it trips, and touches no call

	protect protected
	line    int // in the file
}

// protected are callers that a detector never counts and never touches.
type protected struct {
	text  []numberPattern
	bit   uint16 // among the callers' conditions
	lists []listName
}

// Counts reports whether a kind of thing is among what the detector counts.
func (d *Detector) Counts(what Counted) bool {
	for _, w := range d.Count {
		if w.Count == what {
			return true
		}
	}
	return false
}

// decoysAlone: it counts nothing but calls to decoys.
func (d *Detector) decoysAlone() bool { return len(d.Count) == 1 && d.Count[0].Count == CountDecoys }

// byDecoys: two calls to decoys are enough to trip it for a caller, with what is so of every caller who calls for the first time.
func (d *Detector) byDecoys() bool {
	if d.Key != ByCaller || d.Trip == 0 || !d.Counts(CountDecoys) {
		return d.decoysAlone()
	}
	sum := 0
	for _, w := range d.Count {
		switch w.Count {
		case CountDecoys, CountCalls, CountCallees:
			sum += 2 * w.Weight
		case CountStrangers, CountFirstTime, CountCallers, CountSequential:
			sum += w.Weight
		}
	}
	return d.decoysAlone() || sum >= d.Trip
}

// weakGround says why what the detector finds is no ground to refuse a call by itself, as the rest of a sentence that begins with it; "" if it may be one.
func (d *Detector) weakGround() string {
	switch {
	case d.Key == ByCallee:
		return "counts by called number, and such a storm can be people who call back after somebody has used that number as a false sender"
	case d.Key == ByAll:
		return "counts all calls together, and says nothing of the one who calls"
	case d.decoysAlone():
		return "counts decoys alone, and two calls with a forged number are enough to condemn whoever has it"
	case d.byDecoys():
		return "trips by two calls to decoys, and two calls with a forged number are enough to condemn whoever has it"
	}
	return ""
}

// Trip is a breaker that holds for a call: what rules and reasons say of it.
type Trip struct {
	Detector int    // its number in the policy
	Key      string // what tripped, as a person reads it: 952116, +8613800138000, firm A
	Why      string // "7 strangers in 3h, trips at 5"
	Since    time.Time
	Until    time.Time // when it lets calls through again to see whether it is over; zero while a person holds it
	Trial    string    // why it only records: "on trial", "over max_share"; "" if it counts
}

// Evidence is how a caller has behaved lately, over all lines: what the score adds up.
type Evidence struct {
	Calls      int     // within the last day
	Callees    int     // called numbers among them, up to a bound
	Decoys     int     // lines that nobody has among these
	Short      int     // calls answered and over within 6 s
	Unanswered int     // calls that rang and that nobody answered
	Talks      int     // calls of a minute and more
	Marks      float64 // marks that wait for a decision, each by its age: a new one is 1
}
