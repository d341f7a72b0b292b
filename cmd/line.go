package cmd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/number"
)

type lineCmd struct {
	Ls     lineLsCmd     `cmd:"" help:"Name the lines of the database, with their numbers."`
	Show   lineShowCmd   `cmd:"" help:"Show a line."`
	Add    lineAddCmd    `cmd:"" help:"Add a line."`
	Set    lineSetCmd    `cmd:"" help:"Change a line: only what is said."`
	Remove lineRemoveCmd `cmd:"" help:"Remove lines, with their own lists and whom they know."`
	Import lineImportCmd `cmd:"" help:"Make lines what a file says of them, as one change: CSV, or FusionPBX's destinations."`
	Export lineExportCmd `cmd:"" help:"Write the lines as CSV that import reads."`

	Changes lineChangesCmd `cmd:"" help:"Name the changes to lines that are kept."`
	History lineHistoryCmd `cmd:"" help:"Say who changed a line, when, from where, and what it was before."`
	Undo    lineUndoCmd    `cmd:"" help:"Undo a change as a whole: an edit, an import, or an undo."`

	Usage lineUsageCmd `cmd:"" help:"Write what came to each customer's lines, by days, as CSV."`
}

type lineLsCmd struct {
	Customer string `placeholder:"CUSTOMER" help:"Only of this customer."`
	Profile  string `placeholder:"PROFILE" help:"Only with this profile."`
}

func (c *lineLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	out := a.buffered()
	n := 0
	err = d.Lines(a.ctx, console.LineQuery{Customer: c.Customer, Profile: c.Profile}, func(l console.Line) error {
		n++
		return out.print(l, "%s", lineText(&l))
	})
	switch {
	case err != nil || n > 0 || a.json:
	case c.Customer+c.Profile != "":
		fmt.Fprintln(a.err, "there is no such line")
	default:
		fmt.Fprintln(a.err, "there are no lines in the database yet: `ringfence line add NAME NUMBER` makes one; those of the policy are in its file")
	}
	return errors.Join(err, out.flush())
}

// lineText is a line in one line of a terminal.
func lineText(l *console.Line) string {
	const few = 3
	text := fmt.Sprintf("%-24s %s", l.Name, strings.Join(l.Numbers[:min(len(l.Numbers), few)], " "))
	if more := len(l.Numbers) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if l.Profile != "" {
		text += ", profile " + l.Profile
	}
	if l.Mode != "enforce" {
		text += ", " + l.Mode
	}
	if l.Customer != l.Name {
		text += ", of " + shown(l.Customer)
	}
	return text
}

type lineShowCmd struct {
	Name string `arg:"" help:"The line."`
}

func (c *lineShowCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		return d.Lines(a.ctx, console.LineQuery{Name: c.Name}, func(l console.Line) error { return a.print(l, "%s", lineDetails(&l)) })
	})
}

