package storage

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// queried are records in the journal, every second one's caller as it arrived, the others' the same.
func queried(t *testing.T, d *DB, n int) []Record {
	rs := make([]Record, n)
	for i := range rs {
		rs[i] = record(i)
		rs[i].Caller.Raw = "anonymous"
		if i%2 == 0 {
			rs[i].Caller.Raw = fmt.Sprintf("0952 \"%d\xe9", i)
		}
		if rs[i].Line = "staff"; i%100 == 7 {
			rs[i].Line, rs[i].Customer = "shop", "J\"s\xe9"
		}
		rs[i].ID = NewID(rs[i].Time)
	}
	addAll(t, startJournal(t, d, JournalOptions{}), rs...)
	return rs
}

func TestQuery(t *testing.T) {
	d := open(t, Options{})
	const n = 1000
	rs := queried(t, d, n)
	at := func(i int) time.Time { return record(i).Time }
	raws := func(keep func(i int, r Record) bool) (out []int) {
		for i, r := range rs {
			if keep(i, r) {
				out = append(out, i)
			}
		}
		return out
	}
	backwards := func(in []int) []int { slices.Reverse(in); return in }
	all := raws(func(int, Record) bool { return true })
	tests := []struct {
		name string
		q    Query
		want []int
	}{
		{"all", Query{}, all},
		{"newest", Query{Newest: true}, backwards(slices.Clone(all))},
		{"last 20", Query{Newest: true, Limit: 20}, backwards(slices.Clone(all))[:20]},
		{"first 130", Query{Limit: 130}, all[:130]},
		{"since", Query{Since: at(990)}, all[990:]},
		{"since, a moment later", Query{Since: at(990).Add(time.Millisecond)}, all[991:]},
		{"until", Query{Until: at(3)}, all[:3]},
		{"between", Query{Since: at(100), Until: at(400)}, all[100:400]},
		{"between, newest", Query{Since: at(100), Until: at(400), Newest: true}, backwards(slices.Clone(all[100:400]))},
		{"after the last", Query{Since: at(n)}, nil},
		{"after the last, newest", Query{Since: at(n), Newest: true}, nil},
		{"before the first", Query{Until: at(0)}, nil},
		{"before the first, newest", Query{Until: at(0), Newest: true}, nil},
		{"nothing between", Query{Since: at(5), Until: at(5)}, nil},
		{"until far ahead, newest", Query{Until: at(10 * n), Newest: true, Limit: 1}, []int{n - 1}},
		{"caller", Query{Caller: "+8695200017"}, []int{17}},
		{"caller as it arrived", Query{Caller: "0952 \"18\xe9"}, []int{18}},
		{"raw of many", Query{Caller: "anonymous"}, raws(func(i int, r Record) bool { return i%2 == 1 })},
		{"no prefix", Query{Caller: "+869520001"}, nil},
		{"callee", Query{Callee: "05925550005"}, []int{5}},
		{"the callee's number as caller", Query{Caller: "05925550005"}, nil},
		{"action", Query{Action: "warn", Newest: true, Limit: 3}, []int{998, 995, 992}},
		{"would is not action", Query{Action: "reject"}, raws(func(i int, r Record) bool { return r.Action == "reject" })},
		{"customer", Query{Customer: "J\"s\xe9", Limit: 3}, []int{7, 107, 207}},
		{"a line of its own", Query{Customer: "staff", Until: at(9)}, []int{0, 1, 2, 3, 4, 5, 6, 8}},
		{"a line of another's", Query{Customer: "shop"}, nil},
		{"id", Query{ID: strings.ToLower(rs[7].ID)}, []int{7}},
		{"id, newest", Query{ID: rs[7].ID, Newest: true}, []int{7}},
		{"id and another action", Query{ID: rs[7].ID, Action: "reject"}, nil},
		{"cursor", Query{Cursor: rs[997].ID}, []int{998, 999}},
		{"cursor, newest", Query{Cursor: rs[2].ID, Newest: true}, []int{1, 0}},
		{"cursor at the end", Query{Cursor: rs[999].ID}, nil},
		{"cursor at the end, newest", Query{Cursor: rs[0].ID, Newest: true}, nil},
		{"cursor before since", Query{Cursor: rs[2].ID, Since: at(990)}, all[990:]},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []int
			for _, r := range readJournal(t, d, test.q) {
				i := slices.IndexFunc(rs, func(o Record) bool { return o.ID == r.ID })
				if !reflect.DeepEqual(r, rs[i]) {
					t.Fatalf("record %d is\n%+v, want\n%+v", i, r, rs[i])
				}
				got = append(got, i)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v\nwant %v", got, test.want)
			}
		})
	}
	for _, q := range []Query{{ID: "7"}, {Cursor: "01"}, {Cursor: strings.Repeat("U", 26)}} {
		if err := d.Journal(q, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if err := d.Journal(Query{}, func(Record) error { return errStop }); err != errStop {
		t.Errorf("an error of yield comes back as %v", err)
	}
}

// Walking by cursor sees each record once, though a scan is cut into pages, and
// though the one it stopped at is removed meanwhile.
func TestQueryPages(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Queue: 20_000})
	const n = 2*pageScanned + 100
	for i := range n {
		r := record(i)
		if i%(pageScanned/2) != 0 {
			r.Callee = "rare"[:i%4] // the scan passes over most
		} else {
			r.Callee = "found"
		}
		if !j.Add(r) {
			t.Fatal("dropped")
		}
	}
	check(t, j.Flush(soon(t)))
	for _, newest := range []bool{false, true} {
		got := readJournal(t, d, Query{Callee: "found", Newest: newest})
		if len(got) != 5 {
			t.Errorf("%d found, newest %v", len(got), newest)
		}
	}
	seen := 0
	for _, newest := range []bool{false, true} {
		q := Query{Limit: 1000, Newest: newest}
		for {
			page := readJournal(t, d, q)
			if len(page) == 0 {
				break
			}
			seen += len(page)
			q.Cursor = page[len(page)-1].ID
		}
	}
	if seen != 2*n {
		t.Errorf("%d records by cursor, want %d", seen, 2*n)
	}
	// A callback that edits, and removes what the next page would start after.
	seen = 0
	check(t, d.Journal(Query{}, func(r Record) error {
		if seen++; seen == pageRecords {
			return d.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketJournal).Delete([]byte(r.ID)) })
		}
		return nil
	}))
	if seen != n {
		t.Errorf("%d records came, want %d", seen, n)
	}
}
