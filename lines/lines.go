// Package lines is the lines that live in the database, in memory: which of them a called number belongs to, and what each is. Of a policy's
// lines it knows nothing. Look-ups need no lock, and a change counts from the very next one.
package lines

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// Line is a line as calls need it. What people alone need of it is on disk.
type Line struct {
	Name     string // 64 bytes at most
	Key      string // see policy.Line; it begins with the name, and has 128 bytes at most
	Numbers  []number.Pattern
	Customer string // "" is the name's; 512 bytes at most
	Profile  string
	Mode     policy.LineMode
	Zone     *time.Location // nil is the policy's

	// Written says for Load when the line was written: of two texts the later one is the greater.
	Written string
}

// Change puts a line in, in the place of the one of its name, or takes it out.
type Change struct {
	Line
	Remove bool // only its Name counts
}

// MaxNumbers is how many patterns of numbers all lines may have together; see Room.
const MaxNumbers = 1_000_000

// maxRecent is how many lines that changed are kept apart, so that an edit need not build all anew.
const maxRecent = 1024

// Lines holds them. It is safe for concurrent use.
type Lines struct {
	plan  *number.Plan
	edit  sync.Mutex // one change at a time
	lost  atomic.Bool
	state atomic.Pointer[state]
}

// state is all lines at a moment. It never changes, but for what was found out of it.
type state struct {
	old    *table
	gone   []uint64 // of old those that are not there any more or are in recent, a bit each
	recent *table

	lines, numbers int
	customers      atomic.Int32 // see SeveralCustomers
}

// New gives no lines at all, of a policy whose plan reads their numbers.
func New(plan *number.Plan) *Lines {
	l := &Lines{plan: plan}
	l.state.Store(&state{old: noTable, recent: noTable})
	return l
}

// Taken says that a number is on another line.
type Taken struct {
	Number number.Pattern // that was to be added
	Line   string         // where it would go
	Other  string         // where it is, or a part of it
}

func (t *Taken) Error() string {
	return fmt.Sprintf("%s is on the line %s already, and a number is on one line only: take it off there first (ringfence line set %s), or leave it out of %s",
		t.Number, t.Other, t.Other, t.Line)
}

// Check reports the numbers that would be on two lines after all the changes, however they are written, at most as many as most, in the
// order of the changes. It does not change anything. Where two of the changes have the same number, without one of which it would be well, one is reported.
func (l *Lines) Check(changes []Change, most int) []*Taken {
	s := l.state.Load()
	last := lastOf(changes)
	var all []held
	type clash struct {
		held
		other string
	}
	var found []clash
	for i := range changes {
		c := &changes[i]
		if c.Remove || last[c.Name] != i {
			continue
		}
		for _, p := range c.Numbers {
			h := held{p, uint32(i)}
			all = append(all, h)
			s.meet(l.plan, p, func(t *table, line uint32) bool {
				other := t.name(line)
				if _, changed := last[other]; changed {
					return true
				}
				found = append(found, clash{h, strings.Clone(other)})
				return false
			})
		}
	}
	clashes(l.plan, all, func(h held, other uint32) { found = append(found, clash{h, changes[other].Name}) })
	slices.SortStableFunc(found, func(a, b clash) int { return cmp.Compare(a.line, b.line) })
	var taken []*Taken
	for i := 0; i < len(found) && len(taken) < most; i++ {
		taken = append(taken, &Taken{found[i].Pattern, changes[found[i].line].Name, found[i].other})
	}
	return taken
}

// lastOf is the last change of each name.
func lastOf(changes []Change) map[string]int {
	last := make(map[string]int, len(changes))
	for i := range changes {
		last[changes[i].Name] = i
	}
	return last
}

// clashes calls yield for patterns that have a number which a pattern of another line has too, so many of them that among the rest there are none, and
// gives the rest. It changes the order of all.
func clashes(plan *number.Plan, all []held, yield func(h held, other uint32)) (rest []held) {
	slices.SortFunc(all, func(a, b held) int {
		return cmp.Or(cmp.Compare(place(&a.Pattern), place(&b.Pattern)), cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.line, b.line))
	})
	rest = all[:0]
	reach, at := held{}, -1 // of those that look alike, the one that goes farthest
	for _, h := range all {
		alike := at == place(&h.Pattern)
		if alike && h.Lo <= reach.Hi && h.line != reach.line {
			yield(h, reach.line)
			continue
		}
		if !alike || h.Hi > reach.Hi {
			reach, at = h, place(&h.Pattern)
		}
		rest = append(rest, h)
	}
	for { // of a single number meet gives one line, and more may have it: those it gives when the first has been left out
		index := numbersOf(plan, slices.Clone(rest))
		all, rest = rest, rest[:0]
		for _, h := range all {
			clear := true
			index.meet(plan, h.Pattern, func(line uint32) bool {
				if clear = line >= h.line; !clear { // else the other one is reported
					yield(h, line)
				}
				return clear
			})
			if clear {
				rest = append(rest, h)
			}
		}
		if len(rest) == len(all) {
			return rest
		}
	}
}

