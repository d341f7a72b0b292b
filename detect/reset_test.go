package detect_test

import (
	"fmt"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// A range that a person resets, or lets go of, is not held by what the ranges in it counted before; those beside it go on.
func TestResetOfARange(t *testing.T) {
	for name, hand := range map[string]func(w *world) int{
		"reset": func(w *world) int { return w.set.Reset("range wakes", "", "952116", "anna", w.at) },
		"reset on the trunk": func(w *world) int {
			return w.set.Reset("range wakes", "telecom", "952116", "anna", w.at)
		},
		"pinned and unpinned": func(w *world) int {
			w.set.Pin("range wakes", "", "952116", "open", "anna", w.at)
			return w.set.Unpin("range wakes", "", "952116", "anna", w.at)
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
