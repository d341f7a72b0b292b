package detect

import (
	"math/bits"

	"ringfence/policy"
)

// A prefix trips only when the calls come from all over it, so that one number of it, or a firm's block of ten, does not take all the others
// with it: from four of the ten digits that can follow, or eight of them from four blocks of ten numbers. Where the policy has a range trip
// at three or less, three digits are enough, which no block of ten has either: else its trip would say three and mean four.
const (
	spreadDigits  = 4
	spreadLeast   = 3
	spreadTens    = 4
	spreadMembers = 8
	wholeBit      = 10 // a number that ends where the prefix ends: there is nothing to spread over
)

// blamed is how much of a range's calls a narrower one has to bring to be the one that trips, in tenths.
const blamed = 8

// spreads notes from where within its prefix a call came.
func (d *detector) spreads(at int32, x *step, id *ident) {
	s, now := &d.slots.spread[at], d.now()
	for gone := s.last + 1; gone <= now && gone-s.last <= subs; gone++ {
		s.digits[gone%subs] = 0
	}
	if now-s.last > subs {
		clear(s.digits[:])
	}
	s.last = max(s.last, now)
	if s.digits[now%subs] |= 1 << x.digit; x.digit == wholeBit {
		return
	}
	block, oldest := id.block, 0
	for i := range s.tens {
		t := &s.tens[i]
		if t.last != 0 && t.block == block {
			t.last = now
			return
		}
		if t.last < s.tens[oldest].last {
			oldest = i
		}
	}
	s.tens[oldest] = ten{block: block, last: now}
}

// isSpread reports whether what a prefix counts comes from all over it.
func (d *detector) isSpread(at int32) bool {
	if !d.spread {
		return true
	}
	s, now := &d.slots.spread[at], d.now()
	digits := uint16(0)
	for back := range uint32(subs) {
		if sub := s.last - back; live(sub, now) {
			digits |= s.digits[sub%subs]
		}
	}
	var tens tensSeen
	d.spreadFar(at, &digits, &tens)
	if digits&(1<<wholeBit) != 0 || bits.OnesCount16(digits) >= d.spreadOver(d.slots.all[at].level) {
		return true
	}
	if d.total(at) < spreadMembers {
		return false
	}
	for _, t := range s.tens {
		if t.last != 0 && live(t.last, now) {
			tens.add(t.block)
		}
	}
	return tens.n >= spreadTens
}

// spreadOver is from how many of its ten parts the calls of a range have to come: four, or three where its trip says that three are enough.
func (d *detector) spreadOver(level uint8) int {
	return min(spreadDigits, max(int(d.trip(level)), spreadLeast))
}

// toBlame is the range that trips where one has reached its trip: the narrowest in it, of those that are counted, that brings most of
// its calls.
func (d *detector) toBlame(at int32) int32 {
	if !d.spread {
		return at
	}
	total, best := d.total(at), at
	d.blameAbroad(at, total)
	s := &d.slots.all[at]
	for i := range d.slots.all {
		c := &d.slots.all[i]
		if !c.used() || c.level <= d.slots.all[best].level || c.b != nil && c.b.state != closed || !d.within(c, s) {
			continue
		}
		if in := d.total(int32(i)); 10*in >= blamed*total && in >= 2 && d.isSpread(int32(i)) && !d.pinned(c.key) {
			best = int32(i)
		}
	}
	return best
}

// within reports whether a slot's prefix is part of another's.
func (d *detector) within(narrow, wide *slot) bool {
	return narrow.trunk() == wide.trunk() && isWithin(narrow.key&keyMask, wide.key&keyMask)
}

// isWithin reports whether a prefix, without its trunk, is part of another.
func isWithin(narrow, wide uint64) bool {
	by := keySize(narrow) - keySize(wide)
	return narrow&1 == wide&1 && by > 0 && narrow>>5/pow10[by] == wide>>5
}

// explained takes what a range that trips has counted out of the ranges that it is part of: they trip by what it does not explain.
func (d *detector) explained(at int32) {
	if d.Key != policy.ByPrefix || len(d.Levels) < 2 {
		return
	}
	s := d.slots.all[at]
	for level := range int(s.level) {
		size := d.Levels[level].Digits + int(s.code)
		by := keySize(s.key&keyMask) - size
		if by <= 0 {
			continue
		}
		wide := s.key&^keyMask | packed((s.key&keyMask)>>5/pow10[by], size, s.key&1 == 1)
		w := d.slots.find(wide)
		if w < 0 {
			continue
		}
		d.slots.all[w].count.without(&s.count)
		if d.spread {
			d.slots.spread[w].without(&d.slots.spread[at], s.key&keyMask>>5/pow10[by-1]%10)
		}
	}
}

// without takes out what a narrower range explains: the digit that leads to it, and its blocks of ten.
func (s *spread) without(narrow *spread, digit uint64) {
	for i := range s.digits {
		s.digits[i] &^= 1 << digit
	}
	for i := range s.tens {
		for j := range narrow.tens {
			if s.tens[i].last != 0 && s.tens[i].block == narrow.tens[j].block && narrow.tens[j].last != 0 {
				s.tens[i] = ten{}
			}
		}
	}
}
