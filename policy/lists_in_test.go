package policy

import (
	"time"

	"ringfence/number"
)

// plainLists are lists as they are meant: patterns, tried one by one.
type plainLists map[string]map[number.Pattern]ListEntry

func (l plainLists) put(e ListEntry) {
	if l[e.List] == nil {
		l[e.List] = map[number.Pattern]ListEntry{}
	}
	l[e.List][e.Pattern] = e
}

func (l plainLists) Lookup(list string, n *number.Number, at time.Time) (best ListEntry, ok bool) {
	for q, e := range l[list] {
		if q.Matches(n) && (e.Expires.IsZero() || at.Before(e.Expires)) && (!ok || q.Narrower(best.Pattern, n)) {
			best, ok = e, true
		}
	}
	return best, ok
}

func (l plainLists) MayBeOwn(uint64, *number.Number) bool { return true }

func (l plainLists) Exists(list string) bool { return l[list] != nil }
func (l plainLists) LookupOwn(key string, _ uint64, list string, n *number.Number, at time.Time) (ListEntry, bool) {
	return l.Lookup(key+":"+list, n, at)
}

func (l plainLists) Loaded(list string) bool { return list != unreadList || l[list] != nil }

// unreadList is one that has not been read, unless it is there.
const unreadList = "unread"