// lineDetails is all of a line.
func lineDetails(l *console.Line) string {
	var b strings.Builder
	for _, f := range [...]struct{ name, text string }{
		{"name", l.Name},
		{"numbers", strings.Join(l.Numbers, "\n           ")},
		{"customer", shown(l.Customer)},
		{"profile", l.Profile},
		{"mode", l.Mode},
		{"timezone", l.Timezone},
		{"language", l.Language},
		{"notify", shown(l.Notify)},
		{"note", shown(l.Note)},
		{"source", shown(l.Source)},
		{"added", when(l.Added)},
		{"changed", when(l.Updated) + byText(l.Who, l.From)},
	} {
		if f.text != "" {
			fmt.Fprintf(&b, "%-10s %s\n", f.name, f.text)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// byText is who changed something, and by which way.
func byText(who, from string) string {
	switch {
	case who == "" && from == "":
		return ""
	case who == "" || from == "":
		return " by " + shown(who+from)
	}
	return fmt.Sprintf(" by %s, %s", shown(who), shown(from))
}

// lineFlags are what a line has besides its numbers. One that is not given is not said.
type lineFlags struct {
	Customer *string `placeholder:"CUSTOMER" help:"Whose it is. Without it, each line is a customer of its own."`
	Profile  *string `placeholder:"PROFILE" help:"What rules name it by: line = [\"profile:PROFILE\"]."`
	Mode     *string `placeholder:"MODE" help:"enforce, observe (record only) or off (every call passes)."`
	Timezone *string `placeholder:"ZONE" help:"Clock of the hours in rules, as Asia/Urumqi. Without it, the policy's."`
	Language *string `placeholder:"LANGUAGE" help:"Of notices: zh or en."`
	Notify   *string `placeholder:"WHERE" help:"Who is told what was stopped: an e-mail address or a webhook, and hourly or daily before it."`
	Note     *string `placeholder:"TEXT" help:"For people."`
}

func (f *lineFlags) set(name string) console.LineSet {
	return console.LineSet{
		Name: name, Customer: f.Customer, Profile: f.Profile, Mode: f.Mode, Timezone: f.Timezone, Language: f.Language, Notify: f.Notify, Note: f.Note,
	}
}

type lineAddCmd struct {
	Name    string   `arg:"" help:"Letters, digits, - _ and ."`
	Numbers []string `arg:"" name:"number" help:"Called numbers in any spelling, patterns, or ranges A..B. Each is on one line only."`
	lineFlags
}

func (c *lineAddCmd) Run(a *app) error {
	return a.withDesk(false, func(d *desk) error {
		set := c.set(c.Name)
		set.Numbers = &c.Numbers
		edits, err := d.AddLines(a.ctx, []console.LineSet{set})
		if err != nil {
			return err
		}
		return a.printLineEdits(edits)
	})
}

type lineSetCmd struct {
	Name    string   `arg:"" help:"The line."`
	Numbers []string `arg:"" optional:"" name:"number" help:"All its numbers from now on, in the place of those that it has."`
	Add     []string `placeholder:"NUMBER" help:"Numbers besides those that it has. Several with commas between."`
	Drop    []string `placeholder:"NUMBER" help:"Numbers to take off it."`
	lineFlags
}

func (c *lineSetCmd) Run(a *app) error {
	set := c.set(c.Name)
	set.Add, set.Drop = c.Add, c.Drop
	if len(c.Numbers) > 0 {
		if len(c.Add)+len(c.Drop) > 0 {
			return usageError{"say either all numbers of the line, or which to --add and --drop"}
		}
		set.Numbers = &c.Numbers
	}
	return a.withDesk(false, func(d *desk) error {
		edit, err := d.SetLine(a.ctx, set)
		if err != nil {
			return err
		}
		return a.printLineEdits([]console.LineEdit{*edit})
	})
}

type lineRemoveCmd struct {
	Names []string `arg:"" name:"name" help:"The lines."`
}

func (c *lineRemoveCmd) Run(a *app) error {
	return a.withDesk(false, func(d *desk) error {
		edits, err := d.RemoveLines(a.ctx, c.Names)
		if err != nil {
			return err
		}
		return a.printLineEdits(edits)
	})
}

// maxLineWarning is how many characters of a sentence about a line are shown.
const maxLineWarning = 400

func (a *app) printLineEdits(edits []console.LineEdit) error {
	say := map[string]string{
		console.LineAdded: "added line %s", console.LineUpdated: "line %s: ", console.LineUnchanged: "line %s is so already",
		console.LineRemoved: "removed line %s", console.LineAbsent: "there is no line %s",
	}
	id := uint64(0)
	for i := range edits {
		e := &edits[i]
		text := fmt.Sprintf(say[e.Change], shown(e.Name)) + number.InertUpTo(strings.Join(e.What, ", "), maxLineWarning)
		if err := a.print(e, "%s", text); err != nil {
			return err
		}
		for _, w := range e.Warnings {
			fmt.Fprintf(a.err, "warning: line %s: %s\n", e.Name, number.InertUpTo(w, maxLineWarning))
		}
		if id = max(id, e.ID); e.Change == console.LineAdded {
			id = 0 // to undo that is to remove it
		}
	}
	if id > 0 && !a.json {
		fmt.Fprintf(a.out, "`ringfence line undo %d` undoes it\n", id)
	}
	return nil
}

type lineExportCmd struct {
	Customer string `placeholder:"CUSTOMER" help:"Only of this customer."`
}

func (c *lineExportCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	out := a.buffered()
	table := listfile.NewTableWriter(out.out, listfile.LineColumns...)
	err = d.Lines(a.ctx, console.LineQuery{Customer: c.Customer}, func(l console.Line) error {
		if a.json {
			return out.print(l, "")
		}
		return table.Write(l.Name, strings.Join(l.Numbers, " "), l.Customer, l.Profile, l.Mode, l.Timezone, l.Language, l.Notify, l.Note)
	})
	if err == nil && !a.json {
		err = table.Begin()
	}
	return errors.Join(err, table.Flush(), out.flush())
}

type lineChangesCmd struct{}

func (c *lineChangesCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		return d.Changes(a.ctx, console.LineTable, func(c console.ListChange) error { return a.print(c, "%s", listChangeText(&c)) })
	})
}

type lineHistoryCmd struct {
	Name string `arg:"" help:"The line, also one that is removed."`
}

func (c *lineHistoryCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		n := 0
		err := d.LineHistory(a.ctx, c.Name, func(h console.LineHistory) error {
			n++
			return a.print(h, "%s\n        %s\n        → %s", listChangeText(&h.Change), lineShown(h.Before), lineShown(h.After))
		})
		if err == nil && n == 0 && !a.json {
			fmt.Fprintln(a.err, "no change of that line is kept")
		}
		return err
	})
}

// lineShown is what a line was.
func lineShown(l *console.Line) string {
	if l == nil {
		return "not there"
	}
	text := lineText(l)
	for _, f := range [...]struct{ name, text string }{
		{"timezone", l.Timezone}, {"language", l.Language}, {"notify", l.Notify}, {"source", l.Source}, {"note", l.Note},
	} {
		if f.text != "" {
			text += fmt.Sprintf(", %s %s", f.name, shown(f.text))
		}
	}
	return text
}

type lineUndoCmd struct {
	ID uint64 "arg:\"\" help:\"The change, as `line changes` and `line history` number them.\""
}

func (c *lineUndoCmd) Run(a *app) error {
	if err := (&listUndoCmd{ID: c.ID}).Run(a); err != nil {
		return err
	}
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	return d.Changes(a.ctx, console.LineTable, func(of console.ListChange) error {
		if of.ID == c.ID {
			fmt.Fprint(a.err, undoneLate(&of, time.Now()))
		}
		return nil
	})
}

// ownListsStay is how long own lists stay of a line that was removed, or given to another customer.
const ownListsStay = 30 * 24 * time.Hour

// undoneLate says what the undo of a change of lines could not bring back, "" if nothing.
func undoneLate(of *console.ListChange, now time.Time) string {
	if of.Removed+of.Updated == 0 || now.Sub(of.Time) < ownListsStay {
		return ""
	}
	return "warning: that change is older than 30 days, for which own lists stay: what it took away or gave to another customer is back without them (`ringfence list ls --line NAME` names those a line has)\n"
}
