package screening

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/policy"
)

const endingPolicy = `
country = "CN"
[trunks.carrier]
match = ["203.0.113.0/24"]
identity = "pai"
[trunks.branch]
match = ["gateway:branch"]
internal = true
[[rule]]
name = "listed"
when = { caller = ["9521????"] }
action = "reject"
`

// The switch's word at a call's end puts right what its record says, and there is one record in the end.
func TestRecordsArePutRight(t *testing.T) {
	gone := attach.CallEnd{Cause: "ORIGINATOR_CANCEL", By: attach.ByCaller}
	refused := attach.CallEnd{Cause: "CALL_REJECTED", By: attach.ByRingfence}
	briefly := attach.CallEnd{Cause: "CALL_REJECTED", By: attach.BySwitch} // without a variable that says who
	talked := attach.CallEnd{Cause: "NORMAL_CLEARING", By: attach.ByCaller, Answered: true, Bridged: true, Talk: time.Minute, Ring: time.Second}
	for name, c := range map[string]struct {
		caller       string
		result       bridge.Result
		bare         bool // the switch had said nothing of the call but its name
		end          attach.CallEnd
		action, rule string
		reason       string // a part of it
		by           string
	}{
		"refused, as told":              {caller: "95211613", end: refused, action: "reject", rule: "listed", by: "ringfence"},
		"refused briefly":               {caller: "95211613", end: briefly, action: "reject", rule: "listed", by: "ringfence"},
		"refused, and yet it rang":      {caller: "95211613", end: talked, action: "allow", rule: policy.RuleFailOpen, reason: "did not carry out what it was told", by: "caller"},
		"too late, and yet refused":     {caller: "95211613", result: bridge.Result{FailOpen: bridge.FailDeadline}, end: refused, action: "reject", rule: "listed", by: "ringfence"},
		"too late, and it rang":         {caller: "95211613", result: bridge.Result{FailOpen: bridge.FailDeadline}, end: talked, action: "allow", rule: policy.RuleFailOpen, reason: "within the deadline", by: "caller"},
		"unheard, for he hung up":       {caller: "95211613", result: bridge.Result{FailOpen: bridge.FailUnheard}, end: gone, action: "reject", rule: "listed", reason: "the caller hung up first", by: "caller"},
		"unheard, and it rang":          {caller: "95211613", result: bridge.Result{FailOpen: bridge.FailUnheard}, end: talked, action: "allow", rule: policy.RuleFailOpen, by: "caller"},
		"hung up, and yet refused":      {caller: "95211613", result: bridge.Result{HungUp: true}, end: refused, action: "reject", rule: "listed", by: "ringfence"},
		"hung up":                       {caller: "95211613", result: bridge.Result{HungUp: true}, end: gone, action: "reject", rule: "listed", by: "caller"},
		"hung up before he was known":   {caller: "95211613", bare: true, result: bridge.Result{HungUp: true}, end: gone, action: "reject", rule: "listed", reason: "the caller hung up first", by: "caller"},
		"let through":                   {caller: "13800138000", end: talked, action: "allow", rule: "default", by: "caller"},
		"an honest one, hung up, asked": {caller: "13800138000", bare: true, result: bridge.Result{HungUp: true}, end: gone, action: "allow", rule: "default", reason: "the caller hung up first", by: "caller"},
	} {
		t.Run(name, func(t *testing.T) {
			d, journal := screenerOf(t, endingPolicy)
			f := &bridge.Facts{UUID: "a", Context: "public", Number: c.caller, FromUser: c.caller, Callee: "05925550100"}
			var v bridge.Verdict
			if c.bare {
				f = &bridge.Facts{UUID: "a"}
			} else {
				v = d.Screen(f)
			}
			d.Record(f, &v, c.result)
			e := c.end
			e.UUID, e.Inbound, e.Caller, e.FromUser, e.Callee, e.Context = "a", true, c.caller, c.caller, "05925550100", "public"
			for range 2 { // a second word changes nothing
				d.Ended(e)
			}
			all := journal.all()
			if len(all) != 1 {
				t.Fatalf("%d records: %+v", len(all), all)
			}
			r := all[0]
			if r.Action != c.action || r.Rule != c.rule || !strings.Contains(r.Reason, c.reason) || r.Caller.Raw != c.caller || r.Callee != "05925550100" {
				t.Errorf("%s by %s (%s) of %q to %q", r.Action, r.Rule, r.Reason, r.Caller.Raw, r.Callee)
			}
			if r.Outcome == nil || r.Outcome.By != c.by {
				t.Errorf("outcome %+v", r.Outcome)
			}
		})
	}
}

