package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
)

const short = `
[[detector]]
name   = "dialler"
key    = "caller"
count  = "calls"
window = "1h"
trip   = 3
hold   = "1h"
hold_max = "4h"
probe  = 2
[[rule]]
name = "dials"
when = { tripped = ["dialler"] }
action = "challenge"
`

// twoLines are two customers.
const twoLines = `
[lines.one]
numbers = ["05925550100"]
[lines.two]
numbers = ["05925550200"]
`

const dialler = "13800138000"

// dials has the dialler call so often, a minute apart.
func (b *bench) dials(n int) (tripped []bool) {
	for range n {
		m := b.call(dialler, "05925550100").stop()
		tripped = append(tripped, m.Tripped != 0)
		b.pass(time.Minute)
	}
	return tripped
}

func (b *bench) wantTripped(m *made, want bool) *made {
	b.t.Helper()
	if got := m.Tripped != 0; got != want {
		b.t.Errorf("at %s the call is tripped: %v", b.now.Format(time.TimeOnly), got)
	}
	return m
}

func TestHoldOutlivesItsCounts(t *testing.T) {
	b := newBench(t, short+"\n")
	if got := fmt.Sprint(b.dials(4)); got != "[false false true true]" {
		t.Errorf("tripped: %s", got)
	}
	b.want("+8613800138000 tripped")
	b.pass(55 * time.Minute)
	b.wantTripped(b.call(dialler, "05925550100"), true)
	b.pass(3 * time.Minute)
	b.want("+8613800138000 probing")
}

func TestProbes(t *testing.T) {
	good, brief, none := End{Answered: true, Rang: true, Talk: time.Minute}, End{Answered: true, Rang: true, Talk: 6 * time.Second}, End{Rang: true}
	neither, stopped := End{Answered: true, Rang: true, Talk: 20 * time.Second}, End{}
	for _, test := range []struct {
		name string
		run  func(b *bench, first, second, third *made)
		want string
	}{
		{"two lines talk", func(b *bench, first, second, _ *made) { first.end(good); second.end(good) }, ""},
		{"one talks", func(b *bench, first, _, _ *made) { first.end(good) }, "+8613800138000 probing"},
		{"brief", func(b *bench, first, _, _ *made) { first.end(brief) }, "+8613800138000 tripped"},
		{"nobody answers", func(b *bench, first, _, _ *made) { first.end(none) }, "+8613800138000 tripped"},
		{"one good, one bad", func(b *bench, first, second, _ *made) { first.end(good); second.end(none) }, "+8613800138000 tripped"},
		{"neither", func(b *bench, first, second, _ *made) { first.end(neither); second.end(stopped) }, ""},
		{"one of two ended", func(b *bench, first, _, _ *made) { first.end(neither) }, "+8613800138000 probing"},
		{"the third is none", func(b *bench, _, _, third *made) { third.end(none) }, "+8613800138000 probing"},
		{"a challenge passed", func(b *bench, _, _, third *made) { third.end(End{Passed: true}) }, ""},
		{"too late", func(b *bench, first, second, _ *made) {
			b.pass(50 * time.Minute)
			b.call(dialler, "05925550100")
			b.pass(50 * time.Minute)
			b.call(dialler, "05925550100")
			b.pass(50 * time.Minute)
			b.call(dialler, "05925550100")
			b.pass(50 * time.Minute)
			b.call(dialler, "05925550100")
			b.pass(41 * time.Minute)
			first.end(none)
			second.end(none)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, short+twoLines)
			b.dials(4)
			b.pass(time.Hour)
			b.want("+8613800138000 probing")
			first := b.wantTripped(b.call(dialler, "05925550100"), false)
			second := b.wantTripped(b.call(dialler, "05925550200"), false)
			third := b.wantTripped(b.call(dialler, "05925550300"), true)
			b.pass(time.Minute)
			test.run(b, first, second, third)
			b.want(test.want)
		})
	}
}

// TestProbesThatAreStopped holds that calls which a list or another detector stops are no probes: they use none up, and close nothing.
func TestProbesThatAreStopped(t *testing.T) {
	b := newBench(t, short+twoLines)
	b.dials(4)
	b.pass(time.Hour)
	for i := range 6 {
		m := b.wantTripped(b.call(dialler, fmt.Sprint("0592555010", i)), false)
		b.Decided(&m.Count, true, 0)
		b.pass(time.Minute)
		m.end(End{})
	}
	b.want("+8613800138000 probing")
	b.wantTripped(b.call(dialler, "05925550200"), false).end(End{Rang: true})
	b.want("+8613800138000 tripped")
}

