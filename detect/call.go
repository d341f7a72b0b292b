package detect

import (
	"math"
	"time"

	"ringfence/policy"
)

// Count is what Called found: it is handed on to Touch, Decided and Ended.
type Count struct {
	Tripped, OnTrial policy.DetectorSet
	FirstTime        bool

	of        *Set // by whose detectors
	id        ident
	protected policy.DetectorSet
	probe     policy.DetectorSet // detectors whose breakers this call is let through to see by
	added     [policy.MaxDetectors]uint8
	again     bool // the same call as a moment ago
	touched   bool
	stopped   bool
}

// grew notes by how much a count grew by the call.
func (n *Count) grew(detector int, by int32) {
	if by > 0 {
		n.added[detector] = uint8(min(max(int32(n.added[detector]), by), 255))
	}
}

// advance has time go on.
func (s *Set) advance(t time.Time) int64 {
	now := s.clock.at(t)
	if now >= s.turn {
		s.turn = math.MaxInt64
		for _, d := range s.all {
			s.turn = min(s.turn, d.keepTime())
		}
	}
	return now
}

// leftAlone reports whether all detectors leave a caller alone: what he does counts for nothing.
func (s *Set) leftAlone(n *Count) bool {
	all := s.every()
	return all != 0 && n.protected&all == all
}

// every is all detectors.
func (s *Set) every() policy.DetectorSet { return policy.DetectorSet(1)<<len(s.all) - 1 }

// calledBy counts a call of this set by the one that counts for it now.
func (s *Set) calledBy(t *Set, n *Count, x *Subject, look bool) {
	if s == t {
		t.called(n, x, look)
		return
	}
	y := *x
	y.Protected = translate(x.Protected, s, t)
	t.called(n, &y, look)
	*n = *n.read(s)
}

// called fills in an empty count.
func (s *Set) called(n *Count, x *Subject, look bool) {
	now := s.clock.peek(x.Time)
	if !look {
		now = s.advance(x.Time)
	}
	n.of, n.protected = s, x.Protected
	s.identify(&n.id, x, now, look)
	if n.id.caller != 0 {
		n.FirstTime = !s.seen.has(n.id.caller)
		n.again = s.recent.same(mix(n.id.caller^mix(n.id.callee^mix(uint64(n.id.trunk)))), now, !look && !s.leftAlone(n))
	}
	kinds := n.applies()
	of := (s.busy.counts(kinds) | s.busy.shares | s.busy.open[n.id.trunk] | s.busy.pinned) &^ n.protected
	s.follow()
	for rest := of; rest != 0; {
		s.all[next(&rest)].seek(&n.id)
	}
	for rest := of &^ s.broad; rest != 0; {
		d := s.all[next(&rest)]
		d.called(n, kinds&d.kinds, look || n.again)
	}
	for rest := of & s.broad; rest != 0; {
		d := s.all[next(&rest)]
		d.called(n, kinds&d.kinds, look || n.again || s.explained(n, d))
	}
}

// called counts what a call is by those kinds for a detector that has sought its keys, and says whether one of its breakers holds for it.
func (d *detector) called(n *Count, kinds uint16, look bool) {
	steps := d.way.steps
	mayTrip, open, covered := false, len(d.pins) > 0, false
	counted := uint32(0)                               // the levels that have counted it, a bit each
	for level := len(steps) - 1; level >= 0; level-- { // the narrowest first: it explains the wider ones
		x := &steps[level]
		at := d.have(x, level)
		if at < 0 && !look && !covered && (kinds != 0 || d.Share > 0) {
			at = d.take(x, level, &n.id)
			d.found[level] = at
		}
		holds := false
		if at >= 0 {
			s := &d.slots.all[at]
			if !look {
				if s.b != nil {
					d.settle(at)
				}
				if !covered {
					d.countCall(at, x, n, kinds)
					counted |= 1 << level
					mayTrip = mayTrip || d.mayReach(s)
				}
			}
			if s.b != nil {
				open, holds = true, s.holds()
			}
		}
		if pin := d.pin(x.key); pin != nil {
			holds = pin.pinned == pinnedOpen
		}
		covered = covered || holds
	}
	if mayTrip {
		d.mayTripAny(steps, counted)
	}
	if mayTrip || open {
		d.judge(n, steps, look)
	}
}

