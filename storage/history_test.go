package storage

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

// imported makes the rows of an import.
func imported(es ...Entry) iter.Seq[ImportRow] {
	return func(yield func(ImportRow) bool) {
		for _, e := range es {
			if !yield(ImportRow{Entry: e}) {
				return
			}
		}
	}
}

// series is n entries from the first on, step apart, in order.
func series(first, n, step int, reason string) []Entry {
	es := make([]Entry, n)
	for i := range es {
		es[i] = entry(first + i*step)
		es[i].Reason = reason
	}
	return es
}

// wholeList is what a list says, without the stamps, which an undo does not put back.
func wholeList(t testing.TB, d *DB, list string) map[string]Entry {
	t.Helper()
	all := map[string]Entry{}
	if err := d.Entries(list, func(e Entry) error { e.Stamp = Tick{}; all[e.Pattern] = e; return nil }); err != nil && !errors.Is(err, ErrNoList) {
		t.Fatal(err)
	}
	lists, err := d.Lists()
	check(t, err)
	for _, l := range lists {
		if l.Name == list && l.Entries != len(all) {
			t.Fatalf("%s says %d entries, has %d", list, l.Entries, len(all))
		}
	}
	return all
}

// historyStep is a change and what the list said before and after it.
type historyStep struct {
	id            uint64
	before, after map[string]Entry
}

