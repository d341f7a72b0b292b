package detect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/policy"
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

// TestNamesAreBounded holds that a switch with any number of trunks and holders takes bounded memory, and that it is counted when there is no room.
func TestNamesAreBounded(t *testing.T) {
	b := newBench(t, everything)
	caller := b.p.Plan().Parse(dialler)
	for i := range mostHolders + 10 {
		x := Subject{Time: b.now, Trunk: fmt.Sprint("trunk", i%(mostTrunks+1)), Caller: &caller, Callee: "05925550100", Holder: fmt.Sprint("holder", i)}
		b.Called(&x)
	}
	if trunks, holders := len(b.trunks.list), len(b.holders.list); trunks > mostTrunks || holders > mostHolders {
		t.Errorf("got %d trunks and %d holders, want %d and %d at most", trunks, holders, mostTrunks, mostHolders)
	}
	if texts, _ := b.Full(); texts < 10 {
		t.Errorf("got %d counted as without room, want those of 10 holders at least", texts)
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

// TestEverythingAtOnce has all that can be done to a set be done by many at once, while another policy takes over again and again; with -race it is
// about data, and without about what is read of a snapshot that was taken while calls came.
func TestEverythingAtOnce(t *testing.T) {
	p := load(t, everything)
	other := load(t, everything+ruled("another", "key = \"prefix:4\"\ncount = \"calls\"\nwindow = \"1h\"\ntrip = 9"))
	var current atomic.Pointer[Set]
	current.Store(New(p.Detectors(), Options{}))
	clock := atomic.Int64{}
	clock.Store(t0.UnixMilli())
	now := func() time.Time { return time.UnixMilli(clock.Add(700)).UTC() }
	var wg sync.WaitGroup
	for who := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(who), 3))
			for i := range 400 {
				s := current.Load()
				caller := p.Plan().Parse(fmt.Sprintf("9521%04d", random.IntN(400)))
				x := Subject{
					Time: now(), Trunk: "a", Caller: &caller, Callee: fmt.Sprintf("+8659255501%02d", random.IntN(100)), Customer: fmt.Sprint(i % 9),
					Stranger: true, Decoy: i%7 == 0, Leg: fmt.Sprint(who, i),
				}
				n := s.Called(&x)
				var c policy.Call
				s.Fill(&n, &c)
				stopped := s.Touch(&n, n.Tripped)
				s.Decided(&n, stopped, n.Tripped)
				s.Explain(&x)
				s.Look(&x)
				s.Ended(&n, End{At: now(), Answered: i%2 == 0, Rang: true, Talk: time.Duration(i%90) * time.Second, Passed: i%50 == 0})
				if i%20 == 0 {
					s.Reported(&x, "one")
					s.ForgetNumber(caller.E164)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 40 {
			s, key := current.Load(), fmt.Sprintf("9521%02d", i)
			s.Pin("range wakes", "", key, "open", "anna", now())
			s.Tick(now())
			s.Breakers("", true, now(), func(b Breaker) bool {
				if b.Count < 0 || b.Trip < 0 {
					t.Errorf("negative: %+v", b)
				}
				return true
			})
			s.Unpin("range wakes", "", key, "anna", now())
			s.Reset("alarm", "", "all", "anna", now())
			s.Over(now())
			s.Counters()
			s.Full()
			fresh := New(p.Detectors(), Options{})
			if err := fresh.Load(s.Snapshot()); err != nil {
				t.Error(err)
			}
			fresh.Breakers("", true, now(), func(b Breaker) bool { fresh.Restore(b); return true })
		}
	})
	wg.Go(func() {
		for i := range 40 {
			next := New([]*policy.Policy{other, p}[i%2].Detectors(), Options{})
			next.Adopt(current.Load())
			current.Store(next)
			time.Sleep(time.Millisecond)
		}
	})
	wg.Wait()
}
