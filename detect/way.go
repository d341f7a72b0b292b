package detect

import (
	"slices"

	"ringfence/policy"
)

// way is the keys that a call counts for by detectors that keep the same apart, the widest first: one key, but for prefixes. It is made
// for the first of them and holds for the others, until another call is followed.
type way struct {
	like  *detector // one of them
	call  uint64    // of which it is
	steps []step
	room  [maxLevels]step
}

// step is one key of a way.
type step struct {
	key, hash uint64
	digit     uint8 // of a prefix: which digit comes next, a wholeBit for none
}

// wayOf is the way of a detector, made by the first that keeps the same apart.
func (s *Set) wayOf(d *detector) *way {
	for _, w := range s.ways {
		if w.like.Key == d.Key && slices.EqualFunc(w.like.Levels, d.Levels, func(a, b policy.Level) bool { return a.Digits == b.Digits }) {
			return w
		}
	}
	w := &way{like: d}
	s.ways = append(s.ways, w)
	return w
}

// follow begins with another call.
func (s *Set) follow() { s.call++ }

// steps are the keys that a call counts for by a detector, for the call that is followed.
func (d *detector) steps(id *ident) []step {
	if d.way.call != d.set.call {
		d.way.make(id, d.set)
	}
	return d.way.steps
}

func (w *way) make(id *ident, s *Set) {
	var room [maxLevels]uint64
	w.call, w.steps = s.call, w.room[:0]
	for _, key := range w.like.path(id, room[:0]) {
		x := step{key: key, hash: mix(key ^ s.keySeed)}
		if w.like.Key == policy.ByPrefix {
			x.digit = id.digitBehind(keySize(key))
		}
		w.steps = append(w.steps, x)
	}
}

// digitBehind is the caller's digit behind so many, wholeBit if there is none.
func (id *ident) digitBehind(size int) uint8 {
	left := int(id.size) - size
	if left <= 0 {
		return wholeBit
	}
	return uint8(id.digits / pow10[left-1] % 10)
}

// seek finds the slots of a call's keys; the places are in d.found, -1 for those that have none. To find those of all detectors first has the
// memory bring them side by side, which takes longer than all that is counted then.
func (d *detector) seek(id *ident) {
	steps := d.steps(id)
	for level := range steps {
		x := &steps[level]
		d.found[level] = d.slots.findBy(x.key, x.hash)
	}
}
