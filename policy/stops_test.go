package policy

import (
	"testing"
	"time"
)

// What keeps a call from ringing stops it, be it done or on trial.
func TestStops(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		rules  string
		passed bool
		want   bool
	}{
		"allow":                      {"action = \"allow\"", false, false},
		"tag":                        {"action = \"tag\"\nlabel = \"?\"", false, false},
		"warn":                       {"action = \"warn\"\nannouncement = \"suspected-nuisance\"", false, false},
		"warn and hang up":           {"action = \"warn\"\nannouncement = \"suspected-nuisance\"\nthen = \"hangup\"", false, true},
		"divert":                     {"action = \"divert\"\nto = \"voicemail\"", false, true},
		"reject":                     {"action = \"reject\"", false, true},
		"challenge":                  {"action = \"challenge\"", false, true},
		"challenge, passed before":   {"action = \"challenge\"", true, false},
		"challenge on trial":         {"action = \"challenge\"\nmode = \"observe\"", true, true},
		"reject on trial":            {"action = \"reject\"\nmode = \"observe\"", false, true},
		"reject on trial, then tag":  {"action = \"reject\"\nmode = \"observe\"\n[[rule]]\nname = \"y\"\naction = \"tag\"\nlabel = \"?\"", false, true},
		"hang up on trial, then tag": {"action = \"warn\"\nannouncement = \"suspected-nuisance\"\nthen = \"hangup\"\nmode = \"observe\"\n[[rule]]\nname = \"y\"\naction = \"tag\"\nlabel = \"?\"", false, true},
		"tag on trial":               {"action = \"tag\"\nlabel = \"?\"\nmode = \"observe\"", false, false},
	} {
		for _, mode := range []string{"", "mode = \"observe\"\n"} {
			p, faults := Load("policy.toml", []byte("country = \"CN\"\n"+mode+"[[rule]]\nname = \"x\"\n"+c.rules))
			if p == nil {
				t.Fatalf("%s: %v", name, faults)
			}
			call := p.Call(Facts{Caller: "13800138000", Callee: "05925550100", Time: now})
			if c.passed {
				call.ChallengePassed = now.Add(-time.Hour)
			}
			want := c.want || mode != "" && name == "challenge, passed before" // whether they would have been asked is not looked at there
			if d := p.Decide(&call, nil); p.Stops(&d) != want {
				t.Errorf("%s %s: got %v, want %v", mode, name, !want, want)
			}
		}
	}
}
