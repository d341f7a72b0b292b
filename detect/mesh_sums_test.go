package detect_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// counting are detectors of all kinds that are added up, each with a key that random calls count for, far from their trips.
func counting() (ds []policy.Detector, keys []string) {
	add := func(d policy.Detector, key string) {
		d.Name = fmt.Sprint("d", len(ds))
		ds, keys = append(ds, d), append(keys, key)
	}
	ranges := detector("", policy.ByPrefix, 30*time.Minute, 0, policy.CountStrangers)
	ranges.Levels = []policy.Level{{Digits: 5, Trip: 60}, {Digits: 6, Trip: 60}}
	add(ranges, "952116")
	annoys := ranges
	annoys.Count = []policy.Weighed{{Count: policy.CountStrangers, Weight: 1}, {Count: policy.CountShortCalls, Weight: 2}, {Count: policy.CountDecoys, Weight: 3}}
	add(annoys, "95211")
	annoys.PerLine = 2
	add(annoys, "952116")
	add(detector("", policy.ByPrefix, time.Hour, 60, policy.CountCallees), "952116")
	add(detector("", policy.ByPrefix, 10*time.Minute, 60, policy.CountFirstTime), "952116")
	ds[3].Levels, ds[4].Levels = []policy.Level{{Digits: 6, Trip: 60}}, []policy.Level{{Digits: 6, Trip: 60}}
	few := detector("", policy.ByAll, time.Hour, 60, policy.CountCalls)
	few.PerLine = 3
	add(few, "all")
	add(detector("", policy.ByTrunk, 10*time.Minute, 60, policy.CountUnanswered), "telecom")
	add(detector("", policy.ByCaller, time.Hour, 60, policy.CountReports), "+86"+dialler)
	add(detector("", policy.ByAll, time.Hour, 60, policy.CountCallers), "all")
	return ds, keys
}

// bounds are detectors that count at least as much as these: which calls to a number count under per_line is up to each node, and who calls for the first
// time. The others count exactly as much.
func bounds(ds []policy.Detector) (all []policy.Detector, exactly []bool) {
	for _, d := range ds {
		first := d.Count[0].Count == policy.CountFirstTime
		exactly = append(exactly, d.PerLine == 0 && !first)
		if d.PerLine = 0; first {
			d.Count = []policy.Weighed{{Count: policy.CountCallers, Weight: 1}}
		}
		all = append(all, d)
	}
	return all, exactly
}

func pinShut(s *detect.Set, name string, at time.Time, keys ...string) {
	for _, key := range keys {
		s.Pin(name, "telecom", key, "shut", "anna", at)
	}
}

// TestMeshNothingAddsUp holds that what a node goes by is never more than all nodes have counted together, whatever of what they say is lost, comes
// late or twice, and however often one starts anew; and that it is all of it once everything has been heard.
func TestMeshNothingAddsUp(t *testing.T) {
	ds, keys := counting()
	for seed := range uint64(seeds(3, 12)) {
		r := rand.New(rand.NewPCG(seed, 5))
		all, exactly := bounds(ds)
		one, m := newWorld(t, all...), newMesh(t, 3, seed, ds...)
		m.lost, m.late = []float64{0, 0.3, 0.7}[seed%3], []time.Duration{100 * time.Millisecond, 5 * time.Second, 2 * time.Minute}[seed/3%3]
		pin := func(s *detect.Set) { // they only count
			for i := range ds {
				pinShut(s, ds[i].Name, m.at, "95211", "952116", keys[i])
			}
		}
		pin(one.set)
		for _, x := range m.nodes {
			pin(x.set)
		}
		views := 0
		check := func(where string, exact bool) {
			for i, key := range keys {
				total := one.breaker(ds[i].Name, key).Count
				for _, x := range m.nodes {
					b := x.breaker(ds[i].Name, key)
					if b.Count > total || exact && exactly[i] && b.Count+8 < total { // what two of them have that is not worth telling
						t.Fatalf("seed %d, %s: %s counts %d of %s by %s (%d here, and %v), all nodes together have %d", seed, where, x.name, b.Count, key, b.Detector, b.Here, b.Elsewhere, total)
					}
					if len(b.Elsewhere) == 2 {
						views++
					}
				}
			}
		}
		caller := 0
		for i := range 150 {
			gap := time.Duration(6+r.IntN(20)) * time.Second // beyond the time in which a call is the same one
			m.pass(gap)
			one.at = one.at.Add(gap)
			if caller = r.IntN(40); i%5 == 0 {
				caller = i
			}
			c := wave{call: call{from: fmt.Sprintf("952116%02d", caller%100), to: line(r.IntN(30)), decoy: r.IntN(9) == 0, known: r.IntN(4) == 0}, talk: []time.Duration{0, 3 * time.Second, time.Minute}[r.IntN(3)]}
			x := m.nodes[r.IntN(3)]
			one.placed(c)
			x.placed(c)
			if r.IntN(4) == 0 {
				for _, w := range []*world{one, x.world} {
					s := w.subject(call{from: dialler, to: line(1)})
					w.set.Reported(&s, fmt.Sprint("customer ", i%9))
				}
			}
			check(fmt.Sprint("call ", i), false)
			if r.IntN(60) == 0 && seed%2 == 1 { // its counts are gone for all
				x.starts()
				pin(x.set)
			}
		}
		if views < 500 {
			t.Errorf("seed %d: others were heard of in %d cases: the test tests little", seed, views)
		}
		if seed%2 == 0 {
			m.lost, m.late = 0, 100*time.Millisecond
			m.pass(time.Minute)
			one.at = one.at.Add(time.Minute)
			check("at the end", true)
		}
		m.passBy(2*time.Hour, time.Minute)
		one.at = m.at
		for _, x := range m.nodes {
			for i, key := range keys {
				if b := x.breaker(ds[i].Name, key); b.Count != 0 || len(b.Elsewhere) > 0 {
					t.Errorf("seed %d: %s counts %+v when everything is over", seed, x.name, b)
				}
			}
		}
	}
}

