package storage

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// of is an entry of another source.
func of(e Entry, origin Origin, source, reason string) Entry {
	e.Origin, e.Source, e.Reason = origin, source, reason
	return e
}

// sources names who has a pattern on a list, in the order in which they count.
func sources(t testing.TB, d *DB, pattern string) string {
	t.Helper()
	records, err := d.Lookup("blacklist", pattern)
	check(t, err)
	var all []string
	for _, e := range records[0] {
		all = append(all, e.Reason)
	}
	return strings.Join(all, ", ")
}

// importAll imports entries, and takes away those of patterns behind them.
func importAll(t testing.TB, d *DB, es []Entry, remove ...Entry) ChangeRecord {
	t.Helper()
	r, err := d.Import("blacklist", func(yield func(ImportRow) bool) {
		for _, e := range es {
			if !yield(ImportRow{Entry: e}) {
				return
			}
		}
		for _, e := range remove {
			if !yield(ImportRow{Entry: e, Remove: true}) {
				return
			}
		}
	}, ImportOptions{})
	check(t, err)
	return r
}

// A feed that names what an administrator has listed, and later drops it, takes its own record away and no other. So does a
// file. Undoing an import does not touch what a person wrote meanwhile.
func TestRecordsOfSources(t *testing.T) {
	for _, most := range []int{MaxEdit, 1} { // in one transaction, and built beside the list
		now := epoch
		d := open(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
		d.maxEdit = most
		p := entry(1).Pattern
		want := func(what, list string) {
			t.Helper()
			if got := sources(t, d, p); got != list {
				t.Errorf("%s: named by %q, want %q", what, got, list)
			}
			if d.HasEntry("blacklist", p) != (list != "") {
				t.Errorf("%s: HasEntry is wrong", what)
			}
		}
		add := func(e Entry) Change {
			t.Helper()
			c, err := d.change1("blacklist", e)
			check(t, err)
			return c
		}
		feed, file := of(entry(1), FromFeed, "feed x", "the feed"), of(entry(1), FromImport, "import a", "the file")
		if c := add(of(entry(1), FromPerson, "cli", "mine")); c != Added {
			t.Error(c)
		}
		fed := importAll(t, d, []Entry{feed})
		if fed.Updated != 1 || fed.Rows != 1 {
			t.Errorf("%+v", fed)
		}
		want("a feed names it", "mine, the feed")
		importAll(t, d, []Entry{file})
		want("a file too", "mine, the file, the feed")
		importAll(t, d, []Entry{of(entry(1), FromFeed, "feed x", "the feed again")})
		want("the newest comes first", "mine, the feed again, the file")
		importAll(t, d, nil, feed)
		want("the feed drops it", "mine, the file")
		if c, err := d.RemoveEntries("blacklist", []string{p}, By{}); err != nil || c[0] != Removed {
			t.Error(c, err)
		}
		want("a person removes it", "the file")
		if c, err := d.RemoveEntries("blacklist", []string{p}, By{}); err != nil || c[0] != Absent {
			t.Error(c, err)
		}
		if c := add(of(entry(1), FromPerson, "API", "the file")); c != Joined {
			t.Error(c)
		}
		want("a person says the same", "the file, the file")
		if r, err := d.Undo(fed.ID, By{}, nil); err != nil || r.ID != 0 || r.Skipped != 1 {
			t.Errorf("undoing what the feed said first: %+v, %v", r, err)
		}
		fileAgain := importAll(t, d, []Entry{of(entry(1), FromImport, "import a", "new words")})
		add(of(entry(1), FromPerson, "API", "written meanwhile"))
		if r, err := d.Undo(fileAgain.ID, By{}, nil); err != nil || r.Updated != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		want("the file's new words undone", "written meanwhile, the file")
		add(of(entry(1), FromReport, "report", "reported"))
		if c, err := d.RemoveAll("blacklist", []string{p, p}, By{}); err != nil || c[0] != Removed || c[1] != Absent {
			t.Error(c, err)
		}
		want("all removed", "")
		last, err := lastChange(d)
		check(t, err)
		if last.Removed != 3 || last.Rows != 3 {
			t.Errorf("%+v", last)
		}
		if _, err := d.Undo(last.ID, By{}, nil); err != nil {
			t.Error(err)
		}
		// The undo wrote them at one moment: a report comes before a file then.
		if got := sources(t, d, p); !strings.HasPrefix(got, "written meanwhile, ") || strings.Count(got, ",") != 2 {
			t.Errorf("that undone: %q", got)
		}
		if report, err := d.Verify(); err != nil || len(report.Faults) > 0 || report.Entries != 1 {
			t.Errorf("%+v, %v", report, err)
		}
	}
}

// change1 adds one entry.
func (d *DB) change1(list string, e Entry) (Change, error) {
	c, err := d.AddEntries(list, []Entry{e})
	if err != nil {
		return 0, err
	}
	return c[0], nil
}

// An edit by hand during an import that is built beside the list: the import's record of the same number is there too.
func TestImportBesideEditsOfOthers(t *testing.T) {
	d := open(t, Options{})
	d.maxEdit = 10
	e := of(entry(5), FromImport, "import a", "the file")
	other := of(entry(6), FromImport, "import a", "the file")
	check(t, d.makeList("blacklist"))
	_, err := d.AddEntries("blacklist", []Entry{other})
	check(t, err)
	r, err := d.Import("blacklist", func(yield func(ImportRow) bool) {
		for i := range 30 {
			if i == 20 {
				_, err := d.change1("blacklist", of(entry(5), FromPerson, "cli", "mine"))
				check(t, err)
				_, err = d.RemoveAll("blacklist", []string{entry(6).Pattern}, By{})
				check(t, err)
			}
			if !yield(ImportRow{Entry: of(entry(i), FromImport, "import a", "the file anew")}) {
				return
			}
		}
	}, ImportOptions{})
	check(t, err)
	if got := sources(t, d, e.Pattern); got != "mine, the file anew" {
		t.Errorf("named by %q", got)
	}
	if got := sources(t, d, other.Pattern); got != "" {
		t.Errorf("what was removed meanwhile is named by %q", got)
	}
	if r.Added != 29 || r.Updated != 0 || r.Rows != 29 {
		t.Errorf("%+v", r)
	}
	if got := tombstones(t, d, "blacklist"); got != 1 {
		t.Errorf("%d tombstones", got)
	}
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// Of very many sources of one entry the newest stay, and a person's.
func TestMaxSources(t *testing.T) {
	now := epoch
	d := open(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
	p := entry(1).Pattern
	_, err := d.change1("blacklist", of(entry(1), FromPerson, "cli", "mine"))
	check(t, err)
	for i := range 3 * MaxSources {
		importAll(t, d, []Entry{of(entry(1), FromImport, fmt.Sprint("import ", i), fmt.Sprint("file ", i))})
	}
	got := strings.Split(sources(t, d, p), ", ")
	if len(got) != MaxSources || got[0] != "mine" || got[1] != "file 47" || got[MaxSources-1] != "file 33" {
		t.Errorf("%q", got)
	}
	last, err := lastChange(d)
	check(t, err)
	if last.Removed != 1 || last.Rows != 2 {
		t.Errorf("%+v", last)
	}
	if _, err := d.Undo(last.ID, By{}, nil); err != nil {
		t.Error(err)
	}
	if got := strings.Split(sources(t, d, p), ", "); len(got) != MaxSources || strings.Contains(strings.Join(got, " "), "file 47") {
		t.Errorf("%q", got)
	}
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// Lookup finds patterns in any order, in blocks all over a list, and nothing where there is nothing.
func TestLookup(t *testing.T) {
	d := open(t, Options{})
	if got, err := d.Lookup("blacklist", "+1*", ""); err != nil || len(got) != 2 || len(got[0])+len(got[1]) > 0 {
		t.Errorf("no list: %v, %v", got, err)
	}
	_, err := d.AddEntries("blacklist", series(0, 3000, 2, "x"))
	check(t, err)
	for i := range 3000 {
		k := i * 7919 % 3000
		got, err := d.Lookup("blacklist", entry(2*k+1).Pattern, entry(2*k).Pattern)
		if err != nil || len(got[0]) != 0 || len(got[1]) != 1 || got[1][0].Pattern != entry(2*k).Pattern {
			t.Fatalf("%d: %v, %v", k, got, err)
		}
	}
}

// Opening a file and editing one entry reads a few blocks, however long the list is.
func TestOneEditReadsLittle(t *testing.T) {
	d := open(t, Options{})
	_, err := d.Import("blacklist", imported(series(0, 200_000, 1, "x")...), ImportOptions{})
	check(t, err)
	check(t, d.Close())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d = open(t, Options{}, d.File())
	e := entry(77_777)
	if got, err := d.Lookup("blacklist", e.Pattern); err != nil || len(got[0]) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if c, err := d.change1("blacklist", e); err != nil || c != Updated {
		t.Error(c, err)
	}
	if c, err := d.RemoveEntries("blacklist", []string{e.Pattern}, By{}); err != nil || c[0] != Removed {
		t.Error(c, err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("it took %d bytes of memory", got)
	}
}
