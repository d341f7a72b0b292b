package desk

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// Who is forgotten is so on the lists of every line, in their history and what is remembered of them.
func TestOwnListsForget(t *testing.T) {
	h := openOwn(t)
	h.add("ann:blacklist", nuisance, "9521*")
	h.add("bob:blacklist", nuisance)
	if _, err := h.RemoveEntries(t.Context(), "bob:blacklist", []string{nuisance}, false); err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(h.db.AddHits([]storage.Hit{{List: storage.OwnTable("blacklist"), Pattern: storage.OwnText(h.ann.Key, "+8613800138000"), Count: 7, Last: time.Now()}}))
	if err := h.Entries(t.Context(), "ann:blacklist", func(e console.ListEntry) error {
		if want := map[string]uint64{"+8613800138000": 7}[e.Number]; e.Hits != want {
			t.Errorf("%s decided %d calls", e.Number, e.Hits)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	held := make(map[string]int)
	check(h.Held(t.Context(), console.HeldQuery{Number: nuisance}, func(x console.Held) error {
		held[x.Kind]++
		if x.Entry != nil && (x.Entry.List != "ann:blacklist" || x.Entry.Number != "+8613800138000") {
			t.Errorf("%+v", x.Entry)
		}
		return nil
	}))
	if held[console.HeldEntry] != 1 || held[console.HeldChange] != 3 {
		t.Errorf("is held: %v", held)
	}
	would, err := h.Forget(t.Context(), console.ForgetQuery{Number: nuisance, DryRun: true, Lists: true})
	if err != nil || len(would.Lists) != 1 || would.Lists[0].List != "ann:blacklist" || would.History != 3 {
		t.Errorf("a dry run: %+v, %v", would, err)
	}
	kept, err := h.Forget(t.Context(), console.ForgetQuery{Number: nuisance})
	if err != nil || len(kept.Lists) != 1 || kept.Lists[0].Removed || kept.History != 3 { // bob's change, the removal and its tombstone
		t.Errorf("but for lists: %+v, %v", kept, err)
	}
	h.must("but for lists", "own block", "default")
	gone, err := h.Forget(t.Context(), console.ForgetQuery{Number: nuisance, Lists: true})
	if err != nil || len(gone.Lists) != 1 || !gone.Lists[0].Removed {
		t.Errorf("%+v, %v", gone, err)
	}
	h.must("forgotten", "default", "default")
	check(h.Held(t.Context(), console.HeldQuery{Number: nuisance}, func(x console.Held) error {
		t.Errorf("%s is left", x.Kind)
		return nil
	}))
	h.stop(t)
	file, err := os.ReadFile(h.conf.Database())
	if err != nil || strings.Contains(string(file), "8613800138000") {
		t.Errorf("the number is in the file (%v)", err)
	}
}

// Own lists are read again as lists are when numbers are read otherwise.
func TestOwnListsReadAgain(t *testing.T) {
	h := openOwn(t)
	if _, err := h.db.AddEntries(storage.OwnTable("blacklist"), []storage.Entry{
		{Pattern: storage.OwnText(h.ann.Key, "8613800138000"), Reason: "of before"}, {Pattern: storage.OwnText(h.bob.Key, "not"), Reason: "a stray"},
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.db.PutSetting(readingSetting, []byte("1 CN")); err != nil {
		t.Fatal(err)
	}
	if err := h.readAgain(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.must("read again", "own block", "default")
	if got := h.shows("line:blacklist"); got != "ann:blacklist +8613800138000 of before; bob:blacklist not a stray" {
		t.Error(got)
	}
	h.restart()
	h.must("after a restart", "own block", "default")
}

// The lists of a line that was removed stay as long as that may be undone, and go then; those of others stay.
func TestOwnListsGone(t *testing.T) {
	h := openOwn(t)
	now := time.Now()
	h.o.Now = func() time.Time { return now }
	h.add("ann:blacklist", nuisance, "9521*")
	h.add("ann:allowlist", "13700137000")
	h.add("bob:blacklist", nuisance)
	removed := h.lines(t, lineGone("ann"))
	round := func(want int) {
		t.Helper()
		if err := h.forgetGone(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := h.db.OwnPatterns(); err != nil || n != want {
			t.Errorf("%d entries on disk, %v; want %d", n, err, want)
		}
	}
	round(4)
	numbers := []string{"+865925550101"}
	again, err := h.AddLines(t.Context(), []console.LineSet{{Name: "ann", Numbers: &numbers}, {Name: "ann2", Numbers: &[]string{"+865925550303"}}})
	if err != nil || len(again[0].Warnings) != 1 || !strings.Contains(again[0].Warnings[0], "whose own lists have 3 entries: they stay behind") || len(again[1].Warnings) != 0 {
		t.Errorf("made anew: %+v, %v", again, err)
	}
	h.must("made anew", "default", "own block")
	h.lines(t, lineGone("ann"), lineGone("ann2"))
	report, err := h.importLines(t, console.LineImport{}, "ann,+865925550101,", "ann2,+865925550303,")
	if err != nil || len(report.Warnings) != 1 || !strings.HasPrefix(report.Warnings[0], "1 lines that are new have the name of one that was there before") {
		t.Errorf("imported anew: %+v, %v", report, err)
	}
	h.lines(t, lineGone("ann"), lineGone("ann2"))
	if all, err := h.Lists(t.Context()); err != nil || len(all) != 2 || all[0].List != "line:allowlist" || all[0].Gone != 1 || all[0].Lines != 0 ||
		all[1].Entries != 3 || all[1].Lines != 1 || all[1].Gone != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	now = now.Add(29 * 24 * time.Hour)
	round(4)
	back, err := h.Undo(t.Context(), removed.ID)
	if err != nil {
		t.Fatal(err)
	}
	h.must("undone", "own block", "own block")
	round(4) // and is not counted on
	if _, err := h.Undo(t.Context(), back.ID); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * 24 * time.Hour)
	round(4)
	now = now.Add(31 * 24 * time.Hour)
	round(1)
	h.must("gone", "default", "own block")
	if left := stampsOf(t, h, storage.Gone); left != 0 {
		t.Errorf("%d lines are remembered", left)
	}
	if err := h.checked(); err != nil {
		t.Error(err)
	}
}

func stampsOf(t *testing.T, h *ownHouse, table storage.StampTable) (n int) {
	t.Helper()
	if err := h.db.EachStamp(table, func(storage.Stamp) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// The star code lets a caller through to the line of the phone alone, and to none that is another customer's by then.
func TestOwnListsRelease(t *testing.T) {
	h := openOwn(t)
	h.add("ann:blacklist", nuisance)
	h.add("bob:blacklist", nuisance)
	p := h.force.Rules().Policy
	c := traffic.LastCall{Caller: p.Plan().Parse(nuisance), Callee: annCalled}
	if err := h.Release(h.ann.Key, "8001", c); err != nil {
		t.Fatal(err)
	}
	h.must("let through", "own allow", "own block")
	if got := h.shows("ann:allowlist"); !strings.HasPrefix(got, "ann:allowlist +8613800138000 let through by 8001") || strings.Contains(got, ";") {
		t.Error(got)
	}
	before := h.changes("")
	if err := h.Release(h.ann.Key, "8001", c); err != nil || h.changes("") == before {
		t.Logf("again: %v", err) // it lasts longer by a moment
	}
	// An import holds the turn for longer than a person at the phone waits.
	h.edit.Lock()
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := h.release(t.Context(), h.bob.Key, "let through", "test", c, 10*time.Millisecond)
		done <- err
	}()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "still under way") || time.Since(began) < 10*time.Millisecond {
		t.Errorf("while an import is under way: %v", err)
	}
	h.edit.Unlock()
	h.must("not let through", "own allow", "own block")
	other := h.ann
	other.Key, other.Customer = policy.NewLineKey("ann", storage.LineOwn()), "somebody else"
	h.lines(t, other)
	if err := h.CanRelease(h.ann.Key, c); err == nil || !strings.Contains(err.Error(), "another customer's") {
		t.Errorf("to a line that is another's: %v", err)
	}
	if err := h.Release("office", "1", c); err != nil {
		t.Errorf("to a line of the policy: %v", err)
	}
	if got := h.shows("office:allowlist"); !strings.HasPrefix(got, "office:allowlist +8613800138000") {
		t.Error(got)
	}
	unasked := strings.Replace(ownPolicy, "line:allowlist", "allowlist", 1)
	if err := os.WriteFile(h.conf.Policy, []byte(unasked), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.CanRelease(other.Key, c); err == nil || !strings.Contains(err.Error(), "no rule of the policy asks for the list line:allowlist") {
		t.Errorf("without a rule: %v", err)
	}
}

// Until own lists are read, a call that a rule asks them for passes; afterwards all is there, of the lines that are.
func TestOwnListsUnread(t *testing.T) {
	h := openOwn(t)
	h.add("ann:blacklist", nuisance)
	h.add("bob:blacklist", nuisance)
	h.lines(t, lineGone("bob"))
	h.stop(t)
	db, err := storage.Open(h.conf.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &running{journal: db.StartJournal(storage.JournalOptions{})}
	d.Desk = New(h.conf, db, h.force, Options{Journal: d.journal, Log: slog.New(slog.DiscardHandler)})
	h.force.SetRules(nil)
	h.running = d
	d.end = func() {}
	defer d.stop(t)
	if err := d.Load(); err != nil {
		t.Fatal(err)
	}
	if got := h.force.Rules().Unread(); !slices.Equal(got, []string{"line:blacklist"}) {
		t.Errorf("unread: %q", got)
	}
	h.must("unread", policy.RuleFailOpen, "default")
	d.ReadLists(t.Context())
	h.must("read", "own block", "default")
	if n, lines := h.force.Rules().Lists.OwnSize("blacklist"); n != 1 || lines != 1 {
		t.Errorf("%d entries of %d lines in memory", n, lines)
	}
}
