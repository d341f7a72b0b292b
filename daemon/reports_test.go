package daemon

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// The last call of an extension is the last that came in and rang there or was answered there, whenever its legs
// end; the number is in any spelling.
//
// long: because calls follow each other at the same extensions
func TestLastCall(t *testing.T) {
	d := in(start(t, attached(t, strings.Replace(dealing, "action = \"tag\"\nlabel = \"stranger\"", `action = "reject"`, 1))))
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	d.d.stopClock(now)
	call := func(uuid, caller string, withheld bool) string {
		now = now.Add(time.Minute)
		d.d.stopClock(now)
		return screen(d, uuid, caller, "05925550101", withheld)
	}
	leg := func(uuid, callee string, change func(*attach.CallEnd)) {
		e := attach.CallEnd{UUID: "leg of " + uuid, OtherUUID: uuid, Callee: callee, Ring: time.Second}
		if change != nil {
			change(&e)
		}
		d.Ended(e)
	}
	want := func(extension, id, caller string) {
		t.Helper()
		c, ok := d.LastCallAt(extension, "")
		if ok != (id != "") || c.ID != id || c.Caller.E164 != caller {
			t.Errorf("last call of %s: %+v, %v; want %s from %s", extension, c, ok, id, caller)
		}
	}
	want("8001", "", "")
	want("", "", "")

	first := call("a", "13800138000", false)
	leg("a", "8001", nil)
	want("8001", first, "+8613800138000")
	want(" 8001 ", first, "+8613800138000")
	if c, _ := d.LastCallAt("8001", ""); c.Withheld || c.Line != "staff" || !c.Time.Equal(now) {
		t.Errorf("%+v", c)
	}

	// Two phones ring for one call; one of them by an account, whose phone is registered as something else.
	second := call("b", "95211613", false)
	leg("b", "8002", func(e *attach.CallEnd) { e.Cause = "LOSE_RACE" })
	leg("b", "x7f3@[]", func(e *attach.CallEnd) { e.DialledUser, e.Ring, e.Answered = "8001", 0, true })
	leg("b", "8003", func(e *attach.CallEnd) { e.Ring = 0 }) // busy
	want("8001", second, "+8695211613")
	want("8002", second, "+8695211613")
	want("8003", "", "")

	// A long call that came first ends last.
	long := call("c", "13900139000", false)
	short := call("d", "13700137000", true)
	leg("d", "8001", nil)
	leg("c", "8001", func(e *attach.CallEnd) { e.Talk = time.Hour })
	want("8001", short, "+8613700137000")
	if c, _ := d.LastCallAt("8001", ""); !c.Withheld {
		t.Errorf("%+v", c)
	}
	leg("c", "+865925550102", nil)
	want("05925550102", long, "+8613900139000")

	// What has nothing to do with a call that was screened, or is refused, leaves no trace.
	leg("nobody", "8004", nil)
	f := bridge.Facts{UUID: "refused", Number: "95211613", Callee: "05925550101"}
	v := d.Screen(&f)
	d.Record(&f, &v, bridge.Result{})
	if v.Refuse == 0 {
		t.Fatalf("%+v", v)
	}
	leg("refused", "8004", nil)
	want("8004", "", "")
	// One that was let through without a decision does.
	f.UUID = "failed open"
	d.Record(&f, &bridge.Verdict{}, bridge.Result{FailOpen: bridge.FailDeadline})
	leg("failed open", "8004", nil)
	if c, ok := d.LastCallAt("8004", ""); !ok || c.Caller.E164 != "+8695211613" || c.ID == "" {
		t.Errorf("%+v, %v", c, ok)
	}
	// A switch whose dialplan exports ringfence_id tells of a call from before this program was started.
	id := storage.NewID(now)
	leg("unknown", "8005", func(e *attach.CallEnd) { e.RingfenceID, e.Caller, e.Started = id, "95588", now })
	want("8005", id, "+8695588")

	now = now.Add(24*time.Hour - time.Minute)
	d.d.stopClock(now)
	want("8004", func() string { c, _ := d.LastCallAt("8004", ""); return c.ID }(), "+8695211613")
	now = now.Add(2 * time.Minute)
	d.d.stopClock(now)
	want("8001", "", "")
}

