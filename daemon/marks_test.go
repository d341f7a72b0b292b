package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

const marking = `
country = "CN"
timezone = "Asia/Shanghai"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550100-05925550199"]
[lines.hotline]
numbers = ["4008001234"]
[lines.clinic]
numbers = ["05925550200-05925550299"]
[[rule]]
name = "ours"
when = { list = ["allowlist", "line:allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "known"
when = { known_caller = "30d" }
action = "tag"
label = "known"
`

// put writes a call into the journal, with what became of it.
func put(t *testing.T, d *house, caller, callee string, talk time.Duration, action string) string {
	t.Helper()
	p := d.d.force.Rules().Policy
	c := p.Call(policy.Facts{Caller: caller, Callee: callee, Time: d.d.now()})
	rec := storage.Record{
		ID: storage.NewID(d.d.now()), Time: d.d.now(), Caller: storage.Caller{Raw: caller, E164: c.Caller.E164, Kind: c.Caller.Kind.String()},
		Callee: callee, Line: p.LineOf(&c.Callee), Action: action, Would: action, Mode: "enforce", Rule: "x",
		Outcome: &storage.Outcome{Answered: talk > 0, RingS: 3, TalkS: talk.Seconds()},
	}
	if action == "reject" {
		rec.Outcome = &storage.Outcome{By: "ringfence"}
	}
	if key := d.d.desk; key != nil && d.d.conf.Journal.Private {
		private, err := openPrivate(d.d.conf, false)
		if err != nil {
			t.Fatal(err)
		}
		private.HideKept(&rec, p.Plan())
	}
	if !d.d.journal.Add(rec) {
		t.Fatal("the journal is full")
	}
	return rec.ID
}

func mark(t *testing.T, d *house, caller, callee string) *console.ReportEdit {
	t.Helper()
	put(t, d, caller, callee, 3*time.Second, "allow")
	edit, err := d.Report(t.Context(), console.NewReport{Caller: caller, Callee: callee})
	if err != nil {
		t.Fatal(err)
	}
	return edit
}

// A mark ends the acquaintance of the customer's line and no other's, and the passes; on disk as well.
func TestMarkEndsAcquaintance(t *testing.T) {
	for _, private := range []bool{false, true} {
		t.Run(fmt.Sprintf("private %v", private), func(t *testing.T) {
			c := installation(t, marking)
			c.Journal.Private = private
			first := start(t, c)
			d := in(first)
			for _, line := range []string{"staff", "hotline"} {
				first.memory.Meet(line, "+8613800138000", time.Now())
			}
			if rule := ruleFor(t, d, "13800138000", "05925550100"); rule != "known" {
				t.Fatalf("before: %s", rule)
			}
			mark(t, d, "13800138000", "05925550101")
			look := func(when string, d *house) {
				t.Helper()
				if rule := ruleFor(t, d, "13800138000", "05925550100"); rule != policy.RuleDefault {
					t.Errorf("%s, the line that marked: %s", when, rule)
				}
				if rule := ruleFor(t, d, "13800138000", "4008001234"); rule != "known" {
					t.Errorf("%s, another line: %s", when, rule)
				}
			}
			look("after the mark", d)
			halt(t, first)
			d = in(start(t, c))
			look("after a restart", d)
			if n := d.d.desk.MarksOf("+8613800138000", time.Now()); n < 0.99 || n > 1 {
				t.Errorf("its marks count %v after a restart", n)
			}
			if n := d.d.desk.MarksOf("+8613800138001", time.Now()); n != 0 {
				t.Errorf("another's count %v", n)
			}
		})
	}
}

