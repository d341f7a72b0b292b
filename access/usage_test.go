package access

import (
	"slices"
	"testing"

	"ringfence/console"
)

// TestUsageIsNarrowed: who is bound asks for their own calls alone, which the journal's index finds: to read all of them takes seconds of a processor.
func TestUsageIsNarrowed(t *testing.T) {
	s := openBook(t, "", newClock())
	e := newEverybody(1)
	for _, c := range []struct {
		who      console.Who
		lines    []string
		customer string
	}{
		{console.Who{Lines: []string{"bakery", "cafe"}}, []string{"bakery", "cafe"}, ""},
		{console.Who{Customer: "Li"}, nil, "Li"},
		{console.Who{}, nil, ""},
	} {
		c.who.Name, c.who.Way, c.who.Role = "one", console.ByToken, viewer
		if err := Guard(e, s.Book).Usage(asWho(&c.who), console.UsageQuery{Lines: []string{"clinic"}}, func(console.Usage) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.used.Lines, c.lines) || e.used.Customer != c.customer {
			t.Errorf("%+v asks for %+v, want the lines %q and the customer %q", c.who, e.used, c.lines, c.customer)
		}
	}
}
