package policy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// anyRules writes rules on detectors, holders and the score beside a few others.
func anyRules(r *rand.Rand) string {
	var b strings.Builder
	actions := []string{`"allow"`, `"tag", label = "?"`, `"warn", announcement = "suspected-nuisance"`, `"challenge"`, `"challenge", overflow = "reject"`, `"divert", to = "8000"`, `"reject"`}
	for i := range 1 + r.IntN(5) {
		var when []string
		some := func(one string) {
			if r.IntN(3) == 0 {
				when = append(when, one)
			}
		}
		some(fmt.Sprintf("tripped = [%q]", []string{"range", "tried", "called", "nobody", "trunk"}[r.IntN(5)]))
		if len(when) == 0 {
			some(`tripped = ["range", "nobody"]`)
		}
		some(fmt.Sprintf("score_at_least = %d", r.IntN(8)-2))
		some(`holder = ["firm A"]`)
		some(`caller_kind = ["mobile"]`)
		some(`known_caller = "30d"`)
		fmt.Fprintf(&b, "{ name = \"r%d\", when = { %s }, action = %s", i, strings.Join(when, ", "), actions[r.IntN(len(actions))])
		if r.IntN(6) == 0 {
			b.WriteString(`, mode = "observe"`)
		}
		b.WriteString(" },\n")
	}
	return b.String()
}

// TestTrippedProperties holds what is so of all policies and calls.
func TestTrippedProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 1))
	loaded, touched := 0, 0
	for range 3000 {
		p, _ := Load("p.toml", []byte("rule = [\n"+anyRules(r)+"]\n"+campaign))
		if p == nil {
			continue // it would refuse by what is no ground
		}
		loaded++
		for range 10 {
			c := p.Call(Facts{Caller: []string{"95211213", "95211213#", "13800138000", "", "95220000"}[r.IntN(5)], Callee: "05925550100", Time: workHour, Withheld: r.IntN(4) == 0})
			c.Evidence = Evidence{Decoys: r.IntN(3), Callees: r.IntN(9), Short: r.IntN(5)}
			c.FirstTime, c.KnownLines = r.IntN(2) == 0, r.IntN(5)
			for _, at := range []*time.Time{&c.KnownToLine, &c.ChallengeTried, &c.ChallengePassed} {
				if r.IntN(4) == 0 {
					*at = workHour.Add(-time.Minute)
				}
			}
			quiet := c
			want := p.Decide(&quiet, nil)
			c.Tripped = DetectorSet(r.IntN(32))
			c.OnTrial = c.Tripped & DetectorSet(r.IntN(32))
			d := p.Decide(&c, nil)
			counting := c.Tripped &^ c.OnTrial
			where := fmt.Sprintf("%+v by %b, on trial by %b, of %b and %b: %s", d.Action, d.By, d.TrialBy, c.Tripped, c.OnTrial, d.Reason())
			switch {
			case d.By&^counting != 0 || d.TrialBy&^c.Tripped != 0:
				t.Fatalf("a detector that did not trip: %s", where)
			case d.By != 0 && d.Action == Allow:
				t.Fatalf("a call is let through by a detector: %s", where)
			case p.IsAcquaintance(&c) && (d.By|d.TrialBy) != 0 && d.decider.find(onKnown) == nil && d.Trial == "":
				t.Fatalf("an acquaintance is touched: %s", where)
			}
			// What only weak detectors bring about is never a refusal.
			if weak := c.Tripped & p.weak; weak == counting && d.Action == Reject && d.By != 0 && !d.decider.grounded() && d.decider.find(onScore) == nil {
				t.Fatalf("refused by what is no ground: %s", where)
			}
			if d.By != 0 {
				touched++
			}
			// Without what it is touched by, the call is decided as if that had not tripped, and never by it again.
			for d.By != 0 {
				before := d.By
				c.OnTrial |= d.By
				if d = p.Decide(&c, nil); d.By&before != 0 {
					t.Fatalf("touched by %b again, though on trial: %s", before, where)
				}
			}
			c.OnTrial = c.Tripped
			d = p.Decide(&c, nil)
			if d.Action != want.Action || d.Overflow != want.Overflow || d.Label != want.Label || d.SIP != want.SIP || d.decider != want.decider {
				t.Fatalf("detectors on trial change what is done: %s, without %s", where, want.Reason())
			}
		}
	}
	if loaded < 500 || touched < 500 {
		t.Errorf("%d policies were tried, and %d calls touched", loaded, touched)
	}
}
