package storage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// mergeVersion is what a node says of a source's record of a pattern. unit is the change there that wrote it.
type mergeVersion struct {
	Row
	unit  uint64
	there bool
}

func (v mergeVersion) alive() bool { return v.there && !v.Gone }

// same reports whether an undo may take one for the other: stamps do not matter.
func (v mergeVersion) same(w mergeVersion) bool {
	if v.alive() != w.alive() || !v.alive() {
		return v.alive() == w.alive()
	}
	v.Stamp, w.Stamp = Tick{}, Tick{}
	return v == w
}

// mergeChange is what a change did to records on its node: before and after.
type mergeChange map[recordOf][2]mergeVersion

// mergeNode is a database, and in a plain map what it should hold.
type mergeNode struct {
	*mergeRun
	d       *DB
	skew    time.Duration // of its clock
	rows    map[recordOf]mergeVersion
	changes map[uint64]mergeChange
	undone  map[uint64]bool
}

// mergeRun is a random history of several nodes.
type mergeRun struct {
	t     *testing.T
	rnd   *rand.Rand
	now   time.Time
	nodes []*mergeNode
	told  []Row // all that any node has said
	quiet bool  // nobody edits any more
}

const mergeList = "blacklist"

func placeOf(r *Row) recordOf { return recordOf{r.Pattern, keyOf(r.Origin, r.Source)} }

// Three nodes edit, import and undo, and take over what the others said: in any order, some of it never until the end, much of it several times. Each
// holds what a plain map says after every step; in the end all hold the same, and no record that was taken back has come again.
func TestMergeModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	steps := 400
	if testing.Short() {
		steps = 150
	}
	r := &mergeRun{t: t, rnd: rand.New(rand.NewPCG(seed, 16)), now: epoch}
	for i, name := range []string{"a", "b", "c"} {
		n := &mergeNode{mergeRun: r, skew: time.Duration(i-1) * 3 * time.Second, rows: map[recordOf]mergeVersion{}, changes: map[uint64]mergeChange{}, undone: map[uint64]bool{}}
		n.d = open(t, Options{Node: name, Now: func() time.Time { return r.now.Add(n.skew) }})
		n.d.maxEdit, n.d.stageBytes = 40, 1<<10
		r.nodes = append(r.nodes, n)
	}
	for i := range steps {
		r.now = r.now.Add(time.Duration(r.rnd.IntN(1500)) * time.Millisecond)
		n := r.nodes[r.rnd.IntN(3)]
		what := n.step()
		n.compare(fmt.Sprintf("step %d, node %s: %s", i, n.d.node, what))
	}
	r.quiet = true
	for _, n := range r.nodes {
		n.d.maxEdit = 100
		r.rnd.Shuffle(len(r.told), func(i, k int) { r.told[i], r.told[k] = r.told[k], r.told[i] })
		for part := range slices.Chunk(r.told, 300) {
			n.merge(part)
		}
		n.compare("in the end")
	}
	r.same("in the end")
	r.now = r.now.Add(2 * defaultKeepDeleted)
	_, err := r.nodes[0].d.PruneDeleted()
	check(t, err)
	if tombstones(t, r.nodes[0].d, mergeList) != 0 || tombstones(t, r.nodes[1].d, mergeList) == 0 {
		t.Error("the tombstones of one node should be gone, and no others")
	}
	r.same("tombstones forgotten")
}

// same holds that all nodes have the same records, and know it.
func (r *mergeRun) same(what string) {
	r.t.Helper()
	want := map[recordOf]Row{}
	for _, row := range r.told {
		if of := placeOf(&row); want[of].Pattern == "" || row.Stamp.Compare(want[of].Stamp) > 0 {
			want[of] = row
		}
	}
	maps.DeleteFunc(want, func(_ recordOf, row Row) bool { return row.Gone })
	first, _, err := r.nodes[0].d.Leaves(mergeList)
	check(r.t, err)
	for _, n := range r.nodes {
		got := map[recordOf]Row{}
		check(r.t, n.d.ListRows(mergeList, nil, func(rows []Row) error {
			for _, row := range rows {
				if !row.Gone {
					got[placeOf(&row)] = row
				}
			}
			return nil
		}))
		if !maps.Equal(got, want) {
			r.t.Fatalf("%s: node %s has %d records, want %d, or others", what, n.d.node, len(got), len(want))
		}
		leaves, rows, err := n.d.Leaves(mergeList)
		check(r.t, err)
		if !slices.Equal(leaves, first) || rows != len(want) {
			r.t.Errorf("%s: the leaves of node %s are others, of %d records; want %d", what, n.d.node, rows, len(want))
		}
		if report, err := n.d.Verify(); err != nil || len(report.Faults) > 0 {
			r.t.Errorf("%s: node %s: %+v, %v", what, n.d.node, report, err)
		}
	}
}

