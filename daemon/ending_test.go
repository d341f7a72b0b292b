package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/policy"
	"ringfence/storage"
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

// recordsOf are the journal's.
func recordsOf(t *testing.T, d *Desk) (all []storage.Record) {
	t.Helper()
	if err := d.Journal(t.Context(), storage.Query{}, func(r storage.Record) error { all = append(all, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

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
			d := start(t, attached(t, endingPolicy)).desk
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
			all := recordsOf(t, d)
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
	d := start(t, attached(t, endingPolicy)).desk
	now := time.Now()
	d.now = func() time.Time { return now }
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

	if n := len(recordsOf(t, d)); n != 1 {
		t.Errorf("%d records at once", n)
	}
	now = now.Add(unseenWait)
	for _, e := range d.unseen.due(now) {
		d.recordUnseen(&e.CallEnd)
	}
	got := map[string]string{}
	for _, r := range recordsOf(t, d) {
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
	if n, _ := d.unseen.count(); n != 2 {
		t.Errorf("%d calls are counted as let through", n)
	}
	for i := range maxUnseen + 10 {
		end(gone, fmt.Sprint("many ", i), "95211613", nil)
	}
	if _, over := d.unseen.count(); over != 10 || len(d.unseen.ends) != maxUnseen {
		t.Errorf("%d wait, %d had no room", len(d.unseen.ends), over)
	}
}

// A caller who was refused a moment ago is refused briefly, and only he.
func TestRepeatsAreBrief(t *testing.T) {
	d := start(t, installation(t, endingPolicy)).desk
	now := time.Now()
	d.now = func() time.Time { return now }
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
		{repeatSpan, "95211613", "b", false},
		{0, "13800138000", "b", false},
		{0, "13800138000", "b", false},
	} {
		now = now.Add(c.after)
		if got := brief(c.caller, c.address); got != c.want {
			t.Errorf("call %d, of %s from %s: brief %v", i, c.caller, c.address, got)
		}
	}
	for i := range maxRepeats + 1 {
		d.repeats.again("c", fmt.Sprint(i), now)
	}
	if n := len(d.repeats.last); n == 0 || n >= maxRepeats {
		t.Errorf("%d callers are kept: it was not emptied", n)
	}
	if !d.repeats.again("c", fmt.Sprint(maxRepeats), now) || d.repeats.again("c", "0", now) {
		t.Error("the last one is forgotten, or the first one is not")
	}
}

// Two tenants each have a phone 8001, and neither speaks for the other's.
func TestTenants(t *testing.T) {
	setup := func() *Desk {
		d := start(t, attached(t, dealing)).desk
		// 02087654321 rings 8001 of tenant A.
		id := screen(d, "a", "02087654321", "05925550101", false)
		d.Ended(attach.CallEnd{UUID: "leg", OtherUUID: "a", Callee: "8001", DialledUser: "8001", DialledRealm: "tenant-a.example", Ring: time.Second})
		if last, ok := d.LastCallAt("8001", "tenant-a.example"); !ok || last.ID != id {
			t.Fatalf("%+v %v", last, ok)
		}
		return d
	}
	star := func(d *Desk, user, realm, claims string) bool {
		return d.StarCode(&bridge.Facts{Number: claims, FromUser: claims, AuthUser: user, AuthRealm: realm, Authorized: true}).Confirm != nil
	}
	d := setup()
	if star(d, "8001", "tenant-b.example", "8001") {
		t.Error("8001 of tenant B may report what rang at 8001 of tenant A")
	}
	if star(d, "8001", "tenant-b.example", "05925550101") || star(d, "8001", "", "8001") {
		t.Error("by claiming another's number, or no realm, it may")
	}
	if !star(d, "8001", "Tenant-A.example", "8001") {
		t.Error("8001 of tenant A may not report")
	}
	// Whom tenant B calls is not known to tenant A's line, nor does it await its emergency calls.
	d.Ended(attach.CallEnd{
		Inbound: true, AuthUser: "8001", AuthRealm: "tenant-b.example", Caller: "8001", FromUser: "8001", Callee: "13800138000", OtherCallee: "13800138000",
		Answered: true, Bridged: true, Talk: time.Minute,
	})
	d.Ended(attach.CallEnd{
		Inbound: true, AuthUser: "8001", AuthRealm: "tenant-b.example", Caller: "05925550101", FromUser: "05925550101", Callee: "13800138000", OtherCallee: "13800138000",
		Answered: true, Bridged: true, Talk: time.Minute,
	})
	d.Ended(attach.CallEnd{Inbound: true, AuthUser: "8001", AuthRealm: "tenant-b.example", Caller: "05925550101", FromUser: "05925550101", Callee: "110"})
	for _, callee := range []string{"05925550101", "8001"} {
		if rule := ruleFor(t, d, "13800138000", callee); rule != "strangers" {
			t.Errorf("a call to %s is decided by %s", callee, rule)
		}
	}
	// With one tenant, whatever its realm is called, all is as if there were none.
	d = setup()
	for _, realm := range []string{"192.0.2.5", "", "tenant-a.example"} {
		if !star(d, "8001", realm, "8001") {
			t.Errorf("the one tenant's phone, of realm %q, may not report", realm)
		}
	}
	d.Ended(attach.CallEnd{Inbound: true, AuthUser: "8001", AuthRealm: "192.0.2.5", Caller: "8001", Callee: "13800138000", OtherCallee: "13800138000", Answered: true, Bridged: true, Talk: time.Minute})
	if rule := ruleFor(t, d, "13800138000", staff); rule != "known here" {
		t.Errorf("the one tenant's acquaintance: %s", rule)
	}
}

func TestRealmsAreBounded(t *testing.T) {
	var r realms
	for i := range maxRealms + 10 {
		r.see(fmt.Sprint("tenant", i))
		r.see(fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	}
	if len(r.names) != maxRealms || len(r.hosts) != maxRealms || !r.several() {
		t.Errorf("%d names, %d hosts", len(r.names), len(r.hosts))
	}
	var one realms
	for _, host := range []string{"192.0.2.1", "[2001:db8::1]"} {
		one.see(host)
	}
	if !one.several() || one.same("192.0.2.1", "2001:db8::1") {
		t.Error("two addresses alone are one tenant")
	}
}
