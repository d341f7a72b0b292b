package cmd

import (
	"fmt"
	"strings"

	"ringfence/console"
	"ringfence/number"
)

type reportsCmd struct {
	Ls      reportsLsCmd      `cmd:"" help:"Show the reports that wait for review, those that weigh most first."`
	Show    reportsShowCmd    `cmd:"" help:"Show a report with what there is to decide it by."`
	Add     reportsAddCmd     `cmd:"" help:"Report a caller, for a call that rang in the last 30 days."`
	Confirm reportsConfirmCmd `cmd:"" help:"Put a report's caller on the list blacklist."`
	Dismiss reportsDismissCmd `cmd:"" help:"Close a report; nothing comes of it."`
	Lift    reportsLiftCmd    `cmd:"" help:"Take off the list again what was confirmed; the report stays."`
}

type reportsLsCmd struct {
	State    string `default:"open" enum:"open,confirmed,dismissed,lifted,all" help:"open, confirmed, dismissed, lifted or all (open)."`
	Customer string `placeholder:"CUSTOMER" help:"Only those of this customer."`
}

func (c *reportsLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	q := console.ReportsQuery{State: c.State, Customer: c.Customer}
	if q.State == "all" {
		q.State = ""
	}
	found := false
	err = d.Reports(a.ctx, q, func(r console.Report) error {
		found = true
		return a.print(r, "%s", reportLine(r))
	})
	if err == nil && !found && !a.json {
		fmt.Fprintln(a.err, "there is nothing to review")
	}
	return err
}

// reportLine is a report as a person reads it.
func reportLine(r console.Report) string {
	text := fmt.Sprintf("%s  %s  %-18s weighs %.1f\n    reported by %s", r.ID, when(r.Time), reported(r), r.Weight, reporters(r))
	if r.Line != "" {
		text += " (" + shown(r.Line) + ")"
	}
	if r.Repeats > 0 {
		text += fmt.Sprintf(", %d times, last %s", r.Repeats+1, when(r.Last))
	}
	if r.State != console.ReportOpen {
		text += "\n    " + decided(r)
	}
	return text
}

// reporters are who made a report: the first, and how many others of the same customer.
func reporters(r console.Report) string {
	text := shown(r.Extension)
	others := 0
	for _, m := range r.Marks {
		if m.Extension != r.Extension {
			others++
		}
	}
	switch {
	case others == 1:
		text += " and another"
	case others > 1:
		text += fmt.Sprintf(" and %d others", others)
	}
	return text
}

// reported is the caller of a report.
func reported(r console.Report) string {
	caller := r.Caller.E164
	switch {
	case caller != "" && r.Caller.Withheld:
		return caller + " (withheld)"
	case caller != "":
		return caller
	case r.Caller.Kind == number.Anonymous.String() || r.Caller.Raw == "":
		return "withheld"
	}
	return shown(r.Caller.Raw)
}

func decided(r console.Report) string {
	state, at, who := r.State, r.Decided, r.Who
	if r.State == console.ReportLifted {
		at, who = r.Lifted, r.LiftedBy
	}
	text := state + " " + when(at)
	switch {
	case who == "auto":
		text += " by itself (auto_confirm)"
	case who != "":
		text += " by " + shown(who)
	}
	return text
}

type reportsAddCmd struct {
	Caller    string `arg:"" help:"Who called, in any spelling."`
	Callee    string `placeholder:"NUMBER" help:"The number that was called."`
	Extension string `help:"Who reports (the number that was called)."`
	Call      string `placeholder:"ID" help:"The journal's id of the call."`
}

func (c *reportsAddCmd) Run(a *app) error {
	if c.Callee == "" && c.Extension == "" {
		return usageError{"where did it ring? Name the number that was called (--callee) or the extension (--extension)"}
	}
	return a.withDesk(false, func(d *desk) error {
		return a.printReport(d.Report(a.ctx, console.NewReport{Caller: c.Caller, Callee: c.Callee, Extension: c.Extension, Call: c.Call}))
	})
}

type reportsConfirmCmd struct {
	ID     string `arg:"" name:"id" help:"The report's id, as ls shows it."`
	Prefix bool   `help:"List the range that show proposes, instead of the number alone."`
}

func (c *reportsConfirmCmd) Run(a *app) error {
	return a.withDesk(false, func(d *desk) error {
		return a.printReport(d.ConfirmReport(a.ctx, c.ID, c.Prefix))
	})
}

type reportsDismissCmd struct {
	ID string `arg:"" name:"id" help:"The report's id, as ls shows it."`
}

func (c *reportsDismissCmd) Run(a *app) error {
	return a.withDesk(false, func(d *desk) error {
		return a.printReport(d.DismissReport(a.ctx, c.ID))
	})
}

type reportsLiftCmd struct {
	ID string `arg:"" name:"id" help:"The report's id, as ls --state confirmed and list show have it."`
}

func (c *reportsLiftCmd) Run(a *app) error {
	return a.withDesk(false, func(d *desk) error {
		return a.printReport(d.LiftReport(a.ctx, c.ID))
	})
}