// Room says what is wrong with changes that would make the lines more than memory is meant for; nil is nothing.
func (l *Lines) Room(changes []Change) error {
	s := l.state.Load()
	n := s.numbers
	for name, i := range lastOf(changes) {
		if t, line, ok := s.named(name); ok {
			n -= int(t.lines[line].numbers)
		}
		if c := &changes[i]; !c.Remove {
			n += len(c.Numbers)
		}
	}
	if n > MaxNumbers && n > s.numbers {
		return fmt.Errorf("the lines would have %d numbers and ranges together; there may be %d: write ranges for numbers that follow each other", n, MaxNumbers)
	}
	return nil
}

// Load puts lines in the place of all there are. A number that would be on two of them stays on that which was written later, and is reported as Taken of the
// other.
func (l *Lines) Load(all []Line) (taken []*Taken) {
	l.edit.Lock()
	defer l.edit.Unlock()
	slices.SortFunc(all, func(a, b Line) int { return strings.Compare(a.Name, b.Name) })
	var of kinds
	records := make([]record, len(all))
	n := 0
	for i := range all {
		n += len(all[i].Numbers)
	}
	numbers := make([]held, 0, n)
	for i := range all {
		records[i] = all[i].record(&of)
		for _, p := range all[i].Numbers {
			numbers = append(numbers, held{p, uint32(i)})
		}
	}
	numbers, taken = settle(l.plan, all, numbers)
	l.store(buildTable(records, &of, l.plan, numbers), nil, noTable)
	l.lost.Store(len(taken) > 0)
	return taken
}

// Lost reports whether Load left a number out, which its line may have as soon as the other is changed, if it is loaded again.
func (l *Lines) Lost() bool { return l.lost.Load() }

func (l *Line) record(of *kinds) record {
	r := record{key: l.Key, name: len(l.Name), customer: l.Customer, kind: of.of(kind{l.Profile, l.Mode, l.Zone})}
	if !strings.HasPrefix(l.Key, l.Name) {
		r.key = l.Name
	}
	return r
}

// store makes tables those that count. The caller has the turn to edit.
func (l *Lines) store(old *table, gone []uint64, recent *table) {
	s := &state{old: old, gone: gone, recent: recent}
	for _, t := range [...]*table{old, recent} {
		for i := range t.lines {
			if s.has(t, uint32(i)) {
				s.lines++
				s.numbers += int(t.lines[i].numbers)
			}
		}
	}
	l.state.Store(s)
}

// Apply makes changes, in their order, all of which count at once. Check comes before: that no number is on two lines is what
// look-ups rely on.
func (l *Lines) Apply(changes []Change) {
	if len(changes) == 0 {
		return
	}
	l.edit.Lock()
	defer l.edit.Unlock()
	s := l.state.Load()
	last := lastOf(changes)
	gone := make([]uint64, (len(s.old.lines)+63)/64)
	copy(gone, s.gone)
	var put []*Line
	for name, i := range last {
		if line, ok := s.old.named(name); ok {
			gone[line/64] |= 1 << (line % 64)
		}
		if !changes[i].Remove {
			put = append(put, &changes[i].Line)
		}
	}
	slices.SortFunc(put, func(a, b *Line) int { return strings.Compare(a.Name, b.Name) })
	m := merger{put: put, last: last}
	if m.add(s.recent, nil); len(s.recent.lines)+len(put) <= maxRecent {
		l.store(s.old, gone, m.table(l.plan))
		return
	}
	m.add(s.old, gone)
	l.store(m.table(l.plan), nil, noTable)
}

// merger makes one table of others and of lines that are put in.
type merger struct {
	of      kinds
	records []record
	numbers []held // of places in records
	put     []*Line
	last    map[string]int // names that were changed: what tables have of them is void
}

// add takes in what a table has that has neither changed nor gone.
func (m *merger) add(t *table, gone []uint64) {
	places := make([]uint32, len(t.lines)) // in records, and 1
	for i := range t.lines {
		line := uint32(i)
		if _, changed := m.last[t.name(line)]; changed || gone != nil && gone[line/64]>>(line%64)&1 == 1 {
			continue
		}
		r := t.record(line)
		r.kind = m.of.of(t.kinds[r.kind])
		m.records = append(m.records, r)
		places[i] = uint32(len(m.records))
	}
	t.numbers.held(func(h held) {
		if h.line = places[h.line]; h.line != 0 {
			h.line--
			m.numbers = append(m.numbers, h)
		}
	})
}

