package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const knownPolicy = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.company]
numbers = ["05925550000-05925550999"]
[lines.boss]
numbers = ["05925550001"]
[lines.hotline]
numbers = ["4008001234"]
[[rule]]
name   = "people we deal with"
when   = { known_caller = "30d" }
action = "allow"
[[rule]]
name   = "known elsewhere"
when   = { known_caller = "10d", known_scope = "all" }
action = "tag"
label  = "known"
[[rule]]
name   = "strangers"
action = "reject"
`

func TestKnownCaller(t *testing.T) {
	p := mustLoad(t, knownPolicy)
	const before = time.Minute
	for _, test := range []struct {
		name      string
		callee    string
		line, all time.Duration // ago; 0 is never
		withheld  bool
		rule      string
		reason    string
	}{
		{"never", "05925550100", 0, 0, false, "strangers", "the rule has no conditions"},
		{"a day ago", "05925550100", day, day, false, "people we deal with", "number +8613900139000 is known to the called line, last on 2026-01-06"},
		{"just within", "05925550100", 30 * day, 30 * day, false, "people we deal with", "number +8613900139000 is known to the called line, last on 2025-12-08"},
		{"just outside", "05925550100", 30*day + 1, 30*day + 1, false, "strangers", "the rule has no conditions"},
		{"elsewhere", "4008001234", 0, 10 * day, false, "known elsewhere", "number +8613900139000 is known to a line, last on 2025-12-28"},
		{"elsewhere, too long ago", "4008001234", 0, 10*day + 1, false, "strangers", "the rule has no conditions"},
		{"known, and the callee is no line's", "2001", 0, day, false, "known elsewhere", "number +8613900139000 is known to a line, last on 2026-01-06"},
		{"the line alone is said to know", "05925550100", 9 * day, 0, false, "people we deal with", "number +8613900139000 is known to the called line, last on 2025-12-29"},
		{"withheld", "05925550100", day, day, true, "people we deal with", "withheld caller is known to the called line, last on 2026-01-06"},
		{"to come", "05925550100", -before, -before, false, "strangers", "the rule has no conditions"},
		{"elsewhere to come, here before", "05925550100", 31 * day, -before, false, "strangers", "the rule has no conditions"},
	} {
		c := p.Call(Facts{Caller: "13900139000", Callee: test.callee, Withheld: test.withheld, Time: workHour})
		ago := func(d time.Duration) (t time.Time) {
			if d != 0 {
				t = workHour.Add(-d)
			}
			return t
		}
		c.KnownToLine, c.KnownToAll = ago(test.line), ago(test.all)
		d := p.Decide(&c, nil)
		if d.Rule != test.rule || d.Reason() != test.reason {
			t.Errorf("%s: %s: %s", test.name, d.Rule, d.Reason())
		}
		explained, _ := p.Explain(&c, nil)
		if explained != d {
			t.Errorf("%s: explained as %+v, decided %+v", test.name, explained, d)
		}
	}
	if got := p.KnownWindow(); got != 30*day {
		t.Errorf("the longest window is %v", got)
	}
}

// The clock of the day in a reason is the policy's.
func TestKnownCallerSteps(t *testing.T) {
	p := mustLoad(t, knownPolicy)
	late := time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC) // the second in China
	for _, test := range []struct {
		callee    string
		line, all time.Time
		want      [3]string
	}{
		{"05925550100", time.Time{}, time.Time{}, [3]string{
			"known_caller: number +8613900139000 is not known to the called line", "known_caller: number +8613900139000 is not known to a line", "the rule has no conditions",
		}},
		{"2001", time.Time{}, late, [3]string{
			"known_caller: called number 2001 belongs to no line", "number +8613900139000 is known to a line, last on 2026-01-02", "not tried, since known elsewhere decided",
		}},
		{"05925550100", late.Add(-40 * day), late.Add(-20 * day), [3]string{
			"known_caller: number +8613900139000 was known to the called line last on 2025-11-23, longer ago than 30d",
			"known_caller: number +8613900139000 was known to a line last on 2025-12-13, longer ago than 10d", "the rule has no conditions",
		}},
		{"05925550100", late.Add(30 * day), late.Add(30 * day), [3]string{
			"known_caller: number +8613900139000 was not known to the called line yet", "known_caller: number +8613900139000 was not known to a line yet", "the rule has no conditions",
		}},
	} {
		c := p.Call(Facts{Caller: "13900139000", Callee: test.callee, Time: workHour})
		c.KnownToLine, c.KnownToAll = test.line, test.all
		_, steps := p.Explain(&c, nil)
		var got [3]string
		for i, s := range steps[2:5] {
			got[i] = s.Why
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("to %s, known %v: %s", test.callee, test.line, diff)
		}
	}
}

func TestKnownCallerTests(t *testing.T) {
	p := mustLoad(t, knownPolicy+`
[[test]]
caller = "13900139000"
callee = "05925550100"
known  = true
expect = "allow"
rule   = "people we deal with"
[[test]]
caller = "13900139000"
callee = "05925550100"
expect = "reject"
[[test]]
caller = "13900139000"
callee = "05925550100"
at     = "2027-05-05T12:00"
known  = true
expect = "allow"
[[test]]
caller = "13900139000"
callee = "2001"
known  = true
expect = "tag"
rule   = "known elsewhere"
`)
	for _, r := range p.RunTests() {
		if !r.Passed {
			t.Error(r)
		}
	}
}

func TestAppendLineKeys(t *testing.T) {
	p := mustLoad(t, knownPolicy)
	for callee, want := range map[string][]string{
		"05925550100": {"company"}, "+865925550001": {"company", "boss"}, "4008001234": {"hotline"}, "2001": nil, "": nil,
	} {
		n := p.Call(Facts{Callee: callee}).Callee
		if diff := cmp.Diff(want, p.AppendLineKeys(nil, &n)); diff != "" {
			t.Errorf("%s: %s", callee, diff)
		}
	}
}

func TestNeverScreened(t *testing.T) {
	p := mustLoad(t, office)
	for caller, want := range map[string]bool{"110": true, "12110": true, "4008111111": true, "95588": false, "": false} {
		if n := p.Plan().Parse(caller); p.NeverScreened(&n) != want {
			t.Errorf("%s: %v", caller, !want)
		}
	}
}

func TestKnownCallerDoesNotAllocate(t *testing.T) {
	p := mustLoad(t, knownPolicy)
	var room [4]string
	for _, line := range []time.Time{{}, workHour.Add(-day)} {
		c := p.Call(Facts{Caller: "13900139000", Callee: "05925550001", Time: workHour})
		c.KnownToLine, c.KnownToAll = line, workHour.Add(-day)
		if n := testing.AllocsPerRun(100, func() { p.Decide(&c, nil) }); n > 0 {
			t.Errorf("known %v: %v allocations", line, n)
		}
		if n := testing.AllocsPerRun(100, func() { p.AppendLineKeys(room[:0], &c.Callee) }); n > 0 {
			t.Errorf("finding the lines: %v allocations", n)
		}
	}
}
