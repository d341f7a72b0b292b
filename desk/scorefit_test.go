package desk

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

const fitPolicy = `
country = "CN"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.unused]
numbers = ["05925550800-05925550899"]
decoy = true
[[detector]]
name = "dials"
key = "caller"
count = "callees"
trip = 20
window = "1h"
[[detector]]
name = "wakes"
key = "prefix"
depth = { 6 = 20 }
count = "strangers"
window = "1h"
[[rule]]
name = "ours"
when = { list = ["allowlist"] }
action = "allow"
[[rule]]
name = "bad"
when = { score_at_least = 3 }
action = "reject"
`

// fitDesk has a journal in which pests call many numbers briefly and friends talk, and a mark of each.
type fitDesk struct {
	*running
	t *testing.T
}

// call puts a call into the journal.
func (d *fitDesk) call(at time.Time, caller, callee string, ring, talk float64) string {
	id := storage.NewID(at)
	if !d.journal.Add(storage.Record{
		ID: id, Time: at, Caller: storage.Caller{Raw: caller, E164: "+86" + caller, Kind: "mobile"}, Callee: callee, Line: "staff", Action: "allow",
		Outcome: &storage.Outcome{Answered: talk > 0, RingS: ring, TalkS: talk, By: "caller"},
	}) {
		d.t.Fatal("the journal takes no call")
	}
	return id
}