// Ten extensions of one customer are one mark, and do not weigh more than one; three customers are three.
func TestOneMarkACustomer(t *testing.T) {
	d := in(start(t, installation(t, marking)))
	for i := range 10 {
		put(t, d, "95211613", fmt.Sprint("0592555010", i), time.Second, "allow")
		if _, err := d.Report(t.Context(), console.NewReport{Caller: "95211613", Callee: fmt.Sprint("0592555010", i), Extension: fmt.Sprint(8000 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	other := mark(t, d, "95211614", "05925550100")
	for _, callee := range []string{"4008001234", "05925550200"} {
		mark(t, d, "95211614", callee)
	}
	var all []console.Report
	if err := d.Reports(t.Context(), console.ReportsQuery{State: console.ReportOpen}, func(r console.Report) error { all = append(all, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(all) != 4 || all[0].Caller.E164 != "+8695211614" || all[0].Weight != 3 || all[3].Caller.E164 != "+8695211613" || all[3].Weight != 1 || all[3].Repeats != 9 || len(all[3].Marks) != 10 {
		t.Errorf("%+v", all)
	}
	if n := d.d.desk.MarksOf("+8695211613", time.Now()); n < 0.99 || n > 1 {
		t.Errorf("for the score they count %v", n)
	}
	if n := d.d.desk.MarksOf("+8695211614", time.Now()); n < 2.99 {
		t.Errorf("three customers' count %v", n)
	}
	if _, err := d.DismissReport(t.Context(), other.ID); err != nil {
		t.Fatal(err)
	}
	if n := d.d.desk.MarksOf("+8695211614", time.Now()); n < 1.99 || n > 2 {
		t.Errorf("after one was dismissed they count %v", n)
	}
	now := time.Now().Add(30 * 24 * time.Hour)
	if n := d.d.desk.MarksOf("+8695211613", now); n < 0.49 || n > 0.51 {
		t.Errorf("a month old it counts %v", n)
	}
}

// Numbers of no line are together one customer: whoever has ten of them marks once, and lists nobody alone.
func TestMarksWithoutALine(t *testing.T) {
	c := installation(t, marking)
	c.Reports.AutoConfirm = 0.01
	d := in(start(t, c))
	old := storage.Report{Caller: storage.Caller{E164: "+8695211613"}, Extension: "8009"} // of when each extension had a report
	if _, _, err := d.d.db.AddReport(old); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		mark(t, d, "95211613", fmt.Sprint("0592666010", i))
		if _, err := d.Report(t.Context(), console.NewReport{Caller: "95211613", Callee: "05926660100", Extension: fmt.Sprint(8000 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	if err := d.Reports(t.Context(), console.ReportsQuery{}, func(r console.Report) error { ids = append(ids, r.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	e, err := d.ShowReport(t.Context(), ids[0])
	if err != nil || len(ids) != 1 || e.Customers != 1 || e.Reached != 1 || e.Repeats != 10 || e.State != console.ReportOpen {
		t.Errorf("%d reports, %+v, %v", len(ids), e, err)
	}
}

// A mark is taken for a call that rang where it is made, and for no other.
func TestMarkNeedsACall(t *testing.T) {
	for _, private := range []bool{false, true} {
		c := installation(t, marking)
		c.Journal.Private = private
		d := in(start(t, c))
		now := time.Now()
		d.d.stopClock(now.Add(-31 * 24 * time.Hour))
		put(t, d, "95211611", "05925550100", time.Second, "allow")
		d.d.stopClock(now)
		rang := put(t, d, "95211613", "05925550100", 0, "allow")
		stopped := put(t, d, "95211614", "05925550100", 0, "reject")
		put(t, d, "95211615", "8001", 0, "allow")
		for name, c := range map[string]struct {
			q    console.NewReport
			want string // "" for a mark
		}{
			"by the number":                {console.NewReport{Caller: "95211613", Callee: "0592 555 0100"}, ""},
			"by another of the line":       {console.NewReport{Caller: "8695211613", Callee: "05925550101"}, ""},
			"by the call":                  {console.NewReport{Caller: "95211613", Extension: "8003", Call: strings.ToLower(rang)}, ""},
			"by the extension as number":   {console.NewReport{Caller: "95211615", Extension: "8001"}, ""},
			"another line":                 {console.NewReport{Caller: "95211613", Callee: "4008001234"}, "no call of +8695211613 rang at 4008001234 or its line"},
			"the call, at another line":    {console.NewReport{Caller: "95211613", Callee: "4008001234", Call: rang}, "has no call"},
			"another's call":               {console.NewReport{Caller: "95211612", Callee: "05925550100", Call: rang}, "has no call"},
			"the neighbour":                {console.NewReport{Caller: "95211612", Callee: "05925550100"}, "no call of +8695211612 rang"},
			"a call that was stopped":      {console.NewReport{Caller: "95211614", Callee: "05925550100"}, "no call of +8695211614 rang"},
			"the call that was stopped":    {console.NewReport{Caller: "95211614", Callee: "05925550100", Call: stopped}, "did not ring"},
			"of more than 30 days ago":     {console.NewReport{Caller: "95211611", Callee: "05925550100"}, "no call of +8695211611 rang"},
			"the extension did not ring":   {console.NewReport{Caller: "95211613", Extension: "8001"}, "name that (--callee) or the call (--call)"},
			"an id that is none":           {console.NewReport{Caller: "95211613", Callee: "05925550100", Call: "x y"}, "has no call"},
			"a token instead of a number":  {console.NewReport{Caller: "hmac:+86-9521:" + strings.Repeat("0", 32), Callee: "05925550100"}, "write the number that called"},
			"who called, by their numbers": {console.NewReport{Caller: "05925550100", Callee: "95211613"}, "no call of +865925550100 rang"},
		} {
			_, err := d.Report(t.Context(), c.q)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("private %v, %s: %v, want %q", private, name, err, c.want)
			}
		}
	}
}

// The evidence says what the caller and the numbers around them did; four of ten, listed or marked by different customers, propose the ten, and nothing else can be listed by --prefix. Lifting takes it off.
//
// long: because one block of numbers goes from marks to the list and off again
func TestEvidenceAndRange(t *testing.T) {
	for _, private := range []bool{false, true} {
		c := installation(t, marking)
		c.Journal.Private = private
		d, ctx := in(start(t, c)), t.Context()
		var ids []string
		for _, caller := range []string{"95211610", "95211613", "95211614"} {
			ids = append(ids, mark(t, d, caller, "05925550100").ID)
		}
		put(t, d, "95211613", "4008001234", 90*time.Second, "allow")
		put(t, d, "95211613", "05925550105", 0, "reject")
		put(t, d, "95211618", "05925550200", 0, "allow") // another of the ten, nobody's nuisance
		put(t, d, "95211699", "05925550200", 0, "allow")
		put(t, d, "95211799", "05925550200", 0, "allow") // not of the hundred
		show := func(id string) *console.ReportEvidence {
			t.Helper()
			e, err := d.ShowReport(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		e := show(ids[1])
		if e.Did.Calls != 3 || e.Did.Rang != 2 || e.Did.Answered != 2 || e.Did.Short != 1 || e.Did.Long != 1 || e.Did.Callees != 3 || e.Effect != (console.Effect{Stops: 2, Long: 1}) || e.Cut {
			t.Errorf("private %v: %+v, %+v", private, e.Did, e.Effect)
		}
		if e.Around == nil || e.Around.Range != "9521161?" || e.Around.Callers != 4 || e.Around.Marked != 3 || e.Around.Calls != 6 || e.Hundred.Range != "952116??" || e.Hundred.Callers != 5 {
			t.Errorf("private %v: %+v, %+v", private, e.Around, e.Hundred)
		}
		if e.Customers != 1 || e.Reached != 2 || e.Weight != 1 || e.Unwanted != 0.095 || e.Confidence != 0.095 { // one customer's marks of four callers count for one
			t.Errorf("private %v: %d of %d customers, %v weighs %v, %v sure", private, e.Customers, e.Reached, e.Unwanted, e.Weight, e.Confidence)
		}
		if _, err := d.ConfirmReport(ctx, ids[1], true); e.Proposal != nil || !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "no range is proposed") {
			t.Errorf("three of ten: %+v, %v", e.Proposal, err)
		}
		mark(t, d, "95211619", "05925550100")
		if e := show(ids[1]); e.Proposal != nil || e.Around.Marked != 4 {
			t.Errorf("four by one customer: %+v, %+v", e.Proposal, e.Around)
		}
		mark(t, d, "95211619", "4008001234")
		if _, err := d.ConfirmReport(ctx, ids[0], false); err != nil {
			t.Fatal(err)
		}
		if _, err := d.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "95211614"}}, false); err != nil {
			t.Fatal(err)
		}
		e = show(ids[1])
		if e.Proposal == nil || e.Proposal.Range != "9521161?" || e.Proposal.Members != 4 || e.Proposal.Effect != (console.Effect{Stops: 7, Long: 1}) {
			t.Fatalf("private %v: %+v, %q", private, e.Proposal, e.Why)
		}
		// One that is trusted, or known, is in the way.
		if _, err := d.AddEntries(ctx, "allowlist", []console.NewEntry{{Number: "95211615"}}, false); err != nil {
			t.Fatal(err)
		}
		if e := show(ids[1]); e.Proposal != nil || e.Why != "+8695211615 is on the allowlist" {
			t.Errorf("%+v, %q", e.Proposal, e.Why)
		}
		if _, err := d.RemoveEntries(ctx, "allowlist", []string{"95211615"}, true); err != nil {
			t.Fatal(err)
		}
		d.d.memory.Meet("clinic", "+8695211616", time.Now())
		if _, err := d.ConfirmReport(ctx, ids[1], true); err == nil || !strings.Contains(err.Error(), "+8695211616 is known to a line") {
			t.Errorf("with an acquaintance: %v", err)
		}
		d.d.memory.Known.Part(d.d.memory.Name("+8695211616"), "")

		edit, err := d.ConfirmReport(ctx, ids[1], true)
		if err != nil || edit.Number != "9521161?" || edit.Free != 1 {
			t.Fatalf("private %v: %+v, %v", private, edit, err)
		}
		rule := func(caller, want string) {
			t.Helper()
			if got := ruleFor(t, d, caller, "05925550100"); got != want {
				t.Errorf("private %v, %s: %s, want %s", private, caller, got, want)
			}
		}
		rule("95211611", "listed")
		rule("95211621", policy.RuleDefault)
		if e := show(ids[1]); !e.Listed || e.Entry != "9521161?" {
			t.Errorf("%+v", e)
		}
		// Undone, the report says so; confirmed again it is there again.
		var last console.ListChange
		d.Changes(ctx, "blacklist", func(c console.ListChange) error { last = c; return nil })
		if _, err := d.Undo(ctx, last.ID); err != nil {
			t.Fatal(err)
		}
		rule("95211611", policy.RuleDefault)
		if e := show(ids[1]); e.Listed || e.State != console.ReportConfirmed {
			t.Errorf("after an undo: %+v", e.Report)
		}
		if edit, err := d.ConfirmReport(ctx, ids[1], true); err != nil || edit.Note != "it had been taken off meanwhile" {
			t.Errorf("%+v, %v", edit, err)
		}
		rule("95211611", "listed")
		lifted, err := d.LiftReport(ctx, ids[1])
		if err != nil || lifted.State != console.ReportLifted || lifted.LiftedBy != "" || lifted.Number != "9521161?" || lifted.Note != "" {
			t.Errorf("private %v: %+v, %v", private, lifted, err)
		}
		rule("95211611", policy.RuleDefault)
		// The undo of that puts it there again, and the report's own words stay.
		d.Changes(ctx, "blacklist", func(c console.ListChange) error { last = c; return nil })
		if _, err := d.Undo(ctx, last.ID); err != nil {
			t.Fatal(err)
		}
		rule("95211611", "listed")
		if again, err := d.ConfirmReport(ctx, ids[1], false); err != nil || again.Number != "+8695211613" {
			t.Errorf("the number alone: %+v, %v", again, err)
		}
	}
}

// What somebody let go is remembered: it is shown, and marks of that caller count for less.
func TestDismissedIsRemembered(t *testing.T) {
	d, ctx := in(start(t, installation(t, marking))), t.Context()
	first := mark(t, d, "95211613", "05925550100")
	if _, err := d.DismissReport(ctx, first.ID); err != nil {
		t.Fatal(err)
	}
	again := mark(t, d, "95211613", "05925550100")
	e, err := d.ShowReport(ctx, again.ID)
	if err != nil || again.ID == first.ID || len(e.Others) != 1 || e.Others[0].ID != first.ID || e.Others[0].State != console.ReportDismissed || e.Weight != 0.5 {
		t.Errorf("%+v, %v", e, err)
	}
}

// Above the confidence that the administrator asks for a mark is confirmed by itself: not of one customer, not of an acquaintance of two, not of who is trusted.
func TestAutoConfirm(t *testing.T) {
	c := installation(t, marking)
	c.Reports.AutoConfirm = 0.5
	daemon := start(t, c)
	d, ctx := in(daemon), t.Context()
	state := func(caller string) (states []string) {
		t.Helper()
		if err := d.Reports(ctx, console.ReportsQuery{}, func(r console.Report) error {
			if r.Caller.E164 == "+86"+caller {
				states = append(states, r.State+" "+r.Who)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(states)
		return states
	}
	await := func(caller, want string) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(30 * time.Second); ; <-tick.C {
			if got := state(caller); slices.Contains(got, want) {
				return
			} else if time.Now().After(end) {
				t.Fatalf("%s: %v, want one that is %s", caller, got, want)
			}
		}
	}
	// One customer alone, whatever the numbers around do; and one whom two customers deal with.
	for _, line := range []string{"hotline", "clinic"} {
		daemon.memory.Meet(line, "+8695211614", time.Now())
	}
	for i := range 9 {
		mark(t, d, fmt.Sprint("9521161", i), "05925550100")
	}
	mark(t, d, "95211614", "05925550199")
	mark(t, d, "95211613", "4008001234") // nor another's mark where one customer has marked all numbers around
	// Where a person has listed those around, two customers are enough.
	for i := range 9 {
		if _, err := d.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: fmt.Sprint("9521162", i)}}, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, callee := range []string{"05925550100", "4008001234"} {
		mark(t, d, "95211629", callee)
	}
	await("95211629", "confirmed auto")
	if got := state("95211612"); !slices.Equal(got, []string{"open "}) {
		t.Errorf("of one customer: %v", got)
	}
	if got := state("95211613"); !slices.Equal(got, []string{"open ", "open "}) {
		t.Errorf("of two, by what one of them marked around: %v", got)
	}
	if got := state("95211614"); !slices.Equal(got, []string{"open "}) {
		t.Errorf("known to two customers: %v", got)
	}
	if rule := ruleFor(t, d, "95211629", "05925550100"); rule != "listed" {
		t.Errorf("the call after it: %s", rule)
	}
	var entries []console.ListEntry
	d.Entries(ctx, "blacklist", func(e console.ListEntry) error { entries = append(entries, e); return nil })
	if len(entries) != 10 || !slices.ContainsFunc(entries, func(e console.ListEntry) bool { return e.Number == "+8695211629" && e.Who == "auto" }) {
		t.Errorf("%+v", entries)
	}
}

// Who is forgotten is forgotten as the last who was stopped, and their marks count no more.
func TestForgetMarks(t *testing.T) {
	d := in(start(t, installation(t, marking)))
	d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "9521*"}}, false)
	mark(t, d, "13800138000", "05925550100")
	f := bridge.Facts{UUID: "a", Number: "95211613", FromUser: "95211613", Callee: "05925550100"}
	v := d.Screen(&f)
	d.Record(&f, &v, bridge.Result{})
	for number, want := range map[string]int{"95211613": 2, "13800138000": 0} {
		n := held(t, d, number)
		if n[console.HeldLastCall] != want {
			t.Errorf("of %s is held %v", number, n)
		}
		if _, err := d.Forget(t.Context(), console.ForgetQuery{Number: number}); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.d.desk.MarksOf("+8613800138000", time.Now()); n != 0 {
		t.Errorf("the marks count %v", n)
	}
	if _, _, ok := stoppedAt(d, "05925550100"); ok {
		t.Error("the last who was stopped is still known")
	}
}

func stoppedAt(d *house, number string) (c traffic.LastCall, key string, ok bool) {
	n := d.d.force.Rules().Policy.Call(policy.Facts{Callee: number}).Callee
	key = traffic.CalleeKey(&n)
	c, ok = d.d.memory.Stopped.Get(key, func(string) bool { return true }, time.Now())
	return c, key, ok
}

// A detector that counts reports counts each customer's mark of a caller once.
func TestMarksTripADetector(t *testing.T) {
	d := in(start(t, installation(t, marking+`
[[detector]]
name = "marked"
key = "caller"
count = "reports"
window = "24h"
trip = 2
hold = "1h"
[[rule]]
name = "marked by several"
when = { tripped = ["marked"] }
action = "challenge"
`)))
	rule := func() string { return ruleFor(t, d, "95211613", "05925550100") }
	for i := range 5 {
		put(t, d, "95211613", "05925550100", time.Second, "allow")
		if _, err := d.Report(t.Context(), console.NewReport{Caller: "95211613", Callee: "05925550100", Extension: fmt.Sprint(8000 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := rule(); got != policy.RuleDefault {
		t.Errorf("marked by one customer: %s", got)
	}
	// Two days later only what is marked then counts, also where a report waits still.
	d.d.stopClock(time.Now().Add(48 * time.Hour))
	mark(t, d, "95211613", "4008001234")
	if got := rule(); got != policy.RuleDefault {
		t.Errorf("marked by another customer two days later: %s", got)
	}
	mark(t, d, "95211613", "05925550100")
	if got := rule(); got != "marked by several" {
		t.Errorf("marked by two customers: %s", got)
	}
}
