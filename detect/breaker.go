package detect

import (
	"math"
	"time"
)

// The states of a breaker.
const (
	closed = iota
	tripped
	probing
)

var stateNames = [...]string{Closed, Tripped, Probing}

const (
	probeTold = int64(4 * time.Hour / time.Millisecond) // after so long nobody will tell the end of a call
	probeTalk = time.Minute                             // a talk of honest people
)

// breaker is that of a key which has tripped, or of a pin. One that has closed is kept as long as it would trip for longer.
type breaker struct {
	state        uint8
	pinned       uint8
	given, ended uint8 // probing: calls let through, and those of them that ended with neither good nor bad
	trips        int32
	since, until int64
	hold         int64 // of this trip
	round        int64 // since when calls that were let through count
	lastGiven    int64
	lastCall     int64
	proof        int64  // when its count was at the trip last: a short or unanswered probe is none
	good         uint64 // the customer who talked a minute

	// What it tripped by.
	n, limit, calls int32
	usual           float32
	part            uint64 // the wider range that reached its trip, 0 for none
	far             int32  // of n, what other nodes counted

	touched, would uint64
	by             string
	told           string // what it tripped by, where another program or other settings counted that
	node           string // where it tripped, "" here
}

// Pins.
const (
	notPinned = iota
	pinnedOpen
	pinnedShut
)

var pinNames = [...]string{"", "open", "shut"}

// holds reports whether a slot's breaker is tripped or probing.
func (s *slot) holds() bool { return s.b != nil && s.b.state != closed }

// reached reports whether a key has reached its trip, and by what.
func (d *detector) reached(at int32) (why breaker, ok bool) {
	n := d.total(at)
	why.n = n
	switch {
	case n == 0:
	case d.Share > 0:
		calls := &d.slots.calls[at]
		calls.advance(d.now())
		why.calls = calls.total
		ok = int(calls.total) >= d.AtLeast && float64(n) >= d.Share*float64(calls.total)
	case d.Surge > 0:
		if int(n) < d.AtLeast {
			return why, false
		}
		usual, known := d.habits.usual(d.habitKey(at), d.set.clock.time(d.set.clock.now), d.Window)
		why.usual = float32(usual)
		if ok = known && surges(int(n), usual, d.Surge, d.AtLeast); ok {
			why.limit = int32(min(surgeTrip(usual, d.Surge, d.AtLeast), math.MaxInt32))
		}
	default:
		why.limit = d.trips[d.slots.all[at].level]
		ok = n >= why.limit && d.isSpread(at)
	}
	return why, ok
}

// measure is what a key counts and would trip at now, for people. at may be -1.
func (d *detector) measure(key uint64, level int, at int32) (m breaker) {
	if at >= 0 {
		m.n = d.total(at)
	} else if f := d.abroadOf(key, d.slots.hash(key)); f != nil {
		m.n = d.reckoned(f, -1, -1)
	}
	switch {
	case d.Share > 0:
		if at >= 0 {
			d.slots.calls[at].advance(d.now())
			m.calls = d.slots.calls[at].total
		}
		m.limit = int32(math.Ceil(d.Share * float64(max(int(m.calls), d.AtLeast))))
	case d.Surge > 0:
		if usual, known := d.habits.usual(d.habitName(key), d.set.clock.time(d.set.clock.now), d.Window); known {
			m.usual, m.limit = float32(usual), int32(min(surgeTrip(usual, d.Surge, d.AtLeast), math.MaxInt32))
		}
	default:
		m.limit = d.trip(uint8(level))
	}
	return m
}

// mayReach reports whether a key may have reached its trip: nearly always it has not.
func (d *detector) mayReach(s *slot) bool {
	return d.trips[s.level] <= s.count.total+s.far || d.slots.legs != nil
}

// mayTrip trips a key that has reached its trip, or the narrower range that is to blame.
func (d *detector) mayTrip(at int32) {
	s := &d.slots.all[at]
	if !d.mayReach(s) {
		return
	}
	why, ok := d.reached(at)
	if !ok || d.pinned(s.key) {
		return
	}
	if s.holds() {
		s.b.proof = d.set.clock.now
		return
	}
	if s.b == nil && d.slots.open[s.trunk()] >= d.slots.quota() && !d.forgetClosed(s.trunk()) {
		d.capped++
		return
	}
	to := d.toBlame(at)
	if s = &d.slots.all[to]; to != at {
		why.part, why.n, why.calls = d.slots.all[at].key, d.total(to), why.n
		at = to
	}
	if s.b == nil {
		d.opened(s.trunk(), 1)
		s.b = &breaker{}
	}
	b := s.b
	first, most := d.hold()
	hold := first
	if b.hold > 0 {
		hold = min(2*b.hold, most)
	}
	b.n, b.limit, b.calls, b.usual, b.part, b.far = why.n, why.limit, why.calls, why.usual, why.part, s.far
	b.proof = d.set.clock.now
	b.trip(b.proof, hold, d.shutAtMost(b))
	d.explained(at)
	d.spoil(at)
	d.tell(at)
	d.tellPeers(at)
}

