package detect

import "time"

// clock is time as a Set sees it: it never goes back. A call that is told of late counts as now. When the machine's clock was put back,
// which is when all that comes is earlier for a minute, time goes on from where it was.
type clock struct {
	now     int64 // in milliseconds since 1970, the latest that there was
	ahead   int64 // by how much that is before the times that are handed in, since the clock was put back
	back    int64 // the first time of those that are all too early, 0 for none
	leaps   int64 // when time went on by more than leap at once, last
	started bool
}

const (
	late = int64(time.Minute / time.Millisecond)
	// leap is a step of time that is taken for a clock that was put forward, or a machine that slept: Tick comes every minute.
	leap = 10 * late
)

// at is the time for something that happened at a moment.
func (c *clock) at(t time.Time) int64 {
	given := t.UnixMilli()
	ms := given + c.ahead
	switch {
	case !c.started:
		c.now, c.leaps, c.started = ms, ms, true
	case ms >= c.now:
		if ms-c.now > leap {
			c.leaps = ms
		}
		c.now, c.back = ms, 0
	case c.now-ms <= late:
		c.back = 0
	case c.back == 0 || given < c.back:
		c.back = given
	case given-c.back >= late:
		c.ahead += c.now - ms
		c.back = 0
	}
	return c.now
}

// peek is what at would say, and leaves the clock.
func (c *clock) peek(t time.Time) int64 {
	return max(c.now, t.UnixMilli()+c.ahead)
}

// time is a moment as people's clocks have it now, the zero time for 0.
func (c *clock) time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms - c.ahead).UTC()
}

// ms is a moment of people's clocks.
func (c *clock) ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli() + c.ahead
}
