package lists

import (
	"strings"
	"sync"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// OwnPrefix begins the name of the table that has, of one name, the own list of every line of the database: "line:blacklist".
const OwnPrefix = "line:"

// OwnChange is a change to the own list of the line with a key.
type OwnChange struct {
	Key string
	Change
}

// ownLists are the own lists of lines. A line without entries takes no room.
type ownLists struct {
	mu sync.RWMutex
	of map[ownKey][]ownEntry
}

type ownKey struct{ key, list string }

type ownEntry struct {
	policy.ListEntry
	text text
}

// ApplyOwn makes changes to the own lists of one name, as "blacklist". All count at once.
func (l *Lists) ApplyOwn(list string, changes []OwnChange) {
	l.own.mu.Lock()
	defer l.own.mu.Unlock()
	if l.own.of == nil {
		l.own.of = make(map[ownKey][]ownEntry)
	}
	for _, c := range changes {
		k := ownKey{c.Key, list}
		var left []ownEntry
		for _, e := range l.own.of[k] {
			if e.Pattern != c.Pattern {
				left = append(left, e)
			}
		}
		if t := c.text(); t != "" {
			left = append(left, ownEntry{policy.ListEntry{Pattern: c.Pattern}, t})
		}
		if l.own.of[k] = left; len(left) == 0 {
			delete(l.own.of, k)
		}
	}
}

// LookupOwn gives the narrowest entry that matches in the own list of a line, by its key, as Lookup does. It does not allocate.
func (l *Lists) LookupOwn(key, list string, n *number.Number, at time.Time) (e policy.ListEntry, ok bool) {
	l.own.mu.RLock()
	defer l.own.mu.RUnlock()
	for _, have := range l.own.of[ownKey{key, list}] {
		if !have.Pattern.Matches(n) || ok && !have.Pattern.Narrower(e.Pattern, n) {
			continue
		}
		if r := have.text.first(at); r != "" {
			e = policy.ListEntry{List: policy.LineName(key) + ":" + list, Pattern: have.Pattern, Added: r.added(), Expires: r.expires()}
			e.Reason, e.Source = r.says()
			ok = true
		}
	}
	return e, ok
}

// OwnLen is how many entries the own list of a line has.
func (l *Lists) OwnLen(key, list string) int {
	l.own.mu.RLock()
	defer l.own.mu.RUnlock()
	return len(l.own.of[ownKey{key, list}])
}

// OwnTable is the name of the table of own lists in "line:blacklist"; ok is false of another list.
func OwnTable(name string) (list string, ok bool) {
	list, ok = strings.CutPrefix(name, OwnPrefix)
	return list, ok && list != ""
}
