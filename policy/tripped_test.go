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
			name: "the score by a detector", rules: `{ name = "a", when = { score_at_least = 2.6 }, action = "challenge" }`,
			tripped: ranged, call: func(c *Call) { c.Evidence.Decoys = 1; c.FirstTime = true }, want: outcome{Rule: "a", Action: Challenge, By: ranged, Overflow: "reject"},
		},
		{
			name: "the score by a detector on trial", rules: `{ name = "a", when = { score_at_least = 2.6 }, action = "challenge" }`,
			tripped: tried, onTrial: tried, call: func(c *Call) { c.Evidence.Decoys = 1; c.FirstTime = true }, want: outcome{Rule: "a", Trial: "a", TrialWould: Challenge, TrialBy: tried},
		},
		{
			name: "the score takes no weak detector", rules: `{ name = "a", when = { score_at_least = 2.6 }, action = "challenge" }`,
			tripped: called | nobody, call: func(c *Call) { c.Evidence.Decoys = 1; c.FirstTime = true }, want: outcome{Rule: "default"},
		},
		{
			name: "the score needs no detector", rules: `{ name = "a", when = { score_at_least = 2 }, action = "challenge" }`,
			tripped: ranged, call: func(c *Call) { c.Evidence.Decoys = 2 }, want: outcome{Rule: "a", Action: Challenge, Overflow: "reject"},
		},
		{
			name: "tripped and the score", rules: `{ name = "a", when = { tripped = ["called"], score_at_least = 2.6 }, action = "reject" }`,
			tripped: ranged | called, call: func(c *Call) { c.Evidence.Decoys = 1; c.FirstTime = true }, want: outcome{Rule: "a", Action: Reject, By: ranged | called},
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
