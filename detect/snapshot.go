package detect

import (
	"encoding/binary"
	"errors"
	"maps"
	"runtime"
	"slices"

	"ringfence/policy"
)

// snapshotForm is how a snapshot is written; another one is not read.
const snapshotForm = "detect 1\n"

// maxSnapshot bounds what Load reads, in bytes.
const maxSnapshot = 256 << 20

var errSnapshot = errors.New("what detectors had counted cannot be read: they begin anew, but for breakers that are kept elsewhere")

// snapshot writes all that was counted: the clock, names, who called before, what is usual, and each detector with its keys. What stands
// at the door is left out: it is of the calls of minutes.
//
// Calls go on meanwhile: a detector after the other is copied at once, and the copy written while calls are counted. The clock and the names come
// last, so that they have all that the copies speak of.
func (s *Set) snapshot() []byte {
	for {
		if b, ok := s.trySnapshot(); ok {
			return b
		}
	}
}

// trySnapshot is snapshot; false if another set has taken over meanwhile.
func (s *Set) trySnapshot() ([]byte, bool) {
	t := s.lock()
	held := true
	defer func() {
		if held {
			t.mu.Unlock()
		}
	}()
	release := func() { held = false; t.mu.Unlock() }
	again := func() bool { held = s.lockAgain(t); return held }

	tail := binary.AppendUvarint(nil, uint64(len(t.all)))
	for _, d := range t.all {
		c := d.copied()
		release()
		tail = c.appendAll(tail)
		if !again() {
			return nil, false
		}
	}
	// The newer half first: when it becomes the older one meanwhile, nobody is lost but those who are forgotten then.
	newer := numberSet{slices.Clone(t.seen.newer.at), t.seen.newer.n}
	release()
	if !again() {
		return nil, false
	}
	older := numberSet{slices.Clone(t.seen.older.at), t.seen.older.n}
	release()
	if !again() {
		return nil, false
	}
	b := append([]byte(nil), snapshotForm...)
	b = binary.AppendVarint(b, t.clock.now)
	b = binary.AppendVarint(b, t.clock.ahead)
	b = binary.AppendVarint(b, t.clock.leaps)
	for _, n := range []*names{&t.trunks, &t.holders} {
		b = binary.AppendUvarint(b, uint64(len(n.list)))
		for _, text := range n.list {
			b = appendText(b, text)
		}
	}
	recent := t.recent.append(nil, t.clock.now)
	budgets := t.budgets.append(nil)
	acts := t.appendActs(nil)
	release()

	for _, set := range []*numberSet{&older, &newer} {
		b = binary.AppendUvarint(b, uint64(set.n))
		for _, v := range set.at {
			if v != 0 {
				b = binary.AppendUvarint(b, v)
			}
		}
	}
	b = append(b, recent...)
	b = appendText(b, t.zone.String())
	b = appendPiece(b, budgets)
	return append(append(b, tail...), acts...), true
}

// lockAgain locks a set that was let go of for a moment, so that calls which waited come first; false, and nothing locked, if another has taken over.
func (s *Set) lockAgain(t *Set) bool {
	runtime.Gosched()
	next := s.lock()
	if next == t {
		return true
	}
	next.mu.Unlock()
	return false
}

// copied is what append needs of a detector, as it is now.
func (d *detector) copied() *detector {
	c := *d
	x := &c.slots
	x.all, x.gens, x.calls, x.legs = slices.Clone(x.all), slices.Clone(x.gens), slices.Clone(x.calls), slices.Clone(x.legs)
	x.spread, x.last, x.texts = slices.Clone(x.spread), slices.Clone(x.last), maps.Clone(x.texts)
	for i := range x.all {
		if b := x.all[i].b; b != nil {
			x.all[i].b = new(*b)
		}
	}
	c.members.all, c.lines.all = slices.Clone(d.members.all), slices.Clone(d.lines.all)
	c.pins, c.pinTexts = maps.Clone(d.pins), maps.Clone(d.pinTexts)
	for key, pin := range c.pins {
		c.pins[key] = new(*pin)
	}
	if d.habits != nil {
		c.habits = d.habits.copied()
	}
	return &c
}

// appendAll writes a detector with all that it has.
func (d *detector) appendAll(b []byte) []byte {
	b = appendText(b, d.Name)
	b = append(b, byte(d.Key))
	b = binary.AppendUvarint(b, d.shape())
	b = appendPiece(b, d.appendPins(nil))
	b = appendPiece(b, d.append(nil))
	habits := []byte(nil)
	if d.habits != nil {
		habits = d.habits.append(nil)
	}
	return appendPiece(b, habits)
}

// appendPiece writes bytes with their number before them, so that who cannot read them leaves them out.
func appendPiece(b, piece []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(piece)))
	return append(b, piece...)
}

func (r *varints) piece() *varints {
	n := r.unsigned(maxSnapshot)
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return &varints{bad: true}
	}
	return &varints{b: r.bytes(int(n))}
}

