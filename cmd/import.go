package cmd

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/policy"
)

type listImportCmd struct {
	List      string   `arg:"" help:"The list. It is made if it is not there."`
	File      string   `arg:"" help:"The file, - for standard input."`
	Format    string   `placeholder:"FORMAT" help:"text, csv, vcard, fritzbox, ftc or phoneblock. Without it, what the file looks like."`
	Column    []string `placeholder:"WHAT=COLUMN" help:"Of a table: number=, reason= or expires= and a name in the header or a place from 1. Several with commas between."`
	Encoding  string   `placeholder:"NAME" help:"How characters are written, as gbk or windows-1252. Without it, what the file looks like."`
	DryRun    bool     `help:"Only say what would be added, changed and refused."`
	Strict    bool     `help:"Change nothing if a line is refused."`
	Replace   bool     `help:"Also take away what a file of this name said before and does not say now. What others say of a number stays."`
	Force     bool     `help:"Also take entries that would hit emergency numbers or never_screen."`
	Threshold int      `placeholder:"N" help:"With ftc: how many complaints make an entry (3)."`
	Window    string   `placeholder:"SPAN" help:"With ftc: how old they may be, before the newest (90d)."`
}

func (c *listImportCmd) Run(a *app) error {
	q := console.ImportQuery{
		List: c.List, Who: whoami(), Format: strings.ToLower(c.Format),
		DryRun: c.DryRun, Strict: c.Strict, Force: c.Force, Replace: c.Replace, Threshold: c.Threshold, Columns: c.Column, Encoding: c.Encoding,
	}
	if _, err := listfile.ParseColumns(c.Column); err != nil {
		return usageError{"--column: " + err.Error()}
	}
	if c.Threshold < 0 {
		return usageError{"--threshold: at least 1"}
	}
	if c.Window != "" {
		span, err := policy.ParseSpan(c.Window)
		if err != nil {
			return usageError{"--window: " + err.Error()}
		}
		q.Window = span.Seconds()
	}
	if q.Format != "" && !strings.Contains(" "+strings.Join(listfile.Formats(), " ")+" ", " "+q.Format+" ") {
		return usageError{fmt.Sprintf("--format: there is no format %q: use %s", c.Format, strings.Join(listfile.Formats(), ", "))}
	}
	var report *console.ImportReport
	err := a.importFile(c.File, false, func(d *desk, name string, in io.Reader) (err error) {
		q.File = name
		report, err = d.Import(a.ctx, q, in)
		return err
	})
	if err != nil {
		return err
	}
	return a.printImport(c.File, report)
}

func (a *app) printImport(file string, r *console.ImportReport) error {
	for _, l := range r.Refusals {
		fmt.Fprintf(a.err, "%s:%d: %q: %s\n", file, l.Line, l.Number, l.Why)
	}
	if more := r.Refused - len(r.Refusals); more > 0 {
		fmt.Fprintf(a.err, "%s: %d more lines are refused\n", file, more)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(a.err, "warning: %s\n", shown(w))
	}
	if r.DryRun && !a.json {
		if r.Columns != "" {
			fmt.Fprintf(a.out, "read as a table: %s\n", shown(r.Columns))
		}
		for i := range r.Would {
			fmt.Fprintln(a.out, wouldText(&r.Would[i]))
		}
		if more := r.Added + r.Updated + r.Removed - len(r.Would); more > 0 {
			fmt.Fprintf(a.out, "and %d more\n", more)
		}
	}
	text := fmt.Sprintf("%s: %d added, %d updated, %d were there already, %d refused", r.List, r.Added, r.Updated, r.Unchanged, r.Refused)
	if r.Removed+r.Absent > 0 {
		text += fmt.Sprintf(", %d removed", r.Removed)
	}
	if r.Repeated > 0 {
		text += fmt.Sprintf("; %d lines are repeated below and count once", r.Repeated)
	}
	switch {
	case r.Strict:
		text = fmt.Sprintf("%s: nothing was changed, because %d lines are refused", r.List, r.Refused)
	case r.DryRun:
		text += "; nothing was written (--dry-run)"
	case r.Change > 0:
		text += fmt.Sprintf("; `ringfence list undo %d` undoes it", r.Change)
	}
	if err := a.print(r, "%s", text); err != nil {
		return err
	}
	if r.Refused > 0 {
		return errSilent
	}
	return nil
}

