package detect

// entry is something that belongs to a slot: a member that it counts once, or a called line.
type entry[T any] struct {
	id   uint64
	slot uint32 // slotRef of the slot
	next int32  // of the same head, or of the free ones
	last uint32 // sub-window in which it was counted last
	v    T
}

// table finds entries by slot and id. It grows up to a bound, and then takes entries that count no more: a hand goes round and looks at
// a few with each new one, so that nobody has to go through all.
type table[T any] struct {
	heads []int32
	all   []entry[T]
	free  int32
	used  int
	hand  int
	most  int
	seed  uint64
	d     *detector
}

func newTable[T any](most int, seed uint64, d *detector) table[T] {
	return table[T]{free: -1, most: most, seed: seed, d: d}
}

// mix scatters the bits of a key.
func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return x
}

func (t *table[T]) head(slot uint32, id uint64) *int32 {
	return &t.heads[mix(id^t.seed^uint64(slot)*0x9e3779b97f4a7c15)&uint64(len(t.heads)-1)]
}

// find gives an entry's place, -1 for none.
func (t *table[T]) find(slot uint32, id uint64) int32 {
	if t.used == 0 {
		return -1
	}
	at := *t.head(slot, id)
	for at >= 0 && (t.all[at].id != id || t.all[at].slot != slot) {
		at = t.all[at].next
	}
	return at
}

// insert makes an entry that find has not found; -1 where there is no room.
func (t *table[T]) insert(slot uint32, id uint64, last uint32) int32 {
	t.sweep(1, false)
	if t.free < 0 && len(t.all) >= t.most {
		t.sweep(4, true)
	}
	at := t.free
	switch {
	case at >= 0:
		t.free = t.all[at].next
	case len(t.all) < t.most:
		at = int32(len(t.all))
		t.all = append(grown(t.all, t.most), entry[T]{})
		if 2*len(t.all) > len(t.heads) {
			t.rehash()
		}
	default:
		return -1
	}
	head := t.head(slot, id)
	t.all[at] = entry[T]{id: id, slot: slot, next: *head, last: last}
	*head = at
	t.used++
	return at
}

// grown has room for one more, by doubling up to the bound.
func grown[T any](all []T, most int) []T {
	if len(all) < cap(all) {
		return all
	}
	more := make([]T, len(all), min(most, max(64, 2*len(all))))
	copy(more, all)
	return more
}

func (t *table[T]) rehash() {
	t.heads = make([]int32, max(64, 2*len(t.heads)))
	for i := range t.heads {
		t.heads[i] = -1
	}
	isFree := make([]bool, len(t.all))
	for at := t.free; at >= 0; at = t.all[at].next {
		isFree[at] = true
	}
	for i := range t.all[:len(t.all)-1] { // the last one is put in by insert
		if !isFree[i] {
			head := t.head(t.all[i].slot, t.all[i].id)
			t.all[i].next, *head = *head, int32(i)
		}
	}
}

// sweep frees those of the next few that are too old, which is quick to tell; thorough: also those whose slot has gone.
func (t *table[T]) sweep(looks int, thorough bool) {
	if t.used == 0 {
		return
	}
	for range min(looks, len(t.all)) {
		t.hand++
		if t.hand >= len(t.all) {
			t.hand = 0
		}
		if e := &t.all[t.hand]; e.slot != freed && (!t.d.fresh(e.last) || thorough && !t.d.slots.is(e.slot)) {
			t.remove(int32(t.hand))
		}
	}
}

// freed is the slot of entries that are none.
const freed = ^uint32(0)

func (t *table[T]) remove(at int32) {
	e := &t.all[at]
	link := t.head(e.slot, e.id)
	for *link != at {
		link = &t.all[*link].next
	}
	*link = e.next
	*e = entry[T]{slot: freed, next: t.free}
	t.free = at
	t.used--
}

// each calls f for every entry.
func (t *table[T]) each(f func(at int32, e *entry[T])) {
	for i := range t.all {
		if t.all[i].slot != freed {
			f(int32(i), &t.all[i])
		}
	}
}
