package detect

import (
	"math/bits"

	"ringfence/policy"
)

// mostFar is where what others count of a key ends: it is only asked whether the trip is reached.
const mostFar = 1 << 29

// far is what the other nodes count of a slot's key now, over and above what is counted here. What a slot has of it is hardly ever less, so that it is
// reckoned only where the two together reach the trip; and not by each call of a key that has tripped, where a minute is soon enough.
func (d *detector) far(at int32) int32 {
	s := &d.slots.all[at]
	if s.far == 0 || s.holds() {
		return s.far
	}
	d.farNow(at)
	return s.far
}

// farNow has a slot know what the other nodes count of its key.
func (d *detector) farNow(at int32) {
	s := &d.slots.all[at]
	if f := d.abroadOf(s.key, d.slots.hash(s.key)); f != nil {
		d.reckon(f)
	} else {
		s.far = 0
	}
}

// reckon has a key's slot know what the other nodes count of it.
func (d *detector) reckon(f *foreign) {
	at := d.slots.find(f.key)
	f.n, f.sub = d.reckoned(f, at, -1), d.cur
	if at >= 0 {
		d.slots.all[at].far = f.n
	}
}

// reckonSome reckons the next few keys again, by a hand that goes round: what others count of a key becomes more as well, where somebody whom both
// had met has faded here.
func (d *detector) reckonSome(few int) {
	a := d.abroad
	if a == nil {
		return
	}
	for range min(few, len(a.list)) {
		if a.hand++; a.hand >= len(a.list) {
			a.hand = 0
		}
		if f := a.list[a.hand]; f.sub != d.cur {
			d.reckon(f)
		}
	}
}

// reckonAround reckons the wider ranges of a key.
func (d *detector) reckonAround(key uint64) {
	if d.Key != policy.ByPrefix || len(d.Levels) < 2 || d.abroad == nil {
		return
	}
	k, code := key&keyMask, 0
	if k&1 == 1 {
		code = codeSize(k)
	}
	for _, l := range d.Levels {
		by := keySize(k) - l.Digits - code
		if by <= 0 {
			return
		}
		wide := key&^keyMask | packed(k>>5/pow10[by], l.Digits+code, k&1 == 1)
		if f := d.abroadOf(wide, d.slots.hash(wide)); f != nil {
			d.reckon(f)
		}
	}
}

// heldHere are those of the keys that others speak of whose breaker holds here.
func (d *detector) heldHere() []*foreign {
	a := d.abroad
	if a.stale {
		a.held, a.stale = a.held[:0], false
		for _, f := range a.list {
			if at := d.slots.find(f.key); at >= 0 && d.slots.all[at].holds() {
				a.held = append(a.held, f)
			}
		}
	}
	return a.held
}

// reckoned is what the other nodes count of a key that is not counted here as well, or what one of them does.
func (d *detector) reckoned(f *foreign, at int32, only int) int32 {
	from := d.countsFrom(f)
	sum := int64(0)
	nodes := uint16(0)
	for i := range f.said {
		w := &f.said[i]
		if only >= 0 && int(w.node) != only || from[w.node] == noSub {
			continue
		}
		nodes |= 1 << w.node
		if d.set.clock.now-w.heard <= fleeting && (d.anews[f.key] == 0 || w.since >= d.anews[f.key]) {
			sum += int64(w.now)
		}
		if w.n == nil {
			continue
		}
		for back := range uint32(subs) {
			if sub := w.cur - back; sub >= from[w.node] {
				sum += int64(w.n[sub%subs])
			}
		}
	}
	if len(f.things) > 0 && nodes != 0 {
		sum += d.reckonedThings(f, at, nodes, &from, only >= 0)
	}
	return int32(min(sum, mostFar))
}

// reckonedThings is reckoned for what counts once, or by its called number. whole leaves out what is counted here.
func (d *detector) reckonedThings(f *foreign, at int32, nodes uint16, from *[mostNodes]uint32, whole bool) (sum int64) {
	ref := uint32(0)
	if at >= 0 {
		ref = d.slots.ref(at)
	}
	line, room := uint64(0), int32(0)
	for i := range f.things {
		t := &f.things[i]
		if d.PerLine > 0 && (i == 0 || t.line != line) {
			line, room = t.line, int32(d.PerLine)
			if at >= 0 && !whole {
				room -= d.lineUsed(ref, line)
			}
		}
		counts := false
		for of := t.nodes & nodes; of != 0; of &= of - 1 {
			counts = counts || t.sub >= from[bits.TrailingZeros16(of)]
		}
		if !counts {
			continue
		}
		if at >= 0 && !whole && t.id != 0 {
			if m := d.members.find(ref, t.id); m >= 0 && d.counts(d.members.all[m].last) {
				continue
			}
		}
		n := int32(t.n)
		if d.PerLine > 0 {
			n = min(n, room)
			if n <= 0 {
				continue
			}
			room -= n
		}
		sum += int64(n) * int64(d.thingWeight(t.id))
	}
	return sum
}