// trip trips a breaker for a hold, which ends at the latest when most says.
func (b *breaker) trip(now, hold, most int64) {
	b.state, b.since, b.until, b.hold = tripped, now, min(now+hold, most), hold
	b.trips++
	b.given, b.ended, b.good, b.told, b.node = 0, 0, 0, "", ""
}

// close closes a slot's breaker, which then counts from nothing. What is remembered of it makes the next trip longer.
func (d *detector) close(at int32, since int64, remember bool) {
	s := &d.slots.all[at]
	b := s.b
	b.state, b.since, b.until = closed, since, 0
	if !remember {
		b.hold = 0
	}
	d.slots.anew(at)
	d.tell(at)
	if !remember {
		s.b = nil
		d.opened(s.trunk(), -1)
	}
}

// forgetClosed makes room for a breaker of a trunk that has as many as it may: what is only remembered, so that it would trip for longer,
// must not keep another from tripping. The one that closed longest ago among a few goes. It is false if there is none; then it is not looked for
// again within a second.
func (d *detector) forgetClosed(trunk uint8) bool {
	const candidates, again = 16, 1000
	now := d.set.clock.now
	if looked := &d.noneClosed[trunk]; now-*looked < again {
		return false
	}
	oldest, found := int32(-1), 0
	for range len(d.slots.all) {
		at := d.slots.step()
		e := &d.slots.all[at]
		if e.b == nil || e.b.state != closed || e.trunk() != trunk {
			continue
		}
		if oldest < 0 || e.b.since < d.slots.all[oldest].b.since {
			oldest = at
		}
		if found++; found == candidates {
			break
		}
	}
	if oldest < 0 {
		d.noneClosed[trunk] = now
		return false
	}
	d.slots.all[oldest].b = nil
	d.opened(trunk, -1)
	return true
}

// settleAt lets time pass for a slot's breaker.
func (d *detector) settleAt(at int32) {
	if d.slots.all[at].b != nil {
		d.settle(at)
	}
}

func (d *detector) settle(at int32) {
	s := &d.slots.all[at]
	b := s.b
	now, leap := d.set.clock.now, d.set.clock.leaps
	if b.state == tripped && now >= b.until {
		// Where the clock was put forward by hours it probes first, however late it is by now.
		b.state, b.since = probing, b.until
		if leap > b.until {
			b.since = leap
		}
		b.until, b.round, b.lastCall = 0, b.since, 0
		d.tell(at)
	}
	if b.state == probing {
		if b.given > b.ended && now-b.lastGiven >= probeTold {
			b.given, b.round = b.ended, now // nobody has told how they ended
		}
		if end := d.probesUntil(b); now >= end {
			d.close(at, end, true)
		}
	}
	if _, most := d.hold(); s.b != nil && b.state == closed && now-b.since >= most {
		s.b = nil
		d.opened(s.trunk(), -1)
	}
}

// shutAtMost is when a breaker closes whatever its probes say: one forged call a hold must not keep a range shut for longer than hold_max and
// a hold since its count was at the trip. Time that nobody watched does not count.
func (d *detector) shutAtMost(b *breaker) int64 {
	first, most := d.hold()
	return max(b.proof, d.set.clock.leaps) + first + max(most, b.hold)
}

// probesUntil is when a breaker that probes closes by itself: when no call has come for another hold, or nothing has come out for as long
// as the longest hold. Time that nobody watched does not count.
func (d *detector) probesUntil(b *breaker) int64 {
	_, most := d.hold()
	from := max(b.since, d.set.clock.leaps)
	return min(max(from, b.lastCall)+b.hold, from+max(most, b.hold), d.shutAtMost(b))
}

// stateAt is a slot's state at a time, without changing it.
func (d *detector) stateAt(s *slot, now int64) uint8 {
	switch {
	case s.b == nil:
		return closed
	case s.b.state == tripped && now >= s.b.until && now < d.shutAtMost(s.b):
		return probing
	case s.b.state == tripped && now >= s.b.until:
		return closed
	case s.b.state == probing && now >= d.probesUntil(s.b):
		return closed
	}
	return s.b.state
}

// ended takes what became of a call by which a breaker probes.
func (d *detector) ended(at int32, n *Count, e *End) {
	d.settleAt(at)
	b := d.slots.all[at].b
	if b == nil || b.state != probing || n.id.at < b.since || d.pinned(d.slots.all[at].key) {
		return
	}
	if e.Passed {
		d.closeEverywhere(at, false)
		return
	}
	if !n.probe.Has(d.number) || n.id.at < b.round {
		return
	}
	switch {
	case e.Answered && e.Talk >= probeTalk && n.id.customer != 0:
		b.ended++
		if b.good != 0 && b.good != n.id.customer {
			d.closeEverywhere(at, false)
			return
		}
		b.good = n.id.customer
	case e.Answered && e.Talk <= d.Short, e.Rang && !e.Answered:
		_, most := d.hold()
		b.trip(d.set.clock.now, min(2*b.hold, max(most, b.hold)), d.shutAtMost(b))
		d.spoil(at)
		d.tell(at)
		d.tellPeers(at)
		return
	default:
		b.ended++
	}
	if int(b.ended) >= d.Probe {
		d.closeEverywhere(at, true)
	}
}
