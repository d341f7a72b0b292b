package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/console"
)

func (g *guard) Journal(ctx context.Context, q console.Query, yield func(console.Record) error) error {
	return each(g, ctx, "Journal", func(a *asked) error { return g.records(ctx, a, q, yield) })
}

// records gives the records asked for that are theirs. Every one is looked at, whatever the question was narrowed to.
func (g *guard) records(ctx context.Context, a *asked, q console.Query, yield func(console.Record) error) error {
	q.Lines = nil // nobody else says that
	if a.scope == nil {
		return g.desk.Journal(ctx, q, yield)
	}
	if asksHidden(&q) {
		return nil
	}
	if some, err := a.scope.narrow(ctx, &q); err != nil || !some {
		return err
	}
	// What is cut out of a record must not be found by it either, nor by how many come: so the text is looked for, and the limit counted, here.
	text, most := q.Text, q.Limit
	if text != "" {
		q.Text, q.Limit = "", 0
	}
	give, given := back(yield), 0
	err := g.desk.Journal(ctx, q, func(r console.Record) error {
		if mine, err := a.scope.record(ctx, &r); err != nil || !mine {
			return err
		}
		if r = cut(r); !hasText(&r, text) {
			return nil
		}
		if err := give(r); err != nil {
			return err
		}
		if given++; text != "" && given == most {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (g *guard) Search(ctx context.Context, q console.SearchQuery) (*console.SearchPage, error) {
	return see(g, ctx, "Search", func(a *asked) (*console.SearchPage, error) {
		q.Lines = nil
		if a.scope == nil {
			return g.desk.Search(ctx, q)
		}
		nothing := &console.SearchPage{Records: []console.Record{}, Done: true}
		if asksHidden(&q.Query) {
			return nothing, nil
		}
		if some, err := a.scope.narrow(ctx, &q.Query); err != nil || !some {
			return nothing, err
		}
		var err error
		if q.Cursor, err = g.book.seal.open(q.Cursor); err != nil {
			return nil, err
		}
		text := q.Text
		q.Text = "" // looked for in what is left of a record: else a hit in what is cut would show by the page's end
		page, err := g.desk.Search(ctx, q)
		if err != nil {
			return nil, err
		}
		return g.own(ctx, a, page, text)
	})
}

// own is a page of calls of theirs: what it says of how far it came may be another's call.
func (g *guard) own(ctx context.Context, a *asked, page *console.SearchPage, text string) (*console.SearchPage, error) {
	out := &console.SearchPage{Records: []console.Record{}, Done: page.Done, Cursor: g.book.seal.close(page.Cursor), Through: page.Through.Truncate(time.Minute)}
	for i := range page.Records {
		mine, err := a.scope.record(ctx, &page.Records[i])
		if err != nil {
			return nil, err
		}
		if r := cut(page.Records[i]); mine && hasText(&r, text) {
			out.Records = append(out.Records, r)
		}
	}
	out.Looked = len(out.Records)
	return out, nil
}

func (g *guard) Call(ctx context.Context, id string) (*console.CallDetail, error) {
	return see(g, ctx, "Call", func(a *asked) (*console.CallDetail, error) { return g.call(ctx, a, id) })
}

func (g *guard) call(ctx context.Context, a *asked, id string) (*console.CallDetail, error) {
	c, err := g.desk.Call(ctx, id)
	if err != nil || a.scope == nil {
		return c, err
	}
	mine, err := a.scope.record(ctx, &c.Record)
	if err != nil {
		return nil, err
	}
	if !mine {
		return nil, hidden()
	}
	out := &console.CallDetail{Record: cut(c.Record)}
	out.Steps = decided(c.Steps, out.Rule, out.Reason)
	for _, line := range c.Known {
		theirs, err := a.scope.line(ctx, line)
		if err != nil {
			return nil, err
		}
		if theirs && a.who.Way != console.ByLink {
			out.Known = append(out.Known, line)
		}
	}
	return out, nil
}

// decided is the step of the rule that decided, with the reason that they may read.
func decided(steps []console.Step, rule, reason string) []console.Step {
	for _, s := range steps {
		if s.Matched && s.Rule == rule {
			return []console.Step{{Rule: rule, Matched: true, Why: reason}}
		}
	}
	return nil
}

// followCheck is how often it is looked whether who follows the journal still may.
const followCheck = 5 * time.Second

func (g *guard) Follow(ctx context.Context, joined func(), yield func(console.Record) error) error {
	return each(g, ctx, "Follow", func(a *asked) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		over := console.Forbidden("you were signed out, or may see less than before: sign in again")
		if a.who.Way != console.BySocket {
			var watch sync.WaitGroup
			defer watch.Wait()
			defer cancel(nil)
			watch.Go(func() {
				tick := time.NewTicker(followCheck)
				defer tick.Stop()
				for {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						if !g.same(a.who) {
							cancel(over)
						}
					}
				}
			})
		}
		give := back(yield)
		var looked uint64 // of the book as it was when who asks was looked at last: records come by the hundred a second, and to hundreds who look on
		err := g.desk.Follow(ctx, joined, func(r console.Record) error {
			if v := g.book.version.Load(); v != looked {
				if !g.same(a.who) {
					return over
				}
				looked = v
			}
			if a.scope == nil {
				return give(r)
			}
			s := &scope{who: a.who, desk: g.desk} // lines change hands while somebody looks on
			if mine, err := s.record(ctx, &r); err != nil || !mine {
				return err
			}
			return give(cut(r))
		})
		if errors.Is(context.Cause(ctx), console.ErrForbidden) {
			return over
		}
		return err
	})
}

// same reports whether somebody still may what they might when they came.
func (g *guard) same(w *console.Who) bool {
	now := g.book.fresh(w)
	return now != nil && now.Role == w.Role && now.Customer == w.Customer && slices.Equal(now.Lines, w.Lines)
}

func (g *guard) Usage(ctx context.Context, q console.UsageQuery, yield func(console.Usage) error) error {
	return each(g, ctx, "Usage", func(a *asked) error {
		q.Lines = nil // nobody else says that
		if a.scope == nil {
			return g.desk.Usage(ctx, q, yield)
		}
		if len(a.who.Lines) == 0 {
			if q.Customer != "" && q.Customer != a.who.Customer {
				return nil
			}
			q.Customer = a.who.Customer
		} else if a.who.Customer == "" { // so that the journal is asked for theirs alone, and not read from end to end
			q.Lines = slices.Clone(a.who.Lines)
		}
		give := back(yield)
		return g.desk.Usage(ctx, q, func(u console.Usage) error {
			if mine, err := a.scope.owns(ctx, u.Line, u.Customer); err != nil || !mine {
				return err
			}
			return give(u)
		})
	})
}

func (g *guard) Correct(ctx context.Context, id string) (*console.Corrected, error) {
	return change(g, ctx, "Correct", id, func(a *asked) (*console.Corrected, error) {
		back := func() {}
		if a.scope != nil {
			c, err := g.call(ctx, a, id) // theirs alone
			if err != nil {
				return nil, err
			}
			if a.who.Way == console.ByLink {
				if rang(&c.Record) { // else the link would have its caller stopped
					return nil, &inOurWords{console.Conflict("this call was not stopped after all: there is nothing to let through")}
				}
				if back, err = g.book.useNotice(a.who); err != nil {
					return nil, err
				}
			}
		}
		out, err := g.desk.Correct(ctx, id)
		if err != nil {
			back()
			return nil, err
		}
		a.entry.Change = out.Change
		if a.entry.Detail = "let through"; out.Report != nil {
			a.entry.Detail = "marked, report " + out.Report.ID
		}
		if a.scope != nil && out.Report != nil {
			edit := *out
			edit.Report = cutEdit(out.Report)
			return &edit, nil
		}
		return out, nil
	})
}

func (g *guard) EffectOf(ctx context.Context, q console.EffectQuery) (*console.EntryEffect, error) {
	return see(g, ctx, "EffectOf", func(a *asked) (*console.EntryEffect, error) {
		if a.scope == nil {
			return g.desk.EffectOf(ctx, q)
		}
		line, err := a.scope.ownList(ctx, q.List)
		if err != nil {
			return nil, err
		}
		e, err := g.desk.EffectOf(ctx, q)
		if err != nil {
			return nil, err
		}
		out := *e
		out.Known, out.Examples = nil, nil
		if slices.Contains(e.Known, line) {
			out.Known = []string{line}
		}
		for i := range e.Examples {
			if mine, err := a.scope.record(ctx, &e.Examples[i]); err != nil {
				return nil, err
			} else if mine && e.Examples[i].Line == line {
				out.Examples = append(out.Examples, cut(e.Examples[i]))
			}
		}
		return &out, nil
	})
}

func (g *guard) Check(ctx context.Context, q console.CheckQuery) (*console.CheckReport, error) {
	return see(g, ctx, "Check", func(a *asked) (*console.CheckReport, error) {
		if a.scope == nil {
			return g.desk.Check(ctx, q)
		}
		if q.Policy != "" || q.PolicyFile != "" { // one of theirs could ask what is on others' lists
			return nil, hidden()
		}
		if q.Callee == "" {
			return nil, console.Bad("callee is missing: write a number of your line")
		}
		c, err := g.desk.Check(ctx, q)
		if err != nil {
			return nil, err
		}
		if mine, err := a.scope.owns(ctx, c.Line, c.Customer); err != nil {
			return nil, err
		} else if !mine {
			return nil, &inOurWords{console.NotFound("that number is on no line of yours")}
		}
		return cutCheck(c), nil
	})
}

// cutCheck is what would happen to a call to a line of theirs.
func cutCheck(c *console.CheckReport) *console.CheckReport {
	list := ""
	for _, on := range c.Lists {
		if !ownListOf(on.List, c.Line) {
			list = on.List // the reason may be of it
		}
	}
	held := len(c.Terms) > 0 || c.Score != 0
	for i := range c.Detectors {
		held = held || c.Detectors[i].State != console.BreakerClosed
	}
	out := &console.CheckReport{
		Caller: c.Caller, Callee: c.Callee, Line: c.Line, Customer: c.Customer, Trunk: c.Trunk, Action: c.Action, Would: c.Would, Rule: c.Rule, Mode: c.Mode,
		SIP: c.SIP, Label: c.Label, Paused: c.Paused, Steps: []console.Step{}, Detectors: []console.Finding{}, Lists: []console.OnList{},
		Reason: ownReason(c.Reason, list, c.Line, held || c.Holder != "" && strings.Contains(c.Reason, c.Holder)),
	}
	out.Steps = append(out.Steps, decided(c.Steps, c.Rule, out.Reason)...)
	for _, on := range c.Lists {
		if ownListOf(on.List, c.Line) {
			on.Source = ""
			out.Lists = append(out.Lists, on)
		}
	}
	return out
}

func (g *guard) Activity(ctx context.Context, q console.ActivityQuery) (*console.Activity, error) {
	return see(g, ctx, "Activity", func(*asked) (*console.Activity, error) { return g.desk.Activity(ctx, q) })
}

func (g *guard) Ranges(ctx context.Context, q console.RangeQuery) (*console.RangeReport, error) {
	return see(g, ctx, "Ranges", func(*asked) (*console.RangeReport, error) { return g.desk.Ranges(ctx, q) })
}

func (g *guard) Held(ctx context.Context, q console.HeldQuery, yield func(console.Held) error) error {
	return each(g, ctx, "Held", func(*asked) error { return g.desk.Held(ctx, q, yield) })
}

func (g *guard) DeleteRecords(ctx context.Context, q console.Query) (*console.Deleted, error) {
	return change(g, ctx, "DeleteRecords", "", func(a *asked) (*console.Deleted, error) {
		d, err := g.desk.DeleteRecords(ctx, q)
		if err == nil {
			a.entry.Detail = plenty(d.Records, "record") + " of one number"
		}
		return d, err
	})
}

func (g *guard) Forget(ctx context.Context, q console.ForgetQuery) (*console.ForgetReport, error) {
	return change(g, ctx, "Forget", "", func(a *asked) (*console.ForgetReport, error) {
		r, err := g.desk.Forget(ctx, q)
		if err == nil {
			a.quiet = q.DryRun
			a.entry.Detail = plenty(r.Calls+r.Called, "call") + " of one number, and what else there was"
		}
		return r, err
	})
}
