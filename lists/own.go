package lists

import (
	"hash/maphash"
	"maps"
	"math/bits"
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

// ownLists are the own lists of lines, by their names. A line without entries takes no room.
type ownLists struct {
	tables  atomic.Pointer[map[string]*ownTable] // replaced when one comes
	texts   int                                  // bytes, of all; Lists.mu is held
	dropped atomic.Uint64
}

// ownShards is how many parts a table has. An edit copies one, without its entries.
const ownShards = 256

// ownTable has the own lists of one name. Lists and parts never change: an edit puts others in their place, so that look-ups need no lock.
type ownTable struct {
	unread atomic.Bool
	shards [ownShards]atomic.Pointer[ownPart]

	entries, lines atomic.Int64
	texts          int // bytes; Lists.mu is held
}

var ownSeed = maphash.MakeSeed()

func ownHash(key string) uint64 { return maphash.String(ownSeed, key) }

func ownShard(key string) int { return int(ownHash(key) % ownShards) }

// ownPart is a part of a table, by the lines' keys: open addressing, since a call looks at a line that none before was to, and each piece of
// memory that it has to touch takes longer than all the rest.
type ownPart struct {
	mask  uint64
	slots []ownSlot // one at least is empty
}

type ownSlot struct {
	hash uint64
	may  uint64  // bits of the numbers that the list may match, see mayBit: most callers are on no list, and the list need not be touched
	list ownList // empty: so is the slot
}

// of is the list of a line, by its key and that one's hash, if it has one of these bits.
func (p *ownPart) of(key string, hash, may uint64) ownList {
	if p == nil {
		return ownList{}
	}
	for i := hash / ownShards & p.mask; p.slots[i].list.flat != ""; i = (i + 1) & p.mask {
		if s := &p.slots[i]; s.hash == hash && s.may&may != 0 && s.list.key() == key {
			return s.list
		}
	}
	return ownList{}
}

// mayAll has the bits of all numbers.
const mayAll = ^uint64(0)

// mayBit is the bit of a number, by its number.Pattern.Key.
func mayBit(key uint64) uint64 { return 1 << (key * 0x9e3779b97f4a7c15 >> 58) }

// mayBits are those of a caller, in both ways of writing. A list of patterns that are no numbers has all.
func mayBits(n *number.Number) (may uint64) {
	for _, plus := range [...]bool{true, false} {
		if key, ok := number.DigitsKey(n.Digits(plus), plus); ok {
			may |= mayBit(key)
		}
	}
	if may == 0 {
		return mayAll
	}
	return may
}

// slotOf is a list with its bits.
func slotOf(l ownList) ownSlot {
	s := ownSlot{hash: ownHash(l.key()), list: l}
	p := l.parts()
	for i := range p.numbers {
		s.may |= mayBit(le64(l.flat[p.keys+8*i:]))
	}
	if p.wides > 0 {
		s.may = mayAll
	}
	return s
}

// all gives the lists with their bits, by the lines' keys.
func (p *ownPart) all() map[string]ownSlot {
	all := make(map[string]ownSlot)
	if p != nil {
		for i := range p.slots {
			if s := p.slots[i]; s.list.flat != "" {
				all[s.list.key()] = s
			}
		}
	}
	return all
}

// ownPartOf makes a part of lists, nil of none.
func ownPartOf(all map[string]ownSlot) *ownPart {
	if len(all) == 0 {
		return nil
	}
	size := uint64(1) << bits.Len(uint(len(all)*4/3)) // a quarter is empty at least
	p := &ownPart{mask: size - 1, slots: make([]ownSlot, size)}
	for _, s := range all {
		i := s.hash / ownShards & p.mask
		for p.slots[i].list.flat != "" {
			i = (i + 1) & p.mask
		}
		p.slots[i] = s
	}
	return p
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

// of is the list of a line, which is empty if it has none.
func (t *ownTable) of(key string) ownList {
	hash := ownHash(key)
	return t.shards[hash%ownShards].Load().of(key, hash, mayAll)
}

// LookupOwn gives the narrowest entry that matches in the own list of a line, by its key, as Lookup does. It neither allocates nor waits.
func (l *Lists) LookupOwn(key, list string, n *number.Number, at time.Time) (e policy.ListEntry, ok bool) {
	t := l.own.table(list)
	if t == nil {
		return e, false
	}
	hash := ownHash(key)
	own := t.shards[hash%ownShards].Load().of(key, hash, mayBits(n))
	p, r := own.lookup(n, at)
	if r == "" {
		return e, false
	}
	e = policy.ListEntry{List: own.name(), Line: own.key(), Pattern: p, Added: r.added(), Expires: r.expires()}
	e.Reason, e.Source = r.says()
	return e, true
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
		was := t.of(key)
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
			if t.of(key).flat != "" {
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

// setOwn puts lists in the place of those that lines have; an empty one is none. l.mu is held.
func (l *Lists) setOwn(t *ownTable, made map[string]ownList) {
	shards := make(map[int]map[string]ownSlot)
	for key, now := range made {
		at := ownShard(key)
		shard := shards[at]
		if shard == nil {
			shard = t.shards[at].Load().all()
			shards[at] = shard
		}
		l.own.texts += t.count(shard[key].list, now)
		if delete(shard, key); now.flat != "" { // deleted first: the key is part of the list
			shard[now.key()] = slotOf(now)
		}
	}
	for at, shard := range shards {
		t.shards[at].Store(ownPartOf(shard))
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
	made  [ownShards]map[string]ownSlot
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
	at := ownShard(b.b.key)
	if b.made[at] == nil {
		b.made[at] = make(map[string]ownSlot)
	}
	was := b.made[at][b.b.key].list
	if was.flat != "" {
		b.b.entries = append(was.entries(), b.b.entries...)
	}
	b.lists.mu.Lock()
	room := maxOwnTexts - b.lists.own.texts + b.table.texts - b.anew.texts + was.textBytes()
	b.lists.mu.Unlock()
	now := b.lists.pack(&b.b, room)
	b.anew.count(was, now)
	delete(b.made[at], b.b.key)
	b.made[at][now.key()] = slotOf(now)
	b.b.entries = b.b.entries[:0]
}

// Done puts what was added in the place of what there was. It is Loaded then.
func (b *OwnLoader) Done() {
	b.flush()
	b.lists.mu.Lock()
	defer b.lists.mu.Unlock()
	t := b.table
	for at := range b.made {
		t.shards[at].Store(ownPartOf(b.made[at]))
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
		return t.of(key).len()
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
