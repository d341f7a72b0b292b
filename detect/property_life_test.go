package detect_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata"

	"ringfence/detect"
	"ringfence/policy"
)

// busy is a detector by caller that trips at five lines in an hour.
func busy() policy.Detector {
	return detector("busy", policy.ByCaller, time.Hour, 5, policy.CountCallees)
}

const dialler = "13800138000"

// campaign has a caller call so many lines, half a minute apart.
func (w *world) campaign(from string, calls int) (stopped int) {
	for i := range calls {
		if w.call(call{from: from, to: line(i)}).stopped {
			stopped++
		}
		w.at = w.at.Add(30 * time.Second)
	}
	return stopped
}

// TestLife holds the life of a breaker: it trips by the call that reaches the trip, holds beyond its counts, probes,
// and closes or trips again for twice as long, up to hold_max; when it stayed closed for as long as that, it begins
// anew.
func TestLife(t *testing.T) {
	for _, c := range []struct {
		name  string
		probe func(w *world)
		state string
		hold  time.Duration
	}{
		{"nobody calls", func(w *world) { w.wait(time.Hour + time.Minute) }, detect.Closed, 0},
		{"a call that nobody answered", func(w *world) { w.talk(w.call(call{from: dialler, to: line(1)}), 0) }, detect.Tripped, 2 * time.Hour},
		{"a short call", func(w *world) { w.talk(w.call(call{from: dialler, to: line(1)}), 3*time.Second) }, detect.Tripped, 2 * time.Hour},
		{"one talk", func(w *world) { w.talk(w.call(call{from: dialler, to: line(1)}), time.Minute) }, detect.Probing, time.Hour},
		{"two talks with one line", func(w *world) {
			for range 2 {
				c := w.call(call{from: dialler, to: line(1)})
				w.wait(2 * time.Minute)
				w.talk(c, time.Minute)
			}
		}, detect.Probing, time.Hour},
		{"two talks with two lines", func(w *world) {
			for i := range 2 {
				c := w.call(call{from: dialler, to: line(i)})
				w.wait(2 * time.Minute)
				w.talk(c, time.Minute)
			}
		}, detect.Closed, 0},
		{"a challenge passed", func(w *world) {
			c := w.call(call{from: dialler, to: line(1)})
			w.set.Ended(&c.n, detect.End{At: w.at, Answered: true, Rang: true, Talk: 20 * time.Second, Passed: true})
		}, detect.Closed, 0},
		{"three calls of half a minute", func(w *world) {
			for i := range 3 {
				c := w.call(call{from: dialler, to: line(i)})
				w.wait(time.Minute)
				w.talk(c, 30*time.Second)
			}
		}, detect.Closed, 0},
		{"calls whose end nobody tells", func(w *world) {
			for i := range 3 {
				w.call(call{from: dialler, to: line(i)})
				w.wait(time.Minute)
			}
			if got := w.call(call{from: dialler, to: line(9)}); !got.stopped {
				w.t.Error("a fourth call rings before it is known what the three were")
			}
		}, detect.Probing, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, busy())
			if stopped := w.campaign(dialler, 8); stopped != 4 {
				t.Fatalf("stopped %d of 8, want those from the fifth on", stopped)
			}
			w.wait(50 * time.Minute)
			if got := w.call(call{from: dialler, to: line(1)}); !got.stopped {
				t.Fatal("it does not hold for an hour")
			}
			w.wait(9 * time.Minute)
			w.wantState("busy", "+86"+dialler, detect.Probing)
			c.probe(w)
			if b := w.wantState("busy", "+86"+dialler, c.state); c.hold > 0 && b.Hold != c.hold {
				t.Errorf("hold %s, want %s", b.Hold, c.hold)
			}
			// What led to the trip does not trip it again.
			if c.state == detect.Closed && w.campaign(dialler, 4) > 0 {
				t.Error("after it has closed it trips by what was counted before")
			}
		})
	}
}

