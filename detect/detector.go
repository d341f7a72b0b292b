package detect

import (
	"math"
	"time"

	"ringfence/policy"
)

// Bounds of all detectors together, shared out among them; and of one.
const (
	allSlots, maxSlots     = 65_536, 8_192
	allMembers, maxMembers = 524_288, 131_072
	allLines, maxLines     = 65_536, 16_384
	saturated              = 4     // times the trip: what a key counts goes no further
	mostOfShare            = 4_096 // members of a key whose trip is no fixed count
	legWindow              = 4 * time.Hour
	maxLevels              = 16
)

const _ int16 = maxSlots // slots are numbered by it

// detector is one of the policy's with what it counts.
type detector struct {
	*policy.Detector
	set    *Set
	way    *way
	number int
	kinds  uint16 // what it counts, a bit each
	spread bool   // its prefixes trip only when the calls come from all over them
	decoys bool   // it counts decoys alone
	sub    int64  // the length of a sub-window, in milliseconds

	trips       [maxLevels]int32 // at which count, by level; 0 where that is not fixed
	cur, curLeg uint32           // sub-windows under way

	found [maxLevels]int32 // where the keys of the call that is followed have their slots, -1 for none

	slots    slots
	members  table[int32]
	lines    table[lineCount]
	door     door
	habits   *habits // where it trips by a surge
	pins     map[uint64]*breaker
	pinTexts map[uint64]string // of their keys that cannot be read from them
	evicted  uint64
	capped   uint64

	noneClosed [256]int64 // by trunk: when no breaker was found that is only remembered

	abroad    *abroad          // what other nodes have said, nil for nothing
	told      map[uint64]told  // what was told to them
	toldSwept int64            // when those were forgotten that count nothing any more
	anews     map[uint64]int64 // when keys closed, as far as others may not know yet
	acts      map[uint64]act   // what persons did to keys lately, where there are other nodes
	asOf      int64            // when what is being done was done on another node; 0: it is done here

	closings map[uint64]closing // breakers that closed by what callers did lately
}

// lineCount is how much of one called number counts for a key, by sub-window.
type lineCount [subs]uint16

func (s *Set) newDetector(i int, spec *policy.Detector, of int) *detector {
	d := &detector{Detector: spec, set: s, number: i, sub: max(spec.Window.Milliseconds()/subs, 1)}
	for _, w := range spec.Count {
		d.kinds |= 1 << w.Count
		put(&s.busy.counting[w.Count], i, true)
	}
	put(&s.busy.shares, i, spec.Share > 0)
	put(&s.busy.surges, i, spec.Surge > 0)
	d.decoys = d.kinds == 1<<policy.CountDecoys
	d.spread = spec.Key == policy.ByPrefix && spec.Trip == 0 && spec.Share == 0 && spec.Surge == 0
	for level := range d.trips {
		d.trips[level] = int32(min(spec.Trip, math.MaxInt32))
		if level < len(spec.Levels) && spec.Levels[level].Trip > 0 {
			d.trips[level] = int32(min(spec.Levels[level].Trip, math.MaxInt32))
		}
	}
	bound := func(all, most int) int { return min(most, max(all/max(of, 1), 1024)) }
	seed := mix(s.seed + uint64(i))
	d.way = s.wayOf(d)
	d.slots.init(bound(allSlots, maxSlots), d)
	d.members = newTable[int32](bound(allMembers, maxMembers), seed, d)
	d.lines = newTable[lineCount](bound(allLines, maxLines), seed, d)
	d.door.seed, d.door.rand = seed, seed
	if spec.Surge > 0 {
		d.habits = newHabits(s.zone, min(maxHabits, max(allHabits/max(of, 1), 256)), surgeHours)
	}
	return d
}

// fresh reports whether what was in a sub-window counts by now, alive whether its slot does as well.
func (d *detector) fresh(last uint32) bool {
	if last&isLeg != 0 {
		return live(last&^isLeg, d.legSub())
	}
	return d.counts(last)
}

func (d *detector) alive(slot, last uint32) bool { return d.slots.is(slot) && d.fresh(last) }

// now is the sub-window that is under way.
func (d *detector) now() uint32 { return d.cur }

// keepTime follows the set's clock, and says when it has to next: when another sub-window begins.
func (d *detector) keepTime() (next int64) {
	const leg = int64(legWindow / time.Millisecond / subs)
	cur, curLeg := d.set.clock.now/d.sub, d.set.clock.now/leg
	d.cur, d.curLeg = uint32(cur), uint32(curLeg)
	return min((cur+1)*d.sub, (curLeg+1)*leg)
}

func (d *detector) counts(last uint32) bool { return live(last, d.now()) }

// legSub is the sub-window of calls that are under way: they are forgotten when their end is not told in four hours.
func (d *detector) legSub() uint32 { return d.curLeg }

// isLeg marks the sub-window of a member that is a call under way.
const isLeg = 1 << 31

// trip is at which count a key of a level trips; 0 where that is not fixed.
func (d *detector) trip(level uint8) int32 { return d.trips[level] }

// most is where a key's count of members ends.
func (d *detector) most(level uint8) int32 {
	if t := d.trip(level); t > 0 {
		return saturated * t
	}
	return mostOfShare
}

// hold is how long a breaker stays tripped at first, and at most, in milliseconds.
func (d *detector) hold() (first, most int64) {
	first, most = d.Hold.Milliseconds(), d.HoldMax.Milliseconds()
	if d.decoys { // two calls with a false number must not take it away from whose it is; a person can pin it
		first, most = min(first, time.Hour.Milliseconds()), min(most, time.Hour.Milliseconds())
	}
	return first, max(first, most)
}

func (d *detector) habitName(key uint64) habitKey {
	return habitKey{trunk: d.set.trunkName(key), key: key & keyMask}
}

func (d *detector) habitKey(at int32) habitKey { return d.habitName(d.slots.all[at].key) }

// spoil keeps what a key does now from becoming its habit.
func (d *detector) spoil(at int32) {
	if d.habits != nil {
		d.habits.spoil(d.habitKey(at), d.set.clock.time(d.set.clock.now))
	}
}

// tell has the sink know how a slot's breaker is. While a person holds it, that is what outlives the program.
func (d *detector) tell(at int32) {
	if d.abroad != nil {
		d.abroad.stale = true
	}
	if key := d.slots.all[at].key; d.pins[key] != nil {
		d.tellPin(key)
	} else if d.set.sink != nil {
		d.set.sink.Changed(d.breaker(at).kept())
	}
}

// breaker is a slot's as people see it.
func (d *detector) breaker(at int32) Breaker {
	s := &d.slots.all[at]
	x := Breaker{Detector: d.Name, Trunk: d.set.trunkName(s.key), Key: d.keyText(s.key, at), State: Closed}
	if s.far != 0 {
		d.farNow(at)
	}
	m := d.measure(s.key, int(s.level), at)
	x.Count, x.Trip = int(m.n), int(m.limit)
	d.elsewhere(&x, at)
	if b := s.b; b != nil {
		d.describe(&x, b)
	}
	return x
}

func (d *detector) describe(x *Breaker, b *breaker) {
	x.State, x.Since, x.Trips = stateNames[b.state], d.set.clock.time(b.since), int(b.trips)
	x.Hold = time.Duration(b.hold) * time.Millisecond
	x.Touched, x.Would, x.By, x.Pinned, x.Node = b.touched, b.would, b.by, pinNames[b.pinned], b.node
	if b.state != closed && b.pinned == notPinned {
		x.Why = d.why(b)
	}
	if b.state == tripped {
		x.Until = d.set.clock.time(b.until)
	}
}