// lineUsed is how much of a called number counts for a slot here.
func (d *detector) lineUsed(ref uint32, callee uint64) (n int32) {
	line := d.lines.find(ref, callee)
	if line < 0 {
		return 0
	}
	l := &d.lines.all[line]
	for back := range uint32(subs) {
		if sub := l.last - back; live(sub, d.cur) {
			n += int32(l.v[sub%subs])
		}
	}
	return n
}

// noSub is of a node whose word does not count.
const noSub = ^uint32(0)

// countsFrom is the sub-window from which on the word of each node counts for a key. Where the key has closed here, what a node counted before,
// and said when it had not heard of that, does not count. Nor does its word of a range where a narrower one has tripped, until the node has
// heard of that as well, and has left out what that one explains.
func (d *detector) countsFrom(f *foreign) (from [mostNodes]uint32) {
	oldest := d.cur - min(d.cur, subs-1)
	anew := d.anews[f.key]
	for i := range from {
		from[i] = oldest
	}
	for i := range f.said {
		switch w := &f.said[i]; {
		case w.starts != d.set.peers[w.node].starts:
			from[w.node] = noSub
		case anew > 0 && w.since < anew:
			from[w.node] = max(oldest, uint32(anew/d.sub)+1)
		}
	}
	if d.Key != policy.ByPrefix || len(d.Levels) < 2 || d.slots.open[uint8(f.key>>keyBits)] == 0 {
		return from
	}
	for _, r := range d.heldHere() {
		if r.key>>keyBits != f.key>>keyBits || !isWithin(r.key&keyMask, f.key&keyMask) {
			continue
		}
		for i := range r.said {
			n := &r.said[i]
			if w := f.by(int(n.node)); w != nil && n.starts == d.set.peers[n.node].starts && (!n.held || w.at < n.heldAt) && d.saysMore(n) {
				from[n.node] = noSub
			}
		}
	}
	return from
}

// saysMore reports whether a node has anything left of what it said.
func (d *detector) saysMore(w *said) bool {
	for back := range uint32(subs) {
		if sub := w.cur - back; w.n != nil && live(sub, d.cur) && w.n[sub%subs] > 0 {
			return true
		}
	}
	for i := range w.what {
		if live(w.what[i].sub, d.cur) {
			return true
		}
	}
	return false
}

// spreadFar adds to the digits and blocks of ten of a range those that other nodes have met.
func (d *detector) spreadFar(at int32, digits *uint16, tens *tensSeen) {
	s := &d.slots.all[at]
	if s.far == 0 {
		return
	}
	f := d.abroadOf(s.key, d.slots.hash(s.key))
	if f == nil {
		return
	}
	from := d.countsFrom(f)
	for i := range f.said {
		w := &f.said[i]
		if w.where == nil {
			continue
		}
		for back := range uint32(subs) {
			if sub := w.where.last - back; sub >= from[w.node] {
				*digits |= w.where.digits[sub%subs]
			}
		}
		for _, t := range w.where.tens {
			if t.last != 0 && t.last >= from[w.node] {
				tens.add(t.block)
			}
		}
	}
}

// tensSeen are different blocks of ten, as many as it takes.
type tensSeen struct {
	block [spreadTens]uint32
	n     int
}

func (t *tensSeen) add(block uint32) {
	for _, b := range t.block[:t.n] {
		if b == block {
			return
		}
	}
	if t.n < spreadTens {
		t.block[t.n] = block
		t.n++
	}
}

// blameAbroad gives slots to the narrower ranges that other nodes count most of the calls of, so that one of them can be to blame.
func (d *detector) blameAbroad(at int32, total int32) {
	if d.abroad == nil {
		return
	}
	s := &d.slots
	key, level := d.slots.all[at].key, int(d.slots.all[at].level)
	for _, f := range d.abroad.list {
		if f.key>>keyBits != key>>keyBits || !isWithin(f.key&keyMask, key&keyMask) || d.slots.find(f.key) >= 0 || d.levelOfKey(f.key) <= level {
			continue
		}
		if 10*int64(f.n) >= blamed*int64(total) && (s.free >= 0 || len(s.all) < s.limit) {
			d.placeKey(f.key, "")
		}
	}
}
