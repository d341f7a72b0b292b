package detect_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// hourly has so many calls of strangers come in an hour, one after another, and says how many were stopped.
func (w *world) hourly(trunk string, calls int, from func(i int) string) (stopped int) {
	step, end := time.Hour/time.Duration(max(calls, 1)), w.at.Add(time.Hour)
	for i := range calls {
		if w.call(call{trunk: trunk, from: from(i), to: line(i % 700)}).stopped {
			stopped++
		}
		w.at = w.at.Add(step)
	}
	w.at = end
	w.set.Tick(w.at)
	return stopped
}

func anybody(random *rand.Rand) func(int) string {
	return func(int) string { return fmt.Sprintf("1%010d", 3e9+random.Int64N(6e9)) }
}

// surge is a detector of a trunk that brings more than ever.
func surge(key policy.DetectorKey, window time.Duration) policy.Detector {
	d := detector("surge", key, window, 0, policy.CountCalls)
	d.Surge, d.AtLeast = 8, 8
	return d
}

// TestAttackHabitTaught holds that who calls seven times as often as is usual, for weeks, so as not to trip, raises
// what is usual by half a week at most, and only when it has been so for as many weeks as it was not.
func TestAttackHabitTaught(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	d := surge(policy.ByTrunk, time.Hour)
	w := newWorld(t, d)
	week := func(anHour int) (stopped int) {
		for range 7 * 24 {
			stopped += w.hourly("", anHour, anybody(random))
		}
		return stopped
	}
	for i := range 4 {
		if stopped := week(6); stopped > 0 {
			t.Fatalf("week %d: %d honest calls stopped", i+1, stopped)
		}
	}
	// The end of the fourth week is a day old only after it.
	trip := func() int {
		x := w.subject(call{from: "13900000000", to: line(1)})
		for _, f := range w.set.Explain(&x) {
			return f.Trip
		}
		return 0
	}
	before := trip()
	if before < 40 || before > 60 {
		t.Fatalf("usually 6 an hour: trips at %d, want about 48", before)
	}
	most := float64(before)
	for i := range 9 {
		week(36)
		got := trip()
		if i < 3 && got > before+8 {
			t.Errorf("taught for %d weeks: trips at %d, want %d as before", i+1, got, before)
		}
		if i >= 3 {
			most = 1.5*most + 9
		}
		if float64(got) > most {
			t.Errorf("taught for %d weeks: trips at %d, want %.0f at most", i+1, got, most)
		}
	}
	if stopped := w.hourly("", 2000, anybody(random)); stopped < 1000 {
		t.Errorf("stopped %d of 2000 calls in an hour, after all that teaching", stopped)
	}
}

// TestAttackHabitUnknown holds that a surge trips nothing in the first days, by what nobody knows yet; and that what is
// new on a trunk that has been watched for a week has usually nothing.
func TestAttackHabitUnknown(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	d := surge(policy.ByPrefix, 10*time.Minute)
	d.Levels = []policy.Level{{Digits: 6}}
	w := newWorld(t, d)
	burst := func(prefix string) (stopped int) {
		return w.hourly("", 360, func(i int) string { return fmt.Sprintf("%s%02d", prefix, i%100) })
	}
	quiet := func(hours int) {
		for range hours {
			if n := w.hourly("", 20, anybody(random)); n != 0 {
				t.Fatalf("%d calls stopped of those that always come", n)
			}
		}
	}
	quiet(24)
	if got := burst("952110"); got != 0 {
		t.Errorf("the second day: %d calls stopped by a surge, want none yet", got)
	}
	quiet(9 * 24)
	if got := burst("952111"); got < 300 {
		t.Errorf("a range that never called, after ten days: stopped %d of 360, want most", got)
	}
	b := w.breaker(d.Name, "952111")
	if b.State == detect.Closed || b.Why == "" {
		t.Errorf("got %+v, want it tripped, with its reason", b)
	}
	t.Log(b.Why)
}