// TestLifeHoldDoubles holds the lengths of one trip after the other.
func TestLifeHoldDoubles(t *testing.T) {
	w := newWorld(t, busy())
	w.campaign(dialler, 5)
	for i, want := range []time.Duration{1, 2, 4, 7, 7, 7} {
		b := w.wantState("busy", "+86"+dialler, detect.Tripped)
		if b.Hold != want*time.Hour {
			t.Errorf("trip %d: hold %s, want %s", i+1, b.Hold, want*time.Hour)
		}
		w.wait(b.Until.Sub(w.at) + time.Second)
		w.campaign(dialler, 3)
		w.talk(w.call(call{from: dialler, to: line(77)}), 0)
		if w.breaker("busy", "+86"+dialler).State != detect.Tripped { // the probes' ends: one that rang
			w.wait(5 * time.Hour)
			w.talk(w.call(call{from: dialler, to: line(78)}), 0)
		}
		w.campaign(dialler, 10) // evidence that it goes on
	}
	b := w.breaker("busy", "+86"+dialler)
	w.wait(b.Until.Sub(w.at) + 20*time.Hour)
	w.wantState("busy", "+86"+dialler, detect.Closed)
	w.campaign(dialler, 5)
	if b := w.wantState("busy", "+86"+dialler, detect.Tripped); b.Hold != time.Hour {
		t.Errorf("a trip after a long peace: hold %s, want an hour", b.Hold)
	}
}

// TestLifeClock holds that a clock that jumps loses no breaker, freezes no window and makes no hold last for ever.
func TestLifeClock(t *testing.T) {
	for _, jump := range []time.Duration{5 * time.Hour, 40 * 24 * time.Hour, -30 * time.Minute, -5 * time.Hour, -40 * 24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			w := newWorld(t, busy())
			w.campaign(dialler, 8)
			w.at = w.at.Add(jump)
			// A clock that was put back is believed when it has been so for a while.
			w.wait(3 * time.Minute)
			b := w.breaker("busy", "+86"+dialler)
			if jump < 0 && b.State != detect.Tripped {
				t.Errorf("after %s: got %s, want it tripped still", jump, b.State)
			}
			if jump > 0 && b.State != detect.Probing {
				t.Errorf("after %s: it is closed without having probed", jump)
			}
			if jump > 0 && jump < 24*time.Hour { // later it takes more than a probe
				c := w.call(call{from: dialler, to: line(50)})
				w.talk(c, 0)
				if b := w.breaker("busy", "+86"+dialler); b.State != detect.Tripped {
					t.Errorf("after %s: a bad probe leaves it %s", jump, b.State)
				}
			}
			// Another campaign trips in its own time, and its counts leave the window in theirs.
			if stopped := w.campaign("13900139000", 8); stopped != 4 {
				t.Errorf("after %s: stopped %d of 8 calls of another, want 4", jump, stopped)
			}
			w.campaign("13700137000", 4)
			w.wait(61 * time.Minute)
			if stopped := w.campaign("13700137000", 4); stopped != 0 {
				t.Errorf("after %s: calls of an hour ago still count", jump)
			}
			w.wait(30 * time.Hour)
			w.wantState("busy", "+86"+dialler, detect.Closed)
		})
	}
}

