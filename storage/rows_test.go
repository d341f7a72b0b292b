package storage

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Leaves are the same whatever the order in which a list was written and whatever was forgotten, and differ where records do, there alone.
func TestLeaves(t *testing.T) {
	now := epoch
	d, peer := open(t, Options{Node: "a", Now: func() time.Time { return now }}), open(t, Options{Node: "b", Now: func() time.Time { return now }})
	if leaves, rows, err := d.Leaves(mergeList); err != nil || rows != 0 || len(leaves) != LeafCount {
		t.Errorf("no list: %d leaves of %d rows, %v", len(leaves), rows, err)
	}
	var rows []Row
	for i := range 3000 {
		rows = append(rows, rowAt(i, FromImport, fmt.Sprint("file ", i%3), "x", i), rowAt(i, FromPerson, "cli", "y", i))
	}
	mergeInto(t, d, len(rows), rows...)
	mergeInto(t, d, 500, func() (gone []Row) {
		for i := range 500 {
			gone = append(gone, goneAt(i, FromPerson, "", 5000))
		}
		return gone
	}()...)
	back := slices.Clone(rowsOfList(t, d))
	slices.Reverse(back)
	for part := range slices.Chunk(back, 700) {
		_, _, err := peer.Merge(mergeList, part, fromZ)
		check(t, err)
	}
	equal := func(what string, want bool) []int {
		t.Helper()
		here, n, err := d.Leaves(mergeList)
		check(t, err)
		there, m, err := peer.Leaves(mergeList)
		check(t, err)
		var differ []int
		for i := range here {
			if here[i] != there[i] {
				differ = append(differ, i)
			}
		}
		if (n == m && len(differ) == 0) != want || n != 5500 {
			t.Errorf("%s: %d and %d records, %d leaves differ", what, n, m, len(differ))
		}
		return differ
	}
	equal("written backwards", true)
	now = now.Add(2 * defaultKeepDeleted)
	if n, err := peer.PruneDeleted(); n != 500 || err != nil {
		t.Errorf("%d forgotten, %v", n, err)
	}
	equal("tombstones forgotten", true)
	row := rows[2001]
	for _, change := range []func(){
		func() { row.Stamp.Node = "zz" },
		func() { row.Stamp.Count++ },
		func() { row.Stamp.Wall++ },
	} {
		change()
		mergeInto(t, peer, 1, row)
		differ := equal("another stamp", false)
		if !slices.Equal(differ, []int{LeafOf(row.Pattern)}) {
			t.Errorf("the leaves %d differ, want %d", differ, LeafOf(row.Pattern))
		}
		var got []Row
		check(t, peer.ListRows(mergeList, func(leaf int) bool { return leaf == differ[0] }, func(rows []Row) error { got = append(got, rows...); return nil }))
		if !slices.Contains(got, row) || len(got) > 40 {
			t.Errorf("that leaf has %d rows", len(got))
		}
		_, _, err := d.Merge(mergeList, got, fromZ)
		check(t, err)
		equal("told of that leaf", true)
	}
	// They are what nodes of other versions find.
	s := sourceRecord{origin: FromFeed, source: "feed x", stamp: Tick{1772352000123, 4, "pbx1"}}
	if LeafOf("+8613912345678") != 8429 || s.hash() != 0xff080e31c2d4bb81 {
		t.Errorf("leaf %d, hash %#x", LeafOf("+8613912345678"), s.hash())
	}
}

// Rows come in pages that fit into a message, those of a pattern together.
func TestRowPages(t *testing.T) {
	d := open(t, Options{})
	var es []Entry
	for i := range 1500 {
		for _, origin := range []Origin{FromPerson, FromReport, FromFeed} {
			es = append(es, of(entry(i), origin, "x", fmt.Sprintf("%0*d", 1+i/1000*900, i)))
		}
	}
	_, id, err := d.Add(mergeList, es)
	check(t, err)
	for name, read := range map[string]func(yield func([]Row) error) error{
		"list":   func(yield func([]Row) error) error { return d.ListRows(mergeList, nil, yield) },
		"change": func(yield func([]Row) error) error { return d.ChangeRows(id, yield) },
	} {
		n, pages, last := 0, 0, ""
		check(t, read(func(rows []Row) error {
			bytes := 0
			for _, r := range rows {
				bytes += len(r.Reason)
			}
			if len(rows) > 2000 || bytes > 600<<10 || rows[0].Pattern == last {
				t.Errorf("%s: a page of %d rows and %d bytes, from %s on behind %s", name, len(rows), bytes, rows[0].Pattern, last)
			}
			n, pages, last = n+len(rows), pages+1, rows[len(rows)-1].Pattern
			return nil
		}))
		if n != len(es) || pages < 4 {
			t.Errorf("%s: %d rows in %d pages", name, n, pages)
		}
	}
}

