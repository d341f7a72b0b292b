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

// mesh is some nodes that tell each other what they count, over a network that loses what they say, has it overtake itself, and says it twice.
type mesh struct {
	t      testing.TB
	nodes  []*node
	at     time.Time
	random *rand.Rand
	lost   float64 // how much
	late   time.Duration
	on     []word // the way
	told   int    // shares
	deaf   bool   // news gets lost
}

// node is one of a mesh.
type node struct {
	*world
	name  string
	epoch uint64
	mesh  *mesh
	cut   bool // from the others
}

// word is what one node says to another.
type word struct {
	due      time.Time
	from, to string
	epoch    uint64
	at       time.Time
	shares   []detect.Share
	news     *detect.News
}

func newMesh(t testing.TB, n int, seed uint64, ds ...policy.Detector) *mesh {
	t.Helper()
	m := &mesh{t: t, at: start, random: rand.New(rand.NewPCG(seed, 77)), late: 100 * time.Millisecond}
	for i := range n {
		x := &node{world: newWorld(t, ds...), name: fmt.Sprint("pbx", i+1), mesh: m}
		x.starts()
		m.nodes = append(m.nodes, x)
	}
	return m
}

// starts has a node begin with nothing.
func (x *node) starts() {
	x.epoch++
	x.set = detect.New(x.ds, detect.Options{Zone: time.UTC, Seed: 7 + x.epoch, Peers: x})
	x.mesh.say(x, word{})
}

// News is told what the others are to follow.
func (x *node) News(n detect.News) { x.mesh.say(x, word{news: &n}) }

// say puts words on their way to all others.
func (m *mesh) say(from *node, w word) {
	w.from, w.epoch, w.at = from.name, from.epoch, m.at
	for _, to := range m.nodes {
		if to == from || from.cut || to.cut || m.deaf && w.news != nil {
			continue
		}
		w.to = to.name
		for m.random.Float64() < 0.1 {
			m.put(w)
		}
		if m.random.Float64() >= m.lost {
			m.put(w)
		}
	}
}

func (m *mesh) put(w word) {
	if w.due = m.at; m.late > 0 {
		w.due = m.at.Add(time.Duration(m.random.Int64N(int64(m.late))))
	}
	m.on = append(m.on, w)
}

func (m *mesh) node(name string) *node {
	return m.nodes[slices.IndexFunc(m.nodes, func(x *node) bool { return x.name == name })]
}

// deliver has all words arrive that are due, in any order.
func (m *mesh) deliver() {
	var due, rest []word
	for _, w := range m.on {
		if w.due.After(m.at) {
			rest = append(rest, w)
		} else {
			due = append(due, w)
		}
	}
	m.on = rest
	m.random.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	for _, w := range due {
		to := m.node(w.to)
		if w.news != nil {
			to.set.Follow(*w.news, w.from, m.at)
		} else {
			to.set.Heard(w.from, w.epoch, w.at, m.at, w.shares)
		}
	}
}

// pass lets time pass: the nodes tell each other four times a second, and every ten seconds what stands.
func (m *mesh) pass(d time.Duration) { m.passBy(d, 250*time.Millisecond) }

func (m *mesh) passBy(d, step time.Duration) {
	for end := m.at.Add(d); m.at.Before(end); {
		before := m.at
		m.at = m.at.Add(min(step, end.Sub(m.at)))
		for _, x := range m.nodes {
			x.at = m.at
			if shares := x.set.Tell(m.at, len(m.nodes), nil); len(shares) > 0 {
				m.told += len(shares)
				m.say(x, word{shares: shares})
			}
			if m.at.Unix()/10 != before.Unix()/10 {
				m.say(x, word{})
				for _, n := range x.set.Standing(m.at) {
					m.say(x, word{news: &n})
				}
			}
			if m.at.Unix()/60 != before.Unix()/60 {
				x.set.Tick(m.at)
			}
		}
		m.deliver()
	}
}

// wave is a call of a campaign, so long after the one before; talk is how long, -1 for a call of which the end does not matter.
type wave struct {
	call
	gap, talk time.Duration
	holder    string
}

// placed has a call come in at a node.
func (w *world) placed(c wave) came {
	x := w.subject(c.call)
	x.Holder = c.holder
	got := w.decide(x, c.known)
	if !got.stopped && c.talk >= 0 {
		w.talk(got, c.talk)
	}
	return got
}

