package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
)

// randomFacts draws a call whose numbers lie near the rules of the sample.
func randomFacts(t *week) policy.Facts {
	m := t.next()
	f := policy.Facts{
		Caller: m.caller, Name: m.name, Callee: m.callee, Trunk: t.pick("", "telecom", "branch", "unheard-of"), Withheld: t.r.IntN(8) == 0,
		Inside: t.r.IntN(8) == 0, Time: m.at,
	}
	switch t.r.IntN(12) {
	case 0:
		f.Callee = t.pick("", "8001", "2001", "anonymous", "+86 592 555 0100", strings.Repeat("9", 80))
	case 1:
		f.Caller = t.pick("8001", "95213333", "95231111", "13800130001", "110", "tel:+8613800130009;x=y", "\xff\xfe", strings.Repeat("1", 300), strings.Repeat("0", 65))
	}
	return f
}

// Decisions in a replay are policy.Decide of policy.Call of the same facts, whatever was remembered of calls before.
func TestSameAsPolicy(t *testing.T) {
	for _, text := range []string{sample, "mode = \"observe\"\n" + sample, "default = \"reject\"\n" + strings.Replace(sample, `"CN"`, `"US"`, 1)} {
		if strings.Contains(text, `"US"`) { // the numbers of the sample are China's
			text = "country = \"US\"\ntimezone = \"America/New_York\"\n[numbers]\ninternal = [\"8???\"]\n[[rule]]\nname = \"x\"\nwhen = { caller = [\"212*\"] }\naction = \"reject\"\n[[rule]]\nname = \"y\"\nwhen = { caller_kind = [\"invalid\", \"international\"] }\naction = \"tag\"\nlabel = \"y\"\n"
		}
		j := mustJudge(t, text)
		small, large := newMind(j, nil, 7), newMind(j, nil, workerMemory)
		traffic := newWeek(5)
		rules := map[string]int{}
		calls := 4000
		if underRace {
			calls = 1000
		}
		for range calls {
			f := randomFacts(traffic)
			c := Call{Facts: f, origin: origin{switching: policy.TrunkFacts{Named: f.Trunk}}}
			if f.Inside {
				c.claim = claimJournal
			}
			want := j.Policy.Call(f)
			want.FromInside = f.Inside || j.Policy.TrunkNamed(f.Trunk).Internal
			decided := j.Policy.Decide(&want, j.Lists)
			for _, m := range []*mind{small, large} {
				call, d := m.decide(&c)
				if !reflect.DeepEqual(call, want) || d != decided {
					t.Fatalf("%+v\nreplayed %+v\n%+v\ndecided  %+v\n%+v", f, call, d, want, decided)
				}
			}
			rules[decided.Rule]++
		}
		if len(rules) < 3 {
			t.Errorf("the calls met few rules: %v", rules)
		}
	}
}

// A call detail record's facts reach the policy as policy.Facts of a live call would say them.
func TestSameAsPolicyThroughCSV(t *testing.T) {
	j := mustJudge(t, sample)
	text := cdrText(9, 5000)
	s := mustOpen(t, "cdr.csv", text, SourceOptions{Zone: j.Policy.Zone()})
	calls, faults, _ := readAll(t, s)
	if len(calls) != 5000 || len(faults) > 0 {
		t.Fatalf("%d calls, %v", len(calls), faults)
	}
	traffic, m := newWeek(9), newMind(j, nil, workerMemory)
	for i := range calls {
		made := traffic.next()
		at := time.Date(made.at.Year(), made.at.Month(), made.at.Day(), made.at.Hour(), made.at.Minute(), made.at.Second(), 0, j.Policy.Zone())
		want := j.Policy.Call(policy.Facts{Caller: made.caller, Name: made.name, Callee: made.callee, Time: at, Inside: true})
		decided := j.Policy.Decide(&want, j.Lists)
		call, d := m.decide(&calls[i])
		if !call.Time.Equal(want.Time) || call.Caller != want.Caller || d.Rule != decided.Rule || d.Reason() != decided.Reason() || calls[i].Answered != made.answered {
			t.Fatalf("%+v\nreplayed %+v\nwant     %+v", made, call, want)
		}
	}
}

