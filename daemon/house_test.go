package daemon

import "ringfence/screening"

// house is a running daemon as tests use it: what people ask, and what the switch does.
type house struct {
	*Front
	*screening.Screener
	d *Daemon
}

// in gives the house of a daemon.
func in(d *Daemon) *house { return &house{d.Desk(), d.screener, d} }
