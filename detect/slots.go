package detect

import "strings"

// slot is what one key counts.
type slot struct {
	key   uint64 // with the trunk
	b     *breaker
	next  int16 // of the same head, or of the free ones
	level uint8
	code  uint8 // how many digits of the key are a country code
	far   int32 // what other nodes count of it besides, at most
	count ring
}

// used tells a slot from a free one: no key is 0.
func (s *slot) used() bool { return s.key != 0 }

func (s *slot) trunk() uint8 { return uint8(s.key >> keyBits) }

// spread is from where the callers of a prefix come. It takes one line of memory.
type spread struct {
	digits [subs]uint16 // by sub-window: which digits came next, a bit each; wholeBit: a number that ends with the prefix
	tens   [spreadTens]ten
	last   uint32 // sub-window of the latest digits
	_      uint32
}

// ten is a block of ten numbers that a caller came from, and when last.
type ten struct {
	block uint32
	last  uint32 // 0: none
}

// name keeps the text of a key that cannot be read from it.
func (s *slots) name(at int32, text string) {
	if s.texts == nil {
		s.texts = make(map[int32]string)
	}
	s.texts[at] = strings.Clone(cutText(text))
}

// slots are the keys of a detector that have exact counts.
type slots struct {
	heads []int16 // small, so that those of ten detectors stay in the processor's cache; maxSlots fits
	all   []slot
	gens  []uint16 // by slot: tells who has it from those who had it before, and from what it counted before it began anew. Members go by it in numbers, so it is kept small
	// What only some detectors have, by the place of the slot.
	calls   []ring // the calls of a key, where its share counts
	legs    []ring
	spread  []spread
	last    []uint64 // the number called last, where the order counts
	texts   map[int32]string
	free    int32
	used    int
	limit   int
	hand    int
	d       *detector
	byTrunk [256]int32 // slots in use
	open    [256]int32 // those of them with a breaker
	trunks  int32      // that have any
}

func (s *slots) init(limit int, d *detector) {
	s.limit, s.d, s.free = limit, d, -1
}

// slotRef names a slot with its generation.
func (s *slots) ref(at int32) uint32 { return uint32(at)<<16 | uint32(s.gens[at]) }

// is reports whether a slot is still the one of that name.
func (s *slots) is(ref uint32) bool {
	at := int(ref >> 16)
	return at < len(s.gens) && s.gens[at] == uint16(ref)
}

func (s *slots) hash(key uint64) uint64 { return mix(key ^ s.d.set.keySeed) }

func (s *slots) head(hash uint64) *int16 { return &s.heads[hash&uint64(len(s.heads)-1)] }

// find gives the place of a key, -1 for none.
func (s *slots) find(key uint64) int32 { return s.findBy(key, s.hash(key)) }

// findBy is find for a key whose hash is known.
func (s *slots) findBy(key, hash uint64) int32 {
	if s.used == 0 {
		return -1
	}
	at := int32(*s.head(hash))
	for at >= 0 && s.all[at].key != key {
		at = int32(s.all[at].next)
	}
	return at
}

// quota is how many slots a trunk may keep when others want them: its part of all, a quarter at most.
func (s *slots) quota() int32 { return int32(s.limit) / max(4, s.trunks) }

// idle reports whether a slot counts nothing any more.
func (s *slots) idle(at int32) bool {
	e := &s.all[at]
	return e.b == nil && !live(e.count.cur, s.d.now()) && (s.legs == nil || !live(s.legs[at].cur, s.d.legSub())) && (s.calls == nil || !live(s.calls[at].cur, s.d.now()))
}

// take makes a slot for a key that has none, weight being what it is about to count; -1 where there is no room for it.
func (s *slots) take(key uint64, level, code uint8, weight int32) int32 {
	s.sweep(1)
	if s.free < 0 && len(s.all) < s.limit {
		s.grow()
	}
	hash, far := s.hash(key), int32(0)
	if f := s.d.abroadOf(key, hash); f != nil {
		far = s.d.reckoned(f, -1, -1)
	}
	if s.free < 0 && !s.makeRoom(key, level, weight+far) {
		return -1
	}
	at := s.free
	e := &s.all[at]
	s.free = int32(e.next)
	head := s.head(hash)
	*e = slot{key: key, next: *head, level: level, code: code, far: far, count: ring{cur: s.d.now()}}
	*head = int16(at)
	s.used++
	if t := &s.byTrunk[e.trunk()]; *t == 0 {
		*t, s.trunks = 1, s.trunks+1
	} else {
		*t++
	}
	s.blank(at)
	return at
}

