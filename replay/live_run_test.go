package replay

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/detect"
)

const breakerPolicy = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[ranges]
"952112*" = "firm A"
[trunks.telecom]
match    = ["gateway:telecom"]
max_held = 2
[[detector]]
name   = "range wakes"
key    = "prefix:6"
count  = "strangers"
trip   = 5
window = "3h"
hold   = "2h"
max_share = 1
[[rule]]
name   = "people we deal with"
when   = { known_caller = "30d" }
action = "allow"
[[rule]]
name   = "campaign"
when   = { tripped = ["range wakes"] }
action = "challenge"
`

// campaign is calls of one range, 20 s apart.
func campaign(n int, label string) (rows []string) {
	for i := range n {
		rows = append(rows, fmt.Sprintf("%d 952112%02d 5 %s", 20*i, i%100, label))
	}
	return rows
}

// A breaker is told of with what it did, and from its trip on the campaign does not ring.
func TestDetectorReport(t *testing.T) {
	rows := append(campaign(50, "c1"), "1200 95211299 90", "1300 13900139000 5") // one firm's honest call among them
	r := runLabelled(t, table(rows...), breakerPolicy, Options{})
	if len(r.Detectors) != 1 {
		t.Fatalf("%+v", r.Detectors)
	}
	d := r.Detectors[0]
	first := d.First
	d.First = nil
	if want := (Detector{Detector: "range wakes", Mode: "enforce", Trips: 1, Met: 47, Touched: 47, Mistakes: 1, HoldS: 7200}); fmt.Sprintf("%+v", d) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
	if len(first) != 1 || first[0].Key != "952112" || first[0].Holder != "firm A" || first[0].Trunk != "telecom" || first[0].Time.Format(time.TimeOnly) != "09:01:20" || !strings.Contains(first[0].Why, "5 strangers in 3h") {
		t.Errorf("%+v", first)
	}
	l := r.Labels
	if got := fmt.Sprintf("%+v", l.Campaigns); got != "[{Name:c1 Calls:50 Stopped:46 Touched:46 Leaked:4 Before:4 Tripped:true}]" || l.MedianLeak != 4 || l.Tripped != 1 {
		t.Errorf("campaigns: %s, %+v", got, l)
	}
	if c := l.Detectors[0]; c.Unwanted.Stopped.Calls != 46 || c.Wanted.Touched.Calls != 1 || c.Wanted.Touched.Share != 0.5 {
		t.Errorf("%+v", c)
	}
	// On trial it lets all ring, and says what it would have done.
	r = runLabelled(t, table(rows...), strings.Replace(breakerPolicy, "max_share = 1", "max_share = 1\nmode = \"observe\"", 1), Options{})
	if d, a := r.Detectors[0], r.Labels.All; d.Touched != 0 || d.Would != 47 || d.WouldBe != 1 || d.Mode != "observe" || a.Unwanted.Stopped.Calls != 0 || a.Unwanted.WouldStop.Calls != 46 || a.Wanted.WouldTouch.Calls != 1 {
		t.Errorf("on trial: %+v, %+v", d, a)
	}
	// So it does where the whole policy is.
	r = runLabelled(t, table(rows...), "mode = \"observe\"\n"+breakerPolicy, Options{})
	if d, a := r.Detectors[0], r.Labels.All; d.Touched != 0 || d.Would != 47 || d.Mode != "observe" || a.Unwanted.Stopped.Calls != 0 || a.Unwanted.WouldStop.Calls != 46 {
		t.Errorf("in observe: %+v, %+v", d, a)
	}
}

// Two policies with detectors each.
func TestDetectorsAgainst(t *testing.T) {
	p := mustLoad(t, breakerPolicy)
	late := mustLoad(t, strings.Replace(breakerPolicy, "trip   = 5", "trip   = 9", 1))
	s := mustOpen(t, "cdr.csv", table(campaign(50, "c1")...), SourceOptions{Zone: p.Zone(), Columns: Columns{Label: "campaign"}})
	r, err := Run(t.Context(), []*Source{s}, Options{Judge: NewJudge(p, nil), Against: NewJudge(late, nil), Keep: 20})
	if err != nil {
		t.Fatal(err)
	}
	if is, was := r.Detectors[0], r.Against.Detectors[0]; is.Touched != 46 || was.Touched != 42 || r.Summary.Changed != 4 || r.Summary.Compared != 50 {
		t.Errorf("%+v\n%+v\n%+v", is, was, r.Summary)
	}
	if is, was := r.Detectors[0].First[0].Time, r.Against.Detectors[0].First[0].Time; is.Format(time.TimeOnly) != "09:01:20" || was.Format(time.TimeOnly) != "09:02:40" {
		t.Errorf("tripped at %v, and %v", is, was)
	}
	if is, was := r.Labels.Campaigns[0], r.Against.Labels.Campaigns[0]; is.Before != 4 || was.Before != 8 {
		t.Errorf("%+v %+v", is, was)
	}
	if c := r.Changes[0]; c.Time.Format(time.TimeOnly) != "09:01:20" || !strings.Contains(c.Reason, "tripped range wakes") {
		t.Errorf("%+v", c)
	}
}

// Rows by the end of the calls, of several files in any order, the newest first or not, are the calls in the order of their beginnings. What stands
// farther from its place is said.
func TestOrderOfRows(t *testing.T) {
	calls := trace(3)
	p := mustLoad(t, livePolicy)
	run := func(texts ...string) (order []time.Time, r *Report) {
		var sources []*Source
		for i, text := range texts {
			sources = append(sources, mustOpen(t, fmt.Sprint(i), text, SourceOptions{Zone: time.UTC}))
		}
		r, err := Run(t.Context(), sources, Options{Judge: NewJudge(p, nil), Each: func(f *Fate) { order = append(order, f.Time) }})
		if err != nil {
			t.Fatal(err)
		}
		return order, r
	}
	half := len(calls) / 2
	for name, texts := range map[string][]string{
		"one file":                     {asCDR(calls)},
		"two":                          {asCDR(calls[:half]), asCDR(calls[half:])},
		"the later one first":          {asCDR(calls[half:]), asCDR(calls[:half])},
		"the later one first, turned":  {turned(asCDR(calls[half:])), turned(asCDR(calls[:half]))},
		"a journal behind the records": {asJournal(t, calls[half:]), asCDR(calls[:half])},
	} {
		order, r := run(texts...)
		if r.Summary.OutOfOrder != 0 || len(order) != len(calls) || !slices.IsSortedFunc(order, time.Time.Compare) {
			t.Errorf("%s: %d of %d calls, %d out of order", name, len(order), len(calls), r.Summary.OutOfOrder)
		}
	}
	shuffled := slices.Clone(calls)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	text := asJournal(t, shuffled)
	if order, r := run(text); r.Summary.OutOfOrder == 0 || len(order) != len(calls) || !strings.Contains(strings.Join(r.Notes, "\n"), "stood so far behind later ones") {
		t.Errorf("%d calls, %d out of order, %q", len(order), r.Summary.OutOfOrder, r.Notes)
	}
	// A clock that was years ahead for one call does no harm to the others.
	ahead := slices.Clone(calls)
	ahead[half].at = ahead[half].at.AddDate(0, 9, 0)
	if order, r := run(asJournal(t, ahead)); r.Summary.OutOfOrder != 0 || len(order) != len(calls) {
		t.Errorf("%d calls, %d out of order", len(order), r.Summary.OutOfOrder)
	}
}

// A journal may have a column of labels; JSON lines have none.
func TestLabelsOfJournals(t *testing.T) {
	text := strings.TrimSuffix(string(console.AppendCSVHeader(nil)), "\r\n")
	text = strings.TrimSuffix(text, "\n") + ",Unwanted\n"
	for i, r := range records() {
		row := strings.TrimRight(string(r.AppendCSV(nil)), "\r\n")
		text += fmt.Sprintf("%s,%d\n", row, i%2)
	}
	for _, column := range []string{"unwanted", fmt.Sprint(strings.Count(text[:strings.Index(text, "\n")], ",") + 1)} {
		s := mustOpen(t, "journal.csv", text, SourceOptions{Columns: Columns{Label: column}})
		r, err := Run(t.Context(), []*Source{s}, Options{Judge: mustJudge(t, sample)})
		if err != nil || r.Labels == nil || r.Labels.All.Unwanted.Calls != 3 || r.Labels.All.Wanted.Calls != 4 {
			t.Errorf("%s: %v, %+v", column, err, r)
		}
	}
	for _, c := range []struct{ text, label, want string }{
		{text, "nuisance", `x: --label "nuisance": there is no such column among "id", "time"`},
		{`{"time":"2026-03-02T01:00:00Z"}`, "nuisance", "x: --label: JSON lines have no columns: export the journal with --format csv, and put a column to it"},
		{"src,dst,start\n1,2,3\n", "nuisance", `x: --label "nuisance": there is no such column among "src", "dst", "start"`},
	} {
		if _, err := Open("x", strings.NewReader(c.text), 0, SourceOptions{Columns: Columns{Label: c.label}}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// What finds no room for its challenge rings, or is refused where the rule says so.
func TestOverflow(t *testing.T) {
	const policy = `
