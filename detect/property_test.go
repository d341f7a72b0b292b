package detect_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// manyDetectors are of every key and kind, and trip soon.
func manyDetectors() []policy.Detector {
	ds := tenDetectors()
	ds[1].Levels, ds[1].Trip = []policy.Level{{Digits: 7, Trip: 20}}, 20
	ds[2].Trip = 40
	ds = append(
		ds,
		detector("callee", policy.ByCallee, 30*time.Minute, 12, policy.CountCallers),
		detector("trunk", policy.ByTrunk, 10*time.Minute, 60, policy.CountCalls),
		detector("missed", policy.ByCaller, 3*time.Hour, 6, policy.CountUnanswered),
		detector("marks", policy.ByCaller, 24*time.Hour, 3, policy.CountReports),
		detector("holder", policy.ByHolder, time.Hour, 30, policy.CountCallees),
		surge(policy.ByTrunk, 10*time.Minute),
	)
	ds[len(ds)-1].Name = "trunk surges"
	for i := range ds {
		ds[i].Hold = time.Duration(20+7*i) * time.Minute
		ds[i].HoldMax = 5 * ds[i].Hold
	}
	ds[3].Mode, ds[7].Mode = policy.Observe, policy.Observe
	return ds
}

// trace has random calls come, a burst now and then, and tells act of each before it comes. It returns what each found,
// a text a call.
func trace(w *world, random *rand.Rand, calls int, act func(i int, c *call)) []string {
	var found []string
	var open []came
	burst := 0
	for i := range calls {
		if burst == 0 && random.IntN(300) == 0 {
			burst = 20 + random.IntN(80)
		}
		c := call{from: fmt.Sprintf("13%09d", random.IntN(5000)*1771), to: line(random.IntN(60)), known: random.IntN(4) == 0, decoy: random.IntN(12) == 0}
		gap := time.Duration(random.IntN(240_000)) * time.Millisecond
		switch {
		case burst > 0:
			burst--
			gap /= 40
			c.known = false
			if i%2 == 0 {
				c.from = fmt.Sprintf("95211%03d", random.IntN(1000))
			} else {
				c.from, c.to = "05922116123", line(i%60)
			}
		case random.IntN(500) == 0:
			gap = time.Duration(random.IntN(40)) * time.Hour
		case random.IntN(40) == 0:
			c.trunk = "mobile"
		case random.IntN(40) == 0:
			c.from = ""
		}
		if random.IntN(3) == 0 {
			c.leg = fmt.Sprint("leg ", i)
		}
		w.at = w.at.Add(gap)
		w.set.Tick(w.at)
		if act != nil {
			act(i, &c)
		}
		x := w.subject(c)
		if c.from != "" && c.from[0] == '9' {
			x.Holder = "firm A"
		}
		got := w.decide(x, c.known)
		found = append(found, fmt.Sprintf("%s %s→%s: %b %b %v %v %v", w.at.Sub(start), c.from, c.to, got.n.Tripped, got.n.OnTrial, got.n.FirstTime, got.stopped, got.over))
		if !got.stopped {
			open = append(open, got)
		}
		if random.IntN(400) == 0 && x.Caller != nil {
			w.set.Reported(&x, fmt.Sprint("customer ", random.IntN(4)))
		}
		for len(open) > 0 && random.IntN(3) > 0 {
			k := random.IntN(len(open))
			w.at = w.at.Add(time.Duration(random.IntN(3000)) * time.Millisecond)
			w.talk(open[k], time.Duration(max(random.IntN(150)-30, 0))*time.Second)
			open = append(open[:k], open[k+1:]...)
		}
	}
	return found
}

func seeds(short, long int) int {
	if testing.Short() || underRace {
		return short
	}
	return long
}

