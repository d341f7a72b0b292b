package access

import (
	"context"
	"slices"
	"strings"

	"ringfence/console"
)

func (g *guard) Reports(ctx context.Context, q console.ReportsQuery, yield func(console.Report) error) error {
	return each(g, ctx, "Reports", func(a *asked) error {
		if a.scope == nil {
			return g.desk.Reports(ctx, q, yield)
		}
		give := back(yield)
		return g.reports(ctx, a, q.Customer, func(r console.Report, _ *console.Report) error {
			if q.State != "" && r.State != q.State {
				return nil
			}
			return give(r)
		})
	})
}

// reports gives those of calls to their own lines, of one customer or of all (""), as they see them and whole.
//
// A mark is one of a customer's, whichever of his lines it was made on. Who is bound to some of these has a part in it if it was made there, and sees that part.
//
// What they confirm goes to their own list and leaves the mark open for who decides for all; to them it is confirmed.
func (g *guard) reports(ctx context.Context, a *asked, customer string, yield func(r console.Report, whole *console.Report) error) error {
	var customers []string
	if a.who.Customer != "" {
		customers = append(customers, a.who.Customer)
	}
	for _, line := range a.who.Lines {
		owner, err := a.scope.ownerOf(ctx, line)
		if err != nil {
			return err
		}
		customers = append(customers, owner)
	}
	slices.Sort(customers)
	listed := map[string]map[string]bool{}
	for _, of := range slices.Compact(customers) {
		if customer != "" && customer != of {
			continue
		}
		var found []console.Report
		err := g.desk.Reports(ctx, console.ReportsQuery{Customer: of}, func(r console.Report) error {
			mine, err := a.part(ctx, &r)
			if err == nil && mine {
				found = append(found, r)
			}
			return err
		})
		if err != nil {
			return err
		}
		for i := range found {
			r := a.cutReport(found[i])
			if r.State == console.ReportOpen {
				on, err := g.onOwn(ctx, a, r.Line, listed)
				if err != nil {
					return err
				}
				if on[r.Caller.E164] {
					r.State = console.ReportConfirmed
				}
			}
			if err := yield(r, &found[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// part makes a mark the part that they have in it, and reports whether there is one: the last time that it was made on a line of theirs.
func (a *asked) part(ctx context.Context, r *console.Report) (mine bool, err error) {
	if mine, err = a.scope.owns(ctx, r.Line, r.Customer); err != nil || mine {
		return mine, err
	}
	for i := len(r.Marks) - 1; i >= 0; i-- {
		m := &r.Marks[i]
		if m.Line == "" {
			continue
		}
		if mine, err = a.scope.owns(ctx, m.Line, r.Customer); err != nil {
			return false, err
		} else if mine {
			r.Line, r.Call, r.Extension, r.Time, r.Last = m.Line, m.Call, m.Extension, m.Time, m.Time
			return true, nil
		}
	}
	return false, nil
}

// others reports whether others than they have a part in a mark, as far as is known.
func (a *asked) others(ctx context.Context, r *console.Report) (bool, error) {
	switch {
	case a.who.Customer != "" && a.who.Customer == r.Customer:
		return false, nil
	case len(r.Marks) >= maxMarks: // there may have been more
		return true, nil
	}
	for i := range r.Marks {
		line := r.Marks[i].Line
		if line == "" && len(r.Marks) == 1 { // of before marks said it
			line = r.Line
		}
		if mine, err := a.scope.owns(ctx, line, r.Customer); err != nil || !mine {
			return true, err
		}
	}
	return false, nil
}

// maxMarks is how many parts of a mark are kept (console.Report).
const maxMarks = 16

// onOwn are the numbers on the blacklist of a line of theirs.
func (g *guard) onOwn(ctx context.Context, a *asked, line string, known map[string]map[string]bool) (map[string]bool, error) {
	if on, ok := known[line]; ok {
		return on, nil
	}
	on := map[string]bool{}
	known[line] = on
	if mine, err := a.scope.line(ctx, line); err != nil || !mine {
		return on, err
	}
	err := g.desk.Entries(ctx, line+":"+blacklist, func(e console.ListEntry) error {
		on[e.Number] = true
		return nil
	})
	if isNotFound(err) {
		err = nil
	}
	return on, err
}

// cutReport is a mark as its customer may see it.
func (a *asked) cutReport(r console.Report) console.Report {
	out := console.Report{
		ID: r.ID, Time: r.Time, Caller: r.Caller, Extension: r.Extension, Customer: r.Customer, Marks: r.Marks, Line: r.Line, Call: r.Call, State: r.State,
		Weight: r.Weight, Repeats: r.Repeats, Last: r.Last, Decided: r.Decided,
	}
	if a.who.Customer == "" { // other lines of the customer have a part in it
		out.Marks, out.Weight = nil, 0
		if r.Repeats > 0 {
			out.Extension = ""
		}
	}
	return out
}

// cutEdit is what became of a mark of theirs.
func cutEdit(e *console.ReportEdit) *console.ReportEdit {
	r := &e.Report
	return &console.ReportEdit{
		Report: console.Report{ID: r.ID, Time: r.Time, Caller: r.Caller, Customer: r.Customer, Line: r.Line, Call: r.Call, State: r.State, Repeats: r.Repeats, Last: r.Last, Decided: r.Decided},
		Change: e.Change,
	}
}

// report is one of theirs, as they see it and whole, NotFound if it is none.
func (g *guard) report(ctx context.Context, a *asked, id string) (r, whole *console.Report, err error) {
	err = g.reports(ctx, a, "", func(of console.Report, all *console.Report) error {
		if strings.EqualFold(of.ID, id) {
			r, whole = &of, all
		}
		return nil
	})
	if err == nil && r == nil {
		err = hidden()
	}
	return r, whole, err
}

func (g *guard) ShowReport(ctx context.Context, id string) (*console.ReportEvidence, error) {
	return see(g, ctx, "ShowReport", func(a *asked) (*console.ReportEvidence, error) {
		if a.scope == nil {
			return g.desk.ShowReport(ctx, id)
		}
		r, _, err := g.report(ctx, a, id) // the evidence is what others have of the caller
		if err != nil {
			return nil, err
		}
		out := &console.ReportEvidence{Report: *r}
		if out.Listed = r.State == console.ReportConfirmed; out.Listed {
			out.Entry = r.Caller.E164
		}
		return out, nil
	})
}

func (g *guard) Report(ctx context.Context, n console.NewReport) (*console.ReportEdit, error) {
	return change(g, ctx, "Report", "", func(a *asked) (*console.ReportEdit, error) {
		if a.scope != nil {
			if err := g.ownCall(ctx, a, &n); err != nil {
				return nil, err
			}
		}
		e, err := g.desk.Report(ctx, n)
		if err != nil {
			return nil, err
		}
		a.entry.Subject, a.entry.Detail = e.ID, e.Change
		if a.scope != nil {
			return cutEdit(e), nil
		}
		return e, nil
	})
}

// ownCall has a mark be of a call to a number of their lines.
func (g *guard) ownCall(ctx context.Context, a *asked, n *console.NewReport) error {
	if n.Call != "" {
		c, err := g.call(ctx, a, n.Call)
		if err != nil {
			return err
		}
		n.Callee = c.Callee
	}
	if n.Callee == "" {
		n.Callee = n.Extension
	}
	if n.Callee == "" {
		return console.Bad("callee is missing: write the number of your line that was called, or the call")
	}
	c, err := g.desk.Check(ctx, console.CheckQuery{Caller: n.Caller, Callee: n.Callee})
	if err != nil {
		return err
	}
	if mine, err := a.scope.owns(ctx, c.Line, c.Customer); err != nil {
		return err
	} else if !mine {
		return &inOurWords{console.NotFound("that number is on no line of yours")}
	}
	n.Extension = n.Callee
	return nil
}

func (g *guard) ConfirmReport(ctx context.Context, id string, prefix bool) (*console.ReportEdit, error) {
	return change(g, ctx, "ConfirmReport", id, func(a *asked) (*console.ReportEdit, error) {
		if a.scope == nil {
			e, err := g.desk.ConfirmReport(ctx, id, prefix)
			if err == nil {
				a.entry.Detail = e.Change + " " + e.List
			}
			return e, err
		}
		if prefix {
			return nil, hidden()
		}
		r, _, err := g.report(ctx, a, id)
		if err != nil {
			return nil, err
		}
		list := r.Line + ":" + blacklist
		edit := &console.ReportEdit{Report: *r, Change: console.AlreadySo, List: list, Number: r.Caller.E164}
		switch {
		case r.State == console.ReportConfirmed:
			a.quiet = true
			return edit, nil
		case r.State != console.ReportOpen:
			return nil, &inOurWords{console.Conflict("this mark was " + r.State + " before")}
		case r.Caller.E164 == "":
			return nil, &inOurWords{console.Conflict("the caller has no number that could be listed: dismiss the mark")}
		case strings.HasPrefix(r.Caller.E164, console.PrivateMark): // no method of a desk puts one on a list of a line by its token
			return nil, &inOurWords{console.Conflict("callers' numbers are hidden in this installation, and a line's own list needs the number: put it on " + list + " yourself if you know it, or ask who runs this telephone system, who can confirm the mark for all lines")}
		}
		if _, err := a.scope.ownList(ctx, list); err != nil {
			return nil, err
		}
		_, err = g.desk.AddEntries(ctx, list, []console.NewEntry{{Number: r.Caller.E164, Reason: "reported"}}, false)
		if isNotFound(err) {
			err = unusedList()
		}
		if err != nil {
			return nil, err
		}
		edit.Change, edit.State = console.Confirmed, console.ReportConfirmed
		a.entry.Detail = edit.Change + " " + list
		return edit, nil
	})
}

func (g *guard) DismissReport(ctx context.Context, id string) (*console.ReportEdit, error) {
	return change(g, ctx, "DismissReport", id, func(a *asked) (*console.ReportEdit, error) {
		if a.scope == nil {
			return g.desk.DismissReport(ctx, id)
		}
		r, whole, err := g.report(ctx, a, id)
		if err != nil {
			return nil, err
		}
		if r.State == console.ReportConfirmed {
			return nil, &inOurWords{console.Conflict("this mark was confirmed before, and its caller listed: lift it first")}
		}
		if others, err := a.others(ctx, whole); err != nil {
			return nil, err
		} else if others {
			return nil, &inOurWords{console.Conflict("other lines of the customer have marked this caller too, and their mark would go with yours: who decides for all these lines can dismiss it")}
		}
		e, err := g.desk.DismissReport(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		return cutEdit(e), nil
	})
}

func (g *guard) LiftReport(ctx context.Context, id string) (*console.ReportEdit, error) {
	return change(g, ctx, "LiftReport", id, func(a *asked) (*console.ReportEdit, error) {
		if a.scope == nil {
			return g.desk.LiftReport(ctx, id)
		}
		r, _, err := g.report(ctx, a, id)
		if err != nil {
			return nil, err
		}
		list := r.Line + ":" + blacklist
		if _, err := a.scope.ownList(ctx, list); err != nil {
			return nil, err
		}
		if r.Caller.E164 == "" {
			return nil, hidden()
		}
		edits, err := g.desk.RemoveEntries(ctx, list, []string{r.Caller.E164}, false)
		if err != nil {
			return nil, err
		}
		edit := &console.ReportEdit{Report: *r, Change: console.Lifted, List: list, Number: r.Caller.E164}
		if edit.State = console.ReportOpen; len(edits) == 1 && edits[0].Change == absent {
			edit.Change = console.AlreadySo
		}
		a.entry.Detail = edit.Change + " " + list
		return edit, nil
	})
}