// A call that never came to us is written down when it ends, by the trunk's word on who called; those of the house, and
// what was recorded meanwhile, are not.
func TestCallsThatDidNotCome(t *testing.T) {
	d, journal := screenerOf(t, endingPolicy)
	now := time.Now()
	d.o.Now = func() time.Time { return now }
	gone := attach.CallEnd{Inbound: true, Context: "public", Cause: "ORIGINATOR_CANCEL", By: attach.ByCaller}
	rang := attach.CallEnd{Inbound: true, Context: "public", Action: "allow", Cause: "NORMAL_CLEARING", By: attach.ByCaller, Ring: time.Second, Answered: true, Bridged: true}
	end := func(e attach.CallEnd, uuid, caller string, change func(*attach.CallEnd)) {
		e.UUID, e.Caller, e.FromUser, e.Callee, e.Started = uuid, caller, caller, "05925550100", now
		if change != nil {
			change(&e)
		}
		d.Ended(e)
	}
	end(gone, "1", "95211613", nil)
	end(rang, "2", "95211614", nil)
	end(rang, "3", "95211615", func(e *attach.CallEnd) { e.Action, e.Guard = "", true })
	end(gone, "4", "110", func(e *attach.CallEnd) {
		e.NetworkIP, e.IDSource, e.Asserted, e.Preferred = "203.0.113.9", "pid", "95211616", "110"
	})
	end(gone, "5", "13800138000", nil)
	// These are not to be recorded.
	end(gone, "a", "8001", func(e *attach.CallEnd) { e.AuthUser = "8001" })
	end(gone, "b", "8001", func(e *attach.CallEnd) { e.Gateway = "branch" })
	end(gone, "c", "95211613", func(e *attach.CallEnd) { e.Context = "elsewhere" })
	end(gone, "d", "95211613", func(e *attach.CallEnd) { e.Callee = "110" })
	end(gone, "e", "95211613", func(e *attach.CallEnd) { e.By = attach.BySwitch })
	end(gone, "f", "95211613", func(e *attach.CallEnd) { e.Inbound = false })
	// And this one is recorded a moment after the switch has told of its end.
	end(gone, "late", "95211617", nil)
	f := &bridge.Facts{UUID: "late", Number: "95211617", FromUser: "95211617", Callee: "05925550100"}
	v := d.Screen(f)
	d.Record(f, &v, bridge.Result{HungUp: true})

	if n := len(journal.all()); n != 1 {
		t.Errorf("%d records at once", n)
	}
	now = now.Add(unseenWait)
	for _, e := range d.unseen.Due(now, unseenWait) {
		d.recordUnseen(&e)
	}
	got := map[string]string{}
	for _, r := range journal.all() {
		if r.Outcome == nil || got[r.Caller.E164] != "" {
			t.Errorf("twice, or without an outcome: %+v", r)
		}
		got[r.Caller.E164] = fmt.Sprintf("%s by %s", r.Action, r.Rule)
	}
	want := map[string]string{
		"+8695211613": "reject by listed", "+8695211614": "allow by fail-open", "+8695211615": "allow by fail-open",
		"+8695211616": "reject by listed", "+8613800138000": "allow by default", "+8695211617": "reject by listed",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	if got := d.FailOpen(); got[FailUnseen] != 2 || got[FailGuard] != 1 {
		t.Errorf("let through: %v", got)
	}
	const most = 10_000
	for i := range most + 10 {
		end(gone, fmt.Sprint("many ", i), "95211613", nil)
	}
	if over := d.Unrecorded(); over != 10 {
		t.Errorf("%d had no room", over)
	}
}

// A caller who was refused a moment ago is refused briefly, and nobody else.
func TestRepeatsAreBrief(t *testing.T) {
	d, _ := screenerOf(t, endingPolicy)
	now := time.Now()
	d.o.Now = func() time.Time { return now }
	brief := func(caller, address string) bool {
		return d.Screen(&bridge.Facts{UUID: "x", Number: caller, FromUser: caller, NetworkIP: address}).Brief
	}
	for i, c := range []struct {
		after           time.Duration
		caller, address string
		want            bool
	}{
		{0, "95211613", "a", false},
		{time.Second, "95211613", "a", true},
		{time.Second, "95211614", "a", false},
		{time.Second, "95211613", "b", false},
		{9 * time.Second, "95211613", "b", true},
		{10 * time.Second, "95211613", "b", false},
		{0, "13800138000", "b", false},
		{0, "13800138000", "b", false},
	} {
		now = now.Add(c.after)
		if got := brief(c.caller, c.address); got != c.want {
			t.Errorf("call %d, of %s from %s: brief %v", i, c.caller, c.address, got)
		}
	}
}
