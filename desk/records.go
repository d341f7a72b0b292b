package desk

import (
	"cmp"
	"fmt"
	"strings"

	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
)

// What people see of records and reports is not what lies in the database: here the one is made of the other.

func callerOf(c storage.Caller) console.Caller { return console.Caller(c) }

// recordOf is a record of the journal as people see it.
func recordOf(r *storage.Record) console.Record {
	out := console.Record{
		Test: r.Test, Passed: r.Passed,
		ID: r.ID, Time: r.Time, Node: r.Node, Trunk: r.Trunk, Caller: callerOf(r.Caller), Name: r.Name, Callee: r.Callee, Line: r.Line, Customer: r.Customer,
		Action: r.Action, Would: r.Would, Mode: r.Mode, Rule: r.Rule, Reason: r.Reason, List: r.List,
		Repeats: r.Repeats, Last: r.Last, Also: r.Also,
		Tripped: r.Tripped, TrippedBy: r.TrippedBy, Holder: r.Holder, Score: r.Score, Terms: r.Terms,
	}
	if r.Outcome != nil {
		o := console.Outcome(*r.Outcome)
		out.Outcome = &o
	}
	return out
}

func reportOf(r *storage.Report) console.Report {
	out := console.Report{
		ID: r.ID, Time: r.Time, Caller: callerOf(r.Caller), Extension: r.Extension, Line: r.Line, Call: r.Call, State: r.State,
		Repeats: r.Repeats, Last: r.Last, Who: r.Who, Decided: r.Decided, Customer: r.Customer, Free: r.Free, Lifted: r.Lifted, LiftedBy: r.LiftedBy,
	}
	for _, m := range r.Marks {
		out.Marks = append(out.Marks, console.ReportMark(m))
	}
	return out
}

// outcomes are what people may ask to have become of calls.
var outcomes = map[string]storage.Became{
	"": storage.AnyEnd, "answered": storage.Answered, "unanswered": storage.Unanswered, "stopped": storage.TurnedAway, "rang": storage.DidRing,
}

// maxLookedFor is how many bytes a text has at most that is looked for.
const maxLookedFor = 256

// queryOf is what people ask of the journal, as the database is asked.
func (d *Desk) queryOf(q console.Query) (storage.Query, error) {
	d.canonical(&q)
	out := storage.Query{
		Since: q.Since, Until: q.Until, Caller: q.Caller, Callee: q.Callee, Action: q.Action, ID: q.ID, Customer: q.Customer,
		Line: q.Line, Rule: q.Rule, Trunk: q.Trunk, Kind: q.Kind, Would: q.Would, Holder: q.Holder, List: q.List, Detector: q.Detector,
		Lines: q.Lines, Text: q.Text, MinTalk: q.MinTalk, MaxTalk: q.MaxTalk,
		Limit: q.Limit, Newest: q.Newest, Cursor: q.Cursor,
	}
	if q.Lines != nil && len(q.Lines) == 0 {
		out.Lines = []string{} // of no line, and not of any
	}
	if len(q.Text) > maxLookedFor {
		return out, console.Bad(fmt.Sprintf("the text to look for has %d bytes: %d are enough", len(q.Text), maxLookedFor))
	}
	var ok bool
	if out.Became, ok = outcomes[q.Outcome]; !ok {
		return out, console.Bad(fmt.Sprintf("outcome is %.40q: write answered, unanswered, stopped or rang", q.Outcome))
	}
	if q.Range != "" {
		plan := d.force.Rules().Policy.Plan()
		p, err := plan.Pattern(q.Range)
		if err != nil {
			return out, console.Bad("the range of callers cannot be read: " + err.Error())
		}
		d.inRange(&out, plan, p)
	}
	return out, nil
}

// inRange has a query ask for callers whose numbers a pattern matches. Where callers are hidden a whole number is looked for by its token, and a range as
// far as tokens show it.
func (d *Desk) inRange(q *storage.Query, plan *number.Plan, p number.Pattern) {
	if p.IsExact() {
		if n := plan.Parse(p.String()); n.E164 != "" {
			q.Callers = d.tokensOf(&n)
			return
		}
	}
	q.Ranges = plan.InE164(p)
	q.Is = func(r *storage.Record) bool {
		if strings.HasPrefix(r.Caller.E164, storage.PrivateMark) {
			return true
		}
		n := plan.Parse(cmp.Or(r.Caller.E164, r.Caller.Raw))
		if n.E164 == "" {
			n = plan.ParseInternal(r.Caller.Raw)
		}
		return p.Matches(&n)
	}
}
