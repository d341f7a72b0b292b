package detect_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
)

// naive counts one detector as anyone would who had all the memory of the world and no care for time: everything is remembered, and each
// count is made anew by looking at all of it. It knows the first trip of each key alone, which is where what has tripped begins to matter.
type naive struct {
	d       policy.Detector
	members map[string]map[string]*happened // by key, and by what is counted once
	calls   map[string][]happened
	before  map[string]bool
	tripped map[string]bool
}

// happened is something that counts, in a piece of the window, by a call to a number.
type happened struct {
	piece  int64
	line   string
	weight int
}

// pieces is how many pieces a window has: what is a piece and more short of a window old counts, what is older than the window does not.
const pieces = 12

func newNaive(d policy.Detector) *naive {
	return &naive{
		d: d, members: map[string]map[string]*happened{}, calls: map[string][]happened{}, before: map[string]bool{}, tripped: map[string]bool{},
	}
}

func (m *naive) piece(at time.Time) int64 {
	return at.UnixMilli() / (m.d.Window.Milliseconds() / pieces)
}

func (m *naive) live(h happened, at time.Time) bool { return m.piece(at)-h.piece < pieces }

// keyOf is the key of a call, digits of a prefix taken from the start; "" if it counts for none.
func (m *naive) keyOf(c call, digits int) string {
	switch m.d.Key {
	case policy.ByCaller:
		return c.from
	case policy.ByPrefix:
		return c.from[:min(digits, len(c.from))]
	case policy.ByCallee:
		return c.to
	}
	return "all"
}

// lineUsed is how much a called number has added to a key's count.
func (m *naive) lineUsed(key, line string, at time.Time) (n int) {
	for _, h := range m.calls[key] {
		if h.line == line && m.live(h, at) {
			n++
		}
	}
	for _, h := range m.members[key] {
		if h.line == line && m.live(*h, at) {
			n++
		}
	}
	return n
}

// add counts what a call brings of a key, and says whether it has reached the trip then.
func (m *naive) add(key string, c call, at time.Time, trip int, kinds ...policy.Counted) bool {
	if m.members[key] == nil {
		m.members[key] = map[string]*happened{}
	}
	for _, w := range m.d.Count {
		applies := false
		for _, k := range kinds {
			applies = applies || k == w.Count
		}
		if !applies {
			continue
		}
		now := happened{m.piece(at), c.to, w.Weight}
		room := m.d.PerLine == 0 || m.lineUsed(key, c.to, at) < m.d.PerLine
		member := ""
		switch w.Count {
		case policy.CountCalls, policy.CountShortCalls, policy.CountUnanswered:
			if room {
				m.calls[key] = append(m.calls[key], now)
			}
			continue
		case policy.CountCallees:
			member = c.to
		case policy.CountDecoys:
			member = c.from + " " + c.to
		default:
			member = c.from
		}
		member = fmt.Sprint(w.Count, member)
		is := m.members[key][member]
		switch {
		case is == nil || !m.live(*is, at):
			if room {
				m.members[key][member] = &now
			}
		case is.piece == now.piece:
		case is.line == c.to || room: // it is newer by this call
			*is = now
		}
	}
	return m.count(key, at) >= trip
}

func (m *naive) count(key string, at time.Time) (n int) {
	for _, h := range m.calls[key] {
		if m.live(h, at) {
			n += h.weight
		}
	}
	for _, h := range m.members[key] {
		if m.live(*h, at) {
			n += h.weight
		}
	}
	return n
}

// modelled are detectors whose trips the model knows, with windows that a random walk gets around in.
func modelled(random *rand.Rand) policy.Detector {
	kinds := []policy.Counted{
		policy.CountCalls, policy.CountCallees, policy.CountCallers, policy.CountStrangers, policy.CountFirstTime, policy.CountDecoys, policy.CountShortCalls,
		policy.CountUnanswered,
	}
	keys := []policy.DetectorKey{policy.ByCaller, policy.ByPrefix, policy.ByTrunk, policy.ByCallee, policy.ByAll}
	d := detector("model", keys[random.IntN(len(keys))], time.Duration(1+random.IntN(180))*time.Minute, 2+random.IntN(12))
	random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, k := range kinds[:1+random.IntN(3)] {
		d.Count = append(d.Count, policy.Weighed{Count: k, Weight: 1 + random.IntN(3)})
	}
	if len(d.Count) == 1 && d.Count[0].Count == policy.CountDecoys {
		d.Count[0].Count = policy.CountCallees // decoys alone hold for an hour at most
	}
	if random.IntN(2) == 0 {
		d.PerLine = 1 + random.IntN(3)
	}
	if d.Key == policy.ByPrefix {
		d.Levels = []policy.Level{{Digits: 4 + random.IntN(8), Trip: d.Trip}}
	}
	d.Hold, d.HoldMax = 1000*time.Hour, 1000*time.Hour
	return d
}

