package detect

import "ringfence/policy"

func (d *detector) countsConcurrent() bool { return d.kinds&(1<<policy.CountConcurrent) != 0 }
func (d *detector) countsSequential() bool { return d.kinds&(1<<policy.CountSequential) != 0 }

// applies are the kinds of things that a call is when it comes in, a bit each.
func (n *Count) applies() uint16 {
	kinds := uint16(1 << policy.CountCalls)
	if n.id.callee != 0 {
		kinds |= 1 << policy.CountCallees
		if n.id.decoy {
			kinds |= 1 << policy.CountDecoys
		}
		if !n.id.noDigits {
			kinds |= 1 << policy.CountSequential
		}
	}
	if n.id.caller != 0 {
		kinds |= 1 << policy.CountCallers
		if n.id.stranger {
			kinds |= 1 << policy.CountStrangers
		}
		if n.FirstTime {
			kinds |= 1 << policy.CountFirstTime
		}
	}
	if n.id.leg != 0 {
		kinds |= 1 << policy.CountConcurrent
	}
	return kinds
}

// member is who or what a kind counts once.
func (id *ident) member(kind policy.Counted) uint64 {
	switch kind {
	case policy.CountCallees:
		return id.callee
	case policy.CountDecoys:
		return pairKey(id.caller, id.callee)
	case policy.CountReports:
		return id.customer & keyMask // whatever callers of the key he marks: else one customer could close a range out
	case policy.CountConcurrent:
		return id.leg
	}
	return id.caller
}

// have is where a key was found, -1 if it has no slot or has lost it to another since.
func (d *detector) have(x *step, level int) int32 {
	if at := d.found[level]; at >= 0 && d.slots.all[at].key == x.key {
		return at
	}
	return -1
}

// take makes a slot for a key of a call that has none, -1 without room.
func (d *detector) take(x *step, level int, id *ident) int32 {
	at := d.slots.take(x.key, uint8(level), id.code, 1)
	if at >= 0 && x.key&hashedKey != 0 {
		d.slots.name(at, id.text)
	}
	return at
}

// count adds what a call is by those kinds to a slot.
func (d *detector) count(at int32, x *step, n *Count, kinds uint16) {
	s := &d.slots.all[at]
	s.count.advance(d.now())
	before := s.count.total
	for _, w := range d.Count {
		if kinds&(1<<w.Count) == 0 {
			continue
		}
		k := int32(w.Weight)
		switch w.Count {
		case policy.CountCalls, policy.CountShortCalls, policy.CountUnanswered:
			if d.PerLine > 0 {
				if _, ok := d.lineRoom(at, n.id.callee); !ok {
					continue
				}
			}
			s.count.add(d.now(), k)
		case policy.CountSequential:
			if d.follows(at, n.id.callee) {
				s.count.add(d.now(), k)
			}
		case policy.CountConcurrent:
			d.countLeg(at, n.id.leg, k)
		default:
			d.countOnce(at, x, w.Count, n, k)
		}
	}
	if s.count.total > before && d.spread {
		d.spreads(at, x, &n.id)
	}
	n.grew(d.number, s.count.total-before)
}

// countOnce counts a member of a key, once within a window. One that is there already counts from now on.
func (d *detector) countOnce(at int32, x *step, kind policy.Counted, n *Count, k int32) {
	s := &d.slots.all[at]
	ref, id, now := d.slots.ref(at), uint64(kind)<<keyBits|n.id.member(kind), d.now()
	m := d.members.find(ref, id)
	if m >= 0 && d.counts(d.members.all[m].last) {
		e := &d.members.all[m]
		if e.last >= now {
			return
		}
		if d.PerLine > 0 {
			to, ok := d.moveLine(at, e.v, e.last, n.id.callee)
			if !ok {
				return // it counts by another called number, for as long as that lasts
			}
			e.v = to
		}
		s.count.take(e.last, k)
		s.count.add(now, k)
		e.last = now
		if d.spread {
			d.spreads(at, x, &n.id)
		}
		return
	}
	if s.count.total >= d.most(s.level) {
		if d.spread && d.hasLineRoom(at, n.id.callee) { // it is full of one corner, and the calls come from all over by now
			d.spreads(at, x, &n.id)
		}
		return
	}
	line := int32(-1)
	if d.PerLine > 0 {
		var ok bool
		if line, ok = d.lineRoom(at, n.id.callee); !ok {
			return
		}
	}
	if m < 0 {
		if m = d.members.insert(ref, id, now); m < 0 {
			d.capped++
			d.lineBack(line, now)
			return
		}
	}
	e := &d.members.all[m]
	e.last, e.v = now, line
	s.count.add(now, k)
}

