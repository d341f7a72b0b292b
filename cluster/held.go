package cluster

import (
	"context"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// A node is trusted to edit lists, but not to empty them, and not to stop a country: from nodes that are not in policy_from what takes more than a
// share off a list within an hour, and patterns of a country's width, or so many that they come to it, wait for a person. What waits has numbers, see numbered.go.

const (
	heldFew  = 20 // entries that other nodes may take off a list within an hour, however short it is
	heldHour = time.Hour
	// takeSlots are in an hour, and one more is kept: there is no moment at which all of it is allowed again.
	takeSlots = 12
	// maxBreadth is how much of a country's numbers, in parts of breadthParts, other nodes may put on a list within a day; wideBreadth waits in any case. The parts are
	// so small that very many ranges of a hundred numbers count as what they are together.
	breadthParts = 1e9
	maxBreadth   = breadthParts / 50
	wideBreadth  = breadthParts / 20
	widenFor     = 24 * time.Hour
	maxTakers    = 2048 // lists of which it is counted what was taken off
)

// What a person made of what waited.
const (
	heldWaits   = ""
	heldTaken   = "taken"
	heldRefused = "refused"
)

// taker is what other nodes have taken off a list within an hour, say, all of them together: one that was taken over could give each of the others another
// part, which they give on in their names.
type taker struct {
	within time.Duration
	slot   int64 // of it, since 1970
	n      [takeSlots + 1]int
}

// takerOf names it.
type takerOf struct {
	list   string
	within time.Duration // heldHour for what was taken off, widenFor for what was put on of a country
}

// at is how much there is now. What is older is forgotten.
func (t *taker) at(now time.Time) (n int) {
	slot := now.UnixNano() / int64(t.within/takeSlots)
	if ahead := slot - t.slot; ahead < 0 || ahead >= int64(len(t.n)) { // a clock that was set back begins anew
		t.n, t.slot = [takeSlots + 1]int{}, slot
	}
	for ; t.slot < slot; t.slot++ {
		t.n[(t.slot+1)%int64(len(t.n))] = 0
	}
	for _, k := range t.n {
		n += k
	}
	return n
}

func (t *taker) add(n int) { t.n[t.slot%int64(len(t.n))] += n }

// giveBack is that so many, of the latest, were not taken off after all.
func (t *taker) giveBack(n int) {
	for ago := int64(0); ago < int64(len(t.n)) && ago <= t.slot; ago++ {
		k := &t.n[(t.slot-ago)%int64(len(t.n))]
		back := min(n, *k)
		*k, n = *k-back, n-back
	}
}

// sieve holds back what a node that is not in policy_from may not say of a list.
type sieve struct {
	c          *Cluster
	node, list string
	entries    func() int // of the list when it was first asked for

	all     []judged             // of a page, to be used again
	comes   map[storage.Tick]int // what a change, as its stamp tells them apart, costs from where it is looked at on
	took    int                  // entries that were taken off
	widened int
	spent   map[*held]int
}

// judged is a row and what is to be known of it.
type judged struct {
	row   *storage.Row
	there []storage.Entry // what the list has of its pattern
	costs int             // entries that are taken off the list
	broad int             // parts of a country's numbers that are put on it
}

func (c *Cluster) sieve(node, list string) *sieve {
	c.noteLeast()
	s := &sieve{c: c, node: node, list: list, spent: map[*held]int{}}
	s.entries = sync.OnceValue(func() int {
		n := c.entries(list)
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, noted := c.least.Now[list]; !noted {
			c.least.note(list, n)
		}
		return n
	})
	return s
}

// page gives the rows that may be taken, and those that a person has refused as this node has to say them instead. What has to wait is left out, and is
// found by comparing lists when somebody has decided.
func (s *sieve) page(rows []storage.Row) (good, instead []storage.Row) {
	c, now := s.c, s.c.o.Now()
	all, asks := s.judge(rows, now)
	if !asks {
		return rows, nil
	}
	good = make([]storage.Row, 0, len(rows))
	most := c.mostOf(s.list, s.entries())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeHeld(now)
	s.comes = map[storage.Tick]int{} // a change that is too large waits as a whole, as far as it comes together
	for i := range all {
		s.comes[all[i].row.Stamp] += all[i].costs
	}
	for i := range all {
		j := &all[i]
		verdict := heldTaken
		if j.asks() {
			verdict = s.decide(j, most, now)
		}
		s.comes[j.row.Stamp] -= j.costs
		switch verdict {
		case heldTaken:
			good = append(good, *j.row)
		case heldRefused:
			instead = append(instead, c.insteadOf(j))
		}
	}
	return good, instead
}

// wide reports whether it puts a part of a country on the list.
func (j *judged) wide() bool { return j.broad > 0 }

// asks reports whether not just any node may say it.
func (j *judged) asks() bool { return j.costs > 0 || j.broad > 0 }

// weight is by how much it counts where it waits.
func (j *judged) weight() int { return max(j.costs, 1) }

// judge says of rows what they take off the list, and which are too wide; asks is whether that is any.
func (s *sieve) judge(rows []storage.Row, now time.Time) (all []judged, asks bool) {
	s.all = slices.Grow(s.all[:0], len(rows))[:len(rows)]
	clear(s.all)
	all = s.all
	var there [][]storage.Entry
	unknown := false
	if s.list == console.LineTable || s.entries() > 0 { // of an empty list, as a new node's are, nothing can be taken
		patterns := make([]string, len(rows))
		for i := range rows {
			patterns[i] = rows[i].Pattern
		}
		var err error
		if there, err = s.c.o.Store.Lookup(s.list, patterns...); err != nil || len(there) != len(rows) {
			there, unknown = nil, true
		}
	}
	comes := map[string]int{} // sources that patterns get
	for i := range rows {
		j := &all[i]
		switch j.row = &rows[i]; {
		case unknown:
			j.costs, asks = 1, true
			continue
		case there != nil:
			j.there = there[i]
			fallthrough
		case j.row.Gone || j.row.Expires != 0: // else there is nothing that it could cost
			j.costs = s.costs(j, comes, now)
		}
		if !j.row.Gone && s.c.o.Breadth != nil {
			if broad := s.c.o.Breadth(s.list, j.row.Pattern); broad > 0 && !lasts(j) {
				j.broad = int(math.Ceil(broad*breadthParts - 1e-6)) // a part more than it is for how floats are
			}
		}
		asks = asks || j.asks()
	}
	return all, asks
}

// is is what the list has of a row's source.
func (j *judged) is() *storage.Entry {
	of := nameOfRow(j.row)
	for i := range j.there {
		e := &j.there[i]
		if nameOfRow(&storage.Row{Pattern: e.Pattern, Origin: e.Origin, Source: e.Source}) == of {
			return e
		}
	}
	return nil
}

// lasts reports whether the list has the row's pattern as it is, for as long as the row would have it.
func lasts(j *judged) bool {
	return slices.ContainsFunc(j.there, func(e storage.Entry) bool {
		return e.Expires.IsZero() || j.row.Expires != 0 && e.Expires.UnixMilli() >= j.row.Expires
	})
}

// costs is how many entries a row takes off the list: by a tombstone, and by whatever comes to the same.
func (s *sieve) costs(j *judged, comes map[string]int, now time.Time) int {
	r, is := j.row, j.is()
	ended := is != nil && !is.Expires.IsZero() && !is.Expires.After(now)
	// What nobody has said yet could be taken off beforehand, by a stamp that is later than those of all who will say it.
	beforehand := is == nil && r.Stamp.Wall > now.Add(mostAhead).UnixMilli()
	switch {
	case is != nil && is.Stamp.Compare(r.Stamp) >= 0: // it changes nothing
		return 0
	case s.list == console.LineTable:
		return s.costsLines(r, is, beforehand)
	case r.Gone:
		if is != nil && !ended || beforehand {
			return 1
		}
		return 0
	case is == nil:
		if len(j.there) > 0 {
			comes[r.Pattern]++
		}
		if beforehand && r.Expires != 0 || len(j.there)+comes[r.Pattern] > storage.MaxSources { // where one more comes, another gives way
			return 1
		}
		return 0
	case r.Expires != 0 && !ended && (is.Expires.IsZero() || r.Expires < is.Expires.UnixMilli()): // it ends sooner, now perhaps
		return 1
	}
	return 0
}

// costsLines is costs for a line, of which each word counts: without its numbers, or with screening off, it may as well be gone. A number that is another
// line's is taken from that one.
func (s *sieve) costsLines(r *storage.Row, is *storage.Entry, beforehand bool) (n int) {
	if is != nil && (r.Gone || r.Reason != is.Reason) || r.Gone && beforehand {
		n++
	}
	if !r.Gone && s.c.o.Meets != nil {
		n += s.c.o.Meets(r)
	}
	return n
}

// decide says what becomes of a row that costs something. c.mu is held.
func (s *sieve) decide(j *judged, most int, now time.Time) string {
	c, waits := s.c, false
	for _, h := range c.held {
		if h.Node != s.node || h.List != s.list || !h.has(j) {
			continue
		}
		switch {
		case h.Decided == heldWaits:
			h.came = now
			c.countHeld(h, j, now)
			waits = true
		case h.Left >= j.weight():
			h.Left -= j.weight()
			s.spent[h] += j.weight()
			c.heldNews = true
			return h.Decided
		}
	}
	if waits {
		return heldWaits
	}
	takes, widens := c.taker(takerOf{s.list, heldHour}, now), c.taker(takerOf{s.list, widenFor}, now)
	if takes != nil && widens != nil && j.broad < wideBreadth && (j.broad == 0 || widens.at(now)+j.broad <= maxBreadth) && takes.at(now)+s.comes[j.row.Stamp] <= most {
		takes.add(j.costs)
		widens.add(j.broad)
		s.took += j.costs
		s.widened += j.broad
		return heldTaken
	}
	c.hold(s.node, s.list, j, most, now)
	return heldWaits
}

// giveBack has it count as not said: it could not be written.
func (s *sieve) giveBack() {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.takers[takerOf{s.list, heldHour}]; t != nil {
		t.giveBack(s.took)
	}
	if t := c.takers[takerOf{s.list, widenFor}]; t != nil {
		t.giveBack(s.widened)
	}
	for h, n := range s.spent {
		h.Left += n
		c.heldNews = true
	}
	s.took, s.widened, s.spent = 0, 0, map[*held]int{}
}

// taker gives one, nil if there are too many of them. c.mu is held.
func (c *Cluster) taker(of takerOf, now time.Time) *taker {
	if t := c.takers[of]; t != nil {
		return t
	}
	if len(c.takers) >= maxTakers {
		maps.DeleteFunc(c.takers, func(_ takerOf, t *taker) bool { return t.at(now) == 0 })
	}
	if len(c.takers) >= maxTakers {
		c.counts.full.Add(1)
		return nil
	}
	t := &taker{within: of.within}
	c.takers[of] = t
	return t
}

// entries is how many a list has.
func (c *Cluster) entries(list string) int {
	if list == console.LineTable {
		_, n, err := c.o.Store.Leaves(list)
		if err != nil {
			return 0
		}
		return n
	}
	infos, err := c.o.Store.Lists()
	if err != nil {
		return 0
	}
	for i := range infos {
		if infos[i].Name == list {
			return infos[i].Entries
		}
	}
	return 0
}

// insteadOf is what this node says where a row was refused: what there is, in a stamp just later than that of the row. So the row never counts here, not for a
// moment.
func (c *Cluster) insteadOf(j *judged) storage.Row {
	stamp := storage.Tick{Wall: j.row.Stamp.Wall, Count: j.row.Stamp.Count + 1, Node: c.o.Node}
	if j.row.Stamp.Count == math.MaxUint32 {
		stamp.Wall, stamp.Count = stamp.Wall+1, 0
	}
	e := j.is()
	if e == nil {
		r := storage.Row{Pattern: j.row.Pattern, Origin: j.row.Origin, Source: j.row.Source, Gone: true, Stamp: stamp}
		if named := nameOfRow(&r); named.source == "" {
			r.Source = "" // as tombstones of persons have it
		}
		return r
	}
	return storage.Row{
		Pattern: e.Pattern, Origin: e.Origin, Source: e.Source, Stamp: stamp, Reason: e.Reason, Who: e.Who,
		Added: millisOf(e.Added), Updated: millisOf(e.Updated), Expires: millisOf(e.Expires),
	}
}

func millisOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// merge takes rows of a node, as far as it may say them.
func (c *Cluster) merge(ctx context.Context, list string, rows []storage.Row, of storage.Foreign) (changed int, err error) {
	if slices.Contains(c.o.PolicyFrom, of.Node) {
		return c.o.Taker.MergeRows(ctx, list, rows, of)
	}
	s := c.sieve(of.Node, list)
	good, instead := s.page(rows)
	if err := c.saveHeld(); err != nil { // before it counts: what was agreed to once does not count twice
		s.giveBack()
		return 0, err
	}
	if len(good) > 0 {
		if changed, err = c.o.Taker.MergeRows(ctx, list, good, of); err != nil {
			s.giveBack()
			return changed, err
		}
	}
	n, err := c.insist(ctx, list, instead)
	return changed + n, err
}

// insist says again what there is where a person refused what another node said of it.
func (c *Cluster) insist(ctx context.Context, list string, rows []storage.Row) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	return c.o.Taker.MergeRows(ctx, list, rows, storage.Foreign{Node: c.o.Node, By: storage.By{Who: "cluster", From: "cluster refuse"}, Time: c.o.Now()})
}