// mark reports a caller of a call and decides about it.
func (d *fitDesk) mark(at time.Time, caller, call, state string) {
	r, _, err := d.db.AddReport(storage.Report{Time: at, Caller: storage.Caller{Raw: caller, E164: "+86" + caller, Kind: "mobile"}, Extension: "8001", Line: "staff", Call: call})
	if err == nil && state != storage.ReportOpen {
		_, _, err = d.db.DecideReport(r.ID, state, "li")
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func startFit(t *testing.T) *fitDesk {
	d, _ := startLogging(t, installation(t, fitPolicy))
	return &fitDesk{d, t}
}

// What was found of a marked call is rebuilt from the journal, as it was when the call came.
func TestFitRebuilds(t *testing.T) {
	d, at := startFit(t), time.Now().Add(-48*time.Hour)
	pest := "13900000001"
	d.call(at.Add(-20*24*time.Hour), pest, "05925550100", 3, 90)
	d.call(at.Add(-25*time.Hour), pest, "05925550100", 3, 3) // too long ago
	for i := range 5 {
		d.call(at.Add(time.Duration(i-10)*time.Minute), pest, fmt.Sprint("0592555010", i), 3, 3)
	}
	d.call(at.Add(-4*time.Minute), pest, "05925550801", 20, 0)
	d.call(at.Add(-3*time.Minute), pest, "05925550100", 3, 600) // goes on
	d.mark(at.Add(-2*time.Minute), pest, "", storage.ReportOpen)
	id := storage.NewID(at)
	d.journal.Add(storage.Record{
		ID: id, Time: at, Caller: storage.Caller{Raw: pest, E164: "+86" + pest, Kind: "mobile"}, Callee: "05925550802", Line: "staff", Action: "allow",
		Tripped: []string{"dials: +86" + pest + " (on trial)", "wakes: firm A (Xiamen)", "gone: 1"}, TrippedBy: []string{"wakes", "gone"}, Outcome: &storage.Outcome{Answered: true, RingS: 3, TalkS: 3},
	})
	d.call(at.Add(time.Minute), pest, "05925550803", 3, 3) // later
	if err := d.journal.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.mark(at.Add(30*time.Second), pest, id, storage.ReportConfirmed)
	f := &scoreFit{d: d.Desk, policy: d.force.Rules().Policy, of: make(map[string]*fitCaller), out: &console.ScoreFit{}}
	if err := f.readMarks(); err != nil {
		t.Fatal(err)
	}
	if err := f.readCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := f.of["+86"+pest]
	if x == nil || x.call() == nil || x.call().ID != id {
		t.Fatalf("the marked call is not found: %+v", f.of)
	}
	full := &scoreFit{d: d.Desk, policy: f.policy, of: make(map[string]*fitCaller), out: &console.ScoreFit{Callers: fewMarks}, kept: maxFitRecords - 2}
	if err := full.readMarks(); err != nil {
		t.Fatal(err)
	}
	if err := full.readCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	if full.warn(); full.kept != maxFitRecords || full.over != 8 || !strings.Contains(strings.Join(full.out.Warnings, "\n"), "8 later calls of these callers found no room") {
		t.Errorf("%d calls kept, %d found no room, %q", full.kept, full.over, full.out.Warnings)
	}
	c := f.rebuilt(x, x.call())
	if c.Tripped != policy.DetectorSet(0).With(1) {
		t.Errorf("tripped were %b, want the one that did not only record it", c.Tripped)
	}
	marks := c.Evidence.Marks
	c.Evidence.Marks = 0
	if want := (policy.Evidence{Calls: 8, Callees: 7, Decoys: 2, Short: 5, Unanswered: 1}); c.Evidence != want {
		t.Errorf("got %+v, want %+v", c.Evidence, want)
	}
	if marks < 0.9 || marks > 1 || c.KnownLines != 1 || c.KnownToLine.IsZero() || c.FirstTime || c.Caller.E164 != "+86"+pest {
		t.Errorf("marks %v, known to %d lines, %+v", marks, c.KnownLines, c)
	}
}

// Weights are proposed from what people decided, with how sure they are; the same each time, and nothing is set.
func TestFitScore(t *testing.T) {
	d, at := startFit(t), time.Now().Add(-48*time.Hour)
	fit := func(q console.FitQuery) *console.ScoreFit {
		t.Helper()
		if err := d.journal.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		f, err := d.FitScore(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := fit(console.FitQuery{}); f.Callers != 0 || len(f.Terms) != len(policy.ScoreTerms()) || len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "no mark has been decided") {
		t.Errorf("without marks: %+v", f)
	}
	for i := range 40 {
		pest, friend := fmt.Sprintf("1390000%04d", i), fmt.Sprintf("1380000%04d", i)
		from, id := at.Add(time.Duration(i)*20*time.Minute), ""
		for j := range 6 {
			id = d.call(from.Add(time.Duration(j)*time.Minute), pest, fmt.Sprintf("0592555%04d", 100+j), 2, 4)
		}
		d.mark(from.Add(10*time.Minute), pest, id, storage.ReportConfirmed)
		d.call(from.Add(-4*time.Hour), friend, "05925550100", 5, 120)
		id = d.call(from, friend, "05925550100", 5, 120)
		if i < 15 {
			d.mark(from.Add(10*time.Minute), friend, id, storage.ReportDismissed)
		}
	}
	d.mark(at, "13700000000", "", storage.ReportConfirmed) // of whom the journal has no call
	f := fit(console.FitQuery{})
	if f.Callers != 55 || f.Unwanted != 40 || f.Wanted != 15 || f.Lost != 1 || f.Unsettled || len(f.Warnings) != 0 {
		t.Errorf("%+v", f)
	}
	terms := map[string]console.FittedTerm{}
	for _, term := range f.Terms {
		terms[term.Name] = term
		if term.Stays == "" && (term.Low > term.Proposed || term.High < term.Proposed) || term.Stays != "" && term.Proposed != term.Now {
			t.Errorf("%+v", term)
		}
	}
	if s := terms["short_calls"]; s.Stays != "" || s.Proposed <= s.Now || s.Found != 40 {
		t.Errorf("short calls tell pests, and yet %+v", s)
	}
	if s := terms["known"]; s.Stays != "" || s.Proposed > s.Now || s.Found != 15 {
		t.Errorf("acquaintance tells friends, and yet %+v", s)
	}
	for name, why := range map[string]string{"prior": "how rare", "passed": "the journal does not say", "decoy": "none of these callers had it"} {
		if !strings.Contains(terms[name].Stays, why) {
			t.Errorf("%s stays since %q, want %q", name, terms[name].Stays, why)
		}
	}
	if again := fit(console.FitQuery{}); fmt.Sprint(again) != fmt.Sprint(f) {
		t.Errorf("%+v became %+v", f, again)
	}
	if f := fit(console.FitQuery{Since: time.Now()}); f.Callers != 0 {
		t.Errorf("of no time: %+v", f)
	}
	addTo(t, d.running, "allowlist", "13800000020", "")
	if f := fit(console.FitQuery{Allowlist: true}); f.Callers != 56 || f.Listed != 1 {
		t.Errorf("with the allowlist: %+v", f)
	}
}

// One-sided and few marks are warned of.
func TestFitWarns(t *testing.T) {
	d, at := startFit(t), time.Now().Add(-time.Hour)
	for i := range 3 {
		pest := fmt.Sprintf("1390000%04d", i)
		d.mark(at.Add(time.Minute), pest, d.call(at, pest, "05925550100", 2, 4), storage.ReportConfirmed)
	}
	if err := d.journal.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := d.FitScore(t.Context(), console.FitQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(f.Warnings, "\n"); f.Callers != 3 || !strings.Contains(text, "all 3 callers are unwanted ones") || !strings.Contains(text, "3 callers are few") {
		t.Errorf("%+v", f)
	}
	for _, term := range f.Terms {
		if term.Stays == "" || term.Proposed != term.Now {
			t.Errorf("%+v is proposed", term)
		}
	}
}