// compare holds the database against the map, tombstones included.
func (n *mergeNode) compare(what string) {
	n.t.Helper()
	got := map[recordOf]Row{}
	last := ""
	check(n.t, n.d.ListRows(mergeList, nil, func(rows []Row) error {
		for _, row := range rows {
			if got[placeOf(&row)] = row; row.Pattern < last {
				n.t.Fatalf("%s: %s comes after %s", what, row.Pattern, last)
			}
			last = row.Pattern
		}
		return nil
	}))
	for of, want := range n.rows {
		if got[of] != want.Row {
			n.t.Fatalf("%s: %v: got %+v, want %+v", what, of, got[of], want.Row)
		}
	}
	if len(got) != len(n.rows) {
		n.t.Fatalf("%s: %d rows, want %d", what, len(got), len(n.rows))
	}
}

func (n *mergeNode) step() string {
	switch k := n.rnd.IntN(12); {
	case k < 2:
		return n.add()
	case k < 4:
		return n.remove()
	case k < 5:
		return n.importSome()
	case k < 6:
		return n.undo()
	case k < 7:
		n.strange()
		return "rows of a node that nobody knows"
	}
	if len(n.told) == 0 {
		return "nothing"
	}
	var part []Row
	for range 1 + n.rnd.IntN(90) {
		part = append(part, n.told[n.rnd.IntN(len(n.told))])
	}
	n.merge(part)
	return "a merge"
}

func (n *mergeNode) millis() int64 { return n.d.now().UnixMilli() }

// some are entries of one source on the patterns of the test.
func (n *mergeNode) some(most int, origin Origin, source string) (es []Entry) {
	for _, at := range n.rnd.Perm(60)[:1+n.rnd.IntN(most)] {
		e := of(entry(at), origin, source, fmt.Sprint("reason ", n.rnd.IntN(3)))
		e.Who = n.d.node
		es = append(es, e)
	}
	return es
}

// says is what the map holds after an entry was added: nothing new if it says what is there.
func (n *mergeNode) says(did map[recordOf]Row, e *Entry) {
	of := recordOf{e.Pattern, keyOf(e.Origin, e.Source)}
	is := n.rows[of]
	row := Row{Pattern: e.Pattern, Origin: e.Origin, Source: e.Source, Reason: e.Reason, Who: e.Who, Added: n.millis(), Updated: n.millis()}
	if is.alive() {
		if is.Reason == e.Reason {
			return
		}
		row.Added = is.Added
	}
	did[of] = row
}

func (n *mergeNode) takes(did map[recordOf]Row, of recordOf) {
	if n.rows[of].alive() {
		did[of] = Row{Pattern: of.pattern, Origin: of.key.origin, Source: of.key.name, Gone: true}
	}
}

// did holds a change of the node's own against what it should have done, and has it told to the others.
func (n *mergeNode) did(id uint64, want map[recordOf]Row, unit func(recordOf) uint64) {
	n.t.Helper()
	if id == 0 != (len(want) == 0) {
		n.t.Fatalf("change %d, and %d rows should have changed", id, len(want))
	}
	if id == 0 {
		return
	}
	high := Tick{}
	for _, v := range n.rows {
		high = later(high, v.Stamp)
	}
	change := mergeChange{}
	check(n.t, n.d.ChangeRows(id, func(rows []Row) error {
		for _, row := range rows {
			of := placeOf(&row)
			if row.Stamp.Compare(high) <= 0 || row.Stamp.Node != n.d.node {
				n.t.Fatalf("%v has the stamp %v, and %v was there", of, row.Stamp, high)
			}
			w, ok := want[of]
			if w.Stamp = row.Stamp; !ok || w != row {
				n.t.Fatalf("change %d made %+v, want %+v", id, row, w)
			}
			is := mergeVersion{Row: row, there: true, unit: unit(of)}
			change[of] = [2]mergeVersion{n.rows[of], is}
			n.rows[of] = is
			n.told = append(n.told, row)
		}
		return nil
	}))
	if len(change) != len(want) {
		n.t.Fatalf("change %d has %d rows, want %d", id, len(change), len(want))
	}
	n.changes[id] = change
}

