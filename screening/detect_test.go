package screening

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/policy"
	"ringfence/storage"
)

const campaignPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.a]
numbers = ["05925550100-05925550109"]
[lines.b]
numbers = ["05925550110-05925550119"]
[ranges]
"952116*" = "firm A"
[[detector]]
name      = "range wakes"
key       = "prefix"
depth     = { 6 = 5 }
count     = "strangers"
window    = "3h"
hold      = "1h"
max_share = 1
[[rule]]
name   = "known"
when   = { known_caller = "30d" }
action = "allow"
[[rule]]
name   = "campaign under way"
when   = { tripped = ["range wakes"] }
action = "reject"
`

// switchboard is a Screener at a time of its own, with a switch that tells of ends.
type switchboard struct {
	*Screener
	t       *testing.T
	journal *records
	now     time.Time
	n       int
}

func newSwitchboard(t *testing.T, text string) *switchboard {
	t.Helper()
	sc, j := screenerOf(t, text)
	s := &switchboard{Screener: sc, t: t, journal: j, now: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)}
	sc.o.Now = func() time.Time { return s.now }
	sc.force.Rules().Sounds = soundsOf(t)
	return s
}

// soundsOf are the announcements that are shipped.
func soundsOf(t *testing.T) *conf.Sounds {
	t.Helper()
	s, err := conf.InstallSounds(t.TempDir(), "CN")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// call is a call on its way.
type call struct {
	f bridge.Facts
	v bridge.Verdict
}

// screen has a call come in a minute later.
func (s *switchboard) screen(caller, callee string, change func(f *bridge.Facts)) *call {
	s.t.Helper()
	s.now = s.now.Add(time.Minute)
	s.n++
	c := &call{f: bridge.Facts{UUID: fmt.Sprint("u", s.n), Number: caller, FromUser: caller, Callee: callee, Context: "public"}}
	if change != nil {
		change(&c.f)
	}
	c.v = s.Screen(&c.f)
	return c
}

// end records a call and has the switch tell of its end.
func (s *switchboard) end(c *call, res bridge.Result, change func(e *attach.CallEnd)) {
	s.t.Helper()
	s.Record(&c.f, &c.v, res)
	e := attach.CallEnd{UUID: c.f.UUID, Inbound: true, Caller: c.f.Number, FromUser: c.f.FromUser, Callee: c.f.Callee, Context: c.f.Context, Started: s.now}
	switch {
	case change != nil:
		change(&e)
	case c.v.Refuse != 0:
		e.By, e.Cause = attach.ByRingfence, "CALL_REJECTED"
	}
	s.Ended(e)
	s.Ended(e) // a second word changes nothing
}

func talked(d time.Duration) func(*attach.CallEnd) {
	return func(e *attach.CallEnd) { e.Answered, e.Bridged, e.Ring, e.Talk = true, true, time.Second, d }
}

// call is a call from its start to its end, a minute later.
func (s *switchboard) call(caller, callee string, how func(*attach.CallEnd)) *call {
	s.t.Helper()
	c := s.screen(caller, callee, nil)
	if c.v.Refuse != 0 {
		how = nil
	}
	s.end(c, bridge.Result{}, how)
	return c
}

// breaker is what the detector has of a key.
func (s *switchboard) breaker(key string) (found detect.Breaker) {
	s.t.Helper()
	s.force.Rules().Detectors.Breakers("", true, s.now, func(b detect.Breaker) bool {
		if b.Key == key {
			found = b
		}
		return true
	})
	return found
}

// campaign trips the breaker of 952116, by five strangers to different lines.
func (s *switchboard) campaign() {
	s.t.Helper()
	for i := range 5 {
		s.call(fmt.Sprintf("952116%d1", i), fmt.Sprintf("0592555010%d", i), talked(20*time.Second))
	}
}

// A campaign whose numbers rotate is stopped from the call on that trips its range, and the journal and the reason say why.
func TestCampaignIsStopped(t *testing.T) {
	s := newSwitchboard(t, campaignPolicy)
	for i := range 20 {
		c := s.call(fmt.Sprintf("952116%d%d", i%10, i/10), fmt.Sprintf("059255501%02d", i), talked(20*time.Second))
		if want := i >= 4; (c.v.Refuse != 0) != want {
			t.Errorf("call %d: %s (%s)", i, c.v.Action, c.v.Reason)
		}
		if honest := s.call(fmt.Sprintf("13%02d01380%02d", i+30, i), "05925550100", talked(time.Minute)); honest.v.Refuse != 0 {
			t.Errorf("an honest one gets %s (%s)", honest.v.Action, honest.v.Reason)
		}
	}
	b := s.breaker("952116")
	if b.State != detect.Tripped || b.Touched != 16 {
		t.Errorf("%+v", b)
	}
	all := s.journal.all()
	first, last := all[0], all[len(all)-2]
	if len(first.Tripped) != 0 || first.Holder != "firm A" || first.Action != "allow" {
		t.Errorf("the first: %+v", first)
	}
	if fmt.Sprint(last.Tripped, last.TrippedBy) != "[range wakes: 952116] [range wakes]" || last.Action != "reject" || !strings.Contains(last.Reason, "952116 (firm A) tripped range wakes") {
		t.Errorf("the last: %+v", last)
	}
}

// What was stopped, or would have been, teaches no acquaintance, whatever was talked; who passed a challenge is one.
func TestStoppedTeachesNothing(t *testing.T) {
	const trial = "mode = \"observe\"\n"
	challenge := strings.Replace(campaignPolicy, `"reject"`, `"challenge"`, 1)
	for name, c := range map[string]struct {
		policy string
		keyed  bridge.Keyed
		want   int
	}{
		"let through":                {strings.Replace(campaignPolicy, `"reject"`, `"tag"`+"\nlabel = \"?\"", 1), 0, 6},
		"the rule is on trial":       {campaignPolicy + trial, 0, 4},
		"the policy observes":        {strings.Replace(campaignPolicy, "[lines.a]", trial+"[lines.a]", 1), 0, 4},
		"the detector is on trial":   {strings.Replace(campaignPolicy, "max_share = 1", "max_share = 1\n"+trial, 1), 0, 4},
		"a challenge that is passed": {challenge, bridge.KeyedRight, 6},
		"a challenge that is not":    {challenge, bridge.KeyedNothing, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSwitchboard(t, c.policy)
			for i := range 6 {
				x := s.screen(fmt.Sprintf("952116%d1", i), fmt.Sprintf("0592555010%d", i), nil)
				s.end(x, bridge.Result{Keyed: c.keyed}, talked(2*time.Minute))
			}
			if got := int(s.memory.Known.Len()); got != c.want {
				t.Errorf("%d acquaintances, want %d", got, c.want)
			}
		})
	}
}

// Calls that hang up early, that fail open, or that never came here are counted once each; the doctor's calls are not, and are looked at all the same.
func TestCountedOnce(t *testing.T) {
	s := newSwitchboard(t, campaignPolicy)
	gone := s.screen("95211601", "05925550100", nil)
	s.end(gone, bridge.Result{HungUp: true}, func(e *attach.CallEnd) { e.By, e.Cause = attach.ByCaller, causeGone })

	s.now = s.now.Add(time.Minute)
	f := bridge.Facts{UUID: "late", Number: "95211611", FromUser: "95211611", Callee: "05925550101", Context: "public"}
	s.Record(&f, &bridge.Verdict{}, bridge.Result{FailOpen: bridge.FailDeadline})

	s.now = s.now.Add(time.Minute)
	bare := bridge.Facts{UUID: "bare"}
	s.Record(&bare, &bridge.Verdict{}, bridge.Result{HungUp: true})
	for range 2 {
		s.Ended(attach.CallEnd{UUID: "bare", Inbound: true, Caller: "95211621", FromUser: "95211621", Callee: "05925550102", Context: "public", By: attach.ByCaller, Started: s.now})
	}

	s.now = s.now.Add(time.Minute)
	s.Ended(attach.CallEnd{UUID: "unseen", Inbound: true, Caller: "95211631", FromUser: "95211631", Callee: "05925550103", Context: "public", By: attach.ByCaller, Started: s.now})
	s.now = s.now.Add(unseenWait)
	for _, e := range s.unseen.Due(s.now, unseenWait) {
		s.recordUnseen(&e)
	}
	test := s.screen("95211641", "05925550104", func(f *bridge.Facts) { f.Test = true })
	s.end(test, bridge.Result{}, talked(time.Minute))
	if b := s.breaker("952116"); b.Count != 4 || b.State != detect.Closed {
		t.Errorf("%+v", b)
	}
	if c := s.call("95211651", "05925550105", nil); c.v.Refuse == 0 {
		t.Errorf("the fifth gets %s (%s)", c.v.Action, c.v.Reason)
	}
	if test := s.screen("95211661", "05925550106", func(f *bridge.Facts) { f.Test = true }); test.v.Refuse == 0 || s.breaker("952116").Touched != 1 {
		t.Errorf("a test call gets %s (%s), %+v", test.v.Action, test.v.Reason, s.breaker("952116"))
	}
}

// While screening is paused calls are counted, and nothing is done to them.
func TestPausedCounts(t *testing.T) {
	s := newSwitchboard(t, campaignPolicy)
	s.force.SetPause(&inforce.Pause{Since: s.now})
	s.campaign()
	if c := s.call("95211699", "05925550109", nil); c.v.Refuse != 0 || s.breaker("952116").State != detect.Tripped || s.breaker("952116").Touched != 0 {
		t.Errorf("%s, %+v", c.v.Action, s.breaker("952116"))
	}
	s.force.SetPause(nil)
	if c := s.call("95211698", "05925550109", nil); c.v.Refuse == 0 {
		t.Errorf("%s (%s)", c.v.Action, c.v.Reason)
	}
}

// After its hold a breaker lets calls through, and closes when two people of different lines have talked a minute; a short call trips it again.
func TestProbes(t *testing.T) {
	for name, c := range map[string]struct {
		ends []time.Duration // talked, by calls to line a and b in turn
		want string
	}{
		"two talks to two lines": {[]time.Duration{time.Minute, time.Minute}, detect.Closed},
		"one talk":               {[]time.Duration{time.Minute}, detect.Probing},
		"a short call":           {[]time.Duration{time.Minute, 3 * time.Second}, detect.Tripped},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSwitchboard(t, campaignPolicy)
			s.campaign()
			s.now = s.now.Add(time.Hour)
			for i, talk := range c.ends {
				x := s.call(fmt.Sprintf("952116%d8", i), []string{"05925550100", "05925550110"}[i], talked(talk))
				if x.v.Refuse != 0 {
					t.Fatalf("probe %d gets %s (%s)", i, x.v.Action, x.v.Reason)
				}
			}
			b := s.breaker("952116")
			if b.State == "" {
				b.State = detect.Closed
			}
			if b.State != c.want {
				t.Errorf("%+v", b)
			}
		})
	}
}

// The end of a call that was screened before this program was started tells detectors as much, once.
func TestEndOfBefore(t *testing.T) {
	s := newSwitchboard(t, strings.Replace(campaignPolicy, `"strangers"`, `"short_calls"`, 1))
	for i := range 5 {
		e := attach.CallEnd{UUID: fmt.Sprint("b", i), Inbound: true, RingfenceID: storage.NewID(s.now), Action: "allow", Caller: fmt.Sprintf("952116%d1", i), FromUser: "x", Callee: fmt.Sprintf("0592555010%d", i), Context: "public", Started: s.now}
		talked(2 * time.Second)(&e)
		s.now = s.now.Add(time.Minute)
		s.Ended(e)
		s.Ended(e)
		if b := s.breaker("952116"); i < 4 && b.Count != i+1 {
			t.Errorf("after %d: %+v", i+1, b)
		}
	}
	if b := s.breaker("952116"); b.State != detect.Tripped {
		t.Errorf("%+v", b)
	}
}

// A call that was under way when this program was started teaches nothing either, if it would be stopped.
func TestStoppedBeforeTeachesNothing(t *testing.T) {
	s := newSwitchboard(t, "mode = \"observe\"\n"+campaignPolicy)
	s.campaign()
	for caller, want := range map[string]bool{"95211699": false, "13800138000": true} {
		e := attach.CallEnd{UUID: caller, Inbound: true, RingfenceID: storage.NewID(s.now), Action: "allow", Caller: caller, FromUser: caller, Callee: "05925550100", Context: "public", Started: s.now}
		talked(5 * time.Minute)(&e)
		s.now = s.now.Add(5 * time.Minute)
		s.Ended(e)
		s.Ended(e)
		n := s.force.Rules().Policy.Plan().Parse(caller)
		if met, _ := s.memory.Known.To(n.E164, []string{"a"}, time.Time{}); met.IsZero() == want {
			t.Errorf("%s: met %v", caller, met)
		}
	}
}

// A call in a context whose calls are not screened, whose caller hung up at once, is none of ours: it counts for nothing.
func TestNotOursIsNotCounted(t *testing.T) {
	s := newSwitchboard(t, strings.Replace(campaignPolicy, `"strangers"`, `"calls"`, 1))
	s.call("95211601", "05925550100", nil) // "public" is screened
	for i, context := range []string{"elsewhere", "public"} {
		s.Ended(attach.CallEnd{UUID: context, Inbound: true, Caller: "95211631", FromUser: "95211631", Callee: "05925550103", Context: context, By: attach.ByCaller, Started: s.now})
		s.now = s.now.Add(unseenWait)
		for _, e := range s.unseen.Due(s.now, unseenWait) {
			s.recordUnseen(&e)
		}
		if b := s.breaker("952116"); b.Count != 1+i || len(s.journal.all()) != 1+i {
			t.Errorf("%s: %d counted, %d records", context, b.Count, len(s.journal.all()))
		}
	}
}

// What the journal says of a call is by the policy that decided it, though another one is in force by its end.
func TestJournalOfAnEarlierPolicy(t *testing.T) {
	const other = "[[detector]]\nname = \"first now\"\nkey = \"caller\"\ncount = \"calls\"\nwindow = \"1h\"\ntrip = 99\n"
	s := newSwitchboard(t, campaignPolicy)
	s.campaign()
	c := s.screen("95211699", "05925550109", nil)
	p, faults := policy.Load("policy.toml", []byte(strings.Replace(campaignPolicy, "[[detector]]", other+"[[detector]]", 1)))
	if p == nil {
		t.Fatal(faults)
	}
	was := s.force.Rules()
	r := *was
	r.Policy, r.Detectors = p, detect.New(p.Detectors(), detect.Options{Zone: p.Zone()})
	r.Detectors.Adopt(was.Detectors)
	s.force.SetRules(&r)
	s.end(c, bridge.Result{}, nil)
	all := s.journal.all()
	if got := all[len(all)-1].Tripped; len(got) != 1 || got[0] != "range wakes: 952116" {
		t.Errorf("tripped is %q", got)
	}
}

// What is on trial is counted for the status.
func TestTrialsAreCounted(t *testing.T) {
	s := newSwitchboard(t, strings.Replace(campaignPolicy, "max_share = 1", "max_share = 1\nmode = \"observe\"", 1))
	s.memory.Trials.Observe([]string{"range wakes"}, s.now)
	s.campaign()
	s.call("95211699", "05925550109", nil)
	if all := s.memory.Trials.All(s.now); len(all) != 1 || all[0].Calls != 2 {
		t.Errorf("%+v", all)
	}
	if b := s.breaker("952116"); b.Would != 2 || b.Touched != 0 {
		t.Errorf("%+v", b)
	}
	last := s.journal.all()[5]
	if fmt.Sprint(last.Tripped, last.TrippedBy) != "[range wakes: 952116 (on trial)] []" || last.Action != policy.Allow.String() || last.Would != "reject" {
		t.Errorf("%+v", last)
	}
}

// Over max_share detectors only record: calls ring, and the journal says why; then `detectors` and the status know.
func TestOverMaxShare(t *testing.T) {
	s := newSwitchboard(t, strings.Replace(campaignPolicy, "max_share = 1", "max_share = 0.3", 1))
	for range 51 { // two days, after which it is known what is usual: thirty calls an hour
		for i := range 30 {
			s.call(fmt.Sprintf("13%02d0138000", 30+i), "05925550100", talked(time.Minute))
		}
		s.now = s.now.Add(30 * time.Minute)
	}
	s.now = s.now.Add(time.Hour)
	s.campaign()
	rang, stopped := 0, 0
	for i := range 20 { // no more calls than usual
		if c := s.call(fmt.Sprintf("952116%02d", 50+i), "05925550109", nil); c.v.Refuse != 0 {
			stopped++
		} else {
			rang++
		}
	}
	if rang == 0 || stopped < 6 || stopped > 9 { // of thirty 0.3 at most
		t.Errorf("%d rang, %d were stopped", rang, stopped)
	}
	over := s.force.Rules().Detectors.Over(s.now)
	if len(over) != 1 || over[0].Total == 0 || over[0].Touched == 0 {
		t.Errorf("%+v", over)
	}
	all := s.journal.all()
	last := all[len(all)-1]
	if fmt.Sprint(last.Tripped, last.TrippedBy) != "[range wakes: 952116 (over max_share)] []" || last.Action != "allow" || last.Would != "reject" {
		t.Errorf("%+v", last)
	}
	if b := s.breaker("952116"); b.Would == 0 || b.Touched == 0 {
		t.Errorf("%+v", b)
	}
}

// A trip holds on the trunk that carried the calls, and on no other.
func TestTripOfATrunk(t *testing.T) {
	s := newSwitchboard(t, campaignPolicy+"[trunks.telecom]\nmatch = [\"gateway:telecom\"]\n[trunks.mobile]\nmatch = [\"gateway:mobile\"]\n")
	from := func(gateway string) func(*bridge.Facts) {
		return func(f *bridge.Facts) { f.Gateway = gateway }
	}
	for i := range 6 {
		s.screen(fmt.Sprintf("952116%d1", i), fmt.Sprintf("0592555010%d", i), from("telecom"))
	}
	for gateway, want := range map[string]bool{"telecom": true, "mobile": false, "": false} {
		if c := s.screen("95211699", "05925550109", from(gateway)); (c.v.Refuse != 0) != want {
			t.Errorf("from %q: %s (%s)", gateway, c.v.Action, c.v.Reason)
		}
	}
	if b := s.breaker("952116"); b.Trunk == "" && b.State == detect.Tripped {
		t.Errorf("%+v", b)
	}
}

// A fault in detectors lets the call pass, is in the journal, and keeps no lock.
func TestFaultInDetectors(t *testing.T) {
	s := newSwitchboard(t, campaignPolicy)
	depths := make([]policy.Level, 17) // more than any policy can have: each call is a fault
	for i := range depths {
		depths[i].Digits = 2
	}
	s.force.Rules().Detectors = detect.New([]policy.Detector{{
		Name: "range wakes", Key: policy.ByPrefix, Window: time.Hour, Levels: depths, Count: []policy.Weighed{{Count: policy.CountCalls, Weight: 1}},
	}}, detect.Options{})
	for i := range 3 {
		f := bridge.Facts{UUID: fmt.Sprint("u", i), Number: "95211621", FromUser: "95211621", Callee: "05925550100", Context: "public"}
		fault := func() (fault any) {
			defer func() { fault = recover() }()
			s.Screen(&f)
			return nil
		}()
		if fault == nil {
			t.Fatal("there was no fault")
		}
		var v bridge.Verdict
		s.Record(&f, &v, bridge.Result{FailOpen: bridge.FailPanic})
		all := s.journal.all()
		if len(all) != i+1 || all[i].Action != "allow" || all[i].Rule != policy.RuleFailOpen || all[i].Line != "a" {
			t.Fatalf("call %d: %+v", i, all)
		}
		s.Ended(attach.CallEnd{UUID: f.UUID, Inbound: true, Answered: true, Bridged: true, Talk: time.Minute, Started: s.now})
	}
}

// A switch whose clock is fast does not move the detectors' time on by the callers who hang up at once: a hold lasts as long as it says.
func TestFastClockOfASwitch(t *testing.T) {
	s := newSwitchboard(t, campaignPolicy)
	s.campaign()
	until := s.breaker("952116").Until
	for i := range 10 {
		f := bridge.Facts{UUID: fmt.Sprint("gone", i)} // gone before the switch had said who calls
		var v bridge.Verdict
		s.Record(&f, &v, bridge.Result{HungUp: true})
		s.Ended(attach.CallEnd{UUID: f.UUID, Inbound: true, Caller: "13800138000", Callee: "05925550100", Context: "public", Started: s.now.Add(2 * time.Hour)})
		s.now = s.now.Add(61 * time.Second)
	}
	if b := s.breaker("952116"); b.State != detect.Tripped || !b.Until.Equal(until) {
		t.Errorf("ten minutes later it is %s until %s, want tripped until %s", b.State, b.Until, until)
	}
}

// Unanswered is a call for which a phone rang: not one whose caller hung up in a menu, or during an announcement of ours.
func TestUnansweredRang(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(e *attach.CallEnd)
		want int
	}{
		"a phone rang":            {func(e *attach.CallEnd) { e.Ring = 20 * time.Second }, 2},
		"and then voicemail":      {func(e *attach.CallEnd) { e.Ring, e.Answered, e.Talk = 20*time.Second, true, time.Minute }, 2},
		"a menu, an announcement": {func(e *attach.CallEnd) { e.Answered, e.Talk = true, 20*time.Second }, 0},
		"nothing":                 {func(*attach.CallEnd) {}, 0},
	} {
		s := newSwitchboard(t, "country = \"CN\"\n[[detector]]\nname = \"nobody answers\"\nkey = \"caller\"\ncount = \"unanswered\"\nwindow = \"1h\"\ntrip = 5\n")
		for range 2 {
			s.call("13800138000", "05925550100", test.end)
		}
		if got := s.breaker("+8613800138000").Count; got != test.want {
			t.Errorf("%s: %d unanswered calls, want %d", name, got, test.want)
		}
	}
}