func (r *recent) append(b []byte, now int64) []byte {
	var calls []callTime
	for _, half := range [][]callTime{r.older.all, r.newer.all} {
		for _, t := range half {
			if t.at != 0 && now-t.at < sameCall {
				calls = append(calls, t)
			}
		}
	}
	b = binary.AppendUvarint(b, uint64(len(calls)))
	for _, c := range calls {
		b = binary.AppendUvarint(b, c.call)
		b = binary.AppendUvarint(b, uint64(now-c.at))
	}
	return b
}

func (r *ring) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.cur))
	has := uint64(0)
	for i, n := range r.n {
		if n != 0 {
			has |= 1 << i
		}
	}
	b = binary.AppendUvarint(b, has)
	for _, n := range r.n {
		if n != 0 {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

// append writes the keys of a detector with what they count.
func (d *detector) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(d.slots.used))
	number := make([]uint32, len(d.slots.all))
	n := uint32(0)
	for i := range d.slots.all {
		s := &d.slots.all[i]
		if !s.used() {
			continue
		}
		number[i] = n
		n++
		b = binary.AppendUvarint(b, s.key)
		b = append(b, s.level, s.code)
		b = s.count.append(b)
		b = d.appendBeside(b, int32(i))
		if s.b == nil {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		b = s.b.append(b)
	}
	return d.appendMembers(b, number)
}

// appendBeside writes what only some detectors have of a key.
func (d *detector) appendBeside(b []byte, at int32) []byte {
	if d.slots.calls != nil {
		b = d.slots.calls[at].append(b)
	}
	if d.slots.legs != nil {
		b = d.slots.legs[at].append(b)
	}
	if d.slots.spread != nil {
		x := &d.slots.spread[at]
		b = binary.AppendUvarint(b, uint64(x.last))
		for _, digits := range x.digits {
			b = binary.AppendUvarint(b, uint64(digits))
		}
		for _, t := range x.tens {
			if t.last == 0 {
				b = append(b, 0)
				continue
			}
			b = append(b, 1)
			b = binary.AppendUvarint(b, uint64(t.block))
			b = binary.AppendUvarint(b, uint64(t.last))
		}
	}
	if d.slots.last != nil {
		b = binary.AppendUvarint(b, d.slots.last[at])
	}
	if d.Key == policy.ByCallee {
		b = appendText(b, d.slots.texts[at])
	}
	return b
}

// appendMembers writes the members and lines that count, by the numbers of their slots in the snapshot.
func (d *detector) appendMembers(b []byte, number []uint32) []byte {
	lines := make(map[int32]uint64)
	part := []byte(nil)
	d.lines.each(func(at int32, e *entry[lineCount]) {
		if !d.alive(e.slot, e.last) {
			return
		}
		lines[at] = uint64(len(lines) + 1)
		part = binary.AppendUvarint(part, uint64(number[e.slot>>16]))
		part = binary.AppendUvarint(part, e.id)
		part = binary.AppendUvarint(part, uint64(e.last))
		for _, n := range e.v {
			part = binary.AppendUvarint(part, uint64(n))
		}
	})
	b = binary.AppendUvarint(b, uint64(len(lines)))
	b = append(b, part...)
	count := uint64(0)
	part = part[:0]
	d.members.each(func(_ int32, e *entry[int32]) {
		if !d.alive(e.slot, e.last) {
			return
		}
		count++
		part = binary.AppendUvarint(part, uint64(number[e.slot>>16]))
		part = binary.AppendUvarint(part, e.id)
		part = binary.AppendUvarint(part, uint64(e.last))
		line := uint64(0)
		if d.PerLine > 0 && e.v >= 0 {
			line = lines[e.v]
		}
		part = binary.AppendUvarint(part, line)
	})
	b = binary.AppendUvarint(b, count)
	return append(b, part...)
}

func (d *detector) appendPins(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(d.pins)))
	for _, key := range slices.Sorted(maps.Keys(d.pins)) {
		pin := d.pins[key]
		b = binary.AppendUvarint(b, key)
		b = appendText(b, d.pinTexts[key&keyMask])
		b = pin.append(b)
	}
	return b
}

func (b *breaker) append(to []byte) []byte {
	to = append(to, b.state, b.pinned, b.given, b.ended)
	for _, v := range []int64{
		int64(b.trips), b.since, b.until, b.hold, b.round, b.lastGiven, b.lastCall, b.proof, int64(b.n), int64(b.limit), int64(b.calls), int64(b.usual * 1000),
	} {
		to = binary.AppendVarint(to, v)
	}
	for _, v := range []uint64{b.good, b.part, b.touched, b.would} {
		to = binary.AppendUvarint(to, v)
	}
	to = appendText(to, cutText(b.by))
	return appendText(to, cutText(b.told))
}

// cutText bounds a text of a snapshot.
func cutText(s string) string { return s[:min(len(s), 512)] }
