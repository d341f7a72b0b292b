package cmd

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/lists"
	"ringfence/number"
)

type listCmd struct {
	Ls     listLsCmd     `cmd:"" help:"Name the lists."`
	Show   listShowCmd   `cmd:"" help:"Show a list's entries."`
	Add    listAddCmd    `cmd:"" help:"Add patterns to a list."`
	Remove listRemoveCmd `cmd:"" help:"Remove patterns from a list."`
	Import listImportCmd `cmd:"" help:"Add the patterns of a file, as one change: text, CSV, vCard, FRITZ!Box, the FTC's complaints, PhoneBlock."`
	Export listExportCmd `cmd:"" help:"Write a list as CSV that import reads, or as text."`

	Changes listChangesCmd `cmd:"" help:"Name the changes to the lists that are kept."`
	History listHistoryCmd `cmd:"" help:"Say who changed an entry, when, from where, and what it was before."`
	Undo    listUndoCmd    `cmd:"" help:"Undo a change as a whole: an edit, an import, or an undo."`
}

type listLsCmd struct {
	Line string `placeholder:"LINE" help:"Only the lists that this line has of its own."`
}

func (c *listLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	var lists []console.ListSummary
	if c.Line != "" {
		lists, err = d.ListsOf(a.ctx, c.Line)
	} else {
		lists, err = d.Lists(a.ctx)
	}
	if err != nil {
		return err
	}
	switch {
	case len(lists) > 0 || a.json:
	case c.Line != "":
		fmt.Fprintf(a.err, "the line %s has no lists of its own yet: `ringfence list add %s:blacklist NUMBER` makes one\n", c.Line, c.Line)
	default:
		fmt.Fprintln(a.err, "there are no lists yet: `ringfence list add blacklist NUMBER` makes one")
	}
	for _, l := range lists {
		more := ""
		if l.Records > l.Entries {
			more = fmt.Sprintf(", named %d times", l.Records)
		}
		if l.Lines > 0 {
			more += " of " + counted(uint64(l.Lines), "line")
		}
		if l.Gone > 0 {
			more += fmt.Sprintf(", %d of lines that were removed", l.Gone)
		}
		if err := a.print(l, "%-24s %9d entries%s, changed %s", l.List, l.Entries, more, when(l.Changed)); err != nil {
			return err
		}
	}
	return nil
}

type listShowCmd struct {
	List string `arg:"" help:"The list."`
}

func (c *listShowCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		return d.Entries(a.ctx, c.List, func(e console.ListEntry) error {
			whose := ""
			if e.List != c.List { // of the own lists of all lines
				whose = e.List + "  "
			}
			return a.print(e, "%s%s", whose, entryText(&e))
		})
	})
}

// entryText is an entry as `list show` has it, with who names it.
func entryText(e *console.ListEntry) string {
	text := fmt.Sprintf("%-20s added %s", e.Number, when(e.Added))
	if len(e.Records) == 0 {
		text += strings.TrimSuffix(" by "+sourceText(e.From, e.Source, e.Who), " by ")
	}
	if !e.Expires.IsZero() {
		text += ", expires " + when(e.Expires)
	}
	if e.Hits > 0 {
		text += fmt.Sprintf(", decided %d calls, the last %s", e.Hits, when(e.LastHit))
	}
	if e.Reason != "" {
		text += "  " + shown(e.Reason)
	}
	for _, r := range e.Records {
		text += "\n    " + recordText(&r)
	}
	return text
}

// sourceText is who names an entry.
func sourceText(from, source, who string) string {
	switch {
	case from == "import", from == "feed", from == "report" && source != "": // which file, feed or report
		return shown(source)
	case from == "person" && who != "":
		return "person " + shown(who)
	}
	return from
}

