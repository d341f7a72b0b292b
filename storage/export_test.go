package storage

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

// exported writes a database, which is closed, for schema 2 and reads it as that program does.
func exported(t testing.TB, file string) (to string, f *frozen2, r *ExportReport) {
	t.Helper()
	to = filepath.Join(t.TempDir(), "old.db")
	r, err := Export(file, 2, to)
	check(t, err)
	f = readFrozen2(t, to)
	if f.schema != "2" {
		t.Errorf("schema %q", f.schema)
	}
	for name, n := range f.lists {
		if n != len(f.entries[name]) {
			t.Errorf("the list %s says %d entries and has %d", name, n, len(f.entries[name]))
		}
	}
	return to, f, r
}

// Each migration can be gone back.
func TestEveryStepHasAWayBack(t *testing.T) {
	for schema := oldestExport + 1; schema <= schemaVersion; schema++ {
		if stepsBack[schema] == nil {
			t.Errorf("there is no step from schema %d to %d: a user who is not content with this version cannot go back", schema, schema-1)
		}
	}
}

// A file of the program before that is brought up to date and written back is what it was, with every change that could be undone.
func TestThereAndBack(t *testing.T) {
	file, data := unpacked(t, "schema2.db.gz")
	original := filepath.Join(t.TempDir(), "original.db")
	check(t, os.WriteFile(original, data, 0o600))
	want := readFrozen2(t, original)
	check(t, open(t, Options{Node: "pbx1"}, file).Close())
	_, got, r := exported(t, file)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(frozen2{}, said2{})); diff != "" {
		t.Error(diff)
	}
	if r.Lists != 2 || r.Entries != 651 || r.Merged != 0 || r.Changes != 8 || r.Left != 0 || r.Bytes < 8192 || r.Schema != 2 {
		t.Errorf("%+v", r)
	}
}