func TestDoubling(t *testing.T) {
	b := newBench(t, short+twoLines)
	b.dials(3)
	want := []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour}
	for i, hold := range want {
		var got Breaker
		b.Breakers("dialler", false, b.now, func(x Breaker) bool { got = x; return true })
		if got.State != Tripped || got.Hold != hold || got.Trips != i+1 {
			t.Fatalf("trip %d: %+v", i, got)
		}
		b.pass(got.Until.Sub(b.now) - 4*time.Minute)
		b.dials(3) // it goes on
		b.pass(got.Until.Sub(b.now))
		first, second := b.call(dialler, "05925550100").rings(), b.call(dialler, "05925550200").rings()
		b.pass(time.Minute)
		first.end(End{Rang: true})
		second.end(End{Rang: true}) // doubles once, however many end badly
	}
}

// TestShutAtMost holds that a range is shut for hold_max and a hold at most after its count was at the trip, however many calls below the trip
// end badly.
func TestShutAtMost(t *testing.T) {
	for _, test := range []struct{ hold, most, every time.Duration }{
		{time.Hour, time.Hour, time.Minute * 31},
		{time.Hour, 4 * time.Hour, time.Minute * 31},
		{time.Hour, 5 * time.Hour, time.Minute * 61},
		{24 * time.Hour, 7 * 24 * time.Hour, time.Hour * 5},
	} {
		b := newBench(t, strings.NewReplacer(`window = "1h"`, `window = "10m"`, "hold   = \"1h\"", fmt.Sprintf("hold = %q", test.hold), `"4h"`, fmt.Sprintf("%q", test.most)).Replace(short))
		b.dials(3)
		evidence, again := b.now, 0
		for b.now.Sub(evidence) < 2*(test.most+test.hold) {
			m := b.call(dialler, "05925550100")
			if b.now.Sub(evidence) >= test.most+test.hold && m.Tripped != 0 {
				t.Errorf("%s to %s: held %s after the last evidence", test.hold, test.most, b.now.Sub(evidence))
				break
			}
			if m.Tripped == 0 {
				m.rings().end(End{Rang: true})
			} else {
				m.stop()
			}
			again = max(again, b.trips())
			b.pass(test.every)
		}
		if again < 2 {
			t.Errorf("%s to %s: %d trips: no probe has ended badly", test.hold, test.most, again)
		}
	}
}

// trips is how often the breaker that is not closed has tripped.
func (b *bench) trips() (n int) {
	b.Breakers("dialler", false, b.now, func(x Breaker) bool { n = x.Trips; return true })
	return n
}

func TestDoublingIsForgotten(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{time.Hour: 2 * time.Hour, 5 * time.Hour: time.Hour} {
		b := newBench(t, short+twoLines)
		b.dials(3)
		b.pass(2 * time.Hour) // it probes, nobody calls, it closes
		b.want("")
		b.pass(wait)
		b.dials(3)
		if last := b.told[len(b.told)-1]; last.Hold != want {
			t.Errorf("%s later it is held for %s, want %s", wait, last.Hold, want)
		}
	}
}

func TestClosedCountsFromNothing(t *testing.T) {
	b := newBench(t, short+twoLines)
	b.dials(3)
	b.pass(time.Hour - 4*time.Minute)
	b.dials(3) // still counted
	b.pass(time.Minute)
	first, second := b.call(dialler, "05925550100").rings(), b.call(dialler, "05925550200").rings()
	first.end(End{Answered: true, Talk: 2 * time.Minute})
	second.end(End{Answered: true, Talk: 2 * time.Minute})
	b.want("")
	b.pass(time.Minute)
	if got := fmt.Sprint(b.dials(3)); got != "[false false true]" {
		t.Errorf("tripped: %s", got)
	}
}

func TestDecoysHoldAnHour(t *testing.T) {
	spec := policy.Detector{Name: "decoys", Count: []policy.Weighed{{Count: policy.CountDecoys, Weight: 1}}, Window: time.Hour, Trip: 2, Hold: 24 * time.Hour, HoldMax: 24 * time.Hour, Probe: 1}
	s := New([]policy.Detector{spec}, Options{})
	if first, most := s.all[0].hold(); first != 3_600_000 || most != 3_600_000 {
		t.Errorf("held for %d to %d ms", first, most)
	}
}