const reporting = `
country = "CN"
timezone = "Asia/Shanghai"
[numbers]
internal = ["8???"]
never_screen = ["4008111111"]
[lines.staff]
numbers = ["05925550100-05925550199"]
[[rule]]
name = "ours"
when = { list = ["allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
`

// From an extension's report to the next call of who was reported, as commands see it.
//
// long: because one report goes its way from the phone to the list
func TestReportsThroughSocket(t *testing.T) {
	c := attached(t, reporting)
	d := start(t, c)
	client, ctx := dial(t, c), t.Context()
	id := screen(in(d), "a", "95211613", "05925550101", false)
	in(d).Ended(attach.CallEnd{UUID: "b", OtherUUID: "a", Callee: "8001", Ring: time.Second})
	call, ok := in(d).LastCallAt("8001", "")
	if !ok {
		t.Fatal("there is no last call")
	}
	for range 3 {
		if err := in(d).AddReport("8001", call); err != nil {
			t.Fatal(err)
		}
	}
	list := func(state string) (rs []console.Report) {
		t.Helper()
		if err := client.Reports(ctx, console.ReportsQuery{State: state}, func(r console.Report) error { rs = append(rs, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return rs
	}
	rs := list(console.ReportOpen)
	if len(rs) != 1 || rs[0].Extension != "8001" || rs[0].Caller.E164 != "+8695211613" || rs[0].Call != id || rs[0].Line != "staff" || rs[0].Repeats != 2 {
		t.Fatalf("%+v", rs)
	}
	if s, err := client.Status(ctx); err != nil || s.Reports != (console.ReportStatus{Open: 1}) || s.Learnt.Extensions != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if rule := ruleFor(t, in(d), "95211613", "05925550101"); rule != policy.RuleDefault {
		t.Errorf("before anybody has decided: %s", rule)
	}

	edit, err := client.ConfirmReport(ctx, strings.ToLower(rs[0].ID), false)
	if err != nil || edit.Change != console.Confirmed || edit.List != "blacklist" || edit.Number != "+8695211613" || edit.State != console.ReportConfirmed || edit.Note != "" {
		t.Errorf("%+v, %v", edit, err)
	}
	if rule := ruleFor(t, in(d), "95211613", "05925550101"); rule != "listed" {
		t.Errorf("after it was confirmed: %s", rule)
	}
	var entries []console.ListEntry
	client.Entries(ctx, "blacklist", func(e console.ListEntry) error { entries = append(entries, e); return nil })
	if len(entries) != 1 || entries[0].Reason != "reported by 8001" || entries[0].Source != "report "+rs[0].ID || entries[0].Who != me(t) {
		t.Errorf("%+v", entries)
	}
	if edit, err := client.ConfirmReport(ctx, rs[0].ID, false); err != nil || edit.Change != console.AlreadySo || edit.Who != me(t) {
		t.Errorf("again: %+v, %v", edit, err)
	}
	if _, err := client.DismissReport(ctx, rs[0].ID); !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "reports lift "+rs[0].ID) {
		t.Errorf("dismissed when it was confirmed: %v", err)
	}

	// A report by other means, which comes to nothing, and then to something. It needs a call that rang there.
	if _, err := client.Report(ctx, console.NewReport{Caller: "0592 555 9999", Extension: "8002", Callee: "05925550102"}); !errors.Is(err, console.ErrConflict) ||
		!strings.Contains(err.Error(), "no call of +865925559999 rang at 05925550102 or its line in the last 30 days") {
		t.Errorf("marked without a call: %v", err)
	}
	screen(in(d), "c", "05925559999", "05925550102", false)
	in(d).Ended(attach.CallEnd{UUID: "d", OtherUUID: "c", Callee: "8002", Ring: time.Second})
	edit, err = client.Report(ctx, console.NewReport{Caller: "0592 555 9999", Extension: "8002", Callee: "05925550102"})
	if err != nil || edit.Change != console.Reported || edit.Caller.E164 != "+865925559999" || edit.Line != "staff" {
		t.Fatalf("%+v, %v", edit, err)
	}
	if again, err := client.Report(ctx, console.NewReport{Caller: "+865925559999", Extension: "8002"}); err != nil || again.Change != console.Repeated || again.ID != edit.ID {
		t.Errorf("%+v, %v", again, err)
	}
	for i, want := range []string{console.Dismissed, console.AlreadySo} {
		if r, err := client.DismissReport(ctx, edit.ID); err != nil || r.Change != want || r.State != console.ReportDismissed {
			t.Errorf("dismissed, %d: %+v, %v", i, r, err)
		}
	}
	// An administrator's own entry keeps its words.
	if _, err := client.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "05925559999", Reason: "sells wine"}}, false); err != nil {
		t.Fatal(err)
	}
	if r, err := client.ConfirmReport(ctx, edit.ID, false); err != nil || r.Change != console.Confirmed || r.Note != "was there already" {
		t.Errorf("%+v, %v", r, err)
	}
	entries = nil
	client.Entries(ctx, "blacklist", func(e console.ListEntry) error { entries = append(entries, e); return nil })
	if len(entries) != 2 || entries[0].Reason != "sells wine" {
		t.Errorf("%+v", entries)
	}
	// One that only a range covers is listed by itself, so that it stays when the range goes.
	if _, err := client.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "9533*"}}, false); err != nil {
		t.Fatal(err)
	}
	screen(in(d), "e", "95331234", "05925550102", false)
	edit, _ = client.Report(ctx, console.NewReport{Caller: "95331234", Extension: "8002", Callee: "05925550102"})
	if r, err := client.ConfirmReport(ctx, edit.ID, false); err != nil || r.Note != "" || !d.db.HasEntry("blacklist", "+8695331234") {
		t.Errorf("%+v, %v", r, err)
	}

	// It is all there after a restart.
	client.Close()
	halt(t, d)
	d = start(t, c)
	client = dial(t, c)
	if n := len(list("")); n != 3 || len(list(console.ReportConfirmed)) != 3 {
		t.Errorf("%d reports after a restart", n)
	}
	if rule := ruleFor(t, in(d), "95211613", "05925550101"); rule != "listed" {
		t.Errorf("after a restart: %s", rule)
	}
}

