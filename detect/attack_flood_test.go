package detect_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/number"
	"ringfence/policy"
)

// tenDetectors are what an installation might have, all at once.
func tenDetectors() []policy.Detector {
	range7 := detector("range in haste", policy.ByPrefix, 10*time.Minute, 200, policy.CountStrangers)
	range7.Levels = []policy.Level{{Digits: 7, Trip: 200}}
	alarm := detector("alarm", policy.ByAll, time.Hour, 1<<20)
	alarm.Count = []policy.Weighed{{Count: policy.CountFirstTime, Weight: 1}, {Count: policy.CountDecoys, Weight: 3}, {Count: policy.CountShortCalls, Weight: 1}}
	alarm.PerLine = 3
	surges := surge(policy.ByPrefix, 10*time.Minute)
	surges.Levels = []policy.Level{{Digits: 6}}
	busy := detector("share", policy.ByCaller, time.Hour, 0, policy.CountShortCalls)
	busy.Share, busy.AtLeast = 0.5, 20
	return []policy.Detector{
		rangeWakes(), range7, alarm, surges, busy,
		detector("dialler", policy.ByCaller, time.Hour, 20, policy.CountCallees),
		detector("often", policy.ByCaller, 10*time.Minute, 60, policy.CountCalls),
		detector("decoys", policy.ByCaller, 24*time.Hour, 2, policy.CountDecoys),
		detector("in order", policy.ByCaller, time.Hour, 10, policy.CountSequential),
		detector("at once", policy.ByCaller, time.Hour, 5, policy.CountConcurrent),
	}
}

// TestAttackFlood hides campaigns of 2.8 calls a second each, from one number, from three and from a range, behind
// 2,000 calls a second each of which has another forged number: all trip, and all of it stays within 64 MiB.
// RINGFENCE_FLOOD says how many calls; make flood has a hundred million.
func TestAttackFlood(t *testing.T) {
	if underRace {
		t.Skip("NOT TESTED under the race detector, which has nothing to find here and takes minutes; `make test` runs this once more without it")
	}
	calls, rate := 1_500_000, 2000
	if testing.Short() {
		calls = 600_000
	}
	if text := os.Getenv("RINGFENCE_FLOOD"); text != "" {
		var err error
		if calls, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, tenDetectors()...)
	random := rand.New(rand.NewPCG(13, 14))
	numbers := make([]number.Number, 256) // read again and again: the text of a number is not the detectors' memory
	before := heap()
	began, most := time.Now(), uint64(0)
	const one, head = "05923116123", "9521160" // not of the range: what a range stops is no probe of a number that it had tripped for
	campaign, found := 0, map[string]int{}
	from := calls / 2 // the flood has filled everything by then
	for i := range calls {
		n := &numbers[i%len(numbers)]
		*n = w.plan.Parse(fmt.Sprintf("1%010d", 3e9+random.Int64N(6e9)))
		x := detect.Subject{
			Time: w.at, Trunk: "telecom", Caller: n, Callee: line(i % 1000), Customer: line(i % 1000), Stranger: true, Decoy: i%10 == 0, Leg: fmt.Sprint(i),
		}
		c := w.decide(x, false)
		if i%4 == 0 {
			w.talk(c, 3*time.Second)
		}
		w.at = w.at.Add(time.Second / time.Duration(rate))
		if i > from && i%714 == 0 { // 2.8 a second each
			campaign++
			if w.call(call{from: one, to: line(campaign % 700)}).n.Tripped.Has(5) {
				found["by one number"]++
			}
			if w.call(call{from: fmt.Sprintf("%s%d", head, random.IntN(3)), to: line(campaign % 700)}).n.Tripped.Has(6) {
				found["by three numbers"]++
			}
			if w.call(call{from: fmt.Sprintf("0592211%04d", random.IntN(1e4)), to: line(campaign % 700)}).n.Tripped.Has(1) {
				found["by a range"]++
			}
		}
		if i%500_000 == 499_999 {
			most = max(most, heap())
		}
	}
	most = max(most, heap())
	if most < before {
		most = before
	}
	t.Logf("flood: %d calls in %s, %.0f ns a call, %.1f MiB; a campaign of %d calls each: tripped %v",
		calls, time.Since(began).Round(time.Millisecond), float64(time.Since(began).Nanoseconds())/float64(calls), float64(most-before)/(1<<20), campaign, found)
	if used := most - before; used > 64<<20 {
		t.Errorf("%.1f MiB in use, want 64 at most", float64(used)/(1<<20))
	}
	for _, name := range []string{"by one number", "by three numbers", "by a range"} {
		// The first minute and the second are what it takes to count up to the trip, and to be let in at the door before.
		if found[name] < min(campaign*3/4, campaign-300) {
			t.Errorf("%s: %d of %d calls tripped, want those after a minute or two", name, found[name], campaign)
		}
	}
	runtime.KeepAlive(w)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAttackRememberedBreakers holds that whoever had as many callers trip as a trunk may have does not keep others from tripping once these have
// closed, although it is remembered for a week that they tripped.
func TestAttackRememberedBreakers(t *testing.T) {
	d := detector("many lines", policy.ByCaller, time.Hour, 3, policy.CountCallees)
	d.HoldMax = 7 * 24 * time.Hour
	w := newWorld(t, d)
	trips := func(caller int) bool {
		hit := false
		for i := range 3 {
			hit = w.call(call{from: fmt.Sprintf("139%08d", caller), to: line(i)}).n.Tripped != 0
		}
		return hit
	}
	caller := 0
	for trips(caller) {
		if caller++; caller > 100_000 {
			t.Fatal("there is no bound")
		}
		if caller%50 == 0 {
			w.wait(time.Second)
		}
	}
	if caller < 1000 {
		t.Fatalf("a trunk has room for %d breakers", caller)
	}
	w.wait(6 * time.Hour) // all of them have probed and closed
	if n := len(w.tripped(d.Name)); n > 0 {
		t.Fatalf("%d are tripped yet", n)
	}
	for i := range 500 {
		if !trips(200_000 + i) {
			t.Fatalf("caller %d after them does not trip: %d breakers are remembered", i, caller)
		}
	}
}
