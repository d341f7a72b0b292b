package detect

import (
	"math"
	"time"
)

// What is kept of habits, and when it is believed.
const (
	habitHours = 7 * 24 // cells: the hours of the week, Monday 00:00 first, by the policy's clock
	habitWeeks = 8      // of which the median is what is usual
	habitDelay = 24     // so many hours an hour is old before it is learnt: by then it is known whether it was tripped
	habitRing  = 32     // hours that are not learnt yet, with room
	habitGap   = 72     // hours without a call or a tick after which nobody has watched, rather than nobody called
	habitYoung = 7 * 24 // so many hours of a trunk are learnt before a key that is new on it has usually nothing
	habitGrow  = 1.5    // times what is usual, at most, a week on; one call more at least, so that nothing can grow
	habitHands = 8      // candidates that a newcomer is measured against, where there is no room
	habitFaded = habitWeeks * habitHours
	maxTrunks  = 256 // whose hours are counted

	surgeHours  = 72 // so many hours of a key are learnt before a surge goes by them: any three days have a working day
	budgetHours = 24 // and of a trunk before a budget does

	allHabits, maxHabits = 4096, 1024 // of all detectors together, and of one: 3 KiB each when eight weeks are full
)

// habitKey names what has a habit: a key of a detector on its trunk. key must mean the same after a restart.
type habitKey struct {
	trunk string
	key   uint64
}

// habits are what is usual of each key of a detector by the hour of the week: the median of up to eight weeks. It is
// learnt from hours that are a day old and were not tripped, and grows at most 1.5 times a week, so that who floods a
// key for a week or a month has not taught it that this is usual. Of an hour that the clock shows twice the first is
// learnt, of one that it leaves out nothing. A set's lock guards it.
type habits struct {
	zone  *time.Location
	shift int64 // seconds that the clock's hours begin before those of UTC: 1800 in India
	limit int   // habits at most
	least int   // learnt hours from which on a key's habit is known
	fills bool  // where nothing is known of an hour of the week, a spoilt one teaches what was noted of it

	of     map[habitKey]*habit
	latest *habit   // that was noted last: nearly always it is the next one
	order  []*habit // as they came, so that chance has no part in who is forgotten
	hand   int
	trunks map[string]*watch

	cell      int   // of the hour that is under way
	hour      int64 // the one that is under way, in hours since 1970, shifted; 0 before the first
	last      int64 // the latest time that was seen, in Unix seconds
	watched   uint32
	restarted bool              // what passed since last was not watched
	weekOf    [habitWeeks]int64 // whose cells are in the rows of that number

	full uint64 // keys that found no room, or lost theirs
}

// watch is how long a trunk has been watched.
type watch struct {
	from  int64  // its first whole hour
	hours uint32 // learnt ones
}

// habit is that of one key.
type habit struct {
	key    habitKey
	usual  [habitHours]cell
	weeks  [habitWeeks]*[habitHours]cell // nil: nothing learnt
	open   [habitRing]uint32             // counts of hours that are not learnt yet
	spoilt uint32                        // which of these are not to be learnt
	learnt uint32                        // hours
	from   int64                         // its first hour
	used   int64                         // the hour of its latest call
	rich   bool                          // something is usual: it has a history
}

// newHabits makes a table of at most limit habits; a key's habit is known once `least` of its hours are learnt.
func newHabits(zone *time.Location, limit, least int) *habits {
	if zone == nil {
		zone = time.UTC
	}
	_, offset := time.Unix(1_700_000_000, 0).In(zone).Zone()
	h := &habits{
		zone: zone, shift: int64(((offset % 3600) + 3600) % 3600), limit: limit, least: least,
		of: map[habitKey]*habit{}, trunks: map[string]*watch{},
	}
	return h
}

// note counts n calls of a key. An hour that is learnt already, or has not come by the latest time, counts as the one
// under way.
func (h *habits) note(k habitKey, at time.Time, n int) {
	h.tick(at)
	b := h.latest
	if b == nil || b.key != k {
		if h.trunks[k.trunk] == nil && len(h.trunks) < maxTrunks {
			h.trunks[k.trunk] = &watch{from: h.hour + 1}
		}
		if b = h.of[k]; b == nil {
			if b = h.room(k); b == nil {
				return
			}
		}
		h.latest = b
	}
	b.used = h.hour
	b.open[h.hour%habitRing] = uint32(min(uint64(b.open[h.hour%habitRing])+uint64(n), math.MaxUint32))
}

// unlearn takes back n calls that were noted at that time: they were stopped, or would have been.
func (h *habits) unlearn(k habitKey, at time.Time, n int) {
	if b, i := h.hourFor(k, at); b != nil {
		b.open[i] -= min(b.open[i], uint32(n))
	}
}