// TestMeshSilent holds that what a node said fades with its sub-windows, and at once when it is known to be gone.
func TestMeshSilent(t *testing.T) {
	d := detector("d", policy.ByCaller, time.Hour, 10, policy.CountCallees)
	for _, gone := range []bool{false, true} {
		m := newMesh(t, 2, 1, d)
		m.late = 0
		for i := range 6 {
			m.nodes[0].placed(wave{call: call{from: dialler, to: line(i)}, talk: -1})
			m.pass(time.Second)
		}
		m.nodes[1].placed(wave{call: call{from: dialler, to: line(3)}, talk: -1})
		here := func() detect.Breaker { return m.nodes[1].breaker("d", "+86"+dialler) }
		if b := here(); b.Count != 6 || b.Here != 1 || !slices.Equal(b.Elsewhere, []detect.NodeCount{{Node: "pbx1", Count: 6}}) {
			t.Errorf("got %+v, want 6, 1 here and 6 on pbx1: one of them is the same", b)
		}
		m.nodes[0].cut = true
		m.passBy(50*time.Minute, time.Minute)
		if b := here(); b.Count != 6 {
			t.Errorf("got %d when pbx1 has been silent for less than the window, want 6", b.Count)
		}
		if gone {
			m.nodes[1].set.Gone("pbx1")
		} else {
			m.passBy(11*time.Minute, time.Minute)
		}
		if b := here(); b.Count > 1 || len(b.Elsewhere) > 0 {
			t.Errorf("gone %v: got %+v, want nothing of pbx1", gone, b)
		}
	}
}

// TestMeshRestart holds that a node which starts anew takes back all that it said before, that what it said before and comes late counts for nothing,
// and that it hears again what the others count.
func TestMeshRestart(t *testing.T) {
	d := detector("d", policy.ByCaller, time.Hour, 10, policy.CountCallees)
	m := newMesh(t, 2, 1, d)
	m.late = 0
	for i := range 12 {
		m.nodes[i%2].placed(wave{call: call{from: dialler, to: line(i % 8)}, talk: -1})
		m.pass(time.Second)
	}
	count := func(x *node) int { return x.breaker("d", "+86"+dialler).Count }
	old := m.nodes[0].set.Tell(m.at, 2, nil)
	if m.nodes[0].set.TellAll(); len(old) == 0 {
		old = m.nodes[0].set.Tell(m.at.Add(250*time.Millisecond), 2, nil)
	}
	if count(m.nodes[0]) != 8 || count(m.nodes[1]) != 8 || len(old) == 0 {
		t.Fatalf("they count %d and %d, and say %d", count(m.nodes[0]), count(m.nodes[1]), len(old))
	}
	m.nodes[0].starts()
	m.pass(time.Second)
	if n := count(m.nodes[1]); n != 4 {
		t.Errorf("pbx2 counts %d when pbx1 has started anew, want its own 4", n)
	}
	m.nodes[1].set.Heard("pbx1", 1, m.at, m.at, old)
	if n := count(m.nodes[1]); n != 4 {
		t.Errorf("pbx2 counts %d by what pbx1 said before it started anew, want 4", n)
	}
	for i := range 2 {
		m.nodes[0].placed(wave{call: call{from: dialler, to: line(i)}, talk: -1})
	}
	m.pass(time.Second)
	for _, x := range m.nodes {
		if n := count(x); n != 5 {
			t.Errorf("%s counts %d, want line 0 of pbx1 and lines 1, 3, 5 and 7 of pbx2", x.name, n)
		}
	}
}