// lineRoom takes room under per_line for one thing that comes by a call to a number; ok is false if there is none. line is where the
// number is counted. It is asked only where there is a per_line.
func (d *detector) lineRoom(at int32, callee uint64) (line int32, ok bool) {
	ref, now := d.slots.ref(at), d.now()
	line = d.lines.find(ref, callee)
	if line < 0 {
		if line = d.lines.insert(ref, callee, now); line < 0 {
			d.capped++
			return -1, false
		}
	}
	l := &d.lines.all[line]
	for gone := l.last + 1; gone <= now && gone-l.last <= subs; gone++ {
		l.v[gone%subs] = 0
	}
	l.last = max(l.last, now)
	total := 0
	for _, n := range l.v {
		total += int(n)
	}
	if total >= d.PerLine {
		return line, false
	}
	l.v[now%subs]++
	return line, true
}

// hasLineRoom reports whether lineRoom would find some, and takes none.
func (d *detector) hasLineRoom(at int32, callee uint64) bool {
	if d.PerLine == 0 {
		return true
	}
	line := d.lines.find(d.slots.ref(at), callee)
	if line < 0 {
		return true
	}
	l, total := &d.lines.all[line], 0
	for back := range uint32(subs) {
		if sub := l.last - back; live(sub, d.now()) {
			total += int(l.v[sub%subs])
		}
	}
	return total < d.PerLine
}

// lineBack gives room of a line back that was taken in a sub-window.
func (d *detector) lineBack(line int32, sub uint32) {
	if line < 0 {
		return
	}
	if l := &d.lines.all[line]; l.last-sub < subs && l.v[sub%subs] > 0 {
		l.v[sub%subs]--
	}
}

// moveLine has what counted by a call to one number in a sub-window count by one to another now, if that has room.
func (d *detector) moveLine(at, from int32, sub uint32, callee uint64) (line int32, ok bool) {
	if from >= 0 && d.lines.all[from].id == callee {
		d.lineBack(from, sub) // one's own room is always there
	}
	if line, ok = d.lineRoom(at, callee); ok && from != line {
		d.lineBack(from, sub)
	}
	return line, ok
}

// countLeg counts a call that is under way, until its end is told or four hours have passed.
func (d *detector) countLeg(at int32, leg uint64, k int32) {
	ref, id, now := d.slots.ref(at), uint64(policy.CountConcurrent)<<keyBits|leg, d.legSub()
	legs := &d.slots.legs[at]
	legs.advance(now)
	m := d.members.find(ref, id)
	switch {
	case m >= 0 && live(d.members.all[m].last&^isLeg, now):
		return
	case legs.total >= d.most(d.slots.all[at].level):
		return
	case m < 0:
		if m = d.members.insert(ref, id, now|isLeg); m < 0 {
			d.capped++
			return
		}
	}
	d.members.all[m].last = now | isLeg
	legs.add(now, k)
}

// endLeg takes a call that has ended out of those under way.
func (d *detector) endLeg(at int32, leg uint64) {
	m := d.members.find(d.slots.ref(at), uint64(policy.CountConcurrent)<<keyBits|leg)
	if m < 0 {
		return
	}
	for _, w := range d.Count {
		if w.Count == policy.CountConcurrent {
			legs := &d.slots.legs[at]
			legs.advance(d.legSub())
			legs.take(d.members.all[m].last&^isLeg, int32(w.Weight))
		}
	}
	d.members.remove(m)
}

// follows reports whether a called number is one of the three behind the one that was called before it.
func (d *detector) follows(at int32, callee uint64) bool {
	last := d.slots.last[at]
	d.slots.last[at] = callee
	if last == 0 || last&31 != callee&31 { // of another length, or written otherwise
		return false
	}
	const most = 3
	step := callee>>5 - last>>5
	return step >= 1 && step <= most
}

// total is what a slot counts now, with what other nodes count of it.
func (d *detector) total(at int32) int32 {
	s := &d.slots.all[at]
	s.count.advance(d.now())
	total := s.count.total + d.far(at)
	if d.slots.legs != nil {
		d.slots.legs[at].advance(d.legSub())
		total += d.slots.legs[at].total
	}
	return total
}