var wouldBe = map[string]string{"added": "would be added", "updated": "would be updated", "removed": "would be removed"}

// wouldText is a line of a dry run.
func wouldText(e *console.Edit) string {
	text := wouldBe[e.Change] + ": " + e.Number
	if !e.Expires.IsZero() {
		text += ", until " + when(e.Expires)
	}
	if e.Reason != "" {
		text += "\n    " + shown(e.Reason)
	}
	return text
}

type listChangesCmd struct {
	List string `arg:"" optional:"" help:"Only of this list."`
}

func (c *listChangesCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		return d.Changes(a.ctx, c.List, func(c console.ListChange) error { return a.print(c, "%s", listChangeText(&c)) })
	})
}

// listChangeText is a change in one line.
func listChangeText(c *console.ListChange) string {
	list := cmp.Or(c.List, "a number, which is not kept")
	if c.List == console.LineTable {
		list = "lines"
	}
	text := fmt.Sprintf("%6d  %s  %-6s %s", c.ID, when(c.Time), c.Kind, list)
	for _, n := range []struct {
		n    int
		what string
	}{{c.Added, "added"}, {c.Updated, "updated"}, {c.Removed, "removed"}, {c.Joined, "were there from other sources"}, {c.Skipped, "left, because they were changed since"}} {
		if n.n > 0 {
			text += fmt.Sprintf(", %d %s", n.n, n.what)
		}
	}
	if c.Undoes > 0 {
		text += fmt.Sprintf(", undoing %d", c.Undoes)
	}
	if c.Who != "" || c.From != "" {
		text += fmt.Sprintf("  (%s, %s)", shown(c.Who), shown(c.From))
	}
	if c.Source != "" {
		text += "  " + shown(c.Source)
	}
	if c.Node != "" {
		text += "  on " + shown(c.Node)
	}
	if c.Undone > 0 {
		text += fmt.Sprintf("  undone by %d", c.Undone)
	}
	return text
}

type listHistoryCmd struct {
	Pattern string `arg:"" help:"In any spelling."`
}

func (c *listHistoryCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		n := 0
		err := d.History(a.ctx, c.Pattern, func(h console.ListHistory) error {
			n++
			return a.print(h, "%s\n        %s → %s", listChangeText(&h.Change), entryShown(h.Before), entryShown(h.After))
		})
		if err == nil && n == 0 && !a.json {
			fmt.Fprintln(a.err, "no change of that entry is kept")
		}
		return err
	})
}

// entryShown is what an entry said.
func entryShown(e *console.ListEntry) string {
	if e == nil {
		return "not there"
	}
	text := "there"
	if e.Reason != "" {
		text = fmt.Sprintf("%q", shown(e.Reason))
	}
	if e.Source != "" {
		text += " from " + shown(e.Source)
	}
	if !e.Expires.IsZero() {
		text += " until " + when(e.Expires)
	}
	return text
}

type listUndoCmd struct {
	ID uint64 "arg:\"\" help:\"The change, as `list changes` and `list history` number them.\""
}

func (c *listUndoCmd) Run(a *app) error {
	return a.withDesk(false, func(d *desk) error {
		change, err := d.Undo(a.ctx, c.ID)
		if err != nil {
			return err
		}
		if change.ID == 0 {
			return a.print(change, "nothing was left to undo of change %d: all %d entries were changed since", c.ID, change.Skipped)
		}
		return a.print(change, "%s", listChangeText(change))
	})
}
