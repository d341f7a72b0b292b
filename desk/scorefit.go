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
	"ringfence/policy"
	"ringfence/storage"
)

// What a proposal of weights rests on.
const (
	fewMarks      = 50       // callers: with fewer chance decides
	fewOfOne      = 10       // of one side
	maxListedFit  = 1000     // callers on the allowlist
	fitSpread     = 1.0      // how far, in log-odds, a weight is from what it is now with two thirds
	priorSpread   = 10.0     // of the prior, which only takes up how many of the marks were confirmed
	interval      = 1.959964 // of a normal distribution, for 95 %
	evidenceSpan  = 24 * time.Hour
	maxFitCallees = 32 // as many as are told apart of a caller who calls
)

// notInJournal are the terms of which the journal does not say whether they were found.
var notInJournal = []string{"attest_failed", "attested_a", "passed"}

// FitScore proposes weights of the score by the marks that were decided, and sets nothing.
func (d *Desk) FitScore(ctx context.Context, q console.FitQuery) (*console.ScoreFit, error) {
	if err := d.needLists(); err != nil {
		return nil, err
	}
	if err := d.settle(ctx); err != nil {
		return nil, err
	}
	f := &scoreFit{d: d, q: q, policy: d.force.Rules().Policy, of: make(map[string]*fitCaller), out: &console.ScoreFit{Terms: []console.FittedTerm{}, Warnings: []string{}}}
	if err := f.readMarks(); err != nil {
		return nil, err
	}
	if err := f.readCalls(ctx); err != nil {
		return nil, err
	}
	f.cases()
	f.fit()
	return f.out, nil
}

// scoreFit is a proposal in the making.
type scoreFit struct {
	d      *Desk
	q      console.FitQuery
	policy *policy.Policy
	of     map[string]*fitCaller // by number, or by text or token
	listed int
	kept   int             // calls
	over   int             // that found no room
	passed map[string]bool // numbers that were looked for on the allowlist
	model  logistic
	out    *console.ScoreFit
}

// fitCaller is a caller whom people decided about.
type fitCaller struct {
	reports []storage.Report
	decided *storage.Report // the last that was; nil for one on the allowlist
	number  string          // or the text; a token where a private installation cannot tell any more
	first   time.Time       // the first call in the journal
	calls   []storage.Record
}

// maxFitCalls is how many of a caller's calls are kept, the newest, and maxFitRecords of all callers: some 200 MB.
const (
	maxFitCalls   = 500
	maxFitRecords = 300_000
)

func fitKey(c *storage.Caller) string { return cmp.Or(c.E164, c.Raw) }

