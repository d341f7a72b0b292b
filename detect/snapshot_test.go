package detect

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ringfence/policy"
)

// everything is a policy of detectors that have all that a snapshot can hold.
const everything = wakes + aDecoy + `
[[detector]]
name = "alarm"
key = "all"
count = { first_time = 1, decoys = 3, short_calls = 1 }
per_line = 3
window = "1h"
trip = 30
[[detector]]
name = "at once"
key = "caller"
count = "concurrent"
window = "1h"
trip = 8
[[detector]]
name = "in order"
key = "callee"
count = "unanswered"
window = "1h"
share = 0.9
[[detector]]
name = "orderly"
key = "caller"
count = "sequential"
window = "1h"
trip = 3
[[detector]]
name = "surge"
key = "trunk"
count = "calls"
window = "1h"
surge = 4
`

func busyBench(t *testing.T) *bench {
	b := newBench(t, everything)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		c := b.p.Call(policy.Facts{Caller: fmt.Sprintf("95211%03d", random.IntN(1000)), Callee: fmt.Sprintf("05925550%03d", random.IntN(1000)), Trunk: "a", Time: b.now})
		x := SubjectOf(b.p, &c, nil)
		x.Leg = fmt.Sprint("leg", i)
		n := b.Called(&x)
		b.Decided(&n, n.Tripped != 0, 0)
		b.wait(20 * time.Second)
		if i%3 > 0 {
			b.Ended(&n, End{At: b.now, Answered: true, Rang: true, Talk: time.Duration(i%9) * time.Second})
		}
	}
	b.Pin("in order", "", "callee of no digits", "open", "anna", b.now)
	return b
}

func TestSnapshotTwice(t *testing.T) {
	b := busyBench(t)
	first := b.Snapshot()
	fresh := New(b.p.Detectors(), Options{Seed: 9})
	if err := fresh.Load(first); err != nil {
		t.Fatal(err)
	}
	var before, after []string
	b.Breakers("", true, b.now, func(x Breaker) bool { before = append(before, fmt.Sprintf("%+v", x)); return true })
	fresh.Breakers("", true, b.now, func(x Breaker) bool { after = append(after, fmt.Sprintf("%+v", x)); return true })
	if len(before) < 20 || len(before) != len(after) {
		t.Fatalf("%d breakers, %d after", len(before), len(after))
	}
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("got  %s\nwant %s", after[i], before[i])
		}
	}
	// What is damaged leaves a set as it is.
	if err := fresh.Load(first[:len(first)/2]); err == nil {
		t.Error("half a snapshot is read")
	}
	count := 0
	fresh.Breakers("", true, b.now, func(Breaker) bool { count++; return true })
	if count != len(after) {
		t.Errorf("after half a snapshot there are %d, want %d as before", count, len(after))
	}
}

// FuzzLoad holds that no bytes make Load panic, and that a set counts on with whatever it took.
func FuzzLoad(f *testing.F) {
	p, report := policy.Load("policy.toml", []byte("country = \"CN\"\n"+everything))
	if p == nil {
		f.Fatal(report)
	}
	set := New(p.Detectors(), Options{})
	caller := p.Plan().Parse("95211213")
	use := func(s *Set, at time.Time) {
		for i := range 30 {
			x := Subject{Time: at.Add(time.Duration(i) * time.Minute), Trunk: "a", Caller: &caller, Callee: fmt.Sprint("+86592555010", i), Stranger: true, Leg: fmt.Sprint(i), Decoy: i%2 == 0}
			n := s.Called(&x)
			var c policy.Call
			s.Fill(&n, &c)
			s.Touch(&n, n.Tripped)
			s.Decided(&n, false, n.Tripped)
			s.Ended(&n, End{At: x.Time, Rang: true})
			s.Explain(&x)
		}
		s.Breakers("", true, at, func(b Breaker) bool {
			if b.Count < 0 || b.Trip < 0 {
				f.Fatalf("negative: %+v", b)
			}
			return true
		})
	}
	use(set, t0)
	whole := set.Snapshot()
	f.Add(whole, uint16(0), byte(0))
	f.Add(whole, uint16(40), byte(0xff))
	f.Add([]byte(snapshotForm), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, text []byte, at uint16, to byte) {
		if len(text) > 0 {
			text = append([]byte(nil), text...)
			text[int(at)%len(text)] ^= to
		}
		s := New(p.Detectors(), Options{})
		if s.Load(text) == nil {
			use(s, s.clock.time(s.clock.now))
			s.Tick(t0.Add(100 * time.Hour))
			s.Snapshot()
		}
	})
}
