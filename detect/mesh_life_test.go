package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// TestMeshReload holds that a policy which takes over keeps what others said of detectors that are as before, and leaves out what they said of
// others; and that a snapshot has none of it, but what persons did.
func TestMeshReload(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(d *policy.Detector)
		want   int
	}{
		{"the same", func(*policy.Detector) {}, 7},
		{"another hold", func(d *policy.Detector) { d.Hold *= 2 }, 7},
		{"another trip", func(d *policy.Detector) { d.Trip = 12 }, 1},
	} {
		m := quick(t, 2, detector("d", policy.ByCaller, time.Hour, 10, policy.CountCallees))
		m.dials(0, 0, 6)
		m.dials(1, 6, 1)
		x := m.nodes[1]
		ds := slices.Clone(x.ds)
		c.change(&ds[0])
		set := detect.New(ds, detect.Options{Zone: time.UTC, Seed: 99, Peers: x})
		set.Adopt(x.set)
		x.ds, x.set = ds, set
		for range 2 {
			if b := x.breaker("d", diallers); b.Count != c.want {
				t.Errorf("%s: it counts %+v, want %d", c.name, b, c.want)
			}
			m.pass(5 * time.Second) // what is told goes to the new one
		}
		if stopped := m.dials(1, 7, 5); (stopped == 3) != (c.want == 7) {
			t.Errorf("%s: stopped %d of five calls", c.name, stopped)
		}
	}
}

// TestMeshSnapshot holds that a snapshot has nothing of what others count, and has what a person let go of, so that the pin does not come back from a node that
// has not heard of it.
func TestMeshSnapshot(t *testing.T) {
	m := quick(t, 2, detector("d", policy.ByCaller, time.Hour, 10, policy.CountCallees))
	m.dials(0, 0, 6)
	m.dials(1, 6, 2)
	x := m.nodes[1]
	m.nodes[0].set.Pin("d", "telecom", "+8613800138001", "open", "anna", m.at)
	m.pass(time.Second)
	old := m.nodes[0].set.Standing(m.at)
	m.nodes[0].cut = true
	m.pass(time.Second)
	x.set.Unpin("d", "telecom", "+8613800138001", "bert", m.at)
	snapshot := x.set.Snapshot()
	x.starts()
	if err := x.set.Load(snapshot); err != nil {
		t.Fatal(err)
	}
	if b := x.breaker("d", diallers); b.Count != 2 {
		t.Errorf("it counts %+v after a restart, want its own 2", b)
	}
	if len(old) == 0 {
		t.Fatal("the pin does not stand")
	}
	for _, n := range old {
		if n.Act != "" && x.set.Follow(n, "pbx1", m.at) {
			t.Errorf("%+v comes back", n)
		}
	}
	if b := x.breaker("d", "+8613800138001"); b.Pinned != "" {
		t.Errorf("the pin is there again: %+v", b)
	}
}

// TestMeshExplain holds that a person is told what is counted where.
func TestMeshExplain(t *testing.T) {
	m := quick(t, 3, detector("d", policy.ByCaller, time.Hour, 10, policy.CountCallees))
	m.dials(0, 0, 4)
	m.dials(1, 3, 4)
	finding := func(x *node) detect.Finding {
		s := x.subject(call{from: dialler, to: line(50)})
		return x.set.Explain(&s)[0]
	}
	for i, want := range []struct {
		here  int
		nodes []detect.NodeCount
	}{{4, []detect.NodeCount{{Node: "pbx2", Count: 4}}}, {4, []detect.NodeCount{{Node: "pbx1", Count: 4}}}, {0, []detect.NodeCount{{Node: "pbx1", Count: 4}, {Node: "pbx2", Count: 4}}}} {
		f := finding(m.nodes[i])
		slices.SortFunc(f.Elsewhere, func(a, b detect.NodeCount) int { return strings.Compare(a.Node, b.Node) })
		if f.Count != 7 || f.Here != want.here || !slices.Equal(f.Elsewhere, want.nodes) || !strings.Contains(f.Text, "7 called numbers") {
			t.Errorf("on pbx%d: got %+v, want 7, %d here and %v", i+1, f, want.here, want.nodes)
		}
	}
	m.dials(2, 20, 3)
	if f := finding(m.nodes[2]); f.State != detect.Tripped || f.Why != "10 called numbers in 1h, 7 of them on other nodes, trips at 10" {
		t.Errorf("got %+v", f)
	}
}

// TestMeshForget holds that a number which is forgotten is not in what others said either.
func TestMeshForget(t *testing.T) {
	m := quick(t, 2, detector("d", policy.ByCaller, time.Hour, 10, policy.CountCallees), detector("lines", policy.ByCallee, time.Hour, 10, policy.CountCallers))
	m.dials(0, 0, 6)
	for i := range 6 {
		m.nodes[0].placed(wave{call: call{from: fmt.Sprint("1380013800", i), to: line(0)}, talk: -1})
		m.pass(time.Second)
	}
	x := m.nodes[1]
	x.placed(wave{call: call{from: "13900000000", to: line(0)}, talk: -1})
	before := x.breaker("lines", line(0)).Count
	if n := x.set.ForgetNumber(diallers); n == 0 {
		t.Error("nothing is forgotten")
	}
	s := x.subject(call{from: dialler, to: line(50)})
	if f := x.set.Explain(&s)[0]; f.Count != 0 || len(f.Elsewhere) > 0 {
		t.Errorf("got %+v", f)
	}
	if after := x.breaker("lines", line(0)).Count; before < 6 || after != before-1 {
		t.Errorf("%d callers of the line, %d before", after, before)
	}
}

