package detect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// quick is a mesh that loses nothing.
func quick(t *testing.T, n int, ds ...policy.Detector) *mesh {
	m := newMesh(t, n, 1, ds...)
	m.late = 0
	return m
}

// wantAll checks how a breaker is on all nodes.
func (m *mesh) wantAll(name, key, state, pinned string) {
	m.t.Helper()
	for _, x := range m.nodes {
		b := x.breaker(name, key)
		if b.State == "" {
			b.State = detect.Closed
		}
		if b.State != state || b.Pinned != pinned {
			m.t.Errorf("at %s %s has %s %s %q (%s), want %s %q", m.at.Sub(start), x.name, key, b.State, b.Pinned, b.Why, state, pinned)
		}
	}
}

// dials has the dialler call so many lines by one node, a second apart, and says how many calls were stopped.
func (m *mesh) dials(x, from, calls int) (stopped int) {
	for i := range calls {
		if m.nodes[x].placed(wave{call: call{from: dialler, to: line(from + i)}, talk: -1}).stopped {
			stopped++
		}
		m.pass(time.Second)
	}
	return stopped
}

const diallers = "+86" + dialler

// TestFollowTrip holds that what trips on one node holds on all, for as long, whatever it trips by, and is said to be of that node.
func TestFollowTrip(t *testing.T) {
	share := detector("share", policy.ByCaller, time.Hour, 0, policy.CountShortCalls)
	share.Share, share.AtLeast = 0.5, 5
	atOnce := detector("at once", policy.ByCaller, time.Hour, 5, policy.CountConcurrent)
	trips := func(t *testing.T, d policy.Detector, key string, calls func(x *node, i int)) {
		m := quick(t, 3, d)
		for i := 0; len(m.nodes[0].tripped(d.Name)) == 0; i++ {
			calls(m.nodes[0], i)
			if m.pass(time.Second); i > 20 {
				t.Fatal("it does not trip")
			}
		}
		m.wantAll(d.Name, key, detect.Tripped, "")
		here, there := m.nodes[0].breaker(d.Name, key), m.nodes[2].breaker(d.Name, key)
		if here.Node != "" || there.Node != "pbx1" || there.Why != here.Why || !there.Until.Equal(here.Until) || !there.Since.Equal(here.Since) || there.Hold != here.Hold {
			t.Errorf("got %+v, of %+v", there, here)
		}
		if !m.nodes[2].placed(wave{call: call{from: dialler, to: line(99)}, talk: -1}).stopped {
			t.Error("it rings elsewhere")
		}
		m.pass(here.Until.Sub(m.at))
		m.wantAll(d.Name, key, detect.Probing, "")
	}
	t.Run("lines", func(t *testing.T) {
		trips(t, busy(), diallers, func(x *node, i int) { x.placed(wave{call: call{from: dialler, to: line(i)}, talk: -1}) })
	})
	t.Run("share", func(t *testing.T) {
		trips(t, share, diallers, func(x *node, i int) { x.placed(wave{call: call{from: dialler, to: line(i)}, talk: 3 * time.Second}) })
	})
	t.Run("at once", func(t *testing.T) {
		trips(t, atOnce, diallers, func(x *node, i int) {
			x.placed(wave{call: call{from: dialler, to: line(i), leg: fmt.Sprint("leg ", i)}, talk: -1})
		})
	})
}

