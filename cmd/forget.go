package cmd

import (
	"fmt"
	"strings"

	"ringfence/console"
	"ringfence/number"
)

type forgetCmd struct {
	Number   string `arg:"" help:"Whose data is to go, in any spelling; or a token of a private journal."`
	Lists    bool   `help:"Also take the number off lists. Without it you are told which have it."`
	Called   bool   `help:"Also forget calls to it where it is a number of one of your lines."`
	Policies bool   `help:"Also delete policies that were in force and name it. Without it you are told which do."`
	DryRun   bool   `name:"dry-run" help:"Only say what there is."`
}

func (c *forgetCmd) Run(a *app) error {
	d, err := a.desk(c.DryRun)
	if err != nil {
		return err
	}
	defer d.close()
	r, err := d.Forget(a.ctx, console.ForgetQuery{Number: c.Number, Lists: c.Lists, Called: c.Called, Policies: c.Policies, DryRun: c.DryRun})
	if err != nil {
		return err
	}
	if a.json {
		return a.print(r, "")
	}
	for _, line := range forgetLines(r) {
		fmt.Fprintln(a.out, line)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(a.err, "ringfence:", note)
	}
	return nil
}

// forgetLines is what was forgotten, as a person reads it.
func forgetLines(r *console.ForgetReport) []string {
	who, what := number.Inert(r.Number), "forgotten"
	if r.DryRun {
		what = "would be forgotten"
	}
	var parts []string
	for _, p := range []struct {
		n            int
		one, several string
	}{
		{r.Calls, "record of a call from it", "records of calls from it"},
		{r.Called, "record of a call to it", "records of calls to it"},
		{r.Mentions, "record that named it", "records that named it"},
		{r.Known, "line that deals with it", "lines that deal with it"},
		{r.Passed, "challenge passed", "challenges passed"},
		{r.Emergency, "call to an emergency number", "calls to an emergency number"},
		{r.Reports, "report", "reports"},
		{r.Breakers, "breaker of a detector", "breakers of detectors"},
		{r.History, "trace of entries on lists", "traces of entries on lists"},
	} {
		switch {
		case p.n == 1:
			parts = append(parts, "1 "+p.one)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.several))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing was held of it")
	}
	lines := []string{who + " " + what + ":"}
	for _, p := range parts {
		lines = append(lines, "  "+p)
	}
	kept := false
	for _, l := range r.Lists {
		by := shown(strings.Join(l.Sources, ", "))
		switch {
		case l.Removed && r.DryRun:
			lines = append(lines, fmt.Sprintf("  its entry of the list %s (named by %s)", l.List, by))
		case l.Removed:
			lines = append(lines, fmt.Sprintf("  its entry of the list %s (named by %s): a feed that still\n    names it adds it again", l.List, by))
		default:
			kept = true
			lines = append(lines, fmt.Sprintf("  it stays on the list %s (named by %s), with that\n    entry's history", l.List, by))
		}
	}
	if kept {
		lines = append(lines, "  --lists takes it off lists too")
	}
	kept = false
	for _, p := range r.Policies {
		where := "it stays in"
		if p.Removed {
			where = "with it goes"
		}
		kept = kept || !p.Removed && !p.InForce
		lines = append(lines, fmt.Sprintf("  %s the policy %s, in force from %s", where, p.ID, when(p.Time)))
	}
	if kept {
		lines = append(lines, "  --policies deletes those that are not in force any more (ringfence policy history)")
	}
	return lines
}
