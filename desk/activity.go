package desk

import (
	"context"
	"fmt"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// Bounds of a count of calls over time.
const (
	maxActivity  = 10_080 // a week of minutes
	activityLook = 2 * time.Second
	usualSteps   = 60
)

// Activity counts calls by what was done, from the journal's index: nothing has to be kept of it, and what was deleted does not count.
func (d *Desk) Activity(ctx context.Context, q console.ActivityQuery) (*console.Activity, error) {
	if q.Until.IsZero() {
		q.Until = d.o.Now()
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-time.Hour)
	}
	span := q.Until.Sub(q.Since)
	if q.Step <= 0 {
		q.Step = span / usualSteps
	}
	q.Step = max(q.Step.Truncate(time.Second), time.Minute)
	switch {
	case span <= 0:
		return nil, console.Bad("since is not before until")
	case span/q.Step > maxActivity:
		return nil, console.Bad(fmt.Sprintf("these are %d steps, and %d are given at most: ask for longer ones", span/q.Step, maxActivity))
	}
	since := q.Since.UTC().Truncate(q.Step) // so that a step is the same whenever it is asked for
	a := &console.Activity{Since: since, Step: q.Step, Counts: make(map[string][]int)}
	steps, first, step := int((q.Until.Sub(since)+q.Step-1)/q.Step), since.UnixMilli(), q.Step.Milliseconds()
	done, err := d.looking.begin(ctx, false)
	if err != nil {
		return nil, err
	}
	defer done()
	look, cancel := context.WithTimeout(ctx, activityLook)
	defer cancel()
	came, err := d.db.Outlines(look, storage.Query{Since: since, Until: q.Until}, func(all []storage.Outline) error {
		for i := range all {
			o := &all[i]
			at := int((o.Millis() - first) / step)
			if o.Test() || at < 0 || at >= steps {
				continue
			}
			counts := a.Counts[o.Action()]
			if counts == nil {
				counts = make([]int, steps)
				a.Counts[o.Action()] = counts
			}
			counts[at] += o.Calls()
		}
		return nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	a.Whole = came.Done
	return a, nil
}