// TestPropertyProtected holds that no sequence of calls touches a protected caller, and that what he does counts for
// nothing: all others are met by the same with and without his calls.
func TestPropertyProtected(t *testing.T) {
	for seed := range seeds(3, 15) {
		ds := manyDetectorsWithoutHabits()
		for i := range ds {
			ds[i].MaxShare = 1 // his calls are calls that usually come
		}
		all := policy.DetectorSet(1)<<len(ds) - 1
		with, without := newWorld(t, ds...), newWorld(t, ds...)
		banks := []string{"95211695", "13000001771", "05922116123"}
		other := func(c *call) {
			if slices.Contains(banks, c.from) {
				c.from = "13100000000" // he is protected wherever he calls
			}
		}
		got := trace(with, rand.New(rand.NewPCG(uint64(seed), 16)), 3000, func(i int, c *call) {
			// His calls come between the others, by his own number and by forged ones, to lines and decoys.
			other(c)
			bank := call{from: banks[i%3], to: line(i % 97), decoy: i%5 == 0, protected: all, trunk: c.trunk, leg: fmt.Sprint("bank ", i)}
			x := with.subject(bank)
			if i%2 == 0 {
				x.Holder = "firm A"
			}
			if found := with.set.Look(&x); found.Tripped != 0 {
				t.Fatalf("seed %d, call %d: a protected caller looked at is tripped by %b", seed, i, found.Tripped)
			}
			came := with.decide(x, false)
			if came.n.Tripped != 0 || came.stopped {
				t.Fatalf("seed %d, call %d: a protected caller is tripped by %b, stopped %v", seed, i, came.n.Tripped, came.stopped)
			}
			for _, f := range with.set.Explain(&x) {
				if !f.Protected {
					t.Fatalf("seed %d, call %d: %s is not said to be protected", seed, i, f.Text)
				}
			}
			with.talk(came, time.Duration(i%4)*time.Second)
		})
		want := trace(without, rand.New(rand.NewPCG(uint64(seed), 16)), 3000, func(_ int, c *call) { other(c) })
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("seed %d, call %d: %q with the protected caller's calls, %q without", seed, i, got[i], want[i])
			}
		}
	}
}

// TestPropertyRestart holds that the same calls trip the same, call by call, whether or not the program was started
// anew in between.
func TestPropertyRestart(t *testing.T) {
	for seed := range seeds(3, 12) {
		ds := manyDetectors()
		for i := range ds {
			ds[i].MaxShare = []float64{1, 0.3, 0.7}[i%3]
		}
		one, other := newWorld(t, ds...), newWorld(t, ds...)
		want := trace(one, rand.New(rand.NewPCG(uint64(seed), 17)), 4000, nil)
		restarts := rand.New(rand.NewPCG(uint64(seed), 18))
		got := trace(other, rand.New(rand.NewPCG(uint64(seed), 17)), 4000, func(i int, _ *call) {
			if restarts.IntN(300) == 0 {
				other.restart()
			}
		})
		tripped := 0
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("seed %d, call %d: got %q with restarts, want %q", seed, i, got[i], want[i])
			}
			if !strings.Contains(want[i], ": 0 0 ") {
				tripped++
			}
		}
		if tripped < 50 {
			t.Errorf("seed %d: %d calls tripped: the test tests little", seed, tripped)
		}
	}
}

// restart puts what a set has into a new one.
func (w *world) restart() {
	w.t.Helper()
	later := detect.New(w.ds, detect.Options{Zone: time.UTC, Seed: 7})
	if err := later.Load(w.set.Snapshot()); err != nil {
		w.t.Fatal(err)
	}
	w.set = later
	w.set.Tick(w.at)
}

// TestPropertyTrippedStay holds that what is tripped, probes or is pinned is not pushed out by whatever calls.
func TestPropertyTrippedStay(t *testing.T) {
	ds := []policy.Detector{detector("busy", policy.ByCaller, time.Hour, 5, policy.CountCallees), rangeWakes()}
	ds[0].Hold = 30 * time.Hour
	w := newWorld(t, ds...)
	for i := range 20 {
		w.call(call{from: "05922116123", to: line(i)})
		w.call(call{from: fmt.Sprintf("952116%02d", i*37%100), to: line(i)})
	}
	w.set.Pin("busy", "telecom", "+8613800138000", "open", "a person", w.at)
	random := rand.New(rand.NewPCG(19, 20))
	for i := range seeds(100_000, 400_000) {
		from := fmt.Sprintf("1%010d", 3e9+random.Int64N(6e9))
		if i%3 > 0 { // so that other keys trip as well, as many as there is room for
			from = fmt.Sprintf("1381%07d", i/20)
		}
		x := w.subject(call{from: from, to: line(i % 1000)})
		w.decide(x, false)
		w.at = w.at.Add(10 * time.Millisecond)
	}
	for _, key := range []string{"+865922116123", "+8613800138000"} {
		if b := w.breaker("busy", key); b.State != detect.Tripped && b.Pinned != "open" {
			t.Errorf("%s: got %q after a flood, want it tripped", key, b.State)
		}
	}
	if !w.call(call{from: "95211650", to: line(1)}).stopped {
		t.Error("the tripped range is not, after a flood")
	}
	w.set.Breakers("", true, w.at, func(b detect.Breaker) bool {
		if b.Count < 0 || b.Trip < 0 || b.Trips < 0 || b.Hold < 0 {
			t.Errorf("negative: %+v", b)
		}
		return true
	})
}
