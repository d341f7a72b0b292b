package policy

import (
	"iter"
	"strings"

	"ringfence/number"
)

// FeedSource begins the Source of entries that a feed has brought. Feeds name callers as well, but nobody has looked at
// those.
const FeedSource = "feed "

// onRefusing reports whether the caller, or a number that his text holds, is on a list that a rule which refuses asks; with
// exact only by an entry that a person made for just that number.
func (s *scan) onRefusing(exact bool) bool {
	if s.lists == nil {
		return false
	}
	for _, c := range s.p.refusing {
		for i := range c.lists {
			for l := range s.asked(&c.lists[i]) {
				for h := -1; h < len(s.held); h++ {
					n := &s.c.Caller
					if h >= 0 {
						n = &s.held[h].number
					} else if s.onNone&c.lists[i].bit != 0 {
						continue
					}
					e, ok := s.lookup(l, n)
					if ok && (!exact || e.Pattern.IsExact() && !strings.HasPrefix(e.Source, FeedSource)) {
						return true
					}
				}
			}
		}
	}
	return false
}

// askedList is a list that a condition asks: by its name; or the own one of a line of the database, where all that are called the same are one
// table whose name is that of the condition, as in "line:blacklist".
type askedList struct {
	name      string
	key, bare string // of an own one: the line's
}

// asked gives the lists that are meant by what a condition names: that one, and of own lists of lines those of the lines called.
func (s *scan) asked(l *listName) iter.Seq[askedList] {
	return func(yield func(askedList) bool) {
		switch {
		case l.bare == "":
			yield(askedList{name: l.name})
			return
		case s.called.Kept:
			yield(askedList{name: l.name, key: s.called.Key, bare: l.bare})
			return
		}
		for line, name := range l.own {
			if s.callee.has(uint16(line)) && !yield(askedList{name: name}) {
				return
			}
		}
	}
}

// ownAnswer is what is known of the caller and the own lists of the line called, all of them together.
type ownAnswer uint8

const (
	ownUnasked ownAnswer = iota
	ownNone              // the caller is on none
	ownPerhaps
)

// mayBeOwn reports whether the caller may be on an own list of the line called, which lives in the database. Most are on none, and the lists are asked
// for it once, however many rules ask for lists.
func (s *scan) mayBeOwn() bool {
	if s.own == ownUnasked {
		if s.own = ownNone; s.lists.MayBeOwn(s.called.Hash, &s.c.Caller) {
			s.own = ownPerhaps
		}
	}
	return s.own == ownPerhaps
}

// lookup asks a list for a number.
func (s *scan) lookup(l askedList, n *number.Number) (ListEntry, bool) {
	if l.key != "" {
		if n == &s.c.Caller && !s.mayBeOwn() {
			return ListEntry{}, false
		}
		return s.lists.LookupOwn(l.key, s.called.Hash, l.bare, n, s.c.Time)
	}
	return s.lists.Lookup(l.name, n, s.c.Time)
}

// passUnread lets a call pass that a rule asks a list for which has not been read yet.
var passUnread = &rule{name: RuleFailOpen}

// notRead is what decides when a rule asks such a list: whatever it would have said, the call passes.
func (s *scan) notRead(d *Decision, r *rule) *rule {
	s.matched(d, passUnread)
	d.evidence.unread, d.evidence.asks = s.unread, r.name
	return passUnread
}

// Unread is the list that the call passed for because it had not been read yet; Rule is RuleFailOpen then. It is "" for
// every other decision.
func (d *Decision) Unread() string { return d.evidence.unread }

// listed reports whether the caller is on one of the condition's lists, and keeps which and how. Many rules ask for the same lists, and most callers are
// on none: those he is not on are not asked again.
func (s *scan) listed(c *condition) bool {
	if s.lists == nil {
		return false
	}
	for i := range c.lists {
		named := &c.lists[i]
		if s.onNone&named.bit != 0 {
			continue
		}
		for l := range s.asked(named) {
			if s.onList(l, &s.c.Caller) {
				return true
			}
		}
		if s.unread == "" {
			s.onNone |= named.bit
		}
	}
	return false
}

// heldListed is listed for the numbers that the caller's text holds.
func (s *scan) heldListed(c *condition) bool {
	if s.lists == nil {
		return false
	}
	for i := range c.lists {
		for l := range s.asked(&c.lists[i]) {
			for h := range s.held {
				if s.onList(l, &s.held[h].number) {
					s.heldBy = &s.held[h]
					return true
				}
			}
		}
	}
	return false
}

// onList looks before and behind whether the list is read: it may have been read meanwhile, or be found not to be readable any more.
func (s *scan) onList(l askedList, n *number.Number) bool {
	if !s.lists.Loaded(l.name) {
		s.unread = l.name
		return false
	}
	entry, ok := s.lookup(l, n)
	if ok {
		s.list, s.entry = entry.List, entry
	} else if !s.lists.Loaded(l.name) {
		s.unread = l.name
	}
	return ok
}
