package daemon

import (
	"strings"
	"testing"

	"ringfence/eslbridge"
)

// A campaign fills the trunk's places for announcements and no more: over them calls pass, or are refused
// where the rule says so, and a place is free again when its call is over.
func TestFullTrunk(t *testing.T) {
	d := start(t, installation(t, `
country = "CN"
[trunks.telecom]
match = ["gateway:telecom"]
max_held = 2
[trunks.other]
match = ["gateway:other"]
max_held = 1
[[rule]]
name = "strict"
when = { caller = ["9520????"] }
action = "warn"
announcement = "suspected-nuisance"
then = "hangup"
sip = 486
overflow = "reject"
[[rule]]
name = "strict, goes on"
when = { caller = ["9523????"] }
action = "warn"
announcement = "suspected-nuisance"
overflow = "reject"
[[rule]]
name = "sales"
when = { caller = ["9521????"] }
action = "warn"
announcement = "suspected-nuisance"
[[rule]]
name = "no"
when = { caller = ["9522????"] }
action = "reject"
announcement = "suspected-nuisance"
`)).desk
	screen := func(number, gateway string) (*eslbridge.Facts, eslbridge.Verdict) {
		f := &eslbridge.Facts{Number: number, Gateway: gateway}
		return f, d.Screen(f)
	}
	first, v1 := screen("95211001", "telecom")
	second, v2 := screen("95211002", "telecom")
	if v1.Play.File == "" || v2.Play.File == "" || v1.Action != "warn" {
		t.Fatalf("%+v %+v", v1, v2)
	}
	third, v3 := screen("95211003", "telecom")
	if v3.Play.File != "" || v3.Refuse != 0 || v3.Action != "allow" || v3.Would != "warn" || !strings.Contains(v3.Reason, "holds 2 calls already") {
		t.Errorf("on a full trunk: %+v", v3)
	}
	if _, v := screen("95201004", "telecom"); v.Play.File != "" || v.Refuse != 486 || v.Action != "reject" {
		t.Errorf("overflow = reject on a full trunk: %+v", v)
	}
	if _, v := screen("95231010", "telecom"); v.Refuse != 603 || v.Action != "reject" {
		t.Errorf("overflow = reject of a rule without sip: %+v", v)
	}
	if _, v := screen("95221005", "telecom"); v.Play.File != "" || v.Refuse != 603 || v.Action != "reject" {
		t.Errorf("a rejection on a full trunk: %+v", v)
	}
	if _, v := screen("95211006", "other"); v.Play.File == "" {
		t.Errorf("the other trunk: %+v", v)
	}
	d.Record(third, &v3, eslbridge.Result{}) // it held nothing
	if _, v := screen("95211007", "telecom"); v.Play.File != "" {
		t.Errorf("still full: %+v", v)
	}
	d.Record(first, &v1, eslbridge.Result{HungUp: true})
	d.Record(second, &v2, eslbridge.Result{FailOpen: eslbridge.FailDeadline})
	if calls, over := d.held.count(); calls["telecom"] != 0 || over != 5 {
		t.Errorf("%d calls are held after all ended, %d met a full trunk", calls["telecom"], over)
	}
	if _, v := screen("95211008", "telecom"); v.Play.File == "" {
		t.Errorf("free again: %+v", v)
	}
	// Made-up trunks share one account.
	for i := range 30 {
		f := &eslbridge.Facts{Number: "95211009", Trunk: strings.Repeat("x", i+1)}
		if v := d.Screen(f); (v.Play.File != "") != (i < 20) {
			t.Errorf("call %d of made-up trunks: %+v", i, v)
		}
	}
	if calls, _ := d.held.count(); len(calls) > 3 {
		t.Errorf("%d trunks are counted", len(calls))
	}
}
