package desk

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"strconv"
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
	maxAsked    = 200     // callers of a range whose holder is looked for
	formDigits  = 8       // of a number, with its country code, say how it is written
	maxForms    = 1 << 18 // beginnings of which that is remembered during one look
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
	length := bounded(q.Look, rangesLook, maxLookFor)
	done, err := d.looking.begin(ctx, length > rangesLook)
	if err != nil {
		return nil, err
	}
	defer done()
	look, cancel := context.WithTimeout(ctx, length)
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
	plan   *number.Plan
	policy *policy.Policy
	prefix string
	since  int64 // milliseconds
	step   int64
	whole  inRange
	next   [11]inRange // by the digit; the last is of other countries' numbers
	forms  map[uint64]form
	buf    []byte
}

// form is how numbers that begin alike are written inside the country: the digits of their E.164 but for the first, behind a trunk prefix.
type form struct {
	cut int
	add string
}

// inRange is what is counted of one range.
type inRange struct {
	console.RangeCalls
	callers, callees *distinct
	holder           string
	asked            int  // callers whose holder was asked for
	mixed            bool // there are several holders in it
}

func newRangeCount(plan *number.Plan, p *policy.Policy, prefix string, since, until time.Time) *rangeCount {
	c := &rangeCount{
		plan: plan, policy: p, prefix: prefix, since: since.UnixMilli(), step: max(1, (until.Sub(since).Milliseconds()+overSteps-1)/overSteps),
		forms: make(map[uint64]form),
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
	text := c.written(digits, size)
	if len(text) < len(c.prefix) || string(text[:len(c.prefix)]) != c.prefix {
		return
	}
	rest := text[len(c.prefix):]
	at := int((o.Millis() - c.since) / c.step)
	c.whole.add(c, o, at, text)
	switch {
	case len(rest) == 0:
	case rest[0] == '+':
		c.next[10].add(c, o, at, text)
	default:
		c.next[rest[0]-'0'].add(c, o, at, text)
	}
}

func (r *inRange) add(c *rangeCount, o *storage.Outline, at int, text []byte) {
	if r.callers == nil {
		r.callers, r.callees = &distinct{}, &distinct{}
		r.Over, r.OverStop = make([]int, overSteps), make([]int, overSteps)
	}
	n := o.Calls()
	r.Calls += n
	if r.callers.add(o.Caller()) && !r.mixed && r.asked < maxAsked {
		caller := c.plan.Parse(string(text))
		holder := c.policy.HolderOf(&caller)
		if r.mixed = r.asked > 0 && holder != r.holder; r.mixed {
			holder = ""
		}
		r.holder = holder
		r.asked++
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

// written is how a number is written inside the country, or, where the range is one with a plus and for other countries, + and its digits. Where a token
// shows only how a number begins, it is so much of it. It is valid until the next.
func (c *rangeCount) written(digits uint64, size int) []byte {
	c.buf = append(c.buf[:0], '+')
	for n := numberOfDigits(digits); n < size; n++ {
		c.buf = append(c.buf, '0')
	}
	c.buf = strconv.AppendUint(c.buf, digits, 10)
	if strings.HasPrefix(c.prefix, "+") {
		return c.buf
	}
	begin := digits
	for n := size; n > formDigits; n-- {
		begin /= 10
	}
	key := begin<<8 | uint64(size)
	f, known := c.forms[key]
	if !known {
		f = formOf(c.plan, string(c.buf))
		if len(c.forms) < maxForms {
			c.forms[key] = f
		}
	}
	if f.cut == 0 {
		return c.buf
	}
	n := copy(c.buf, f.add) // shorter than what is cut, by the plus at least
	return append(c.buf[:n], c.buf[f.cut:]...)
}

func numberOfDigits(v uint64) (n int) {
	for n = 1; v >= 10; v /= 10 {
		n++
	}
	return n
}

// formOf is how a number, or all that begin so, are written inside the country.
func formOf(plan *number.Plan, e164 string) form {
	for pad := range 9 {
		n := plan.Parse(e164 + strings.Repeat("0", pad))
		written := n.National()
		if n.E164 == "" || pad > 0 && written == "" {
			continue
		}
		for cut := 1; written != "" && cut < len(n.E164); cut++ {
			if add, ok := strings.CutSuffix(written, n.E164[cut:]); ok && len(add) <= cut {
				return form{cut, add}
			}
		}
		return form{}
	}
	return form{}
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
