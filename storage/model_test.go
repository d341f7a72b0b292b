package storage

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// model is what lists should say: plain maps, without blocks, staging or stamps.
type model struct {
	lists   map[string]map[recordOf]modelRecord
	changes map[uint64]*modelChange
	next    uint64
}

// modelRecord is comparable: two are the same if an undo may take one for the other.
type modelRecord struct {
	reason, source, who     string
	added, updated, expires int64
	change                  uint64
}

type modelChange struct {
	list   string
	before map[recordOf]modelRecord // of what it changed; what was not there is not in it
	after  map[recordOf]modelRecord
	undone bool
	undoes uint64
}

// begin is a change to come, and what the list says before it.
func (m *model) begin(list string) (map[recordOf]modelRecord, *modelChange) {
	if m.lists[list] == nil {
		m.lists[list] = map[recordOf]modelRecord{}
	}
	return m.lists[list], &modelChange{list: list, before: map[recordOf]modelRecord{}, after: map[recordOf]modelRecord{}}
}

// set makes a record say something, or with nil nothing.
func (c *modelChange) set(all map[recordOf]modelRecord, of recordOf, to *modelRecord) {
	was, had := all[of]
	if to == nil && !had || to != nil && had && was == *to {
		return
	}
	if _, before := c.before[of]; !before && had {
		c.before[of] = was
	}
	if delete(all, of); to != nil {
		all[of] = *to
	}
}

// end keeps a change if it did anything.
func (m *model) end(c *modelChange, touched []recordOf) bool {
	all := m.lists[c.list]
	did := false
	for _, of := range touched {
		was, had := c.before[of]
		is, has := all[of]
		if has {
			c.after[of] = is
		}
		if had != has || was != is {
			did = true
		}
	}
	if did {
		m.next++
		m.changes[m.next] = c
	}
	return did
}

func (m *model) put(list string, es []Entry, remove map[int]bool, now int64) bool {
	all, c := m.begin(list)
	var touched []recordOf
	for i, e := range es {
		of := recordOf{e.Pattern, keyOf(e.Origin, e.Source)}
		touched = append(touched, of)
		old, had := all[of]
		if _, before := c.before[of]; !before && had && !slices.Contains(touched[:len(touched)-1], of) {
			c.before[of] = old
		}
		if remove[i] {
			delete(all, of)
			continue
		}
		to := modelRecord{e.Reason, e.Source, e.Who, now, now, toMillis(e.Expires), m.next + 1}
		if had {
			if old.reason == to.reason && old.expires == to.expires {
				continue
			}
			to.added = old.added
		}
		all[of] = to
	}
	return m.end(c, touched)
}

func (m *model) remove(list string, patterns []string, everyone bool) bool {
	all, c := m.begin(list)
	var touched []recordOf
	for of := range maps.Clone(all) {
		if slices.Contains(patterns, of.pattern) && (everyone || of.key.origin == FromPerson) {
			touched = append(touched, of)
			c.set(all, of, nil)
		}
	}
	return m.end(c, touched)
}

func (m *model) undo(id uint64) (did bool, skipped int) {
	of := m.changes[id]
	all, c := m.begin(of.list)
	c.undoes = id
	var touched []recordOf
	for rec := range union(of.before, of.after) {
		was, had := of.before[rec]
		then, has := of.after[rec]
		if was == then && had == has {
			continue
		}
		if is, there := all[rec]; is != then || there != has {
			skipped++
			continue
		}
		touched = append(touched, rec)
		if had {
			c.set(all, rec, &was)
		} else {
			c.set(all, rec, nil)
		}
	}
	if did = m.end(c, touched); did {
		of.undone = true
		if back := m.changes[of.undoes]; back != nil {
			back.undone = false
		}
	}
	return did, skipped
}

