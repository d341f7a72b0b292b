package detect

import (
	"maps"
	"slices"

	"ringfence/policy"
)

// load reads a snapshot into a set that has counted nothing.
func (s *Set) load(snapshot []byte) error {
	if len(snapshot) > maxSnapshot || len(snapshot) < len(snapshotForm) || string(snapshot[:len(snapshotForm)]) != snapshotForm {
		return errSnapshot
	}
	r := &varints{b: snapshot[len(snapshotForm):]}
	now, ahead, leaps := r.signed64(), r.signed64(), r.signed64()
	const latest = 253402300800000 // the year 9999
	if r.bad || now < 0 || now > latest || ahead < -latest || ahead > latest || leaps < 0 || leaps > now {
		return errSnapshot
	}
	s.clock = clock{now: now, ahead: ahead, leaps: leaps, started: true}
	for _, n := range []*names{&s.trunks, &s.holders} {
		for count := r.unsigned(uint64(n.limit)); count > 0 && !r.bad; count-- {
			n.id(r.text())
		}
	}
	for _, set := range []*numberSet{&s.seen.older, &s.seen.newer} {
		for count := r.unsigned(maxSeen); count > 0 && !r.bad; count-- {
			if v := r.unsigned(keyMask); v != 0 {
				set.add(v)
			}
		}
	}
	for count := r.unsigned(2 * maxRecent); count > 0 && !r.bad; count-- {
		key, age := r.unsigned(1<<64-1), int64(r.unsigned(uint64(sameCall)))
		s.recent.same(key, now-age, true)
	}
	sameZone := r.text() == s.zone.String()
	if budgets := r.piece(); sameZone && !r.bad {
		if _, err := s.budgets.parse(budgets.b); err != nil {
			return err
		}
	}
	for count := r.unsigned(policy.MaxDetectors); count > 0 && !r.bad; count-- {
		s.loadDetector(r, sameZone)
	}
	if len(r.b) > 0 {
		s.loadActs(r)
	}
	if r.bad {
		return errSnapshot
	}
	return nil
}

// signed64 is signed for any value.
func (r *varints) signed64() int64 {
	v := r.unsigned(1<<64 - 1)
	return int64(v>>1) ^ -int64(v&1)
}

// loadDetector reads one of a snapshot's detectors. Of one that counts in another way now what holds calls is left.
func (s *Set) loadDetector(r *varints, sameZone bool) {
	name, key, shape := r.text(), policy.DetectorKey(r.bytes(1)[0]), r.unsigned(1<<64-1)
	pins, counts, habits := r.piece(), r.piece(), r.piece()
	i := s.number(name)
	if r.bad || i < 0 || s.all[i].Key != key {
		return
	}
	d := s.all[i]
	d.keepTime()
	if d.loadPins(pins); pins.bad {
		r.bad = true
		return
	}
	if shape != d.shape() {
		return // breakers come from where they are kept
	}
	if d.load(counts); counts.bad {
		r.bad = true
		return
	}
	if d.habits != nil && sameZone && len(habits.b) > 0 {
		if _, err := d.habits.parse(habits.b); err != nil {
			r.bad = true
		}
	}
}

func (d *detector) loadPins(r *varints) {
	for n := r.unsigned(mostPins); n > 0 && !r.bad; n-- {
		key, text, b := r.unsigned(1<<64-1), r.text(), d.loadBreaker(r)
		if !r.bad && b.pinned != notPinned {
			d.setPin(key, text, b)
		}
	}
}

func (d *detector) load(r *varints) {
	var at []int32
	for n := r.unsigned(maxSlots); n > 0 && !r.bad; n-- {
		at = append(at, d.loadSlot(r))
	}
	lines := []int32{-1}
	for n := r.unsigned(maxLines); n > 0 && !r.bad; n-- {
		lines = append(lines, d.loadLine(r, at))
	}
	for n := r.unsigned(maxMembers); n > 0 && !r.bad; n-- {
		slot, id, last, line := r.unsigned(maxSlots), r.unsigned(1<<64-1), uint32(r.unsigned(1<<32-1)), r.unsigned(maxLines)
		if r.bad || slot >= uint64(len(at)) || line >= uint64(len(lines)) {
			r.bad = true
			return
		}
		if at[slot] < 0 {
			continue
		}
		ref := d.slots.ref(at[slot])
		if !d.alive(ref, last) || d.members.find(ref, id) >= 0 || last&^isLeg > max(d.cur, d.curLeg) {
			continue
		}
		if m := d.members.insert(ref, id, last); m >= 0 {
			d.members.all[m].v = lines[line]
		}
	}
}

