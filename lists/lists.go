package lists

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// Lists holds the administrator's lists in memory. It is safe for concurrent use, and an edit counts
// from the very next look-up. A list exists from its first entry until it is dropped, also when its
// last entry was removed meanwhile.
//
// A list, of which there may be ten million entries, is one flat Piece with the edits since it was made in a small overlay over it.
// Both never change, so that look-ups need no lock: an edit puts another pair in their place.
type Lists struct {
	lists atomic.Pointer[map[string]*list] // replaced when a list comes or goes

	// OnFault, if set, is told the name of a list whose piece was mapped and cannot be read any more, because its file was cut
	// short or the disk fails. The list is not Loaded from then on: Load it anew. Set it before anything else is done; it may
	// be called from look-ups, so it must not wait.
	OnFault func(list string)

	own ownLists // those of lines of the database

	mu    sync.Mutex // held by who changes anything
	cost  int        // of the texts of all lists, see text.cost
	bound int        // on that; 0 is maxTexts
}

// list is one list.
type list struct {
	state  atomic.Pointer[state]
	unread atomic.Bool // not all of it has been read yet
}

// New gives no lists at all.
func New() *Lists {
	l := &Lists{}
	l.lists.Store(&map[string]*list{})
	return l
}

func (l *Lists) list(name string) *list { return (*l.lists.Load())[name] }

// emptyPiece is what a new list has.
var emptyPiece = newBuilder(nil).piece()

// make gives the list, which it makes if need be. l.mu is held.
func (l *Lists) make(name string) *list {
	if of := l.list(name); of != nil {
		return of
	}
	of := &list{}
	of.state.Store(stateOf(emptyPiece))
	all := maps.Clone(*l.lists.Load())
	all[name] = of
	l.lists.Store(&all)
	return of
}

// set puts a list in another state. l.mu is held.
func (l *Lists) set(of *list, s *state) {
	l.cost += s.cost() - of.state.Load().cost()
	of.state.Store(s)
}

// room gives what reports whether there is room for texts that cost so much, in the place of all that the list has.
func (l *Lists) room(of *list) func(cost int) bool {
	bound := l.bound
	if bound == 0 {
		bound = maxTexts
	}
	return func(cost int) bool { return l.cost-of.state.Load().cost()+cost <= bound }
}

// Change is one change to a list.
type Change struct {
	policy.ListEntry          // its List is not looked at
	Records          []Record // if there are any, they count in the place of the reason, source and dates of ListEntry
	Remove           bool     // the entry with exactly this pattern goes; the other fields do not matter
}

// text is what the entry says then.
func (c *Change) text() text {
	switch {
	case c.Remove:
		return ""
	case len(c.Records) > 0:
		return text(appendText(nil, c.Records))
	}
	return text(appendText(nil, []Record{{c.Reason, c.Source, c.Added, c.Expires}}))
}

// Apply makes changes to one list, which exists from then on. They count in their order: of several of one
// pattern the last. All count at once.
//
// One in some thousand edits copies the list, which takes some 50 ms and its memory once more for 10,000,000 numbers.
func (l *Lists) Apply(name string, changes []Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.make(name)
	before := of.state.Load()
	made := make([]changedText, 0, len(changes))
	room, cost := l.room(of), before.cost()
	for i := range changes {
		c := &changes[i]
		if c.Pattern == (number.Pattern{}) {
			continue
		}
		t := c.text()
		if i > 0 && len(made) > 0 && made[len(made)-1].text == t {
			t = made[len(made)-1].text // one memory for both
		}
		if t != "" {
			if !room(cost + t.cost()) {
				t = t.leftOut()
			}
			cost += t.cost()
		}
		key, exact := c.Pattern.Key()
		made = append(made, changedText{c.Pattern, key, exact, t})
	}
	if len(made) == 0 {
		return
	}
	l.guard(name, of, func() {
		after := before.with(made)
		if after.isLarge() {
			after = after.merged(room)
		}
		l.set(of, after)
	})
}

// guard runs what reads a list and has the list read anew if its piece cannot be read any more.
func (l *Lists) guard(name string, of *list, read func()) {
	if of.state.Load().piece.mapped == nil {
		read()
		return
	}
	if err := guarded(read); err != nil {
		l.fault(name, of)
	}
}

func (l *Lists) fault(name string, of *list) {
	if !of.unread.Swap(true) && l.OnFault != nil {
		l.OnFault(name)
	}
}