func union(a, b map[recordOf]modelRecord) map[recordOf]modelRecord {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// compare holds the database against the model.
func (m *model) compare(t *testing.T, d *DB, what string) {
	t.Helper()
	lists, err := d.Lists()
	check(t, err)
	for _, l := range lists {
		got, patterns := map[recordOf]modelRecord{}, map[string]bool{}
		var last Entry
		check(t, d.Entries(l.Name, func(e Entry) error {
			of := recordOf{e.Pattern, keyOf(e.Origin, e.Source)}
			got[of] = modelRecord{e.Reason, e.Source, e.Who, toMillis(e.Added), toMillis(e.Updated), toMillis(e.Expires), e.Change}
			if patterns[e.Pattern] && (e.Origin == FromPerson || last.Origin != FromPerson && last.Stamp.Compare(e.Stamp) < 0) {
				t.Errorf("%s: %s: %v comes before %v", what, e.Pattern, last, e)
			}
			patterns[e.Pattern], last = true, e
			return nil
		}))
		if want := m.lists[l.Name]; !maps.Equal(got, want) {
			for of := range union(got, want) {
				if got[of] != want[of] {
					t.Fatalf("%s: list %s, %v: got %+v, want %+v", what, l.Name, of, got[of], want[of])
				}
			}
		}
		if l.Entries != len(patterns) || l.Records != len(got) {
			t.Fatalf("%s: list %s says %d entries with %d records, has %d with %d", what, l.Name, l.Entries, l.Records, len(patterns), len(got))
		}
	}
}

// modelRun is a random history on a database and its model.
type modelRun struct {
	t     *testing.T
	d     *DB
	m     *model
	rnd   *rand.Rand
	now   time.Time
	stamp Tick // the latest seen
}

// Random sequences of edits, imports, feeds and undos, small and staged, with the clock set back now and then, against a plain model: compared
// after each step and after opening the file anew.
func TestModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	steps := 400
	if testing.Short() {
		steps = 150
	}
	r := &modelRun{
		t: t, rnd: rand.New(rand.NewPCG(seed, 3)), now: epoch,
		m: &model{lists: map[string]map[recordOf]modelRecord{}, changes: map[uint64]*modelChange{}},
	}
	o := Options{Now: func() time.Time { return r.now }, Node: "pbx1"}
	r.d = open(t, o)
	for i := range steps {
		r.d.maxEdit, r.d.stageBytes = 40, 2<<10 // so that larger ones are built beside the list
		r.now = r.now.Add(time.Duration(r.rnd.IntN(3)) * time.Second)
		what := fmt.Sprintf("step %d: %s", i, r.step())
		r.m.compare(t, r.d, what)
		r.stamps(what)
		if i%20 == 19 {
			if report, err := r.d.Verify(); err != nil || len(report.Faults) > 0 {
				t.Fatalf("%s: %+v, %v", what, report, err)
			}
			check(t, r.d.Close())
			r.now = r.now.Add(-time.Minute) // the wall clock is set back
			r.d = open(t, o, r.d.File())
			r.m.compare(t, r.d, what+", opened again")
		}
	}
}

// entries are some on the patterns of the test, of one source.
func (r *modelRun) entries(n int, origin Origin, source string) []Entry {
	var es []Entry
	for _, at := range r.rnd.Perm(200)[:n] {
		e := entry(at)
		e.Reason, e.Origin, e.Source = fmt.Sprint("reason ", r.rnd.IntN(3)), origin, source
		if r.rnd.IntN(4) == 0 {
			e.Expires = epoch.Add(time.Duration(r.rnd.IntN(3)) * time.Hour)
		}
		es = append(es, e)
	}
	return es
}