// TestFollowProbe holds that nodes which probe follow the one that knows first how it is, and that a trip of before does not come back.
func TestFollowProbe(t *testing.T) {
	probes := func() *mesh {
		d := busy()
		d.Hold = 20 * time.Minute // so that the counts are there yet
		m := quick(t, 3, d)
		if stopped := m.dials(0, 0, 5); stopped != 1 {
			t.Fatalf("stopped %d of 5 calls, want the last", stopped)
		}
		m.passBy(20*time.Minute, time.Second)
		m.wantAll("busy", diallers, detect.Probing, "")
		return m
	}
	t.Run("short", func(t *testing.T) {
		m := probes()
		m.nodes[1].placed(wave{call: call{from: dialler, to: line(1)}, talk: 2 * time.Second})
		m.pass(time.Second)
		m.wantAll("busy", diallers, detect.Tripped, "")
		if b := m.nodes[2].breaker("busy", diallers); b.Hold != 40*time.Minute || b.Node != "pbx2" || b.Trips != 2 {
			t.Errorf("got %+v, want it for twice as long", b)
		}
	})
	t.Run("passed", func(t *testing.T) {
		m := probes()
		c := m.nodes[2].call(call{from: dialler, to: line(1)})
		m.nodes[2].set.Ended(&c.n, detect.End{At: m.at, Answered: true, Rang: true, Talk: 20 * time.Second, Passed: true})
		if m.nodes[2].call(call{from: dialler, to: line(10)}).stopped {
			t.Error("it trips at once by what the others said before they heard of it")
		}
		m.pass(time.Second)
		m.wantAll("busy", diallers, detect.Closed, "")
		for x := range 2 { // what led to the trip counts no more, wherever it came
			if stopped := m.dials(x, 10+x, 1); stopped > 0 {
				t.Error("it trips by what was counted before it closed")
			}
		}
		m.pass(time.Minute) // all of it is said again
		m.wantAll("busy", diallers, detect.Closed, "")
		if stopped := m.dials(0, 20, 3); stopped != 1 { // lines 10, 11 and these
			t.Errorf("stopped %d, want the call to the fifth line", stopped)
		}
	})
}

// TestFollowOld holds that of two words about a breaker the later one holds, in whichever order they come.
func TestFollowOld(t *testing.T) {
	word := func(state string, since, until time.Duration) detect.News {
		return detect.News{Breaker: detect.Breaker{Detector: "busy", Trunk: "telecom", Key: diallers, State: state, Since: start.Add(since), Until: start.Add(until), Hold: time.Hour, Why: "7 calls", Count: 7, Trip: 5}}
	}
	trip, closed := word(detect.Tripped, time.Minute, time.Hour+time.Minute), word(detect.Closed, 2*time.Minute, 0)
	for _, words := range [][]detect.News{{trip, closed}, {closed, trip}, {trip, closed, trip, closed, trip}} {
		w := newWorld(t, busy())
		w.wait(3 * time.Minute)
		for _, n := range words {
			w.set.Follow(n, "pbx2", w.at)
		}
		w.wantState("busy", diallers, detect.Closed)
		later := word(detect.Tripped, 150*time.Second, time.Hour)
		if !w.set.Follow(later, "pbx2", w.at) || w.set.Follow(later, "pbx2", w.at) {
			t.Error("a later trip changes nothing, or changes something twice")
		}
		w.wantState("busy", diallers, detect.Tripped)
	}
}

// TestFollowPerson holds that what a person does on one node holds on all, also on one that was cut from the others, and that only the latest does.
func TestFollowPerson(t *testing.T) {
	m := quick(t, 3, busy())
	m.nodes[2].cut = true
	m.nodes[0].set.Pin("busy", "telecom", diallers, "open", "anna", m.at)
	m.pass(time.Second)
	if !m.nodes[1].placed(wave{call: call{from: dialler, to: line(1)}, talk: -1}).stopped || m.nodes[2].placed(wave{call: call{from: dialler, to: line(1)}, talk: -1}).stopped {
		t.Error("the pin holds where it has not come, or does not where it has")
	}
	m.nodes[2].cut = false
	m.pass(20 * time.Second)
	m.wantAll("busy", diallers, detect.Tripped, "open")
	if b := m.nodes[2].breaker("busy", diallers); b.By != "anna" || b.Node != "pbx1" {
		t.Errorf("got %+v, want by whom and where", b)
	}
	m.nodes[0].cut = true // and so does not hear that it is let go of; it says that it is pinned on and on
	m.nodes[1].set.Unpin("busy", "telecom", diallers, "bert", m.at)
	m.pass(time.Second)
	m.nodes[0].cut = false
	m.pass(30 * time.Second)
	m.wantAll("busy", diallers, detect.Closed, "")

	m.nodes[1].set.Pin("busy", "", diallers, "shut", "carl", m.at)
	m.pass(time.Second)
	m.wantAll("busy", diallers, detect.Closed, "shut")
	if stopped := m.dials(0, 0, 10) + m.dials(2, 0, 10); stopped > 0 {
		t.Errorf("%d calls are stopped that a person has let through on another node", stopped)
	}
	for _, x := range m.nodes { // nor can another node trip it
		n := detect.News{Breaker: detect.Breaker{Detector: "busy", Trunk: "telecom", Key: diallers, State: detect.Tripped, Since: m.at, Until: m.at.Add(time.Hour), Hold: time.Hour}}
		if x.set.Follow(n, "pbx9", m.at) {
			t.Error("a trip elsewhere goes before a pin")
		}
	}
	m.wantAll("busy", diallers, detect.Closed, "shut")
}

