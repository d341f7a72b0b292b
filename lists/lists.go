package lists

import (
	"cmp"
	"maps"
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
// Exact numbers, of which there may be ten million, are kept packed (see numbers) and are looked up without a
// lock; other patterns are in an Index.
type Lists struct {
	lists atomic.Pointer[map[string]*numberList] // replaced when a list comes or goes

	mu    sync.Mutex // held by who changes anything
	texts texts
}

// numberList is one list.
type numberList struct {
	numbers  atomic.Pointer[numbers] // the exact ones
	patterns atomic.Pointer[patterns]
	unread   atomic.Bool // not all of it has been read yet
}

// patterns are the entries of a list that are no exact number of at most 15 digits: an index, the set being
// the place in values.
type patterns struct {
	mu     sync.RWMutex // an edit changes what is there
	index  *number.Index
	values []entryValue
	free   []uint32    // unused places
	some   atomic.Bool // there are any: otherwise a look-up need not lock
}

// New gives no lists at all.
func New() *Lists {
	l := &Lists{}
	l.lists.Store(&map[string]*numberList{})
	return l
}

func (l *Lists) list(name string) *numberList { return (*l.lists.Load())[name] }

// make gives the list, which it makes if need be. l.mu is held.
func (l *Lists) make(name string) *numberList {
	if of := l.list(name); of != nil {
		return of
	}
	of := &numberList{}
	of.numbers.Store(&numbers{})
	of.patterns.Store(&patterns{index: number.NewIndex()})
	all := maps.Clone(*l.lists.Load())
	all[name] = of
	l.lists.Store(&all)
	return of
}

// Change is one change to a list.
type Change struct {
	policy.ListEntry      // its List is not looked at
	Remove           bool // the entry with exactly this pattern goes; the other fields do not matter
}

// inPlace is how many changes to patterns that are no exact numbers are made one by one. Beyond it a new set
// is made, so that all of them count at once.
const inPlace = 64

// Apply makes changes to one list, which exists from then on. They count in their order: of several of one
// pattern the last. It does not change changes.
func (l *Lists) Apply(list string, changes []Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.make(list)
	var exact []numberEntry
	var other []*Change
	for i := range changes {
		c := &changes[i]
		if c.Pattern == (number.Pattern{}) {
			continue
		}
		key, ok := c.Pattern.Key()
		switch {
		case !ok:
			other = append(other, c)
		case c.Remove:
			exact = append(exact, numberEntry{key: key})
		default:
			exact = append(exact, numberEntry{key, l.texts.of(valueOf(&c.ListEntry))})
		}
	}
	if len(exact) > 0 {
		l.change(of, exact)
	}
	if len(other) == 0 {
		return
	}
	p := of.patterns.Load()
	if len(other) > inPlace {
		p = p.clone()
		defer of.patterns.Store(p)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range other {
		if c.Remove {
			p.remove(c.Pattern)
		} else {
			p.put(c.Pattern, valueOf(&c.ListEntry))
		}
	}
}

// change makes changes to the exact numbers, in any order; the last of a number counts. l.mu is held.
func (l *Lists) change(of *numberList, changes []numberEntry) {
	byKey := func(a, b numberEntry) int { return cmp.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(changes, byKey) {
		slices.SortStableFunc(changes, byKey)
	}
	var superseded []*listText
	last := changes[:0]
	for i, c := range changes {
		if i+1 < len(changes) && changes[i+1].key == c.key {
			if c.text != nil {
				superseded = append(superseded, c.text)
			}
			continue
		}
		last = append(last, c)
	}
	of.numbers.Store(of.numbers.Load().with(last, &l.texts))
	l.texts.drop(superseded)
}

// Put adds an entry, or replaces the one with the same pattern in that list. An entry with the zero
// Pattern adds nothing, but makes the list exist.
func (l *Lists) Put(e policy.ListEntry) { l.Apply(e.List, []Change{{ListEntry: e}}) }

// Remove takes the entry with exactly this pattern out of a list and says whether it was there.
func (l *Lists) Remove(list string, p number.Pattern) bool {
	of := l.list(list)
	if of == nil || !of.has(p) {
		return false
	}
	l.Apply(list, []Change{{ListEntry: policy.ListEntry{Pattern: p}, Remove: true}})
	return true
}

// has says whether there is an entry with exactly this pattern.
func (of *numberList) has(p number.Pattern) bool {
	if key, ok := p.Key(); ok {
		return of.numbers.Load().find(key) != nil
	}
	other := of.patterns.Load()
	other.mu.RLock()
	defer other.mu.RUnlock()
	_, ok := other.index.Find(p)
	return ok
}

func (p *patterns) put(q number.Pattern, v entryValue) {
	if at, ok := p.index.Find(q); ok {
		p.values[at] = v
		return
	}
	var at uint32
	if last := len(p.free) - 1; last >= 0 {
		at, p.free = p.free[last], p.free[:last]
		p.values[at] = v
	} else {
		at = uint32(len(p.values))
		p.values = append(p.values, v)
	}
	p.index.Add(q, at)
	p.some.Store(true)
}

func (p *patterns) remove(q number.Pattern) {
	if at, ok := p.index.Find(q); ok {
		p.index.Remove(q, at)
		p.some.Store(p.index.Len() > 0)
		p.values[at] = entryValue{}
		p.free = append(p.free, at)
	}
}

func (p *patterns) clone() *patterns {
	q := &patterns{index: p.index.Clone(), values: slices.Clone(p.values), free: slices.Clone(p.free)}
	q.some.Store(p.some.Load())
	return q
}

// Drop removes a list and all its entries.
func (l *Lists) Drop(list string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.list(list)
	if of == nil {
		return
	}
	all := maps.Clone(*l.lists.Load())
	delete(all, list)
	l.lists.Store(&all)
	l.release(of.numbers.Load())
}

// release lets go of what a set that is no longer used says. l.mu is held.
func (l *Lists) release(x *numbers) {
	var released []*listText
	for _, c := range x.chunks {
		released = l.texts.release(released[:0], c)
		l.texts.drop(released)
	}
}

// Names lists the lists that exist, in order.
func (l *Lists) Names() []string { return slices.Sorted(maps.Keys(*l.lists.Load())) }

// Exists says whether there is such a list, empty or not.
func (l *Lists) Exists(list string) bool { return l.list(list) != nil }

// Loaded says whether all of a list has been read; see Load. It is true of a list that does not exist.
func (l *Lists) Loaded(list string) bool {
	of := l.list(list)
	return of == nil || !of.unread.Load()
}

// Len is the number of entries of a list, those that have expired included, and 0 for a list that
// does not exist.
func (l *Lists) Len(list string) int {
	of := l.list(list)
	if of == nil {
		return 0
	}
	p := of.patterns.Load()
	p.mu.RLock()
	defer p.mu.RUnlock()
	return of.numbers.Load().n + p.index.Len()
}

// LeftOut is how many entries of a list are without their reason and source in memory, because all the
// different ones together are more than 64 MB.
func (l *Lists) LeftOut(list string) int {
	if of := l.list(list); of != nil {
		return of.numbers.Load().left
	}
	return 0
}

// Lookup gives the list's narrowest entry that matches the number and has not expired at that time.
// It does not allocate, unless a single number is met by more than 16 of the list's patterns.
func (l *Lists) Lookup(list string, n *number.Number, at time.Time) (policy.ListEntry, bool) {
	of := l.list(list)
	if of == nil {
		return policy.ListEntry{}, false
	}
	exact, value := of.exact(n, at)
	p := of.patterns.Load()
	if p.some.Load() {
		p.mu.RLock()
		defer p.mu.RUnlock()
		var room [16]number.Match
		for _, m := range p.index.AppendMatches(room[:0], n) {
			if value != nil && exact.Narrower(m.Pattern, n) {
				break
			}
			if v := &p.values[m.Set]; v.holds(at) {
				return v.entry(list, m.Pattern), true
			}
		}
	}
	if value == nil {
		return policy.ListEntry{}, false
	}
	return value.entry(list, exact), true
}

// exact finds the entry for the number itself, as E.164 rather than as written inside the country. The text is nil
// if there is none that counts at that time.
func (of *numberList) exact(n *number.Number, at time.Time) (number.Pattern, *listText) {
	x := of.numbers.Load()
	if x.n == 0 {
		return number.Pattern{}, nil
	}
	for _, plus := range [...]bool{true, false} {
		key, ok := number.FormKey(n.Form(plus), plus)
		if !ok {
			continue
		}
		if text := x.find(key); text != nil && text.holds(at) {
			return number.KeyPattern(key), text
		}
	}
	return number.Pattern{}, nil
}

// Loader fills one list. It is for one goroutine, and nobody else may change the list meanwhile.
type Loader struct {
	lists   *Lists
	of      *numberList
	numbers numbers
	other   *patterns
	run     []loadedNumber // ascending, not packed yet
	last    uint64         // the last key packed
	strays  []loadedNumber // came out of order
}

type loadedNumber struct {
	key   uint64
	value entryValue
}

// Load begins to read a list, which exists from then on. Until Done it is not Loaded, and look-ups find
// nothing new in it. Entries are to come in the order of their patterns' texts; others are taken too, but cost more.
func (l *Lists) Load(list string) *Loader {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.make(list)
	of.unread.Store(true)
	return &Loader{lists: l, of: of, other: &patterns{index: number.NewIndex()}}
}

// Rebuild is Load for a list that is there: until Done it stays as it is, and Loaded.
func (l *Lists) Rebuild(list string) *Loader {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Loader{lists: l, of: l.make(list), other: &patterns{index: number.NewIndex()}}
}

// Add adds an entry, whose List is not looked at.
func (b *Loader) Add(e *policy.ListEntry) {
	key, ok := e.Pattern.Key()
	if !ok {
		if e.Pattern != (number.Pattern{}) {
			b.other.put(e.Pattern, valueOf(e))
		}
		return
	}
	n := loadedNumber{key, valueOf(e)}
	if last := len(b.run) - 1; last >= 0 && key <= b.run[last].key || last < 0 && b.numbers.n > 0 && key <= b.last {
		b.strays = append(b.strays, n)
		return
	}
	if b.run = append(b.run, n); len(b.run) == chunkSize {
		b.pack()
	}
}

// pack makes a chunk of the run.
func (b *Loader) pack() {
	if len(b.run) == 0 {
		return
	}
	b.lists.mu.Lock()
	defer b.lists.mu.Unlock()
	b.numbers.appendChunks(b.intern(b.run))
	b.last, b.run = b.run[len(b.run)-1].key, b.run[:0]
}

// intern finds the shared texts of what was read. lists.mu is held until they are in a chunk.
func (b *Loader) intern(from []loadedNumber) []numberEntry {
	es := make([]numberEntry, len(from))
	for i := range from {
		if i > 0 && from[i].value == from[i-1].value {
			es[i] = numberEntry{from[i].key, es[i-1].text}
		} else {
			es[i] = numberEntry{from[i].key, b.lists.texts.of(from[i].value)}
		}
	}
	return es
}

// Done puts what was added in the place of what the list had. The list is Loaded then.
func (b *Loader) Done() {
	b.pack()
	b.lists.mu.Lock()
	defer b.lists.mu.Unlock()
	old := b.of.numbers.Swap(&b.numbers)
	b.of.patterns.Store(b.other)
	b.lists.release(old)
	if len(b.strays) > 0 {
		b.lists.change(b.of, b.intern(b.strays))
	}
	b.of.unread.Store(false)
}