// TestMeshProtected holds that nothing on another node touches a caller who is protected here.
func TestMeshProtected(t *testing.T) {
	m := quick(t, 2, busy(), rangeWakes())
	m.dials(0, 0, 8)
	for i := range 8 {
		m.nodes[0].placed(wave{call: call{from: fmt.Sprintf("952116%02d", i*37%100), to: line(i)}, talk: -1})
	}
	m.pass(time.Second)
	for _, from := range []string{dialler, "95211677"} {
		if c := m.nodes[1].call(call{from: from, to: line(1)}); c.n.Tripped == 0 {
			t.Errorf("%s is not tripped", from)
		}
		if c := m.nodes[1].call(call{from: from, to: line(1), protected: 3}); c.n.Tripped != 0 || c.stopped {
			t.Errorf("%s is protected and touched", from)
		}
	}
}

// TestMeshTraffic holds that what does not change is told less and less often.
func TestMeshTraffic(t *testing.T) {
	m := quick(t, 3, detector("d", policy.ByCaller, 3*time.Hour, 10, policy.CountCallees))
	for i := range 500 {
		m.nodes[0].placed(wave{call: call{from: fmt.Sprint(13800000000 + i), to: line(i)}, talk: -1})
	}
	m.pass(time.Minute)
	m.told = 0
	m.pass(10 * time.Minute)
	if m.told > 5*500 {
		t.Errorf("500 keys are told %d times in ten minutes", m.told)
	}
	if m.nodes[1].set.Shared().Heard < 500 {
		t.Error("they are not told at all")
	}
}

// TestMeshOrder holds that what a node said earlier does not take the place of what it said later.
func TestMeshOrder(t *testing.T) {
	d := detector("d", policy.ByCaller, time.Hour, 10, policy.CountCallees)
	w, other := newWorld(t, d), newWorld(t, d)
	w.campaign(dialler, 4)
	early, at := w.set.Tell(w.at, 2, nil), w.at
	w.call(call{from: dialler, to: line(7)})
	w.at = w.at.Add(time.Second)
	late := w.set.Tell(w.at, 2, nil)
	other.at = w.at
	for range 3 {
		other.set.Heard("pbx1", 1, w.at, w.at, late)
		other.set.Heard("pbx1", 1, at, w.at, early)
		if f := other.breakerOf(dialler); f.Count != 5 {
			t.Fatalf("it counts %d, want the 5 that were said last", f.Count)
		}
	}
	if is := other.set.Shared(); is.Old != 3 {
		t.Errorf("%+v", is)
	}
}

// breakerOf is what the first detector has to say of a caller.
func (w *world) breakerOf(from string) detect.Finding {
	x := w.subject(call{from: from, to: line(99)})
	return w.set.Explain(&x)[0]
}

// TestMeshPerLine holds that a storm on one line is not taken for a campaign because it comes by three nodes.
func TestMeshPerLine(t *testing.T) {
	d := rangeWakes()
	d.PerLine = 3
	m := quick(t, 3, d)
	for i := range 30 {
		m.nodes[i%3].placed(wave{call: call{from: fmt.Sprintf("952116%02d", i*37%100), to: line(1)}, talk: -1})
		m.pass(time.Second)
	}
	for _, x := range m.nodes {
		if b := x.breaker(d.Name, "952116"); b.State != detect.Closed || b.Count != 3 {
			t.Errorf("%s: got %+v, want it to count 3", x.name, b)
		}
	}
}

// TestMeshReloadAgain holds that what was kept for detectors that are otherwise now takes no room from what comes.
func TestMeshReloadAgain(t *testing.T) {
	d := detector("d", policy.ByCaller, time.Hour, 10, policy.CountCallees)
	like := func(d policy.Detector) detect.Share {
		w := newWorld(t, d)
		w.campaign(dialler, 4)
		return w.set.Tell(w.at, 2, nil)[0]
	}
	w := newWorld(t, d)
	for round := range 4 {
		x, before := like(d), w.set.Shared().Heard
		for i := range 5000 {
			y := x
			y.Key = fmt.Sprintf("+86138%08d", i)
			w.set.Heard("pbx2", 1, w.at.Add(time.Minute), w.at.Add(time.Minute), []detect.Share{y})
		}
		if n := w.set.Shared().Heard - before; n != 5000 {
			t.Errorf("round %d: %d of 5000 are heard", round, n)
		}
		d.Trip++
		set := detect.New([]policy.Detector{d}, detect.Options{Zone: time.UTC, Seed: 5})
		set.Adopt(w.set)
		w.set = set
	}
}

// TestMeshFadedHere holds that somebody whom two nodes have met counts by the other's word when he has faded here.
func TestMeshFadedHere(t *testing.T) {
	m := quick(t, 2, detector("d", policy.ByCaller, 12*time.Minute, 6, policy.CountCallees))
	m.dials(0, 0, 4)
	m.passBy(5*time.Minute, time.Second)
	m.dials(1, 0, 4)
	if f := m.nodes[0].breakerOf(dialler); f.Count != 4 || f.Here != 4 {
		t.Errorf("got %+v, want the four lines once", f)
	}
	m.nodes[1].cut = true
	m.passBy(7*time.Minute+30*time.Second, time.Second)
	if stopped := m.dials(0, 10, 2); stopped != 1 {
		t.Errorf("stopped %d of two calls, want the second: %+v", stopped, m.nodes[0].breakerOf(dialler))
	}
}