// TestFollowReset holds that a reset on one node closes the breaker on all, and has all count from nothing; one that comes late does not close what
// has tripped since.
func TestFollowReset(t *testing.T) {
	m := quick(t, 3, busy())
	for i := range 8 {
		m.dials(i%3, i, 1)
	}
	m.wantAll("busy", diallers, detect.Tripped, "")
	at := m.at
	trip := detect.News{Breaker: m.nodes[0].breaker("busy", diallers)}
	m.nodes[1].set.Reset("busy", "telecom", diallers, "anna", m.at)
	m.pass(time.Second)
	m.wantAll("busy", diallers, detect.Closed, "")
	for _, x := range m.nodes {
		if x.set.Follow(trip, "pbx1", m.at) {
			t.Error("what tripped before the reset trips again")
		}
	}
	stopped := 0
	for i := range 4 {
		stopped += m.dials(i%3, 20+i, 1)
	}
	if stopped > 0 {
		t.Errorf("%d of the four calls after the reset are stopped", stopped)
	}
	if m.dials(1, 30, 1) != 1 {
		t.Error("the fifth one after it is not")
	}
	late := detect.News{Act: detect.ActReset, Breaker: detect.Breaker{Detector: "busy", Trunk: "telecom", Key: diallers, Since: at.Add(1500 * time.Millisecond), By: "bert"}}
	for _, x := range m.nodes {
		x.set.Follow(late, "pbx9", m.at)
	}
	m.wantAll("busy", diallers, detect.Tripped, "")
}

// TestFollowNarrow holds that a campaign from a narrow range trips that on all nodes, and none of the wider ones by what the others count of it, also
// where they have not heard that it has tripped.
func TestFollowNarrow(t *testing.T) {
	for seed := range uint64(seeds(3, 10)) {
		for _, deaf := range []bool{false, true} {
			m := newMesh(t, 3, seed, rangeWakes())
			m.lost, m.deaf = 0.3, deaf
			for i := range 90 {
				from := fmt.Sprintf("13905921%03d", m.random.IntN(1000))
				m.nodes[m.random.IntN(3)].placed(wave{call: call{from: from, to: line(i)}, talk: -1})
				m.pass(time.Duration(1+m.random.IntN(9)) * time.Second)
			}
			for _, x := range m.nodes {
				if keys := x.tripped("range wakes"); len(keys) != 1 || keys[0] != "13905921" {
					t.Errorf("seed %d, deaf %v: %s has tripped %v, want 13905921", seed, deaf, x.name, keys)
				}
			}
		}
	}
}

// TestBlameAbroad holds that the narrow range is to blame that brings most of the calls, also on a node that has met none of it.
func TestBlameAbroad(t *testing.T) {
	d := rangeWakes()
	d.Levels = []policy.Level{{Digits: 7, Trip: 10}, {Digits: 8, Trip: 12}}
	m := quick(t, 3, d)
	for i := range 9 {
		m.nodes[i%2].placed(wave{call: call{from: fmt.Sprintf("13905921%03d", 111*i), to: line(i)}, talk: -1})
		m.pass(time.Second)
	}
	m.nodes[2].placed(wave{call: call{from: "13905925123", to: line(20)}, talk: -1})
	for _, x := range m.nodes {
		if m.pass(time.Second); !slices.Equal(x.tripped(d.Name), []string{"13905921"}) {
			t.Errorf("%s has tripped %v, want 13905921", x.name, x.tripped(d.Name))
		}
	}
}