// table is all that was added, with what is put in.
func (m *merger) table(plan *number.Plan) *table {
	for _, l := range m.put {
		for _, p := range l.Numbers {
			m.numbers = append(m.numbers, held{p, uint32(len(m.records))})
		}
		m.records = append(m.records, l.record(&m.of))
	}
	order := make([]uint32, len(m.records))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(m.records[a].lineName(), m.records[b].lineName()) })
	sorted, to := make([]record, len(order)), make([]uint32, len(order))
	for i, at := range order {
		sorted[i], to[at] = m.records[at], uint32(i)
	}
	for i := range m.numbers {
		m.numbers[i].line = to[m.numbers[i].line]
	}
	return buildTable(sorted, &m.of, plan, m.numbers)
}

// has reports whether a line of a table is there still.
func (s *state) has(t *table, line uint32) bool {
	return t != s.old || s.gone == nil || s.gone[line/64]>>(line%64)&1 == 0
}

// meet calls yield for the lines that have a number of a pattern.
func (s *state) meet(plan *number.Plan, p number.Pattern, yield func(t *table, line uint32) bool) {
	more := true
	for _, t := range [...]*table{s.recent, s.old} {
		if more {
			t.numbers.meet(plan, p, func(line uint32) bool {
				more = !s.has(t, line) || yield(t, line)
				return more
			})
		}
	}
}

// named is the line of a name, and the table that has it.
func (s *state) named(name string) (t *table, line uint32, ok bool) {
	for _, t := range [...]*table{s.recent, s.old} {
		if line, ok := t.named(name); ok && s.has(t, line) {
			return t, line, true
		}
	}
	return nil, 0, false
}

// LineOf is that of policy.LineSource.
func (l *Lines) LineOf(n *number.Number) (policy.Line, bool) {
	s := l.state.Load()
	if len(s.recent.lines) > 0 {
		if line, ok := s.recent.numbers.find(n); ok {
			return s.recent.line(line), true
		}
	}
	if line, ok := s.old.numbers.find(n); ok && s.has(s.old, line) {
		return s.old.line(line), true
	}
	return policy.Line{}, false
}

// LineNamed is that of policy.LineSource.
func (l *Lines) LineNamed(name string) (policy.Line, bool) {
	t, line, ok := l.state.Load().named(policy.LineName(name))
	if !ok {
		return policy.Line{}, false
	}
	found := t.line(line)
	if strings.Contains(name, "~") && found.Key != name {
		return policy.Line{}, false
	}
	return found, true
}

// All are the lines in the order of their names' bytes, as they are at the moment when it is begun.
func (l *Lines) All() iter.Seq[policy.Line] {
	return func(yield func(policy.Line) bool) { l.state.Load().all()(yield) }
}

func (s *state) all() iter.Seq[policy.Line] {
	return func(yield func(policy.Line) bool) {
		s.merged(
			func(t *table, yield func(uint32) bool) {
				for i := range t.lines {
					if !yield(uint32(i)) {
						return
					}
				}
			}, yield)
	}
}

// Of are the lines of a customer, in the order of their names' bytes. It does not look at others.
func (l *Lines) Of(customer string) iter.Seq[policy.Line] {
	return func(yield func(policy.Line) bool) {
		l.state.Load().merged(func(t *table, yield func(uint32) bool) { t.owned(customer)(yield) }, yield)
	}
}

// merged gives what each gives of both tables, which is in the order of names, in that order.
func (s *state) merged(each func(*table, func(uint32) bool), yield func(policy.Line) bool) {
	next, stop := iter.Pull(func(yield func(uint32) bool) { each(s.recent, yield) })
	defer stop()
	recent, more := next()
	ended := false
	each(s.old, func(line uint32) bool {
		for ; more && s.recent.name(recent) < s.old.name(line); recent, more = next() {
			if ended = !yield(s.recent.line(recent)); ended {
				return false
			}
		}
		ended = s.has(s.old, line) && !yield(s.old.line(line))
		return !ended
	})
	for ; more && !ended; recent, more = next() {
		ended = !yield(s.recent.line(recent))
	}
}

// Meet calls yield for lines that have a number which a pattern matches, until it returns false. One may come more than once.
func (l *Lines) Meet(p number.Pattern, yield func(policy.Line) bool) {
	l.state.Load().meet(l.plan, p, func(t *table, line uint32) bool { return yield(t.line(line)) })
}

// Profiles are the profiles that lines have, "" among them, and how many lines have each.
func (l *Lines) Profiles() iter.Seq2[string, int] {
	s := l.state.Load()
	of := make(map[string]int)
	for _, t := range [...]*table{s.recent, s.old} {
		count := make([]int, len(t.kinds))
		for i := range t.lines {
			if s.has(t, uint32(i)) {
				count[t.lines[i].kind]++
			}
		}
		for i, n := range count {
			if n > 0 {
				of[t.kinds[i].profile] += n
			}
		}
	}
	return maps.All(of)
}

// Len is how many lines there are, and how many numbers and ranges they have.
func (l *Lines) Len() (lines, numbers int) {
	s := l.state.Load()
	return s.lines, s.numbers
}
