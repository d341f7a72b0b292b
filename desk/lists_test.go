package desk

import (
	"log/slog"
	"slices"
	"testing"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/storage"
)

// Without a daemon an edit reads no list, however long it is: it writes its row. A question that is about lists reads them.
func TestEditsReadNoList(t *testing.T) {
	c := installation(t, smallPolicy)
	first, err := run(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Import(t.Context(), console.ImportQuery{List: "blacklist"}, fileOf(1000)); err != nil {
		t.Fatal(err)
	}
	first.stop(t)

	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := New(c, db, &inforce.State{}, Options{Log: slog.New(slog.DiscardHandler)})
	defer d.Close()
	if err := d.Load(); err != nil {
		t.Fatal(err)
	}
	unread := func(when string, want ...string) {
		t.Helper()
		if got := d.force.Rules().Unread(); !slices.Equal(got, want) {
			t.Errorf("%s: got the lists %q that are not read, want %q", when, got, want)
		}
	}
	edits, err := d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613"}}, false)
	if err != nil || len(edits) != 1 || edits[0].Change != "added" {
		t.Fatalf("got %+v, %v, want one that was added", edits, err)
	}
	unread("after an addition", "blacklist")
	if edits, err := d.RemoveEntries(t.Context(), "blacklist", []string{"+8613000000000"}, true); err != nil || edits[0].Change != "removed" {
		t.Fatalf("got %+v, %v, want one that was removed", edits, err)
	}
	unread("after a removal", "blacklist")
	if _, err := d.Undo(t.Context(), 2); err != nil { // the addition
		t.Fatal(err)
	}
	unread("after an undo", "blacklist")
	for caller, want := range map[string]string{"+8613000000000": "default", "95211613": "default", "+8613000999998": "listed"} {
		if r, err := d.Check(t.Context(), console.CheckQuery{Caller: caller, Callee: "05925550100"}); err != nil || r.Rule != want {
			t.Errorf("%s: got %+v, %v, want the rule %s", caller, r, err, want)
		}
	}
	unread("after a question")
}