// scenes are campaigns and the detectors that are to find them.
var scenes = []struct {
	name     string
	detector func() policy.Detector
	calls    func(r *rand.Rand) []wave
}{
	{"strangers of a range", func() policy.Detector { d := rangeWakes(); d.PerLine = 2; return d }, func(r *rand.Rand) []wave {
		return waves(r, 60, func(i int) wave {
			return wave{call: call{from: fmt.Sprintf("952116%02d", r.IntN(100)), to: line(i)}, talk: -1}
		})
	}},
	{"strangers of a wide range", func() policy.Detector { return rangeWakes() }, func(r *rand.Rand) []wave {
		return waves(r, 60, func(i int) wave {
			return wave{call: call{from: fmt.Sprintf("0592211%04d", r.IntN(10000)), to: line(i)}, talk: -1}
		})
	}},
	{"three parts of a range", func() policy.Detector {
		d := rangeWakes()
		d.Levels = []policy.Level{{Digits: 8, Trip: 8}}
		return d
	}, func(r *rand.Rand) []wave {
		return waves(r, 60, func(i int) wave {
			return wave{call: call{from: fmt.Sprintf("13905921%03d", r.IntN(300)), to: line(i)}, talk: -1}
		})
	}},
	{"a range that annoys", func() policy.Detector {
		d := rangeWakes()
		d.Levels = []policy.Level{{Digits: 6, Trip: 12}, {Digits: 7, Trip: 12}, {Digits: 8, Trip: 10}}
		d.Count = []policy.Weighed{{Count: policy.CountStrangers, Weight: 1}, {Count: policy.CountShortCalls, Weight: 2}, {Count: policy.CountDecoys, Weight: 3}}
		d.PerLine, d.Window = 3, 40*time.Minute
		return d
	}, func(r *rand.Rand) []wave {
		return waves(r, 80, func(i int) wave {
			return wave{call: call{from: fmt.Sprintf("95211%03d", r.IntN(1000)), to: line(r.IntN(40)), decoy: r.IntN(9) == 0}, talk: time.Duration(r.IntN(3)) * 4 * time.Second}
		})
	}},
	{"many lines", func() policy.Detector { return detector("d", policy.ByCaller, time.Hour, 20, policy.CountCallees) }, func(r *rand.Rand) []wave {
		return waves(r, 120, func(i int) wave { return wave{call: call{from: dialler, to: line(r.IntN(80))}, talk: -1} })
	}},
	{"one number annoys", func() policy.Detector {
		d := detector("d", policy.ByCaller, 3*time.Hour, 10)
		d.Count = []policy.Weighed{{Count: policy.CountShortCalls, Weight: 1}, {Count: policy.CountUnanswered, Weight: 1}, {Count: policy.CountDecoys, Weight: 2}}
		return d
	}, func(r *rand.Rand) []wave {
		return waves(r, 60, func(i int) wave {
			return wave{call: call{from: dialler, to: line(r.IntN(500)), decoy: r.IntN(5) == 0}, talk: time.Duration(r.IntN(4)) * 3 * time.Second}
		})
	}},
	{"calls", func() policy.Detector { return detector("d", policy.ByCaller, 10*time.Minute, 30, policy.CountCalls) }, func(r *rand.Rand) []wave {
		return waves(r, 120, func(i int) wave { return wave{call: call{from: dialler, to: line(r.IntN(9))}, talk: -1} })
	}},
	{"calls of few lines", func() policy.Detector {
		d := detector("d", policy.ByPrefix, time.Hour, 12, policy.CountCalls)
		d.Levels, d.PerLine = []policy.Level{{Digits: 6, Trip: 12}}, 3
		return d
	}, func(r *rand.Rand) []wave {
		return waves(r, 120, func(i int) wave {
			return wave{call: call{from: fmt.Sprintf("952116%02d", r.IntN(100)), to: line(r.IntN(6))}, talk: -1}
		})
	}},
	{"storm on one number", func() policy.Detector { return detector("d", policy.ByCallee, 30*time.Minute, 15, policy.CountCallers) }, func(r *rand.Rand) []wave {
		return waves(r, 60, func(i int) wave {
			return wave{call: call{from: fmt.Sprintf("1380013%04d", r.IntN(50)), to: line(1)}, talk: -1}
		})
	}},
	{"holder", func() policy.Detector { return detector("d", policy.ByHolder, time.Hour, 60, policy.CountCallers) }, func(r *rand.Rand) []wave {
		return waves(r, 120, func(i int) wave {
			return wave{call: call{from: fmt.Sprintf("1380013%04d", r.IntN(3000)), to: line(i)}, talk: -1, holder: "firm A"}
		})
	}},
	{"alarm", func() policy.Detector {
		d := detector("d", policy.ByAll, 10*time.Minute, 20)
		d.Count = []policy.Weighed{{Count: policy.CountDecoys, Weight: 4}, {Count: policy.CountShortCalls, Weight: 1}}
		d.PerLine = 3
		return d
	}, func(r *rand.Rand) []wave {
		return waves(r, 100, func(i int) wave {
			return wave{call: call{from: fmt.Sprintf("1%010d", 3e9+r.Int64N(6e9)), to: line(r.IntN(500)), decoy: r.IntN(6) == 0}, talk: 3 * time.Second}
		})
	}},
}

