package detect_test

import (
	"fmt"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// TestAttackBankFramed holds that twenty calls with forged numbers of a bank's range, and its own, close nothing for a
// bank that is protected.
func TestAttackBankFramed(t *testing.T) {
	w := newWorld(t, rangeWakes(), detector("many", policy.ByCaller, time.Hour, 5, policy.CountCallees))
	bank := call{from: "95588", to: line(0), protected: 3}
	for i := range 20 {
		forged := bank
		forged.to = line(i)
		if got := w.call(forged); got.tripped {
			t.Fatalf("call %d from the protected number is tripped", i)
		}
		w.wait(time.Minute)
	}
	if got := w.tripped(""); len(got) != 0 {
		t.Errorf("tripped by calls of a protected caller: %v, want none", got)
	}
	// The numbers beside it are not protected and trip their range; the bank rings.
	w.framed("9558", 4, 20)
	if got := w.call(bank); got.tripped || got.stopped {
		t.Error("the bank is touched with its range")
	}
}

// TestAttackRangeFramed holds what a range that nobody protects has to fear of twenty forged calls: its acquaintances
// ring, the trip ends by itself, and the first honest talks end it.
func TestAttackRangeFramed(t *testing.T) {
	w := newWorld(t, rangeWakes())
	friend := call{from: "05922116123", to: line(900), known: true}
	for range 50 { // a firm that everybody there knows is no stranger, however often it calls
		friend.to = line(w.at.Minute())
		w.call(friend)
		w.wait(time.Minute)
	}
	if got := w.tripped(""); len(got) != 0 {
		t.Fatalf("tripped by acquaintances: %v", got)
	}
	stopped := w.framed("0592211", 4, 20)
	if stopped < 10 || len(w.tripped("")) == 0 {
		t.Fatalf("stopped %d of 20, tripped %v: want most, and a range", stopped, w.tripped(""))
	}
	if got := w.call(friend); got.stopped {
		t.Error("an acquaintance is stopped with its range")
	}
	if got := w.call(call{from: "05922116001", to: line(3)}); !got.stopped {
		t.Error("a stranger of the tripped range rings: that is the price, or the test tests nothing")
	}
	w.wait(24*time.Hour + time.Minute)
	// Two talks to lines of different customers.
	for i := range 2 {
		got := w.call(call{from: fmt.Sprintf("0592211%04d", 6001+i*111), to: line(3 + i)})
		if got.stopped {
			t.Fatalf("honest call %d after the hold does not ring", i)
		}
		w.wait(2 * time.Minute)
		w.talk(got, 90*time.Second)
	}
	if got := w.tripped(""); len(got) != 0 {
		t.Errorf("after two talks: tripped %v, want none", got)
	}
	if got := w.call(call{from: "05922116009", to: line(9)}); got.stopped {
		t.Error("a stranger does not ring after the range has shown that it is honest")
	}
}

// TestAttackProbe holds that many bad probes double a hold once, that it ends at hold_max, and that one forged call
// each time does not keep a range shut for longer than that and a hold after the last real evidence.
func TestAttackProbe(t *testing.T) {
	d := rangeWakes()
	w := newWorld(t, d)
	w.framed("952116", 2, 20)
	keys := w.tripped(d.Name)
	if len(keys) != 1 {
		t.Fatalf("tripped %v, want one range", keys)
	}
	first := w.wantState(d.Name, keys[0], detect.Tripped)
	w.wait(first.Until.Sub(w.at) + time.Minute)
	var probes []came
	for i := range 10 {
		probes = append(probes, w.call(call{from: fmt.Sprintf("952116%02d", i*7), to: line(i)}))
		w.wait(7 * time.Second)
	}
	rang := 0
	for _, p := range probes {
		if !p.stopped {
			w.talk(p, 0)
			rang++
		}
	}
	if rang != d.Probe {
		t.Errorf("%d calls rang in probing, want %d", rang, d.Probe)
	}
	again := w.wantState(d.Name, keys[0], detect.Tripped)
	if again.Hold != 2*d.Hold {
		t.Errorf("after %d bad probes: hold %s, want %s", rang, again.Hold, 2*d.Hold)
	}
	evidence := w.at // ten more calls
	open := time.Duration(0)
	for w.at.Sub(evidence) < 60*24*time.Hour {
		b := w.breaker(d.Name, keys[0])
		if b.Hold > d.HoldMax {
			t.Fatalf("hold %s, want %s at most", b.Hold, d.HoldMax)
		}
		if b.State == detect.Tripped {
			w.wait(b.Until.Sub(w.at) + time.Minute)
			continue
		}
		if b.State == detect.Closed || b.State == "" {
			open = w.at.Sub(evidence)
			break
		}
		w.talk(w.call(call{from: "95211699", to: line(3)}), 0)
		w.wait(time.Minute)
	}
	if most := d.HoldMax + d.Hold + time.Minute; open == 0 || open > most {
		t.Errorf("one forged call a hold kept a range shut for %s, want %s at most", open, most)
	}
}

// TestAttackMarks holds that a person with ten extensions marks once, and that others add to it.
func TestAttackMarks(t *testing.T) {
	d := detector("marked", policy.ByCaller, 7*24*time.Hour, 3, policy.CountReports)
	w := newWorld(t, d)
	victim := call{from: "13800138000", to: line(1)}
	x := w.subject(victim)
	for i := range 10 {
		x.Callee = line(i)
		w.set.Reported(&x, "firm A")
		w.wait(time.Minute)
		x.Time = w.at
	}
	if b := w.wantState(d.Name, "+8613800138000", detect.Closed); b.Count != 1 {
		t.Errorf("ten marks of one customer count %d, want 1", b.Count)
	}
	w.set.Reported(&x, "firm B")
	w.wantState(d.Name, "+8613800138000", detect.Closed)
	w.set.Reported(&x, "firm C")
	if got := w.call(victim); !got.stopped {
		t.Error("marks of three customers do not trip at 3")
	}
}

// TestAttackMarksOfARange holds that one customer cannot close out a range, a holder or a trunk by marking one caller of it after the other.
func TestAttackMarksOfARange(t *testing.T) {
	byPrefix := detector("range", policy.ByPrefix, 7*24*time.Hour, 3, policy.CountReports)
	byPrefix.Levels = []policy.Level{{Digits: 6}}
	byHolder := detector("holder", policy.ByHolder, 7*24*time.Hour, 3, policy.CountReports)
	byTrunk := detector("trunk", policy.ByTrunk, 7*24*time.Hour, 3, policy.CountReports)
	for _, d := range []policy.Detector{byPrefix, byHolder, byTrunk} {
		t.Run(d.Name, func(t *testing.T) {
			w := newWorld(t, d)
			mark := func(caller int, customer string) came {
				c := call{from: fmt.Sprintf("952116%02d", caller), to: line(caller)}
				x := w.subject(c)
				x.Holder = "firm A"
				w.set.Reported(&x, customer)
				w.wait(time.Minute)
				x.Time = w.at
				return w.decide(x, false)
			}
			for i := range 20 {
				if mark(i, "one").tripped {
					t.Fatalf("%d callers marked by one customer trip it", i+1)
				}
			}
			w.wait(6 * 24 * time.Hour)
			mark(20, "one") // counts from now on
			if mark(21, "two").tripped {
				t.Error("marks of two customers trip it at 3")
			}
			if !mark(22, "three").tripped {
				t.Error("marks of three customers do not trip it at 3")
			}
		})
	}
}

// TestAttackDecoys holds that calls to decoys with a victim's number close him out for an hour at most, and that the
// same decoy called twice counts once.
func TestAttackDecoys(t *testing.T) {
	d := detector("decoys", policy.ByCaller, 24*time.Hour, 2, policy.CountDecoys)
	d.Hold, d.HoldMax = 24*time.Hour, 7*24*time.Hour
	w := newWorld(t, d)
	const victim = "13800138000"
	for range 10 {
		w.call(call{from: victim, to: line(800), decoy: true})
		w.wait(10 * time.Minute)
	}
	if b := w.wantState(d.Name, "+86"+victim, detect.Closed); b.Count != 1 {
		t.Errorf("one decoy called ten times counts %d, want 1", b.Count)
	}
	if got := w.call(call{from: victim, to: line(801), decoy: true}); !got.tripped {
		t.Fatal("two decoys do not trip at 2")
	}
	if b := w.breaker(d.Name, "+86"+victim); b.Hold > time.Hour {
		t.Errorf("hold %s by decoys alone, want an hour at most", b.Hold)
	}
	w.wait(time.Hour + time.Minute)
	// Probes to decoys never ring on a phone: they must not make it longer either.
	for i := range 10 {
		got := w.call(call{from: victim, to: line(810 + i), decoy: true})
		w.set.Ended(&got.n, detect.End{At: w.at, Answered: false})
		w.wait(time.Minute)
	}
	w.wait(2*time.Hour + time.Minute)
	if got := w.call(call{from: victim, to: line(5)}); got.stopped {
		b := w.breaker(d.Name, "+86"+victim)
		t.Errorf("the victim does not ring hours after: %s until %s, hold %s", b.State, b.Until.Sub(w.at), b.Hold)
	}
}

// TestAttackFillsACorner holds that who fills a range up from one corner of it, so that it counts no further, does not hide a campaign from all over
// it; and that the callers of one line do not make one, once a line has brought what per_line lets it.
func TestAttackFillsACorner(t *testing.T) {
	for _, perLine := range []int{0, 3} {
		for _, oneLine := range []bool{false, true} {
			d := rangeWakes()
			d.Levels, d.PerLine = []policy.Level{{Digits: 6, Trip: 5}}, perLine
			w := newWorld(t, d)
			for i := range 20 { // two blocks of ten with the same next digit: all that it counts
				if w.call(call{from: fmt.Sprintf("138001001%02d", i), to: line(i)}).n.Tripped != 0 {
					t.Fatalf("per_line %d: it trips by number %d of two blocks of ten", perLine, i)
				}
			}
			to := func(i int) string {
				if oneLine {
					return line(500)
				}
				return line(100 + i)
			}
			trippedAt := -1
			for i := range 9 {
				if w.call(call{from: fmt.Sprintf("138001%d4321", 1+i), to: to(i)}).n.Tripped != 0 {
					trippedAt = i
					break
				}
			}
			if want := 1; trippedAt != want { // the fourth block of ten
				t.Errorf("per_line %d, to one line %v: it trips by call %d from elsewhere, want %d", perLine, oneLine, trippedAt, want)
			}
		}
	}
	d := rangeWakes()
	d.Levels, d.PerLine = []policy.Level{{Digits: 6, Trip: 5}}, 3
	w := newWorld(t, d)
	for i := range 3 { // all that counts of this line
		w.call(call{from: fmt.Sprintf("138001001%02d", i), to: line(500)})
	}
	for i := range 17 {
		w.call(call{from: fmt.Sprintf("138001001%02d", 10+i), to: line(i)})
	}
	for i := range 9 {
		if w.call(call{from: fmt.Sprintf("138001%d4321", 1+i), to: line(500)}).n.Tripped != 0 {
			t.Fatal("a storm on one line trips a range")
		}
	}
}
