package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/terminal"
)

// printAlerts prints what is wrong now, and by what policy calls are decided.
func (a *app) printAlerts(s *console.Status) {
	for _, i := range s.Alerts {
		calls := ""
		if i.Calls > 0 {
			calls = fmt.Sprintf(", %d calls unscreened", i.Calls)
		}
		fmt.Fprintf(a.out, "ALERT    since %s%s:\n%s", when(i.Since), calls, beneath(i.Text))
	}
	if r := s.PolicyRefused; r != nil {
		fmt.Fprintf(a.out, "policy   REFUSED %s, mode %s:\n%s", when(r.At), s.Mode, beneath(policyInForce(r)))
		return
	}
	fmt.Fprintf(a.out, "policy   %s, read %s, mode %s\n", s.Policy, when(s.Loaded), s.Mode)
}

// beneath sets a text in lines that fit on a terminal, beneath the word that a line of status begins with.
func beneath(text string) string {
	const indent = 9
	return strings.Repeat(" ", indent) + terminal.Wrap(text, terminal.Page, indent, indent) + "\n"
}

// sayRefused says what calls are decided by if the daemon refused this policy file, or a daemon that is started now would.
func (a *app) sayRefused(file string, good bool) {
	c, err := conf.LoadForCommand(a.config)
	if full, e := filepath.Abs(file); err != nil || e != nil || full != c.Policy {
		return
	}
	ctx, cancel := context.WithTimeout(a.ctx, 2*time.Second)
	defer cancel()
	client, err := console.Dial(ctx, c.Socket)
	if errors.Is(err, console.ErrNotRunning) {
		if info, err := os.Stat(c.LastGoodPolicy()); err == nil && !good {
			fmt.Fprintf(a.err, "The daemon does not run. Started now, it would decide calls by the last good policy,\ntaken %s: %s\n", when(info.ModTime()), c.LastGoodPolicy())
		}
		return
	}
	if err != nil {
		return
	}
	defer client.Close()
	s, err := client.Status(ctx)
	if err != nil || s.PolicyRefused == nil {
		return
	}
	fmt.Fprintf(a.err, "THE DAEMON REFUSED THIS FILE, as it was at %s:\n%s.\n", when(s.PolicyRefused.At), policyInForce(s.PolicyRefused))
	if good {
		fmt.Fprintln(a.err, "It has no faults now: `ringfence policy reload` takes it.")
	}
}

// policyInForce says by which policy calls are decided after the file was refused.
func policyInForce(r *console.PolicyRefused) string {
	if r.LastGood.IsZero() {
		return "calls are decided by the policy that was in force before"
	}
	return "calls are decided by the last good policy, taken " + when(r.LastGood)
}
