package cmd

import (
	"fmt"
	"io"
	"strings"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/number"
)

type lineImportCmd struct {
	File     string   `arg:"" help:"The file, - for standard input: CSV with a header, name,numbers,customer,profile,mode,timezone,language,notify,note."`
	From     string   `placeholder:"PROGRAM" help:"fusionpbx: its export of destinations. Each inbound one that is on is a line."`
	Source   string   `placeholder:"NAME" help:"What keeps these lines from now on, as billing."`
	Whole    bool     `help:"The file names all lines of --source: those that it no longer names go."`
	Column   []string `placeholder:"WHAT=COLUMN" help:"name=, numbers=, customer= and so on, and a name in the header or a place from 1. Several with commas between."`
	Profile  string   `placeholder:"PROFILE" help:"Of new lines, where the file has no such column."`
	Mode     string   `placeholder:"MODE" help:"Of new lines, where the file has no such column."`
	Encoding string   `placeholder:"NAME" help:"How characters are written, as gbk or windows-1252. Without it, what the file looks like."`
	DryRun   bool     `help:"Only say what would be added, changed, removed and refused."`
	Strict   bool     `help:"Change nothing if a row is refused."`
	Force    bool     `help:"With --whole, also where more than 30 percent of the lines of --source would go."`
}

func (c *lineImportCmd) Run(a *app) error {
	q := console.LineImport{
		Format: strings.ToLower(c.From), Source: c.Source, Whole: c.Whole, DryRun: c.DryRun, Strict: c.Strict, Force: c.Force,
		Profile: c.Profile, Mode: c.Mode, Columns: c.Column, Encoding: c.Encoding,
	}
	if q.Format != "" && q.Format != console.FormatFusionPBX {
		return usageError{fmt.Sprintf("--from: there is no program %q here: use %s", c.From, console.FormatFusionPBX)}
	}
	if c.Whole && strings.TrimSpace(c.Source) == "" {
		return usageError{"--whole: say whose lines the file names with --source NAME, as --source billing"}
	}
	columns := listfile.LineColumns
	if q.Format == console.FormatFusionPBX {
		columns = listfile.FusionPBXColumns
	}
	if err := (&listfile.TableOptions{Columns: columns, Named: c.Column}).CheckNamed(); err != nil {
		return usageError{"--column: " + err.Error()}
	}
	var report *console.LineReport
	err := a.importFile(c.File, c.DryRun, func(d *desk, name string, in io.Reader) (err error) {
		q.File = name
		report, err = d.ImportLines(a.ctx, q, in)
		return err
	})
	if err != nil {
		return err
	}
	return a.printLineImport(c.File, report)
}

// fewLines is how many lines a dry run names one by one for people; --json has the first 1000.
const fewLines = 20

func (a *app) printLineImport(file string, r *console.LineReport) error {
	for _, l := range r.Refusals {
		name := ""
		if l.Name != "" {
			name = fmt.Sprintf("%q: ", l.Name)
		}
		fmt.Fprintf(a.err, "%s:%d: %s%s\n", file, l.Row, name, l.Why)
	}
	if more := r.Refused - len(r.Refusals); more > 0 {
		fmt.Fprintf(a.err, "%s: %d more are refused\n", file, more)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(a.err, "warning: %s\n", number.InertUpTo(w, maxLineWarning))
	}
	if r.DryRun && !a.json {
		fmt.Fprintf(a.out, "read as a table: %s\n", number.InertUpTo(r.Columns, maxLineWarning))
		for i := range r.Would[:min(len(r.Would), fewLines)] {
			e := &r.Would[i]
			text := wouldBe[e.Change] + ": " + e.Name
			if len(e.What) > 0 {
				text += ": " + number.InertUpTo(strings.Join(e.What, ", "), maxLineWarning)
			}
			fmt.Fprintln(a.out, text)
		}
		if more := r.Added + r.Updated + r.Removed - fewLines; more > 0 {
			fmt.Fprintf(a.out, "and %d more\n", more)
		}
	}
	if err := a.print(r, "%s", lineImportText(r)); err != nil {
		return err
	}
	if r.Refused > 0 {
		return errSilent
	}
	return nil
}

// lineImportText is what became of an import.
func lineImportText(r *console.LineReport) string {
	text := fmt.Sprintf("lines: %d added, %d updated, %d removed, %d were so already, %d refused", r.Added, r.Updated, r.Removed, r.Unchanged, r.Refused)
	if r.Skipped > 0 {
		text += fmt.Sprintf("; %d rows are no inbound destinations that are on", r.Skipped)
	}
	switch {
	case r.Strict:
		text = fmt.Sprintf("nothing was changed, because %d are refused", r.Refused)
	case r.DryRun:
		text += "; nothing was written (--dry-run)"
	case r.Change > 0:
		text += fmt.Sprintf("; `ringfence line undo %d` undoes it", r.Change)
	default:
		text += "; nothing has changed"
	}
	return text
}
