package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/traffic"
)

// reportList is the list that a confirmed report's caller goes to, reportSource the Source of such an entry.
const (
	reportList   = "blacklist"
	reportSource = "report"
	trustedList  = "allowlist" // whose callers no report may list
)

// Reports calls yield for each report of a state, or for all (""), the oldest first.
func (d *Desk) Reports(ctx context.Context, state string, yield func(console.Report) error) error {
	return d.db.Reports(state, func(r storage.Report) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return yield(reportOf(&r))
	})
}

// Report adds a report of a caller in any spelling. When it returns the report is on disk.
func (d *Desk) Report(_ context.Context, q console.NewReport) (*console.ReportEdit, error) {
	if q.Caller == "" {
		return nil, console.Bad("caller is missing: write the number that called")
	}
	p := d.force.Rules().Policy
	c := p.Call(policy.Facts{Caller: q.Caller, Callee: q.Callee})
	return d.report(q.Extension, traffic.LastCall{Caller: c.Caller, ID: q.Call, Time: d.o.Now(), Line: p.LineOf(&c.Callee)})
}

// AddReport adds a report of a call that LastCallAt gave. When it returns without an error the report is on disk; an
// error is worth telling an operator, not the person who reports.
func (d *Desk) AddReport(extension string, c traffic.LastCall) error {
	_, err := d.report(extension, c)
	return err
}

func (d *Desk) report(extension string, c traffic.LastCall) (*console.ReportEdit, error) {
	report := storage.Report{
		Time: d.o.Now(), Extension: number.Inert(extension), Line: c.Line, Call: number.Inert(c.ID),
		Caller: storage.Caller{
			Raw: number.Inert(c.Caller.Raw), E164: c.Caller.E164, Kind: c.Caller.Kind.String(), Withheld: c.Withheld,
		},
	}
	if d.o.Private != nil {
		d.o.Private.HideReport(&report, d.force.Rules().Policy.Plan())
	}
	r, added, err := d.db.AddReport(report)
	if err != nil {
		return nil, reportError(err)
	}
	if err := d.o.EndPasses(c.Caller.E164); err != nil {
		return nil, fmt.Errorf("the report is taken, but the caller may still be let through for a challenge that he passed: %w", err)
	}
	edit := &console.ReportEdit{Report: reportOf(&r), Change: console.Repeated}
	if added {
		edit.Change = console.Reported
	}
	return edit, nil
}

// ConfirmReport puts a report's caller on the blacklist, as AddEntries does, and closes the report. What other sources say of a
// caller who is on the list already stays, and a person's reason is what is shown.
func (d *Desk) ConfirmReport(ctx context.Context, id string) (*console.ReportEdit, error) {
	r, err := d.db.Report(id)
	if err != nil {
		return nil, reportError(err)
	}
	if r.State == storage.ReportConfirmed {
		return &console.ReportEdit{Report: reportOf(&r), Change: console.AlreadySo}, nil
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
	if why := unlistable(rules, &named, &n, d.o.Now()); why != "" {
		return nil, console.Conflict(fmt.Sprintf("report %s was not confirmed: %s; `ringfence reports dismiss %s` closes it", r.ID, why, r.ID))
	}
	edit := &console.ReportEdit{Change: console.Confirmed, List: reportList, Number: n.E164}
	if e, ok := rules.Lists.Lookup(reportList, &n, d.o.Now()); ok && e.Pattern.IsExact() {
		edit.Note = "was there already"
	}
	if _, err := d.addEntries(ctx, reportList, storage.FromReport, []console.NewEntry{
		{Number: n.E164, Reason: "reported by " + r.Extension, Source: reportSource},
	}, false); err != nil {
		return nil, err
	}
	if !asksFor(rules.Policy, reportList) {
		edit.Note = "no rule of the policy asks for this list"
	}
	var changed bool
	if r, changed, err = d.db.DecideReport(r.ID, storage.ReportConfirmed, byOf(ctx).Who); err != nil {
		return nil, reportError(err)
	}
	edit.Report = reportOf(&r)
	if !changed { // by somebody else, meanwhile
		edit.Change = console.AlreadySo
	}
	return edit, nil
}

// unlistable says why a report's caller cannot be listed, "" if he can. n is his number.
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
		return &console.ReportEdit{Report: reportOf(&r), Change: console.Dismissed}, nil
	case r.State == storage.ReportConfirmed:
		named, _ := d.reveal(r)
		return nil, console.Conflict(fmt.Sprintf("report %s was confirmed before, and its caller listed: `ringfence list remove %s %s --all` takes the number off again",
			r.ID, reportList, named.Caller.E164))
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
