package storage

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

// unpacked is a copy of a database that a program of before wrote, and what is in it.
func unpacked(t testing.TB, name string) (file string, data []byte) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	check(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	check(t, err)
	data, err = io.ReadAll(z)
	check(t, err)
	file = filepath.Join(t.TempDir(), "ringfence.db")
	check(t, os.WriteFile(file, data, 0o600))
	return file, data
}

// A file that schema 1 was written to by its own program opens, and all is there.
func TestMigrateFrom1(t *testing.T) {
	file, data := unpacked(t, "schema1.db.gz")
	if _, err := Open(file, Options{ReadOnly: true}); !errors.Is(err, ErrOlder) || !strings.Contains(err.Error(), "start the daemon") {
		t.Errorf("read-only: %v", err)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(data) {
		t.Errorf("a reader changed the file: %v", err)
	}
	d := open(t, Options{}, file)
	want := map[string]Entry{}
	for i := range 30 {
		e := entry(i)
		e.Added, e.Updated = epoch, epoch
		if i == 3 {
			e.Expires = epoch.Add(time.Hour)
		}
		if i != 7 {
			want[e.Pattern] = e
		}
	}
	want["9521*"] = Entry{Pattern: "9521*", Reason: "sales", Added: epoch, Updated: epoch}
	if diff := cmp.Diff(want, wholeList(t, d, "blacklist")); diff != "" {
		t.Error(diff)
	}
	bank := map[string]Entry{"+8695588": {Pattern: "+8695588", Reason: "bank", Source: "command line", Who: "root", Added: epoch, Updated: epoch}}
	if diff := cmp.Diff(bank, wholeList(t, d, "allowlist")); diff != "" {
		t.Error(diff)
	}
	if lists, err := d.Lists(); len(lists) != 3 || err != nil || !lists[0].Created.Equal(epoch) {
		t.Errorf("%+v, %v", lists, err)
	}
	if v, err := d.Setting("pause"); string(v) != "on" || err != nil {
		t.Errorf("the setting is %q, %v", v, err)
	}
	if got := readStamps(t, d, Known); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if got := readJournal(t, d, Query{}); len(got) != 2 || got[0].Name != record(1).Name {
		t.Errorf("%v", got)
	}
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	_, err := d.AddEntries("blacklist", []Entry{entry(7)})
	check(t, err)
	check(t, d.Close())
	open(t, Options{ReadOnly: true}, file)
}

// old is an entry of the file of schema 2, which its program wrote second by second; see the comment there.
func old(i int, source, reason string) Entry {
	e := entry(i)
	e.Source, e.Reason, e.Origin = source, reason, originOf(source)
	return e
}

// schema2 opens the file that the program of before wrote. Its history: 1 adds 300 entries and 9521* by hand, 2 is a feed of 310, of which 10
// were there by hand, 3 a file of 50, 4 removes one by hand and one of the file, 5 is a confirmed report, 6 adds to the allowlist, 7 removes
// that, 8 undoes 7.
func schema2(t *testing.T) *DB {
	file, _ := unpacked(t, "schema2.db.gz")
	return open(t, Options{Node: "pbx1"}, file)
}

func TestMigrateFrom2(t *testing.T) {
	file, data := unpacked(t, "schema2.db.gz")
	if _, err := Open(file, Options{ReadOnly: true}); !errors.Is(err, ErrOlder) || !strings.Contains(err.Error(), "start the daemon") {
		t.Errorf("read-only: %v", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, data) {
		t.Errorf("a reader changed the file: %v", err)
	}
	d := open(t, Options{Node: "pbx1"}, file)
	got := map[string]Entry{}
	check(t, d.Entries("blacklist", func(e Entry) error { got[e.Pattern] = e; return nil }))
	if len(got) != 300+1+300+50-2+1 {
		t.Errorf("%d entries", len(got))
	}
	for _, want := range []Entry{
		{Pattern: "9521*", Source: "API", Who: "eve"},
		old(5, "command line", "by hand"), old(3, "command line", "by hand"),
		old(295, "feed blacklist", "of a feed"), old(599, "feed blacklist", "of a feed"), old(600, "import a.csv", "of a file"), old(700, "report", "reported by 8001"),
	} {
		e := got[want.Pattern]
		if e.Added.Before(epoch) || !e.Updated.Equal(e.Added) || e.Stamp != (Tick{Wall: e.Added.UnixMilli()}) || e.Change == 0 {
			t.Errorf("the dates of %+v", e)
		}
		want.Added, want.Updated, want.Change, want.Stamp, want.Hits, want.LastHit = e.Added, e.Updated, e.Change, e.Stamp, e.Hits, e.LastHit
		if want.Pattern == entry(3).Pattern {
			want.Expires = epoch.AddDate(10, 0, 0)
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Error(diff)
		}
	}
	if a, b := got[entry(5).Pattern], got[entry(295).Pattern]; a.Hits != 3 || b.Hits != 4 || a.LastHit.Before(epoch) {
		t.Errorf("%d and %d hits", a.Hits, b.Hits)
	}
	lists, err := d.Lists()
	check(t, err)
	if len(lists) != 2 || lists[1].Records != lists[1].Entries || lists[1].Entries != len(got) {
		t.Errorf("%+v", lists)
	}
	if v, err := d.Setting("pause"); string(v) != "on" || err != nil {
		t.Errorf("the setting is %q, %v", v, err)
	}
	if open, _, err := d.ReportCount(); open != 1 || err != nil {
		t.Errorf("%d reports, %v", open, err)
	}
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 || report.Changes != 8 {
		t.Errorf("%+v, %v", report, err)
	}
	check(t, d.Close())
	check(t, open(t, Options{ReadOnly: true}, file).Close())
}

// What was done before the migration can be undone after it, source by source: undoing the feed gives a person's entries back
// that it had taken over.
func TestUndoFromBefore(t *testing.T) {
	d := schema2(t)
	var history string
	check(t, d.History(entry(295).Pattern, func(c PatternChange) error {
		for _, e := range []*Entry{c.Before, c.After} {
			if e == nil {
				history += "- "
			} else {
				history += fmt.Sprintf("%s:%s ", e.Origin, e.Reason)
			}
		}
		return nil
	}))
	if want := "- person:by hand person:by hand - - feed:of a feed "; history != want {
		t.Errorf("history %q, want %q", history, want)
	}
	r, err := d.Undo(2, By{"root", "cli"}, nil)
	check(t, err)
	if r.Removed != 310 || r.Added != 10 || r.Skipped != 0 {
		t.Errorf("%+v", r)
	}
	got := wholeList(t, d, "blacklist")
	if e := got[entry(295).Pattern]; e.Reason != "by hand" || e.Origin != FromPerson || e.Hits != 4 {
		t.Errorf("%+v", e)
	}
	if _, there := got[entry(400).Pattern]; there {
		t.Error("what the feed added is there")
	}
	if r, err := d.Undo(4, By{}, nil); err != nil || r.Added != 2 || !d.HasEntry("blacklist", entry(7).Pattern) || !d.HasEntry("blacklist", entry(610).Pattern) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := d.Undo(7, By{}, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("what was undone before: %v", err)
	}
	if r, err := d.Undo(8, By{}, nil); err != nil || r.Removed != 1 || d.HasEntry("allowlist", "+8695588") {
		t.Errorf("%+v, %v", r, err)
	}
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A feed that comes after the migration takes away what it said before it, and no more.
func TestFeedAfterMigration(t *testing.T) {
	d := schema2(t)
	r, err := d.Import("blacklist", func(yield func(ImportRow) bool) {
		for i := 290; i < 600; i++ {
			if !yield(ImportRow{Entry: old(i, "feed blacklist", "of a feed"), Remove: i%2 == 0}) {
				return
			}
		}
	}, ImportOptions{})
	check(t, err)
	if r.Removed != 155 || r.Added+r.Updated+r.Joined != 0 {
		t.Errorf("%+v", r)
	}
	check(t, d.view(func(tx *bolt.Tx) error {
		meta, _, err := d.listMeta(tx, "blacklist")
		if meta.Deleted != 155 || meta.Entries != meta.Records {
			t.Errorf("%+v", meta)
		}
		return err
	}))
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A migration that does not come to its end leaves the file as it was.
func TestMigrationFails(t *testing.T) {
	file, data := unpacked(t, "schema2.db.gz")
	d := &DB{file: file, now: time.Now}
	var err error
	d.bolt, err = bolt.Open(file, 0o600, nil)
	check(t, err)
	if err := d.update(func(tx *bolt.Tx) error { return errors.Join(d.migrate(tx, 2), errStop) }); !errors.Is(err, errStop) {
		t.Error(err)
	}
	check(t, d.bolt.Close())
	after, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(after, data) {
		t.Errorf("the file was changed: %v", err)
	}
}
