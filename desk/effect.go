package desk

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/marks"
	"ringfence/policy"
	"ringfence/storage"
)

// Bounds of what an entry would have done.
const (
	effectLook     = 3 * time.Second
	effectExamples = 3
	effectCallers  = 5000 // that are looked up among whom lines deal with
	effectKnown    = 10
)

// EffectOf says what a list entry would have done to the calls of the last weeks that rang: what was turned away already it would not have changed.
func (d *Desk) EffectOf(ctx context.Context, q console.EffectQuery) (*console.EntryEffect, error) {
	p := d.force.Rules().Policy
	pattern, err := entryOf(p.Plan(), q.Pattern)
	if err != nil {
		return nil, console.Bad(err.Error())
	}
	e := &console.EntryEffect{Since: d.o.Now().Add(-evidenceOf).UTC().Truncate(time.Second)}
	asked := storage.Query{Since: e.Since, Newest: true, Became: storage.DidRing}
	d.inRange(&asked, p.Plan(), pattern)
	if line, _, own := strings.Cut(q.List, ":"); own {
		of, ok := p.LineNamed(line)
		if !ok {
			return nil, noLineNamed(line)
		}
		asked.Lines, asked.Customer = []string{line}, of.Customer // calls of a customer who had it before are not theirs
	}
	d.flush(ctx)
	done, err := d.looking.begin(ctx, false)
	if err != nil {
		return nil, err
	}
	defer done()
	look, cancel := context.WithTimeout(ctx, effectLook)
	defer cancel()
	var sum marks.Tally
	callers := make(map[string]bool)
	var longest []storage.Record
	came, err := d.db.Search(look, asked, func(r storage.Record) error {
		if r.Test {
			return nil
		}
		call := callOf(p, &r)
		sum.Add(&call)
		if name := cmp.Or(r.Caller.E164, r.Caller.Raw); len(callers) < effectCallers {
			callers[name] = true
		} else if !callers[name] {
			e.Cut = true
		}
		if call.Answered {
			longest = append(longest, r)
			slices.SortStableFunc(longest, func(a, b storage.Record) int { return cmp.Compare(b.Outcome.TalkS, a.Outcome.TalkS) })
			longest = longest[:min(len(longest), effectExamples)]
		}
		return nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	e.Stops, e.Long, e.Answered, e.Callers = sum.Rang, sum.Long, sum.Answered, len(callers)
	e.Cut = e.Cut || !came.Done
	for i := range longest {
		e.Examples = append(e.Examples, recordOf(&longest[i]))
	}
	if pattern.IsExact() {
		if n := p.Plan().Parse(pattern.String()); n.E164 != "" {
			callers[n.E164] = true
		}
	}
	e.Known = d.dealtWith(p, callers, asked.Lines)
	return e, nil
}

// dealtWith names lines that deal with one of some callers, some of them; of certain lines alone, if these are not nil.
func (d *Desk) dealtWith(p *policy.Policy, callers map[string]bool, of []string) []string {
	found := make(map[string]bool)
	for name := range callers {
		for _, line := range namesOfKeys(p, d.o.Known.Lines(name)) {
			if of == nil || slices.Contains(of, line) {
				found[line] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(found))
	return names[:min(len(names), effectKnown)]
}
