package storage

import (
	"fmt"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// A list's stamp is another one after each change, whoever made it, and the same while nothing changes; of a list that an older
// version changed there is none.
func TestListStamps(t *testing.T) {
	d := open(t, Options{})
	seen := map[string]bool{}
	stamp := func(changed bool) string {
		t.Helper()
		lists, err := d.Lists()
		check(t, err)
		s := lists[0].Stamp
		if s == "" || len(s) > 63 || seen[s] == changed {
			t.Errorf("stamp %q, changed %v, seen before %v", s, changed, seen[s])
		}
		seen[s] = true
		return s
	}
	_, err := d.AddEntries("l", nil)
	check(t, err)
	stamp(true)
	_, err = d.AddEntries("l", []Entry{{Pattern: "+1"}, {Pattern: "+2"}})
	check(t, err)
	before := stamp(true)
	_, err = d.AddEntries("l", []Entry{{Pattern: "+1"}})
	check(t, err)
	_, err = d.RemoveEntries("l", []string{"+3"}, By{})
	check(t, err)
	check(t, d.AddHits([]Hit{{List: "l", Pattern: "+1", Count: 1, Last: epoch}}))
	_, err = d.AddEntries("m", []Entry{{Pattern: "+1"}})
	check(t, err)
	if now := stamp(false); now != before {
		t.Errorf("stamp %q where nothing was changed, before %q", now, before)
	}
	_, err = d.RemoveEntries("l", []string{"+1"}, By{})
	check(t, err)
	stamp(true)
	for _, few := range []int{MaxEdit, 2} { // in one transaction, and staged
		d.maxEdit = few
		r, err := d.Import("l", func(yield func(ImportRow) bool) {
			for _, p := range []string{"+4", "+5", "+6"} {
				if !yield(ImportRow{Entry: Entry{Pattern: fmt.Sprint(p, few)}}) {
					return
				}
			}
		}, ImportOptions{})
		check(t, err)
		stamp(true)
		_, err = d.Undo(r.ID, By{}, nil)
		check(t, err)
		stamp(true)
	}
	check(t, d.Close())
	d = open(t, Options{}, d.File())
	stamp(false)
	check(t, d.update(func(tx *bolt.Tx) error {
		return putJSON(tx.Bucket(bucketLists), "l", map[string]any{"entries": 1, "created": epoch, "changed": epoch}) // as it was kept before there were stamps
	}))
	if lists, err := d.Lists(); err != nil || lists[0].Stamp != "" {
		t.Errorf("%+v, %v", lists, err)
	}
}
