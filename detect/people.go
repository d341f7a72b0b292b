package detect

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ringfence/policy"
)

// tick lets time pass: breakers go on, and what counts nothing any more is freed.
func (s *Set) tick(now time.Time) {
	s.advance(now)
	at := s.clock.time(s.clock.now)
	s.budgets.habits.tick(at)
	for _, d := range s.all {
		d.settleAll()
		d.sweepAbroad()
		d.reckonSome(keptShares)
		if d.habits != nil {
			d.habits.tick(at)
		}
	}
}

func (d *detector) settleAll() {
	for i := range d.slots.all {
		at := int32(i)
		if !d.slots.all[i].used() {
			continue
		}
		d.settleAt(at)
		if d.slots.idle(at) {
			d.slots.drop(at)
		}
	}
}

// inOneGo is how many keys are looked at before calls that wait come first: for about a tenth of a millisecond.
const inOneGo = 64

// breakers are those that are not closed or are pinned, and with all those that count something. Calls go on meanwhile.
func (s *Set) breakers(name string, all bool, now time.Time) []Breaker {
	for {
		if found, ok := s.tryBreakers(name, all, now); ok {
			var flat []Breaker
			for _, of := range found {
				slices.SortFunc(of, func(a, b Breaker) int {
					return cmp.Or(cmp.Compare(order(a), order(b)), a.Since.Compare(b.Since), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Trunk, b.Trunk))
				})
				flat = append(flat, of...)
			}
			return flat
		}
	}
}

// tryBreakers gives them by detector; false if another set has taken over meanwhile.
func (s *Set) tryBreakers(name string, all bool, now time.Time) (found [][]Breaker, ok bool) {
	t := s.lock()
	held := true
	defer func() {
		if held {
			t.mu.Unlock()
		}
	}()
	t.advance(now)
	for _, d := range t.all {
		if name != "" && d.Name != name {
			continue
		}
		var of []Breaker
		for i := 0; i < len(d.slots.all); i++ {
			if i%inOneGo == inOneGo-1 {
				held = false
				t.mu.Unlock()
				if held = s.lockAgain(t); !held {
					return nil, false
				}
			}
			at := int32(i)
			if !d.slots.all[i].used() {
				continue
			}
			d.settleAt(at)
			if e := &d.slots.all[i]; d.pins[e.key] == nil && (e.holds() || all && d.total(at) > 0) {
				of = append(of, d.breaker(at))
			}
		}
		for key := range d.pins {
			of = append(of, d.pinBreaker(key))
		}
		found = append(found, of)
	}
	return found, true
}

// order puts what holds calls first.
func order(b Breaker) int {
	switch {
	case b.State == Tripped:
		return 0
	case b.State == Probing:
		return 1
	case b.Pinned != "":
		return 2
	}
	return 3
}

// pinBreaker is a pin as people see it.
func (d *detector) pinBreaker(key uint64) Breaker {
	at := d.slots.find(key)
	x := Breaker{Detector: d.Name, Trunk: d.set.trunkName(key), Key: d.keyText(key, at), State: Closed}
	if at >= 0 {
		x = d.breaker(at)
	} else {
		x.Trip = int(d.measure(key, max(d.levelOfKey(key), 0), at).limit)
	}
	d.describe(&x, d.pins[key])
	return x
}

// mostPins bounds the pins of a detector.
const mostPins = 1024

// keyOf reads a key as people write it; ok is false of what can be none of the detector's. trunk "" is any.
func (d *detector) keyOf(trunk, text string) (key uint64, ok bool) {
	on := uint64(anyTrunk)
	if d.Key == policy.ByTrunk {
		trunk = text
	}
	if trunk != "" || d.Key == policy.ByTrunk {
		on = uint64(d.set.trunkID(trunk))
	}
	switch d.Key {
	case policy.ByTrunk, policy.ByAll:
		return on<<keyBits | 1, d.Key == policy.ByTrunk || text == "all"
	case policy.ByHolder:
		i := d.set.holders.id(text)
		return on<<keyBits | uint64(i+1), i >= 0
	}
	if text == "" {
		return 0, false
	}
	k := textKey(text)
	if k&hashedKey != 0 && d.Key != policy.ByCallee || d.Key == policy.ByCaller && k&1 == 0 {
		return 0, false
	}
	return on<<keyBits | k, true
}

