package number

import (
	"os"
	"strings"
	"testing"
)

// Another release of the tables of numbers may read texts otherwise, so that Version has to be raised with it.
func TestVersionIsOfItsTables(t *testing.T) {
	const made = "github.com/nyaruka/phonenumbers v1.8.1" // that Version 2 was made with
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\t"+made+"\n") || Version != 2 {
		t.Errorf("go.mod has not %s, or Version is not 2: raise Version, and write both here", made)
	}
}

func TestReading(t *testing.T) {
	plan := func(country string, internal ...string) string {
		t.Helper()
		p, err := NewPlan(PlanOptions{Country: country, Internal: internal})
		if err != nil {
			t.Fatal(err)
		}
		return p.Reading()
	}
	cn := plan("CN")
	if again := plan("cn"); again != cn {
		t.Errorf("got %q and %q of one country", cn, again)
	}
	with := func(o PlanOptions) string {
		p, err := NewPlan(o)
		if err != nil {
			t.Fatal(err)
		}
		return p.Reading()
	}
	seen := map[string]bool{cn: true}
	for _, other := range []string{
		plan("US"), plan("CN", "8???"), plan("CN", "8???", "1000-1099"), plan("CN", "9???"),
		with(PlanOptions{Country: "CN", Area: "0592"}), with(PlanOptions{Country: "CN", Area: "010"}),
		with(PlanOptions{Country: "CN", Assigned: []Assigned{{Mobile, "060*"}}}),
		with(PlanOptions{Country: "CN", Assigned: []Assigned{{Fixed, "060*"}}}),
	} {
		if seen[other] {
			t.Errorf("got %q of two plans", other)
		}
		if seen[other] = true; len(other) > 30 {
			t.Errorf("%q is long", other)
		}
	}
}
