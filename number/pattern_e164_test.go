package number

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// What a pattern matches of this country's numbers, its patterns of E.164 numbers match too.
func TestInE164(t *testing.T) {
	for _, country := range []string{"CN", "DE", "US", "IT", "HU", "GB", "FR", "RU", "AR", "MX", "BR", "ES"} {
		plan, err := NewPlan(PlanOptions{Country: country})
		if err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(1, uint64(len(country))))
		met, numbers := 0, 0
		for range 300 {
			n := plan.Parse(fmt.Sprintf("+%s%d", plan.Code(), rnd.Uint64N(10_000_000_000)))
			if n.National() == "" || n.E164 == "" || len(n.National()) > maxPatternDigits {
				continue
			}
			numbers++
			d := n.National()
			whole := point(d, false)
			ranged := whole
			ranged.Lo -= min(ranged.Lo, rnd.Uint64N(1000))
			ranged.Hi = min(ranged.Hi+rnd.Uint64N(1_000_000), pow10[ranged.Size]-1)
			begins := point(d[:1+rnd.IntN(len(d))], false)
			begins.Open = true
			for _, q := range []Pattern{ranged, begins} {
				if !q.Matches(&n) {
					t.Fatalf("%s does not match %s", q, d)
				}
				for _, e := range plan.InE164(q) {
					if !e.Valid() || !e.Plus {
						t.Fatalf("%s: %+v", q, e)
					}
					if e.Matches(&n) {
						met++
						goto next
					}
				}
				t.Errorf("%s: %s matches %s, and none of %v matches %s", country, q, d, plan.InE164(q), n.E164)
			next:
			}
		}
		if numbers < 12 || met == 0 {
			t.Errorf("%s: hardly any of the numbers is one", country)
		}
	}
}

func TestSameInE164(t *testing.T) {
	plan, err := NewPlan(PlanOptions{Country: "CN", Internal: []string{"8???"}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"05925550000-05925550999": "+865925550???",
		"0592555????":             "+86592555????",
		"8000-8009":               "",
		"0592555*":                "",
		"+865925550100":           "",
	} {
		q, err := plan.Pattern(text)
		if err != nil {
			t.Fatal(text, err)
		}
		got, ok := plan.SameInE164(q)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %s, %v, want %s", text, got, ok, want)
		}
	}
}
