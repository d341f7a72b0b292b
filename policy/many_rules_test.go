package policy

import (
	"fmt"
	"strings"
	"testing"
)

// TestManyRules: of as many rules as there may be the first one that holds decides, wherever it stands, with and without an explanation.
func TestManyRules(t *testing.T) {
	const anybody = 500
	var b strings.Builder
	b.WriteString("country = \"CN\"\n[trunks.t]\nmatch = [\"gateway:t\"]\n")
	for i := range MaxRules {
		when := fmt.Sprintf("caller = [\"1390000%04d\"]", i)
		if i == anybody {
			when = `trunk = ["t"]`
		}
		fmt.Fprintf(&b, "[[rule]]\nname = \"r%d\"\nwhen = { %s }\naction = \"reject\"\n", i, when)
	}
	p := mustLoad(t, b.String())
	for i := range MaxRules + 1 {
		for _, trunk := range []string{"t", ""} {
			want := fmt.Sprintf("r%d", i)
			switch {
			case trunk == "t" && i >= anybody:
				want = fmt.Sprintf("r%d", anybody)
			case i == anybody || i == MaxRules:
				want = RuleDefault
			}
			c := p.Call(Facts{Caller: fmt.Sprintf("1390000%04d", i), Callee: "05925550100", Trunk: trunk})
			d := p.Decide(&c, nil)
			explained, _ := p.Explain(&c, nil)
			if d.Rule != want || explained.Rule != want {
				t.Fatalf("caller %d on trunk %q: %s, explained %s, want %s", i, trunk, d.Rule, explained.Rule, want)
			}
		}
	}
}
