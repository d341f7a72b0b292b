package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// campaign has rules on what detectors find: 0 range, 1 tried (on trial), 2 called (by callee), 3 nobody (decoys alone), 4 trunk.
const campaign = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[ranges]
"952112*"  = "firm A"
"95220000" = "firm B"
[[detector]]
name = "range"
key = "prefix:6"
count = "strangers"
window = "3h"
trip = 5
[[detector]]
name = "tried"
key = "caller"
count = "callees"
window = "3h"
trip = 5
mode = "observe"
[[detector]]
name = "called"
key = "callee"
count = "calls"
window = "10m"
trip = 50
[[detector]]
name = "nobody"
key = "caller"
count = "decoys"
window = "1h"
trip = 2
[[detector]]
name = "trunk"
key = "trunk"
count = "calls"
window = "10m"
surge = 8
`

// what is decided of one call, in short.
type outcome struct {
	Rule       string
	Action     Action
	By         DetectorSet
	Trial      string
	TrialBy    DetectorSet
	Overflow   string
	TrialWould Action
}

// TestTripped holds what rules make of detectors.
//
// long: because it is one table, of what tripped and what becomes of it
func TestTripped(t *testing.T) {
	const (
		ranged, tried, called, nobody, trunk DetectorSet = 1, 2, 4, 8, 16
	)
	at := workHour
	for _, test := range []struct {
		name             string
		rules            string
		tripped, onTrial DetectorSet
		call             func(c *Call)
		want             outcome
	}{
		{
			name: "nothing tripped", rules: `{ name = "a", when = { tripped = ["range", "tried"] }, action = "reject" }`,
			tripped: called, want: outcome{Rule: "default"},
		},
		{
			name: "tripped", rules: `{ name = "a", when = { tripped = ["range", "tried"] }, action = "reject" }`,
			tripped: ranged | called, want: outcome{Rule: "a", Action: Reject, By: ranged},
		},
		{
			name: "on trial", rules: `{ name = "a", when = { tripped = ["range", "tried"] }, action = "reject" }`,
			tripped: tried, onTrial: tried, want: outcome{Rule: "a", Trial: "a", TrialWould: Reject, TrialBy: tried},
		},
		{
			name: "on trial beside another", rules: `{ name = "a", when = { tripped = ["range", "tried"] }, action = "reject" }`,
			tripped: ranged | tried, onTrial: tried, want: outcome{Rule: "a", Action: Reject, By: ranged},
		},
		{
			name:    "on trial, and the next decides",
			rules:   `{ name = "a", when = { tripped = ["tried"] }, action = "reject" }, { name = "b", when = { tripped = ["range"] }, action = "tag", label = "?" }`,
			tripped: ranged | tried, onTrial: tried, want: outcome{Rule: "b", Action: Tag, By: ranged, Trial: "a", TrialWould: Reject, TrialBy: tried},
		},
		{
			name: "the rule on trial", rules: `{ name = "a", when = { tripped = ["range", "tried"] }, action = "reject", mode = "observe" }`,
			tripped: ranged | tried, onTrial: tried, want: outcome{Rule: "a", Trial: "a", TrialWould: Reject, TrialBy: ranged},
		},
		{
			name: "several on trial", rules: `{ name = "a", when = { tripped = ["tried"] }, action = "reject" }, { name = "b", when = { tripped = ["range"] }, action = "tag", label = "?" }`,
			tripped: ranged | tried, onTrial: ranged | tried, want: outcome{Rule: "a", Trial: "a", TrialWould: Reject, TrialBy: ranged | tried},
		},
		{
			name: "over its share", rules: `{ name = "a", when = { tripped = ["range"] }, action = "challenge" }`,
			tripped: ranged, onTrial: ranged, want: outcome{Rule: "a", Trial: "a", TrialWould: Challenge, TrialBy: ranged},
		},
		{
			name: "let through", rules: `{ name = "a", when = { tripped = ["range"], line = ["staff"] }, action = "allow" }`,
			tripped: ranged, want: outcome{Rule: "a"},
		},
		{
			name: "an acquaintance", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`,
			tripped: ranged, call: func(c *Call) { c.KnownToLine = at.Add(-29 * day) }, want: outcome{Rule: "default"},
		},
		{
			name: "an acquaintance of long ago", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`,
			tripped: ranged, call: func(c *Call) { c.KnownToLine = at.Add(-31 * day) }, want: outcome{Rule: "a", Action: Reject, By: ranged},
		},
		{
			name: "known to two other lines", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`,
			tripped: ranged, call: func(c *Call) { c.KnownToAll, c.KnownLines = at, 2 }, want: outcome{Rule: "a", Action: Reject, By: ranged},
		},
		{
			name: "known to three", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`,
			tripped: ranged, call: func(c *Call) { c.KnownToAll, c.KnownLines = at, 3 }, want: outcome{Rule: "default"},
		},
		{
			name: "an acquaintance that a rule means", rules: `{ name = "a", when = { tripped = ["range"], known_caller = "30d" }, action = "tag", label = "?" }`,
			tripped: ranged, call: func(c *Call) { c.KnownToLine = at }, want: outcome{Rule: "a", Action: Tag, By: ranged},
		},
		{
			name: "a challenge", rules: `{ name = "a", when = { tripped = ["range"] }, action = "challenge" }`,
			tripped: ranged, want: outcome{Rule: "a", Action: Challenge, By: ranged, Overflow: "reject"},
		},
		{
			name: "a challenge passed before", rules: `{ name = "a", when = { tripped = ["range"] }, action = "challenge" }`,
			tripped: ranged, call: func(c *Call) { c.ChallengePassed = at.Add(-day) }, want: outcome{Rule: "a"},
		},
		{
			name: "no grace", rules: `{ name = "a", when = { tripped = ["range"] }, action = "challenge" }`,
			tripped: ranged, call: func(c *Call) { c.ChallengeTried = at.Add(-time.Minute) }, want: outcome{Rule: "a", Action: Challenge, By: ranged, Overflow: "reject"},
		},
		{
			name: "no grace where another rule asks", rules: `{ name = "a", action = "challenge" }`,
			tripped: ranged, call: func(c *Call) { c.ChallengeTried = at.Add(-time.Minute) }, want: outcome{Rule: "a", Action: Challenge, Overflow: "reject"},
		},
		{
			name: "grace in a storm that may be people who call back", rules: `{ name = "a", when = { tripped = ["called", "nobody"] }, action = "challenge" }`,
			tripped: called | nobody, call: func(c *Call) { c.ChallengeTried = at.Add(-time.Minute) }, want: outcome{Rule: RuleKnownGrace},
		},
		{
			name: "and nobody refused who finds no room", rules: `{ name = "a", when = { tripped = ["called", "nobody", "trunk"] }, action = "challenge" }`,
			tripped: called | nobody | trunk, want: outcome{Rule: "a", Action: Challenge, By: called | nobody | trunk, Overflow: "allow"},
		},
		{
			name: "on trial it changes no challenge", rules: `{ name = "a", action = "challenge" }`,
			tripped: ranged, onTrial: ranged, want: outcome{Rule: "a", Action: Challenge, Overflow: "allow"},
		},
		{
			name: "a holder", rules: `{ name = "a", when = { holder = ["firm B", "firm A"] }, action = "reject" }`,
			want: outcome{Rule: "a", Action: Reject},
		},
		{
			name: "another's", rules: `{ name = "a", when = { holder = ["firm B"] }, action = "reject" }`,
			want: outcome{Rule: "default"},
		},
		{
			name: "the score", rules: `{ name = "a", when = { score_at_least = 2 }, action = "challenge" }`,
			call: func(c *Call) { c.Evidence.Decoys = 9 }, want: outcome{Rule: "a", Action: Challenge, Overflow: "allow"},
		},
		{
			name: "the score is not there", rules: `{ name = "a", when = { score_at_least = 2.6 }, action = "challenge" }`,
			call: func(c *Call) { c.Evidence.Decoys = 9 }, want: outcome{Rule: "default"},
		},
		{
			name: "the score by a detector", rules: `{ name = "a", when = { score_at_least = 2.5 }, action = "challenge" }`,
			tripped: ranged, call: func(c *Call) { c.Evidence.Decoys = 1; c.FirstTime = true }, want: outcome{Rule: "a", Action: Challenge, By: ranged, Overflow: "reject"},
		},
		{
			name: "the score by a detector on trial", rules: `{ name = "a", when = { score_at_least = 2.5 }, action = "challenge" }`,
			tripped: tried, onTrial: tried, call: func(c *Call) { c.Evidence.Decoys = 1; c.FirstTime = true }, want: outcome{Rule: "a", Trial: "a", TrialWould: Challenge, TrialBy: tried},
		},
		{
			name: "the score takes no weak detector", rules: `{ name = "a", when = { score_at_least = 2.5 }, action = "challenge" }`,
			tripped: called | nobody, call: func(c *Call) { c.Evidence.Decoys = 1; c.FirstTime = true }, want: outcome{Rule: "default"},
		},
		{
			name: "the score needs no detector", rules: `{ name = "a", when = { score_at_least = 2 }, action = "challenge" }`,
			tripped: ranged, call: func(c *Call) { c.Evidence.Decoys = 2 }, want: outcome{Rule: "a", Action: Challenge, Overflow: "reject"},
		},
		{
			name: "tripped and the score", rules: `{ name = "a", when = { tripped = ["called"], score_at_least = 3 }, action = "reject" }`,
			tripped: ranged | called, call: func(c *Call) { c.Evidence.Decoys = 2; c.FirstTime = true }, want: outcome{Rule: "a", Action: Reject, By: ranged | called},
		},
	} {
		p := mustLoad(t, "rule = ["+test.rules+"]\n"+campaign)
		c := p.Call(Facts{Caller: "95211213", Callee: "05925550100", Time: at})
		c.Tripped, c.OnTrial = test.tripped, test.onTrial
		if test.call != nil {
			test.call(&c)
		}
		d := p.Decide(&c, nil)
		got := outcome{d.Rule, d.Action, d.By, d.Trial, d.TrialBy, d.Overflow, d.TrialWould}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s\n%s", test.name, d.Reason(), diff)
		}
		if n := testing.AllocsPerRun(10, func() { p.Decide(&c, nil) }); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
		p = mustLoad(t, "mode = \"observe\"\nrule = ["+test.rules+"]\n"+campaign)
		if d := p.Decide(&c, nil); d.By != 0 || d.Action != Allow || d.TrialBy != test.want.By|test.want.TrialBy && d.Rule != RuleKnownGrace && c.ChallengePassed.IsZero() && c.ChallengeTried.IsZero() {
			t.Errorf("%s, in observe: by %b, on trial by %b", test.name, d.By, d.TrialBy)
		}
	}
}

// TestTrippedReasons holds what is said of detectors, holders and the score: by the reason, and by the steps.
//
// long: because it is one table, of calls and what is said of them
func TestTrippedReasons(t *testing.T) {
	at := workHour
	held := []Trip{
		{Detector: 0, Key: "952112", Why: "7 strangers in 3h, trips at 5", Since: at.Add(-time.Hour), Until: at.Add(23 * time.Hour)},
		{Detector: 1, Key: "+8695211213", Why: "6 callees in 3h, trips at 5", Since: at.Add(-25 * time.Hour), Trial: "on trial"},
	}
	capped := []Trip{held[0]}
	capped[0].Trial = "over max_share"
	for _, test := range []struct {
		name, rules, caller string
		withheld            bool
		tripped, onTrial    DetectorSet
		trips               []Trip
		call                func(c *Call)
		want, step          string
	}{
		{
			name: "tripped", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`, tripped: 1, trips: held[:1],
			want: "952112 (firm A) tripped range at 09:00 (7 strangers in 3h, trips at 5), held until 2026-01-08 09:00",
		},
		{
			name: "several", rules: `{ name = "a", when = { tripped = ["trunk", "range", "called"], line = ["staff"] }, action = "challenge" }`, tripped: 1 | 4 | 16, trips: held,
			want: "line staff, 952112 (firm A) tripped range at 09:00 (7 strangers in 3h, trips at 5), held until 2026-01-08 09:00, trunk and called too",
		},
		{
			name: "nothing more is known", rules: `{ name = "a", when = { tripped = ["trunk", "range"] }, action = "challenge" }`, tripped: 1 | 16,
			want: "tripped trunk and range by a number of firm A",
		},
		{
			name: "held by a person", rules: `{ name = "a", when = { tripped = ["tried"] }, action = "reject" }`, tripped: 2, trips: held[1:],
			want: "+8695211213 (firm A) tripped tried at 2026-01-06 09:00 (6 callees in 3h, trips at 5), held by a person",
		},
		{
			name: "on trial", rules: `{ name = "a", when = { tripped = ["tried"] }, action = "reject" }`, tripped: 2, onTrial: 2, trips: held[1:],
			want: "+8695211213 (firm A) tripped tried at 2026-01-06 09:00 (6 callees in 3h, trips at 5), held by a person; detector tried is on trial, would reject",
			step: "+8695211213 (firm A) tripped tried at 2026-01-06 09:00 (6 callees in 3h, trips at 5), held by a person; detector tried is on trial, so the next rules are tried",
		},
		{
			name: "over its share", rules: `{ name = "a", when = { tripped = ["range"] }, action = "challenge" }`, tripped: 1, onTrial: 1, trips: capped,
			want: "952112 (firm A) tripped range at 09:00 (7 strangers in 3h, trips at 5), held until 2026-01-08 09:00; detector range is over max_share, would challenge",
		},
		{
			name: "the rule on trial", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject", mode = "observe" }`, tripped: 1, trips: held[:1],
			want: "952112 (firm A) tripped range at 09:00 (7 strangers in 3h, trips at 5), held until 2026-01-08 09:00; on trial, would reject",
		},
		{
			name: "withheld", rules: `{ name = "a", when = { tripped = ["range", "tried"] }, action = "reject" }`, withheld: true, tripped: 3, trips: held,
			want: "the caller’s range (firm A) tripped range at 09:00 (7 strangers in 3h, trips at 5), held until 2026-01-08 09:00, tried too",
		},
		{
			name: "by the holder", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`, tripped: 1, trips: []Trip{{Key: "firm A", Why: "x", Since: at, Until: at}},
			want: "firm A tripped range at 10:00 (x), held until 2026-01-07 10:00",
		},
		{
			name: "not tripped", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`, tripped: 2,
			want: "no rule matched number +8695211213", step: "tripped: range is not tripped for this call",
		},
		{
			name: "none tripped", rules: `{ name = "a", when = { tripped = ["range", "tried"] }, action = "reject" }`,
			want: "no rule matched number +8695211213", step: "tripped: none of range, tried is tripped for this call",
		},
		{
			name: "an acquaintance", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`, tripped: 1, trips: held[:1], call: func(c *Call) { c.KnownToLine = at },
			want: "no rule matched number +8695211213",
			step: "tripped: range tripped, but number +8695211213 is known to the called line, and only a rule with known_caller touches those",
		},
		{
			name: "known to many", rules: `{ name = "a", when = { tripped = ["range"] }, action = "reject" }`, tripped: 1, trips: held[:1], call: func(c *Call) { c.KnownLines = 3 },
			want: "no rule matched number +8695211213",
			step: "tripped: range tripped, but number +8695211213 is known to lines of several customers, and only a rule with known_caller touches those",
		},
		{
			name: "a holder", rules: `{ name = "a", when = { holder = ["firm A"] }, action = "reject" }`,
			want: "number +8695211213 is of firm A",
		},
		{
			name: "another's", rules: `{ name = "a", when = { holder = ["firm B"] }, action = "reject" }`,
			want: "no rule matched number +8695211213", step: "holder: number +8695211213 is of firm A, not firm B",
		},
		{
			name: "nobody's", rules: `{ name = "a", when = { holder = ["firm B"] }, action = "reject" }`, caller: "13800138000",
			want: "no rule matched number +8613800138000", step: "holder: number +8613800138000 is of nobody under [ranges] who is asked for",
		},
		{
			name: "a text that holds one", rules: `{ name = "a", when = { holder = ["firm A"] }, action = "reject" }`, caller: "95211213#",
			want: "caller 95211213#, which holds +8695211213, is of firm A",
		},
		{
			name: "a text lets nobody pass", rules: `{ name = "a", when = { holder = ["firm A"] }, action = "allow" }`, caller: "95211213#",
			want: "no rule matched caller 95211213#",
		},
		{
			name: "withheld, of a range", rules: `{ name = "a", when = { holder = ["firm A"] }, action = "reject" }`, withheld: true,
			want: "withheld caller is of firm A",
		},
		{
			name: "withheld, the one number of a holder", rules: `{ name = "a", when = { holder = ["firm A"] }, action = "reject" }`, withheld: true, caller: "95220000",
			want: "no rule matched withheld caller", step: "holder: withheld caller is of nobody under [ranges] who is asked for",
		},
		{
			name: "the score", rules: `{ name = "a", when = { score_at_least = 2 }, action = "challenge" }`, call: func(c *Call) { c.Evidence.Decoys, c.Evidence.Talks, c.FirstTime = 2, 1, true },
			want: "score 2.1: decoy +6, talked -0.5, stranger +0.3, prior -4, of firm A",
		},
		{
			name: "the score by a detector", rules: `{ name = "a", when = { score_at_least = 2 }, action = "challenge" }`, tripped: 1, trips: held[:1], call: func(c *Call) { c.Evidence.Decoys = 1 },
			want: "score 2.3: decoy +3, tripped +3, stranger +0.3, prior -4, of firm A",
		},
		{
			name: "the score by one on trial", rules: `{ name = "a", when = { score_at_least = 2 }, action = "challenge" }`, tripped: 1, onTrial: 1, trips: capped, call: func(c *Call) { c.Evidence.Decoys = 1 },
			want: "score 2.3: decoy +3, tripped +3, stranger +0.3, prior -4, of firm A; over max_share, would challenge",
		},
		{
			name: "too low", rules: `{ name = "a", when = { score_at_least = 2 }, action = "challenge" }`, call: func(c *Call) { c.KnownToLine = at },
			want: "no rule matched number +8695211213", step: "score_at_least: score -9: known -5, prior -4, less than 2",
		},
	} {
		p := mustLoad(t, "rule = ["+test.rules+"]\n"+campaign)
		if test.caller == "" {
			test.caller = "95211213"
		}
		c := p.Call(Facts{Caller: test.caller, Callee: "05925550100", Time: at, Withheld: test.withheld})
		c.Tripped, c.OnTrial, c.Trips = test.tripped, test.onTrial, test.trips
		if test.call != nil {
			test.call(&c)
		}
		d, steps := p.Explain(&c, nil)
		if diff := cmp.Diff(test.want, d.Reason()); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		if e := p.Decide(&c, nil); e != d {
			t.Errorf("%s: decided %+v, explained %+v", test.name, e, d)
		}
		if got := steps[2].Why; test.step != "" && got != test.step {
			t.Errorf("%s: the step says\n%s, want\n%s", test.name, got, test.step)
		}
	}
}

func TestTestsOfTripped(t *testing.T) {
	p := mustLoad(t, campaign+`
[[rule]]
name = "tried"
when = { tripped = ["tried"] }
action = "reject"
[[rule]]
name = "under way"
when = { tripped = ["range"] }
action = "challenge"
[[test]]
caller = "95211213"
tripped = ["range"]
expect = "challenge"
rule = "under way"
[[test]]
caller = "95211213"
callee = "05925550100"
tripped = ["range"]
known = true
expect = "allow"
rule = "default"
[[test]]
caller = "95211213"
tripped = ["tried"]
expect = "reject"
rule = "tried"
[[test]]
caller = "95211213"
tripped = ["tried"]
expect = "allow"
[[test]]
caller = "95211213"
tripped = ["range"]
expect = "allow"
`)
	var got []string
	for _, r := range p.RunTests() {
		got = append(got, r.String())
	}
	want := []string{
		`caller "95211213": challenge by rule "under way"`,
		`caller "95211213": allow by rule "default"`,
		`caller "95211213": reject by rule "tried"`,
		`caller "95211213": allow`,
		`caller "95211213": expected allow, got challenge by rule "under way": the caller’s range (firm A) tripped range (as the test says)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
