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
	good         uint64 // the customer who talked a minute

	// What it tripped by.
	n, limit, calls int32
	usual           float32
	part            uint64 // the wider range that reached its trip, 0 for none

	touched, would uint64
	by             string
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
		why.limit = d.trip(d.slots.all[at].level)
		ok = n >= why.limit && d.isSpread(at)
	}
	return why, ok
}

// mayTrip trips a key that has reached its trip, or the narrower range that is to blame.
func (d *detector) mayTrip(at int32) {
	s := &d.slots.all[at]
	if s.holds() {
		return
	}
	why, ok := d.reached(at)
	if !ok || d.pinned(s.key) {
		return
	}
	if to := d.toBlame(at); to != at {
		why.part, why.n, why.calls = s.key, d.total(to), why.n
		at, s = to, &d.slots.all[to]
	}
	if s.b == nil {
		if d.slots.open[s.trunk()] >= d.slots.quota() {
			d.capped++
			return
		}
		d.slots.open[s.trunk()]++
		s.b = &breaker{}
	}
	b := s.b
	first, most := d.hold()
	hold := first
	if b.hold > 0 {
		hold = min(2*b.hold, most)
	}
	b.n, b.limit, b.calls, b.usual, b.part = why.n, why.limit, why.calls, why.usual, why.part
	b.trip(d.set.clock.now, hold)
	d.explained(at)
	d.spoil(at)
	d.tell(at)
}

func (b *breaker) trip(now, hold int64) {
	b.state, b.since, b.until, b.hold = tripped, now, now+hold, hold
	b.trips++
	b.given, b.ended, b.good = 0, 0, 0
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
		d.slots.open[s.trunk()]--
	}
}

// settleAt lets time pass for a slot's breaker.
func (d *detector) settleAt(at int32) {
	s := &d.slots.all[at]
	b := s.b
	if b == nil {
		return
	}
	now, leap := d.set.clock.now, d.set.clock.leaps
	_, most := d.hold()
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
		quiet := max(b.since, b.lastCall, leap)
		switch long := max(b.since, leap); {
		case now-quiet >= b.hold:
			d.close(at, quiet+b.hold, true)
		case now-long >= max(most, b.hold):
			d.close(at, long+max(most, b.hold), true)
		}
	}
	if s.b != nil && b.state == closed && now-b.since >= most {
		s.b = nil
		d.slots.open[s.trunk()]--
	}
}

// ended takes what became of a call by which a breaker probes.
func (d *detector) ended(at int32, n *Count, e *End) {
	d.settleAt(at)
	b := d.slots.all[at].b
	if b == nil || b.state != probing || n.id.at < b.since {
		return
	}
	if e.Passed {
		d.close(at, d.set.clock.now, false)
		return
	}
	if !n.probe.Has(d.number) || n.id.at < b.round {
		return
	}
	switch {
	case e.Answered && e.Talk >= probeTalk && n.id.customer != 0:
		b.ended++
		if b.good != 0 && b.good != n.id.customer {
			d.close(at, d.set.clock.now, false)
			return
		}
		b.good = n.id.customer
	case e.Answered && e.Talk <= d.Short, e.Rang && !e.Answered:
		_, most := d.hold()
		b.trip(d.set.clock.now, min(2*b.hold, max(most, b.hold)))
		d.spoil(at)
		d.tell(at)
		return
	default:
		b.ended++
	}
	if int(b.ended) >= d.Probe {
		d.close(at, d.set.clock.now, true)
	}
}
