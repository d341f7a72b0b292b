package storage

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// What comes from other nodes while a list is built anew stays as it came, records and tombstones.
func TestMergeBesideImport(t *testing.T) {
	now := epoch
	d := open(t, Options{Node: "a", Now: func() time.Time { return now }})
	d.maxEdit = 10
	_, err := d.AddEntries(mergeList, []Entry{of(entry(3), FromImport, "file", "here before")})
	check(t, err)
	now = now.Add(time.Minute)
	file := func(i int) Entry { return of(entry(i), FromImport, "file", "the import") }
	var held []uint64
	r, err := d.Import(mergeList, func(yield func(ImportRow) bool) {
		for i := range 40 {
			if i == 30 {
				mergeInto(t, d, 5,
					rowAt(1, FromImport, "file", "written before the import", 10), goneAt(2, FromImport, "file", 10),
					goneAt(3, FromImport, "file", 30), goneAt(4, FromImport, "file", 90), rowAt(5, FromImport, "file", "and after", 90))
				mergeInto(t, d, 0, rowAt(3, FromImport, "file", "older than what was there", 20))
				check(t, d.ChangesAfter(0, func(r ChangeRecord) error { held = append(held, r.ID); return nil }))
			}
			if !yield(ImportRow{Entry: file(i)}) {
				return
			}
		}
	}, ImportOptions{})
	check(t, err)
	for i, want := range []string{"the import", "written before the import", "", "", "", "and after", "the import"} {
		if got := sources(t, d, entry(i).Pattern); got != want {
			t.Errorf("%d is named by %q, want %q", i, got, want)
		}
	}
	if got := tombstones(t, d, mergeList); got != 3 || r.Rows != 35 || r.Added != 35 {
		t.Errorf("%d tombstones, %+v", got, r)
	}
	for _, row := range rowsOfChange(t, d, r.ID) {
		if row.Reason != "the import" || row.Stamp != r.Stamp {
			t.Errorf("told of as the import's: %+v", row)
		}
	}
	// The import has a lower number than what was merged meanwhile.
	var ids []uint64
	check(t, d.ChangesAfter(1, func(r ChangeRecord) error { ids = append(ids, r.ID); return nil }))
	if !slices.Equal(held, []uint64{1}) || !slices.Equal(ids, []uint64{2, 3}) {
		t.Errorf("told of %d while it was built, and then of %d", held, ids)
	}
	sound(t, d)
}

// What is edited while very much is taken over from another node stays, unless the other node wrote it later; the history and the undo are true either way.
func TestMergeManyBesideEdits(t *testing.T) {
	now := epoch
	d := open(t, Options{Node: "a", Now: func() time.Time { return now }})
	d.maxEdit = 10
	mine := func(i int) Entry { return of(entry(i), FromPerson, "cli", "mine") }
	_, err := d.AddEntries(mergeList, []Entry{mine(1), mine(4), mine(5)})
	check(t, err)
	now = now.Add(time.Minute)
	var held []uint64
	rows := func(yield func(Row, error) bool) {
		for i := range 40 {
			row := rowAt(i, FromPerson, "console", "theirs", 30+60*(i%2)) // every other one is later than what is edited here
			if i == 5 || i == 7 {
				row = goneAt(i, FromPerson, "", 90)
			}
			if i == 30 {
				_, err := d.AddEntries(mergeList, []Entry{of(entry(0), FromPerson, "cli", "edited"), of(entry(1), FromPerson, "cli", "edited"), of(entry(3), FromPerson, "cli", "edited"), of(entry(7), FromPerson, "cli", "edited")})
				check(t, err)
				_, err = d.RemoveEntries(mergeList, []string{entry(4).Pattern, entry(5).Pattern}, By{})
				check(t, err)
				check(t, d.ChangesAfter(0, func(r ChangeRecord) error { held = append(held, r.ID); return nil }))
			}
			if !yield(row, nil) {
				return
			}
		}
	}
	r, err := d.MergeMany(mergeList, rows, fromZ, nil)
	check(t, err)
	for i, want := range []string{"edited", "theirs", "theirs", "theirs", "", "", "theirs", ""} {
		if got := sources(t, d, entry(i).Pattern); got != want {
			t.Errorf("%d is named by %q, want %q", i, got, want)
		}
	}
	if !slices.Equal(held, []uint64{1, 3, 4}) {
		t.Errorf("told of %d while another node's rows were taken over", held)
	}
	history := func(i int, want ...string) {
		t.Helper()
		var got []string
		check(t, d.History(entry(i).Pattern, func(c PatternChange) error {
			text := func(e *Entry) string {
				if e == nil {
					return "-"
				}
				return e.Reason
			}
			if c.ID == r.ID {
				got = append(got, text(c.Before)+" > "+text(c.After))
			}
			return nil
		}))
		if !slices.Equal(got, want) {
			t.Errorf("the history of %d says %q, want %q", i, got, want)
		}
	}
	history(0)
	history(1, "edited > theirs")
	history(2, "- > theirs")
	history(3, "edited > theirs")
	history(5)
	history(7, "edited > -")
	sound(t, d)
	if kept, err := d.ChangeOf(r.ID); err != nil || kept.Rows != r.Rows {
		t.Errorf("%+v, %v", kept, err)
	}
	if u, err := d.Undo(r.ID, By{}, nil); err != nil || u.Skipped != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	for i, want := range []string{"edited", "edited", "", "edited", "", "", "", "edited"} {
		if got := sources(t, d, entry(i).Pattern); got != want {
			t.Errorf("undone: %d is named by %q, want %q", i, got, want)
		}
	}
	sound(t, d)
}

// What a person imports or undoes is not refused because of what another node has: that gives way, changes nothing, and can come again.
func TestMergeManyGivesWay(t *testing.T) {
	d := open(t, Options{Node: "a"})
	d.maxEdit = 10
	var imported uint64
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"an import", func() error {
			r, err := d.Import("bought", func(yield func(ImportRow) bool) {
				for i := range 100 {
					if !yield(ImportRow{Entry: of(entry(i), FromImport, "file", "bought")}) {
						return
					}
				}
			}, ImportOptions{Source: "file"})
			imported = r.ID
			return err
		}},
		{"an undo", func() error { _, err := d.Undo(imported, By{}, nil); return err }},
		{"forgetting", func() error { _, err := d.ForgetTraces([]string{entry(7).Pattern}, false); return err }},
	} {
		began, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := d.MergeMany(mergeList, func(yield func(Row, error) bool) {
				for i := 0; ; i++ { // it never ends by itself
					if i == 1000 {
						close(began)
					}
					if !yield(rowAt(i, FromPerson, "console", "theirs", 30), nil) {
						return
					}
				}
			}, fromZ, nil)
			ended <- err
		}()
		<-began
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if err := <-ended; !errors.Is(err, ErrBusy) {
			t.Errorf("beside %s: %v", c.what, err)
		}
		if _, rows, err := d.Leaves(mergeList); rows != 0 || err != nil {
			t.Errorf("beside %s %d rows were taken, %v", c.what, rows, err)
		}
	}
	sound(t, d)
}
