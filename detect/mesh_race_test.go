package detect_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// mailbox is told what other nodes are to follow, and keeps the latest.
type mailbox struct {
	mu  sync.Mutex
	got []detect.News
}

func (m *mailbox) News(n detect.News) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.got = append(m.got, n); len(m.got) > 100 {
		m.got = m.got[50:]
	}
}

func (m *mailbox) take() []detect.News {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.got
	m.got = nil
	return got
}

// side is a node whose policy is read again and again.
type side struct {
	mailbox
	mu  sync.Mutex
	set *detect.Set
}

func (s *side) now() *detect.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set
}

func (s *side) swap(set *detect.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set = set
}

// fresh is a set of nearly the same detectors.
func (s *side) fresh(ds []policy.Detector, i int) *detect.Set {
	mine := append([]policy.Detector(nil), ds...)
	mine[i%len(mine)].Trip++
	return detect.New(mine, detect.Options{Zone: time.UTC, Seed: uint64(i), Peers: s})
}

func manyCalls(t *testing.T, ds []policy.Detector) []detect.Subject {
	w, all := newWorld(t, ds...), make([]detect.Subject, 200)
	for i := range all {
		all[i] = w.subject(call{from: fmt.Sprintf("952116%02d", i%100), to: line(i % 60), decoy: i%7 == 0})
	}
	return all
}

// TestMeshAtOnce has two nodes do everything at once, while policies take over from each other: nothing of it waits for ever or falls.
func TestMeshAtOnce(t *testing.T) {
	rounds := 400
	if testing.Short() || underRace {
		rounds = 100
	}
	ds := manyDetectors()
	sides := [2]*side{{}, {}}
	for i, s := range sides {
		s.swap(s.fresh(ds, i))
	}
	now := func(i int) time.Time { return start.Add(time.Duration(i) * 250 * time.Millisecond) }
	var all sync.WaitGroup
	for n, s := range sides {
		other := sides[1-n]
		name := fmt.Sprint("pbx", n)
		in := s.now
		subjects := manyCalls(t, ds)
		for i := range 20 { // there is something to tell from the first moment on
			in().Called(&subjects[i])
		}
		for _, do := range []func(i int){
			func(i int) {
				set := in()
				for j := range 20 {
					x := subjects[(i*20+j)%len(subjects)]
					x.Time = now(i)
					c := set.Called(&x)
					set.Touch(&c, c.Tripped)
					set.Decided(&c, false, 0)
					set.Ended(&c, detect.End{At: now(i), Answered: j%2 == 0, Talk: 3 * time.Second, Rang: true})
				}
			},
			func(i int) {
				shares := in().Tell(now(i), 2, nil)
				other.now().Heard(name, uint64(1+i/50), now(i), now(i), shares)
			},
			func(i int) {
				for _, news := range append(other.take(), in().Standing(now(i))...) {
					in().Follow(news, name, now(i))
				}
			},
			func(i int) {
				set := in()
				set.Pin(ds[0].Name, "telecom", "952116", []string{"open", "shut"}[i%2], "anna", now(i))
				set.Unpin(ds[0].Name, "telecom", "952116", "anna", now(i))
				set.Reset(ds[i%len(ds)].Name, "", "952116", "anna", now(i))
				set.Tick(now(i))
				set.TellAll()
			},
			func(i int) {
				switch i % 20 {
				case 3:
					next := s.fresh(ds, i)
					next.Adopt(in())
					s.swap(next)
				case 7:
					in().Snapshot()
				case 11:
					in().Gone(fmt.Sprint("pbx", 1-n))
				}
				in().Breakers("", true, now(i), func(detect.Breaker) bool { return true })
				in().Shared()
			},
		} {
			all.Go(func() {
				for i := range rounds {
					do(i)
				}
			})
		}
	}
	all.Wait()
	for _, s := range sides {
		if is := s.now().Shared(); is.Heard == 0 {
			t.Errorf("nothing is heard: %+v", is)
		}
	}
}
