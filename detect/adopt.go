package detect

import (
	"math"
	"slices"

	"ringfence/policy"
)

// lock locks the set that counts: the one itself, or the one that has taken over from it.
func (s *Set) lock() *Set {
	for {
		s.mu.Lock()
		next := s.next
		if next == nil {
			return s
		}
		s.mu.Unlock()
		s = next
	}
}

// translate gives some detectors of one set as those of the same names of another.
func translate(all policy.DetectorSet, from, to *Set) policy.DetectorSet {
	if from == to || from == nil || all == 0 {
		return all
	}
	if all == ^policy.DetectorSet(0) {
		return all
	}
	var set policy.DetectorSet
	for i := range from.detectors {
		if !all.Has(i) {
			continue
		}
		if j := to.number(from.detectors[i].Name); j >= 0 {
			set = set.With(j)
		}
	}
	return set
}

func (s *Set) number(name string) int {
	return slices.IndexFunc(s.detectors, func(d policy.Detector) bool { return d.Name == name })
}

// read gives a count by the detectors of another set.
func (n *Count) read(to *Set) *Count {
	if n.of == to || n.of == nil {
		return n
	}
	m := *n
	m.of = to
	for _, set := range []*policy.DetectorSet{&m.Tripped, &m.OnTrial, &m.protected, &m.probe} {
		*set = translate(*set, n.of, to)
	}
	m.added = [policy.MaxDetectors]uint8{}
	for i := range n.of.detectors {
		if j := to.number(n.of.detectors[i].Name); j >= 0 {
			m.added[j] = n.added[i]
		}
	}
	return &m
}

// keep takes over what was noted in a count that was read for another set.
func (n *Count) keep(m *Count) {
	n.touched, n.stopped = m.touched, m.stopped
	if m.probe == 0 {
		n.probe = 0
	}
}

// adopt takes over what an earlier set has.
func (s *Set) adopt(from *Set) {
	s.turn = math.MinInt64
	s.clock, s.trunks, s.holders, s.seen, s.recent = from.clock, from.trunks, from.holders, from.seen, from.recent
	if from.zone.String() == s.zone.String() {
		s.budgets = from.budgets
	}
	s.lastTrunk.known = false
	s.peers, s.shared, s.toldAll, s.round = from.peers, from.shared, from.toldAll, from.round
	s.busy.open, s.busy.pinned = [256]policy.DetectorSet{}, 0
	for _, d := range s.all {
		d.keepTime()
		i := from.number(d.Name)
		if i < 0 || from.all[i].Key != d.Key {
			continue
		}
		e := from.all[i]
		if d.countsLike(e) {
			d.takeAll(e)
		} else {
			d.takeBreakers(e)
		}
		d.notePins()
		d.acts, d.closings = e.acts, e.closings
	}
	s.recountPeers()
	from.all, from.next = nil, s
	from.seen, from.recent, from.budgets = seen{}, recent{}, nil
}

// countsLike reports whether two detectors count the same in the same way.
func (d *detector) countsLike(e *detector) bool {
	return d.shape() == e.shape()
}

// shape is what the counts of a detector mean.
func (d *detector) shape() uint64 {
	h := uint64(d.Key)
	add := func(v uint64) { h = mix(h ^ v + 0x9e3779b97f4a7c15) }
	for _, l := range d.Levels {
		add(uint64(l.Digits))
	}
	for _, w := range d.Count {
		add(uint64(w.Count)<<32 | uint64(w.Weight))
	}
	add(uint64(d.Window))
	add(uint64(d.PerLine))
	for _, has := range []bool{d.Share > 0, d.spread} {
		add(1)
		if has {
			add(2)
		}
	}
	return h
}

// takeAll takes over all that a detector has.
func (d *detector) takeAll(e *detector) {
	limit := d.slots.limit
	d.slots = e.slots
	for trunk, n := range d.slots.open {
		put(&d.set.busy.open[trunk], d.number, n > 0)
	}
	d.slots.d, d.slots.limit = d, max(limit, len(d.slots.all))
	d.slots.rehash()
	most := max(d.members.most, len(e.members.all))
	d.members = e.members
	d.members.d, d.members.most = d, most
	most = max(d.lines.most, len(e.lines.all))
	d.lines = e.lines
	d.lines.d, d.lines.most = d, most
	d.door = e.door
	if d.habits != nil && e.habits != nil && d.set.zone.String() == e.set.zone.String() {
		d.habits = e.habits
	}
	d.pins, d.pinTexts, d.evicted, d.capped = e.pins, e.pinTexts, e.evicted, e.capped
	d.takeAbroad(e)
}

// takeBreakers takes over what holds calls, and pins.
func (d *detector) takeBreakers(e *detector) {
	d.pins, d.pinTexts = e.pins, e.pinTexts
	for i := range e.slots.all {
		s := &e.slots.all[i]
		if !s.used() || !s.holds() {
			continue
		}
		if at := d.placeKey(s.key, e.keyText(s.key, int32(i))); at >= 0 {
			b := *s.b
			b.told = e.why(s.b)
			d.put(at, &b)
		}
	}
}

// placeKey is the slot of a key that a breaker is of, -1 if it cannot be one of the detector's.
func (d *detector) placeKey(key uint64, text string) int32 { return d.placeFor(key, text, 0) }

// placeFor is placeKey for a key that counts so much elsewhere.
func (d *detector) placeFor(key uint64, text string, weight int32) int32 {
	level, code := d.levelOfKey(key), 0
	if level < 0 {
		return -1
	}
	if k := key & keyMask; d.Key == policy.ByPrefix && k&1 == 1 {
		code = codeSize(k)
	}
	if at := d.slots.find(key); at >= 0 {
		return at
	}
	at := d.slots.take(key, uint8(level), uint8(code), weight)
	if at >= 0 && key&hashedKey != 0 && d.Key == policy.ByCallee {
		d.slots.name(at, text)
	}
	return at
}

// levelOfKey is the level that a prefix is of, 0 where keys have none; -1 for a prefix that is longer than the detector counts.
func (d *detector) levelOfKey(key uint64) int {
	if d.Key != policy.ByPrefix {
		return 0
	}
	k, code := key&keyMask, 0
	if k&1 == 1 {
		code = codeSize(k)
	}
	return slices.IndexFunc(d.Levels, func(l policy.Level) bool { return l.Digits+code >= keySize(k) })
}

// put gives a slot a breaker in place of the one that it has.
func (d *detector) put(at int32, b *breaker) {
	s := &d.slots.all[at]
	if s.b == nil {
		d.opened(s.trunk(), 1)
	}
	if s.b = b; d.abroad != nil {
		d.abroad.stale = true
	}
}
