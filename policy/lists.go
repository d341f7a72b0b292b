package policy

import (
	"slices"
	"sync"
	"time"
)

// ListEntry is one line of an administrator's list.
type ListEntry struct {
	List    string    // the list it belongs to
	Pattern Pattern   // the numbers meant; a list has a pattern once
	Reason  string    // why, for people; may be empty
	Source  string    // who or what put it there; may be empty
	Added   time.Time // when
	Expires time.Time // from then on it does not count; zero is never
}

// Lists holds the administrator's lists in memory. It is safe for concurrent use, and an edit counts
// from the very next look-up. A list exists from its first entry until it is dropped, also when its
// last entry was removed meanwhile.
type Lists struct {
	mu    sync.RWMutex
	lists map[string]*numberList
}

// numberList is one list: an index over its entries, the set being the place in entries.
type numberList struct {
	index   *Index
	entries []listValue
	free    []uint32 // unused places
}

// listValue is what an entry says about its pattern. A list may have a million of them, so what is
// known elsewhere is left out.
type listValue struct {
	reason, source string
	added, expires time.Time
}

// NewLists gives no lists at all.
func NewLists() *Lists {
	return &Lists{lists: make(map[string]*numberList)}
}

// Put adds an entry, or replaces the one with the same pattern in that list. An entry with the zero
// Pattern adds nothing, but makes the list exist.
func (l *Lists) Put(e ListEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.lists[e.List]
	if list == nil {
		list = &numberList{index: NewIndex()}
		l.lists[e.List] = list
	}
	if e.Pattern == (Pattern{}) {
		return
	}
	value := listValue{reason: e.Reason, source: e.Source, added: e.Added, expires: e.Expires}
	if at, ok := list.index.find(e.Pattern); ok {
		list.entries[at] = value
		return
	}
	var at uint32
	if last := len(list.free) - 1; last >= 0 {
		at, list.free = list.free[last], list.free[:last]
		list.entries[at] = value
	} else {
		at = uint32(len(list.entries))
		list.entries = append(list.entries, value)
	}
	list.index.Add(e.Pattern, at)
}

// Remove takes the entry with exactly this pattern out of a list and says whether it was there.
func (l *Lists) Remove(list string, p Pattern) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.lists[list]
	if of == nil {
		return false
	}
	at, ok := of.index.find(p)
	if !ok {
		return false
	}
	of.index.Remove(p, at)
	of.entries[at] = listValue{}
	of.free = append(of.free, at)
	return true
}

// Drop forgets a list and all its entries.
func (l *Lists) Drop(list string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.lists, list)
}

// Names gives the lists that exist, sorted.
func (l *Lists) Names() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	names := make([]string, 0, len(l.lists))
	for name := range l.lists {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Exists says whether there is such a list, empty or not.
func (l *Lists) Exists(list string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lists[list] != nil
}

// Len is the number of entries of a list, those that have expired included, and 0 for a list that
// does not exist.
func (l *Lists) Len(list string) int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if of := l.lists[list]; of != nil {
		return of.index.Len()
	}
	return 0
}

// Lookup gives the list's narrowest entry that matches the number and has not expired at that time.
// It does not allocate, unless a single number is met by more than 16 of the list's patterns.
func (l *Lists) Lookup(list string, n *Number, at time.Time) (ListEntry, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	of := l.lists[list]
	if of == nil {
		return ListEntry{}, false
	}
	var room [16]Match
	for _, m := range of.index.AppendMatches(room[:0], n) {
		v := &of.entries[m.Set]
		if v.expires.IsZero() || at.Before(v.expires) {
			return ListEntry{List: list, Pattern: m.Pattern, Reason: v.reason, Source: v.source, Added: v.added, Expires: v.expires}, true
		}
	}
	return ListEntry{}, false
}