func (n *mergeNode) add() string {
	origin := []Origin{FromPerson, FromReport}[n.rnd.IntN(2)]
	es := n.some(20, origin, []string{"command line", "API"}[n.rnd.IntN(2)])
	want := map[recordOf]Row{}
	for i := range es {
		n.says(want, &es[i])
	}
	_, id, err := n.d.Add(mergeList, es)
	check(n.t, err)
	n.did(id, want, func(recordOf) uint64 { return id })
	return "added"
}

func (n *mergeNode) remove() string {
	take := []Take{TakePersons, TakeReported, TakeAll}[n.rnd.IntN(3)]
	want := map[recordOf]Row{}
	var patterns []string
	for _, e := range n.some(20, 0, "") {
		patterns = append(patterns, e.Pattern)
		for of := range n.rows {
			if of.pattern == e.Pattern && (take == TakeAll || take == TakePersons && of.key.origin == FromPerson || take == TakeReported && of.key.origin == FromReport) {
				n.takes(want, of)
			}
		}
	}
	_, id, err := n.d.Remove(mergeList, patterns, By{}, take)
	check(n.t, err)
	n.did(id, want, func(recordOf) uint64 { return id })
	return "removed"
}

func (n *mergeNode) importSome() string {
	source := fmt.Sprint("file ", n.rnd.IntN(2))
	es := n.some(60, FromImport, source)
	slices.SortFunc(es, func(a, b Entry) int { return (&edit{pattern: a.Pattern}).compare(&edit{pattern: b.Pattern}) })
	want := map[recordOf]Row{}
	remove := map[string]bool{}
	for i := range es {
		if remove[es[i].Pattern] = n.rnd.IntN(3) == 0; remove[es[i].Pattern] {
			n.takes(want, recordOf{es[i].Pattern, keyOf(FromImport, source)})
		} else {
			n.says(want, &es[i])
		}
	}
	r, err := n.d.Import(mergeList, func(yield func(ImportRow) bool) {
		for _, e := range es {
			if !yield(ImportRow{Entry: e, Remove: remove[e.Pattern]}) {
				return
			}
		}
	}, ImportOptions{})
	check(n.t, err)
	n.did(r.ID, want, func(recordOf) uint64 { return r.ID })
	return "imported"
}

// undo undoes a change, be it one that came from another node; that is then one of this node's own.
func (n *mergeNode) undo() string {
	ids := slices.Sorted(maps.Keys(n.changes))
	if len(ids) == 0 {
		return "nothing"
	}
	id := ids[max(0, len(ids)-1-n.rnd.IntN(5))]
	if n.undone[id] {
		return "nothing"
	}
	want, units := map[recordOf]Row{}, map[recordOf]uint64{}
	for of, c := range n.changes[id] {
		switch before, is := c[0], n.rows[of]; {
		case !is.same(c[1]) || before.same(is):
		case before.alive():
			want[of], units[of] = before.Row, before.unit
		default:
			n.takes(want, of)
		}
	}
	r, err := n.d.Undo(id, By{}, nil)
	check(n.t, err)
	if r.Node != "" {
		n.t.Fatalf("%+v", r)
	}
	n.did(r.ID, want, func(of recordOf) uint64 { return units[of] })
	if r.ID != 0 {
		n.undone[id] = true
		delete(n.changes, r.ID) // undoing an undo is another test's
	}
	return "undid"
}