// TestPropertyModel holds that each key trips for the first time by exactly the call by which it does in the model.
func TestPropertyModel(t *testing.T) {
	rounds := 400
	if testing.Short() || underRace {
		rounds = 60
	}
	trips := 0
	for seed := range rounds {
		random := rand.New(rand.NewPCG(uint64(seed), 15))
		d := modelled(random)
		w, m := newWorld(t, d), newNaive(d)
		gap := d.Window / time.Duration(4+random.IntN(60))
		callers, lines := 2+random.IntN(40), 1+random.IntN(20)
		var log []string
		last := map[string]time.Time{}
		for i := range 400 {
			w.at = w.at.Add(time.Duration(random.Int64N(int64(2*gap)) / int64(time.Millisecond) * int64(time.Millisecond)))
			c := call{from: fmt.Sprintf("952116%02d", random.IntN(callers)*97%100), to: line(random.IntN(lines)), known: random.IntN(3) == 0, decoy: random.IntN(4) == 0}
			same := c.from + c.to
			kinds := []policy.Counted{policy.CountCalls, policy.CountCallees, policy.CountCallers}
			if !c.known {
				kinds = append(kinds, policy.CountStrangers)
			}
			if !m.before[c.from] {
				kinds = append(kinds, policy.CountFirstTime)
			}
			if c.decoy {
				kinds = append(kinds, policy.CountDecoys)
			}
			key := m.keyOf(c, digits(d))
			again := !last[same].IsZero() && w.at.Sub(last[same]) < policy.SameCall
			if !again {
				last[same] = w.at
			}
			// The window has whole milliseconds, and so have its pieces.
			if !again && !m.tripped[key] && m.add(key, c, w.at, d.Trip, kinds...) {
				m.tripped[key] = true
				trips++
			}
			log = append(log, fmt.Sprintf("%s %s→%s known %v decoy %v again %v: model %d", w.at.Sub(start), c.from, c.to[8:], c.known, c.decoy, again, m.count(key, w.at)))
			got := w.call(c)
			if got.tripped != m.tripped[key] {
				t.Fatalf("seed %d, %s %v per line %d trip %d in %s, call %d for %s: tripped %v, want %v by %d; it counts %d\n%s", seed, keyName(d), d.Count, d.PerLine,
					d.Trip, d.Window, i, key, got.tripped, m.tripped[key], m.count(key, w.at), w.breaker("model", key).Count, tail(log))
			}
			if !got.tripped || c.known {
				m.before[c.from] = true
			}
			if again || random.IntN(2) == 0 {
				continue
			}
			w.at = w.at.Add(time.Duration(random.IntN(20_000)) * time.Millisecond)
			kind, talk := policy.CountUnanswered, time.Duration(0)
			if random.IntN(2) == 0 {
				if kind, talk = policy.CountShortCalls, time.Duration(1+random.IntN(12))*time.Second; talk > d.Short {
					kind = policy.CountReports // it counts nothing
				}
			}
			w.talk(got, talk)
			if !m.tripped[key] && m.add(key, c, w.at, d.Trip, kind) {
				m.tripped[key] = true
				trips++
			}
			log = append(log, fmt.Sprintf("%s ended after %s: model %d", w.at.Sub(start), talk, m.count(key, w.at)))
		}
	}
	if trips < rounds {
		t.Errorf("%d trips in %d rounds: the test tests little", trips, rounds)
	}
}

func digits(d policy.Detector) int {
	if len(d.Levels) > 0 {
		return d.Levels[0].Digits
	}
	return 0
}

func keyName(d policy.Detector) string {
	return fmt.Sprint([]string{"caller", "prefix", "holder", "trunk", "callee", "all"}[d.Key], digits(d))
}

func tail(log []string) string { return strings.Join(log[max(len(log)-40, 0):], "\n") }
