package replay

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const labelPolicy = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[trunks.telecom]
match    = ["gateway:telecom"]
max_held = 2
[[rule]]
name   = "refused"
when   = { caller = ["9521????"] }
action = "reject"
[[rule]]
name   = "asked"
when   = { caller = ["9520????", "138001380*"] }
action = "challenge"
grace  = "10m"
[[rule]]
name   = "on trial"
when   = { caller = ["9530????"] }
action = "reject"
mode   = "observe"
[[rule]]
name   = "marked"
when   = { caller = ["95??????"] }
action = "tag"
label  = "?"
`

// table is call detail records: minutes after nine, caller, seconds of talk, label.
func table(rows ...string) string {
	text := "src,dst,start,billsec,disposition,gateway,campaign\n"
	for _, row := range rows {
		var after, talk int
		var caller, label string
		fmt.Sscanf(row, "%d %s %d %s", &after, &caller, &talk, &label)
		at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(after) * time.Second)
		answered := "NO ANSWER"
		if talk > 0 {
			answered = "ANSWERED"
		}
		text += fmt.Sprintf("%s,05925550100,%s,%d,%s,telecom,%s\n", caller, at.Format(time.DateTime), talk, answered, label)
	}
	return text
}

func runLabelled(t *testing.T, text, policy string, o Options) *Report {
	t.Helper()
	p := mustLoad(t, policy)
	o.Judge, o.Keep = NewJudge(p, nil), 20
	s := mustOpen(t, "cdr.csv", text, SourceOptions{Zone: p.Zone(), Columns: Columns{Label: "campaign"}})
	r, err := Run(t.Context(), []*Source{s}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What becomes of labelled calls is counted as what rings, and what does not.
func TestLabels(t *testing.T) {
	text := table(
		"0 95211234 10 head",   // rejected
		"10 95201234 10 head",  // challenged
		"20 95201234 10 head",  // and once more, too soon
		"100 95201234 10 head", // grace: rings
		"200 95201234 10 head", // no more today
		"300 95300001 10 1",    // rings with a label, would be rejected
		"400 95400001 10 unwanted",
		"500 13900139000 70",     // wanted
		"600 13800138000 70 0",   // challenged although wanted
		"1200 13800138000 70 no", // and again, beyond grace
		"1500 95212345 90 false", // rejected although wanted
		"1600 95400002 90 NULL",  // labelled although wanted
	)
	each := ""
	r := runLabelled(t, text, labelPolicy, Options{Each: func(f *Fate) { each += fmt.Sprintf("%s %s %v %s\n", f.Caller, f.Does, f.Rings, f.Label) }})
	golden(t, "labels.golden", each+reportText(t, r))
	if r.Summary.Calls != 12 || r.Summary.OutOfOrder != 0 {
		t.Errorf("%+v", r.Summary)
	}
	l := r.Labels
	if got := fmt.Sprintf("%+v", l.Campaigns); got != "[{Name:head Calls:5 Stopped:4 Touched:4 Leaked:1 Before:1 Tripped:false}]" {
		t.Errorf("campaigns: %s", got)
	}
	got := fmt.Sprint(l.All.Unwanted.Calls, l.All.Unwanted.Stopped.Calls, l.All.Unwanted.Rang.Calls, l.All.Unwanted.WouldStop.Calls, l.All.Wanted.Touched.Calls, l.All.Wanted.Rejected.Calls, l.All.Wanted.Challenged.Calls)
	if got != "7 4 3 1 4 1 2" {
		t.Errorf("got %s", got)
	}
	// Who is wanted may be taken to pass.
	r = runLabelled(t, text, labelPolicy, Options{WantedPass: true})
	if got := r.Labels.All.Wanted.Challenged.Calls; got != 1 {
		t.Errorf("%d wanted calls challenged, of a caller who passes", got)
	}
	// The same whatever the number of workers.
	for _, workers := range []int{1, 3} {
		again := runLabelled(t, text, labelPolicy, Options{WantedPass: true, Workers: workers})
		if diff := cmp.Diff(reportText(t, r), reportText(t, again)); diff != "" {
			t.Error(diff)
		}
	}
}

// Of two rules on trial each has what it would do itself: one that lets calls ring behind an announcement stops none.
func TestLabelsOfRulesOnTrial(t *testing.T) {
	const policy = `
country  = "CN"
timezone = "Asia/Shanghai"
mode     = "observe"
[[rule]]
name   = "asked"
when   = { caller = ["95211???"] }
action = "challenge"
mode   = "observe"
[[rule]]
name   = "told"
when   = { caller = ["9521????"] }
action = "warn"
announcement = "suspected-nuisance"
[[rule]]
name   = "marked"
when   = { caller = ["9530????"] }
action = "tag"
label  = "?"
mode   = "observe"
[[rule]]
name   = "refused"
when   = { caller = ["9530????"] }
action = "reject"
[[rule]]
name   = "alone"
when   = { caller = ["9540????"] }
action = "reject"
mode   = "observe"
`
	r := runLabelled(t, table("0 95211234 10 1", "60 95212345 10 1", "120 95300001 10 1", "180 95400001 10 1"), policy, Options{})
	got := fmt.Sprintf("all %d", r.Labels.All.Unwanted.WouldStop.Calls)
	for _, c := range r.Labels.Rules {
		got += fmt.Sprintf(", %s %d/%d", c.Name, c.Unwanted.WouldStop.Calls, c.Unwanted.WouldTouch.Calls)
	}
	if want := "all 3, asked 1/1, told 0/2, marked 0/1, refused 1/1, alone 1/1"; got != want {
		t.Errorf("stops/touches: %s, want %s", got, want)
	}
}

func TestLabelOf(t *testing.T) {
	for text, want := range map[string]label{
		"": {given: true}, "0": {given: true}, " No ": {given: true}, "wanted": {given: true}, "1": {given: true, unwanted: true}, "TRUE": {given: true, unwanted: true},
		"spam": {given: true, unwanted: true}, "c17": {given: true, unwanted: true, campaign: "c17"},
	} {
		if got := labelOf(text); got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
	if got := labelOf(strings.Repeat("x", 1000)); len(got.campaign) != maxText {
		t.Errorf("a name of %d bytes", len(got.campaign))
	}
}

// Published values of Wilson's interval.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		n, of     uint64
		low, high float64
	}{{2, 2, 0.342, 1}, {0, 10, 0, 0.2775}, {5, 10, 0.2366, 0.7634}, {1, 100, 0.0018, 0.0545}} {
		low, high := wilson(c.n, c.of)
		if math.Abs(low-c.low) > 0.0005 || math.Abs(high-c.high) > 0.0005 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.n, c.of, low, high, c.low, c.high)
		}
	}
}
