package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// rowAt is what the node z says of the i-th entry, so many seconds after the epoch.
func rowAt(i int, origin Origin, source, reason string, seconds int) Row {
	at := epoch.Add(time.Duration(seconds) * time.Second).UnixMilli()
	return Row{Pattern: entry(i).Pattern, Origin: origin, Source: source, Stamp: Tick{at, 0, "z"}, Reason: reason, Who: "zoe", Added: at, Updated: at}
}

// goneAt is that it says so no longer.
func goneAt(i int, origin Origin, source string, seconds int) Row {
	row := rowAt(i, origin, source, "", seconds)
	return Row{Pattern: row.Pattern, Origin: origin, Source: source, Stamp: row.Stamp, Gone: true}
}

var fromZ = Foreign{Node: "z", ID: 5, Kind: KindAdd, By: By{"zoe", "console"}}

// mergeInto merges rows, of which so many should change something.
func mergeInto(t testing.TB, d *DB, want int, rows ...Row) ChangeRecord {
	t.Helper()
	got, r, err := d.Merge(mergeList, rows, fromZ)
	check(t, err)
	if got != want {
		t.Errorf("%d rows are other than before, want %d: %+v", got, want, r)
	}
	return r
}

func sound(t testing.TB, d *DB) {
	t.Helper()
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// rowsOfChange are what a change made of its rows.
func rowsOfChange(t testing.TB, d *DB, id uint64) (all []Row) {
	t.Helper()
	check(t, d.ChangeRows(id, func(rows []Row) error { all = append(all, rows...); return nil }))
	return all
}

// rowsOfList are all rows of the list.
func rowsOfList(t testing.TB, d *DB) (all []Row) {
	t.Helper()
	check(t, d.ListRows(mergeList, nil, func(rows []Row) error { all = append(all, rows...); return nil }))
	return all
}

// A tombstone of what is not here changes no entry and is no change, but is kept: what was written before it does not come to life, whoever brings it.
func TestMergeTombstoneAlone(t *testing.T) {
	now := epoch
	d := open(t, Options{Node: "a", Now: func() time.Time { return now }})
	_, err := d.AddEntries(mergeList, series(10, 20, 1, "x"))
	check(t, err)
	lists, err := d.Lists()
	check(t, err)
	if r := mergeInto(t, d, 2, goneAt(1, FromPerson, "", 60), goneAt(99, FromFeed, "feed x", 60)); r.ID != 0 {
		t.Errorf("%+v", r)
	}
	if after, err := d.Lists(); err != nil || after[0] != lists[0] {
		t.Errorf("%+v became %+v, %v", lists, after, err)
	}
	sound(t, d)
	mergeInto(t, d, 0, rowAt(1, FromPerson, "x", "before", 59), rowAt(99, FromFeed, "feed x", "before", 60), goneAt(1, FromPerson, "", 60))
	if got := tombstones(t, d, mergeList); got != 2 {
		t.Errorf("%d tombstones", got)
	}
	mergeInto(t, d, 1, rowAt(99, FromImport, "feed x", "another source", 1), rowAt(1, FromPerson, "x", "before", 59))
	now = now.Add(time.Second) // a minute before the tombstone's
	if c, err := d.change1(mergeList, entry(1)); err != nil || c != Added {
		t.Errorf("%v, %v", c, err)
	}
	mergeInto(t, d, 0, goneAt(1, FromPerson, "", 60))
	sound(t, d)
}

// What another node did can be undone here, which is then this node's own change: it is told to others and counts there.
func TestMergeUndo(t *testing.T) {
	d, peer := open(t, Options{Node: "a"}), open(t, Options{Node: "b"})
	_, err := d.change1(mergeList, entry(1))
	check(t, err)
	rows := []Row{goneAt(1, FromPerson, "", 1e8), rowAt(2, FromPerson, "api", "new", 1)}
	rows[0].Stamp.Wall = time.Now().Add(time.Hour).UnixMilli() // its clock is ahead
	r := mergeInto(t, d, 2, rows...)
	_, _, err = peer.Merge(mergeList, rows, fromZ)
	check(t, err)
	if r.Node != "z" || r.Of != 5 || r.Kind != KindAdd || r.Who != "zoe" || r.Removed != 1 || r.Added != 1 || r.Rows != 2 {
		t.Errorf("%+v", r)
	}
	if err := d.ChangeRows(r.ID, func([]Row) error { return nil }); !errors.Is(err, ErrInvalid) {
		t.Errorf("rows of another node's change: %v", err)
	}
	undone, err := d.Undo(r.ID, By{Who: "root"}, nil)
	check(t, err)
	if undone.Node != "" || undone.Undoes != r.ID || undone.Added != 1 || undone.Removed != 1 || undone.Skipped != 0 {
		t.Errorf("%+v", undone)
	}
	told := rowsOfChange(t, d, undone.ID)
	if len(told) != 2 || told[0].Gone || !told[1].Gone || told[0].Stamp != told[1].Stamp || told[0].Stamp.Node != "a" {
		t.Fatalf("%+v", told)
	}
	_, _, err = peer.Merge(mergeList, told, Foreign{Node: "a", ID: undone.ID, Kind: KindUndo})
	check(t, err)
	if !peer.HasEntry(mergeList, entry(1).Pattern) || peer.HasEntry(mergeList, entry(2).Pattern) {
		t.Error("the undo does not count at the other node")
	}
	var ids []uint64
	check(t, d.History(entry(1).Pattern, func(c PatternChange) error { ids = append(ids, c.ID); return nil }))
	if !slices.Equal(ids, []uint64{1, r.ID, undone.ID}) {
		t.Errorf("the history has the changes %d", ids)
	}
	sound(t, d)
	sound(t, peer)
}

// An error among the rows, or rows out of order, leave all as it was.
func TestMergeManyFails(t *testing.T) {
	d := open(t, Options{})
	d.maxEdit = 10
	_, err := d.change1(mergeList, entry(1))
	check(t, err)
	before := rowsOfList(t, d)
	lost := errors.New("the node went away")
	for name, at := range map[string]Row{"error": {}, "order": rowAt(3, FromPerson, "", "", 1), "twice": rowAt(19, FromPerson, "", "", 1), "invalid": rowAt(20, FromPerson, "", "\n", 1)} {
		_, err := d.MergeMany(mergeList, func(yield func(Row, error) bool) {
			for i := range 20 {
				if !yield(rowAt(i, FromPerson, "x", "y", 1), nil) {
					return
				}
			}
			if name == "error" {
				yield(Row{}, lost)
				return
			}
			yield(at, nil)
		}, fromZ, nil)
		if want := map[bool]error{true: lost, false: ErrInvalid}[name == "error"]; !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		if after := rowsOfList(t, d); !slices.Equal(before, after) {
			t.Errorf("%s: %v", name, after)
		}
		sound(t, d)
	}
}

// Nodes that each have as many sources of an entry as are kept, and others of them, come to keep the same when they tell each other, and tell each other
// nothing more then.
func TestMergeMaxSources(t *testing.T) {
	d, peer := open(t, Options{Node: "a"}), open(t, Options{Node: "b"})
	of := func(from, to, step int) (rows []Row) {
		for i := from; i < to; i++ {
			rows = append(rows, rowAt(1, FromImport, fmt.Sprint("file ", i), "x", step*i))
		}
		return rows
	}
	mine := rowAt(1, FromPerson, "cli", "mine", -1000)
	mergeInto(t, d, 16, append(of(0, 30, 2), mine)...)
	mergeInto(t, peer, 16, of(10, 40, 1)...)
	for i := range 3 {
		for _, pair := range [][2]*DB{{d, peer}, {peer, d}} {
			changed, r, err := pair[1].Merge(mergeList, rowsOfList(t, pair[0]), fromZ)
			check(t, err)
			if i > 0 && (changed > 0 || r.ID != 0) {
				t.Errorf("told again: %d, %+v", changed, r)
			}
		}
	}
	here, there := rowsOfList(t, d), rowsOfList(t, peer)
	if !slices.Equal(here, there) || len(here) != MaxSources || here[0] != mine {
		t.Errorf("%v\n%v", here, there)
	}
	mergeInto(t, d, 0, of(0, 15, 1)...)
	sound(t, d)
	sound(t, peer)
}

// A record that gives way in the change that brought it is in no log; one that gave way is not told of as taken back.
func TestGiveWay(t *testing.T) {
	now := epoch
	for _, most := range []int{MaxEdit, 1} {
		d := open(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
		d.maxEdit = most
		var es []Entry
		for i := range 2 * MaxSources {
			es = append(es, of(entry(1), FromImport, fmt.Sprintf("import %02d", i), "x"))
		}
		r := importAll(t, d, es)
		if got := len(rowsOfChange(t, d, r.ID)); got != MaxSources || r.Rows != MaxSources {
			t.Errorf("%d rows, %+v", got, r)
		}
		last := importAll(t, d, []Entry{of(entry(1), FromImport, "import 99", "x")})
		if got := rowsOfChange(t, d, last.ID); len(got) != 1 || got[0].Gone || last.Rows != 2 {
			t.Errorf("%+v, %+v", got, last)
		}
		sound(t, d)
	}
}

// There is no room for all tombstones: the list says so, and others are told of what was taken away nonetheless.
func TestMergeForgotten(t *testing.T) {
	now := epoch
	d := open(t, Options{Node: "a", Now: func() time.Time { return now }})
	d.maxDeleted = 10
	forgotten := func() (at Tick) {
		check(t, d.view(func(tx *bolt.Tx) error {
			meta, _, err := d.listMeta(tx, mergeList)
			at = meta.Forgotten
			return err
		}))
		return at
	}
	var gone []Row
	for i := range 15 {
		gone = append(gone, goneAt(i, FromPerson, "", i))
	}
	mergeInto(t, d, 10, gone...)
	if got := forgotten(); got != gone[14].Stamp {
		t.Errorf("forgotten until %v, want %v", got, gone[14].Stamp)
	}
	mergeInto(t, d, 0, gone...)
	mergeInto(t, d, 1, goneAt(3, FromPerson, "", 20)) // in the place of one that is there
	if got := tombstones(t, d, mergeList); got != 10 || forgotten() != gone[14].Stamp {
		t.Errorf("%d tombstones, forgotten until %v", got, forgotten())
	}
	mergeInto(t, d, 1, goneAt(99, FromPerson, "", 30), rowAt(50, FromPerson, "", "x", 1))
	mergeInto(t, d, 1, goneAt(50, FromPerson, "", 40)) // the record goes, be there room or not
	if got := forgotten(); got.Wall != epoch.Add(40*time.Second).UnixMilli() || d.HasEntry(mergeList, entry(50).Pattern) {
		t.Errorf("forgotten until %v", got)
	}
	now = now.Add(time.Hour)
	_, err := d.change1(mergeList, entry(60))
	check(t, err)
	_, id, err := d.Remove(mergeList, []string{entry(60).Pattern}, By{}, TakePersons)
	check(t, err)
	r, err := d.ChangeOf(id)
	check(t, err)
	if got := rowsOfChange(t, d, id); len(got) != 1 || !got[0].Gone || got[0].Stamp != r.Stamp || forgotten() != r.Stamp {
		t.Errorf("%+v of %+v, forgotten until %v", got, r, forgotten())
	}
	sound(t, d)
}

// Tombstones that are older than any here are forgotten in their time too: also those that come while old ones are being looked for.
func TestMergeOldTombstones(t *testing.T) {
	now := epoch
	d := open(t, Options{Node: "a", Now: func() time.Time { return now }, KeepDeleted: time.Hour})
	_, err := d.AddEntries(mergeList, series(0, 70_000, 1, "x"))
	check(t, err)
	remove := func(i int) {
		t.Helper()
		_, err := d.RemoveEntries(mergeList, []string{entry(i).Pattern}, By{})
		check(t, err)
	}
	remove(1000)
	now = now.Add(90 * time.Minute)
	remove(5)
	mergeInto(t, d, 1, goneAt(6, FromImport, "file", 40*60)) // 50 minutes old
	d.committed = func() {
		d.committed = nil
		<-d.edits // between two of its steps
		defer func() { d.edits <- struct{}{} }()
		mergeInto(t, d, 1, goneAt(7, FromImport, "file", 35*60)) // 55
	}
	n, err := d.PruneDeleted() // in two steps
	check(t, err)
	if n != 1 || d.committed != nil {
		t.Errorf("%d forgotten", n)
	}
	for i, want := range []int{1, 1, 1} {
		now = now.Add([]time.Duration{6, 5, 60}[i] * time.Minute)
		if n, err := d.PruneDeleted(); n != want || err != nil {
			t.Errorf("%d: %d forgotten, %v", i, n, err)
		}
	}
	if got := tombstones(t, d, mergeList); got != 0 {
		t.Errorf("%d tombstones", got)
	}
	sound(t, d)
}

// Counts stay true where an edit comes across an old tombstone and writes nothing.
func TestOldTombstoneUnwritten(t *testing.T) {
	now := epoch
	d := open(t, Options{Now: func() time.Time { return now }, KeepDeleted: time.Hour})
	_, err := d.AddEntries(mergeList, append(series(0, 1000, 1, "x"), of(entry(1), FromReport, "", "y")))
	check(t, err)
	_, err = d.RemoveEntries(mergeList, []string{entry(1).Pattern}, By{})
	check(t, err)
	now = now.Add(2 * time.Hour)
	_, err = d.AddEntries(mergeList, []Entry{of(entry(1), FromReport, "", "y"), of(entry(999), FromReport, "", "new")}) // the first says what is there
	check(t, err)
	sound(t, d)
}

// A node whose clock is ahead of what it may be stamps its changes within that, and never below what it has.
func TestLatest(t *testing.T) {
	now, most, bound := epoch.Add(time.Hour), epoch, true
	d := open(t, Options{Node: "a", Now: func() time.Time { return now }, Latest: func() (int64, bool) { return most.UnixMilli(), bound }})
	want := func(at time.Time, count uint32) {
		t.Helper()
		e := entry(1)
		e.Reason = fmt.Sprint(now, most, count)
		_, err := d.change1(mergeList, e)
		check(t, err)
		if got := readList(t, d, mergeList)[0]; got.Stamp != (Tick{at.UnixMilli(), count, "a"}) || !got.Updated.Equal(millis(now)) {
			t.Errorf("%v at %v, want %v and %d", got.Stamp, now, at, count)
		}
	}
	want(epoch, 0)
	want(epoch, 1)
	most = epoch.Add(time.Minute)
	want(most, 0)
	mergeInto(t, d, 1, rowAt(2, FromPerson, "", "", 90))
	want(epoch.Add(90*time.Second), 1)
	bound = false
	want(now, 0)
}

// The lines of the database go the same way.
func TestMergeLines(t *testing.T) {
	d, peer := open(t, Options{Node: "a"}), open(t, Options{Node: "b"})
	_, r, err := d.ChangeLines(ChangeRecord{}, []LineEdit{{Line: Line{Name: "shop", Key: "shop-1", Note: strings.Repeat("n", MaxReason)}}, {Line: Line{Name: "firm", Key: "firm-1"}}})
	check(t, err)
	_, gone, err := d.ChangeLines(ChangeRecord{Kind: KindRemove}, []LineEdit{{Line: Line{Name: "firm"}, Remove: true}})
	check(t, err)
	for _, c := range []ChangeRecord{gone, r} { // the later one comes first
		_, _, err = peer.Merge(lineTable, rowsOfChange(t, d, c.ID), Foreign{Node: "a", ID: c.ID, Kind: c.Kind})
		check(t, err)
	}
	var names []string
	check(t, peer.Lines(func(l Line) error { names = append(names, l.Name+" "+l.Key); return nil }))
	if !slices.Equal(names, []string{"shop shop-1"}) {
		t.Errorf("%q", names)
	}
	long := rowAt(1, FromPerson, "", strings.Repeat("x", maxLineValue+1), 1)
	if _, _, err := peer.Merge(lineTable, []Row{long}, fromZ); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, _, err := peer.Merge(lineTable, make([]Row, MaxEdit/10+1), fromZ); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	sound(t, peer)
}
