package desk

import (
	"context"
	"fmt"
	"strings"

	"ringfence/console"
	"ringfence/marks"
	"ringfence/number"
	"ringfence/storage"
)

// Call gives one call with everything that is kept of how it was decided.
func (d *Desk) Call(ctx context.Context, id string) (*console.CallDetail, error) {
	r, err := d.callNamed(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &console.CallDetail{Record: recordOf(r)}
	if t := r.Trace; t != nil {
		c.Policy = t.Policy
		for i, s := range t.Steps {
			if i == len(t.Steps)-1 && t.Cut > 0 {
				c.Steps = append(c.Steps, console.Step{Why: fmt.Sprintf("%d more were tried, or counted, which there was no room to keep", t.Cut)})
			}
			c.Steps = append(c.Steps, console.Step{Rule: s.Rule, Matched: s.Matched, Why: s.Why})
		}
		for _, f := range t.Saw {
			c.Saw = append(c.Saw, console.Finding{Name: f.Name, Text: f.Name + ": " + f.Text})
		}
	}
	if e164 := r.Caller.E164; e164 != "" {
		c.Known = namesOfKeys(d.force.Rules().Policy, d.o.Known.Lines(e164))
	}
	c.Around, err = d.around(ctx, r)
	return c, err
}

// around are the calls of the hundred numbers around a caller's, nil where they are not of one range, or callers are hidden.
func (d *Desk) around(ctx context.Context, r *storage.Record) ([]console.TenCalls, error) {
	plan := d.force.Rules().Policy.Plan()
	n := plan.Parse(r.Caller.E164)
	if r.Caller.E164 == "" || n.E164 != r.Caller.E164 || strings.HasPrefix(r.Caller.E164, storage.PrivateMark) {
		return nil, nil
	}
	block, ok := marks.BlockOf(&n)
	if !ok || block.Alone() {
		return nil, nil
	}
	q := storage.Query{Since: d.o.Now().Add(-evidenceOf)}
	first, err := plan.KeptPattern(block.Number(0))
	if err != nil {
		return nil, nil //nolint: no pattern is of these numbers
	}
	last, err := plan.KeptPattern(block.Number(99))
	if err != nil || first.Size != last.Size {
		return nil, nil
	}
	first.Hi = last.Hi
	q.Ranges = []number.Pattern{first}
	look, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	var calls [100]int
	_, err = d.db.Outlines(look, q, func(all []storage.Outline) error {
		for i := range all {
			if digits, _, ok := all[i].Digits(); ok && !all[i].Test() {
				calls[digits%100] += all[i].Calls()
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows := make([]console.TenCalls, 10)
	for i := range rows {
		in := plan.Parse(block.Number(i * 10))
		rows[i].Range, rows[i].Own = rangeAround(plan, &in, 1), -1
		copy(rows[i].Calls[:], calls[i*10:])
		if own := block.Own(); own/10 == i {
			rows[i].Own = own % 10
		}
	}
	return rows, nil
}
