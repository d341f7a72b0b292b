package desk

import (
	"context"
	"fmt"
	"slices"
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
	p, all := r.Policy, r.Lists
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
		p, set = other, d.tried(other, set)
		if r.Lines != nil {
			p = p.WithLines(r.Lines)
		}
	}
	at, err := momentOf(q.At, d.o.Now(), p.Zone())
	if err != nil {
		return nil, err
	}
	call := p.Call(policy.Facts{Caller: q.Caller, Name: q.Name, Callee: q.Callee, Trunk: q.Trunk, Withheld: q.Withheld, Time: at})
	d.o.Recall(p, &call)
	x := detect.SubjectOf(p, &call, all)
	count := set.Look(&x)
	set.Fill(&count, &call)
	dec, steps := p.Explain(&call, all)
	n := call.Caller
	report := &console.CheckReport{
		Caller: console.CallerReport{Raw: n.Raw, E164: n.E164, Kind: n.Kind.String(), Kinds: nonNil(n.Kinds.Strings()), Reason: n.Reason},
		Callee: q.Callee, Line: dec.Line, Trunk: dec.Trunk, Action: dec.Action.String(), Would: dec.Would.String(),
		Rule: dec.Rule, Reason: dec.Reason(), Mode: dec.Mode.String(), SIP: dec.SIP, Label: dec.Label,
		Steps: []console.Step{}, Detectors: []console.Finding{}, Lists: []console.OnList{},
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
	report.Lists = onLists(p, all, &call)
	if d.force.Paused(at) != nil {
		report.Paused, report.Action, report.Rule = true, policy.Allow.String(), policy.RulePaused
		report.SIP, report.Label = 0, ""
		report.Reason = "screening is paused; otherwise: " + report.Reason
	}
	return report, nil
}

// onLists are the lists that the caller is on, those of the line called included.
func onLists(p *policy.Policy, all *lists.Lists, c *policy.Call) []console.OnList {
	found := []console.OnList{}
	look := func(find func(n *number.Number) (policy.ListEntry, bool)) {
		if e, ok := find(&c.Caller); ok {
			found = append(found, console.OnList{List: e.List, Pattern: e.Pattern.String(), Reason: e.Reason, Source: e.Source})
			return
		}
		for _, held := range c.Caller.Held() {
			if e, ok := find(&held); ok {
				found = append(found, console.OnList{List: e.List, Pattern: e.Pattern.String(), Reason: e.Reason, Source: e.Source, Holds: held.E164})
				return
			}
		}
	}
	for _, name := range all.Names() {
		look(func(n *number.Number) (policy.ListEntry, bool) { return all.Lookup(name, n, c.Time) })
	}
	if line, ok := p.LineCalled(&c.Callee); ok && line.Kept {
		for _, own := range slices.Sorted(slices.Values(all.OwnNames())) {
			look(func(n *number.Number) (policy.ListEntry, bool) { return all.LookupOwn(line.Key, own, n, c.Time) })
		}
	}
	return found
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