// TestTellWhatIsLeft holds that a node tells of a range whose narrower one has tripped those callers that are left, and takes no word of the wider one
// for true that is older than that.
func TestTellWhatIsLeft(t *testing.T) {
	d := rangeWakes()
	d.Levels = []policy.Level{{Digits: 7, Trip: 12}, {Digits: 8, Trip: 8}}
	w, other := newWorld(t, d), newWorld(t, d)
	said := func() map[string][]detect.Share {
		all := map[string][]detect.Share{}
		w.set.TellAll()
		for _, x := range w.set.Tell(w.at, 3, nil) {
			all[x.Key] = append(all[x.Key], x)
		}
		return all
	}
	hears := func(shares []detect.Share) { other.set.Heard("pbx1", 1, w.at, w.at, shares) }
	counted := func() int { return other.breaker(d.Name, "1390592").Count }
	calls := func(w *world, head string, n int) {
		for i := range n {
			w.call(call{from: fmt.Sprintf("%s%03d", head, 111*i), to: line(i)})
		}
	}
	calls(w, "13905921", 7)
	calls(w, "13905922", 3)
	calls(other, "13905923", 1)
	before := said()
	if hears(before["1390592"]); counted() != 11 {
		t.Fatalf("it counts %d before the trip, want 11", counted())
	}
	hears(before["13905921"])
	calls(other, "13905921", 8)
	other.wantState(d.Name, "13905921", detect.Tripped)
	w.call(call{from: "13905921999", to: line(9)})
	w.wantState(d.Name, "13905921", detect.Tripped)
	w.at = w.at.Add(time.Second)
	after := said()
	if len(after["1390592"]) != 1 || len(after["13905922"]) != 1 || !slices.Equal(ids(after["1390592"][0]), ids(after["13905922"][0])) {
		t.Errorf("of the wide range it tells %+v, want %+v", after["1390592"], after["13905922"])
	}
	if hears(after["13905921"]); counted() != 1 {
		t.Errorf("it counts %d by what it heard before the trip, want its own call", counted())
	}
	if hears(after["1390592"]); counted() != 4 {
		t.Errorf("it counts %d when both have left out the narrow range, want 4", counted())
	}
}

func ids(x detect.Share) (all []uint64) {
	for _, t := range x.Things {
		all = append(all, t.ID)
	}
	slices.Sort(all)
	return all
}

// TestFollowNarrowAlone holds that a node which trips a narrow range leaves out of the wider ones what another node counts of it that has not heard of
// the trip.
func TestFollowNarrowAlone(t *testing.T) {
	d := rangeWakes()
	d.Levels = []policy.Level{{Digits: 6, Trip: 12}, {Digits: 7, Trip: 12}, {Digits: 8, Trip: 12}}
	m := quick(t, 2, d)
	m.deaf = true
	calls := func(x int, head string, n int) (stopped int) {
		for i := range n {
			if m.nodes[x].placed(wave{call: call{from: fmt.Sprintf("%s%03d", head, 37*(i+50*x)%1000), to: line(i)}, talk: -1}).stopped {
				stopped++
			}
			m.pass(time.Second)
		}
		return stopped
	}
	calls(1, "13905921", 8)
	if stopped := calls(0, "13905921", 8); stopped != 5 {
		t.Fatalf("stopped %d of the narrow range, want 5", stopped)
	}
	if stopped := calls(0, "13905922", 8); stopped > 0 {
		t.Errorf("stopped %d calls from beside it, tripped are %v", stopped, m.nodes[0].tripped(d.Name))
	}
	m.deaf = false
	m.pass(time.Minute)
	if stopped := calls(1, "13905922", 5); stopped != 2 {
		t.Errorf("stopped %d, want the range beside it to trip by both nodes' calls", stopped)
	}
}
