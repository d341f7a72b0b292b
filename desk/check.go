package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/detect"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
)

// Check says what would happen to a call, and why, by the same steps as Screen.
func (d *Desk) Check(_ context.Context, q console.CheckQuery) (*console.CheckReport, error) {
	if err := d.needLists(); err != nil {
		return nil, err
	}
	r := d.force.Rules()
	p, lists := r.Policy, r.Lists
	d.LoadDetectors()
	set := r.Detectors
	if q.Policy != "" {
		other, faults := policy.Load(q.PolicyFile, []byte(q.Policy))
		if other == nil {
			text := "the policy has faults:"
			for _, f := range faults {
				if !f.Warning {
					text += "\n" + f.String()
				}
			}
			return nil, console.Bad(text)
		}
		other = other.WithLines(r.Lines)
		p, set = other, d.tried(other, set)
	}
	at, err := momentOf(q.At, d.o.Now(), p.Zone())
	if err != nil {
		return nil, err
	}
	call := p.Call(policy.Facts{Caller: q.Caller, Name: q.Name, Callee: q.Callee, Trunk: q.Trunk, Withheld: q.Withheld, Time: at})
	d.o.Recall(p, &call)
	x := detect.SubjectOf(p, &call, lists)
	count := set.Look(&x)
	set.Fill(&count, &call)
	dec, steps := p.Explain(&call, lists)
	n := call.Caller
	report := &console.CheckReport{
		Caller: console.CallerReport{Raw: n.Raw, E164: n.E164, Kind: n.Kind.String(), Kinds: nonNil(n.Kinds.Strings()), Reason: n.Reason},
		Callee: q.Callee, Line: dec.Line, Trunk: dec.Trunk, Action: dec.Action.String(), Would: dec.Would.String(),
		Rule: dec.Rule, Reason: dec.Reason(), Mode: dec.Mode.String(), SIP: dec.SIP, Label: dec.Label,
		Steps: []console.Step{}, Detectors: []console.Finding{}, Lists: []console.OnList{},
	}
	if dec.Customer != dec.Line {
		report.Customer = dec.Customer
	}
	if d.o.Private != nil {
		report.Caller.Journal = d.o.Private.Token(&n)
	}
	for _, s := range steps {
		report.Steps = append(report.Steps, console.Step{Rule: s.Rule, Matched: s.Matched, Why: s.Why})
	}
	report.Holder = p.HolderOf(&call.Caller)
	if p.AsksScore() {
		sum, terms := p.Score(&call)
		report.Score = sum
		for i := range terms {
			report.Terms = append(report.Terms, terms[i].String()+": "+terms[i].Text)
		}
	}
	for _, f := range set.Explain(&x) {
		report.Detectors = append(report.Detectors, d.findingShown(p, &f))
	}
	report.Lists = onLists(p, lists, &call)
	if d.force.Paused(at) != nil {
		report.Paused, report.Action, report.Rule = true, policy.Allow.String(), policy.RulePaused
		report.SIP, report.Label = 0, ""
		report.Reason = "screening is paused; otherwise: " + report.Reason
	}
	return report, nil
}

// onLists are the entries of lists that match a call's caller. Of own lists of lines of the database there are those of the line called alone: what
// other customers keep is not to be seen here.
func onLists(p *policy.Policy, l *lists.Lists, call *policy.Call) []console.OnList {
	on, held := []console.OnList{}, call.Caller.Held()
	look := func(lookup func(n *number.Number) (policy.ListEntry, bool)) {
		if e, ok := lookup(&call.Caller); ok {
			on = append(on, console.OnList{List: e.List, Pattern: e.Pattern.String(), Reason: e.Reason, Source: e.Source})
			return
		}
		for i := range held {
			if e, ok := lookup(&held[i]); ok {
				on = append(on, console.OnList{List: e.List, Pattern: e.Pattern.String(), Reason: e.Reason, Source: e.Source, Holds: held[i].E164})
				return
			}
		}
	}
	lines := p.Lines()
	for _, name := range l.Names() {
		if line, _, own := strings.Cut(name, ":"); own && !slices.Contains(lines, line) {
			continue
		}
		look(func(n *number.Number) (policy.ListEntry, bool) {
			e, ok := l.Lookup(name, n, call.Time)
			e.List = name
			return e, ok
		})
	}
	if line, _ := p.LineCalled(&call.Callee); line.Kept {
		for _, own := range slices.Sorted(slices.Values(l.OwnNames())) {
			look(func(n *number.Number) (policy.ListEntry, bool) {
				return l.LookupOwn(line.Key, line.Hash, own, n, call.Time)
			})
		}
	}
	return on
}

// momentOf reads when a call to try comes in.
func momentOf(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return now, console.Bad(fmt.Sprintf("%q is no time: write 2026-11-24T20:00, or 2026-11-24T20:00:00+08:00", text))
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
