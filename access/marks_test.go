package access

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ringfence/console"
)

// TestMarksOfSeveralLines: a mark is a customer's, and who is bound to one of his lines sees the part that this line has in it and takes no other's away.
func TestMarksOfSeveralLines(t *testing.T) {
	s := openBook(t, "", newClock())
	e := newEverybody(1)
	mark := func(id string, lines ...string) console.Report {
		r := console.Report{ID: id, Customer: "Li", Line: lines[len(lines)-1], Call: "call-" + lines[len(lines)-1], State: console.ReportOpen, Caller: console.Caller{E164: "+8613800000009"}}
		for _, l := range lines {
			r.Marks = append(r.Marks, console.ReportMark{Extension: "0592" + l, Line: l, Call: "call-" + l})
		}
		return r
	}
	old := mark("old", "bakery", "bakery") // of when marks did not say the line
	old.Marks[0].Line, old.Marks[1].Line = "", ""
	many := mark("many", "bakery")
	for len(many.Marks) < maxMarks {
		many.Marks = append(many.Marks, many.Marks[0])
	}
	e.reports = []console.Report{mark("own", "bakery", "bakery"), mark("both", "bakery", "cafe"), mark("others", "cafe"), old, many}
	g := Guard(e, s.Book)
	one := asWho(&console.Who{Name: "one", Way: console.ByToken, Role: reviewer, Lines: []string{"bakery"}})
	all := asWho(&console.Who{Name: "li", Way: console.ByToken, Role: reviewer, Customer: "Li"})

	var seen []string
	if err := g.Reports(one, console.ReportsQuery{}, func(r console.Report) error {
		if seen = append(seen, r.ID); r.Line != "bakery" || r.Call != "call-bakery" || len(r.Marks) > 0 {
			t.Errorf("of %s they see %+v, want their part", r.ID, r)
		}
		return nil
	}); err != nil || !slices.Equal(seen, []string{"own", "both", "old", "many"}) {
		t.Errorf("who is bound to the bakery sees %q, %v", seen, err)
	}
	for _, c := range []struct {
		id   string
		want error
	}{{"own", nil}, {"both", console.ErrConflict}, {"others", console.ErrNotFound}, {"old", console.ErrConflict}, {"many", console.ErrConflict}} {
		e.take()
		_, err := g.DismissReport(one, c.id)
		if !errors.Is(err, c.want) || slices.Contains(e.take(), "DismissReport") != (c.want == nil) {
			t.Errorf("who is bound to the bakery dismisses %s: %v, want %v", c.id, err, c.want)
		}
		if _, err := g.DismissReport(all, c.id); err != nil {
			t.Errorf("who is bound to the customer dismisses %s: %v", c.id, err)
		}
	}
	if edit, err := g.ConfirmReport(one, "both", false); err != nil || edit.List != "bakery:blacklist" {
		t.Errorf("confirming what the cafe marked last: %+v, %v, want the bakery's own list", edit, err)
	}
}

// TestConfirmHidden: where callers are hidden a line's own list cannot take one by a mark, and why not is said.
func TestConfirmHidden(t *testing.T) {
	s := openBook(t, "", newClock())
	e := newEverybody(1)
	e.reports = []console.Report{{ID: "r1", Line: "cafe", Customer: "Li", State: console.ReportOpen, Caller: console.Caller{E164: console.PrivateMark + "abc"}}}
	_, err := Guard(e, s.Book).ConfirmReport(asWho(&console.Who{Name: "li", Way: console.ByToken, Role: reviewer, Customer: "Li"}), "r1", false)
	if !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "hidden in this installation") || !strings.Contains(err.Error(), "cafe:blacklist") {
		t.Errorf("got %v, want why not, and what to do", err)
	}
}