// Nobody gets a number listed that must get through, or that is none: it cannot be marked, and a mark of before cannot be confirmed.
//
// long: because the callers are held against both ways
func TestReportsThatListNobody(t *testing.T) {
	c := installation(t, reporting)
	d := in(start(t, c))
	ctx := t.Context()
	if _, err := d.AddEntries(ctx, "allowlist", []console.NewEntry{{Number: "13800138???", Reason: "couriers"}}, false); err != nil {
		t.Fatal(err)
	}
	p := d.d.force.Rules().Policy
	for caller, want := range map[string][2]string{
		"110":                     {"+86110 cannot be marked: +86110 is an emergency number", "+86110 is an emergency number"},
		"4008111111":              {"is under never_screen in the policy", "+864008111111 is under never_screen in the policy"},
		"8001":                    {"8001 is an internal number, which cannot be marked", "8001 is an internal number"},
		"13800138000":             {"is on list allowlist, as 13800138???", "+8613800138000 is on list allowlist, as 13800138???: take it off first"},
		"anonymous":               {"the caller withheld the number", "the caller withheld the number"},
		"fraud":                   {`"fraud" is no whole number`, `"fraud" is not a number`},
		"030":                     {`"030" is no whole number, and a prefix or a name cannot be marked`, "is not a number"},
		"0043":                    {`"0043" is no whole number`, "is not a number"},
		"9521*":                   {`"9521*" are several numbers, and a mark is of one caller`, "is not a number"},
		"9521????":                {"are several numbers", "is not a number"},
		"05925550100-05925550199": {"are several numbers", "is not a number"},
		"${x}\n\xff":              {"is no whole number", "is not a number"},
	} {
		screen(d, "a", caller, "80", false)
		if _, err := d.Report(ctx, console.NewReport{Caller: caller, Extension: "80\n01", Callee: "80"}); !errors.Is(err, console.ErrConflict) && !errors.Is(err, console.ErrBad) || !strings.Contains(err.Error(), want[0]) {
			t.Errorf("%q: %v\nwant %s", caller, err, want[0])
		}
		n := p.Call(policy.Facts{Caller: caller}).Caller
		if err := d.AddReport("8001", traffic.LastCall{Caller: n, Time: time.Now()}); !errors.Is(err, console.ErrConflict) {
			t.Errorf("%q by the star code: %v", caller, err)
		}
		old, _, err := d.d.db.AddReport(storage.Report{Extension: "8001", Caller: storage.Caller{Raw: number.Inert(caller), E164: n.E164, Kind: n.Kind.String()}})
		if err != nil {
			t.Errorf("%q: %v", caller, err)
			continue
		}
		_, err = d.ConfirmReport(ctx, old.ID, false)
		if !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), want[1]) || !strings.Contains(err.Error(), "reports dismiss "+old.ID) {
			t.Errorf("%q: %v\nwant %s", caller, err, want[1])
		}
		if r, err := d.d.db.Report(old.ID); err != nil || r.State != storage.ReportOpen {
			t.Errorf("%q: %+v, %v", caller, r, err)
		}
	}
	if err := d.Entries(ctx, "blacklist", func(e console.ListEntry) error { t.Errorf("listed %+v", e); return nil }); !errors.Is(err, console.ErrNotFound) {
		t.Error(err)
	}
	// A withheld number that is known may be listed: lists look at it, and no handset shows it.
	n := p.Plan().Parse("95211613")
	if err := d.AddReport("80\n01", traffic.LastCall{Caller: n.Withheld(), Withheld: true, Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	var id string
	d.Reports(ctx, console.ReportsQuery{State: console.ReportOpen}, func(r console.Report) error {
		if r.Caller.E164 == "+8695211613" && r.Extension == "8001" {
			id = r.ID
		}
		return nil
	})
	if edit, err := d.ConfirmReport(ctx, id, false); err != nil || edit.Change != console.Confirmed || !edit.Caller.Withheld {
		t.Errorf("%+v, %v", edit, err)
	}

	for name, err := range map[string]error{
		"no caller":    second(d.Report(ctx, console.NewReport{Extension: "8001"})),
		"no extension": second(d.Report(ctx, console.NewReport{Caller: "95588"})),
	} {
		if !errors.Is(err, console.ErrBad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{"x", storage.NewID(time.Now())} {
		for _, err := range []error{second(d.ConfirmReport(ctx, id, false)), second(d.DismissReport(ctx, id)), second(d.LiftReport(ctx, id)), second(d.ShowReport(ctx, id))} {
			if !errors.Is(err, console.ErrNotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A policy whose rules do not ask for the list says so to who confirms.
func TestConfirmWithoutARule(t *testing.T) {
	d := in(start(t, installation(t, "country = \"CN\"\n")))
	screen(d, "a", "95211613", "8001", false)
	edit, err := d.Report(t.Context(), console.NewReport{Caller: "95211613", Extension: "8001"})
	if err != nil {
		t.Fatal(err)
	}
	if edit, err = d.ConfirmReport(t.Context(), edit.ID, false); err != nil || edit.Note != "no rule of the policy asks for this list" {
		t.Errorf("%+v, %v", edit, err)
	}
}
