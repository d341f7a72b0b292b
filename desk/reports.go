package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
)

// reportList is the list that a confirmed report's caller goes to, reportSource the Source of such an entry.
const (
	reportList   = "blacklist"
	reportSource = "report"
	trustedList  = "allowlist" // whose callers no report may list
)

// Reports calls yield for each report of a state, or for all (""): those that weigh most first.
func (d *Desk) Reports(ctx context.Context, q console.ReportsQuery, yield func(console.Report) error) error {
	var found []storage.Report
	book := newBook()
	err := d.db.Reports("", func(r storage.Report) error {
		if q.Customer != "" && r.Owner() != q.Customer {
			return ctx.Err() // what others reported weighs nothing here either: it is not theirs to see
		}
		if book.add(&r); q.State == "" || r.State == q.State {
			found = append(found, r)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	now := d.o.Now()
	weights := make(map[string]float64, len(found))
	for i := range found {
		weights[found[i].ID] = book.weight(&found[i], now)
	}
	slices.SortStableFunc(found, func(a, b storage.Report) int {
		return cmp.Or(cmp.Compare(weights[b.ID], weights[a.ID]), strings.Compare(a.ID, b.ID))
	})
	for i := range found {
		out := reportOf(&found[i])
		out.Weight = rounded(weights[out.ID])
		if err := yield(out); err != nil {
			return err
		}
	}
	return nil
}

// ConfirmReport puts a report's caller on the blacklist, as AddEntries does, or with prefix the range around them that is proposed, and closes the
// report. What other sources say of a caller who is on the list already stays, and a person's reason is what is shown.
func (d *Desk) ConfirmReport(ctx context.Context, id string, prefix bool) (*console.ReportEdit, error) {
	r, err := d.db.Report(id)
	if err != nil {
		return nil, reportError(err)
	}
	rules := d.force.Rules()
	if err := d.needLists(); err != nil {
		return nil, err
	}
	named, ok := d.reveal(r)
	if !ok {
		return nil, console.Conflict(fmt.Sprintf("report %s was not confirmed: its caller's number is hidden ([journal] private), and the key journal-key is another than it was; `ringfence reports dismiss %s` closes it", r.ID, r.ID))
	}
	n := rules.Policy.Plan().Parse(named.Caller.E164)
	if r.State == storage.ReportConfirmed {
		if listed, err := d.isListed(&r, &n); err != nil || listed {
			return &console.ReportEdit{Report: reportOf(&r), Change: console.AlreadySo}, err
		}
	}
	if why := unlistable(rules, &named, &n, d.o.Now()); why != "" {
		return nil, console.Conflict(fmt.Sprintf("report %s was not confirmed: %s; `ringfence reports dismiss %s` closes it", r.ID, why, r.ID))
	}
	free := 0
	if prefix {
		if free, err = d.proposed(ctx, &r, &n); err != nil {
			return nil, err
		}
	}
	pattern := rangeAround(rules.Policy.Plan(), &n, free)
	edit := &console.ReportEdit{Change: console.Confirmed, List: reportList, Number: pattern}
	if e, ok := rules.Lists.Lookup(reportList, &n, d.o.Now()); ok && e.Pattern.String() == pattern {
		edit.Note = "was there already"
	}
	if _, err := d.addEntries(ctx, d.named(reportList), storage.FromReport, []console.NewEntry{
		{Number: pattern, Reason: reportReason(rules, &r), Source: reportSource + " " + r.ID},
	}, false); err != nil {
		return nil, err
	}
	if err := d.o.EndPasses(n.E164, nil); err != nil {
		return nil, fmt.Errorf("the caller is listed, but may still count for a challenge that he passed: confirm the report again (%w)", err)
	}
	if !asksFor(rules.Policy, reportList) {
		edit.Note = "no rule of the policy asks for this list"
	}
	was := r.State
	var changed bool
	if r, changed, err = d.db.ConfirmReport(r.ID, byOf(ctx).Who, free); err != nil {
		return nil, reportError(err)
	}
	d.reportChanged(&r)
	edit.Report = reportOf(&r)
	switch {
	case !changed && was == storage.ReportConfirmed:
		edit.Note = "it had been taken off meanwhile"
	case !changed: // by somebody else, meanwhile
		edit.Change = console.AlreadySo
	}
	return edit, nil
}

// reportReason is why a caller is on the list. The journal and the notices of all customers have it of each call that is stopped by it: where there are
// lines of customers it does not say who they were that reported the caller (the report does).
func reportReason(r *inforce.Rules, of *storage.Report) string {
	if kept, _ := r.Lines.Len(); kept > 0 {
		return "reported"
	}
	return "reported by " + of.Extension
}

// LiftReport takes off the blacklist again what was listed for a report, and keeps the report with who did so. Other reports for which the same was
// listed are lifted as well.
func (d *Desk) LiftReport(ctx context.Context, id string) (*console.ReportEdit, error) {
	r, err := d.db.Report(id)
	if err != nil {
		return nil, reportError(err)
	}
	switch r.State {
	case storage.ReportConfirmed:
	case storage.ReportLifted:
		return &console.ReportEdit{Report: reportOf(&r), Change: console.AlreadySo}, nil
	default:
		return nil, console.Conflict(fmt.Sprintf("report %s is %s: nobody was listed for it", r.ID, r.State))
	}
	named, ok := d.reveal(r)
	if !ok {
		return nil, console.Conflict(fmt.Sprintf("report %s was not lifted: its caller's number is hidden ([journal] private), and the key journal-key is another than it was; find it by `ringfence list show %s`", r.ID, reportList))
	}
	plan := d.force.Rules().Policy.Plan()
	n := plan.Parse(named.Caller.E164)
	edit := &console.ReportEdit{Change: console.Lifted, List: reportList, Number: rangeAround(plan, &n, r.Free)}
	removed, err := d.removeEntries(ctx, d.named(reportList), []string{edit.Number}, storage.TakeReported)
	if err != nil {
		return nil, err
	}
	switch {
	case len(removed[0].Still) > 0:
		edit.Note = fmt.Sprintf("it is still on the list, named by %s", strings.Join(removed[0].Still, ", "))
	case removed[0].Change == storage.Absent.String():
		edit.Note = "it had been taken off before"
	}
	who := byOf(ctx).Who
	same, err := d.sameConfirmed(ctx, &r)
	if err != nil {
		return nil, err
	}
	for _, other := range same {
		lifted, _, err := d.db.DecideReport(other, storage.ReportLifted, who)
		if err != nil {
			return nil, reportError(err)
		}
		d.reportChanged(&lifted)
	}
	if r, _, err = d.db.DecideReport(r.ID, storage.ReportLifted, who); err != nil {
		return nil, reportError(err)
	}
	d.reportChanged(&r)
	edit.Report = reportOf(&r)
	return edit, nil
}

// sameConfirmed names the other confirmed reports of a report's caller with the same range.
func (d *Desk) sameConfirmed(ctx context.Context, r *storage.Report) (ids []string, err error) {
	err = d.db.Reports(storage.ReportConfirmed, func(o storage.Report) error {
		if o.ID != r.ID && o.Caller.E164 == r.Caller.E164 && o.Free == r.Free {
			ids = append(ids, o.ID)
		}
		return ctx.Err()
	})
	return ids, err
}

// isListed reports whether what was listed for a report is still on the list for it.
func (d *Desk) isListed(r *storage.Report, n *number.Number) (bool, error) {
	records, err := d.db.Lookup(reportList, rangeAround(d.force.Rules().Policy.Plan(), n, r.Free))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(records[0], func(e storage.Entry) bool { return e.Origin == storage.FromReport }), nil
}

// rangeAround is the pattern of a number with so many of its last digits free.
func rangeAround(plan *number.Plan, n *number.Number, free int) string {
	if free == 0 {
		return n.E164
	}
	for _, text := range []string{n.National(), n.E164} {
		if len(text) <= free {
			continue
		}
		p, err := plan.Pattern(text[:len(text)-free] + strings.Repeat("?", free))
		if err == nil && p.Matches(n) {
			return p.String()
		}
	}
	return n.E164
}

// unlistable says why a report's caller cannot be listed, "" if they can. n is their number.
func unlistable(r *inforce.Rules, report *storage.Report, n *number.Number, now time.Time) string {
	inside := r.Policy.Plan().ParseInternal(report.Caller.Raw)
	switch {
	case report.Caller.E164 == "" && inside.Kind == number.Internal:
		return fmt.Sprintf("%s is an internal number", report.Caller.Raw)
	case report.Caller.E164 == "" && report.Caller.Kind == number.Anonymous.String():
		return "the caller withheld the number, so there is none to list"
	case report.Caller.E164 == "":
		return fmt.Sprintf("%q is not a number, and only numbers can be listed", report.Caller.Raw)
	case n.E164 != report.Caller.E164:
		return fmt.Sprintf("%s is no number of the policy's country any more", report.Caller.E164)
	}
	return untouchable(r, n, now)
}

// untouchable says why a number must get through, "" if it need not.
func untouchable(r *inforce.Rules, n *number.Number, now time.Time) string {
	switch {
	case n.Kinds.Has(number.Emergency):
		return n.E164 + " is an emergency number"
	case r.Policy.NeverScreened(n):
		return n.E164 + " is under never_screen in the policy"
	}
	if e, ok := r.Lists.Lookup(trustedList, n, now); ok {
		return fmt.Sprintf("%s is on list %s, as %s: take it off first, if it is to be listed (ringfence list remove %s %s)",
			n.E164, trustedList, e.Pattern, trustedList, e.Pattern)
	}
	return ""
}

func asksFor(p *policy.Policy, list string) bool { return slices.Contains(p.Lists(), list) }

// DismissReport closes a report of which nothing comes.
func (d *Desk) DismissReport(ctx context.Context, id string) (*console.ReportEdit, error) {
	r, changed, err := d.db.DecideReport(id, storage.ReportDismissed, byOf(ctx).Who)
	switch {
	case err != nil:
		return nil, reportError(err)
	case changed:
		d.reportChanged(&r)
		return &console.ReportEdit{Report: reportOf(&r), Change: console.Dismissed}, nil
	case r.State == storage.ReportConfirmed:
		return nil, console.Conflict(fmt.Sprintf("report %s was confirmed before, and its caller listed: `ringfence reports lift %s` takes the number off again", r.ID, r.ID))
	case r.State == storage.ReportLifted:
		return nil, console.Conflict(fmt.Sprintf("report %s was lifted before: its caller is not listed for it any more", r.ID))
	}
	return &console.ReportEdit{Report: reportOf(&r), Change: console.AlreadySo}, nil
}

// reportError tells the asker's mistakes from the database's.
func reportError(err error) error {
	switch {
	case errors.Is(err, storage.ErrNoReport):
		return console.NotFound(err.Error())
	case errors.Is(err, storage.ErrFull):
		return console.Conflict(err.Error())
	}
	return refused(err)
}

// reveal gives a report with its caller's number, which a private installation hides; false if it cannot be had.
func (d *Desk) reveal(r storage.Report) (storage.Report, bool) {
	key := d.o.Private
	if key == nil && r.Sealed != "" { // hidden at the time
		key, _ = pseudonym.Open(d.conf.Data, true)
	}
	return key.Reveal(r)
}
