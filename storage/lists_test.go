package storage

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestAddAndRemove(t *testing.T) {
	now := epoch
	d := open(t, Options{Now: func() time.Time { return now }, Node: "pbx1"})
	noon := epoch.Add(4 * time.Hour)
	a := Entry{Pattern: "+8695211613", Reason: "fake JD service", Source: "console", Who: "root"}
	with := func(e Entry, change func(*Entry)) Entry { change(&e); return e }
	steps := []struct {
		name   string
		add    []Entry
		remove []string
		want   []Change
	}{
		{"new", []Entry{a, {Pattern: "9521*"}}, nil, []Change{Added, Added}},
		{"again", []Entry{a}, nil, []Change{Unchanged}},
		{"again, spelt otherwise by another", []Entry{with(a, func(e *Entry) { e.Who, e.Source = "eve", "x" })}, nil, []Change{Unchanged}},
		{"another reason", []Entry{with(a, func(e *Entry) { e.Reason = "sells flats"; e.Who = "eve" })}, nil, []Change{Updated}},
		{"another expiry", []Entry{with(a, func(e *Entry) { e.Reason = "sells flats"; e.Expires = noon; e.Who = "eve" })}, nil, []Change{Updated}},
		{"the same expiry elsewhere", []Entry{with(a, func(e *Entry) {
			e.Reason = "sells flats"
			e.Expires = noon.In(time.FixedZone("CST", 8*3600)).Add(900 * time.Microsecond)
		})}, nil, []Change{Unchanged}},
		{"one pattern twice", []Entry{{Pattern: "+1*", Reason: "x"}, {Pattern: "+1*", Reason: "x"}, {Pattern: "+1*", Reason: "y"}}, nil, []Change{Added, Unchanged, Updated}},
		{"remove", nil, []string{"9521*", "9521*", "+49*"}, []Change{Removed, Absent, Absent}},
		{"nothing", []Entry{}, nil, []Change{}},
	}
	for _, s := range steps {
		now = now.Add(time.Minute)
		var got []Change
		var err error
		if s.remove != nil {
			got, err = d.RemoveEntries("blacklist", s.remove, By{})
		} else {
			got, err = d.AddEntries("blacklist", s.add)
		}
		check(t, err)
		if !reflect.DeepEqual(got, s.want) {
			t.Errorf("%s: %v, want %v", s.name, got, s.want)
		}
	}
	check(t, d.Close())
	d = open(t, Options{}, d.File())
	want := []Entry{
		{Pattern: "+1*", Reason: "y", Added: epoch.Add(7 * time.Minute), Updated: epoch.Add(7 * time.Minute), Change: 4},
		{
			Pattern: "+8695211613", Reason: "sells flats", Source: "console", Who: "eve",
			Added: epoch.Add(time.Minute), Updated: epoch.Add(5 * time.Minute), Expires: noon, Change: 3,
		},
	}
	got := readList(t, d, "blacklist")
	for i := range got {
		if got[i].Stamp.Wall != got[i].Updated.UnixMilli() || got[i].Stamp.Node != "pbx1" {
			t.Errorf("%s was updated at %v and has the stamp %v", got[i].Pattern, got[i].Updated, got[i].Stamp)
		}
		got[i].Stamp = Tick{}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("in the end:\n%+v, want\n%+v", got, want)
	}
	lists, err := d.Lists()
	check(t, err)
	if want := []ListInfo{{"blacklist", 2, 2, epoch.Add(time.Minute), epoch.Add(8 * time.Minute), lists[0].Stamp}}; !reflect.DeepEqual(lists, want) {
		t.Errorf("lists: %+v, want %+v", lists, want)
	}
}

