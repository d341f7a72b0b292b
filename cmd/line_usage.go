package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"time"

	"ringfence/console"
)

// lineUsageCmd is `ringfence line usage`.
type lineUsageCmd struct {
	Customer string `placeholder:"CUSTOMER" help:"Only lines of this customer."`
	Since    string `placeholder:"WHEN" help:"Only from then on: 7d back, a date 2026-11-01, or a time 2026-11-01T08:00:00+08:00."`
	Until    string `placeholder:"WHEN" help:"Only until then; a date is its beginning."`
}

func (c *lineUsageCmd) Run(a *app) error {
	now := time.Now()
	since, err := past(c.Since, now)
	if err != nil {
		return usageError{"--since: " + err.Error()}
	}
	until, err := past(c.Until, now)
	if err != nil {
		return usageError{"--until: " + err.Error()}
	}
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	out := bufio.NewWriter(a.out)
	if !a.json {
		out.Write(console.AppendUsageHeader(nil))
	}
	var line []byte
	found := false
	err = d.Usage(a.ctx, console.UsageQuery{Customer: c.Customer, Since: since, Until: until}, func(u console.Usage) error {
		found = true
		if a.json {
			if err := out.Flush(); err != nil {
				return err
			}
			return a.print(u, "")
		}
		line = u.AppendCSV(line[:0])
		_, err := out.Write(line)
		return err
	})
	if err == nil && !found && !a.json {
		fmt.Fprintln(a.err, "the journal has no calls to such lines")
	}
	return errors.Join(err, out.Flush())
}

// printCustomers writes what came to the lines of customers today.
func (a *app) printCustomers(s *console.CustomersStatus) {
	if s == nil {
		return
	}
	if s.Customers == 0 {
		fmt.Fprintln(a.out, "today    no calls to customers")
	} else {
		fmt.Fprintf(a.out, "today    calls to %s\n", howMany(s.Customers, "customer"))
	}
	if s.Cut {
		fmt.Fprintf(a.out, "         only those since %s were looked at\n", when(s.Since))
	}
	for _, c := range s.Most {
		fmt.Fprintf(a.out, "         %s: %s, %d stopped\n", shown(c.Customer), howMany(c.Calls, "call"), c.Stopped)
	}
	if more := s.Customers - len(s.Most); more > 0 {
		fmt.Fprintf(a.out, "         and %d more (ringfence line usage)\n", more)
	}
}
