package storage

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

func line(name string, numbers ...string) Line {
	return Line{Name: name, Key: name + "~abcdef", Numbers: numbers, Customer: "firm", Profile: "strict"}
}

func put(ls ...Line) (edits []LineEdit) {
	for _, l := range ls {
		edits = append(edits, LineEdit{Line: l})
	}
	return edits
}

// allLines is what Lines gives, by name, without what it says of when and by whom.
func allLines(t testing.TB, d *DB) map[string]Line {
	t.Helper()
	all := map[string]Line{}
	last := ""
	check(t, d.Lines(func(l Line) error {
		if l.Name <= last {
			t.Errorf("%s comes after %s", l.Name, last)
		}
		last = l.Name
		all[l.Name] = bare(l)
		return nil
	}))
	return all
}

func bare(l Line) Line {
	return Line{Name: l.Name, Key: l.Key, Numbers: l.Numbers, Customer: l.Customer, Profile: l.Profile, Mode: l.Mode, Timezone: l.Timezone, Language: l.Language, Notify: l.Notify, Note: l.Note}
}

// Random changes of lines, small ones and such as are staged, and undos give what plain maps give, also after opening again; what LinesUndone says is
// what Undo does.
//
// long: because one database sees all of it
func TestLinesModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(14, 1))
	d := open(t, Options{})
	have := map[string]Line{}
	var ids []uint64
	staged, undone := 0, 0
	for step := range 120 {
		d.maxEdit, d.stageBytes = 200, 2000
		switch k := rnd.IntN(8); {
		case k == 0:
			file := d.file
			check(t, d.Close())
			d = open(t, Options{}, file)
		case k == 1 && len(ids) > 0:
			id := ids[rnd.IntN(len(ids))]
			would, err := d.LinesUndone(id)
			check(t, err)
			r, err := d.Undo(id, By{}, nil)
			if errors.Is(err, ErrInvalid) && strings.Contains(err.Error(), "undone already") {
				continue
			}
			check(t, err)
			undone++
			if r.ID != 0 {
				ids = append(ids, r.ID)
			}
			for _, e := range would {
				if delete(have, e.Name); !e.Remove {
					have[e.Name] = bare(e.Line)
				}
			}
		default:
			n := 1 + rnd.IntN(4)
			if k == 2 {
				n, staged = 20+rnd.IntN(40), staged+1
			}
			var edits []LineEdit
			for _, i := range rnd.Perm(80)[:n] {
				l := line(fmt.Sprintf("line%d", i), fmt.Sprint("+86592555", 1000+rnd.IntN(3)))
				if rnd.IntN(50) == 0 {
					for i := range MaxLineNumbers { // more than a reason of an entry may have
						l.Numbers = append(l.Numbers, fmt.Sprint("+8613800", 10_000+i))
					}
				}
				edits = append(edits, LineEdit{l, rnd.IntN(3) == 0})
			}
			changes, r, err := d.ChangeLines(ChangeRecord{By: By{"root", "cli"}}, edits)
			check(t, err)
			if r.ID != 0 {
				ids = append(ids, r.ID)
			}
			for i, e := range edits {
				was, there := have[e.Name]
				want := map[bool]Change{true: Updated, false: Added}[there]
				switch {
				case e.Remove && there:
					want = Removed
				case e.Remove:
					want = Absent
				case there && reflect.DeepEqual(was, bare(e.Line)):
					want = Unchanged
				}
				if changes[i] != want {
					t.Fatalf("step %d: %s is %v, want %v", step, e.Name, changes[i], want)
				}
				if delete(have, e.Name); !e.Remove {
					have[e.Name] = bare(e.Line)
				}
			}
		}
		if got := allLines(t, d); !reflect.DeepEqual(got, have) {
			t.Fatalf("step %d: %d lines, want %d", step, len(got), len(have))
		}
	}
	if staged < 5 || undone < 5 {
		t.Errorf("%d staged, %d undone: too few to show anything", staged, undone)
	}
	report, err := d.Verify()
	check(t, err)
	if len(report.Faults) > 0 || report.Lines != len(have) || report.Lists != 0 || report.Entries != 0 {
		t.Errorf("%+v", report)
	}
	names := slices.Collect(maps.Keys(have))
	found, err := d.LinesNamed(append(names, "nobody")...)
	check(t, err)
	if len(found) != len(names) || found[0].Who != "root" || found[0].Change == 0 || found[0].Added.IsZero() {
		t.Errorf("%d of %d: %+v", len(found), len(names), found)
	}
}

// An undo of what was changed since leaves that alone, and the line that comes back has its key of before.
func TestLinesUndo(t *testing.T) {
	d := open(t, Options{})
	first := line("shop", "+865925550100")
	_, _, err := d.ChangeLines(ChangeRecord{}, put(first, line("firm", "+865925550101")))
	check(t, err)
	_, removed, err := d.ChangeLines(ChangeRecord{Kind: KindRemove}, []LineEdit{{first, true}, {line("firm"), true}})
	check(t, err)
	anew := line("firm", "+865925550102")
	anew.Key = "firm~other1"
	_, _, err = d.ChangeLines(ChangeRecord{}, put(anew))
	check(t, err)
	r, err := d.Undo(removed.ID, By{}, nil)
	check(t, err)
	if r.Skipped != 1 || r.Added != 1 || !r.IsLines() {
		t.Errorf("%+v", r)
	}
	got := allLines(t, d)
	if got["shop"].Key != first.Key || got["firm"].Key != anew.Key {
		t.Errorf("%+v", got)
	}
	var kinds []string
	check(t, d.LineHistory("shop", func(c PatternChange) error {
		kinds = append(kinds, c.Kind)
		for _, e := range []*Entry{c.Before, c.After} {
			if e == nil {
				continue
			}
			if l, err := LineOfEntry(e); err != nil || !slices.Equal(l.Numbers, first.Numbers) {
				t.Errorf("%+v, %v", l, err)
			}
		}
		return nil
	}))
	if !slices.Equal(kinds, []string{KindAdd, KindRemove, KindUndo}) {
		t.Errorf("%q", kinds)
	}
}

