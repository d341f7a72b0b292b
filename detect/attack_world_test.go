package detect_test

import (
	"fmt"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/number"
	"ringfence/policy"
)

// world is a set of detectors whose trips are all acted upon, as by a rule that rejects what is tripped: acquaintances,
// whom a rule before lets pass, excepted.
type world struct {
	t    testing.TB
	ds   []policy.Detector
	set  *detect.Set
	at   time.Time
	plan *number.Plan
	read map[string]*number.Number
}

// start is a Monday, 10:00 in Shanghai.
var start = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)

func newWorld(t testing.TB, ds ...policy.Detector) *world {
	t.Helper()
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ds: ds, at: start, plan: plan, read: map[string]*number.Number{}}
	w.set = detect.New(ds, detect.Options{Zone: time.UTC, Seed: 7})
	return w
}

// detector is one with the defaults of the policy file, without a bound on what it touches.
func detector(name string, key policy.DetectorKey, window time.Duration, trip int, counts ...policy.Counted) policy.Detector {
	d := policy.Detector{
		Name: name, Key: key, Window: window, Trip: trip, Short: 6 * time.Second,
		Hold: time.Hour, HoldMax: 7 * time.Hour, Probe: 3, MaxShare: 1,
	}
	for _, c := range counts {
		d.Count = append(d.Count, policy.Weighed{Count: c, Weight: 1})
	}
	return d
}

// rangeWakes is the detector of number ranges as it is shipped.
func rangeWakes() policy.Detector {
	d := detector("range wakes", policy.ByPrefix, 3*time.Hour, 0, policy.CountStrangers)
	d.Levels = []policy.Level{{Digits: 6, Trip: 5}, {Digits: 7, Trip: 5}, {Digits: 8, Trip: 4}}
	d.Hold, d.HoldMax = 24*time.Hour, 7*24*time.Hour
	return d
}

// number reads one, and keeps it where it is likely to come again.
func (w *world) number(text string) *number.Number {
	if n := w.read[text]; n != nil {
		return n
	}
	n := w.plan.Parse(text)
	if n.E164 == "" {
		w.t.Fatalf("%s is read as no number", text)
	}
	if len(w.read) < 100_000 {
		w.read[text] = &n
	}
	return &n
}

// call is one that comes in.
type call struct {
	from, to  string
	trunk     string // "telecom"
	known     bool   // an acquaintance: no stranger, and not touched
	decoy     bool
	protected policy.DetectorSet
	leg       string
}

// came is what became of a call.
type came struct {
	n                detect.Count
	x                detect.Subject
	tripped, stopped bool
	over             bool // it would have been touched, but for max_share
}

func (w *world) subject(c call) detect.Subject {
	x := detect.Subject{
		Time: w.at, Trunk: c.trunk, Callee: c.to, Customer: c.to, Decoy: c.decoy, Stranger: !c.known, Protected: c.protected, Leg: c.leg,
	}
	if c.trunk == "" {
		x.Trunk = "telecom"
	}
	if c.from != "" {
		x.Caller = w.number(c.from)
	}
	return x
}

// call has one come in now.
func (w *world) call(c call) came { return w.decide(w.subject(c), c.known) }

func (w *world) decide(x detect.Subject, known bool) came {
	got := came{x: x, n: w.set.Called(&x)}
	got.tripped = got.n.Tripped != 0
	by, would := got.n.Tripped&^got.n.OnTrial, policy.DetectorSet(0)
	if known {
		by = 0
	}
	if by != 0 {
		if got.stopped = w.set.Touch(&got.n, by); !got.stopped {
			got.over, would = true, by
		}
	}
	if !known {
		would |= got.n.Tripped & got.n.OnTrial
	}
	w.set.Decided(&got.n, got.stopped || would != 0, would)
	return got
}

// talk has a call that rang be answered and end after so long; 0: nobody answered.
func (w *world) talk(c came, talk time.Duration) {
	w.set.Ended(&c.n, detect.End{At: w.at, Answered: talk > 0, Talk: talk, Rang: true})
}

func (w *world) wait(d time.Duration) {
	// As in life: a tick a minute, up to a day; then as after a standstill.
	for end := w.at.Add(d); w.at.Before(end); {
		w.at = w.at.Add(min(time.Minute, end.Sub(w.at)))
		w.set.Tick(w.at)
	}
}

// breaker is that of a key, as people see it; the zero one if it is closed and counts nothing.
func (w *world) breaker(name, key string) detect.Breaker {
	var found detect.Breaker
	w.set.Breakers(name, true, w.at, func(b detect.Breaker) bool {
		if b.Key == key && b.Trunk != "mobile" {
			found = b
			return false
		}
		return true
	})
	return found
}

// tripped are the keys of a detector that are tripped.
func (w *world) tripped(name string) []string {
	var keys []string
	w.set.Breakers(name, false, w.at, func(b detect.Breaker) bool {
		if b.State == detect.Tripped {
			keys = append(keys, b.Key)
		}
		return true
	})
	return keys
}

// wantState checks how a breaker is.
func (w *world) wantState(name, key, state string) detect.Breaker {
	w.t.Helper()
	b := w.breaker(name, key)
	got := b.State
	if got == "" {
		got = detect.Closed
	}
	if got != state {
		w.t.Errorf("%s %s at %s: got %s (%s), want %s", name, key, w.at.Sub(start), got, b.Why, state)
	}
	return b
}

// line is one of the called lines, by number.
func line(i int) string { return fmt.Sprintf("0592555%04d", i) }

// framed has so many calls with forged numbers from all over a range come, a minute apart, to a line each.
func (w *world) framed(prefix string, digits, calls int) (stopped int) {
	for i := range calls {
		if w.call(call{from: fmt.Sprintf("%s%0*d", prefix, digits, i*(pow(digits)*37/100+digits-2)%pow(digits)), to: line(i)}).stopped {
			stopped++
		}
		w.wait(time.Minute)
	}
	return stopped
}

func pow(digits int) int {
	p := 1
	for range digits {
		p *= 10
	}
	return p
}