// Entries may come in any order, which is not the one they are written in: what
// became of each comes back in the order they were given.
func TestAddOutOfOrder(t *testing.T) {
	d := open(t, Options{})
	_, err := d.AddEntries("blacklist", []Entry{entry(500)})
	check(t, err)
	var es []Entry
	var want []Change
	for i := range 2000 {
		n := i * 7919 % 1000 // each comes twice
		e, w := entry(n), Added
		if n == 500 || i >= 1000 {
			w = Unchanged
		}
		if n%10 == 3 && i >= 1000 {
			e.Reason, w = "another", Updated
		}
		es, want = append(es, e), append(want, w)
	}
	got, err := d.AddEntries("blacklist", es)
	check(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	n := 0
	for _, e := range readList(t, d, "blacklist") {
		if (e.Reason == "another") != (n%10 == 3) || e.Pattern != entry(n).Pattern {
			t.Errorf("entry %d is %+v", n, e)
		}
		n++
	}
	if n != 1000 {
		t.Errorf("%d entries", n)
	}
}

func TestLists(t *testing.T) {
	d := open(t, Options{})
	err := d.Entries("blacklist", func(Entry) error { return nil })
	if !errors.Is(err, ErrNoList) || !strings.Contains(err.Error(), `"blacklist"`) {
		t.Errorf("a list that is not there: %v", err)
	}
	if got, err := d.RemoveEntries("blacklist", []string{"+1*"}, By{}); err != nil || got[0] != Absent {
		t.Errorf("removing from a list that is not there: %v, %v", got, err)
	}
	for _, name := range []string{"黑名单", "line:blacklist", "allowlist"} {
		_, err := d.AddEntries(name, []Entry{entry(1), entry(2)})
		check(t, err)
	}
	_, err = d.AddEntries("empty", nil)
	check(t, err)
	_, err = d.RemoveEntries("allowlist", []string{entry(1).Pattern, entry(2).Pattern}, By{})
	check(t, err)
	lists, err := d.Lists()
	check(t, err)
	var got string
	for _, l := range lists {
		got += fmt.Sprintf("%s %d, ", l.Name, l.Entries)
	}
	if got != "allowlist 0, empty 0, line:blacklist 2, 黑名单 2, " {
		t.Errorf("lists: %s", got)
	}
	if es := readList(t, d, "allowlist"); len(es) != 0 {
		t.Errorf("a list emptied is gone: %v", es)
	}
	got = ""
	check(t, d.EachEntry(func(list string, e Entry) error { got += list + " " + e.Pattern[14:] + ", "; return nil }))
	if got != "line:blacklist 01, line:blacklist 02, 黑名单 01, 黑名单 02, " {
		t.Errorf("entries: %s", got)
	}
	stop := errors.New("enough")
	if err := d.EachEntry(func(string, Entry) error { return stop }); err != stop {
		t.Errorf("an error of yield comes back as %v", err)
	}
}

func TestRefused(t *testing.T) {
	d := open(t, Options{})
	check := func(name string, err error, says string) {
		t.Helper()
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, should say %q", name, err, says)
		}
	}
	for _, list := range []string{"", strings.Repeat("x", 65), "black list", "black\nlist", "black\xff"} {
		_, err := d.AddEntries(list, []Entry{entry(1)})
		check(list, err, "name")
		_, err = d.RemoveEntries(list, []string{"+1*"}, By{})
		check(list, err, "name")
	}
	for says, e := range map[string]Entry{
		"without a pattern":   {},
		"pattern has 129":     {Pattern: strings.Repeat("1", 129)},
		"reason has 1025":     {Pattern: "+1*", Reason: strings.Repeat("1", 1025)},
		"who is not UTF-8":    {Pattern: "+1*", Who: "\xe9"},
		"source has a contr":  {Pattern: "+1*", Source: "a\x1b[31m"},
		"year 12026 is out o": {Pattern: "+1*", Expires: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		_, err := d.AddEntries("blacklist", []Entry{entry(1), e})
		check(says, err, says)
	}
	_, err := d.AddEntries("blacklist", make([]Entry, MaxEdit+1))
	check("too many", err, "at most")
	_, err = d.RemoveEntries("blacklist", make([]string, MaxEdit+1), By{})
	check("too many", err, "at most")
	for i := range MaxLists {
		if _, err := d.AddEntries(fmt.Sprint("list", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	_, err = d.AddEntries("onemore", nil)
	check("one more list", err, "1000 lists already")
	if lists, err := d.Lists(); len(lists) != MaxLists || err != nil {
		t.Errorf("%d lists, %v: what was refused has left traces", len(lists), err)
	}
}

// pageRows is how many entries a page has when its blocks are full.
const pageRows = pageBlocks * blockRows

// Reading in pages: a long list comes whole and in order, while the callback edits it.
func TestEntriesPaged(t *testing.T) {
	d := open(t, Options{})
	var es []Entry
	for i := range 3*pageRows + 1 {
		es = append(es, entry(i))
	}
	_, err := d.AddEntries("blacklist", es)
	check(t, err)
	n := 0
	check(t, d.Entries("blacklist", func(e Entry) error {
		if e.Pattern != es[n].Pattern {
			t.Fatalf("entry %d is %s, want %s", n, e.Pattern, es[n].Pattern)
		}
		if n%pageRows == pageRows-1 { // also the one that the next page starts after
			if _, err := d.RemoveEntries("blacklist", []string{e.Pattern}, By{}); err != nil {
				t.Fatal(err)
			}
		}
		n++
		return nil
	}))
	if n != len(es) {
		t.Errorf("%d entries came, want %d", n, len(es))
	}
	for _, n := range []int{pageRows, pageRows + 1, 2 * pageRows} {
		name := fmt.Sprint("list", n)
		_, err := d.AddEntries(name, es[:n])
		check(t, err)
		if got := readList(t, d, name); len(got) != n {
			t.Errorf("%d entries came, want %d", len(got), n)
		}
	}
}

// One value that cannot be read does not hide the others, and is not passed over
// in silence.
func TestDamagedEntry(t *testing.T) {
	d := open(t, Options{})
	for _, list := range []string{"blacklist", "other"} {
		_, err := d.AddEntries(list, []Entry{entry(1), entry(2), entry(3)})
		check(t, err)
	}
	check(t, d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketEntries).Bucket([]byte("blacklist"))
		k, v := b.Cursor().First()
		v = bytes.Clone(v)
		v[len(v)/2] ^= 1
		return b.Put(k, v)
	}))
	n := 0
	err := d.EachEntry(func(string, Entry) error { n++; return nil })
	if n != 3 || !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "1 blocks of entries of the list blacklist") {
		t.Errorf("%d entries came, and %v", n, err)
	}
	if _, err := d.AddEntries("blacklist", []Entry{entry(2)}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("adding to what cannot be read: %v", err)
	}
	if _, err := d.RemoveEntries("blacklist", []string{entry(2).Pattern}, By{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("removing from what cannot be read: %v", err)
	}
}

// Many edit, read and write the journal at once; the counts come out right.
func TestConcurrent(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Delay: time.Millisecond})
	const writers, rounds = 6, 30
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			list := fmt.Sprint("list", w%2)
			for i := range rounds {
				e := entry(w*rounds + i)
				if got, err := d.AddEntries(list, []Entry{e}); err != nil || got[0] != Added {
					t.Error(got, err)
				}
				if i%3 == 0 {
					if got, err := d.RemoveEntries(list, []string{e.Pattern}, By{}); err != nil || got[0] != Removed {
						t.Error(got, err)
					}
				}
				if !j.Add(record(w*rounds + i)) {
					t.Error("a record was dropped")
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				if err := d.EachEntry(func(string, Entry) error { return nil }); err != nil {
					t.Error(err)
				}
				if err := d.Journal(Query{Newest: true, Limit: 20}, func(Record) error { return nil }); err != nil {
					t.Error(err)
				}
				if _, err := d.Lists(); err != nil {
					t.Error(err)
				}
				j.Err()
			}
		})
	}
	wg.Wait()
	check(t, j.Flush(soon(t)))
	lists, err := d.Lists()
	check(t, err)
	for _, l := range lists {
		if n := len(readList(t, d, l.Name)); n != l.Entries || n != writers/2*rounds*2/3 {
			t.Errorf("list %s says %d, has %d", l.Name, l.Entries, n)
		}
	}
	if n := len(readJournal(t, d, Query{})); n != writers*rounds {
		t.Errorf("the journal has %d records", n)
	}
}

