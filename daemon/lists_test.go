package daemon

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/eslbridge"
	"ringfence/policy"
	"ringfence/storage"
)

// Calls that come while the lists are being read pass, if a rule asks for one of them, and the status and the journal
// say why. Once they are read the same call is refused, and the entry counts its hits.
func TestCallsWhileListsAreRead(t *testing.T) {
	c := installation(t, smallPolicy+"\n[[rule]]\nname = \"sales\"\nwhen = { caller = [\"9521*\"] }\naction = \"reject\"\n")
	if d := start(t, c); true {
		if _, err := d.Desk().AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "13800138000", Reason: "sells flats"}}, false); err != nil {
			t.Fatal(err)
		}
		halt(t, d)
	}
	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := newDesk(c, db, slog.New(slog.DiscardHandler))
	d.journal = db.StartJournal(storage.JournalOptions{})
	defer d.journal.Close(context.Background())
	d.status = func(*console.Status) {}
	if err := d.load(); err != nil {
		t.Fatal(err)
	}
	facts := eslbridge.Facts{Number: "13800138000", Callee: "05925550100"}
	v := d.Screen(&facts)
	d.Record(&facts, &v, eslbridge.Result{})
	if v.Action != "allow" || v.Rule != policy.RuleFailOpen || !strings.Contains(v.Reason, "blacklist, which has not been read yet") {
		t.Errorf("while it is read: %+v", v)
	}
	if s, err := d.Status(t.Context()); err != nil || len(s.Lists.Unread) != 1 || d.passed.Load() != 1 {
		t.Errorf("status %+v, %v, %d", s, err, d.passed.Load())
	}
	d.readLists(t.Context())
	v = d.Screen(&facts)
	d.Record(&facts, &v, eslbridge.Result{})
	if v.Action != "reject" || v.Rule != "listed" {
		t.Errorf("once it is read: %+v", v)
	}
	var rules []string
	if err := d.Journal(t.Context(), storage.Query{}, func(r storage.Record) error { rules = append(rules, r.Rule); return nil }); err != nil {
		t.Fatal(err)
	}
	if strings.Join(rules, " ") != "fail-open listed" {
		t.Errorf("journal: %v", rules)
	}
	if err := d.hits.flush(db); err != nil {
		t.Fatal(err)
	}
	err = d.Entries(t.Context(), "blacklist", func(e console.ListEntry) error {
		if e.Hits != 1 || time.Since(e.LastHit) > time.Minute {
			t.Errorf("%+v", e)
		}
		return nil
	})
	if s, _ := d.Status(t.Context()); err != nil || len(s.Lists.Unread) != 0 || s.Lists.Entries != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
}

// The table of hits is bounded; what finds no room is counted.
func TestHitsAreBounded(t *testing.T) {
	var h hits
	for i := range maxHits + 10 {
		h.note("blacklist", strings.Repeat("1", i%100)+string(rune(i)), time.Now())
	}
	if len(h.all) > maxHits || h.dropped.Load() == 0 {
		t.Errorf("%d wait, %d dropped", len(h.all), h.dropped.Load())
	}
}
