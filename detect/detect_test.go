package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
)

var t0 = time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)

// bench is a set of the detectors of a policy, with a clock that the test puts on.
type bench struct {
	*Set
	t    *testing.T
	p    *policy.Policy
	now  time.Time
	told []Breaker
}

func (b *bench) Changed(x Breaker) { b.told = append(b.told, x) }

func load(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, report := policy.Load("policy.toml", []byte("country = \"CN\"\n"+text))
	if p == nil {
		t.Fatal(report)
	}
	return p
}

func newBench(t *testing.T, text string) *bench {
	b := &bench{t: t, p: load(t, text), now: t0}
	b.Set = New(b.p.Detectors(), Options{Seed: 1, Sink: b})
	return b
}

// made is a call that was counted.
type made struct {
	*bench
	Count
	call policy.Call
}

// call has a call come in now.
func (b *bench) call(caller, callee string, change ...func(*policy.Call)) *made {
	b.t.Helper()
	c := b.p.Call(policy.Facts{Caller: caller, Callee: callee, Trunk: "a", Time: b.now})
	for _, f := range change {
		f(&c)
	}
	x := SubjectOf(b.p, &c, nil)
	n := b.Called(&x)
	b.Fill(&n, &c)
	return &made{b, n, c}
}

func (m *made) rings() *made { m.Decided(&m.Count, false, 0); return m }
func (m *made) stop() *made  { m.Decided(&m.Count, true, 0); return m }
func (m *made) end(e End) {
	e.At = m.now
	m.Ended(&m.Count, e)
}

func (b *bench) wait(d time.Duration) { b.now = b.now.Add(d) }

// pass lets time pass as it does where somebody ticks.
func (b *bench) pass(d time.Duration) {
	for end := b.now.Add(d); b.now.Before(end); {
		b.wait(min(time.Minute, end.Sub(b.now)))
		b.Tick(b.now)
	}
}

// states are the breakers that do not just count.
func (b *bench) states() string {
	var all []string
	b.Breakers("", false, b.now, func(x Breaker) bool {
		text := x.Key + " " + x.State
		if x.Trunk != "a" {
			text = x.Trunk + ": " + text
		}
		if x.Pinned != "" {
			text += " pinned " + x.Pinned
		}
		all = append(all, text)
		return true
	})
	return strings.Join(all, ", ")
}

func (b *bench) want(states string) {
	b.t.Helper()
	if got := b.states(); got != states {
		b.t.Errorf("at %s the breakers are %q, want %q", b.now.Format(time.TimeOnly), got, states)
	}
}

const wakes = `
[[detector]]
name   = "range wakes"
key    = "prefix"
depth  = { 6 = 5, 7 = 5, 8 = 4 }
count  = "strangers"
window = "3h"
hold   = "24h"
hold_max = "7d"
[[rule]]
name = "campaign"
when = { tripped = ["range wakes"] }
action = "challenge"
`

func TestCampaignTrips(t *testing.T) {
	b := newBench(t, wakes)
	for i := range 10 {
		m := b.call(fmt.Sprintf("952112%02d", 13*i%100), fmt.Sprintf("0592555%04d", i)).rings()
		if got, want := m.Tripped.Has(0), i >= 4; got != want {
			t.Errorf("call %d is tripped: %v", i, got)
		}
		if i == 4 {
			trip := m.call.Trips[0]
			if trip.Key != "952112" || trip.Why != "5 strangers in 3h, trips at 5" || !trip.Since.Equal(b.now) || trip.Until.Sub(trip.Since) != 24*time.Hour {
				t.Errorf("%+v", trip)
			}
		}
		b.wait(time.Minute)
	}
	if m := b.call("95212300", "05925550100"); m.Tripped != 0 {
		t.Error("another range is tripped as well")
	}
}

func TestCallsOfOneNumber(t *testing.T) {
	b := newBench(t, `
[[detector]]
name   = "dialler"
key    = "caller"
count  = "callees"
window = "1h"
trip   = 3
[[rule]]
name = "campaign"
when = { tripped = ["dialler"] }
action = "challenge"
`)
	for i, callee := range []string{"01", "02", "01", "02", "03", "04"} {
		m := b.call("13800138000", "059255501"+callee)
		if got, want := m.Tripped.Has(0), i >= 4; got != want {
			t.Errorf("call %d is tripped: %v", i, got)
		}
		b.wait(time.Minute)
	}
}
