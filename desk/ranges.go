package desk

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/detect"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// Bounds of a look at a range.
const (
	rangesLook  = 3 * time.Second
	rangesSince = 7 * 24 * time.Hour
	rangesFresh = time.Minute // how old the last answer may be
	maxRanges   = 64          // answers that are kept
	overSteps   = 48
	shortTalk   = 6 * time.Second
	maxInRange  = 5       // breakers that are named
	maxWritten  = 1 << 18 // callers whose digits are remembered during one look
)

// rangesSeen are the last answers.
type rangesSeen struct {
	sync.Mutex
	all map[string]seenRange
}

type seenRange struct {
	at     time.Time
	report *console.RangeReport
}

// Ranges counts calls by the next digit of their callers' numbers, from the journal's index.
func (d *Desk) Ranges(ctx context.Context, q console.RangeQuery) (*console.RangeReport, error) {
	now, r := d.o.Now(), d.force.Rules()
	plan := r.Policy.Plan()
	prefix := strings.TrimSpace(q.Prefix)
	if digits := strings.TrimPrefix(prefix, "+"); len(prefix) > 16 || strings.Trim(digits, "0123456789") != "" {
		return nil, console.Bad(fmt.Sprintf("%.40q is no beginning of a number: write digits as inside the country, 9521, or + and a country code", q.Prefix))
	}
	usual := q.Since.IsZero() && q.Until.IsZero()
	if report := d.seen(prefix, now); usual && report != nil {
		return report, nil
	}
	if q.Until.IsZero() {
		q.Until = now
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-rangesSince)
	}
	if !q.Since.Before(q.Until) {
		return nil, console.Bad("since is not before until")
	}
	asked := storage.Query{Since: q.Since, Until: q.Until}
	if ranges := beginning(plan, prefix); ranges != nil {
		asked.Ranges = ranges
	}
	look, cancel := context.WithTimeout(ctx, bounded(q.Look, rangesLook, maxLookFor))
	defer cancel()
	c := newRangeCount(plan, r.Policy, prefix, q.Since, q.Until)
	came, err := d.db.Outlines(look, asked, func(all []storage.Outline) error {
		for i := range all {
			c.add(&all[i])
		}
		return nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	report := c.report(d, r.Detectors, r.Policy, now)
	report.Since, report.Done = q.Since.UTC(), came.Done
	if !came.Done {
		report.Through = storage.TimeOf(came.Last)
	}
	if usual && came.Done {
		d.keepRange(prefix, now, report)
	}
	return report, nil
}

func (d *Desk) seen(prefix string, now time.Time) *console.RangeReport {
	d.ranges.Lock()
	defer d.ranges.Unlock()
	s, ok := d.ranges.all[prefix]
	if age := now.Sub(s.at); !ok || age < 0 || age > rangesFresh {
		return nil
	}
	return s.report
}

func (d *Desk) keepRange(prefix string, now time.Time, report *console.RangeReport) {
	d.ranges.Lock()
	defer d.ranges.Unlock()
	if len(d.ranges.all) >= maxRanges || d.ranges.all == nil {
		d.ranges.all = make(map[string]seenRange)
	}
	d.ranges.all[prefix] = seenRange{now, report}
}

// beginning are patterns of E.164 digits that numbers of a range match; nil for all.
func beginning(plan *number.Plan, prefix string) []number.Pattern {
	if prefix == "" || prefix == "+" || prefix == "0" {
		return nil
	}
	p, err := plan.Pattern(prefix + "*")
	if err != nil {
		return nil // each number is looked at
	}
	return plan.InE164(p)
}

// rangeCount counts a range and the ranges in it.
type rangeCount struct {
	plan    *number.Plan
	policy  *policy.Policy
	prefix  string
	since   int64 // milliseconds
	step    int64
	whole   inRange
	next    [11]inRange // by the digit; the last is of other countries' numbers
	written map[uint64]string
}

// inRange is what is counted of one range.
type inRange struct {
	console.RangeCalls
	callers, callees *distinct
	holder           string
	mixed            bool // there are several holders in it
}

func newRangeCount(plan *number.Plan, p *policy.Policy, prefix string, since, until time.Time) *rangeCount {
	c := &rangeCount{
		plan: plan, policy: p, prefix: prefix, since: since.UnixMilli(), step: max(1, (until.Sub(since).Milliseconds()+overSteps-1)/overSteps),
		written: make(map[uint64]string),
	}
	c.whole.Prefix = prefix
	for i := range c.next {
		c.next[i].Prefix = prefix + string(rune('0'+i))
	}
	c.next[10].Prefix = "+"
	return c
}

func (c *rangeCount) add(o *storage.Outline) {
	digits, size, ok := o.Digits()
	if o.Test() || !ok {
		return
	}
	text, known := c.written[o.Caller()]
	if !known {
		text = writtenAs(c.plan, digits, size, strings.HasPrefix(c.prefix, "+"))
		if len(c.written) < maxWritten {
			c.written[o.Caller()] = text
		}
	}
	rest, in := strings.CutPrefix(text, c.prefix)
	if !in {
		return
	}
	at := int((o.Millis() - c.since) / c.step)
	c.whole.add(c, o, at, text)
	switch {
	case rest == "":
	case rest[0] == '+':
		c.next[10].add(c, o, at, text)
	default:
		c.next[rest[0]-'0'].add(c, o, at, text)
	}
}

func (r *inRange) add(c *rangeCount, o *storage.Outline, at int, text string) {
	if r.callers == nil {
		r.callers, r.callees = &distinct{}, &distinct{}
		r.Over, r.OverStop = make([]int, overSteps), make([]int, overSteps)
	}
	n := o.Calls()
	r.Calls += n
	if r.callers.add(o.Caller()) && !r.mixed {
		caller := c.plan.Parse(text)
		if holder := c.policy.HolderOf(&caller); r.Callers == 0 {
			r.holder = holder
		} else if r.mixed = holder != r.holder; r.mixed {
			r.holder = ""
		}
		r.Callers = 1
	}
	r.callees.add(uint64(o.Callee()))
	if at >= 0 && at < overSteps {
		r.Over[at] += n
	}
	switch {
	case o.Stopped():
		r.Stopped += n
		if at >= 0 && at < overSteps {
			r.OverStop[at] += n
		}
	case o.Rang():
		r.Rang += n
		if o.Answered() {
			if r.Answered += n; o.Talk() <= shortTalk {
				r.Short += n
			}
		}
	}
}

// writtenAs is how a number is written inside the country, or with plus, and for other countries, + and its digits. Where a token shows only how a number
// begins, so much of it.
func writtenAs(plan *number.Plan, digits uint64, size int, plus bool) string {
	text := fmt.Sprintf("+%0*d", size, digits)
	if plus {
		return text
	}
	for pad := range 9 {
		n := plan.Parse(text + strings.Repeat("0", pad))
		if n.E164 == "" {
			continue
		}
		if written := n.National(); written != "" {
			return written[:len(written)-min(pad, len(written))]
		}
		return text
	}
	return text
}

// report gives what was counted.
func (c *rangeCount) report(d *Desk, set *detect.Set, p *policy.Policy, now time.Time) *console.RangeReport {
	report := &console.RangeReport{Next: []console.RangeCalls{}}
	var open []detect.Breaker
	set.Breakers("", false, now, func(b detect.Breaker) bool {
		if b.State != detect.Closed && len(open) < 1000 {
			open = append(open, b)
		}
		return true
	})
	end := func(r *inRange) console.RangeCalls {
		if r.callers != nil {
			r.Callers, r.Callees = r.callers.count(), r.callees.count()
		}
		r.Holder = r.holder
		for i := range open {
			b := &open[i]
			if r.Prefix == "" || !strings.HasPrefix(b.Key, r.Prefix) || strings.Trim(b.Key, "+0123456789") != "" {
				continue
			}
			if len(r.Tripped) == maxInRange {
				r.Tripped = append(r.Tripped, "and more")
				break
			}
			text := b.Detector + ": " + d.keyShown(p, b) + " " + b.State
			if !b.Until.IsZero() {
				text += " until " + b.Until.In(p.Zone()).Format("15:04")
			}
			r.Tripped = append(r.Tripped, text)
		}
		return r.RangeCalls
	}
	report.Range = end(&c.whole)
	for i := range c.next {
		if c.next[i].Calls > 0 {
			report.Next = append(report.Next, end(&c.next[i]))
		}
	}
	return report
}

// distinct counts different values, however many there are: exactly while they are few, and within a per cent up to some millions (linear
// counting). The hashes that come are spread once more.
type distinct struct {
	bits [distinctBits / 64]uint64
	set  int
}

const distinctBits = 1 << 20

// add reports whether a value is new.
func (d *distinct) add(v uint64) bool {
	v *= 0x9e3779b97f4a7c15
	v = (v ^ v>>29) * 0xbf58476d1ce4e5b9 >> (64 - bits.Len(distinctBits-1))
	if d.bits[v/64]&(1<<(v%64)) != 0 {
		return false
	}
	d.bits[v/64] |= 1 << (v % 64)
	d.set++
	return true
}

func (d *distinct) count() int {
	if d.set >= distinctBits {
		return 14 * distinctBits // what it can tell at most
	}
	return int(math.Round(-distinctBits * math.Log(1-float64(d.set)/distinctBits)))
}