// spoil has the hour of a key not be learnt: a breaker was tripped in it.
func (h *habits) spoil(k habitKey, at time.Time) {
	h.tick(at)
	if b, i := h.hourFor(k, at); b != nil {
		b.spoilt |= 1 << i
	}
}

// hourFor is a key's habit and where the hour of a time stands in it, nil if that is learnt already.
func (h *habits) hourFor(k habitKey, at time.Time) (*habit, int64) {
	b, hour := h.of[k], min(h.hourOf(at), h.hour)
	if b == nil || hour < h.hour-habitDelay {
		return nil, 0
	}
	return b, hour % habitRing
}

// forget drops a key, and reports whether there was something.
func (h *habits) forget(k habitKey) bool {
	b := h.of[k]
	if b == nil {
		return false
	}
	delete(h.of, k)
	h.latest = nil
	for i := range h.order {
		if h.order[i] == b {
			h.order = append(h.order[:i], h.order[i+1:]...)
			if h.hand > i {
				h.hand--
			}
			break
		}
	}
	return true
}

// room makes a habit for a newcomer. Where there is none it takes that of the one longest unused among a few, if that
// has no history or has had no call for as long as a history lasts.
func (h *habits) room(k habitKey) *habit {
	if len(h.order) < h.limit {
		b := &habit{}
		b.begin(k, h.hour)
		h.order = append(h.order, b)
		h.of[k] = b
		return b
	}
	h.full++
	worst := -1
	for range min(habitHands, len(h.order)) {
		h.hand = (h.hand + 1) % len(h.order)
		c := h.order[h.hand]
		if c.rich && h.hour-c.used < habitFaded {
			continue
		}
		if worst < 0 || c.used < h.order[worst].used {
			worst = h.hand
		}
	}
	if worst < 0 {
		return nil
	}
	b := h.order[worst]
	delete(h.of, b.key)
	b.begin(k, h.hour)
	h.of[k] = b
	return b
}

// begin makes a habit that of a key of which nothing is known.
func (b *habit) begin(k habitKey, hour int64) {
	*b = habit{key: k, from: hour}
	for i := range b.usual {
		b.usual[i] = unknown
	}
}

// hourOf is the hour of a time, in hours since 1970 that begin as those of the zone's clock do.
func (h *habits) hourOf(at time.Time) int64 { return (secondOf(at) + h.shift) / 3600 }

// secondOf is a time in Unix seconds. One before 1970 or beyond the year 9999 is a clock that was never set: it counts
// as the nearest.
func secondOf(at time.Time) int64 { return min(max(at.Unix(), 30*24*3600), 253402300799) }

