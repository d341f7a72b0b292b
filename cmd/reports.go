package cmd

import (
	"fmt"

	"ringfence/console"
	"ringfence/number"
)

type reportsCmd struct {
	Ls      reportsLsCmd      `cmd:"" help:"Show the reports that wait for review, the oldest first."`
	Confirm reportsConfirmCmd `cmd:"" help:"Put a report's caller on the list blacklist."`
	Dismiss reportsDismissCmd `cmd:"" help:"Close a report; nothing comes of it."`
}

type reportsLsCmd struct {
	State string `default:"open" enum:"open,confirmed,dismissed,all" help:"open, confirmed, dismissed or all (open)."`
}

func (c *reportsLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	state := c.State
	if state == "all" {
		state = ""
	}
	found := false
	err = d.Reports(a.ctx, state, func(r console.Report) error {
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
	text := fmt.Sprintf("%s  %s  %-18s reported by %s", r.ID, when(r.Time), reported(r), shown(r.Extension))
	if r.Line != "" {
		text += " (" + shown(r.Line) + ")"
	}
	if r.Repeats > 0 {
		text += fmt.Sprintf(", %d times, last %s", r.Repeats+1, when(r.Last))
	}
	if r.State != console.ReportOpen {
		text += ", " + decided(r)
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
	text := r.State + " " + when(r.Decided)
	if r.Who != "" {
		text += " by " + shown(r.Who)
	}
	return text
}

type reportsConfirmCmd struct {
	ID string `arg:"" name:"id" help:"The report's id, as ls shows it."`
}

func (c *reportsConfirmCmd) Run(a *app) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	return a.printReport(d.ConfirmReport(a.ctx, c.ID))
}

type reportsDismissCmd struct {
	ID string `arg:"" name:"id" help:"The report's id, as ls shows it."`
}

func (c *reportsDismissCmd) Run(a *app) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	return a.printReport(d.DismissReport(a.ctx, c.ID))
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
		if r.Note != "" {
			text += " (" + r.Note + ")"
		}
	default:
		text += r.Change
	}
	return a.print(r, "%s", text)
}
