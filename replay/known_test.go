package replay

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

const dealingsPolicy = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550100-05925550199"]
[lines.boss]
numbers = ["05925550101"]
[lines.hotline]
numbers = ["4008001234"]
[[rule]]
name   = "known here"
when   = { known_caller = "2h" }
action = "allow"
[[rule]]
name   = "known"
when   = { known_caller = "3h", known_scope = "all" }
action = "tag"
label  = "known"
[[rule]]
name   = "strangers"
action = "reject"
`

// dealingsJournal is a journal of calls a minute apart, some of them of people who call again and again, and what
// the policy must say to each when everything that was ever learnt is looked at.
func dealingsJournal(t *testing.T, seed uint64, n int) (text string, want []string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	p := mustLoad(t, dealingsPolicy)
	type meeting struct {
		line, number string
		at           time.Time
	}
	var met []meeting
	var b strings.Builder
	for i := range n {
		at := time.Date(2026, 3, 2, 1, i, 0, 0, time.UTC)
		rec := console.Record{
			ID: storage.NewID(at), Time: at, Action: "allow", Would: "allow", Mode: "enforce", Rule: "default",
			Caller: console.Caller{Raw: fmt.Sprintf("1380013800%d", r.IntN(8)), Withheld: r.IntN(4) == 0}, Callee: []string{"05925550100", "05925550101", "4008001234", "2001"}[r.IntN(4)],
			Outcome: &console.Outcome{Answered: r.IntN(3) > 0, TalkS: float64(r.IntN(90))},
		}
		if r.IntN(10) == 0 { // a call that went out
			rec.Caller.Raw, rec.Callee = rec.Callee, rec.Caller.Raw
		}
		if r.IntN(12) == 0 {
			rec.Outcome = nil
		}
		c := p.Call(policy.Facts{Caller: rec.Caller.Raw, Callee: rec.Callee, Withheld: rec.Caller.Withheld, Time: at})
		for _, m := range met {
			if m.number != c.Caller.E164 || m.at.After(at) {
				continue
			}
			if m.at.After(c.KnownToAll) {
				c.KnownToAll = m.at
			}
			for _, line := range p.AppendLineKeys(nil, &c.Callee) {
				if line == m.line && m.at.After(c.KnownToLine) {
					c.KnownToLine = m.at
				}
			}
		}
		d := p.Decide(&c, nil)
		want = append(want, d.Rule+": "+d.Reason())
		if o := rec.Outcome; o != nil && o.Answered {
			talked := time.Duration(o.TalkS) * time.Second
			if lines := p.AppendLineKeys(nil, &c.Callee); len(lines) > 0 && o.TalkS >= 60 {
				for _, line := range lines {
					met = append(met, meeting{line, c.Caller.E164, at.Add(talked)})
				}
			} else if len(lines) == 0 && o.TalkS >= 10 && c.Callee.E164 != "" {
				for _, line := range p.AppendLineKeys(nil, &c.Caller) {
					met = append(met, meeting{line, c.Callee.E164, at.Add(talked)})
				}
			}
		}
		line, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String(), want
}

// Who is known by the calls before is known, whatever the number of workers; who is not, is not.
func TestKnownCallers(t *testing.T) {
	const n = 4000
	text, want := dealingsJournal(t, 1, n)
	counts := map[string]int{}
	for _, w := range want {
		rule, _, _ := strings.Cut(w, ":")
		counts[rule]++
	}
	if len(counts) != 3 || counts["known here"] < 100 || counts["known"] < 100 || counts["strangers"] < 100 {
		t.Fatalf("the calls show little: %v", counts)
	}
	for _, workers := range []int{1, 2, 5} {
		got := make([]string, n)
		for i := range got {
			got[i] = "default: "
		}
		var summary Summary
		for _, stream := range []bool{true, false} {
			o := Options{Judge: mustJudge(t, dealingsPolicy), Keep: n, Workers: workers}
			o.Judge.Lists = nil
			changes := 0
			take := func(c *Change) error {
				changes++
				got[c.FileLine-1] = c.Is.Rule + ": " + c.Reason
				return nil
			}
			if stream {
				o.Change = take
			}
			r, err := Run(t.Context(), []*Source{mustOpen(t, "journal", text, SourceOptions{})}, o)
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.Changes {
				take(&r.Changes[i])
			}
			if changes != n || r.Summary.Changed != n || len(r.Notes) != 1 || r.Summary.KnownOver != 0 {
				t.Fatalf("%d changes, %+v, notes %q", changes, r.Summary, r.Notes)
			}
			for _, total := range r.Rules {
				if int(total.Calls) != counts[total.Rule] {
					t.Errorf("%d calls by %s, want %d", total.Calls, total.Rule, counts[total.Rule])
				}
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("line %d: %s\nwant %s", i+1, got[i], want[i])
				}
			}
			if !stream && r.Summary != summary {
				t.Errorf("%+v\n%+v", r.Summary, summary)
			}
			summary = r.Summary
		}
	}
}

// Each of two policies has lines of its own to know people by.
func TestKnownCallersAgainst(t *testing.T) {
	text, want := dealingsJournal(t, 2, 1500)
	other := strings.Replace(dealingsPolicy, `"05925550100-05925550199"`, `"05925550999"`, 1) // the boss and the hotline are left
	for _, asks := range []struct{ policy, against string }{{dealingsPolicy, other}, {sample, dealingsPolicy}, {dealingsPolicy, sample}} {
		judge, against := mustJudge(t, asks.policy), mustJudge(t, asks.against)
		judge.Lists, against.Lists = nil, nil
		r, err := Run(t.Context(), []*Source{mustOpen(t, "journal", text, SourceOptions{})}, Options{Judge: judge, Against: against, Keep: len(want)})
		if err != nil {
			t.Fatal(err)
		}
		if r.Summary.Changed == 0 || len(r.Notes) != 1 {
			t.Errorf("%+v, notes %q", r.Summary, r.Notes)
		}
		for i := range r.Changes {
			c := &r.Changes[i]
			ruled, _, _ := strings.Cut(want[c.FileLine-1], ":")
			switch {
			case asks.policy == dealingsPolicy && c.Is.Rule != ruled,
				asks.against == dealingsPolicy && c.Was.Rule != ruled:
				t.Fatalf("line %d: %s → %s, want %s", c.FileLine, c.Was.Rule, c.Is.Rule, ruled)
			case asks.against == other && c.Callee == "05925550100" && c.Was.Rule == "known here":
				t.Fatalf("line %d: known to a line that the other policy has not", c.FileLine)
			}
		}
	}
}

// A call that went out teaches whom its line knows, by its number or by what it showed; of a phone on no line, whom all
// lines know. Nothing else does.
func TestKnownByCallsOut(t *testing.T) {
	const again = ",13900139000,05925550101,2026-03-02 10:00:00,0,\n"
	p := strings.Replace(dealingsPolicy, "[lines.staff]", "[numbers]\ninternal = [\"6??\"]\n[lines.staff]", 1)
	for row, want := range map[string]string{
		",05925550101,013900139000,2026-03-02 09:30:00,10":     "known here", // the boss is on two lines
		",05925550150,013900139000,2026-03-02 09:30:00,10":     "known here", // the staff, and the boss is of them
		",601,013900139000,2026-03-02 09:30:00,10":             "known here", // on no line: known to all
		"outbound,601,013900139000,2026-03-02 09:30:00,10":     "known here",
		",601,013900139000,2026-03-02 09:30:00,10,4008001234":  "known", // showed the hotline's number
		",601,013900139000,2026-03-02 09:30:00,10,05925550100": "known here",
		",601,013900139000,2026-03-02 09:30:00,10,05921234567": "known here", // of no line
		",601,013900139000,2026-03-02 09:30:00,9":              "strangers",
		",601,013900139000,2026-03-02 10:00:00,10":             "strangers", // not over yet
		",601,602,2026-03-02 09:30:00,100":                     "strangers",
		"local,601,013900139000,2026-03-02 09:30:00,100":       "strangers",
		"local,601,05925550101,2026-03-02 09:30:00,100":        "strangers",
		",13800138000,013900139000,2026-03-02 09:30:00,99":     "strangers", // nobody of ours
		",13900139000,05925550101,2026-03-02 09:30:00,60":      "known here",
		",13900139000,05925550101,2026-03-02 09:30:00,59":      "strangers",
	} {
		if strings.Count(row, ",") == 4 {
			row += ","
		}
		text := "direction,src,dst,start,billsec,outbound_cnum\n" + row + "\n" + again
		judge := mustJudge(t, p)
		judge.Lists = nil
		r, err := Run(t.Context(), []*Source{mustOpen(t, "f", text, SourceOptions{Zone: judge.Policy.Zone()})}, Options{Judge: judge, Against: mustJudge(t, "country = \"CN\"\n"), Keep: 9})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, c := range r.Changes {
			if c.FileLine == 3 {
				got = c.Is.Rule
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q; %+v", row, got, want, r.Summary)
		}
	}
}

// Databases and web pages give the newest call first; who is known is the same then. A file that can be read only
// once says that it is not.
func TestNewestFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var rows []string
	const calls = 10_000 // several chunks
	for i := range calls {
		caller, callee := fmt.Sprintf("1380013800%d", r.IntN(8)), []string{"05925550100", "05925550101", "4008001234"}[r.IntN(3)]
		if r.IntN(10) == 0 {
			caller, callee = callee, caller
		}
		at := time.Date(2026, 3, 2, 1, i, 0, 0, time.UTC)
		rows = append(rows, fmt.Sprintf("id-%05d,%s,%s,%s,%d\n", i, caller, callee, at.Format(time.DateTime), r.IntN(200)))
	}
	const head = "uuid,caller_id_number,destination_number,start_stamp,billsec\n"
	judge := mustJudge(t, dealingsPolicy)
	judge.Lists = nil
	run := func(text string, once bool) (*Report, []string) {
		s := mustOpen(t, "f", text, SourceOptions{})
		if once {
			var err error
			if s, err = Open("f", &onlyReader{strings.NewReader(text)}, 0, SourceOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		o := Options{Judge: judge, Against: mustJudge(t, "country = \"CN\"\n"), Workers: 3}
		o.Change = func(c *Change) error {
			got = append(got, c.ID+" "+c.Is.Rule)
			if want := "id-" + fmt.Sprintf("%05d", c.FileLine-2); !once && !strings.HasPrefix(text, "sep") && c.ID != want && c.ID != fmt.Sprintf("id-%05d", calls+1-c.FileLine) {
				t.Fatalf("%s in line %d", c.ID, c.FileLine)
			}
			return nil
		}
		r, err := Run(t.Context(), []*Source{s}, o)
		if err != nil {
			t.Fatal(err)
		}
		return r, got
	}
	report, want := run(head+strings.Join(rows, ""), false)
	slices.Reverse(rows)
	for _, mark := range []string{"", "\ufeff", "sep=,\n"} {
		again, got := run(mark+head+strings.Join(rows, ""), false)
		if mark != "sep=,\n" && (!slices.Equal(got, want) || report.Summary != again.Summary) || len(again.Rules) != len(report.Rules) {
			t.Errorf("%q: %+v\n%+v", mark, again.Summary, report.Summary)
		}
	}
	again, _ := run(head+strings.Join(rows, ""), true)
	if len(again.Notes) != 2 || !strings.HasPrefix(again.Notes[1], "f has the newest calls first, and can be read only once") {
		t.Errorf("%q", again.Notes)
	}
}

func TestDealingsAreBounded(t *testing.T) {
	p := mustLoad(t, dealingsPolicy)
	k, at := newDealings(p, nil), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	c := p.Call(policy.Facts{Callee: "05925550101", Time: at}) // of two lines
	for i := range maxKnown/2 + 7 {
		c.Caller.E164 = fmt.Sprint("+86", i)
		k.learn(p, &c, directionIn, "", time.Minute)
	}
	if k.Len() != maxKnown || k.Full() != 14 {
		t.Errorf("%d pairs, %d had no room", k.Len(), k.Full())
	}
	c.Caller.E164 = "+860"
	k.learn(p, &c, directionIn, "", time.Hour)
	if c.Time = at.Add(2 * time.Hour); k.Full() != 14 {
		t.Error("a pair that is there had no room")
	}
	if k.fill(p, &c); !c.KnownToLine.Equal(at.Add(time.Hour)) || !c.KnownToAll.Equal(at.Add(time.Hour)) {
		t.Errorf("known on %v, %v", c.KnownToLine, c.KnownToAll)
	}
	var nobody *dealings
	nobody.learn(p, &c, directionIn, "", time.Hour)
	nobody.fill(p, &c)
	if nobody.has("+860") || newDealings(mustLoad(t, sample), nil) != nil {
		t.Error("a policy that does not ask follows somebody")
	}
}
