package cmd

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"ringfence/console"
	"ringfence/number"
)

type policyHistoryCmd struct{}

func (policyHistoryCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	var out io.Writer = a.out
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	n := 0
	err = d.PolicyVersions(a.ctx, func(v console.PolicyVersion) error {
		if a.json {
			return a.print(v, "")
		}
		if n++; n == 1 {
			fmt.Fprintln(table, "VERSION\tIN FORCE FROM\tRULES\tBY\tNOTE")
		}
		by := number.Inert(v.Who)
		if v.Who == "" {
			by = "the file"
		}
		if v.InForce {
			by += " (in force)"
		}
		_, err := fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", v.ID, when(v.Time), v.Rules, by, number.InertUpTo(v.Note, 60))
		return err
	})
	if err = errors.Join(err, table.Flush()); err == nil && n == 0 && !a.json {
		fmt.Fprintln(a.out, "no policy is kept yet: the daemon keeps each that it puts in force")
	}
	return err
}

type policyShowCmd struct {
	Version string `arg:"" optional:"" help:"One of policy history (default: the file as it is)."`
}

func (c *policyShowCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	if c.Version == "" {
		p, err := d.Policy(a.ctx)
		if err != nil {
			return err
		}
		if !p.InForce {
			fmt.Fprintf(a.err, "this text of %s is not in force: ringfence policy check %s\n", p.File, p.File)
		}
		return a.printPolicy(p, p.Text)
	}
	v, err := d.PolicyVersion(a.ctx, c.Version)
	if err != nil {
		return err
	}
	return a.printPolicy(v, v.Text)
}

func (a *app) printPolicy(v any, text string) error {
	if a.json {
		return a.print(v, "")
	}
	_, err := io.WriteString(a.out, text)
	return err
}

type policyRollbackCmd struct {
	Version string `arg:"" help:"One of policy history."`
}

// Run writes an earlier policy to the file again, as a new version: what is in force now can be taken back the same way.
func (c *policyRollbackCmd) Run(a *app) error {
	d, err := a.running()
	if err != nil {
		return err
	}
	defer d.Close()
	v, err := d.PolicyVersion(a.ctx, c.Version)
	if err != nil {
		return err
	}
	now, err := d.Policy(a.ctx)
	if err != nil {
		return err
	}
	put, err := d.PutPolicy(a.ctx, console.PolicyEdit{Text: v.Text, ETag: now.ETag, Note: "back to " + v.ID})
	if err != nil {
		return err
	}
	for _, f := range put.Faults {
		if err := a.printFault(f); err != nil {
			return err
		}
	}
	if !put.Loaded {
		return errors.New("the running policy stays, since version " + v.ID + " has faults by now")
	}
	return a.print(put, "version %s is in force, and in %s: %d rules; policy rollback %s takes that back", v.ID, put.File, put.Rules, now.Version)
}