// strange has rows come from a node that has no database: with stamps of any time, two of one moment, records and tombstones.
func (n *mergeNode) strange() {
	var rows []Row
	for range 1 + n.rnd.IntN(200) {
		row := Row{
			Pattern: entry(n.rnd.IntN(60)).Pattern, Origin: Origin(n.rnd.IntN(int(origins))), Source: fmt.Sprint("file ", n.rnd.IntN(2)),
			Stamp: Tick{n.millis() + n.rnd.Int64N(40_000) - 20_000, n.rnd.Uint32N(3), fmt.Sprint("z", len(n.told)+len(rows))}, Gone: n.rnd.IntN(2) == 0,
		}
		if row.Gone {
			row.Source = keyOf(row.Origin, row.Source).name
		} else {
			row.Reason, row.Added, row.Updated = fmt.Sprint("reason ", n.rnd.IntN(3)), 1+n.rnd.Int64N(1e12), 1+n.rnd.Int64N(1e12)
		}
		rows = append(rows, row)
	}
	n.told = append(n.told, rows...)
	n.merge(rows)
}

// merge takes rows over, in one of the two ways, and then once more.
func (n *mergeNode) merge(rows []Row) {
	n.t.Helper()
	latest := map[recordOf]Row{}
	for _, row := range rows {
		if of := placeOf(&row); latest[of].Pattern == "" || row.Stamp.Compare(latest[of].Stamp) > 0 {
			latest[of] = row
		}
	}
	foreign := Foreign{Node: "another", ID: 7, Kind: KindAdd, By: By{"root", "there"}, Time: n.now}
	many, edit := n.rnd.IntN(2) == 0, n.rnd.IntN(2*len(latest)+1)
	if n.quiet {
		edit = 0
	}
	edited := many && edit > 0 && edit <= len(latest)
	take := func() (int, ChangeRecord) {
		if !many {
			got, r, err := n.d.Merge(mergeList, rows, foreign)
			check(n.t, err)
			return got, r
		}
		rows := inRowOrder(slices.Collect(maps.Values(latest))...)
		r, err := n.d.MergeMany(mergeList, func(yield func(Row, error) bool) {
			for row, err := range rows {
				if edit--; edit == 0 { // somebody edits meanwhile
					[]func() string{n.add, n.remove}[n.rnd.IntN(2)]()
				}
				if !yield(row, err) {
					return
				}
			}
		}, foreign, nil)
		check(n.t, err)
		return r.Took, r
	}
	got, r := take()
	changed, change := 0, mergeChange{}
	for of, row := range latest {
		is := n.rows[of]
		if is.there && row.Stamp.Compare(is.Stamp) <= 0 {
			continue
		}
		changed++
		then := mergeVersion{Row: row, there: true}
		if is.alive() || then.alive() {
			change[of] = [2]mergeVersion{is, then}
		}
		n.rows[of] = then
	}
	if !edited && got != changed || r.ID == 0 && len(change) > 0 || r.Rows != len(change) || r.Early != 0 {
		n.t.Fatalf("%d rows changed, want %d; %+v, want %d", got, changed, r, len(change))
	}
	if r.ID != 0 {
		for of, c := range change {
			c[1].unit = r.ID
			change[of], n.rows[of] = c, c[1]
		}
		n.changes[r.ID] = change
		if kept, err := n.d.ChangeOf(r.ID); err != nil || kept.Node != "another" || kept.Of != 7 || kept.Kind != KindAdd || kept.Who != "root" || !kept.Made.Equal(millis(n.now)) {
			n.t.Fatalf("%+v, %v", kept, err)
		}
	}
	before := n.next()
	if got, r := take(); got != 0 || r.ID != 0 || !many && n.next() != before {
		n.t.Fatalf("the same rows again changed %d: %+v", got, r)
	}
}

// next is the id of the latest change.
func (n *mergeNode) next() (id uint64) {
	check(n.t, n.d.view(func(tx *bolt.Tx) error {
		s, err := n.d.changeState(tx)
		id = s.Next
		return err
	}))
	return id
}

// inRowOrder are rows as MergeMany takes them.
func inRowOrder(rows ...Row) func(yield func(Row, error) bool) {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b Row) int {
		x, y := placeOf(&a), placeOf(&b)
		return (&edit{pattern: x.pattern, key: x.key}).compare(&edit{pattern: y.pattern, key: y.key})
	})
	return func(yield func(Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}
