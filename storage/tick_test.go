package storage

import (
	"math"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestTickOrder(t *testing.T) {
	ordered := []Tick{{}, {1, 0, ""}, {1, 0, "a"}, {1, 0, "b"}, {1, 1, ""}, {1, math.MaxUint32, "a"}, {2, 0, ""}}
	for i, a := range ordered {
		for k, b := range ordered {
			if got := a.Compare(b); (got < 0) != (i < k) || (got == 0) != (i == k) {
				t.Errorf("%v to %v: %d", a, b, got)
			}
		}
		for _, now := range []int64{-5, 0, 1, 2, 3, maxMillis, math.MaxInt64} {
			if next := a.after(now, ""); next.Compare(Tick{a.Wall, a.Count, "z"}) <= 0 {
				t.Errorf("%v at %d is followed by %v", a, now, next)
			}
		}
	}
}

// Stamps never go back: not within a millisecond, not when the clock is set back, not over a restart.
func TestStampsOfRecords(t *testing.T) {
	now := epoch
	o := Options{Now: func() time.Time { return now }, Node: "pbx1"}
	d := open(t, o)
	var last Tick
	edit := func(what string) {
		t.Helper()
		e := entry(1)
		e.Reason = what
		_, err := d.change1("blacklist", e)
		check(t, err)
		got := readList(t, d, "blacklist")[0]
		if got.Stamp.Compare(last) <= 0 || got.Stamp.Node != "pbx1" || !got.Updated.Equal(millis(now)) {
			t.Errorf("%s: %v after %v, updated %v", what, got.Stamp, last, got.Updated)
		}
		last = got.Stamp
	}
	edit("first")
	edit("in the same millisecond")
	now = now.Add(-24 * time.Hour)
	edit("a day back")
	check(t, d.Close())
	d = open(t, o, d.File())
	edit("after a restart")
	if last.Count != 3 || last.Wall != epoch.UnixMilli() {
		t.Errorf("%v", last)
	}
	check(t, d.PutSetting("pause", []byte("on")))
	now = epoch.Add(time.Second)
	edit("later")
	if last.Count != 0 {
		t.Errorf("%v", last)
	}
	if _, err := Open(d.File(), Options{Node: strings.Repeat("x", MaxNode+1)}); err == nil || !strings.Contains(err.Error(), "name of a node") {
		t.Error(err)
	}
}

// tombstones counts what a list remembers of what was taken away, and holds that against what it says.
func tombstones(t testing.TB, d *DB, list string) int {
	t.Helper()
	n := 0
	var damage damage
	check(t, d.rows(list, &damage, func(rows []listRow) error {
		for _, r := range rows {
			if r.now.gone {
				n++
			}
		}
		return nil
	}))
	check(t, d.view(func(tx *bolt.Tx) error {
		meta, _, err := d.listMeta(tx, list)
		if meta.Deleted != n || (meta.OldestDeleted > 0) != (n > 0) {
			t.Errorf("it says %+v and has %d tombstones", meta, n)
		}
		return err
	}))
	return n
}

// What is taken away leaves a tombstone with a stamp, until it is added again, or is old.
func TestTombstones(t *testing.T) {
	now := epoch
	o := Options{Now: func() time.Time { return now }, KeepDeleted: 24 * time.Hour, Node: "pbx1"}
	d := open(t, o)
	_, err := d.AddEntries("blacklist", series(0, 1000, 1, "x"))
	check(t, err)
	remove := func(from, to int) {
		t.Helper()
		var ps []string
		for i := from; i < to; i++ {
			ps = append(ps, entry(i).Pattern)
		}
		_, err := d.RemoveEntries("blacklist", ps, By{})
		check(t, err)
	}
	want := func(what string, n, entries int) {
		t.Helper()
		if got := tombstones(t, d, "blacklist"); got != n {
			t.Errorf("%s: %d tombstones, want %d", what, got, n)
		}
		if got := len(readList(t, d, "blacklist")); got != entries {
			t.Errorf("%s: %d entries, want %d", what, got, entries)
		}
		if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
			t.Errorf("%s: %+v, %v", what, report, err)
		}
	}
	remove(0, 600) // whole blocks of them
	want("removed", 600, 400)
	remove(0, 600)
	want("removed again", 600, 400)
	now = now.Add(12 * time.Hour)
	_, err = d.AddEntries("blacklist", series(100, 100, 1, "x"))
	check(t, err)
	want("some added again", 500, 500)
	remove(900, 1000)
	want("more removed", 600, 400)
	if n, err := d.PruneDeleted(); n != 0 || err != nil {
		t.Errorf("%d pruned, %v", n, err)
	}
	now = now.Add(13 * time.Hour)
	if n, err := d.PruneDeleted(); n != 500 || err != nil {
		t.Errorf("%d pruned, %v", n, err)
	}
	want("the old ones pruned", 100, 400)
	check(t, d.Close())
	d = open(t, o, d.File())
	now = now.Add(24 * time.Hour)
	d.maxEdit = 10
	_, err = d.Import("blacklist", imported(series(0, 1000, 10, "new")...), ImportOptions{})
	check(t, err)
	if got := tombstones(t, d, "blacklist"); got != 0 {
		t.Errorf("an import left %d old tombstones", got)
	}
}

// A list has a bounded number of tombstones, and says from when on they are not all there.
func TestTombstonesBounded(t *testing.T) {
	for _, most := range []int{MaxEdit, 100} {
		d := open(t, Options{})
		d.maxDeleted, d.maxEdit = 300, most
		r, err := d.Import("blacklist", imported(series(0, 1000, 1, "x")...), ImportOptions{})
		check(t, err)
		u, err := d.Undo(r.ID, By{}, nil)
		check(t, err)
		if got := tombstones(t, d, "blacklist"); got != 300 || u.Removed != 1000 {
			t.Errorf("%d tombstones of %+v", got, u)
		}
		check(t, d.view(func(tx *bolt.Tx) error {
			meta, _, err := d.listMeta(tx, "blacklist")
			if meta.Forgotten == (Tick{}) || meta.Entries != 0 {
				t.Errorf("%+v", meta)
			}
			return err
		}))
		if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
			t.Errorf("%+v, %v", report, err)
		}
	}
}