// Random histories of edits, imports of all sizes and undos, held against a plain model: every undo of the latest
// change gives back exactly what was there before, and an undo of an earlier one leaves alone what was changed since.
func TestUndoRandomHistories(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	now := epoch
	d := open(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
	d.maxEdit, d.stageBytes = 4000, 64<<10
	var steps []historyStep
	rounds, large := 15, 1
	for round := range rounds {
		before := wholeList(t, d, "blacklist")
		reason := fmt.Sprint("reason ", rnd.IntN(3))
		var err error
		switch k := rnd.IntN(10); {
		case k < 3:
			es := series(rnd.IntN(2000), 1+rnd.IntN(300), 1+rnd.IntN(3), reason)
			rnd.Shuffle(len(es), func(i, j int) { es[i], es[j] = es[j], es[i] })
			_, err = d.AddEntries("blacklist", es)
		case k < 5:
			var ps []string
			for p := range before {
				if ps = append(ps, p); len(ps) > 100 {
					break
				}
			}
			_, err = d.RemoveEntries("blacklist", ps, By{"root", "test"})
		case k < 8 || len(steps) == 0 || large > 0 && round > rounds/2:
			n := 1 + rnd.IntN(3000)
			if large > 0 && round > rounds/2 { // one that is built beside the list
				large--
				n = d.maxEdit + rnd.IntN(5000)
			}
			rows := func(yield func(ImportRow) bool) {
				for i, e := range series(rnd.IntN(2000), n, 1+rnd.IntN(2), reason) {
					if !yield(ImportRow{Entry: e, Remove: i%7 == 3}) {
						return
					}
				}
			}
			_, err = d.Import("blacklist", rows, ImportOptions{By: By{"root", "import"}, Source: "feed.csv"})
		default:
			if !undoEarlier(t, d, steps[rnd.IntN(len(steps))], before, round) {
				continue
			}
		}
		check(t, err)
		after := wholeList(t, d, "blacklist")
		last, err := lastChange(d)
		check(t, err)
		if maps.Equal(before, after) {
			continue
		}
		steps = append(steps, historyStep{last.ID, before, after})
		if rnd.IntN(3) == 0 {
			undoLatest(t, d, steps[len(steps)-1], round)
		}
	}
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// undoEarlier undoes a change: what it did and nobody changed since is as it was, all else as it is. false if it is undone already.
func undoEarlier(t *testing.T, d *DB, of historyStep, before map[string]Entry, round int) bool {
	t.Helper()
	if _, err := d.Undo(of.id, By{"root", "undo"}, nil); errors.Is(err, ErrInvalid) {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(before)
	for _, p := range patternsOf(of.before, of.after) {
		was, had := of.before[p]
		then, has := of.after[p]
		e, is := before[p]
		if was == then && had == has || e != then || is != has {
			continue
		}
		if delete(want, p); had {
			want[p] = was
		}
	}
	if got := wholeList(t, d, "blacklist"); !maps.Equal(want, got) {
		t.Fatalf("round %d: undoing %d: %.2000s", round, of.id, cmp.Diff(want, got))
	}
	return true
}

// undoLatest undoes the latest change, and that undo.
func undoLatest(t *testing.T, d *DB, last historyStep, round int) {
	t.Helper()
	u, err := d.Undo(last.id, By{}, nil)
	check(t, err)
	if u.Skipped != 0 || u.Undoes != last.id {
		t.Fatalf("%+v", u)
	}
	if got := wholeList(t, d, "blacklist"); !maps.Equal(last.before, got) {
		t.Fatalf("round %d: undoing the latest, %d: %.2000s", round, last.id, cmp.Diff(last.before, got))
	}
	_, err = d.Undo(u.ID, By{}, nil)
	check(t, err)
	if got := wholeList(t, d, "blacklist"); !maps.Equal(last.after, got) {
		t.Fatalf("round %d: doing it again: %.2000s", round, cmp.Diff(last.after, got))
	}
	if of, err := d.ChangeOf(last.id); err != nil || of.Undone != 0 {
		t.Fatalf("%+v, %v", of, err)
	}
}

func patternsOf(of ...map[string]Entry) []string {
	all := map[string]bool{}
	for _, m := range of {
		for p := range m {
			all[p] = true
		}
	}
	return slices.Collect(maps.Keys(all))
}

func lastChange(d *DB) (last ChangeRecord, err error) {
	err = d.Changes(func(r ChangeRecord) error { last = r; return nil })
	return last, err
}

// The history of a pattern tells who, when, from where, before and after; what is no longer kept is said to be so.
func TestHistory(t *testing.T) {
	d := open(t, Options{Now: func() time.Time { return epoch }})
	a := entry(1)
	_, err := d.AddEntries("blacklist", []Entry{a, entry(2)})
	check(t, err)
	a.Reason, a.Who = "another", "eve"
	r, err := d.Import("blacklist", imported(a), ImportOptions{By: By{"eve", "import"}, Source: "file.csv"})
	check(t, err)
	if r.ID != 2 || r.Updated != 1 || r.Added+r.Removed != 0 {
		t.Errorf("%+v", r)
	}
	_, err = d.RemoveEntries("blacklist", []string{a.Pattern}, By{"root", "API"})
	check(t, err)
	if _, err := d.Undo(2, By{}, nil); err != nil {
		t.Errorf("undoing what was removed since: %v", err)
	}
	history := func() (text string) {
		check(t, d.History(a.Pattern, func(c PatternChange) error {
			text += fmt.Sprintf("%d %s by %s from %s:", c.ID, c.Kind, c.Who, c.From)
			for _, e := range []*Entry{c.Before, c.After} {
				if e == nil {
					text += " -"
				} else {
					text += fmt.Sprintf(" %.8s by %s in %d", e.Reason, e.Who, e.Change)
				}
			}
			text += "\n"
			return nil
		}))
		return text
	}
	const want = `1 add by root from blacklist.csv: - sells fl by root in 1
2 import by eve from import: sells fl by root in 1 another by eve in 2
3 remove by root from API: another by eve in 2 -
`
	if got := history(); got != want {
		t.Errorf("history:\n%s", got)
	}
	if _, err := d.Undo(3, By{"root", "cli"}, nil); err != nil {
		t.Error(err)
	}
	if _, err := d.Undo(3, By{}, nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "undone already, by change 4") {
		t.Errorf("undone twice: %v", err)
	}
	if _, err := d.Undo(99, By{}, nil); !errors.Is(err, ErrNoChange) {
		t.Errorf("undoing what never was: %v", err)
	}
	d.maxChanges = 2
	_, err = d.AddEntries("blacklist", []Entry{entry(9)})
	check(t, err)
	if _, err := d.Undo(1, By{}, nil); !errors.Is(err, ErrNoChange) || !strings.Contains(err.Error(), "no longer kept") {
		t.Errorf("undoing what is no longer kept: %v", err)
	}
	d.maxChangeRows = 1
	_, err = d.AddEntries("blacklist", series(20, 3, 1, "x"))
	check(t, err)
	if last, err := lastChange(d); err != nil || last.Added != 3 {
		t.Errorf("the newest is not kept: %+v, %v", last, err)
	}
	check(t, d.view(func(tx *bolt.Tx) error {
		n := 0
		for k, _ := tx.Bucket(bucketChanged).Cursor().First(); k != nil; k = nil {
			n++
		}
		if s, err := d.changeState(tx); s.Records != 1 || s.Rows != 3 || n != 1 || err != nil {
			t.Errorf("%+v, %d blocks, %v", s, n, err)
		}
		return nil
	}))
}

// Edits during an import that is built beside the list: they count at once, they stay, and undoing the import leaves
// them alone. Nobody sees half of it.
func TestImportBesideEdits(t *testing.T) {
	d := open(t, Options{})
	d.maxEdit, d.stageBytes = 3000, 64<<10 // a large import in small
	_, err := d.AddEntries("blacklist", series(0, 1000, 1, "old"))
	check(t, err)
	n := 2 * d.maxEdit
	rows := func(yield func(ImportRow) bool) {
		for i, e := range series(0, n, 1, "new") {
			if i == d.maxEdit+1500 {
				if _, err := d.Import("other", imported(entry(1)), ImportOptions{}); !errors.Is(err, ErrBusy) {
					t.Errorf("a second import: %v", err)
				}
				edited := entry(5)
				edited.Reason = "edited"
				_, err := d.AddEntries("blacklist", []Entry{edited, entry(n + 7)})
				check(t, err)
				_, err = d.RemoveEntries("blacklist", []string{entry(6).Pattern}, By{})
				check(t, err)
				edited = entry(n - 1)
				edited.Reason = "edited"
				_, err = d.AddEntries("blacklist", []Entry{edited})
				check(t, err)
				if got := wholeList(t, d, "blacklist"); len(got) != 1001 || got[entry(5).Pattern].Reason != "edited" || got[entry(7).Pattern].Reason != "old" {
					t.Errorf("half an import is visible: %d entries", len(got))
				}
			}
			if !yield(ImportRow{Entry: e}) {
				return
			}
		}
	}
	r, err := d.Import("blacklist", rows, ImportOptions{})
	check(t, err)
	if r.Added != n-1000-1 || r.Updated != 1000-2 {
		t.Errorf("%+v", r)
	}
	got := wholeList(t, d, "blacklist")
	if _, there := got[entry(6).Pattern]; there || len(got) != n || got[entry(5).Pattern].Reason != "edited" ||
		got[entry(n-1).Pattern].Reason != "edited" || got[entry(n+7).Pattern].Reason != entry(0).Reason || got[entry(8).Pattern].Reason != "new" {
		t.Errorf("%d entries, the fifth %+v", len(got), got[entry(5).Pattern])
	}
	again, err := d.Import("blacklist", imported(slices.Collect(maps.Values(map[int]Entry{0: got[entry(8).Pattern]}))...), ImportOptions{})
	if err != nil || again.ID != 0 {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	u, err := d.Undo(r.ID, By{}, nil)
	check(t, err)
	got = wholeList(t, d, "blacklist")
	if len(got) != 1001 || got[entry(5).Pattern].Reason != "edited" || got[entry(9).Pattern].Reason != "old" || u.Skipped != 0 {
		t.Errorf("after the undo %d entries, %+v", len(got), u)
	}
}

// An import out of order, with an entry that is refused, or that the disk does not take changes nothing and leaves nothing.
func TestImportFails(t *testing.T) {
	d := open(t, Options{})
	d.maxEdit, d.stageBytes = 3000, 64<<10
	_, err := d.AddEntries("blacklist", series(0, 10, 1, "old"))
	check(t, err)
	n := d.maxEdit + 1000
	for name, spoil := range map[string]func([]Entry){
		"out of order": func(es []Entry) { es[n-1].Pattern = es[n-2].Pattern },
		"refused":      func(es []Entry) { es[n-1].Reason = "\n" },
		"disk full":    func([]Entry) { setMaxSize(t, d, 1) },
	} {
		es := series(0, n, 1, "new")
		spoil(es)
		_, err := d.Import("blacklist", imported(es...), ImportOptions{})
		if want := map[bool]error{true: ErrWrite, false: ErrInvalid}[name == "disk full"]; !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		setMaxSize(t, d, 0)
		if got := wholeList(t, d, "blacklist"); len(got) != 10 || got[entry(3).Pattern].Reason != "old" {
			t.Errorf("%s: %d entries", name, len(got))
		}
	}
	check(t, d.Close())
	d = open(t, Options{}, d.File())
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 || report.Changes != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	told := map[Change]int{}
	r, err := d.Import("blacklist", imported(series(5, n, 1, "new")...), ImportOptions{DryRun: true, Tell: func(_ string, c Change) { told[c]++ }})
	if err != nil || r.Added != n-5 || r.Updated != 5 || told[Added] != n-5 || told[Updated] != 5 {
		t.Errorf("dry run: %+v, %v, %v", r, told, err)
	}
	if got := wholeList(t, d, "blacklist"); len(got) != 10 {
		t.Errorf("a dry run wrote: %d entries", len(got))
	}
}

func TestHits(t *testing.T) {
	now := epoch
	d := open(t, Options{Now: func() time.Time { return now }})
	_, err := d.AddEntries("blacklist", series(0, 600, 1, "x"))
	check(t, err)
	hit := func(i int) {
		now = now.Add(time.Minute)
		check(t, d.AddHits([]Hit{{"blacklist", entry(i).Pattern, 2, now}, {"nolist", "+1*", 1, now}}))
	}
	hits := func(i int) uint64 {
		t.Helper()
		for p, e := range wholeList(t, d, "blacklist") {
			if p == entry(i).Pattern {
				if (e.Hits > 0) != e.LastHit.Equal(now) {
					t.Errorf("last hit %v of %d", e.LastHit, e.Hits)
				}
				return e.Hits
			}
		}
		return 0
	}
	hit(400)
	hit(400)
	if got := hits(400); got != 4 {
		t.Errorf("%d hits", got)
	}
	if got := hits(399); got != 0 {
		t.Errorf("%d hits of another", got)
	}
	_, err = d.RemoveEntries("blacklist", []string{entry(400).Pattern}, By{})
	check(t, err)
	now = now.Add(time.Minute)
	_, err = d.AddEntries("blacklist", []Entry{entry(400)})
	check(t, err)
	if got := hits(400); got != 0 {
		t.Errorf("%d hits of what was added anew", got)
	}
	hit(400)
	if got := hits(400); got != 2 {
		t.Errorf("%d hits of what was added anew", got)
	}
}
