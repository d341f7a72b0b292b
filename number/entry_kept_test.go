package number

import "testing"

// What is exported is read again: each canonical text of a pattern is an entry, and that very pattern.
func TestEntryReadsCanonicalTexts(t *testing.T) {
	p, err := NewPlan(PlanOptions{Country: "CN", Internal: []string{"8???"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"13800138000", "95588", "8001", "8???", "8001..8020", "9521*", "9521????", "+1*", "+8659277701??", "05927770100..05927770150",
		"+865927770100..+865927770150", "+865927770100-+865927770199", "+12125550100..+12125550177",
	} {
		want, err := p.Pattern(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Entry(want.String()); got != want || err != nil {
			t.Errorf("%s is written as %s, and that is read as %s, %v", text, want, got, err)
		}
	}
	for _, text := range []string{"9521.*", "9521.+", "^9521.+", "_9521."} { // a dialplan's
		if got, err := p.Entry(text); err == nil {
			t.Errorf("%s is read as %s", text, got)
		}
	}
}