// The same input gives the same report, whatever the number of workers and the scheduling.
func TestDeterminism(t *testing.T) {
	text := cdrText(2, 4000)
	edited := strings.Replace(sample, `"9521????", "9520????"`, `"9521????"`, 1)
	run := func(workers int, stream *strings.Builder) string {
		o := Options{Judge: mustJudge(t, sample), Against: mustJudge(t, edited), Keep: 50, Workers: workers}
		if stream != nil {
			o.Change = func(c *Change) error { return json.NewEncoder(stream).Encode(c) }
		}
		r, err := Run(t.Context(), []*Source{mustOpen(t, "a", text, SourceOptions{}), mustOpen(t, "b", text[:strings.Index(text[5000:], "\n")+5001], SourceOptions{})}, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Summary.Changed < 50 || stream == nil && len(r.Changes) != 50 || stream != nil && uint64(strings.Count(stream.String(), "\n")) != r.Summary.Changed {
			t.Fatalf("%+v, %d listed", r.Summary, len(r.Changes))
		}
		return reportText(t, r)
	}
	var first strings.Builder
	report, streamed := run(1, nil), run(1, &first)
	for _, workers := range []int{2, 5} {
		if diff := cmp.Diff(report, run(workers, nil)); diff != "" {
			t.Fatalf("with %d workers:\n%s", workers, diff)
		}
		var stream strings.Builder
		if diff := cmp.Diff(streamed, run(workers, &stream)); diff != "" || stream.String() != first.String() {
			t.Fatalf("with %d workers and all changes (the same: %v):\n%s", workers, stream.String() == first.String(), diff)
		}
	}
}

// Every number of a report is what adding up call by call gives.
func TestReport(t *testing.T) {
	const n = 10_000
	j := mustJudge(t, sample)
	text := cdrText(3, n)
	r, err := Run(t.Context(), []*Source{mustOpen(t, "a", text, SourceOptions{Zone: j.Policy.Zone()})}, Options{Judge: j, Keep: 20})
	if err != nil {
		t.Fatal(err)
	}
	calls, _, _ := readAll(t, mustOpen(t, "a", text, SourceOptions{Zone: j.Policy.Zone()}))
	m := newMind(j, nil, workerMemory)
	type key struct{ action, rule string }
	total, callers := map[key]uint64{}, map[key]map[string]bool{}
	refused, mistakes, longest := uint64(0), uint64(0), 0.0
	everybody := map[string]bool{}
	for i := range calls {
		call, d := m.decide(&calls[i])
		if m.way(&calls[i], &call) == directionLocal {
			continue
		}
		who := call.Caller.E164
		if who == "" {
			who = call.Caller.Raw
		}
		if call.Caller.Kind == number.Anonymous {
			who = "anonymous"
		}
		everybody[who] = true
		for _, k := range []key{{d.Would.String(), d.Rule}, {d.Would.String() + " " + verdictOf(&d).Mode().String(), ""}} {
			total[k]++
			if callers[k] == nil {
				callers[k] = map[string]bool{}
			}
			callers[k][who] = true
		}
		if d.Would == policy.Reject || d.Rule == "952 sales calls" {
			refused++
			if calls[i].Answered {
				mistakes++
				longest = max(longest, calls[i].Talk)
			}
		}
	}
	s := r.Summary
	if s.Rows != n || s.Internal == 0 || s.Calls+s.Internal != n || s.Refused != refused || s.Mistake != mistakes || s.Callers != uint64(len(everybody)) || s.Bad != 0 || s.Compared != 0 || refused == 0 || mistakes == 0 {
		t.Errorf("%+v; want %d refused, %d answered, %d callers", s, refused, mistakes, len(everybody))
	}
	if len(r.Mistakes) != topMistakes || r.Mistakes[0].TalkS != longest || r.Mistakes[0].Reason == "" {
		t.Errorf("%d mistakes, the first %+v; want %g s", len(r.Mistakes), r.Mistakes[0], longest)
	}
	for i := range r.Mistakes[1:] {
		if r.Mistakes[i].TalkS < r.Mistakes[i+1].TalkS {
			t.Errorf("mistake %d is shorter than the next", i)
		}
	}
	seen := 0
	for _, tot := range r.Rules {
		k := key{tot.Action, tot.Rule}
		if tot.Calls != total[k] || tot.Callers != uint64(len(callers[k])) {
			t.Errorf("%+v: want %d calls of %d", tot, total[k], len(callers[k]))
		}
		seen++
	}
	if want := len(j.Policy.Rules()) + 1; seen != want { // default
		t.Errorf("%d rules, want %d", seen, want)
	}
	for _, tot := range r.Actions {
		k := key{tot.Action + " " + tot.Mode, ""}
		if tot.Calls != total[k] || tot.Callers != uint64(len(callers[k])) || tot.Share != float64(total[k])/float64(s.Calls) {
			t.Errorf("%+v: want %d calls of %d", tot, total[k], len(callers[k]))
		}
	}
	if len(r.Callers) != topCallers {
		t.Fatalf("%d callers", len(r.Callers))
	}
	for i := range r.Callers[1:] {
		if r.Callers[i].Harm < r.Callers[i+1].Harm {
			t.Errorf("caller %d does less harm than the next", i)
		}
	}
}

// Changes are found against a second policy, against the journal, and in mode as well as in action and rule.
func TestChanges(t *testing.T) {
	var journal strings.Builder
	for _, r := range records() {
		line, _ := json.Marshal(r)
		fmt.Fprintf(&journal, "%s\n", line)
	}
	open := func() []*Source { return []*Source{mustOpen(t, "j", journal.String(), SourceOptions{})} }
	enforced := strings.Replace(sample, "mode   = \"observe\"\n", "", 1)
	for name, c := range map[string]struct {
		policy, against string
		want            []string
	}{
		"the journal": {sample, "", []string{"1: allow default enforce → warn 952 sales calls enforce"}},
		"one on trial, now in force": {enforced, "", []string{
			"1: allow default enforce → warn 952 sales calls enforce",
			"1: reject on trial observe → reject on trial enforce",
		}},
		"two policies":       {enforced, sample, []string{"1: reject on trial observe → reject on trial enforce"}},
		"the same policy":    {sample, sample, nil},
		"all on trial":       {"mode = \"observe\"\n" + sample, sample, []string{"1: tag rented 95 numbers enforce → tag rented 95 numbers observe", "1: warn 952 sales calls enforce → warn 952 sales calls observe", "1: reject blacklist enforce → reject blacklist observe"}},
		"a rule renamed":     {strings.Replace(sample, `"on trial"`, `"tried"`, 1), sample, []string{"1: reject on trial observe → reject tried observe"}},
		"no internal trunks": {strings.Replace(sample, "internal = true", "internal = false", 1), sample, []string{"1: allow internal enforce → allow default enforce"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Judge: mustJudge(t, c.policy), Keep: 20}
			compared := uint64(6) // one was paused
			if c.against != "" {
				o.Against, compared = mustJudge(t, c.against), 7
			}
			r, err := Run(t.Context(), open(), o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			n := uint64(0)
			for _, g := range r.Groups {
				got = append(got, fmt.Sprintf("%d: %s %s %s → %s %s %s", g.Calls, g.Was.Action, g.Was.Rule, g.Was.Mode(), g.Is.Action, g.Is.Rule, g.Is.Mode()))
				n += g.Calls
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if r.Summary.Changed != n || uint64(len(r.Changes)) != n || r.Summary.Compared != compared || r.Summary.Undecided != 1 {
				t.Errorf("%+v, %d listed", r.Summary, len(r.Changes))
			}
			if r.Summary.Refused != 3 { // a warning that hangs up is one of them, on trial or not
				t.Errorf("%d would be refused", r.Summary.Refused)
			}
			if name == "a rule renamed" && r.Summary.Otherwise != 0 || name == "two policies" && r.Summary.Otherwise != 1 {
				t.Errorf("%+v", r.Summary)
			}
		})
	}
}

// The first changed verdicts that are listed are those with another action.
func TestFirstChanges(t *testing.T) {
	text := cdrText(4, 5000)
	edited := strings.NewReplacer(`"sellers"`, `"traders"`, `"rented 95 numbers"`, `"rented"`, `"95230*"`, `"952307*"`).Replace(sample)
	r, err := Run(t.Context(), []*Source{mustOpen(t, "a", text, SourceOptions{})}, Options{Judge: mustJudge(t, edited), Against: mustJudge(t, sample), Keep: 60})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Changes) != 60 || r.Summary.Otherwise == 0 || r.Summary.Otherwise == r.Summary.Changed {
		t.Fatalf("%d listed of %+v", len(r.Changes), r.Summary)
	}
	renamed := false
	for i, c := range r.Changes {
		other := c.Was.Action != c.Is.Action || c.Was.Observe != c.Is.Observe
		if other && renamed {
			t.Errorf("change %d has another action and comes late", i)
		}
		renamed = renamed || !other
		if i > 0 && !renamed && c.FileLine <= r.Changes[i-1].FileLine {
			t.Errorf("change %d is out of order", i)
		}
	}
}

// Whoever hides behind ten thousand numbers does not make the tables grow; the report says that they were full.
func TestBounds(t *testing.T) {
	o := Options{Judge: mustJudge(t, "country = \"CN\"\n")}
	tally := newTally(&o)
	var some [maxBitmaps + 100]number.Number
	for i := range maxCallers + 1000 {
		c := Call{Facts: policy.Facts{Time: time.Unix(1_800_000_000, 0)}}
		n := number.Number{E164: fmt.Sprintf("+86138%08d", i)}
		if i < len(some) {
			some[i] = n
		}
		if err := tally.add("f", &outcome{call: &c, number: n, is: Verdict{Rule: policy.RuleDefault}}); err != nil {
			t.Fatal(err)
		}
	}
	for callee := range uint64(fewThings + 2) { // some callers with very many callees
		c := Call{Facts: policy.Facts{Time: time.Unix(1_800_000_000, 0)}}
		for i := range some {
			out := outcome{call: &c, number: some[i], callee: callee * 0x9E3779B97F4A7C15, is: Verdict{Rule: policy.RuleDefault}}
			if err := tally.add("f", &out); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 3 * maxGroups {
		c := Call{}
		out := outcome{call: &c, is: Verdict{Rule: policy.RuleDefault}, was: Verdict{Rule: fmt.Sprint(i)}, compared: true}
		if err := tally.add("f", &out); err != nil {
			t.Fatal(err)
		}
	}
	r := tally.finish()
	if len(tally.callers) != maxCallers || r.Summary.Callers != maxCallers || r.Summary.CallersOver < 1000 || tally.bitmaps != maxBitmaps || r.Summary.CalleesOver != 100 || len(r.Groups) != maxGroups || r.Summary.Changed != 3*maxGroups {
		t.Errorf("%+v, %d bitmaps, %d groups", r.Summary, tally.bitmaps, len(r.Groups))
	}
}

// A run ends early, with the reason, and leaves nothing running behind.
func TestEndsEarly(t *testing.T) {
	text := cdrText(6, 20_000)
	o := Options{Judge: mustJudge(t, sample), Against: mustJudge(t, "country = \"CN\"\n")}
	enough := errors.New("enough")
	n := 0
	o.Change = func(*Change) error {
		if n++; n == 10 {
			return enough
		}
		return nil
	}
	if _, err := Run(t.Context(), []*Source{mustOpen(t, "a", text, SourceOptions{})}, o); err != enough || n != 10 {
		t.Errorf("%v after %d changes", err, n)
	}
	o.Change = nil
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(calls uint64) { cancel() }
	if _, err := Run(ctx, []*Source{mustOpen(t, "a", text, SourceOptions{})}, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	o.Progress = nil
	s := mustOpen(t, "a", cdrText(6, 1), SourceOptions{})
	s.in.Reset(failing{})
	if _, err := Run(t.Context(), []*Source{s, mustOpen(t, "b", text, SourceOptions{})}, o); err == nil || err.Error() != "a cannot be read on: is a directory" {
		t.Error(err)
	}
}

// FuzzReplay holds that no file makes a replay panic or keep more than it may, and that every row is a call, a
// fault or left out.
func FuzzReplay(f *testing.F) {
	f.Add(cdrText(1, 3), "", "", "", false)
	f.Add("src;dst;start\n1;2;2026-03-02 09:00:00\n", "1", "dst", "", false)
	f.Add("1\t2\t1772413260\n", "1", "2", "3", true)
	for _, file := range []string{"calls/fusionpbx-export.csv", "calls/mysql-dump.tsv", "calls/freeswitch-sql.csv", "calls/excel.csv", "calls/freeswitch-json.csv", "field/asterisk-two-phones.csv", "field/spreadsheet.csv"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "", "", "", false)
	}
	f.Add("src;dst;start\n1;2;3/2/2026 9:00 AM\n601;05925550100;2/13/2026 9:00 PM\n", "", "", "", false)
	f.Add("\xff\xfes\x00r\x00c\x00", "", "", "", false)
	for _, r := range records() {
		line, _ := json.Marshal(r)
		f.Add(string(line), "", "", "", false)
		f.Add(string(r.AppendCSV(console.AppendCSVHeader(nil))), "", "", "", false)
	}
	p, _ := policy.Load("policy.toml", []byte(office))
	j := NewJudge(p, nil)
	f.Fuzz(func(t *testing.T, text, caller, callee, when string, noHeader bool) {
		o := SourceOptions{NoHeader: noHeader, Columns: Columns{Caller: caller, Callee: callee, Time: when}}
		if o.Columns.Check(noHeader) != nil {
			return
		}
		o.Now = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
		s, err := Open("f", strings.NewReader(text), 0, o)
		if err != nil {
			return
		}
		calls, _, bad := readAll(t, s)
		if lines := strings.Count(text, "\n") + 1; len(calls)+bad > lines {
			t.Fatalf("%d calls and %d faults in %d lines", len(calls), bad, lines)
		}
		for _, c := range calls {
			if len(c.Facts.Caller)+len(c.Facts.Callee)+len(c.Facts.Name)+len(c.ID) > 2*maxRow || c.Facts.Time.Year() < earliest || c.Talk < 0 || c.Talk != c.Talk {
				t.Fatalf("%+v", c)
			}
		}
		s, _ = Open("f", strings.NewReader(text), 0, o)
		r, err := Run(t.Context(), []*Source{s}, Options{Judge: j, Keep: 5, Workers: 1})
		if err != nil {
			if !strings.HasSuffix(err.Error(), faultPrivate) {
				t.Fatal(err)
			}
			return
		}
		sum := &r.Summary
		screened := sum.Calls + sum.Outgoing + sum.Internal
		if screened+sum.Parts < uint64(len(calls)) || screened > uint64(len(calls)) || sum.Bad != uint64(bad) || screened+sum.Parts+sum.Skipped+sum.Bad != sum.Rows {
			t.Fatalf("%+v; read one by one %d and %d", sum, len(calls), bad)
		}
		reportText(t, r)
	})
}

// A journal that is kept private is refused, and says why.
func TestPrivateJournal(t *testing.T) {
	line := `{"id":"01KGYZTR700000000000000001","time":"2026-03-02T09:30:00.000Z","caller":{"raw":"hmac:+86-1380:00","e164":"hmac:+86-1380:00","kind":"mobile"},"callee":"05925550100","action":"allow","rule":"default"}`
	p, faults := policy.Load("p.toml", []byte("country = \"CN\"\n"))
	if p == nil {
		t.Fatal(faults)
	}
	s, err := Open("j.jsonl", strings.NewReader(line+"\n"), 0, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), []*Source{s}, Options{Judge: NewJudge(p, nil)}); err == nil || !strings.Contains(err.Error(), "j.jsonl:1: is of a journal that is kept private") {
		t.Errorf("%v", err)
	}
}