// Edits since the migration are there after the way back, and what was done before it can be undone where nothing was done since.
//
// long: because the database is made, written back and looked at in one go
func TestWayBack(t *testing.T) {
	file, _ := unpacked(t, "schema2.db.gz")
	now := time.Now().UTC().Truncate(time.Millisecond)
	d := open(t, Options{Node: "pbx1"}, file)
	by := func(i int, origin Origin, source, reason string, expires time.Time) Entry {
		return Entry{Pattern: entry(i).Pattern, Origin: origin, Source: source, Reason: reason, Who: "eve", Added: now, Expires: expires}
	}
	feed := func(i int, reason string, expires time.Time) Entry {
		return by(i, FromFeed, "feed blacklist", reason, expires)
	}
	add := func(list string, es ...Entry) {
		t.Helper()
		_, err := d.AddEntries(list, es)
		check(t, err)
	}
	day := 24 * time.Hour
	add("blacklist", by(5, FromPerson, "command line", "a new reason", now.Add(day)))
	add("blacklist", feed(1000, "of a feed", time.Time{}))
	add("blacklist", by(1000, FromPerson, "command line", "mine", now.Add(day))) // mine, until the feed's expires: never
	add("blacklist", by(1001, FromPerson, "command line", "mine", now.Add(day)))
	add("blacklist", by(1001, FromImport, "import b.csv", "theirs", now.Add(2*day)))
	add("blacklist", by(1002, FromPerson, "feed me", "a person's source may read so", time.Time{}))
	add("blacklist", by(1003, FromImport, "b.csv", "no prefix", time.Time{}), by(1004, FromReport, "8001", "reported", time.Time{}), by(1005, FromFeed, strings.Repeat("x", MaxText), "long", time.Time{}))
	add("new", by(1, FromPerson, "command line", "a new list", time.Time{}))
	_, err := d.RemoveAll("blacklist", []string{entry(300).Pattern, entry(700).Pattern}, By{})
	check(t, err)
	_, err = d.Import("huge", func(yield func(ImportRow) bool) {
		for i := range 30_000 {
			if !yield(ImportRow{Entry: by(i, FromImport, "import huge.csv", "of a large file", time.Time{})}) {
				return
			}
		}
	}, ImportOptions{})
	check(t, err)
	check(t, d.PutStamps(Known, []Stamp{{"staff\x00+865925550100", now}}, nil))
	check(t, d.PutStamps(Passed, []Stamp{{"staff\x00+8613800138000", now}, {"hotline\x00+8613800138000", now.Add(time.Hour)}, {"x\x00+8613800138000", now.Add(-time.Hour)}}, nil))
	check(t, d.PutSetting("pause", []byte("off")))
	check(t, d.PutSetting("numbers", []byte("3 CN x")))
	check(t, d.PutSetting("private", []byte("done")))
	_, _, err = d.AddReport(Report{Caller: Caller{E164: "+8695211613"}, Extension: "8009", Line: "hotline"})
	check(t, err)
	lifted, _, err := d.AddReport(Report{Caller: Caller{E164: "+8695211614"}, Extension: "8009", Line: "staff"})
	check(t, err)
	for _, state := range []string{ReportConfirmed, ReportLifted} {
		_, _, err = d.DecideReport(lifted.ID, state, "root")
		check(t, err)
	}
	check(t, d.AddHits([]Hit{{List: "new", Pattern: entry(1).Pattern, Count: 3, Last: now.Add(time.Hour)}}))
	addAll(t, startJournal(t, d, JournalOptions{Keep: 365 * day, MaxBytes: 1 << 30}), record(1))
	check(t, d.Close())
	before, err := os.ReadFile(file)
	check(t, err)
	to, f, r := exported(t, file)
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the database was changed: %v", err)
	}
	if r.Merged != 2 || r.Changes != 8 || r.Left < 10 || r.Lists != 4 || r.Entries != 651-2+6+1+30_000 {
		t.Errorf("%+v", r)
	}
	type shown struct{ reason, source, expires string }
	for i, want := range map[int]shown{
		5:    {"a new reason", "command line", now.Add(day).String()},
		1000: {"mine", "command line", ""},
		1001: {"mine", "command line", now.Add(2 * day).String()},
		1002: {"a person's source may read so", "command line", ""},
		1003: {"no prefix", "import b.csv", ""},
		1004: {"reported", "report", ""},
		1005: {"long", "feed " + strings.Repeat("x", MaxText-5), ""},
	} {
		e := f.entries["blacklist"][entry(i).Pattern]
		got := shown{e.reason, e.source, ""}
		if e.expires != 0 {
			got.expires = time.UnixMilli(int64(e.expires)).UTC().String()
		}
		if got != want {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
	for _, i := range []int{300, 700} {
		if e, there := f.entries["blacklist"][entry(i).Pattern]; there {
			t.Errorf("what was removed is there: %+v", e)
		}
	}
	if len(f.entries["huge"]) != 30_000 || f.entries["huge"][entry(29_999).Pattern].reason != "of a large file" {
		t.Errorf("%d entries of the large list", len(f.entries["huge"]))
	}
	if f.rest[`passed "+8613800138000"`] != fmt.Sprint(now.Add(time.Hour).UnixMilli()) || f.rest[`settings "pause"`] != "off" ||
		f.rest[`settings "numbers"`] != "" || f.rest[`settings "private"`] != "" || // the older program may undo what they say
		f.rest[`known "staff\x00+865925550100"`] == "" || len(f.rest["hits \"new\\x00"+entry(1).Pattern+"\""]) == 0 {
		t.Errorf("%v", slicesOf(f.rest, "passed", "settings", "known", "hits"))
	}

	if f.rest[`reports open "+8695211613\x008009"`] == "" || !strings.Contains(f.rest[fmt.Sprintf("reports all %q", lifted.ID)], `"state":"dismissed"`) {
		t.Errorf("%v", slicesOf(f.rest, "reports"))
	}

	// It is a file as that program writes it, so that it can be brought up to date again; and what was done before undoes.
	again := open(t, Options{Node: "pbx1"}, to)
	if report, err := again.Verify(); err != nil || len(report.Faults) > 0 || report.Records != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if open, _, err := again.ReportCount(); open != 2 || err != nil {
		t.Errorf("%d reports, %v", open, err)
	}
	undone, err := again.Undo(2, By{"root", "cli"}, nil)
	check(t, err)
	if undone.Removed+undone.Added == 0 || undone.Skipped != 1 { // the one that a person removed since stays so
		t.Errorf("%+v", undone)
	}
	list := wholeList(t, again, "blacklist")
	if e := list[entry(295).Pattern]; e.Reason != "by hand" {
		t.Errorf("%+v", e)
	}
	if e := list[entry(5).Pattern]; e.Reason != "a new reason" {
		t.Errorf("%+v", e)
	}
}

func slicesOf(m map[string]string, prefixes ...string) map[string]string {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(k, _ string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(k, p) {
				return false
			}
		}
		return true
	})
	return out
}

