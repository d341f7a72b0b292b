package cmd

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"ringfence/console"
	"ringfence/number"
)

type listCmd struct {
	Ls     listLsCmd     `cmd:"" help:"Name the lists."`
	Show   listShowCmd   `cmd:"" help:"Show a list's entries."`
	Add    listAddCmd    `cmd:"" help:"Add patterns to a list."`
	Remove listRemoveCmd `cmd:"" help:"Remove patterns from a list."`
	Import listImportCmd `cmd:"" help:"Add the patterns of a file, as one change: text, CSV, the FTC's complaints, PhoneBlock."`
	Export listExportCmd `cmd:"" help:"Write a list as CSV that import reads, or as text."`

	Changes listChangesCmd `cmd:"" help:"Name the changes to the lists that are kept."`
	History listHistoryCmd `cmd:"" help:"Say who changed an entry, when, from where, and what it was before."`
	Undo    listUndoCmd    `cmd:"" help:"Undo a change as a whole: an edit, an import, or an undo."`
}

type listLsCmd struct{}

func (listLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	lists, err := d.Lists(a.ctx)
	if err != nil {
		return err
	}
	if len(lists) == 0 && !a.json {
		fmt.Fprintln(a.err, "there are no lists yet: `ringfence list add blacklist NUMBER` makes one")
	}
	for _, l := range lists {
		if err := a.print(l, "%-24s %9d entries, changed %s", l.List, l.Entries, when(l.Changed)); err != nil {
			return err
		}
	}
	return nil
}

type listShowCmd struct {
	List string `arg:"" help:"The list."`
}

func (c *listShowCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	return d.Entries(a.ctx, c.List, func(e console.ListEntry) error {
		text := fmt.Sprintf("%-20s added %s", e.Number, when(e.Added))
		if !e.Expires.IsZero() {
			text += ", expires " + when(e.Expires)
		}
		if e.Hits > 0 {
			text += fmt.Sprintf(", decided %d calls, the last %s", e.Hits, when(e.LastHit))
		}
		if e.Reason != "" {
			text += "  " + shown(e.Reason)
		}
		return a.print(e, "%s", text)
	})
}

type listAddCmd struct {
	List     string   `arg:"" help:"The list. It is made if it is not there."`
	Patterns []string `arg:"" name:"pattern" help:"Numbers in any spelling, 9521*, 9521????, or a range A-B."`
	Reason   string   `help:"Why, as decisions will say."`
	Expires  string   `placeholder:"WHEN" help:"When they stop to count: 30d, 12h, or a date 2026-12-31."`
}

func (c *listAddCmd) Run(a *app) error {
	expires, err := console.ParseExpiry(c.Expires, time.Now())
	if err != nil {
		return usageError{"--expires: " + err.Error()}
	}
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	var add []console.NewEntry
	for _, p := range c.Patterns {
		add = append(add, console.NewEntry{Number: p, Reason: c.Reason, Expires: expires})
	}
	edits, err := d.AddEntries(a.ctx, c.List, add, false)
	if err != nil {
		return err
	}
	return a.printEdits(edits)
}

type listRemoveCmd struct {
	List     string   `arg:"" help:"The list."`
	Patterns []string `arg:"" name:"pattern" help:"As they were added, in any spelling."`
}

func (c *listRemoveCmd) Run(a *app) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	edits, err := d.RemoveEntries(a.ctx, c.List, c.Patterns)
	if err != nil {
		return err
	}
	return a.printEdits(edits)
}

func (a *app) printEdits(edits []console.Edit) error {
	say := map[string]string{
		"added": "%[2]s: added %[1]s", "updated": "%[2]s: %[1]s was there, its reason or expiry is new",
		"unchanged": "%[2]s: %[1]s was there already", "removed": "%[2]s: removed %[1]s", "absent": "%[2]s: %[1]s was not there",
	}
	for _, e := range edits {
		if err := a.print(e, say[e.Change], e.Number, e.List); err != nil {
			return err
		}
	}
	return nil
}

type listExportCmd struct {
	List   string `arg:"" help:"The list."`
	Format string `default:"csv" enum:"csv,text" help:"csv (number,reason,expires) or text, a pattern a line."`
}

func (c *listExportCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	w := csv.NewWriter(a.out)
	defer w.Flush()
	header := false
	write := func(row ...string) error {
		if !header && !a.json && c.Format == "csv" {
			header = true
			w.Write([]string{"number", "reason", "expires"})
		}
		if row == nil {
			return nil
		}
		return w.Write(row)
	}
	err = d.Entries(a.ctx, c.List, func(e console.ListEntry) error {
		if a.json {
			return a.print(e, "")
		}
		if c.Format == "text" {
			return write(e.Number)
		}
		expires := ""
		if !e.Expires.IsZero() {
			expires = e.Expires.Format(time.RFC3339)
		}
		return write(e.Number, e.Reason, expires)
	})
	if err == nil {
		err = write() // an empty list has a header too
	}
	return err
}

// whoami is who runs the command, as the daemon's socket would tell it too.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// shown is a text from outside as it may go to a terminal.
func shown(s string) string { return number.InertUpTo(s, 120) }
