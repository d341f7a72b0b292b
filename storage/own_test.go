package storage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const ownOfTest = "line:blacklist"

func ownEntryOf(line string, i int) Entry {
	return Entry{Pattern: OwnText(line, fmt.Sprintf("+86138%08d", i)), Reason: "r"}
}

// linePatterns are the patterns of a line, as LineEntries has them.
func linePatterns(t *testing.T, d *DB, line string) (all []string) {
	t.Helper()
	check(t, d.LineEntries(ownOfTest, line, true, func(es []Entry) error {
		for _, e := range es {
			all = append(all, e.Pattern)
		}
		return nil
	}))
	return all
}

// What a line has is found among others', wherever blocks and pages end, and counted.
func TestLineEntries(t *testing.T) {
	d := open(t, Options{})
	if got := linePatterns(t, d, "a~000000"); got != nil {
		t.Errorf("without a table: %q", got)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	want := make(map[string][]string)
	var es []Entry
	lines := []string{"a~000000", "a~00000", "a", "a~0000000", "aa~000000", "b!~000000", "c~000000", "~", "zz~000000"}
	for _, line := range lines {
		for i := range []int{0, 1, 300, 3000, 20_000}[rnd.IntN(5)] {
			e := ownEntryOf(line, i)
			es = append(es, e)
			want[line] = append(want[line], e.Pattern)
		}
	}
	slices.SortFunc(es, func(a, b Entry) int { return strings.Compare(a.Pattern, b.Pattern) })
	_, err := d.Import(ownOfTest, imported(es...), ImportOptions{})
	check(t, err)
	total := 0
	for _, line := range lines {
		if got := linePatterns(t, d, line); !slices.Equal(got, want[line]) {
			t.Errorf("%s has %d patterns, not %d", line, len(got), len(want[line]))
		}
		n, err := d.LinePatterns(line)
		check(t, err)
		if n != len(want[line]) {
			t.Errorf("%s is said to have %d, not %d", line, n, len(want[line]))
		}
		total += n
	}
	if n, err := d.OwnPatterns(); err != nil || n != total || total == 0 {
		t.Errorf("%d, %v; want %d", n, err, total)
	}
	if got := linePatterns(t, d, "nobody~000000"); got != nil {
		t.Errorf("of a line that has none: %d", len(got))
	}
}

// A change says whose list it was of, if it was of one line; the log of a pattern says it either way.
func TestOwnChanges(t *testing.T) {
	d := open(t, Options{})
	_, err := d.AddEntries(ownOfTest, []Entry{ownEntryOf("a~000000", 1), ownEntryOf("a~000000", 2)})
	check(t, err)
	_, err = d.AddEntries(ownOfTest, []Entry{ownEntryOf("a~000000", 3), ownEntryOf("b~000000", 1)})
	check(t, err)
	_, err = d.AddEntries("blacklist", []Entry{{Pattern: "+8613800000001"}})
	check(t, err)
	var lines []string
	check(t, d.Changes(func(r ChangeRecord) error { lines = append(lines, r.List+" "+r.Line); return nil }))
	if want := []string{"line:blacklist a~000000", "line:blacklist ", "blacklist "}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	lines = nil
	check(t, d.History("+8613800000001", func(c PatternChange) error {
		lines = append(lines, c.List+" "+c.Line+" "+c.After.Pattern)
		return nil
	}))
	if want := []string{"line:blacklist a~000000 +8613800000001", "line:blacklist b~000000 +8613800000001", "blacklist  +8613800000001"}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	found, err := d.PlacesOf("+8613800000001", "+8613800000003")
	check(t, err)
	if want := []Place{{"blacklist", "+8613800000001"}, {ownOfTest, "a~000000 +8613800000001"}, {ownOfTest, "a~000000 +8613800000003"}, {ownOfTest, "b~000000 +8613800000001"}}; !slices.Equal(found, want) {
		t.Errorf("%q", found)
	}
}

// What is remembered of a number that a line had goes, also how often it decided when its tombstone has gone before; others keep theirs.
func TestForgetTracesOfOwnLists(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	d := open(t, Options{Now: func() time.Time { return now }})
	const number = "+8613800000001"
	for _, line := range []string{"a~000000", "b~000000", "c~000000"} {
		_, err := d.AddEntries(ownOfTest, []Entry{ownEntryOf(line, 1), ownEntryOf(line, 2)})
		check(t, err)
		check(t, d.AddHits([]Hit{{ownOfTest, OwnText(line, number), 3, now}}))
	}
	_, err := d.RemoveEntries(ownOfTest, []string{OwnText("a~000000", number)}, By{})
	check(t, err)
	now = now.Add(40 * 24 * time.Hour)
	if n, err := d.PruneDeleted(); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	_, err = d.RemoveEntries(ownOfTest, []string{OwnText("b~000000", number)}, By{})
	check(t, err)
	n, err := d.ForgetTraces([]string{number}, false)
	check(t, err)
	if n != (Traces{Changes: 4, Deleted: 1}) {
		t.Errorf("%+v", n)
	}
	hits, err := d.ownHits([]string{number})
	check(t, err)
	if want := []Place{{ownOfTest, OwnText("c~000000", number)}}; !slices.Equal(hits, want) {
		t.Errorf("hits of %q", hits)
	}
	left := make(map[string]int)
	check(t, d.History(number, func(c PatternChange) error { left[c.Line]++; return nil }))
	if !maps.Equal(left, map[string]int{"c~000000": 1}) {
		t.Errorf("history of %v", left)
	}
	for _, line := range []string{"a~000000", "b~000000"} {
		if got := linePatterns(t, d, line); len(got) != 1 {
			t.Errorf("%s has %q", line, got)
		}
	}
	if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// An older version has no lines of the database: neither they nor their lists are written for it, which is said.
func TestExportLeavesOwnLists(t *testing.T) {
	d := open(t, Options{})
	_, err := d.AddEntries("blacklist", []Entry{entry(1)})
	check(t, err)
	_, err = d.AddEntries(ownOfTest, []Entry{ownEntryOf("a~000000", 1), ownEntryOf("a~000000", 2)})
	check(t, err)
	check(t, d.AddHits([]Hit{{ownOfTest, OwnText("a~000000", "+8613800000001"), 3, time.Now()}, {"blacklist", entry(1).Pattern, 5, time.Now()}}))
	check(t, d.Close())
	to := filepath.Join(t.TempDir(), "old.db")
	r, err := Export(d.file, 2, to)
	check(t, err)
	if r.Lists != 1 || r.Entries != 1 || r.Own != 2 {
		t.Errorf("%+v", r)
	}
	old := open(t, Options{KeepAt: filepath.Join(t.TempDir(), "kept.db")}, to)
	lists, err := old.Lists()
	check(t, err)
	if len(lists) != 1 || lists[0].Name != "blacklist" {
		t.Errorf("%+v", lists)
	}
	if hits, err := old.ownHits([]string{"+8613800000001"}); err != nil || len(hits) > 0 {
		t.Errorf("hits of %q, %v", hits, err)
	}
	check(t, old.Entries("blacklist", func(e Entry) error {
		if e.Hits != 5 {
			t.Errorf("%+v", e)
		}
		return nil
	}))
}