// judge says whether a breaker of one of the keys holds for the call.
func (d *detector) judge(n *Count, steps []step, look bool) {
	held := false
	var probeAt [maxLevels]int32
	waiting := probeAt[:0]
	for level := len(steps) - 1; level >= 0; level-- {
		x := &steps[level]
		if pin := d.pin(x.key); pin != nil {
			held = held || pin.pinned == pinnedOpen
			continue
		}
		if at := d.have(x, level); at >= 0 {
			switch d.stateAt(&d.slots.all[at], n.id.at) {
			case tripped:
				held = true
			case probing:
				waiting = append(waiting, at)
			}
		}
	}
	if !held && len(waiting) > 0 {
		held = !d.letThrough(waiting, n, look)
	}
	if held {
		n.Tripped = n.Tripped.With(d.number)
		if d.Mode == policy.Observe {
			n.OnTrial = n.OnTrial.With(d.number)
		}
	}
}

// mayTripAny trips the narrowest of the keys that have counted something and reached their trip. All of them have counted it by then, so that
// what the narrow one explains is taken out of the wider ones whole.
func (d *detector) mayTripAny(steps []step, counted uint32) {
	for level := len(steps) - 1; level >= 0 && counted != 0; level-- {
		if counted&(1<<level) == 0 {
			continue
		}
		at := d.have(&steps[level], level)
		if at < 0 { // it has lost its place to a wider one
			continue
		}
		if d.mayTrip(at); d.slots.all[at].holds() || d.slots.all[at].key != steps[level].key {
			return
		}
	}
}

// countCall counts a call for one key.
func (d *detector) countCall(at int32, x *step, n *Count, kinds uint16) {
	if d.Share > 0 {
		d.slots.calls[at].add(d.now(), 1)
	}
	if kinds != 0 {
		d.count(at, x, n, kinds)
	}
	if b := d.slots.all[at].b; b != nil {
		b.lastCall = n.id.at
		if b.state == tripped {
			d.spoil(at)
		}
	}
	if d.habits != nil && n.added[d.number] > 0 {
		d.habits.note(d.habitKey(at), d.set.clock.time(n.id.at), int(n.added[d.number]))
	}
}

// letThrough lets a call through that breakers probe by, if all of them have room for one more.
func (d *detector) letThrough(waiting []int32, n *Count, look bool) bool {
	for _, at := range waiting {
		if int(d.slots.all[at].b.given) >= d.Probe {
			return false
		}
	}
	if look {
		return true
	}
	for _, at := range waiting {
		b := d.slots.all[at].b
		b.given++
		b.lastGiven = n.id.at
	}
	n.probe = n.probe.With(d.number)
	return true
}

func (s *Set) decided(n *Count, stopped bool, would policy.DetectorSet) {
	n.stopped = stopped
	at := s.clock.time(s.clock.now)
	if !n.touched && !n.again && (!stopped || would != 0) {
		s.budgets.pass(s.trunks.name(int(n.id.trunk)), at, would == 0)
	}
	if !stopped && n.id.caller != 0 && !s.leftAlone(n) {
		s.seen.add(n.id.caller)
	}
	of := would & n.Tripped
	if stopped {
		of |= n.probe | s.busy.surges
	}
	for of != 0 {
		i := next(&of)
		d := s.all[i]
		if stopped && n.probe.Has(i) {
			d.giveBack(&n.id)
		}
		if would.Has(i) && n.Tripped.Has(i) {
			if b := d.holding(&n.id); b != nil {
				b.would++
			}
		}
		if d.habits == nil || !stopped || n.added[i] == 0 {
			continue
		}
		var room [maxLevels]uint64
		for _, key := range d.path(&n.id, room[:0]) {
			d.habits.unlearn(d.habitName(key), s.clock.time(n.id.at), int(n.added[i]))
		}
	}
	if stopped {
		n.probe = 0
	}
}

// giveBack takes back that breakers probe by a call: something else has stopped it, so that it says nothing of them. Else whoever is on a list
// uses the probes up, and the breaker closes by calls that never rang.
func (d *detector) giveBack(id *ident) {
	var room [maxLevels]uint64
	for _, key := range d.path(id, room[:0]) {
		at := d.slots.find(key)
		if at < 0 || d.pinned(key) {
			continue
		}
		if b := d.slots.all[at].b; b != nil && b.state == probing && b.given > b.ended && id.at >= max(b.since, b.round) {
			b.given--
		}
	}
}

// holding is the narrowest breaker that holds for a call, that of a pin among them; nil for none.
func (d *detector) holding(id *ident) *breaker {
	b, _, _ := d.holder(id)
	return b
}

