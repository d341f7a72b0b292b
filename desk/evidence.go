package desk

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/marks"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
)

// Bounds of the look into the journal for a report.
const (
	evidenceOf      = 28 * 24 * time.Hour // how far back
	evidenceWait    = 8 * time.Second
	evidenceRecords = 3_000_000
	maxOthers       = 20  // other reports that are named
	mostCalled      = 5   // called numbers that are named
	maxLineLists    = 200 // lists of lines that are asked whether they trust a number
)

// book adds up what reports say of each caller, as they have them.
type book struct {
	marks     map[customerMark]time.Time
	dismissed map[string]int
	sums      map[string][]time.Time // marks by caller, once they are asked for
}

type customerMark struct{ caller, customer string }

func newBook() *book {
	return &book{marks: make(map[customerMark]time.Time), dismissed: make(map[string]int)}
}

func callerKey(r *storage.Report) string { return cmp.Or(r.Caller.E164, r.Caller.Raw) }

func (b *book) add(r *storage.Report) {
	switch key := callerKey(r); r.State {
	case storage.ReportDismissed, storage.ReportLifted:
		b.dismissed[key]++
	default:
		m := customerMark{key, r.Owner()}
		if at := r.LastTime(); at.After(b.marks[m]) {
			b.marks[m] = at
		}
	}
}

// weight is what the marks of a report's caller count now: each customer's by its age, all of them less where earlier ones were dismissed.
func (b *book) weight(r *storage.Report, now time.Time) (sum float64) {
	if b.sums == nil {
		b.sums = make(map[string][]time.Time)
		for m, at := range b.marks {
			b.sums[m.caller] = append(b.sums[m.caller], at)
		}
	}
	key := callerKey(r)
	for _, at := range b.sums[key] {
		sum += marks.Fade(now.Sub(at))
	}
	return sum * marks.Doubt(b.dismissed[key])
}

func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// ShowReport gives a report with what there is to decide it by: what the journal has of this caller and of the numbers around them in the last
// weeks, and what other reports say.
func (d *Desk) ShowReport(ctx context.Context, id string) (*console.ReportEvidence, error) {
	r, err := d.db.Report(id)
	if err != nil {
		return nil, reportError(err)
	}
	if err := d.needLists(); err != nil {
		return nil, err
	}
	e, _, err := d.evidence(ctx, &r)
	return e, err
}

// proposed is how many digits are free in the range that is proposed for a report.
func (d *Desk) proposed(ctx context.Context, r *storage.Report, n *number.Number) (free int, err error) {
	e, block, err := d.evidence(ctx, r)
	if err != nil {
		return 0, err
	}
	if e.Proposal != nil {
		p, _ := block.Propose()
		return p.Free, nil
	}
	why := "too few of the numbers around " + n.E164 + " are listed, or marked by different customers: 4 of 10, or 8 of 100 in 4 tens, propose a range"
	if e.Why != "" {
		why = e.Why
	}
	return 0, console.Conflict(fmt.Sprintf("report %s was not confirmed: no range is proposed for it: %s. `ringfence reports confirm %s` lists the number alone", r.ID, why, r.ID))
}

// evidence gathers what there is to decide a report by. The block is nil where the caller has no number, or it is hidden.
func (d *Desk) evidence(ctx context.Context, r *storage.Report) (*console.ReportEvidence, *marks.Block, error) {
	now, rules := d.o.Now(), d.force.Rules()
	e := &console.ReportEvidence{Report: reportOf(r), Since: now.Add(-evidenceOf)}
	named, ok := d.reveal(*r)
	n := rules.Policy.Plan().Parse(named.Caller.E164)
	block, hasNumber := marks.BlockOf(&n)
	if !ok || !hasNumber || n.E164 != named.Caller.E164 {
		block = nil
	}
	var names map[string]int
	if block != nil {
		names = d.namesIn(block)
		if err := d.noteTraits(block, e); err != nil {
			return nil, nil, err
		}
	}
	customers, dismissed, err := d.otherReports(ctx, r, block, names, e)
	if err != nil || block == nil {
		return e, nil, err
	}
	if err := d.lookThrough(ctx, block, names, e); err != nil {
		return nil, nil, err
	}
	d.sumUp(block, e, customers, dismissed)
	if r.State == storage.ReportConfirmed {
		e.Entry = rangeAround(rules.Policy.Plan(), &n, r.Free)
		e.Listed, err = d.isListed(r, &n)
	}
	return e, block, err
}

