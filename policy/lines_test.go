package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/number"
)

// keptLines are lines of the database as a test has them, by called number.
type keptLines map[string]Line

func (k keptLines) LineOf(n *number.Number) (Line, bool) {
	l, ok := k[n.National()]
	return l, ok
}

func (k keptLines) LineNamed(name string) (Line, bool) {
	for _, l := range k {
		if l.Key == name || l.Name == name {
			return l, true
		}
	}
	return Line{}, false
}

// provider is the policy of an ISP, whose customers' lines are in the database.
const provider = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[[rule]]
name   = "own blacklist"
when   = { list = "line:blacklist" }
action = "reject"
[[rule]]
name   = "night"
when   = { line = "profile:night", hours = "00:00-06:00" }
action = "reject"
[[rule]]
name   = "strict"
when   = { caller = "9521*", line = ["staff", "profile:strict"] }
action = "reject"
[[rule]]
name   = "label"
when   = { caller = "9521*", line = "profile:label" }
action = "tag"
label  = "sales"
`

func providerLines() keptLines {
	urumqi, err := time.LoadLocation("Asia/Urumqi")
	if err != nil {
		panic(err)
	}
	k := keptLines{}
	for i, l := range []Line{
		{Name: "a", Profile: "strict"},
		{Name: "b", Profile: "label"},
		{Name: "c", Profile: "strict", Mode: LineOff},
		{Name: "d", Profile: "strict", Mode: LineObserve},
		{Name: "e", Profile: "night", Zone: urumqi},
		{Name: "f"},
		{Name: "g", Profile: "strict"}, // on a line of the policy as well
	} {
		l.Key, l.Customer, l.Kept = NewLineKey(l.Name, "1"), "customer "+l.Name, true
		k[[]string{"05927770001", "05927770002", "05927770003", "05927770004", "05927770005", "05927770006", "05925550100"}[i]] = l
	}
	return k
}

// A call to a line of the database is decided by its profile, as its customer has chosen.
func TestKeptLines(t *testing.T) {
	p := mustLoad(t, provider).WithLines(providerLines())
	lists := plainLists{}
	for list, caller := range map[string]string{"f~1:blacklist": "95211613", "a:blacklist": "13800138000", "a~0:blacklist": "13800138000"} {
		q, err := p.Plan().Pattern(caller)
		if err != nil {
			t.Fatal(err)
		}
		lists.put(ListEntry{List: list, Pattern: q})
	}
	noon := time.Date(2026, 1, 7, 12, 0, 0, 0, p.calendar.zone)
	for _, c := range []struct {
		caller, callee string
		at             time.Time
		line, rule     string
		would, action  Action
		handsOff       bool
		reason         string
	}{
		{"95211613", "05927770001", noon, "a", "strict", Reject, Reject, false, "line a of profile strict"},
		{"+8695211613", "+865927770001", noon, "a", "strict", Reject, Reject, false, "line a of profile strict"},
		{"95211613", "05927770002", noon, "b", "label", Tag, Tag, false, "line b of profile label"},
		{"95211613", "05927770003", noon, "c", RulePaused, Allow, Allow, true, "line c is off"},
		{"95211613", "05927770004", noon, "d", "strict", Reject, Allow, true, "line d of profile strict"},
		{"95211613", "05927770006", noon, "f", "own blacklist", Reject, Reject, false, "is on list f~1:blacklist"}, // what the list says it is called
		{"95211613", "05927770007", noon, "", RuleDefault, Allow, Allow, false, "no rule matched"},
		{"13800138000", "05927770001", noon, "a", RuleDefault, Allow, Allow, false, "no rule matched"}, // the lists are of others of that name
		{"13800138000", "05927770005", noon.Add(17*time.Hour + 30*time.Minute), "e", "night", Reject, Reject, false, "00:00-06:00"},
		{"13800138000", "05927770005", noon.Add(19 * time.Hour), "e", "night", Reject, Reject, false, "00:00-06:00"}, // 07:00 in Shanghai, 05:00 there
		{"13800138000", "05927770005", noon.Add(13 * time.Hour), "e", RuleDefault, Allow, Allow, false, "no rule matched"},
		{"95211613", "05925550100", noon, "staff", "strict", Reject, Reject, false, "line staff"},
	} {
		call := p.Call(Facts{Caller: c.caller, Callee: c.callee, Time: c.at})
		d := p.Decide(&call, lists)
		if d.Line != c.line || d.Rule != c.rule || d.Would != c.would || d.Action != c.action || d.HandsOff != c.handsOff || !strings.Contains(d.Reason(), c.reason) {
			t.Errorf("%s to %s: line %q, %s by %q, done %s, hands off %v: %s", c.caller, c.callee, d.Line, d.Would, d.Rule, d.Action, d.HandsOff, d.Reason())
		}
		_, steps := p.Explain(&call, lists)
		for i := range p.rules {
			if !slices.ContainsFunc(steps, func(s Step) bool { return s.Rule == p.rules[i].name }) {
				t.Errorf("%s to %s: no step says what became of rule %s", c.caller, c.callee, p.rules[i].name)
			}
		}
	}
}

// A line that is on trial, or off, is not touched; emergency numbers pass a line that is off by their own rule, and what is stopped is not said to
// have been where nobody is asked.
func TestLineModes(t *testing.T) {
	p := mustLoad(t, provider).WithLines(providerLines())
	for callee, stops := range map[string]bool{"05927770001": true, "05927770003": false, "05927770004": true} {
		call := p.Call(Facts{Caller: "95211613", Callee: callee, Time: time.Unix(1767758400, 0)})
		d := p.Decide(&call, nil)
		if p.Stops(&d) != stops {
			t.Errorf("%s: stops %v: %s", callee, !stops, d.Reason())
		}
	}
	call := p.Call(Facts{Caller: "110", Callee: "05927770003", Time: time.Unix(1767758400, 0)})
	if d := p.Decide(&call, nil); d.Rule != RuleNeverScreen {
		t.Errorf("rule %q", d.Rule)
	}
}

// What is a line's alone is kept under its key, and people see its name.
func TestLineKeys(t *testing.T) {
	p := mustLoad(t, provider).WithLines(providerLines())
	for callee, want := range map[string]string{"05927770001": "a~1", "05925550100": "staff", "05927770009": ""} {
		n := p.Call(Facts{Callee: callee}).Callee
		if got := strings.Join(p.AppendLineKeys(nil, &n), " "); got != want || p.LineOf(&n) != LineName(want) {
			t.Errorf("%s: keys %q, want %q; line %q", callee, got, want, p.LineOf(&n))
		}
	}
	for line, customer := range map[string]string{"a~1": "customer a", "a": "customer a", "staff": "staff", "gone~7": "gone", "a~0": "a"} {
		if got := p.CustomerOf(line); got != customer {
			t.Errorf("%s is of customer %q, want %q", line, got, customer)
		}
	}
	for _, name := range []string{"", "line", "profile", "a~b", "a:b", "a b", "-a", strings.Repeat("x", 65), "a\n", "a,b"} {
		if BadLineName(name) == "" {
			t.Errorf("%q may be the name of a line", name)
		}
	}
	if advice := BadLineName("客户-4711.hq_1"); advice != "" {
		t.Error(advice)
	}
}

// A [[test]] says what profile the called line has.
func TestProfileInTests(t *testing.T) {
	p := mustLoad(t, provider+`