// cellOf is where an hour stands in the week by the zone's clock, and the number of that week.
func (h *habits) cellOf(hour int64) (cell int, week int64) {
	_, offset := time.Unix(hour*3600-h.shift+1800, 0).In(h.zone).Zone()
	// The first Monday of 1970 was the 5th.
	wall := hour*3600 - h.shift + 1800 + int64(offset) - 4*24*3600
	wall = floorDiv(wall, 3600)
	week = floorDiv(wall, habitHours)
	return int(wall - week*habitHours), week
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// tick lets time pass: hours that are a day old are learnt. An earlier time changes nothing, unless it is earlier by
// more than a day: then the clock was wrong and has been put right, and what is not learnt yet never is.
func (h *habits) tick(at time.Time) {
	second, was := secondOf(at), h.last
	hour := (second + h.shift) / 3600
	switch {
	case h.hour == 0, hour < h.hour-habitDelay:
		h.start(hour)
		h.last, h.restarted = second, false
		return
	case second <= h.last:
		return
	}
	h.last = second
	missed := false
	if h.restarted {
		h.restarted = false
		if missed = h.last-was > int64(awayAtMost/time.Second); missed {
			h.watched &^= 1 << (h.hour % habitRing)
		}
	}
	if hour == h.hour {
		return
	}
	missed = missed || hour-h.hour > habitGap
	for end := min(hour, h.hour+habitRing); h.hour < end; {
		h.step(!missed)
	}
	if h.hour < hour {
		h.start(hour)
	}
}

// awayAtMost is how long a restart may take before its hour is not learnt.
const awayAtMost = 5 * time.Minute

// start begins to watch in the middle of an hour, which is not learnt, with nothing before it.
func (h *habits) start(hour int64) {
	h.hour, h.watched = hour, 0
	h.cell, _ = h.cellOf(hour)
	for _, b := range h.order {
		clear(b.open[:])
		b.spoilt = 0
		b.from, b.used = min(b.from, hour), min(b.used, hour)
	}
	for _, w := range h.trunks {
		w.from = min(w.from, hour+1)
	}
}

// step begins the next hour, and learns the one that is a day old now.
func (h *habits) step(watched bool) {
	h.hour++
	h.cell, _ = h.cellOf(h.hour)
	if old := h.hour - 1 - habitDelay; h.watched>>(old%habitRing)&1 == 1 {
		h.learn(old)
	}
	i := h.hour % habitRing
	h.watched &^= 1 << i
	if watched {
		h.watched |= 1 << i
	}
	for _, b := range h.order {
		b.open[i] = 0
		b.spoilt &^= 1 << i
	}
}

// learn takes an hour into the habits of all keys.
func (h *habits) learn(hour int64) {
	c, week := h.cellOf(hour)
	row := int(week % habitWeeks)
	if h.weekOf[row] != week {
		h.weekOf[row] = week
		for _, b := range h.order {
			b.weeks[row] = nil
		}
	}
	for _, b := range h.order {
		count, young := b.open[hour%habitRing], h.young(b)
		switch spoilt := b.spoilt>>(hour%habitRing)&1 == 1; {
		case b.from > hour:
		case !spoilt:
			filled := h.fills && !b.cleanly(c)
			b.learn(c, row, count, young, filled)
		case h.fills && b.usual[c] == unknown && count > 0: // an hour of which nothing is left tells nothing
			b.fill(c, count, young)
		}
	}
	for _, w := range h.trunks {
		if w.from <= hour {
			w.hours++
		}
	}
}

// young reports whether the trunk of a key has not been watched for a week: what the key does then is taken for usual
// as it is.
func (h *habits) young(b *habit) bool {
	w := h.trunks[b.key.trunk]
	return w == nil || w.hours < habitYoung
}

// cleanly reports whether an hour of the week was learnt from one that was not spoilt, in the last weeks.
func (b *habit) cleanly(c int) bool {
	for _, w := range b.weeks {
		if w != nil && w[c] != unknown {
			return true
		}
	}
	return false
}

// fill takes what was left of a spoilt hour for what is usual, until one comes that is not spoilt. It teaches no more than that one would, and only
// once, so that spoilt hours can neither raise nor wear down what is usual from week to week.
func (b *habit) fill(c int, count uint32, young bool) {
	left := float64(count)
	if !young {
		left = min(left, max(b.at(c), 1))
	}
	b.usual[c] = cellFor(left)
	b.learnt++
	b.rich = b.rich || left > 0
}

// without is what would be usual in an hour of the week if it had not been seen.
func (b *habit) without(c int) float64 {
	was := b.usual[c]
	b.usual[c] = unknown
	defer func() { b.usual[c] = was }()
	return b.at(c)
}

// learn takes what an hour of the week had into a habit. filled says that what is known of it may be what was left of a spoilt one.
func (b *habit) learn(c, row int, count uint32, young, filled bool) {
	if b.weeks[row] == nil {
		b.weeks[row] = &[habitHours]cell{}
		for i := range b.weeks[row] {
			b.weeks[row][i] = unknown
		}
	}
	if b.weeks[row][c] != unknown {
		return // the clock was put back: this hour of the week is learnt
	}
	b.weeks[row][c] = cellFor(float64(count))
	b.learnt++
	var all [habitWeeks]float64
	n := 0
	for _, w := range b.weeks {
		if w == nil || w[c] == unknown {
			continue
		}
		i := n
		for v := w[c].count(); i > 0 && all[i-1] > v; i-- {
			all[i] = all[i-1]
		}
		all[i] = w[c].count()
		n++
	}
	middle := (all[(n-1)/2] + all[n/2]) / 2
	switch was := b.at(c); {
	case b.usual[c] != unknown:
		most := max(habitGrow*was, was+1)
		if filled { // too little, perhaps: as much is believed as if it had not been seen
			most = max(most, b.without(c))
		}
		middle = min(middle, most)
	case !young: // what other hours have is as much as is believed, or it would grow from day to day
		middle = min(middle, max(was, 1))
	}
	b.usual[c] = cellFor(middle)
	b.rich = b.rich || middle > 0
}

// cell is how many calls an hour had, in quarters: twelve bits of a number and four of its power of two, rounded down.
// So it is exact below a thousand calls and off by less than a thousandth above.
type cell uint16

const (
	unknown  cell = 0xFFFF
	mostCell cell = 0xEFFF // 16 million calls an hour
)

func cellFor(count float64) cell {
	v := uint64(min(max(count, 0), mostCell.count()) * 4)
	e := cell(0)
	for v > 0xFFF {
		v >>= 1
		e++
	}
	return e<<12 | cell(v)
}

func (c cell) count() float64 { return float64(uint64(c&0xFFF)<<(c>>12)) / 4 }