// TestMeshAtOneTime holds that calls which are under way at one time trip on whichever nodes they are, and that those which have ended do not count, nor
// those of a node that is silent.
func TestMeshAtOneTime(t *testing.T) {
	d := detector("at once", policy.ByCaller, 3*time.Hour, 5, policy.CountConcurrent)
	m := newMesh(t, 3, 1, d)
	m.lost = 0.2
	begins := func(i int) came {
		got := m.nodes[i%3].call(call{from: dialler, to: line(i), leg: fmt.Sprint("leg ", i)})
		m.pass(5 * time.Second)
		return got
	}
	for round := range 4 { // four at one time, and then they end
		var under []came
		for i := range 4 {
			if under = append(under, begins(10*round+i)); under[i].stopped {
				t.Fatalf("call %d of round %d is stopped", i, round)
			}
		}
		for i, c := range under {
			m.nodes[(10*round+i)%3].talk(c, time.Minute)
		}
		m.pass(10 * time.Second)
	}
	for i := range 4 {
		begins(i)
	}
	m.nodes[0].cut = true
	m.pass(10 * time.Second) // what it said is not believed for long
	if begins(4).stopped {
		t.Error("calls count of which nothing was heard for ten seconds")
	}
	m.nodes[0].cut = false
	m.pass(10 * time.Second)
	if !begins(5).stopped {
		t.Error("the sixth call at one time rings")
	}
}

// waves are calls a few seconds apart.
func waves(r *rand.Rand, n int, of func(i int) wave) (all []wave) {
	for i := range n {
		c := of(i)
		c.gap = time.Duration(2000+r.IntN(8000)) * time.Millisecond
		all = append(all, c)
	}
	return all
}

// TestMeshCampaign holds that a campaign which is spread over three nodes gets at most two calls further than on one, whatever of what they tell
// each other is lost, late or said twice.
func TestMeshCampaign(t *testing.T) {
	for _, scene := range scenes {
		t.Run(scene.name, func(t *testing.T) {
			alone, apart, together, worst := 0, 0, 0, 0
			for seed := range uint64(seeds(4, 20)) {
				calls := scene.calls(rand.New(rand.NewPCG(seed, 1)))
				one, three, deaf := newWorld(t, scene.detector()), newMesh(t, 3, seed, scene.detector()), newMesh(t, 3, seed, scene.detector())
				three.lost, deaf.lost = 0.2, 1
				for _, x := range deaf.nodes {
					x.cut = true
				}
				leaked := [3]int{}
				for i, c := range calls {
					one.at = one.at.Add(c.gap)
					three.pass(c.gap)
					for _, x := range deaf.nodes {
						x.at = x.at.Add(c.gap)
					}
					for j, got := range []came{one.placed(c), three.nodes[i%3].placed(c), deaf.nodes[i%3].placed(c)} {
						if !got.stopped {
							leaked[j]++
						}
					}
				}
				if leaked[1] > leaked[0]+2 {
					t.Errorf("seed %d: %d calls of %d ring on three nodes, %d on one, %d on three that say nothing", seed, leaked[1], len(calls), leaked[0], leaked[2])
				}
				alone, together, apart, worst = alone+leaked[0], together+leaked[1], apart+leaked[2], max(worst, leaked[1]-leaked[0])
			}
			t.Logf("%d calls ring on one node, %d on three, %d on three that say nothing; at worst %d more", alone, together, apart, worst)
			if apart <= together {
				t.Error("nodes that say nothing do as well: the test tests nothing")
			}
		})
	}
}
