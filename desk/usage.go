package desk

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

// What came to the lines of each customer, as the journal has it: for who bills them, and for the status.

// Usage calls yield for each line and day, by days and then customers and lines. It holds what one day has.
func (d *Desk) Usage(ctx context.Context, q console.UsageQuery, yield func(console.Usage) error) error {
	if d.o.Journal != nil {
		wait, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		d.o.Journal.Flush(wait) // what cannot be written now is not counted; the status says why
	}
	type of struct{ customer, line string }
	zone, today, used := d.force.Rules().Policy.Zone(), "", make(map[of]*console.Usage)
	end := func() error {
		for _, u := range slices.SortedFunc(maps.Values(used), func(a, b *console.Usage) int {
			return cmp.Or(strings.Compare(a.Customer, b.Customer), strings.Compare(a.Line, b.Line))
		}) {
			if err := yield(*u); err != nil {
				return err
			}
		}
		clear(used)
		return nil
	}
	err := d.db.Journal(storage.Query{Since: q.Since, Until: q.Until, Customer: q.Customer, Lines: q.Lines}, func(r storage.Record) error {
		if r.Test || r.Line == "" {
			return ctx.Err()
		}
		// By the id, whose order is that of the journal.
		if day := storage.TimeOf(r.ID).In(zone).Format(time.DateOnly); day != today {
			if err := end(); err != nil {
				return err
			}
			today = day
		}
		key := of{r.Owner(), r.Line}
		u := used[key]
		if u == nil {
			u = &console.Usage{Customer: key.customer, Line: key.line, Day: today}
			used[key] = u
		}
		use(u, &r)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return end()
}

// use counts the calls of a record.
func use(u *console.Usage, r *storage.Record) {
	n := r.Repeats + 1
	u.Calls += n
	action, _ := policy.ParseAction(r.Action)
	switch action {
	case policy.Tag:
		u.Labelled += n
	case policy.Warn:
		u.Warned += n
	case policy.Challenge:
		u.Challenged += n
	case policy.Divert:
		u.Diverted += n
	case policy.Reject:
		u.Rejected += n
	default:
		u.LetThrough += n
		switch would, _ := policy.ParseAction(r.Would); would { // who passed a challenge before is let through by it
		case policy.Reject, policy.Challenge, policy.Divert:
			if r.Mode == policy.Observe.String() || r.Rule == policy.RuleFailOpen || r.Rule == policy.RulePaused {
				u.Would += n
			}
		}
	}
}

// Bounds of the look at a day's calls for the status.
const (
	mostCustomers = 5
	todayWait     = time.Second
	todayRecords  = 500_000
	todayFresh    = 10 * time.Second // how old what was found may be
)

// today keeps what was found last.
type today struct {
	sync.Mutex
	at   time.Time
	seen *console.CustomersStatus
}

// customersToday is what came today to the lines of customers, nil where no line is in the database.
func (d *Desk) customersToday() *console.CustomersStatus {
	r := d.force.Rules()
	if kept, _ := r.Lines.Len(); kept == 0 {
		return nil
	}
	d.today.Lock()
	defer d.today.Unlock()
	now := d.o.Now()
	if age := now.Sub(d.today.at); d.today.seen != nil && age >= 0 && age < todayFresh {
		return d.today.seen
	}
	y, m, day := now.In(r.Policy.Zone()).Date()
	s := &console.CustomersStatus{Since: time.Date(y, m, day, 0, 0, 0, 0, r.Policy.Zone()).UTC()}
	calls := make(map[string]*console.CustomerCalls)
	until, looked, last := time.Now().Add(todayWait), 0, time.Time{}
	err := d.db.Journal(storage.Query{Since: s.Since, Newest: true}, func(r storage.Record) error {
		if looked++; looked > todayRecords || time.Now().After(until) {
			s.Cut, s.Since = true, last.UTC()
			return errEnough
		}
		last = r.Time
		if r.Test || r.Line == "" {
			return nil
		}
		c := calls[r.Owner()]
		if c == nil {
			c = &console.CustomerCalls{Customer: r.Owner()}
			calls[c.Customer] = c
		}
		c.Calls += r.Repeats + 1
		if r.Action == policy.Reject.String() || r.Action == policy.Challenge.String() && !r.Passed {
			c.Stopped += r.Repeats + 1
		}
		return nil
	})
	if err != nil && err != errEnough { // a damaged record: the rest is counted
		d.o.Log.Debug("calls of today could not all be read", "error", err)
	}
	s.Customers = len(calls)
	for _, c := range slices.SortedFunc(maps.Values(calls), func(a, b *console.CustomerCalls) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), strings.Compare(a.Customer, b.Customer))
	}) {
		if len(s.Most) == mostCustomers {
			break
		}
		s.Most = append(s.Most, *c)
	}
	d.today.at, d.today.seen = now, s
	return s
}
