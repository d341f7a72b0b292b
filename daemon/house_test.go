package daemon

import (
	"sync"
	"sync/atomic"
	"time"

	"ringfence/screening"
)

// house is a running daemon as tests use it: what people ask, and what the switch does.
type house struct {
	*Front
	*screening.Screener
	d *Daemon
}

// in gives the house of a daemon.
func in(d *Daemon) *house { return &house{d.Desk(), d.screener, d} }

// clock is a daemon's time, which tests may stop at a moment.
type clock struct{ at atomic.Int64 } // nanoseconds since 1970; 0 while it runs

var clocks sync.Map // of *Daemon

func (c *clock) now() time.Time {
	if ns := c.at.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Now()
}

// stopClock has it be a moment from now on, for a daemon that start has made.
func (d *Daemon) stopClock(at time.Time) {
	c, _ := clocks.Load(d)
	c.(*clock).at.Store(at.UnixNano())
}
