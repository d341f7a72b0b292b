package detect

import (
	"strings"
	"testing"
	"time"
)

// TestLongTexts holds that no text that a call, a policy or a person brings keeps a snapshot from being read again.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("x", 5000)
	b := newBench(t, "[ranges]\n\"952112*\" = \"firm A\"\n"+everything+ruled("of a holder", "key = \"holder\"\ncount = \"calls\"\nwindow = \"1h\"\ntrip = 3"))
	caller := b.p.Plan().Parse(dialler)
	for i := range 4 {
		x := Subject{Time: b.now.Add(time.Duration(i) * time.Minute), Trunk: long, Caller: &caller, Callee: long, Holder: long, Customer: long, Leg: long, Stranger: true}
		n := b.Called(&x)
		b.Decided(&n, false, 0)
		b.Ended(&n, End{At: x.Time, Rang: true})
	}
	b.Pin("in order", "", long, "open", long, b.now)
	b.Pin("in order", long, "another", "shut", long, b.now)
	if err := New(b.p.Detectors(), Options{}).Load(b.Snapshot()); err != nil {
		t.Error(err)
	}
}

// TestAdoptTwice holds that a set which has taken over already does not wait for itself.
func TestAdoptTwice(t *testing.T) {
	b := newBench(t, wakes)
	next := New(b.p.Detectors(), Options{})
	for range 2 {
		next.Adopt(b.Set)
	}
	next.Tick(b.now)
}