// namesIn are the numbers of a block as records and reports have them, with their places: as they are, and as tokens where callers are hidden.
func (d *Desk) namesIn(b *marks.Block) map[string]int {
	key := d.o.Private
	if key == nil {
		key, _ = pseudonym.Open(d.conf.Data, true) // they were once
	}
	plan, names := d.force.Rules().Policy.Plan(), make(map[string]int)
	for _, i := range b.Places() {
		text := b.Number(i)
		names[text] = i
		if key != nil {
			n := plan.Parse(text)
			names[key.Token(&n)] = i
		}
	}
	return names
}

// noteTraits notes which numbers of a block are on lists, known to lines, or protected by the policy.
func (d *Desk) noteTraits(b *marks.Block, e *console.ReportEvidence) error {
	r, now := d.force.Rules(), d.o.Now()
	trusted := []string{trustedList}
	for _, name := range r.Lists.Names() {
		if strings.HasSuffix(name, ":"+trustedList) && len(trusted) < maxLineLists {
			trusted = append(trusted, name)
		}
	}
	var listed []int
	var patterns []string
	for _, i := range b.Places() {
		call := r.Policy.Call(policy.Facts{Caller: b.Number(i), Time: now})
		n := &call.Caller
		if entry, ok := r.Lists.Lookup(reportList, n, now); ok && entry.Pattern.IsExact() {
			listed = append(listed, i)
			patterns = append(patterns, entry.Pattern.String())
		}
		if slices.ContainsFunc(trusted, func(list string) bool { _, ok := r.Lists.Lookup(list, n, now); return ok }) {
			b.Note(i, marks.Allowed)
		}
		if n.Kinds.Has(number.Emergency) || r.Policy.NeverScreened(n) || r.Policy.Protected(&call, r.Lists) != 0 {
			b.Note(i, marks.Protected)
		}
		lines := slices.DeleteFunc(d.o.Known.Lines(n.E164), func(key string) bool { return !isThere(r.Policy, key) })
		if len(lines) > 0 {
			b.Note(i, marks.Known)
		}
		if i == b.Own() {
			e.Known = namesOfKeys(r.Policy, lines)
		}
	}
	records, err := d.db.Lookup(reportList, patterns...)
	for k, i := range listed {
		if err == nil && slices.ContainsFunc(records[k], func(o storage.Entry) bool { return o.Origin != storage.FromReport || o.Who != autoWho }) {
			b.Note(i, marks.Listed) // what was confirmed by itself counts by its marks
		}
	}
	return err
}

// otherReports goes through all reports: for those of the same caller, which it names, and of the numbers around. customers has what the mark of
// each counts by its age.
func (d *Desk) otherReports(ctx context.Context, r *storage.Report, b *marks.Block, names map[string]int, e *console.ReportEvidence) (customers map[string]float64, dismissed int, err error) {
	now, all, key := d.o.Now(), newBook(), callerKey(r)
	customers = make(map[string]float64)
	err = d.db.Reports("", func(o storage.Report) error {
		other := callerKey(&o)
		place, near := names[other]
		mine := other == key || b != nil && near && place == b.Own()
		against := o.State == storage.ReportOpen || o.State == storage.ReportConfirmed
		if near && against {
			b.Mark(place, o.Owner())
		}
		if !mine {
			return ctx.Err()
		}
		if o.Caller.E164 = r.Caller.E164; against { // by whatever name
			customers[o.Owner()] = max(customers[o.Owner()], marks.Fade(now.Sub(o.LastTime())))
		} else {
			dismissed++
		}
		if all.add(&o); o.ID != r.ID {
			e.Others = append(e.Others, console.OtherReport{ID: o.ID, Customer: o.Owner(), State: o.State, Last: o.LastTime(), Who: o.Who, Decided: o.Decided})
			if len(e.Others) > maxOthers {
				e.Others = slices.Delete(e.Others, 0, 1)
			}
		}
		return ctx.Err()
	})
	slices.Reverse(e.Others)
	e.Weight = rounded(all.weight(r, now))
	return customers, dismissed, err
}