[[test]]
caller  = "95211613"
callee  = "05927770001"
profile = "label"
expect  = "tag"
[[test]]
caller   = "13800138000"
profile  = "label"
list_has = "line:blacklist"
expect   = "reject"
rule     = "own blacklist"
[[test]]
caller = "95211613"
callee = "05927770001"
expect = "allow"
`)
	for _, r := range p.RunTests() {
		if !r.Passed {
			t.Error(r)
		}
	}
	for text, fault := range map[string]string{
		"[[test]]\ncaller = \"95211613\"\nprofile = \"labels\"\nexpect = \"tag\"\n":                          `no rule names the profile "labels"`,
		"[[test]]\ncaller = \"95211613\"\ncallee = \"05925550100\"\nprofile = \"label\"\nexpect = \"tag\"\n": "is on a line of this file",
	} {
		_, faults := Load("policy.toml", []byte(provider+text))
		if len(faults) == 0 || !strings.Contains(faults[0].String(), fault) {
			t.Errorf("%v, want %s", faults, fault)
		}
	}
	_, faults := Load("policy.toml", []byte(strings.ReplaceAll(provider, "profile:label", "profile:a b")))
	if len(faults) == 0 || !strings.Contains(faults[0].String(), "has characters") {
		t.Error(faults)
	}
}