country  = "CN"
timezone = "Asia/Shanghai"
[trunks.telecom]
match    = ["gateway:telecom"]
max_held = 0
[[rule]]
name   = "asked"
when   = { caller = ["9521????"] }
action = "challenge"
[[rule]]
name   = "told"
when   = { caller = ["9520????"] }
action = "warn"
announcement = "suspected-nuisance"
then   = "hangup"
[[rule]]
name   = "asked all the same"
when   = { caller = ["9530????"] }
action = "challenge"
overflow = "reject"
`
	var got []string
	runLabelled(t, table("0 95211234 5 1", "10 95201234 5 1", "20 95301234 5 1"), policy, Options{Each: func(f *Fate) { got = append(got, f.Does) }})
	if strings.Join(got, " ") != "lets rejects rejects" {
		t.Errorf("got %q", got)
	}
	// With room for two at once a third one of the same range pushes out the first.
	got = nil
	runLabelled(t, table("0 95211234 5 1", "1 95211235 5 1", "2 95211236 5 1", "60 95211237 5 1"), strings.Replace(policy, "max_held = 0", "max_held = 8", 1), Options{Each: func(f *Fate) { got = append(got, f.Does) }})
	if strings.Join(got, " ") != "challenges challenges challenges challenges" {
		t.Errorf("got %q", got)
	}
}

// Calls that go on for ever, and more at once than are followed, end; time that stands still for a year passes.
func TestLiveRunIsBounded(t *testing.T) {
	p := mustLoad(t, breakerPolicy)
	run := newLiveRun(newMind(NewJudge(p, nil), nil, 1<<8), &Options{})
	at := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	for i := range maxUnderWay + 1000 {
		c := Call{Ended: true, Answered: true, Talk: 1e9, ringKnown: true, Ring: 1e9}
		c.Facts.Caller, c.Facts.Callee, c.Facts.Time = fmt.Sprintf("138%08d", i), "05925550100", at
		run.pass(at)
		run.decide(&c)
		at = at.Add(time.Second)
	}
	if n := len(run.ahead.of); n > maxUnderWay {
		t.Errorf("%d calls under way", n)
	}
	run.pass(at.AddDate(1, 0, 0))
	run.finish()
	if len(run.ahead.of) != 0 {
		t.Errorf("%d calls have not ended", len(run.ahead.of))
	}
	var _ detect.Sink = &run.tally
}
