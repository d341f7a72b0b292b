package daemon

import (
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/console"
	"ringfence/traffic"
)

// The star code asks a phone of the house about its last caller and reports them when the key is pressed; a caller
// from outside, or without a last call, is asked nothing.
func TestStarCode(t *testing.T) {
	d := in(start(t, installation(t, `
country = "CN"
[numbers]
internal = ["8???"]
[trunks.branch]
match = ["gateway:branch"]
internal = true
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
`)))
	p := d.d.force.Rules().Policy
	d.d.memory.LastCalls.Put("8001", traffic.LastCall{Caller: p.Plan().Parse("95211613"), ID: "01J", Time: time.Now()}, time.Now())
	inside := bridge.Facts{Number: "8001", FromUser: "8001", Authorized: true, AuthUser: "8001", Callee: "*57"}
	branch, outside, other, acl := inside, inside, inside, inside
	branch.Authorized, branch.AuthUser, branch.Gateway = false, "", "branch"
	outside.Authorized, outside.AuthUser = false, ""
	other.Number, other.FromUser, other.AuthUser = "8002", "8002", "8002"
	acl.AuthUser = "" // an access list makes a call authorized too
	for name, c := range map[string]struct {
		facts bridge.Facts
		asks  bool
	}{"a phone": {inside, true}, "by a trunk of ours": {branch, true}, "from outside": {outside, false}, "by an access list": {acl, false}, "another phone": {other, false}} {
		q := d.StarCode(&c.facts)
		want := "report-none.wav"
		if c.asks {
			want = "report-listed-confirm.wav"
		}
		if (q.Confirm != nil) != c.asks || !strings.HasSuffix(q.Prompt.Files[0], want) {
			t.Errorf("%s: %+v", name, q)
		}
	}
	reports := func() (all []console.Report) {
		if err := d.Reports(t.Context(), console.ReportsQuery{}, func(r console.Report) error { all = append(all, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if n := len(reports()); n != 0 {
		t.Errorf("%d reports before anyone pressed a key", n)
	}
	q := d.StarCode(&inside)
	for range 2 { // the same caller twice is one report
		if s := q.Confirm(t.Context()); s.Silent() || !strings.HasSuffix(s.Files[0], "report-done.wav") {
			t.Errorf("then %+v is heard", s)
		}
	}
	all := reports()
	if len(all) != 1 || all[0].Caller.E164 != "+8695211613" || all[0].Extension != "8001" || all[0].Call != "01J" {
		t.Errorf("%+v", all)
	}
	f := bridge.Facts{Number: "95211613", FromUser: "95211613"}
	if v := d.Screen(&f); v.Action != "allow" {
		t.Errorf("the caller gets %s before a person has confirmed the report", v.Action)
	}
	if _, err := d.ConfirmReport(t.Context(), all[0].ID, false); err != nil {
		t.Fatal(err)
	}
	if v := d.Screen(&f); v.Action != "reject" {
		t.Errorf("the caller gets %s after it", v.Action)
	}
}