// readMarks reads the reports of callers of whom one at least was decided.
func (f *scoreFit) readMarks() error {
	all := make(map[string]*fitCaller)
	err := f.d.db.Reports("", func(r storage.Report) error {
		key := fitKey(&r.Caller)
		if key == "" || r.Caller.Withheld && r.Caller.E164 == "" {
			return nil // nobody in particular
		}
		x := all[key]
		if x == nil {
			x = &fitCaller{}
			all[key] = x
		}
		x.reports = append(x.reports, r)
		if r.State != storage.ReportOpen && (x.decided == nil || decidedAt(&r).After(decidedAt(x.decided))) {
			x.decided = &r
			named, _ := f.d.reveal(r)
			x.number = cmp.Or(named.Caller.E164, named.Caller.Raw)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, x := range all {
		if x.decided != nil && !x.decided.LastTime().Before(f.q.Since) {
			f.of[key] = x
		}
	}
	return nil
}

// decidedAt is when a report was decided last.
func decidedAt(r *storage.Report) time.Time {
	if r.Lifted.After(r.Decided) {
		return r.Lifted
	}
	return r.Decided
}

// readCalls reads the calls of these callers, all in one go: what they did around the call that was marked tells.
func (f *scoreFit) readCalls(ctx context.Context) error {
	return f.d.db.Journal(storage.Query{}, func(r storage.Record) error {
		key := fitKey(&r.Caller)
		x := f.of[key]
		if x == nil && f.q.Allowlist && !r.Time.Before(f.q.Since) {
			x = f.wanted(key)
		}
		if x == nil || r.Test {
			return ctx.Err()
		}
		if x.first.IsZero() {
			x.first = r.Time
		}
		if x.decided != nil && r.Time.After(x.decided.LastTime()) && x.decided.Call != r.ID { // what came later tells nothing of it
			return ctx.Err()
		}
		if f.kept >= maxFitRecords {
			f.over++
			return ctx.Err()
		}
		f.kept++
		if x.calls = append(x.calls, r); len(x.calls) > 2*maxFitCalls {
			f.kept -= len(x.calls) - maxFitCalls
			x.calls = append(x.calls[:0], x.calls[len(x.calls)-maxFitCalls:]...)
		}
		return ctx.Err()
	})
}

// wanted is a caller on the allowlist, nil for any other.
func (f *scoreFit) wanted(key string) *fitCaller {
	if key == "" || strings.HasPrefix(key, storage.PrivateMark) || f.listed >= maxListedFit {
		return nil
	}
	on, known := f.passed[key]
	if !known {
		n := f.policy.Plan().Parse(key)
		_, on = f.d.force.Rules().Lists.Lookup(trustedList, &n, f.d.o.Now())
		if f.passed == nil || len(f.passed) >= maxFitCalls*maxListedFit {
			f.passed = make(map[string]bool)
		}
		f.passed[key] = on
	}
	if !on {
		return nil
	}
	f.listed++
	x := &fitCaller{number: key}
	f.of[key] = x
	return x
}

// cases makes a case of each caller.
func (f *scoreFit) cases() {
	for _, key := range slices.Sorted(maps.Keys(f.of)) {
		x := f.of[key]
		call := x.call()
		if call == nil || strings.HasPrefix(x.number, storage.PrivateMark) {
			f.out.Lost++
			continue
		}
		c := f.rebuilt(x, call)
		times := f.policy.ScoreTimes(&c)
		f.model.found = append(f.model.found, times)
		unwanted := x.decided != nil && x.decided.State == storage.ReportConfirmed
		f.model.yes = append(f.model.yes, unwanted)
		switch {
		case unwanted:
			f.out.Unwanted++
		default:
			if f.out.Wanted++; x.decided == nil {
				f.out.Listed++
			}
		}
	}
	f.out.Callers = f.out.Unwanted + f.out.Wanted
}

// call is the one that was marked, or the last before the mark; nil if none is in the journal.
func (x *fitCaller) call() *storage.Record {
	if len(x.calls) == 0 {
		return nil
	}
	if x.decided == nil {
		return &x.calls[len(x.calls)-1]
	}
	for i := range x.calls {
		if r := &x.calls[i]; x.decided.Call != "" && (r.ID == x.decided.Call || slices.Contains(r.Also, x.decided.Call)) {
			return r
		}
	}
	last := &x.calls[len(x.calls)-1]
	if last.Time.Before(x.decided.LastTime().Add(-evidenceSpan)) {
		return nil
	}
	return last
}

// rebuilt is a call as it was when it came in, as far as journal and reports tell.
func (f *scoreFit) rebuilt(x *fitCaller, r *storage.Record) policy.Call {
	p := f.policy
	c := p.Call(policy.Facts{Caller: x.number, Name: r.Name, Callee: r.Callee, Trunk: r.Trunk, Withheld: r.Caller.Withheld, Time: r.Time})
	c.FirstTime, c.Tripped = !x.first.Before(r.Time), trippedThen(p, r)
	callees, customers := make(map[string]bool), make(map[string]bool)
	e := &c.Evidence
	for i := range x.calls {
		b := &x.calls[i]
		if b.Time.After(r.Time) {
			break
		}
		over := b.ID != r.ID && b.Outcome != nil && !b.Time.Add(secondsOf(b.Outcome.RingS+b.Outcome.TalkS)).After(r.Time)
		if over && b.Line != "" && b.Outcome.Answered && secondsOf(b.Outcome.TalkS) >= policy.CalledTalk && r.Time.Sub(b.Time) < policy.AcquaintedFor {
			if customers[b.Owner()] = true; b.Line == r.Line && b.Customer == r.Customer {
				c.KnownToLine = b.Time
			}
			c.KnownToAll = b.Time
		}
		if b.Time.Before(r.Time.Add(-evidenceSpan)) {
			continue
		}
		e.Calls++
		if b.ID != r.ID {
			e.Calls += b.Repeats
		}
		called := p.Call(policy.Facts{Callee: b.Callee}).Callee
		if to := cmp.Or(called.E164, called.National(), called.Raw); !callees[to] && len(callees) < maxFitCallees {
			if callees[to] = true; p.IsDecoy(&called) {
				e.Decoys++
			}
		}
		if over {
			count(e, b)
		}
	}
	c.KnownLines, e.Callees = len(customers), len(callees)
	for i := range x.reports {
		if m := &x.reports[i]; m.Time.Before(r.Time) && (m.State == storage.ReportOpen || m.Decided.After(r.Time)) {
			e.Marks += marks.Fade(r.Time.Sub(m.Time))
		}
	}
	return c
}

// trippedThen are the detectors whose breakers held for a call, without those that only recorded it.
func trippedThen(p *policy.Policy, r *storage.Record) (set policy.DetectorSet) {
	for i, d := range p.Detectors() {
		if slices.Contains(r.TrippedBy, d.Name) {
			set = set.With(i)
		}
	}
	return set
}

// count adds what became of a call to what is known of its caller.
func count(e *policy.Evidence, r *storage.Record) {
	talk := secondsOf(r.Outcome.TalkS)
	switch {
	case r.Outcome.By == "ringfence":
	case r.Outcome.Answered && talk <= 6*time.Second:
		e.Short++
	case r.Outcome.Answered && talk >= time.Minute:
		e.Talks++
	case !r.Outcome.Answered && r.Outcome.RingS > 0:
		e.Unanswered += 1 + r.Repeats
	}
}

func secondsOf(s float64) time.Duration {
	return time.Duration(min(max(s, 0), 1e9) * float64(time.Second))
}

// fit makes the proposal of the cases.
func (f *scoreFit) fit() {
	out, terms, now := f.out, policy.ScoreTerms(), f.policy.ScoreWeights()
	f.warn()
	l := &f.model
	var place []int // of the fitted terms among all
	for i, t := range terms {
		term := console.FittedTerm{Name: t.Name, Now: now[i], Proposed: now[i], Low: now[i], High: now[i]}
		for _, found := range l.found {
			if found[i] != 0 {
				term.Found++
			}
		}
		switch {
		case i == 0:
			term.Stays = "marks do not say how rare unwanted calls are"
		case slices.Contains(notInJournal, t.Name):
			term.Stays = "the journal does not say where it was found"
		case term.Found == 0:
			term.Stays = "none of these callers had it"
		case out.Unwanted == 0 || out.Wanted == 0:
			term.Stays = "all callers are of one side"
		}
		if out.Terms = append(out.Terms, term); term.Stays == "" || i == 0 {
			place = append(place, i)
			low, high, spread := t.Low, t.High, fitSpread
			if i == 0 {
				low, high, spread = -100, 100, priorSpread
			}
			l.prior, l.low, l.high, l.spread = append(l.prior, now[i]), append(l.low, low), append(l.high, high), append(l.spread, spread)
		}
	}
	if out.Unwanted == 0 || out.Wanted == 0 {
		return
	}
	for k, found := range l.found {
		some := make([]float64, len(place))
		for j, i := range place {
			some[j] = found[i]
		}
		l.found[k] = some
	}
	got := l.fit()
	out.Unsettled = !got.sure
	for j, i := range place {
		if t := &out.Terms[i]; t.Stays == "" {
			t.Proposed = rounded2(got.weights[j])
			t.Low, t.High = rounded2(got.weights[j]-interval*got.errors[j]), rounded2(got.weights[j]+interval*got.errors[j])
		}
	}
	if out.Unsettled {
		out.Warnings = append(out.Warnings, "the search for the weights came to no end: do not go by them")
	}
}

// warn says what makes a proposal doubtful.
func (f *scoreFit) warn() {
	out := f.out
	warn := func(format string, args ...any) { out.Warnings = append(out.Warnings, fmt.Sprintf(format, args...)) }
	switch {
	case out.Callers == 0:
		warn("no mark has been decided whose call is in the journal: `ringfence reports ls` shows those that wait")
		return
	case out.Unwanted == 0:
		warn("all %d callers are wanted ones: nothing tells them from others until a report is confirmed", out.Callers)
	case out.Wanted == 0:
		warn("all %d callers are unwanted ones: nothing tells them from others until a report is dismissed, or with --allowlist", out.Callers)
	case min(out.Unwanted, out.Wanted) < fewOfOne:
		warn("only %d of %d callers are of one side: a few decide", min(out.Unwanted, out.Wanted), out.Callers)
	}
	if f.over > 0 {
		warn("%d later calls of these callers found no room beside %d: take fewer reports, with --since", f.over, maxFitRecords)
	}
	if out.Callers < fewMarks {
		warn("%d callers are few: with less than %d chance decides", out.Callers, fewMarks)
	}
}

func rounded2(x float64) float64 {
	if x = math.Round(x*100) / 100; x == 0 {
		return 0 // not -0
	}
	return x
}