// All changes come in their order, however many there are, and from where one likes.
func TestChangesAfter(t *testing.T) {
	d := open(t, Options{Node: "a"})
	const n = 2*pageStamps + 10
	check(t, d.edit(func(tx *bolt.Tx) error {
		for id := uint64(1); id <= n; id++ {
			if err := d.putChange(tx, ChangeRecord{ID: id, Kind: KindAdd, List: mergeList, Node: []string{"", "z"}[id%2]}); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, from := range []uint64{0, 1, pageStamps, n - 1, n, n + 1, 1<<64 - 1} {
		next := from + 1
		check(t, d.ChangesAfter(from, func(r ChangeRecord) error {
			if r.ID != next || r.Node != []string{"", "z"}[r.ID%2] {
				t.Fatalf("after %d: %+v, want %d", from, r, next)
			}
			next++
			return nil
		}))
		if want := max(n+1, from+1); from < n && next != want {
			t.Errorf("after %d: up to %d, want %d", from, next, want)
		}
	}
	stop := fmt.Errorf("enough")
	if err := d.ChangesAfter(0, func(ChangeRecord) error { return stop }); err != stop {
		t.Error(err)
	}
}

var manyRows = flag.Int("rows", 200_000, "how many records TestManyRows has; 10,000,000 for what docs say")

// What comparing and taking over a large list costs.
func TestManyRows(t *testing.T) {
	n := *manyRows
	d, peer := open(t, Options{Node: "a"}), open(t, Options{Node: "b"})
	// measure gives how long something takes, and by how much it lets memory grow at most.
	measure := func(what string, do func()) {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		do()
		took := time.Since(begin)
		runtime.ReadMemStats(&after)
		t.Logf("%s: %.2f s, allocated %d MB, memory of the program grew by %d MB", what, took.Seconds(), (after.TotalAlloc-before.TotalAlloc)>>20, (int64(after.Sys)-int64(before.Sys))>>20)
	}
	measure("MergeMany into an empty database", func() {
		r, err := d.MergeMany(mergeList, func(yield func(Row, error) bool) {
			row := rowAt(0, FromImport, "file", "x", 1)
			for i := range n {
				if row.Pattern = fmt.Sprintf("+86592%08d", i); !yield(row, nil) {
					return
				}
			}
		}, fromZ, nil)
		check(t, err)
		if r.Added != n {
			t.Errorf("%+v", r)
		}
	})
	want := LeafOf("+8659200000007")
	measure("Leaves", func() {
		leaves, rows, err := d.Leaves(mergeList)
		check(t, err)
		if rows != n || leaves[want] == 0 {
			t.Errorf("%d rows", rows)
		}
	})
	measure("ListRows of one leaf", func() {
		got := 0
		check(t, d.ListRows(mergeList, func(leaf int) bool { return leaf == want }, func(rows []Row) error { got += len(rows); return nil }))
		if got == 0 || got > 20+2*n/LeafCount*2 {
			t.Errorf("%d rows", got)
		}
	})
	measure("ListRows and Merge to another database, 10,000 rows", func() {
		got := 0
		stop := fmt.Errorf("enough")
		if err := d.ListRows(mergeList, nil, func(rows []Row) error {
			changed, _, err := peer.Merge(mergeList, rows, fromZ)
			check(t, err)
			if got += changed; got >= 10_000 {
				return stop
			}
			return nil
		}); err != stop {
			t.Error(err)
		}
	})
}