func (d *detector) holder(id *ident) (b *breaker, key uint64, at int32) {
	var room [maxLevels]uint64
	path := d.path(id, room[:0])
	for level := len(path) - 1; level >= 0; level-- {
		key = path[level]
		if pin := d.pin(key); pin != nil {
			if pin.pinned == pinnedOpen {
				return pin, key, d.slots.find(key)
			}
			continue
		}
		if at = d.slots.find(key); at >= 0 && d.slots.all[at].holds() {
			return d.slots.all[at].b, key, at
		}
	}
	return nil, 0, -1
}

func (s *Set) touch(n *Count, by policy.DetectorSet) bool {
	sure := 0
	for of := by & s.every(); of != 0; {
		d := s.all[next(&of)]
		if b, _, at := d.holder(&n.id); b != nil {
			count := b.n
			if at >= 0 {
				count = max(count, d.total(at))
			}
			sure = max(sure, sureness(int(count), int(b.limit), b.pinned == pinnedOpen))
		}
	}
	at := s.clock.time(s.clock.now)
	if !s.budgets.take(s.trunks.name(int(n.id.trunk)), at, largestShare(s.detectors, by), sure) {
		return false
	}
	n.touched = true
	for of := by & s.every(); of != 0; {
		if b := s.all[next(&of)].holding(&n.id); b != nil {
			b.touched++
		}
	}
	return true
}

func (s *Set) endedCall(n *Count, e *End) {
	s.advance(e.At)
	kinds := uint16(0)
	if !n.again {
		if e.Rang && !e.Answered {
			kinds |= 1 << policy.CountUnanswered
		}
	}
	of := s.busy.counts(kinds|1<<policy.CountShortCalls) | s.busy.open[n.id.trunk]
	if n.id.leg != 0 {
		of |= s.busy.counting[policy.CountConcurrent]
	}
	s.follow()
	for of &^= n.protected; of != 0; {
		d := s.all[next(&of)]
		now := kinds
		if s.explained(n, d) {
			d.callEnded(n, e, 0)
			continue
		}
		if e.Answered && e.Talk <= d.Short && !n.again {
			now |= 1 << policy.CountShortCalls
		}
		d.callEnded(n, e, now&d.kinds)
	}
}

func (d *detector) callEnded(n *Count, e *End, kinds uint16) {
	if kinds == 0 && d.slots.open[n.id.trunk] == 0 && (n.id.leg == 0 || !d.countsConcurrent()) {
		return
	}
	steps := d.steps(&n.id)
	covered, mayTrip := false, false
	counted := uint32(0)
	for level := len(steps) - 1; level >= 0; level-- {
		x := &steps[level]
		at := d.slots.findBy(x.key, x.hash)
		if at < 0 && kinds != 0 && !covered {
			at = d.take(x, level, &n.id)
		}
		if d.found[level] = at; at < 0 {
			continue
		}
		if n.id.leg != 0 && d.countsConcurrent() {
			d.endLeg(at, n.id.leg)
		}
		d.ended(at, n, e)
		if kinds != 0 && !covered {
			d.settleAt(at)
			was := n.added[d.number]
			n.added[d.number] = 0
			d.count(at, x, n, kinds)
			if d.habits != nil && n.added[d.number] > 0 && !n.stopped {
				d.habits.note(d.habitKey(at), d.set.clock.time(d.set.clock.now), int(n.added[d.number]))
			}
			n.added[d.number] = was
			counted |= 1 << level
			mayTrip = mayTrip || d.mayReach(&d.slots.all[at])
		}
		covered = covered || d.slots.all[at].holds()
	}
	if mayTrip {
		d.mayTripAny(steps, counted)
	}
}

// reported counts a mark of a caller by a customer.
func (s *Set) reported(x *Subject, customer string, protected policy.DetectorSet) {
	n := Count{of: s}
	s.identify(&n.id, x, s.advance(x.Time), false)
	if n.id.caller == 0 {
		return
	}
	n.id.customer = hash(customer)
	s.follow()
	for of := s.busy.counting[policy.CountReports] &^ protected; of != 0; {
		s.all[next(&of)].count1(&n, 1<<policy.CountReports)
	}
}

// count1 counts something that is told outside of calls.
func (d *detector) count1(n *Count, kinds uint16) {
	steps := d.steps(&n.id)
	counted, covered := uint32(0), false
	for level := len(steps) - 1; level >= 0 && !covered; level-- {
		x := &steps[level]
		at := d.slots.findBy(x.key, x.hash)
		if at < 0 {
			at = d.take(x, level, &n.id)
		}
		if d.found[level] = at; at >= 0 {
			d.settleAt(at)
			d.count(at, x, n, kinds)
			counted |= 1 << level
			covered = d.slots.all[at].holds()
		}
	}
	d.mayTripAny(steps, counted)
}