// matching calls f for each slot of a key, on one trunk or on all.
func (d *detector) matching(key uint64, f func(at int32)) {
	if key>>keyBits != anyTrunk {
		if at := d.slots.find(key); at >= 0 {
			f(at)
		}
		return
	}
	for i := range d.slots.all {
		if s := &d.slots.all[i]; s.used() && s.key&keyMask == key&keyMask {
			f(int32(i))
		}
	}
}

// matchingWithin is matching for a key and all ranges in it: what these counted is evidence against the range as well, and would hold the next
// call from there.
func (d *detector) matchingWithin(key uint64, f func(at int32)) {
	d.matching(key, f)
	if d.Key != policy.ByPrefix || key&hashedKey != 0 {
		return
	}
	for i := range d.slots.all {
		s := &d.slots.all[i]
		if s.used() && (key>>keyBits == anyTrunk || s.key>>keyBits == key>>keyBits) && isWithin(s.key&keyMask, key&keyMask) {
			f(int32(i))
		}
	}
}

// byPerson runs f for a detector's key, and says how many breakers f was about.
func (s *Set) byPerson(name, trunk, text string, now time.Time, f func(d *detector, key uint64) int) int {
	t := s.lock()
	defer t.mu.Unlock()
	i := t.number(name)
	if i < 0 {
		return 0
	}
	t.advance(now)
	key, ok := t.all[i].keyOf(trunk, text)
	if !ok {
		return 0
	}
	return f(t.all[i], key)
}

// reset closes the breakers of a key, and of the ranges in it, which count from nothing then. One that tripped after the reset, where that was on another
// node, stays.
func (d *detector) reset(key uint64, by string) (n int) {
	d.matchingWithin(key, func(at int32) {
		d.settleAt(at)
		switch s := &d.slots.all[at]; {
		case d.asOf > 0 && s.holds() && s.b.since > d.asOf:
		case s.b == nil:
			if d.total(at) > 0 {
				n++
			}
			d.slots.anew(at)
		default:
			n++
			s.b.by = by
			d.close(at, d.set.clock.now, false)
		}
	})
	return n
}

// pinKey holds a key open or shut. What is shut by a person closes; what is held open goes on underneath, for when it is let go of.
func (d *detector) pinKey(key uint64, text, how, by string) int {
	pinned, state := uint8(pinnedOpen), uint8(tripped)
	if how == pinNames[pinnedShut] {
		pinned, state = pinnedShut, closed
	} else if how != pinNames[pinnedOpen] {
		return 0
	}
	if d.pins[key] == nil && len(d.pins) >= mostPins {
		d.capped++
		return 0
	}
	n := 0
	d.matching(key, func(at int32) {
		n++
		if pinned == pinnedShut && d.slots.all[at].holds() {
			d.close(at, d.set.clock.now, false)
		}
	})
	d.setPin(key, text, &breaker{state: state, since: d.stamp(), pinned: pinned, by: by})
	d.tellPin(key)
	return max(n, 1)
}

func (d *detector) setPin(key uint64, text string, b *breaker) {
	if d.pins == nil {
		d.pins, d.pinTexts = make(map[uint64]*breaker), make(map[uint64]string)
	}
	d.pins[key] = b
	d.notePins()
	if k := key & keyMask; k&hashedKey != 0 {
		d.pinTexts[k] = strings.Clone(cutText(text))
	}
}

func (d *detector) tellPin(key uint64) {
	if d.set.sink != nil {
		d.set.sink.Changed(d.pinBreaker(key).kept())
	}
}