// Put adds an entry, or replaces the one with the same pattern in that list. An entry with the zero
// Pattern adds nothing, but makes the list exist.
func (l *Lists) Put(e policy.ListEntry) { l.Apply(e.List, []Change{{ListEntry: e}}) }

// Remove takes the entry with exactly this pattern out of a list and reports whether it was there.
func (l *Lists) Remove(name string, p number.Pattern) bool {
	of := l.list(name)
	if of == nil {
		return false
	}
	there := false
	l.guard(name, of, func() { there = of.has(p) })
	if there {
		l.Apply(name, []Change{{ListEntry: policy.ListEntry{Pattern: p}, Remove: true}})
	}
	return there
}

// has reports whether there is an entry with exactly this pattern.
func (of *list) has(p number.Pattern) bool {
	s := of.state.Load()
	defer runtime.KeepAlive(s)
	if key, ok := p.Key(); ok {
		return s.find(key) != ""
	}
	return s.findWide(p) != ""
}

// Drop removes a list and all its entries.
func (l *Lists) Drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.list(name)
	if of == nil {
		return
	}
	all := maps.Clone(*l.lists.Load())
	delete(all, name)
	l.lists.Store(&all)
	l.cost -= of.state.Load().cost()
}

// Names lists the lists that exist, in order.
func (l *Lists) Names() []string { return slices.Sorted(maps.Keys(*l.lists.Load())) }

// Exists reports whether there is such a list, empty or not.
func (l *Lists) Exists(name string) bool { return l.list(name) != nil }

// Loaded reports whether all of a list has been read; see Load. It is true of a list that does not exist. Own lists of lines are asked by
// their table: "line:blacklist".
func (l *Lists) Loaded(name string) bool {
	if own, ok := OwnTable(name); ok {
		t := l.own.table(own)
		return t == nil || !t.unread.Load()
	}
	of := l.list(name)
	return of == nil || !of.unread.Load()
}

// Len is the number of entries of a list, those that have expired included, and 0 for a list that
// does not exist.
func (l *Lists) Len(name string) int {
	if of := l.list(name); of != nil {
		return of.state.Load().n
	}
	return 0
}

// LeftOut is how many entries of a list are without their reason and source in memory, because all the
// different ones together are more than 64 MB.
func (l *Lists) LeftOut(name string) int {
	if of := l.list(name); of != nil {
		return of.state.Load().left
	}
	return 0
}

// Lookup gives the list's narrowest entry that matches the number and has a record that has not expired at that time, with the first
// such record. It does not allocate.
func (l *Lists) Lookup(name string, n *number.Number, at time.Time) (e policy.ListEntry, ok bool) {
	of := l.list(name)
	if of == nil {
		return policy.ListEntry{}, false
	}
	var p number.Pattern
	var r record
	if s := of.state.Load(); s.piece.mapped == nil {
		p, r = s.lookup(n, at)
	} else if p, r, ok = s.lookupMapped(n, at); !ok {
		l.fault(name, of)
	}
	if r == "" {
		return policy.ListEntry{}, false
	}
	e = policy.ListEntry{List: name, Pattern: p, Added: r.added(), Expires: r.expires()}
	e.Reason, e.Source = r.says()
	return e, true
}

// Piece gives a list as it is, as one piece, nil if there is no such list. Edits since the last piece was made are worked in first, as
// Apply does it when there are many. Other edits wait meanwhile.
func (l *Lists) Piece(name string) *Piece {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.list(name)
	if of == nil {
		return nil
	}
	l.guard(name, of, func() { l.set(of, of.state.Load().merged(l.room(of))) })
	if s := of.state.Load(); s.isPlain() && !of.unread.Load() {
		return s.piece
	}
	return nil
}

// Adopt makes a list be what a piece says. It exists and is Loaded then.
func (l *Lists) Adopt(name string, p *Piece) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.make(name)
	l.set(of, stateOf(p))
	of.unread.Store(false)
}

// Replace has a list use a piece of the same content, such as one that is mapped, for the one it has now, and reports whether it does. It
// does not if the list was edited since it had the old one.
func (l *Lists) Replace(name string, old, same *Piece) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.list(name)
	if of == nil || old == nil {
		return false
	}
	if s := of.state.Load(); s.piece != old || !s.isPlain() {
		return false
	}
	l.set(of, stateOf(same))
	return true
}
