package pages

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"ringfence/access"
	"ringfence/console"
)

// TestWantedAfterAnEdit: what was found of who was turned away is kept for a moment, and not beyond what somebody does about it.
func TestWantedAfterAnEdit(t *testing.T) {
	h := open(t)
	book := h.desk.(front).Book
	var err error
	if h.pages, err = New(Options{Desk: access.Guard(h.desk, book), Edits: book.Edits, Policy: samplePolicyOf, Log: slog.New(slog.NewTextHandler(testLog{t}, nil))}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	stopped := func(caller string) (id string) {
		for _, r := range []console.Record{
			{Time: now.Add(-48 * time.Hour), Action: "allow", Outcome: &console.Outcome{Answered: true, TalkS: 300}},
			{Time: now.Add(-time.Hour), Action: "reject", Outcome: &console.Outcome{}},
		} {
			r.Trunk, r.Callee, r.Line, r.Would, r.Mode, r.Rule, r.Caller = "telecom", "05925550100", "staff", r.Action, "enforce", "listed", console.Caller{Raw: caller, E164: caller, Kind: "mobile"}
			id = h.add(r)
		}
		if err := h.journal.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := stopped("+8613800138000")
	wantHas(t, "first", h.get(reviewer, "/now/wanted", byHtmx), "+8613800138000")
	stopped("+8613800139999")
	if a := h.get(reviewer, "/now/wanted", byHtmx); strings.Contains(a.body, "+8613800139999") {
		t.Error("nothing is kept of what was found: it takes a look at many calls")
	}
	h.post(reviewer, "/calls/"+first+"/allow", url.Values{"pattern": {"+8613800138000"}, "list": {"allowlist"}})
	if got := h.entries("allowlist"); len(got) != 1 {
		t.Fatalf("the caller is not let through: %q", got)
	}
	wantHas(t, "after an edit", h.get(reviewer, "/now/wanted", byHtmx), "+8613800139999")
}