// mergeList is merge for very many rows, which count all at once.
func (c *Cluster) mergeList(ctx context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (changed int, err error) {
	if slices.Contains(c.o.PolicyFrom, of.Node) {
		return c.o.Taker.MergeList(ctx, list, rows, of)
	}
	s := c.sieve(of.Node, list)
	if changed, err = c.o.Taker.MergeList(ctx, list, s.sift(ctx, rows), of); err != nil {
		s.giveBack() // none of it counts: it comes again
	}
	return changed, err
}

// sift is what merge does with rows before they are taken, for any number.
func (s *sieve) sift(ctx context.Context, rows iter.Seq2[storage.Row, error]) iter.Seq2[storage.Row, error] {
	c := s.c
	return func(yield func(storage.Row, error) bool) {
		var page []storage.Row
		flush := func() bool {
			good, instead := s.page(page)
			defer func() { page = page[:0] }()
			err := c.saveHeld()
			if err == nil {
				_, err = c.insist(ctx, s.list, instead)
			}
			if err != nil {
				yield(storage.Row{}, err)
				return false
			}
			for i := range good {
				if !yield(good[i], nil) {
					return false
				}
			}
			return true
		}
		for r, err := range rows {
			if err != nil {
				yield(r, err)
				return
			}
			// What is said of one pattern is looked at together.
			if len(page) >= 2*pageRows || len(page) >= pageRows && page[len(page)-1].Pattern != r.Pattern {
				if !flush() {
					return
				}
			}
			page = append(page, r)
		}
		flush()
	}
}