// recordText is what one of several sources says of an entry.
func recordText(r *console.ListRecord) string {
	text := sourceText(r.From, r.Source, r.Who) + ", " + when(r.Updated)
	if !r.Expires.IsZero() {
		text += ", until " + when(r.Expires)
	}
	if r.Reason != "" {
		text += ": " + shown(r.Reason)
	}
	return text
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
	return a.withDesk(false, func(d *desk) error {
		var add []console.NewEntry
		for _, p := range c.Patterns {
			add = append(add, console.NewEntry{Number: p, Reason: c.Reason, Expires: expires})
		}
		edits, err := d.AddEntries(a.ctx, c.List, add, false)
		if err != nil {
			return err
		}
		return a.printEdits(edits)
	})
}

type listRemoveCmd struct {
	List     string   `arg:"" help:"The list."`
	Patterns []string `arg:"" name:"pattern" help:"As they were added, in any spelling."`
	All      bool     `help:"Also take away what files, feeds and reports say of them. A feed that still names one adds it again."`
}

func (c *listRemoveCmd) Run(a *app) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	edits, err := d.RemoveEntries(a.ctx, c.List, c.Patterns, c.All)
	if err != nil {
		return err
	}
	if err := a.printEdits(edits); err != nil {
		return err
	}
	still := false
	for _, e := range edits {
		if len(e.Still) > 0 {
			still = true
			fmt.Fprintf(a.err, "ringfence: %s is still on list %s, named by %s: `ringfence list remove %s %s --all` takes it off\n",
				e.Number, e.List, shown(strings.Join(e.Still, ", ")), e.List, e.Number)
		}
	}
	if still {
		return errSilent
	}
	return nil
}

func (a *app) printEdits(edits []console.Edit) error {
	say := map[string]string{
		"added": "%[2]s: added %[1]s", "updated": "%[2]s: %[1]s was there, its reason or expiry is new",
		"unchanged": "%[2]s: %[1]s was there already", "removed": "%[2]s: removed %[1]s", "absent": "%[2]s: %[1]s was not there",
	}
	for _, e := range edits {
		text := say[e.Change]
		switch still := len(e.Still) > 0; {
		case still && e.Change == "absent":
			text = "%[2]s: %[1]s was not there by hand"
		case still:
			text = "%[2]s: what was said of %[1]s by hand is removed"
		}
		if err := a.print(e, text, e.Number, e.List); err != nil {
			return err
		}
		if e.Warning != "" {
			fmt.Fprintf(a.err, "warning: %s %s\n", e.Number, shown(e.Warning))
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
	out := a.buffered()
	table := listfile.NewWriter(out.out)
	err = d.Entries(a.ctx, c.List, func(e console.ListEntry) error {
		switch {
		case a.json:
			return out.print(e, "")
		case c.Format == "text":
			_, err := fmt.Fprintln(out.out, e.Number)
			return err
		}
		return table.Write(e.Number, e.Reason, lastExpiry(&e))
	})
	if err == nil && !a.json && c.Format == "csv" {
		err = table.Begin()
	}
	return errors.Join(err, table.Flush(), out.flush())
}

// lastExpiry is when the last of an entry's sources ends, zero for never: until then the number is on the list.
func lastExpiry(e *console.ListEntry) time.Time {
	last := e.Expires
	for _, r := range e.Records {
		if r.Expires.IsZero() || last.IsZero() {
			return time.Time{}
		}
		if r.Expires.After(last) {
			last = r.Expires
		}
	}
	return last
}

// sourcesOf is what each source of an entry says, as lists in memory have it.
func sourcesOf(e *console.ListEntry) []lists.Record {
	if len(e.Records) == 0 {
		return []lists.Record{{Reason: e.Reason, Source: e.Source, Added: e.Added, Expires: e.Expires}}
	}
	records := make([]lists.Record, len(e.Records))
	for i, r := range e.Records {
		records[i] = lists.Record{Reason: r.Reason, Source: r.Source, Added: r.Added, Expires: r.Expires}
	}
	return records
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
