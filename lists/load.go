package lists

import (
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// Loader fills one list. It is for one goroutine, and nobody else may change the list meanwhile.
type Loader struct {
	lists  *Lists
	name   string
	of     *list
	b      *builder
	any    bool
	last   uint64 // the last key added
	strays []changedText

	// What the last entry said, and its text: most say the same as the one before.
	reason, source string
	added, expires time.Time
	same           uint32
	known          bool
	room           []byte
}

// Load begins to read a list, which exists from then on. Until Done it is not Loaded, and look-ups find
// nothing new in it. Entries are to come in the order of their patterns' texts; others are taken too, but cost more.
func (l *Lists) Load(name string) *Loader {
	b := l.Rebuild(name)
	b.of.unread.Store(true)
	return b
}

// Rebuild is Load for a list that is there: until Done it stays as it is, and Loaded.
func (l *Lists) Rebuild(name string) *Loader {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.make(name)
	room := l.room(of)
	return &Loader{lists: l, name: name, of: of, b: newBuilder(func(cost int) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return room(cost)
	})}
}

// Add adds an entry of one record, whose List is not looked at.
func (b *Loader) Add(e *policy.ListEntry) {
	if !b.known || b.reason != e.Reason || b.source != e.Source || !b.added.Equal(e.Added) || !b.expires.Equal(e.Expires) {
		b.same = b.text([]Record{{e.Reason, e.Source, e.Added, e.Expires}})
		b.reason, b.source, b.added, b.expires, b.known = e.Reason, e.Source, e.Added, e.Expires, true
	}
	b.add(e.Pattern, b.same)
}

// AddRecords adds an entry with its records, of which the first that has not expired counts. One without records is none.
func (b *Loader) AddRecords(p number.Pattern, records []Record) {
	if len(records) > 0 {
		b.add(p, b.text(records))
	}
}

func (b *Loader) text(records []Record) uint32 {
	b.room = appendText(b.room[:0], records)
	return b.b.texts.ofBytes(b.room)
}

func (b *Loader) add(p number.Pattern, id uint32) {
	key, exact := p.Key()
	switch {
	case p == number.Pattern{}:
	case !exact:
		b.b.wide = append(b.b.wide, wideEntry{p, id})
	case b.any && key <= b.last:
		b.strays = append(b.strays, changedText{p, key, true, b.b.texts.all[id]})
	default:
		b.b.add(numberEntry{key, id})
		b.any, b.last = true, key
	}
}

// Done puts what was added in the place of what the list had. The list is Loaded then.
func (b *Loader) Done() {
	s := stateOf(b.b.piece())
	b.lists.mu.Lock()
	defer b.lists.mu.Unlock()
	if len(b.strays) > 0 {
		s = s.with(b.strays).merged(b.lists.room(b.of))
	}
	b.lists.set(b.of, s)
	b.of.unread.Store(false)
}
