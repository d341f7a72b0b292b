package policy

import (
	"strings"
	"testing"
	"time"
)

// TestSpared holds who is not asked by a challenge: who passed one within `remember`, and who left one within `grace`
// without a wrong digit.
func TestSpared(t *testing.T) {
	p := mustLoad(t, `country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "ask"
when = { caller = ["9521????"] }
action = "challenge"
remember = "2d"
grace = "10m"
`)
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		caller        string
		passed, tried time.Time
		action        Action
		rule, reason  string
	}{
		"never asked":          {"95211613", time.Time{}, time.Time{}, Challenge, "ask", ""},
		"passed":               {"95211613", ago(time.Hour), time.Time{}, Allow, "ask", "; passed the challenge on 2026-03-04 at 19:00"},
		"passed long ago":      {"95211613", ago(48 * time.Hour), time.Time{}, Challenge, "ask", ""},
		"passed in the future": {"95211613", ago(-time.Hour), time.Time{}, Challenge, "ask", ""},
		"left":                 {"95211613", time.Time{}, ago(9 * time.Minute), Allow, RuleKnownGrace, "; rule ask asked at 19:51, no wrong digit was keyed, and the caller calls again"},
		"left too long ago":    {"95211613", time.Time{}, ago(10 * time.Minute), Challenge, "ask", ""},
		"passed, then left":    {"95211613", ago(time.Hour), ago(time.Minute), Allow, "ask", "passed"},
		"not asked anyway":     {"13800138000", ago(time.Hour), ago(time.Minute), Allow, RuleDefault, ""},
	} {
		call := p.Call(Facts{Caller: c.caller, Time: now})
		call.ChallengePassed, call.ChallengeTried = c.passed, c.tried
		d := p.Decide(&call, nil)
		if d.Action != c.action || d.Rule != c.rule || !strings.Contains(d.Reason(), c.reason) || c.reason == "" && strings.Contains(d.Reason(), "challenge") {
			t.Errorf("%s: %s by %s: %s", name, d.Action, d.Rule, d.Reason())
		}
		if asked := c.rule != RuleDefault; asked != (d.Would == Challenge) || (d.Action == Challenge) != (d.Digits == 3) {
			t.Errorf("%s: would %s, %d digits", name, d.Would, d.Digits)
		}
	}
}