// unpin lets go of a key: it goes on as if nobody had held it, but what brought its count to the trip meanwhile, while a person vouched for it, trips
// it no more. The ranges in it have been on their own all the time.
func (d *detector) unpin(key uint64, by string) (n int) {
	var keys []uint64
	for k := range d.pins {
		if k == key || key>>keyBits == anyTrunk && k&keyMask == key&keyMask {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		n++
		x := d.pinBreaker(k)
		d.dropPin(k)
		d.matching(k, d.letGo)
		if at := d.slots.find(k); at >= 0 && d.slots.all[at].holds() {
			d.tell(at)
			continue
		}
		x.State, x.Pinned, x.By, x.Why, x.Node = Closed, "", by, "", ""
		x.Since, x.Until = d.set.clock.time(d.set.clock.now), time.Time{}
		if d.set.sink != nil {
			d.set.sink.Changed(x.kept())
		}
	}
	return n
}

// letGo has a slot that was pinned be on its own.
func (d *detector) letGo(at int32) {
	s := &d.slots.all[at]
	if d.pinned(s.key) { // by another pin, of one trunk or of all
		return
	}
	d.settleAt(at)
	if why, ok := d.reached(at); !s.holds() && (ok || why.limit > 0 && why.n >= why.limit) {
		d.slots.anew(at)
	}
}

// restore puts a breaker back as it was told to the sink.
func (d *detector) restore(b *Breaker) {
	key, ok := d.keyOf(b.Trunk, b.Key)
	if !ok {
		return
	}
	state := slices.Index(stateNames[:], b.State)
	clock := &d.set.clock
	x := &breaker{
		state: uint8(max(state, closed)), since: clock.ms(b.Since), until: clock.ms(b.Until), hold: b.Hold.Milliseconds(), trips: int32(b.Trips),
		n: int32(b.Count), limit: int32(b.Trip), told: b.Why, by: b.By, touched: b.Touched, would: b.Would, node: b.Node,
	}
	if d.Share > 0 { // it was of as many calls as there were by then
		x.limit = 0
	}
	if pinned := slices.Index(pinNames[:], b.Pinned); pinned > notPinned {
		x.pinned = uint8(pinned)
		d.setPin(key, b.Key, x)
		return
	}
	d.dropPin(key)
	if b.Trunk == "" && d.Key != policy.ByTrunk {
		key = uint64(d.set.trunkID(""))<<keyBits | key&keyMask
		d.dropPin(key)
	}
	at := d.slots.find(key)
	switch {
	case x.state == closed && at >= 0 && d.slots.all[at].holds():
		d.slots.all[at].b.state, d.slots.all[at].b.since = closed, x.since
		d.slots.anew(at)
	case x.state == closed:
	case at >= 0 && d.slots.all[at].b != nil && d.slots.all[at].b.state == x.state && d.slots.all[at].b.since == x.since:
		// a snapshot knows more of it
	default:
		if at = d.placeKey(key, b.Key); at >= 0 {
			x.round, x.proof = x.since, x.since
			if x.hold <= 0 {
				x.hold, _ = d.hold()
			}
			d.put(at, x)
		}
	}
}

// forget drops a number.
func (s *Set) forget(e164 string) (n int) {
	caller := textKey(e164)
	if e164 == "" || caller&hashedKey != 0 {
		return 0
	}
	n = s.seen.forget(caller)
	for _, d := range s.all {
		n += d.forget(caller, e164)
	}
	return n
}

func (d *detector) forget(caller uint64, e164 string) (n int) {
	mark := callerMark(caller)
	d.members.each(func(at int32, e *entry[int32]) {
		if !isOf(e.id, caller, mark) {
			return
		}
		n++
		d.members.remove(at) // what it counted goes on to count, without a name
	})
	for i := range d.slots.all {
		s := &d.slots.all[i]
		if k := s.key & keyMask; !s.used() || !d.isNumber(k, caller) {
			continue
		}
		n++
		if s.holds() {
			d.close(int32(i), d.set.clock.now, false)
		}
		d.slots.drop(int32(i))
	}
	for key := range d.pins {
		if d.isNumber(key&keyMask, caller) {
			n++
			d.dropPin(key)
		}
	}
	n += d.forgetAbroad(caller, mark)
	if d.habits != nil {
		for _, h := range slices.Clone(d.habits.order) {
			if d.isNumber(h.key.key, caller) && d.habits.forget(h.key) {
				n++
			}
		}
	}
	return n
}

// isOf reports whether a member of a key is a number, or a pair that it is the caller of.
func isOf(member, number, mark uint64) bool {
	id := member & keyMask
	switch policy.Counted(member >> keyBits) {
	case policy.CountCallers, policy.CountStrangers, policy.CountFirstTime, policy.CountCallees:
		return id == number
	case policy.CountDecoys:
		return id>>36 == mark
	}
	return false
}

// isNumber reports whether a key is a whole number: as E.164, or of a prefix that is all of it, as written nationally.
func (d *detector) isNumber(key, number uint64) bool {
	switch d.Key {
	case policy.ByCaller, policy.ByCallee:
		return key == number
	case policy.ByPrefix:
		if key == number {
			return true
		}
		if key&1 == 1 || number&hashedKey != 0 {
			return false
		}
		// Without the trunk 0 the national digits are the last ones, behind a country code of one to three.
		value, size := key>>5, keySize(key)
		for size > 1 && value < pow10[size-1] {
			size--
		}
		code := keySize(number) - size
		return code >= 1 && code <= 3 && number>>5%pow10[size] == value
	}
	return false
}
