package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

func readStamps(t testing.TB, d *DB, table StampTable) map[string]time.Time {
	t.Helper()
	all, last := make(map[string]time.Time), ""
	check(t, d.EachStamp(table, func(s Stamp) error {
		if s.Key <= last {
			t.Errorf("%q comes after %q", s.Key, last)
		}
		last = s.Key
		all[s.Key] = s.At
		return nil
	}))
	return all
}

func TestStamps(t *testing.T) {
	d := open(t, Options{})
	key := func(i int) string { return fmt.Sprintf("staff\x00+86592555%04d", i) }
	var put []Stamp
	want := make(map[string]time.Time)
	for i := range 3 * pageStamps { // out of order
		i = i * 7919 % (3 * pageStamps)
		at := epoch.Add(time.Duration(i) * time.Second)
		put = append(put, Stamp{key(i), at.Add(900 * time.Microsecond)})
		want[key(i)] = at
	}
	check(t, d.PutStamps(Known, put, nil))
	later := epoch.Add(time.Hour)
	check(t, d.PutStamps(Known, []Stamp{{key(1), later}, {key(2), later}, {key(1), later.Add(time.Second)}}, []string{key(3), key(99999)}))
	want[key(1)], want[key(2)] = later.Add(time.Second), later // of one key the last counts
	delete(want, key(3))
	check(t, d.PutStamps(Emergency, []Stamp{{"line staff", epoch}}, nil))
	check(t, d.PutStamps(Emergency, nil, nil))
	check(t, d.Close())
	d = open(t, Options{ReadOnly: true}, d.File())
	if diff := cmp.Diff(want, readStamps(t, d, Known)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]time.Time{"line staff": epoch}, readStamps(t, d, Emergency)); diff != "" {
		t.Error(diff)
	}
	if err := d.PutStamps(Known, put[:1], nil); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a write, read-only: %v", err)
	}
	n, stop := 0, errors.New("enough")
	if err := d.EachStamp(Known, func(Stamp) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("stopped after %d: %v", n, err)
	}
}

func TestStampsRefused(t *testing.T) {
	d := open(t, Options{})
	for name, put := range map[string][]Stamp{
		"no key":    {{"ok", epoch}, {"", epoch}},
		"long key":  {{"ok", epoch}, {strings.Repeat("k", MaxStampKey+1), epoch}},
		"no time":   {{"ok", epoch}, {"k", time.Time{}}},
		"year 1969": {{"ok", epoch}, {"k", time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)}},
		"too many":  make([]Stamp, MaxEdit+1),
	} {
		if err := d.PutStamps(Known, put, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := readStamps(t, d, Known); len(got) > 0 {
		t.Errorf("half of it was written: %v", got)
	}
}

// A fact that cannot be read hides no other.
func TestStampsDamaged(t *testing.T) {
	d := open(t, Options{})
	check(t, d.PutStamps(Known, []Stamp{{"a", epoch}, {"b", epoch}, {"c", epoch}, {"d", epoch}}, nil))
	check(t, d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketKnown)
		return errors.Join(b.Put([]byte("a"), []byte("soon")), b.Put([]byte("c"), []byte(strings.Repeat("1", 16))))
	}))
	var got string
	err := d.EachStamp(Known, func(s Stamp) error { got += s.Key; return nil })
	if !errors.Is(err, ErrCorrupt) || got != "bd" {
		t.Errorf("%q, %v", got, err)
	}
}

// A file from before there were these tables opens, keeps what is in it and gets them;
// opened read-only it has none of it and is left alone.
func TestOpenOlder(t *testing.T) {
	data := sample(t)
	file := filepath.Join(t.TempDir(), "ringfence.db")
	check(t, os.WriteFile(file, data, 0o600))
	d := open(t, Options{}, file)
	entries, records := readList(t, d, "blacklist"), readJournal(t, d, Query{})
	check(t, d.update(func(tx *bolt.Tx) error {
		for _, name := range laterBuckets {
			check(t, tx.DeleteBucket(name))
		}
		return tx.Bucket(bucketMeta).Delete(keyReports)
	}))
	check(t, d.Close())
	older, err := os.ReadFile(file)
	check(t, err)

	same := func(d *DB) {
		t.Helper()
		if diff := cmp.Diff(entries, readList(t, d, "blacklist")); diff != "" {
			t.Error(diff)
		}
		if got := readJournal(t, d, Query{}); len(got) != len(records) || len(got) == 0 {
			t.Errorf("%d records, had %d", len(got), len(records))
		}
		if v, err := d.Setting("pause"); string(v) != "on" || err != nil {
			t.Errorf("the setting is %q, %v", v, err)
		}
		for _, table := range []StampTable{Known, Emergency} {
			if got := readStamps(t, d, table); len(got) > 0 {
				t.Errorf("%v", got)
			}
		}
		check(t, d.Reports("", func(r Report) error { t.Errorf("%v", r); return nil }))
		if _, err := d.Report(NewID(epoch)); !errors.Is(err, ErrNoReport) {
			t.Errorf("a report: %v", err)
		}
		if open, decided, err := d.ReportCount(); open+decided > 0 || err != nil {
			t.Errorf("%d, %d, %v", open, decided, err)
		}
	}
	reader := open(t, Options{ReadOnly: true}, file)
	same(reader)
	check(t, reader.Close())
	if after, err := os.ReadFile(file); err != nil || string(after) != string(older) {
		t.Errorf("a reader changed the file: %v", err)
	}

	d = open(t, Options{}, file)
	same(d)
	check(t, d.PutStamps(Known, []Stamp{{"staff\x00+8613800138000", epoch}}, nil))
	if _, added, err := d.AddReport(report(1)); !added || err != nil {
		t.Errorf("a report: %v, %v", added, err)
	}
	check(t, d.Close())
	d = open(t, Options{}, file)
	if len(readStamps(t, d, Known)) != 1 {
		t.Error("what was learnt is gone")
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "schema") {
		t.Error(err)
	}
}
