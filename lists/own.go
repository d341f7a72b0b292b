package lists

import (
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// OwnPrefix begins the name of the table that has, of one name, the own list of every line of the database: "line:blacklist".
const OwnPrefix = "line:"

// Bounds on own lists, in entries: of all lines together, and of one line, so that no customer uses up the room of all. Who adds entries holds
// them; here what one list of one line has beyond the second is left out, and counted (OwnDropped).
const (
	MaxOwn     = 1_000_000
	MaxOwnLine = 10_000
)

// OwnTable is the name of the own lists that a table has: "blacklist" of "line:blacklist"; ok is false of another list.
func OwnTable(name string) (list string, ok bool) {
	list, ok = strings.CutPrefix(name, OwnPrefix)
	return list, ok && list != ""
}

// ownLists are the own lists of lines. A line without entries takes no room. Parts never change: an edit puts others in their place, so that look-ups need
// no lock.
type ownLists struct {
	tables  atomic.Pointer[map[string]*ownTable] // by the names of lists; replaced when one comes
	parts   [ownParts]atomic.Pointer[ownPart]    // by the hashes of the lines' keys
	texts   int                                  // bytes, of all; Lists.mu is held
	dropped atomic.Uint64
}

// ownTable is what is known of all own lists of one name.
type ownTable struct {
	unread         atomic.Bool
	entries, lines atomic.Int64
	texts          int // bytes; Lists.mu is held
}

func (o *ownLists) table(list string) *ownTable {
	if all := o.tables.Load(); all != nil {
		return (*all)[list]
	}
	return nil
}

// make gives a table, which it makes if need be. Lists.mu is held.
func (o *ownLists) make(list string) *ownTable {
	if t := o.table(list); t != nil {
		return t
	}
	all := make(map[string]*ownTable)
	if had := o.tables.Load(); had != nil {
		maps.Copy(all, *had)
	}
	t := &ownTable{}
	all[list] = t
	o.tables.Store(&all)
	return t
}

// of is the list of a line and a table, which is empty if there is none.
func (o *ownLists) of(t *ownTable, key string) ownList {
	hash := policy.HashKey(key)
	return o.part(hash).of(t, key, hash, mayAll)
}

// LookupOwn gives the narrowest entry that matches in the own list of a line, by its key and that key's hash (policy.HashKey), as Lookup does. It neither
// allocates nor waits.
func (l *Lists) LookupOwn(key string, hash uint64, list string, n *number.Number, at time.Time) (e policy.ListEntry, ok bool) {
	t := l.own.table(list)
	if t == nil {
		return e, false
	}
	own := l.own.part(hash).of(t, key, hash, mayBits(n))
	p, r := own.lookup(n, at)
	if r == "" {
		return e, false
	}
	e = policy.ListEntry{List: own.name(), Line: own.key(), Pattern: p, Added: r.added(), Expires: r.expires()}
	e.Reason, e.Source = r.says()
	return e, true
}

// MayBeOwn reports whether an own list of the line whose key has this hash (policy.HashKey) may match a number. It neither allocates nor waits.
func (l *Lists) MayBeOwn(hash uint64, n *number.Number) bool {
	return l.own.part(hash).may(hash, mayBits(n))
}

// OwnChange is a change to the own list of the line with a key.
type OwnChange struct {
	Key string
	Change
}

// ApplyOwn makes changes to the own lists of one name, as "blacklist", in their order. All of one line's count at once.
func (l *Lists) ApplyOwn(list string, changes []OwnChange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.own.make(list)
	byLine := make(map[string][]ownEntry)
	for i := range changes {
		c := &changes[i]
		if c.Pattern == (number.Pattern{}) {
			continue
		}
		byLine[c.Key] = append(byLine[c.Key], ownEntry{c.Pattern, c.text()})
	}
	made := make(map[string]ownList, len(byLine))
	for key, mine := range byLine {
		b := ownBuilder{key: key, list: list}
		was := l.own.of(t, key)
		b.entries = append(was.entries(), mine...)
		made[key] = l.pack(&b, maxOwnTexts-l.own.texts+was.textBytes())
	}
	l.setOwn(t, made)
}

// DropOwn forgets all own lists of lines, by their keys.
func (l *Lists) DropOwn(keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tables := l.own.tables.Load()
	if tables == nil {
		return
	}
	for _, t := range *tables {
		gone := make(map[string]ownList)
		for _, key := range keys {
			if l.own.of(t, key).flat != "" {
				gone[key] = ownList{}
			}
		}
		l.setOwn(t, gone)
	}
}

// pack makes a list of what a builder has. There is room for so many bytes of texts.
func (l *Lists) pack(b *ownBuilder, room int) ownList {
	made, dropped := b.pack(room)
	l.own.dropped.Add(uint64(dropped))
	return made
}

// setOwn puts lists in the place of those that lines have of a table; an empty one is none. l.mu is held.
func (l *Lists) setOwn(t *ownTable, made map[string]ownList) {
	parts := make(map[int]map[string]ownList)
	for key, now := range made {
		at := ownPartAt(key)
		if parts[at] == nil {
			parts[at] = make(map[string]ownList)
		}
		parts[at][key] = now
		l.own.texts += t.count(l.own.of(t, key), now)
	}
	for at, made := range parts {
		all := l.own.parts[at].Load().all()
		for key, now := range made {
			all.set(t, key, now)
		}
		l.own.parts[at].Store(all.part())
	}
}

// count counts a list in the place of another, and says by how many bytes its texts are more.
func (t *ownTable) count(was, now ownList) (texts int) {
	texts = now.textBytes() - was.textBytes()
	t.texts += texts
	t.entries.Add(int64(now.len() - was.len()))
	if was.flat != "" {
		t.lines.Add(-1)
	}
	if now.flat != "" {
		t.lines.Add(1)
	}
	return texts
}

// OwnLoader reads the own lists of one name. It is for one goroutine, and nobody else may change them meanwhile.
type OwnLoader struct {
	lists *Lists
	table *ownTable // that others see
	anew  *ownTable
	b     ownBuilder
	made  [ownParts]map[string]ownList
}

// LoadOwn begins to read the own lists of a name, as "blacklist". Until Done they are not Loaded, and look-ups find nothing new in them. Entries
// of one line are to come one after the other.
func (l *Lists) LoadOwn(list string) *OwnLoader {
	b := l.RebuildOwn(list)
	b.table.unread.Store(true)
	return b
}

// RebuildOwn is LoadOwn for lists that are there: until Done they stay as they are, and Loaded.
func (l *Lists) RebuildOwn(list string) *OwnLoader {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &OwnLoader{lists: l, table: l.own.make(list), anew: &ownTable{}, b: ownBuilder{list: list}}
}

// Add adds an entry of a line, by its key, with its records, as AddRecords of a Loader does.
func (b *OwnLoader) Add(key string, p number.Pattern, records []Record) {
	if len(records) == 0 || p == (number.Pattern{}) {
		return
	}
	if b.b.key != key {
		b.flush()
		b.b.key = strings.Clone(key)
	}
	b.b.add(p, records)
}

// flush makes a list of what came of a line.
func (b *OwnLoader) flush() {
	if len(b.b.entries) == 0 {
		return
	}
	at := ownPartAt(b.b.key)
	if b.made[at] == nil {
		b.made[at] = make(map[string]ownList)
	}
	was := b.made[at][b.b.key]
	if was.flat != "" {
		b.b.entries = append(was.entries(), b.b.entries...)
	}
	b.lists.mu.Lock()
	room := maxOwnTexts - b.lists.own.texts + b.table.texts - b.anew.texts + was.textBytes()
	b.lists.mu.Unlock()
	now := b.lists.pack(&b.b, room)
	b.anew.count(was, now)
	delete(b.made[at], b.b.key) // first: the key is part of the list
	b.made[at][now.key()] = now
	b.b.entries = b.b.entries[:0]
}

// Done puts what was added in the place of what there was. It is Loaded then.
func (b *OwnLoader) Done() {
	b.flush()
	b.lists.mu.Lock()
	defer b.lists.mu.Unlock()
	t := b.table
	for at := range b.made {
		all := b.lists.own.parts[at].Load().all()
		all.drop(t)
		for key, now := range b.made[at] {
			all.set(t, key, now)
		}
		b.lists.own.parts[at].Store(all.part())
	}
	b.lists.own.texts += b.anew.texts - t.texts
	t.texts = b.anew.texts
	t.entries.Store(b.anew.entries.Load())
	t.lines.Store(b.anew.lines.Load())
	t.unread.Store(false)
}

// OwnLen is how many entries the own list of a line has, by its key.
func (l *Lists) OwnLen(key, list string) int {
	if t := l.own.table(list); t != nil {
		return l.own.of(t, key).len()
	}
	return 0
}

// OwnSize is how many entries the own lists of a name have together, and how many lines have any.
func (l *Lists) OwnSize(list string) (entries, lines int) {
	if t := l.own.table(list); t != nil {
		return int(t.entries.Load()), int(t.lines.Load())
	}
	return 0, 0
}

// OwnNames are the names of own lists that there are, as "blacklist", in no order.
func (l *Lists) OwnNames() (names []string) {
	if all := l.own.tables.Load(); all != nil {
		for name := range *all {
			names = append(names, name)
		}
	}
	return names
}

// OwnDropped is how many entries of own lists were left out because their line has too many.
func (l *Lists) OwnDropped() uint64 { return l.own.dropped.Load() }