// blank empties what stands beside a slot.
func (s *slots) blank(at int32) {
	if s.calls != nil {
		s.calls[at] = ring{cur: s.d.now()}
	}
	if s.legs != nil {
		s.legs[at] = ring{cur: s.d.legSub()}
	}
	if s.spread != nil {
		s.spread[at] = spread{}
	}
	if s.last != nil {
		s.last[at] = 0
	}
}

// anew has a key count from nothing.
func (s *slots) anew(at int32) {
	s.gens[at]++
	s.all[at].count = ring{cur: s.d.now()}
	s.blank(at)
	s.d.countsAnew(at)
}

func (s *slots) grow() {
	d := s.d
	from := len(s.all)
	to := min(s.limit, max(64, 2*from))
	s.all, s.gens = resized(s.all, to), resized(s.gens, to)
	if d.Share > 0 {
		s.calls = resized(s.calls, to)
	}
	if d.countsConcurrent() {
		s.legs = resized(s.legs, to)
	}
	if d.spread {
		s.spread = resized(s.spread, to)
	}
	if d.countsSequential() {
		s.last = resized(s.last, to)
	}
	for i := to - 1; i >= from; i-- {
		s.all[i].next = int16(s.free)
		s.free = int32(i)
	}
	s.rehash()
}

// rehash makes the heads anew.
func (s *slots) rehash() {
	heads := 64
	for heads < 2*len(s.all) {
		heads *= 2
	}
	s.heads = make([]int16, heads)
	for i := range s.heads {
		s.heads[i] = -1
	}
	for i := range s.all {
		if s.all[i].used() {
			head := s.head(s.hash(s.all[i].key))
			s.all[i].next, *head = *head, int16(i)
		}
	}
}

func resized[T any](all []T, n int) []T {
	more := make([]T, n)
	copy(more, all)
	return more
}

// drop frees a slot.
func (s *slots) drop(at int32) {
	e := &s.all[at]
	link := s.head(s.hash(e.key))
	for *link != int16(at) {
		link = &s.all[*link].next
	}
	*link = e.next
	delete(s.texts, at)
	if e.b != nil {
		s.d.opened(e.trunk(), -1)
	}
	t := &s.byTrunk[e.trunk()]
	if *t--; *t == 0 {
		s.trunks--
	}
	*e = slot{next: int16(s.free)}
	s.gens[at]++
	s.free = at
	s.used--
}

// sweep frees those of the next few that count nothing any more.
func (s *slots) sweep(looks int) {
	for range min(looks, len(s.all)) {
		at := s.step()
		s.d.settleAt(at)
		if s.all[at].used() && s.idle(at) {
			s.drop(at)
		}
	}
}

func (s *slots) step() int32 {
	if s.hand++; s.hand >= len(s.all) {
		s.hand = 0
	}
	return int32(s.hand)
}

// makeRoom frees a slot for a key when all are taken: another trunk's that has more than its part, or, at the door, one of its own trunk
// that counts less than it.
func (s *slots) makeRoom(key uint64, level uint8, weight int32) bool {
	trunk := uint8(key >> keyBits)
	if mine := s.byTrunk[trunk]; mine < s.quotaFor(trunk) {
		for range len(s.all) {
			at := s.step()
			if e := &s.all[at]; e.b == nil && s.byTrunk[e.trunk()] > s.quotaFor(trunk) {
				s.evict(at)
				return true
			}
		}
	}
	size := s.d.door.knock(key, uint16(s.d.set.clock.now/(s.d.Window.Milliseconds()/2)), weight)
	if least := (s.d.trip(level) + 3) / 4; size < max(least, 1) {
		return false
	}
	const candidates, looks = 16, 256
	smallest, found := int32(-1), 0
	for range min(looks, len(s.all)) {
		at := s.step()
		e := &s.all[at]
		if e.b != nil || e.trunk() != trunk {
			continue
		}
		e.count.advance(s.d.now())
		if smallest < 0 || e.count.total < s.all[smallest].count.total {
			smallest = at
		}
		if found++; found == candidates {
			break
		}
	}
	if smallest < 0 {
		s.d.capped++
		return false
	}
	if s.all[smallest].count.total >= size {
		return false
	}
	s.evict(smallest)
	return true
}

// quotaFor counts a trunk that has no slot yet as one that has.
func (s *slots) quotaFor(trunk uint8) int32 {
	if s.byTrunk[trunk] == 0 {
		return int32(s.limit) / max(4, s.trunks+1)
	}
	return s.quota()
}

func (s *slots) evict(at int32) {
	if s.all[at].count.total > 0 {
		s.d.evicted++
	}
	s.drop(at)
}