// lookThrough counts the calls of a block in the journal, as far as that can be done in time.
func (d *Desk) lookThrough(ctx context.Context, b *marks.Block, names map[string]int, e *console.ReportEvidence) (err error) {
	settled, done := context.WithTimeout(ctx, 2*time.Second)
	d.settle(settled) // what cannot be written now is not there; the status says why
	done()
	look, cancel := context.WithTimeout(ctx, evidenceWait)
	defer cancel()
	p := d.force.Rules().Policy
	query := storage.CallersQuery{Since: e.Since, Names: slices.Sorted(maps.Keys(names)), Most: evidenceRecords}
	e.Looked, e.Cut, err = d.db.JournalOf(look, query, func(r storage.Record) error {
		if !r.Test {
			call := callOf(p, &r)
			b.Add(names[r.Caller.E164], &call)
		}
		return nil
	})
	if err == nil {
		err = ctx.Err() // who asked is gone
	}
	return err
}

// callOf is a record as evidence.
func callOf(p *policy.Policy, r *storage.Record) marks.Call {
	callee := p.Call(policy.Facts{Callee: r.Callee}).Callee
	line, _ := p.LineCalled(&callee)
	whose := cmp.Or(r.Customer, line.Customer)
	if line.Kept { // it may have been another customer's
		whose = r.Owner()
	}
	c := marks.Call{
		Callee: number.InertUpTo(r.Callee, 64), Customer: cmp.Or(whose, storage.NoLine), Time: r.Time, Count: r.Repeats + 1, Rang: r.Rang(),
		Warned: r.Action == policy.Warn.String() || r.Action == policy.Challenge.String(),
	}
	if o := r.Outcome; o != nil {
		c.Answered, c.Talk = o.Answered, time.Duration(o.TalkS*float64(time.Second))
	}
	return c
}

// sumUp says what the calls of a block and the marks come to.
func (d *Desk) sumUp(b *marks.Block, e *console.ReportEvidence, customers map[string]float64, dismissed int) {
	own := b.Calls()
	e.Did = callsOf(own)
	e.Customers = len(customers)
	e.Unwanted, e.Reached = own.Unwanted(customers)
	e.Confidence = e.Unwanted
	plan := d.force.Rules().Policy.Plan()
	n := plan.Parse(b.Number(b.Own()))
	if !b.Alone() {
		for free, to := range []**console.BlockEvidence{&e.Around, &e.Hundred} {
			calls, callers, marked, count := b.Around(free + 1)
			*to = &console.BlockEvidence{
				Range: rangeAround(plan, &n, free+1), Callers: callers, Marked: marked, Share: rounded(marks.Lower(float64(count), float64(callers))),
				CallsEvidence: callsOf(&calls),
			}
			e.Confidence = max(e.Confidence, (*to).Share)
		}
	}
	e.Unwanted, e.Confidence = rounded(e.Unwanted), rounded(e.Confidence*marks.Doubt(dismissed))
	e.Effect = console.Effect(b.Refusing(0))
	p, why := b.Propose()
	switch {
	case p.Free > 0 && e.Cut:
		e.Why = "the journal could not be looked through in time, and a number among them may be one that somebody wants"
	case p.Free > 0:
		e.Proposal = &console.Proposal{Range: rangeAround(plan, &n, p.Free), Members: p.Members, Effect: console.Effect(b.Refusing(p.Free))}
	default:
		e.Why = why
	}
}

func callsOf(t *marks.Tally) console.CallsEvidence {
	c := console.CallsEvidence{
		Calls: t.Calls, Rang: t.Rang, Answered: t.Answered, Short: t.Short, Long: t.Long, TalkS: t.Talk.Seconds(), Callees: t.Callees(), First: t.First, Last: t.Last,
	}
	for _, m := range t.Most(mostCalled) {
		c.Most = append(c.Most, console.CalleeCalls(m))
	}
	return c
}