// TestLifeZone holds that windows and holds know nothing of daylight saving, and that a surge by the clock on the wall
// does not trip when it changes.
func TestLifeZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []time.Time{time.Date(2026, 2, 16, 0, 0, 0, 0, berlin), time.Date(2026, 9, 21, 0, 0, 0, 0, berlin)} {
		d := surge(policy.ByTrunk, 30*time.Minute)
		d.Surge, d.AtLeast = 2, 10
		w := newWorld(t, d)
		w.set = detect.New(w.ds, detect.Options{Zone: berlin, Seed: 7})
		random := rand.New(rand.NewPCG(22, 23))
		changed := 0
		_, offset := from.Zone()
		for w.at = from; w.at.Before(from.AddDate(0, 0, 7*7)); w.at = w.at.Add(2 * time.Minute) {
			local := w.at.In(berlin)
			if _, now := local.Zone(); now != offset {
				offset = now
				changed++
			}
			if h := local.Hour(); h < 9 || h >= 17 {
				if random.IntN(15) > 0 {
					w.set.Tick(w.at)
					continue
				}
			}
			if got := w.call(call{from: anybody(random)(0), to: line(random.IntN(700))}); got.tripped {
				b := w.breaker("surge", "telecom")
				t.Fatalf("%s: what comes every day at this hour trips: %+v", local, b)
			}
		}
		if changed != 1 {
			t.Fatalf("the clock was changed %d times, want once", changed)
		}
	}
	utc, zoned := newWorld(t, manyDetectorsWithoutHabits()...), newWorld(t, manyDetectorsWithoutHabits()...)
	zoned.set = detect.New(zoned.ds, detect.Options{Zone: berlin, Seed: 7})
	utc.at = time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	zoned.at = utc.at
	want, got := trace(utc, rand.New(rand.NewPCG(24, 25)), 3000, nil), trace(zoned, rand.New(rand.NewPCG(24, 25)), 3000, nil)
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("call %d: got %q in Berlin, want %q", i, got[i], want[i])
		}
	}
}

func manyDetectorsWithoutHabits() []policy.Detector {
	var ds []policy.Detector
	for _, d := range manyDetectors() {
		if d.Surge == 0 {
			ds = append(ds, d)
		}
	}
	return ds
}

// TestLifeRestart holds that a breaker lives through a restart in each of its states, with and without the counts.
func TestLifeRestart(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(w *world)
		state string
	}{
		{"tripped", func(*world) {}, detect.Tripped},
		{"probing", func(w *world) { w.wait(58 * time.Minute) }, detect.Probing},
		{"tripped again", func(w *world) {
			w.wait(58 * time.Minute)
			w.talk(w.call(call{from: dialler, to: line(1)}), 0)
		}, detect.Tripped},
		{"closed", func(w *world) { w.wait(3 * time.Hour) }, detect.Closed},
	} {
		for _, counts := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, counts %v", c.name, counts), func(t *testing.T) {
				w := newWorld(t, busy())
				told := map[string]detect.Breaker{}
				w.set = detect.New(w.ds, detect.Options{Zone: time.UTC, Seed: 7, Sink: sink(func(b detect.Breaker) { told[b.Detector+b.Trunk+b.Key] = b })})
				w.campaign(dialler, 8)
				c.do(w)
				before := w.wantState("busy", "+86"+dialler, c.state)
				if counts {
					w.restart()
				} else {
					w.set = detect.New(w.ds, detect.Options{Zone: time.UTC, Seed: 7})
					for _, b := range told {
						w.set.Restore(b)
					}
					w.set.Tick(w.at)
				}
				after := w.wantState("busy", "+86"+dialler, c.state)
				if c.state == detect.Closed {
					return
				}
				if !after.Until.Equal(before.Until) || after.Hold != before.Hold || after.Why != before.Why || after.Trips != before.Trips {
					t.Errorf("got %+v\nwant %+v", after, before)
				}
				// A failed probe makes the next hold longer, as it would have without the restart.
				w.wait(max(before.Until.Sub(w.at), 0) + time.Second)
				w.talk(w.call(call{from: dialler, to: line(1)}), 0)
				if b := w.wantState("busy", "+86"+dialler, detect.Tripped); b.Hold != 2*before.Hold {
					t.Errorf("the hold after it: got %s, want %s", b.Hold, 2*before.Hold)
				}
			})
		}
	}
}

// sink is told of breakers.
type sink func(detect.Breaker)

func (s sink) Changed(b detect.Breaker) { s(b) }