// An edit does not wait for ever behind another.
func TestEditBusy(t *testing.T) {
	inBubble(t, func(t *testing.T, d *DB) {
		d.edits <- struct{}{} // another edit, which hangs
		start := time.Now()
		_, err := d.AddEntries("blacklist", []Entry{entry(1)})
		if !errors.Is(err, ErrBusy) || time.Since(start) != editWait {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		time.AfterFunc(time.Second, func() { <-d.edits })
		if got, err := d.AddEntries("blacklist", []Entry{entry(1)}); err != nil || got[0] != Added {
			t.Errorf("once it is free: %v, %v", got, err)
		}
	})
}

// A disk that does not take the edit: an error that says so, and nothing changed.
func TestEditDiskFull(t *testing.T) {
	d := open(t, Options{})
	_, err := d.AddEntries("blacklist", []Entry{entry(0)})
	check(t, err)
	setMaxSize(t, d, 1)
	var es []Entry
	for i := range 2000 {
		es = append(es, entry(i))
	}
	_, err = d.AddEntries("blacklist", es)
	if !errors.Is(err, ErrWrite) || !errors.Is(err, boltFull) {
		t.Errorf("a full disk gives: %v", err)
	}
	if got := readList(t, d, "blacklist"); len(got) != 1 {
		t.Errorf("%d entries after an edit that failed", len(got))
	}
	setMaxSize(t, d, 0)
	got, err := d.AddEntries("blacklist", es)
	check(t, err)
	if got[0] != Unchanged || got[1999] != Added || len(readList(t, d, "blacklist")) != 2000 {
		t.Error("the edit repeated is not there")
	}
}