func (a *app) printReport(r *console.ReportEdit, err error) error {
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s: %s, reported by %s: ", r.ID, reported(r.Report), shown(r.Extension))
	switch r.Change {
	case console.AlreadySo:
		text += "was already " + decided(r.Report)
	case console.Confirmed:
		text += fmt.Sprintf("confirmed, %s is on list %s", r.Number, r.List)
	case console.Lifted:
		text += fmt.Sprintf("lifted, %s is off list %s", r.Number, r.List)
	case console.Repeated:
		text += fmt.Sprintf("counted, %d times by now", r.Repeats+1)
	default:
		text += r.Change
	}
	if r.Note != "" {
		text += " (" + r.Note + ")"
	}
	return a.print(r, "%s", text)
}

type reportsShowCmd struct {
	ID string `arg:"" name:"id" help:"The report's id, as ls and list show have it."`
}

func (c *reportsShowCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		e, err := d.ShowReport(a.ctx, c.ID)
		if err != nil {
			return err
		}
		return a.print(e, "%s", evidenceText(e))
	})
}

// evidenceText is a report with its evidence, on a page of 80 columns.
func evidenceText(e *console.ReportEvidence) string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		b.WriteString(folded(fmt.Sprintf("%-11s", name), strings.Repeat(" ", 11), fmt.Sprintf(format, args...)))
	}
	row("report", "%s, %s", e.ID, when(e.Time))
	row("caller", "%s", reported(e.Report))
	row("by", "%s", markersText(&e.Report))
	state := e.State
	if e.State != console.ReportOpen {
		state = decided(e.Report)
	}
	switch {
	case e.State == console.ReportConfirmed && e.Listed:
		state += fmt.Sprintf("; %s is on list blacklist for it", e.Entry)
	case e.State == console.ReportConfirmed && e.Entry != "":
		state += fmt.Sprintf("; but %s is not on list blacklist for it any more", e.Entry)
	}
	row("state", "%s", state)
	row("weight", "%.2f, of 1 for each customer's new mark", e.Weight)
	for _, o := range e.Others {
		text := fmt.Sprintf("%s by %s, last %s, %s", o.ID, shown(o.Customer), when(o.Last), o.State)
		if o.Who != "" {
			text += " by " + shown(o.Who)
		}
		row("also", "%s", text)
	}
	if len(e.Known) > 0 {
		row("known to", "%s", shown(strings.Join(e.Known, ", ")))
	}
	b.WriteByte('\n')
	cut := ""
	if e.Cut {
		cut = fmt.Sprintf(", as far as they could be looked through in time: the newest %d records", e.Looked)
	}
	row("calls", "since %s%s:", when(e.Since), cut)
	row("  caller", "%s", callsText(&e.Did))
	for _, block := range []*console.BlockEvidence{e.Around, e.Hundred} {
		switch {
		case block == nil:
		case block.Callers <= 1:
			row("  around", "%s: no other number called", block.Range)
		default:
			row("  around", "%s: %d of %s marked or listed (%.0f %% at least); %s", block.Range, block.Marked, howMany(block.Callers, "number"), 100*block.Share, callsText(&block.CallsEvidence))
		}
	}
	row("unwanted", "%d of %s that he reached marked him: %.0f %% at least do not want him", e.Customers, howMany(e.Reached, "customer"), 100*e.Unwanted)
	row("confidence", "%.2f", e.Confidence)
	b.WriteByte('\n')
	row("confirm", "would have stopped %s", effectText(e.Effect))
	switch {
	case e.Proposal != nil:
		row("--prefix", "%s (%d of it marked or listed) would have stopped %s", e.Proposal.Range, e.Proposal.Members, effectText(e.Proposal.Effect))
	case e.Why != "":
		row("--prefix", "is not proposed: %s", e.Why)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func howMany(n int, thing string) string { return counted(uint64(n), thing) }

func effectText(e console.Effect) string {
	return fmt.Sprintf("%s, %d of them over a minute", howMany(e.Stops, "call"), e.Long)
}

// markersText names who made a report.
func markersText(r *console.Report) string {
	var names []string
	for _, m := range r.Marks {
		names = append(names, shown(m.Extension))
	}
	if len(names) == 0 {
		names = []string{shown(r.Extension)}
	}
	text := strings.Join(names, ", ")
	if r.Customer != "" && r.Customer != r.Extension {
		text += ", of " + shown(r.Customer)
	}
	if r.Repeats > 0 {
		text += fmt.Sprintf("; %d times, last %s", r.Repeats+1, when(r.Last))
	}
	return text
}

// callsText is what a caller, or several, did.
func callsText(c *console.CallsEvidence) string {
	if c.Calls == 0 {
		return "no calls"
	}
	text := fmt.Sprintf("%s to %s, %d rang, %d answered", howMany(c.Calls, "call"), howMany(c.Callees, "number"), c.Rang, c.Answered)
	if c.Answered > 0 {
		text += fmt.Sprintf(" (%d short, %d over a minute, %.0f s on average)", c.Short, c.Long, c.TalkS/float64(c.Answered))
	}
	text += ", last " + when(c.Last)
	var most []string
	for _, m := range c.Most {
		most = append(most, fmt.Sprintf("%s ×%d", shown(m.Number), m.Calls))
	}
	if len(most) > 0 {
		text += "; most to " + strings.Join(most, ", ")
	}
	return text
}
