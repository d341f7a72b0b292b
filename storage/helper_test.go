package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(crashFileEnv); file != "" {
		crashChild(file)
		return
	}
	os.Exit(m.Run())
}

// open opens a new database, or the file given, and closes it with the test.
func open(t testing.TB, o Options, file ...string) *DB {
	t.Helper()
	if len(file) == 0 {
		file = []string{filepath.Join(t.TempDir(), "ringfence.db")}
	}
	d, err := Open(file[0], o)
	if err != nil {
		t.Fatal(err)
	}
	d.bolt.NoSync = true // no power fails here, and what is killed opens its file itself (crash_test.go)
	t.Cleanup(func() { d.Close() })
	return d
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func startJournal(t testing.TB, d *DB, o JournalOptions) *Journal {
	t.Helper()
	j := d.StartJournal(o)
	t.Cleanup(func() { j.Close(soon(t)) })
	return j
}

// soon is a context for what must not take long.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func addAll(t testing.TB, j *Journal, rs ...Record) {
	t.Helper()
	for _, r := range rs {
		if !j.Add(r) {
			t.Fatalf("record %s was not taken", r.ID)
		}
	}
	check(t, j.Flush(soon(t)))
}

func readJournal(t testing.TB, d *DB, q Query) []Record {
	t.Helper()
	var rs []Record
	check(t, d.Journal(q, func(r Record) error { rs = append(rs, r); return nil }))
	return rs
}

func readList(t testing.TB, d *DB, list string) []Entry {
	t.Helper()
	var es []Entry
	check(t, d.Entries(list, func(e Entry) error { es = append(es, e); return nil }))
	return es
}

func entry(i int) Entry {
	return Entry{
		Pattern: fmt.Sprintf("+86592555%07d", i),
		Reason:  "sells flats, calls at noon", Source: "blacklist.csv", Who: "root",
	}
}

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 123e6, time.UTC)

// record is the i-th of a series, a second apart.
func record(i int) Record {
	at := epoch.Add(time.Duration(i) * time.Second)
	return Record{
		ID: NewID(at), Time: at, Node: "pbx1", Trunk: "telecom",
		Caller: Caller{Raw: fmt.Sprintf("952%05d", i), E164: fmt.Sprintf("+86952%05d", i), Kind: "service"},
		Name:   "京东客服", Callee: fmt.Sprintf("0592555%04d", i%1000), Line: "staff",
		Action: []string{"reject", "allow", "warn"}[i%3], Would: "reject", Mode: "enforce", Rule: "listed",
		Reason: "on the list blacklist: fake JD service", List: "blacklist",
	}
}

// setMaxSize makes writes fail that need the file to grow; 0 lets them succeed.
func setMaxSize(t testing.TB, d *DB, n int) {
	t.Helper()
	check(t, d.bolt.Update(func(*bolt.Tx) error { d.bolt.MaxSize = n; return nil }))
}
