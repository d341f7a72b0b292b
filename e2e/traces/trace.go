// Package traces makes up labelled calls of three weeks, and measures what a policy does to them: how much of the campaigns it
// keeps from ringing, and whom of the honest callers it touches. It is no part of the product, and knows nothing of how the
// detectors work: what it makes up comes from what callers do.
//
// The same seed makes the same calls. `go run ./e2e/catch -csv 7 >trace.csv` writes them as call detail records, which
// `ringfence policy replay trace.csv --label campaign` reads.
package traces

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"time"
)

// Call is one call of a trace.
type Call struct {
	At       time.Time // when it began, in whole seconds
	Caller   string    // as the trunk wrote it
	Callee   string
	Trunk    string
	Out      bool // one of our phones called
	Answered bool
	Ring     int    // seconds until it was answered, or given up
	Talk     int    // seconds
	Campaign string // whose call it is, "" of an honest one
	Class    string // who calls: a class of honest callers, or the kind of the campaign
}

// Classes of honest callers.
const (
	Regulars    = "regular callers"
	Strangers   = "strangers"
	Businesses  = "businesses with a block of numbers"
	ServiceCode = "banks and services"
	CallCentres = "honest call centres in 952"
	Once952     = "once-only callers of 952"
	Couriers    = "couriers"
	Privacy     = "delivery by privacy numbers"
	Clinics     = "recalls of a clinic"
	Storms      = "call-back storms"
	Neighbours  = "neighbours"
	Abroad      = "callers from abroad"
	Withheld    = "withheld"
)

// Classes lists the classes of honest callers.
func Classes() []string {
	return []string{
		Regulars, Strangers, Businesses, ServiceCode, CallCentres, Once952, Couriers, Privacy, Clinics, Storms, Neighbours, Abroad, Withheld,
	}
}

// Where the numbers of a campaign come from.
const (
	FromHead       = "licensee head"
	FromHeads      = "several heads"
	FromSublet     = "sublet head" // of which an honest call centre calls as well
	FromNeighbours = "neighbours of the called"
	FromMobiles    = "mobile block"
	FromAbroad     = "block abroad"
	FromOne        = "one number"
	FromAnywhere   = "no common prefix"
)

// Sources lists where the numbers of campaigns come from.
func Sources() []string {
	return []string{FromHead, FromHeads, FromNeighbours, FromMobiles, FromAbroad, FromOne, FromSublet, FromAnywhere}
}

// Campaign is what is true of all calls of a campaign.
type Campaign struct {
	Name   string
	Source string
	Manner string // "", or how it dials: silent, drip, twice
	Target string // whom: anybody, block, list
	Calls  int
}

// Trace is the calls of three weeks, by the time when they began.
type Trace struct {
	Seed      uint64
	Calls     []Call
	Campaigns []Campaign

	csv []byte // what replays read
}

// Days is how long a trace is.
const Days = 21

// zone is the clock of the enterprise. It has no daylight saving; traces need no database of zones.
var zone = time.FixedZone("CST", 8*3600)

// begin is a Monday.
var begin = time.Date(2026, 3, 2, 0, 0, 0, 0, zone)

// Make makes the trace of a seed.
func Make(seed uint64, of *World) *Trace {
	w := newWorld(seed, of)
	w.honest()
	w.campaigns()
	slices.SortStableFunc(w.calls, func(a, b Call) int { return a.At.Compare(b.At) })
	end := begin.AddDate(0, 0, Days)
	for len(w.calls) > 0 && !w.calls[len(w.calls)-1].At.Before(end) {
		w.calls = w.calls[:len(w.calls)-1]
	}
	return &Trace{Seed: seed, Calls: w.calls, Campaigns: w.made}
}

// CSV writes the trace as call detail records.
func (t *Trace) CSV(out io.Writer) error {
	w := bufio.NewWriterSize(out, 1<<16)
	w.WriteString("start,caller,callee,trunk,direction,answered,ring,talk,campaign,class\n")
	var b []byte
	for i := range t.Calls {
		c := &t.Calls[i]
		b = c.At.AppendFormat(b[:0], time.DateTime)
		direction := "inbound"
		if c.Out {
			direction = "outbound"
		}
		for _, cell := range []string{
			c.Caller, c.Callee, c.Trunk, direction, strconv.FormatBool(c.Answered), strconv.Itoa(c.Ring), strconv.Itoa(c.Talk), c.Campaign, c.Class,
		} {
			b = append(append(b, ','), cell...)
		}
		w.Write(append(b, '\n'))
	}
	return w.Flush()
}
