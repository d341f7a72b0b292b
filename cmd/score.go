package cmd

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"ringfence/console"
)

type scoreCmd struct {
	Fit scoreFitCmd `cmd:"" help:"Propose weights of the score by the reports that were decided. It sets nothing."`
}

type scoreFitCmd struct {
	Since     string `placeholder:"WHEN" help:"Only by reports from then on: 90d back, a date 2026-11-01, or a time 2026-11-01T08:00:00+08:00."`
	Allowlist bool   `help:"Take callers on the list allowlist for wanted as well."`
}

func (c *scoreFitCmd) Run(a *app) error {
	since, err := past(c.Since, time.Now())
	if err != nil {
		return usageError{"--since: " + err.Error()}
	}
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	fit, err := d.FitScore(a.ctx, console.FitQuery{Since: since, Allowlist: c.Allowlist})
	if err != nil {
		return err
	}
	for _, w := range fit.Warnings {
		fmt.Fprintf(a.err, "warning: %s\n", w)
	}
	if a.json {
		return a.print(fit, "")
	}
	for _, line := range fitLines(fit) {
		fmt.Fprintln(a.out, line)
	}
	return nil
}

// fitLines is a proposal as a person reads it.
func fitLines(f *console.ScoreFit) []string {
	text := fmt.Sprintf("by %d callers about whom people decided: %d unwanted, %d wanted", f.Callers, f.Unwanted, f.Wanted)
	if f.Listed > 0 {
		text += fmt.Sprintf(" (%d by list allowlist)", f.Listed)
	}
	lines := []string{text}
	if f.Lost > 0 {
		lines = append(lines, fmt.Sprintf("left out: %d whose marked call is not in the journal", f.Lost))
	}
	if f.Callers == 0 {
		return append(lines, "nothing was changed")
	}
	lines = append(lines, "", "term               now  proposed   95 % interval  callers")
	proposed := false
	for _, t := range f.Terms {
		if t.Stays != "" {
			lines = append(lines, fmt.Sprintf("%-13s %8s         =  %s", t.Name, weight(t.Now), t.Stays))
			continue
		}
		proposed = true
		lines = append(lines, fmt.Sprintf("%-13s %8s  %8s  %6s to %6s  %7d", t.Name, weight(t.Now), weight(t.Proposed), weight(t.Low), weight(t.High), t.Found))
	}
	last := "nothing was changed"
	if proposed {
		last += ": write what convinces you under [score] in the policy"
	}
	return append(lines, "", last)
}

// weight is a term's weight as the policy writes it.
func weight(w float64) string { return strconv.FormatFloat(math.Round(w*100)/100, 'f', -1, 64) }