func (r *modelRun) step() string {
	list := []string{"blacklist", "other"}[r.rnd.IntN(4)/3]
	switch k := r.rnd.IntN(10); {
	case k < 3:
		origin := []Origin{FromPerson, FromPerson, FromReport}[r.rnd.IntN(3)]
		es := r.entries(1+r.rnd.IntN(20), origin, []string{"command line", "API"}[r.rnd.IntN(2)])
		_, err := r.d.AddEntries(list, es)
		check(r.t, err)
		r.m.put(list, es, nil, toMillis(r.now))
		return "add"
	case k < 5:
		var patterns []string
		for _, e := range r.entries(1+r.rnd.IntN(30), FromPerson, "") {
			patterns = append(patterns, e.Pattern)
		}
		everyone, take := r.rnd.IntN(3) == 0, r.d.RemoveEntries
		if everyone {
			take = r.d.RemoveAll
		}
		_, err := take(list, patterns, By{"root", "test"})
		check(r.t, err)
		r.m.remove(list, patterns, everyone)
		return "remove"
	case k < 8:
		return r.importSome(list)
	}
	return r.undo()
}

// importSome imports a file or a feed; a feed takes away what it said before.
func (r *modelRun) importSome(list string) string {
	origin, source := FromImport, fmt.Sprint("import ", r.rnd.IntN(4))
	if r.rnd.IntN(2) == 0 {
		origin, source = FromFeed, fmt.Sprint("feed ", r.rnd.IntN(2))
	}
	es := r.entries(1+r.rnd.IntN(120), origin, source)
	remove := map[int]bool{}
	if origin == FromFeed {
		named := map[string]bool{}
		for _, e := range es {
			named[e.Pattern] = true
		}
		for of := range r.m.lists[list] {
			if of.key == keyOf(origin, source) && !named[of.pattern] {
				es = append(es, Entry{Pattern: of.pattern, Origin: origin, Source: source})
			}
		}
	}
	slices.SortFunc(es, func(a, b Entry) int { return strings.Compare(a.Pattern, b.Pattern) })
	for i, e := range es {
		remove[i] = e.Reason == "" || origin == FromImport && r.rnd.IntN(9) == 0
	}
	record, err := r.d.Import(list, func(yield func(ImportRow) bool) {
		for i, e := range es {
			if !yield(ImportRow{Entry: e, Remove: remove[i]}) {
				return
			}
		}
	}, ImportOptions{Source: source})
	check(r.t, err)
	if did := r.m.put(list, es, remove, toMillis(r.now)); did != (record.ID != 0) {
		r.t.Fatalf("an import of %s: %+v, and the model says %v", source, record, did)
	}
	r.skip()
	return "import of " + source
}

// skip has the model count changes as the database does, which gives a number to a large one that comes to nothing.
func (r *modelRun) skip() {
	check(r.t, r.d.view(func(tx *bolt.Tx) error {
		s, err := r.d.changeState(tx)
		r.m.next = s.Next
		return err
	}))
}

func (r *modelRun) undo() string {
	if len(r.m.changes) == 0 {
		return "nothing"
	}
	ids := slices.Sorted(maps.Keys(r.m.changes))
	id := ids[r.rnd.IntN(len(ids))]
	if r.rnd.IntN(2) == 0 {
		id = ids[len(ids)-1]
	}
	record, err := r.d.Undo(id, By{"root", "undo"}, nil)
	if r.m.changes[id].undone {
		if !errors.Is(err, ErrInvalid) {
			r.t.Fatalf("undone twice: %v", err)
		}
		return "an undo that was refused"
	}
	check(r.t, err)
	did, skipped := r.m.undo(id)
	if did != (record.ID != 0) || skipped != record.Skipped {
		r.t.Fatalf("undoing %d: %+v, the model says %v and %d skipped", id, record, did, skipped)
	}
	r.skip()
	return fmt.Sprint("undo of ", id)
}

// stamps holds the clock against all that was seen: it never goes back.
func (r *modelRun) stamps(what string) {
	r.t.Helper()
	check(r.t, r.d.view(func(tx *bolt.Tx) error {
		t, err := r.d.clock(tx)
		if t.Compare(r.stamp) < 0 {
			r.t.Fatalf("%s: the stamp %v follows %v", what, t, r.stamp)
		}
		r.stamp = t
		return err
	}))
}
