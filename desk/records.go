package desk

import (
	"ringfence/console"
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

// queryOf is what people ask of the journal, as the database is asked.
func queryOf(q console.Query) storage.Query {
	return storage.Query{
		Since: q.Since, Until: q.Until, Caller: q.Caller, Callee: q.Callee, Action: q.Action, ID: q.ID, Customer: q.Customer,
		Limit: q.Limit, Newest: q.Newest, Cursor: q.Cursor,
	}
}