// One record is left of what several sources say: what is shown now, until the last of them expires.
func TestFlatten(t *testing.T) {
	const now, soon, later, gone = 1000, 2000, 3000, 500
	said := func(origin Origin, source string, wall, expires int64) listRow {
		return listRow{pattern: "1", now: &sourceRecord{origin: origin, source: source, stamp: Tick{Wall: wall}, expires: expires}}
	}
	buried := listRow{pattern: "1", now: &sourceRecord{gone: true}}
	for name, c := range map[string]struct {
		rows    []listRow
		source  string
		expires int64
	}{
		"nobody":                    {[]listRow{buried}, "", 0},
		"one":                       {[]listRow{buried, said(FromFeed, "feed x", 1, soon)}, "feed x", soon},
		"a person first":            {[]listRow{said(FromPerson, "API", 1, soon), said(FromFeed, "feed x", 9, later)}, "API", later},
		"a person whose time is up": {[]listRow{said(FromPerson, "API", 1, gone), said(FromFeed, "feed x", 9, later)}, "feed x", later},
		"the newest":                {[]listRow{said(FromImport, "import a", 5, 0), said(FromFeed, "feed x", 9, soon)}, "feed x", 0},
		"all are over":              {[]listRow{said(FromImport, "import a", 5, gone-1), said(FromFeed, "feed x", 9, gone)}, "feed x", gone},
	} {
		got := flatten(c.rows, now)
		if got == nil {
			got = &sourceRecord{}
		}
		if got.source != c.source || got.expires != c.expires {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What cannot be written back is refused, with what to do, and leaves nothing behind.
func TestExportRefuses(t *testing.T) {
	d := open(t, Options{})
	_, err := d.AddEntries("l", []Entry{entry(1)})
	check(t, err)
	to := filepath.Join(t.TempDir(), "old.db")
	try := func(file string, schema int, to, want string, kind error) {
		t.Helper()
		if _, err := Export(file, schema, to); err == nil || !strings.Contains(err.Error(), want) || kind != nil && !errors.Is(err, kind) {
			t.Errorf("%s to %d: %v", file, schema, err)
		}
	}
	if testing.Short() {
		t.Log("a database in use is tried without -short")
	} else {
		try(d.file, 2, to, "in use", ErrLocked)
	}
	check(t, d.Close())
	for _, schema := range []int{-1, 0, 1, schemaVersion, schemaVersion + 1} {
		try(d.file, schema, to, fmt.Sprintf("writes schemas from 2 to %d", schemaVersion-1), ErrInvalid)
	}
	try(d.file, 2, d.file, "is there already", ErrInvalid)
	try(d.file, 2, "/no/such/folder/old.db", "make the folder", nil)
	old, _ := unpacked(t, "schema2.db.gz")
	try(old, 2, to, "start the daemon", ErrOlder)
	d = open(t, Options{}, d.file)
	check(t, d.bolt.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketEntries).Bucket([]byte("l")).Put([]byte(entry(1).Pattern), []byte("nonsense"))
	}))
	check(t, d.Close())
	try(d.file, 2, to, "damaged", ErrCorrupt)
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(to), "*")); err != nil || len(left) > 0 {
		t.Errorf("%q, %v", left, err)
	}
}