// loadSlot reads a key, and gives its place; -1 where there is no room for it now.
func (d *detector) loadSlot(r *varints) int32 {
	key, level, code := r.unsigned(1<<64-1), r.bytes(1)[0], r.bytes(1)[0]
	if r.bad || key == 0 || int(level) >= max(len(d.Levels), 1) || code > 3 || key&hashedKey == 0 && d.Key == policy.ByPrefix && keySize(key) == 0 {
		r.bad = true
		return -1
	}
	at := int32(-1)
	if d.slots.find(key) < 0 {
		at = d.slots.take(key, level, code, 0)
	}
	count := d.loadRing(r, d.cur)
	var calls, legs ring
	var where spread
	var last uint64
	text := ""
	if d.Share > 0 {
		calls = d.loadRing(r, d.cur)
	}
	if d.countsConcurrent() {
		legs = d.loadRing(r, d.curLeg)
	}
	if d.spread {
		where = d.loadSpread(r)
	}
	if d.countsSequential() {
		last = r.unsigned(1<<64 - 1)
	}
	if d.Key == policy.ByCallee {
		text = r.text()
	}
	var b *breaker
	if r.bytes(1)[0] != 0 {
		b = d.loadBreaker(r)
	}
	if at < 0 || r.bad {
		return -1
	}
	d.slots.all[at].count = count
	if d.Share > 0 {
		d.slots.calls[at] = calls
	}
	if d.countsConcurrent() {
		d.slots.legs[at] = legs
	}
	if d.spread {
		d.slots.spread[at] = where
	}
	if d.countsSequential() {
		d.slots.last[at] = last
	}
	if text != "" {
		d.slots.name(at, cutText(text))
	}
	if b != nil && b.pinned == notPinned {
		d.put(at, b)
	}
	return at
}

func (d *detector) loadRing(r *varints, now uint32) (x ring) {
	const most = 1 << 30
	x.cur = uint32(r.unsigned(uint64(now)))
	has := r.unsigned(1<<subs - 1)
	for i := range x.n {
		if has&(1<<i) != 0 {
			x.n[i] = int32(r.unsigned(most / subs))
			x.total += x.n[i]
		}
	}
	return x
}

func (d *detector) loadSpread(r *varints) (x spread) {
	x.last = uint32(r.unsigned(uint64(d.cur)))
	for i := range x.digits {
		x.digits[i] = uint16(r.unsigned(1<<(wholeBit+1) - 1))
	}
	for i := range x.tens {
		if r.bytes(1)[0] != 0 {
			x.tens[i] = ten{block: uint32(r.unsigned(1<<32 - 1)), last: uint32(r.unsigned(uint64(d.cur)))}
		}
	}
	return x
}

func (d *detector) loadLine(r *varints, at []int32) int32 {
	slot, id, last := r.unsigned(maxSlots), r.unsigned(1<<64-1), uint32(r.unsigned(uint64(d.cur)))
	var v lineCount
	for i := range v {
		v[i] = uint16(r.unsigned(1<<16 - 1))
	}
	if r.bad || slot >= uint64(len(at)) {
		r.bad = true
		return -1
	}
	if at[slot] < 0 {
		return -1
	}
	ref := d.slots.ref(at[slot])
	if d.lines.find(ref, id) >= 0 || !d.alive(ref, last) {
		return -1
	}
	line := d.lines.insert(ref, id, last)
	if line >= 0 {
		d.lines.all[line].v = v
	}
	return line
}

func (d *detector) loadBreaker(r *varints) *breaker {
	head := r.bytes(4)
	b := &breaker{state: head[0], pinned: head[1], given: head[2], ended: head[3]}
	const most = 1 << 50 // milliseconds, far beyond any date
	var v [12]int64
	for i := range v {
		if v[i] = r.signed64(); v[i] > most || v[i] < -most {
			r.bad = true
		}
	}
	b.trips, b.since, b.until, b.hold, b.round, b.lastGiven, b.lastCall, b.proof = int32(v[0]), v[1], v[2], v[3], v[4], v[5], v[6], v[7]
	b.n, b.limit, b.calls, b.usual = int32(v[8]), int32(v[9]), int32(v[10]), float32(v[11])/1000
	b.good, b.part, b.touched, b.would = r.unsigned(1<<64-1), r.unsigned(1<<64-1), r.unsigned(1<<64-1), r.unsigned(1<<64-1)
	b.by, b.told = r.text(), r.text()
	if int(b.state) >= len(stateNames) || int(b.pinned) >= len(pinNames) || b.hold < 0 || b.trips < 0 {
		r.bad = true
	}
	return b
}

// restored gives the breakers that were put back before a snapshot is read.
func (s *Set) restored() []Breaker {
	var all []Breaker
	for _, d := range s.all {
		for i := range d.slots.all {
			if d.slots.all[i].used() && d.slots.all[i].b != nil {
				all = append(all, d.breaker(int32(i)))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(d.pins)) {
			all = append(all, d.pinBreaker(key))
		}
	}
	return all
}
