package storage

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// fuzzRows makes rows of any bytes: a few patterns and sources, so that they meet.
func fuzzRows(data []byte) (rows []Row) {
	take := func(n int) []byte {
		n = min(n, len(data))
		part := data[:n]
		data = data[n:]
		return part
	}
	one := func() int {
		if b := take(1); len(b) > 0 {
			return int(b[0])
		}
		return 0
	}
	for len(data) > 0 && len(rows) < 60 {
		row := Row{
			Pattern: entry(one() % 3).Pattern, Origin: Origin(one() % 5), Source: string(take(one() % 4)), Gone: one()%2 == 0,
			Stamp: Tick{epoch.Add(time.Duration(one()-128) * 15 * time.Minute).UnixMilli(), uint32(one()), string(take(one() % 3))},
		}
		if !row.Gone || one()%4 == 0 {
			row.Reason, row.Who = string(take(one()%5)), string(take(one()%5))
			row.Added, row.Updated, row.Expires = int64(one())<<32, int64(one()-1), int64(one())<<40
		}
		switch one() {
		case 1:
			row.Pattern = string(take(one()))
		case 2:
			row.Stamp.Wall = int64(one()-128) << 56
		}
		rows = append(rows, row)
	}
	return rows
}

// Whatever another node says is taken as a whole or refused as a whole; the file is whole, the same again changes nothing, and who is told what was taken
// comes to hold the same.
func FuzzMerge(f *testing.F) {
	f.Add([]byte("\x01\x00\x02ab\x01\x80\x00\x01z\x03why\x02me\x01\x02\x03\x00"), false)
	f.Add([]byte("\x01\x02\x02ab\x00\x80\x00\x01z\x01\x00\x01\x02\x02ab\x01\x81\x00\x01z\x03why\x02me\x01\x02\x03\x00"), true)
	f.Fuzz(func(t *testing.T, data []byte, many bool) {
		o := Options{Node: "a", Now: func() time.Time { return epoch }, KeepDeleted: 12 * time.Hour}
		fresh := func(name string) *DB {
			d := open(t, o, filepath.Join(t.TempDir(), name))
			d.bolt.NoSync = true
			d.maxEdit, d.maxDeleted = 7, 20
			return d
		}
		d, peer := fresh("a"), fresh("b")
		_, err := d.change1(mergeList, entry(1))
		check(t, err)
		before, rows := rowsOfList(t, d), fuzzRows(data)
		take := func() (int, ChangeRecord, error) {
			if !many {
				return d.Merge(mergeList, rows, fromZ)
			}
			r, err := d.MergeMany(mergeList, inRowOrder(rows...), fromZ, nil)
			return r.Took, r, err
		}
		if _, _, err := take(); err != nil {
			if !errors.Is(err, ErrInvalid) || !slices.Equal(rowsOfList(t, d), before) {
				t.Fatal(err)
			}
			return
		}
		sound(t, d)
		if n, r, err := take(); n != 0 || r.ID != 0 || err != nil {
			t.Fatalf("again: %d, %+v, %v", n, r, err)
		}
		_, _, err = peer.Merge(mergeList, rowsOfList(t, d), fromZ)
		check(t, err)
		here, n, err := d.Leaves(mergeList)
		check(t, err)
		there, m, err := peer.Leaves(mergeList)
		check(t, err)
		if n != m || !slices.Equal(here, there) {
			t.Fatalf("%d records, and %d where they were told of", n, m)
		}
		sound(t, peer)
		if _, err := d.AddEntries(mergeList, []Entry{of(entry(0), FromPerson, "", "over it"), of(entry(1), FromPerson, "", "over it"), of(entry(2), FromPerson, "", "over it")}); err != nil {
			t.Fatal(err)
		}
		if n, _, err := take(); n != 0 || err != nil {
			t.Fatalf("what was written over came again: %d, %v", n, err)
		}
	})
}
