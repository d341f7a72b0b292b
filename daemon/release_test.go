package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/console"
	"ringfence/traffic"
)

// A person lets the caller through who was last stopped on the way to their number: to their line alone, for a month.
//
// long: because calls follow each other at the same phones
func TestRelease(t *testing.T) {
	d := in(start(t, installation(t, marking)))
	now := time.Now()
	d.d.stopClock(now)
	ctx := t.Context()
	if _, err := d.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "9521*"}, {Number: "13700137000"}}, false); err != nil {
		t.Fatal(err)
	}
	call := func(caller, callee string) string {
		f := bridge.Facts{UUID: caller + callee, Number: caller, FromUser: caller, Callee: callee}
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{})
		return v.Action
	}
	star := func(number string) bridge.Inquiry {
		f := bridge.Facts{Intent: "release", Number: number, FromUser: number, Authorized: true, AuthUser: number, Callee: "*58"}
		return d.StarCode(&f)
	}
	heard := func(q bridge.Inquiry) string {
		var names []string
		for _, file := range q.Prompt.Files {
			names = append(names, strings.TrimSuffix(file[strings.LastIndexByte(file, '/')+1:], ".wav"))
		}
		return strings.Join(names, " ")
	}
	if q := star("05925550100"); heard(q) != "release-none" || q.Confirm != nil {
		t.Errorf("before anybody was stopped: %s", heard(q))
	}
	if a := call("95211613", "05925550100"); a != "reject" {
		t.Fatal(a)
	}
	now = now.Add(time.Minute)
	d.d.stopClock(now)
	call("95211614", "05925550101")
	if q := star("05925550100"); heard(q) != "release-confirm release-number 9 5 2 1 1 6 1 3" {
		t.Errorf("%s", heard(q)) // its own, not the line's later one
	}
	if q := star("05925550102"); heard(q) != "release-confirm release-number 9 5 2 1 1 6 1 4" {
		t.Errorf("a phone that nobody called: %s", heard(q))
	}
	for who, number := range map[string]string{"another line's": "4008001234", "no line's": "8001", "none of ours": "13800138000"} {
		if q := star(number); heard(q) != "release-none" || q.Confirm != nil {
			t.Errorf("%s phone: %s", who, heard(q))
		}
	}
	outside := bridge.Facts{Intent: "release", Number: "05925550100", FromUser: "05925550100"}
	if q := d.StarCode(&outside); q.Confirm != nil {
		t.Error("who comes from outside may let somebody through")
	}
	q := star("05925550100")
	for range 2 {
		if s := q.Confirm(context.Background()); s.Silent() || !strings.HasSuffix(s.Files[0], "release-done.wav") {
			t.Errorf("then %+v is heard", s)
		}
	}
	for callee, want := range map[string]string{"05925550100": "allow", "05925550199": "allow", "4008001234": "reject"} {
		if a := call("95211613", callee); a != want {
			t.Errorf("then a call to %s gets %s, want %s", callee, a, want)
		}
	}
	if a := call("95211614", "05925550100"); a != "reject" {
		t.Errorf("another caller gets %s", a)
	}
	var entries []console.ListEntry
	d.Entries(ctx, "staff:allowlist", func(e console.ListEntry) error { entries = append(entries, e); return nil })
	if len(entries) != 1 || entries[0].Number != "+8695211613" || entries[0].Expires.Sub(now).Round(time.Hour) != 30*24*time.Hour || entries[0].Who != "05925550100" || entries[0].Source != "star code" {
		t.Errorf("%+v", entries)
	}
	// What a person has put there for longer stays.
	if _, err := d.AddEntries(ctx, "staff:allowlist", []console.NewEntry{{Number: "95211614", Reason: "our supplier"}}, false); err != nil {
		t.Fatal(err)
	}
	if err := d.Release("staff", "05925550101", traffic.LastCall{Caller: d.d.force.Rules().Policy.Plan().Parse("95211614")}); err != nil {
		t.Fatal(err)
	}
	d.Entries(ctx, "staff:allowlist", func(e console.ListEntry) error {
		if e.Number == "+8695211614" && (!e.Expires.IsZero() || e.Reason != "our supplier") {
			t.Errorf("%+v", e)
		}
		return nil
	})
	// A withheld number is not read out; one who has none cannot be let through; after a day nobody is remembered.
	now = now.Add(time.Minute)
	d.d.stopClock(now)
	hidden := bridge.Facts{UUID: "h", Number: "13700137000", FromUser: "13700137000", Withheld: true, Callee: "05925550103"}
	v := d.Screen(&hidden)
	d.Record(&hidden, &v, bridge.Result{})
	if q := star("05925550103"); heard(q) != "release-confirm" || q.Confirm == nil {
		t.Errorf("withheld: %s", heard(q))
	}
	d.d.stopClock(now.Add(25 * time.Hour))
	if q := star("05925550103"); heard(q) != "release-none" {
		t.Errorf("a day later: %s", heard(q))
	}
}

// Without a rule that asks for the list nobody is told that they let somebody through.
func TestReleaseWithoutARule(t *testing.T) {
	d := in(start(t, installation(t, strings.Replace(marking, `, "line:allowlist"`, "", 1))))
	d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "9521*"}}, false)
	f := bridge.Facts{UUID: "a", Number: "95211613", FromUser: "95211613", Callee: "05925550100"}
	v := d.Screen(&f)
	d.Record(&f, &v, bridge.Result{})
	phone := bridge.Facts{Intent: "release", Number: "05925550100", Authorized: true, AuthUser: "05925550100"}
	if q := d.StarCode(&phone); q.Confirm != nil || !strings.HasSuffix(q.Prompt.Files[0], "star-refused.wav") {
		t.Errorf("%+v", q)
	}
}

// Of two tenants' extensions of one name neither lets the other's callers through.
func TestReleaseOfTenants(t *testing.T) {
	d := in(start(t, installation(t, strings.Replace(marking, `numbers = ["4008001234"]`, `numbers = ["8001"]`, 1))))
	d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "9521*"}}, false)
	f := bridge.Facts{UUID: "a", Number: "95211613", FromUser: "95211613", Callee: "8001"}
	v := d.Screen(&f)
	d.Record(&f, &v, bridge.Result{})
	phone := func(realm string) bool {
		return d.StarCode(&bridge.Facts{Intent: "release", AuthUser: "8001", AuthRealm: realm, Authorized: true}).Confirm != nil
	}
	if !phone("a.example") {
		t.Error("the only tenant's phone may not")
	}
	if phone("b.example") || phone("a.example") {
		t.Error("with two tenants an extension counts as a line's number")
	}
}
