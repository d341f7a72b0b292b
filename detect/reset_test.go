package detect_test

import (
	"fmt"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// A range that a person resets is not held by what the ranges in it counted before; those beside it go on.
func TestResetOfARange(t *testing.T) {
	for name, hand := range map[string]func(w *world) int{
		"reset": func(w *world) int { return w.set.Reset("range wakes", "", "952116", "anna", w.at) },
		"reset on the trunk": func(w *world) int {
			return w.set.Reset("range wakes", "telecom", "952116", "anna", w.at)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := rangeWakes()
			d.Levels = []policy.Level{{Digits: 6, Trip: 5}, {Digits: 7, Trip: 5}}
			w := newWorld(t, d)
			call := func(caller string, i int) (held bool) {
				x := detect.Subject{Time: w.at, Trunk: "telecom", Caller: w.number(caller), Callee: line(i), Customer: line(i), Stranger: true}
				n := w.set.Called(&x)
				w.set.Decided(&n, n.Tripped != 0, 0)
				w.at = w.at.Add(10 * time.Second)
				return n.Tripped != 0
			}
			for i := range 40 { // four of each ten
				call(fmt.Sprintf("952116%d%d", i%10, i/10), i)
			}
			for i := range 4 {
				call(fmt.Sprintf("952117%d0", i), i)
			}
			if hand(w) == 0 {
				t.Fatal("there was nothing to take in hand")
			}
			for i := range 2 {
				if call(fmt.Sprintf("952116%d9", i), 50+i) {
					t.Errorf("call %d of the range is held", i+1)
				}
			}
			if !call("95211749", 60) {
				t.Error("the range beside it counts anew as well")
			}
		})
	}
}

// To let go of a range takes the pin away and nothing else: the range and those in it have what they counted, but the range does not trip by what
// came while it was held.
func TestUnpin(t *testing.T) {
	d := rangeWakes()
	d.Levels = []policy.Level{{Digits: 6, Trip: 5}, {Digits: 7, Trip: 5}}
	for _, trunk := range []string{"", "telecom"} {
		w, next := newWorld(t, d), 0
		from := func(callers ...string) (held bool) {
			for _, c := range callers {
				held = w.call(call{from: c, to: line(next)}).tripped
				next++
				w.wait(10 * time.Second)
			}
			return held
		}
		count := func(key string, want int) {
			t.Helper()
			if got := w.breaker(d.Name, key).Count; got != want {
				t.Errorf("trunk %q: %s counts %d, want %d", trunk, key, got, want)
			}
		}
		from("95211600", "95211611", "95211622")
		w.set.Pin(d.Name, trunk, "952116", "shut", "anna", w.at)
		from("95211601", "95211602", "95211613") // the sixth is beyond the trip
		count("9521160", 3)
		w.set.Unpin(d.Name, trunk, "952116", "anna", w.at)
		count("9521160", 3)
		if from("95211633") {
			t.Errorf("trunk %q: what came while it was held shut trips it", trunk)
		}
		count("952116", 1)
		// A narrow one in it has three, and trips by the fifth.
		if from("95211604") || !from("95211605") {
			t.Errorf("trunk %q: a range in it does not go on where it was", trunk)
		}

		// Below the trip a range counts on.
		from("95211700", "95211711", "95211722")
		w.set.Pin(d.Name, trunk, "952117", "shut", "anna", w.at)
		w.set.Unpin(d.Name, trunk, "952117", "anna", w.at)
		if from("95211733") || !from("95211744") {
			t.Errorf("trunk %q: a range that was held for a moment does not go on where it was", trunk)
		}

		// One that was tripped is so for the rest of its hold, and no longer.
		b := w.wantState(d.Name, "952117", detect.Tripped)
		w.set.Pin(d.Name, trunk, "952117", "open", "anna", w.at)
		w.wait(time.Hour)
		w.set.Unpin(d.Name, trunk, "952117", "anna", w.at)
		if got := w.wantState(d.Name, "952117", detect.Tripped); !got.Since.Equal(b.Since) || !got.Until.Equal(b.Until) || got.Pinned != "" {
			t.Errorf("trunk %q: after the pin %+v, want %+v", trunk, got, b)
		}
		w.set.Pin(d.Name, trunk, "952117", "open", "anna", w.at)
		w.wait(d.Hold + d.HoldMax)
		from("95211755", "95211766", "95211777", "95211788", "95211799")
		w.set.Unpin(d.Name, trunk, "952117", "anna", w.at)
		w.wantState(d.Name, "952117", detect.Closed)
		if from("95211700") {
			t.Errorf("trunk %q: what came while it was held open trips it", trunk)
		}
	}
}

// The disk has a pin for as long as it lasts, whatever becomes of the breaker underneath; then it has that.
func TestUnpinIsTold(t *testing.T) {
	b := &lastTold{}
	d := rangeWakes()
	w := newWorld(t, d)
	w.set = detect.New(w.ds, detect.Options{Zone: time.UTC, Seed: 7, Sink: b})
	w.framed("952116", 2, 10)
	key := w.tripped(d.Name)[0]
	w.set.Pin(d.Name, "telecom", key, "open", "anna", w.at)
	w.wait(d.Hold + time.Hour) // it probes
	if b.last.Pinned != "open" || b.last.State != detect.Tripped || b.last.Key != key {
		t.Errorf("told %+v, want it pinned open", b.last)
	}
	w.set.Unpin(d.Name, "telecom", key, "anna", w.at)
	if b.last.Pinned != "" || b.last.State != detect.Probing || b.last.Key != key {
		t.Errorf("told %+v, want it probing", b.last)
	}
}

// lastTold is a sink that keeps the last it was told.
type lastTold struct{ last detect.Breaker }

func (b *lastTold) Changed(x detect.Breaker) { b.last = x }

// What a key trips at is told also of a share, and of a pin on a key that has counted nothing.
func TestTripIsTold(t *testing.T) {
	share := detector("short ones", policy.ByTrunk, time.Hour, 0, policy.CountShortCalls)
	share.Share, share.AtLeast = 0.5, 20
	w := newWorld(t, rangeWakes(), share)
	for i := range 30 {
		w.at = w.at.Add(10 * time.Second)
		x := detect.Subject{Time: w.at, Trunk: "telecom", Caller: w.number("13800138000"), Callee: line(i), Customer: line(i)}
		n := w.set.Called(&x)
		w.set.Decided(&n, false, 0)
		if i < 10 {
			w.set.Ended(&n, detect.End{At: w.at, Answered: true, Rang: true, Talk: 2 * time.Second})
		}
	}
	w.set.Pin("range wakes", "", "952116", "shut", "anna", w.at)
	got := ""
	w.set.Breakers("", true, w.at, func(b detect.Breaker) bool {
		got += fmt.Sprintf("%s %d/%d\n", b.Key, b.Count, b.Trip)
		return true
	})
	if want := "952116 0/5\ntelecom 10/15\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