// TestAttackOneTrunkHidesAnother holds that who fills all slots on one trunk hides no campaign on another.
func TestAttackOneTrunkHidesAnother(t *testing.T) {
	ds := []policy.Detector{rangeWakes(), detector("busy", policy.ByCaller, time.Hour, 10, policy.CountCallees)}
	w := newWorld(t, ds...)
	random := rand.New(rand.NewPCG(5, 6))
	for i := range 300_000 {
		from := fmt.Sprintf("1%010d", 3e9+random.Int64N(6e9))
		if i%20 == 0 { // and some that call so often that they are evidence
			from = fmt.Sprintf("1380%07d", i/20%5000)
		}
		x := w.subject(call{trunk: "mobile", from: from, to: line(i % 1000)})
		w.decide(x, false)
		w.at = w.at.Add(time.Millisecond)
	}
	for i := range 30 {
		w.call(call{from: fmt.Sprintf("952116%02d", i*37%100), to: line(i)})
		w.call(call{from: "05922116123", to: line(i)})
		w.at = w.at.Add(time.Second)
	}
	if len(w.tripped(ds[0].Name)) == 0 || w.breaker(ds[1].Name, "+865922116123").State != detect.Tripped {
		t.Errorf("on a trunk beside a flood: range %v, caller %s; want both tripped", w.tripped(ds[0].Name), w.breaker(ds[1].Name, "+865922116123").State)
	}
	evicted, capped := w.set.Counters()
	t.Log("evicted", evicted, "capped", capped)
}

// TestAttackNewNumberEachCall holds that a dialler who never lets a number call twice is found by the range of his
// numbers, and one without a range by what his calls have in common: that nobody knows them and that they call what
// nobody has.
func TestAttackNewNumberEachCall(t *testing.T) {
	alarm := detector("strangers", policy.ByAll, time.Hour, 30)
	alarm.Count = []policy.Weighed{{Count: policy.CountFirstTime, Weight: 1}, {Count: policy.CountDecoys, Weight: 3}, {Count: policy.CountShortCalls, Weight: 1}}
	alarm.PerLine = 3
	w := newWorld(t, rangeWakes(), alarm)
	first := -1
	for i := range 100 {
		if w.call(call{from: fmt.Sprintf("952116%02d", i), to: line(i)}).stopped && first < 0 {
			first = i
		}
		w.wait(30 * time.Second)
	}
	if first < 0 || first > 10 {
		t.Errorf("a hundred numbers of one range, once each: the first stopped is %d, want the tenth at the latest", first)
	}
	w.wait(50 * time.Hour)
	random := rand.New(rand.NewPCG(7, 8))
	first = -1
	for i := range 100 {
		// One call in five to a decoy, one in two over at once.
		got := w.call(call{from: fmt.Sprintf("1%010d", 3e9+random.Int64N(6e9)), to: line(i), decoy: i%5 == 0})
		if got.stopped && first < 0 {
			first = i
		}
		w.wait(20 * time.Second)
		if !got.stopped && i%5 != 0 {
			w.talk(got, time.Duration(3+i%2*40)*time.Second)
		}
	}
	if first < 0 || first > 25 {
		t.Errorf("a hundred numbers without a range: the first stopped is %d, want the 25th at the latest", first)
	}
}

// TestAttackStormIsNoCampaign holds that hundreds who call one line back, whose number somebody has forged, do not trip
// what counts by line.
func TestAttackStormIsNoCampaign(t *testing.T) {
	alarm := detector("strangers", policy.ByAll, time.Hour, 30, policy.CountFirstTime)
	alarm.PerLine = 3
	w := newWorld(t, rangeWakes(), alarm)
	random := rand.New(rand.NewPCG(9, 10))
	for i := range 300 {
		got := w.call(call{from: fmt.Sprintf("1%010d", 3e9+random.Int64N(6e9)), to: line(7)})
		if got.stopped {
			t.Fatalf("call %d of people who call back is stopped", i)
		}
		w.wait(10 * time.Second)
	}
}