// An edit of a few lines waits for no import; one of very many says that there is one.
func TestLinesBesideImport(t *testing.T) {
	d := open(t, Options{})
	d.maxEdit = 20
	_, err := d.Import("feed", imported(entry(1)), ImportOptions{Commit: func(do func() (ChangeRecord, error)) error {
		if _, _, err := d.ChangeLines(ChangeRecord{}, put(line("a"))); err != nil {
			t.Error(err)
		}
		if _, _, err := d.ChangeLines(ChangeRecord{}, put(line("a"), line("b"))); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
		_, err := do()
		return err
	}})
	check(t, err)
	if got := allLines(t, d); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// Lines are no list.
func TestLinesAreNoList(t *testing.T) {
	d := open(t, Options{})
	_, _, err := d.ChangeLines(ChangeRecord{}, put(line("shop", "+865925550100")))
	check(t, err)
	_, err = d.AddEntries("line:blacklist", []Entry{entry(1)})
	check(t, err)
	lists, err := d.Lists()
	check(t, err)
	if len(lists) != 1 || lists[0].Name != "line:blacklist" {
		t.Errorf("%+v", lists)
	}
	check(t, d.EachEntry(func(list string, e Entry) error {
		if list != "line:blacklist" {
			t.Errorf("%s has %+v", list, e)
		}
		return nil
	}))
	if _, err := d.AddEntries(lineTable, []Entry{entry(1)}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "ringfence line") {
		t.Errorf("got %v", err)
	}
	if _, err := d.Import(lineTable, imported(entry(1)), ImportOptions{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
	check(t, d.Close())
	to := filepath.Join(t.TempDir(), "old.db")
	r, err := Export(d.file, 2, to)
	check(t, err)
	if r.Lines != 1 || r.Entries > 1 {
		t.Errorf("%+v", r)
	}
	old, err := bolt.Open(to, 0o600, &bolt.Options{ReadOnly: true})
	check(t, err)
	defer old.Close()
	check(t, old.View(func(tx *bolt.Tx) error {
		if tx.Bucket(bucketLists).Get([]byte(lineTable)) != nil || tx.Bucket(bucketEntries).Bucket([]byte(lineTable)) != nil {
			t.Error("the older version would have lines as a list")
		}
		return nil
	}))
}

// One line that cannot be read hides no other, and can be written anew.
func TestUnreadableLine(t *testing.T) {
	d := open(t, Options{})
	_, _, err := d.ChangeLines(ChangeRecord{}, put(line("a", "1"), line("b", "2"), line("c", "3")))
	check(t, err)
	check(t, d.bolt.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketEntries).Bucket([]byte(lineTable))
		k, v := b.Cursor().First()
		rows, err := decodeBlock(nil, k, v, 1)
		check(t, err)
		rows[1].now.reason = `{"key":`
		return b.Put(bytes.Clone(k), encodeBlock(rows, 1))
	}))
	var names []string
	each := func(l Line) error { names = append(names, l.Name); return nil }
	if err := d.Lines(each); !errors.Is(err, ErrCorrupt) || !slices.Equal(names, []string{"a", "c"}) {
		t.Errorf("%q, %v", names, err)
	}
	found, err := d.LinesNamed("a", "b", "c")
	if !errors.Is(err, ErrCorrupt) || len(found) != 2 {
		t.Errorf("%+v, %v", found, err)
	}
	if report, err := d.Verify(); err != nil || len(report.Faults) != 1 || !strings.Contains(report.Faults[0], `"b"`) {
		t.Errorf("%+v, %v", report, err)
	}
	_, _, err = d.ChangeLines(ChangeRecord{}, put(line("b", "2")))
	check(t, err)
	if got := allLines(t, d); len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestLinesBounded(t *testing.T) {
	d := open(t, Options{})
	d.maxLines = 3
	refused := func(want string, edits ...LineEdit) {
		t.Helper()
		before := allLines(t, d)
		if _, _, err := d.ChangeLines(ChangeRecord{}, edits); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if after := allLines(t, d); !reflect.DeepEqual(before, after) {
			t.Errorf("%+v, want %+v", after, before)
		}
	}
	four := put(line("a"), line("b"), line("c"), line("d"))
	refused("there may be 3", four...)
	d.maxEdit = 20
	refused("there may be 3", four...)
	d.maxEdit = MaxEdit
	_, _, err := d.ChangeLines(ChangeRecord{}, four[:3])
	check(t, err)
	refused("there may be 3", four[3])
	_, _, err = d.ChangeLines(ChangeRecord{}, []LineEdit{four[3], {four[0].Line, true}}) // as many as before
	check(t, err)
	d.maxLines = 2 // as of a file that a later version wrote: one may go
	_, _, err = d.ChangeLines(ChangeRecord{}, []LineEdit{{four[1].Line, true}})
	check(t, err)
	refused("twice", four[1], four[1])
	refused("control character", LineEdit{Line: line("a\nb")})
	refused("pattern has", LineEdit{Line: line(strings.Repeat("x", MaxPattern+1))})
	long := line("long")
	long.Note = strings.Repeat("x", maxLineValue)
	refused("write ranges", LineEdit{Line: long})
}
