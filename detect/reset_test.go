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
