package cmd

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/number"
)

type knownCmd struct {
	Ls     knownLsCmd     `cmd:"" help:"Show whom lines deal with."`
	Import knownImportCmd `cmd:"" help:"Make the numbers of an address book, or of call records, known to lines."`
	Forget knownForgetCmd `cmd:"" help:"Make a number unknown to a line, or to all. Its records stay (ringfence forget)."`
}

type knownLsCmd struct {
	Line   string `placeholder:"LINE" help:"Only of this line."`
	Caller string `placeholder:"NUMBER" help:"Only this number, in any spelling."`
}

func (c *knownLsCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		found := false
		err := d.Known(a.ctx, console.KnownQuery{Line: c.Line, Caller: c.Caller}, func(k console.Acquaintance) error {
			found = true
			return a.print(k, "%s", knownLine(&k))
		})
		if err == nil && !found && !a.json {
			fmt.Fprintln(a.err, "nobody is known")
		}
		return err
	})
}

// knownLine is an acquaintance as a person reads it.
func knownLine(k *console.Acquaintance) string {
	return fmt.Sprintf("%-16s %-18s last %s", shown(k.Line), shown(k.Number), when(k.Last))
}

type knownImportCmd struct {
	File       string   `arg:"" help:"The file, - for standard input: vCard, CSV and what list import reads, call detail records, a journal."`
	Line       []string `placeholder:"LINE" help:"To whom the numbers become known; all for all lines that there are now. Of call records: only these lines. Several with commas between."`
	Format     string   `placeholder:"FORMAT" help:"text, csv, vcard, fritzbox or calls. Without it, what the file looks like."`
	Column     []string `placeholder:"WHAT=COLUMN" help:"Of a table: number= and a name in the header or a place from 1; of call records caller=, callee=, time=, talk=, answered= or trunk=."`
	Encoding   string   `placeholder:"NAME" help:"How characters are written, as gbk or windows-1252. Without it, what the file shows."`
	TimeFormat string   `placeholder:"FORMAT" help:"Of call records: how times are written, such as '%d.%m.%Y %H:%M' (as in strftime; default: found out)."`
	Zone       string   `placeholder:"ZONE" help:"Of call records: the clock of times without an offset (default: the policy's)."`
	DryRun     bool     `name:"dry-run" help:"Only say who would become known."`
}

// knownFormats are what a file of acquaintances may be.
func knownFormats() []string {
	return []string{string(listfile.Text), string(listfile.CSV), string(listfile.VCard), string(listfile.FritzBox), console.FormatCalls}
}

func (c *knownImportCmd) Run(a *app) error {
	q := console.KnownImport{
		Format: strings.ToLower(c.Format), Lines: c.Line, Columns: c.Column, DryRun: c.DryRun,
		Encoding: c.Encoding, TimeFormat: c.TimeFormat, Zone: c.Zone,
	}
	if q.Format != "" && !slices.Contains(knownFormats(), q.Format) {
		return usageError{fmt.Sprintf("--format: there is no format %q here: use %s", c.Format, strings.Join(knownFormats(), ", "))}
	}
	var report *console.KnownReport
	err := a.importFile(c.File, c.DryRun, func(d *desk, name string, in io.Reader) (err error) {
		q.File = name
		report, err = d.ImportKnown(a.ctx, q, in)
		return err
	})
	if err != nil {
		return err
	}
	return a.printKnownImport(c.File, report)
}

func (a *app) printKnownImport(file string, r *console.KnownReport) error {
	for _, l := range r.Refusals {
		text := ""
		if l.Number != "" {
			text = fmt.Sprintf("%q: ", l.Number)
		}
		fmt.Fprintf(a.err, "%s:%d: %s%s\n", file, l.Line, text, l.Why)
	}
	if more := r.Refused - len(r.Refusals); more > 0 {
		fmt.Fprintf(a.err, "%s: %d more lines are refused\n", file, more)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(a.err, "warning: %s\n", shown(w))
	}
	for i := range r.Missing {
		fmt.Fprintf(a.err, "no room: %s\n", knownLine(&r.Missing[i]))
	}
	if more := r.NoRoom - len(r.Missing); more > 0 {
		fmt.Fprintf(a.err, "no room: %d more\n", more)
	}
	if r.DryRun && !a.json {
		if r.Columns != "" {
			fmt.Fprintf(a.out, "read as a table: %s\n", shown(r.Columns))
		}
		for i := range r.Would {
			fmt.Fprintf(a.out, "would be known: %s\n", knownLine(&r.Would[i]))
		}
		if more := r.Added + r.Newer - len(r.Would); more > 0 {
			fmt.Fprintf(a.out, "and %d more\n", more)
		}
	}
	if err := a.print(r, "%s", knownText(r)); err != nil {
		return err
	}
	if r.Refused+r.NoRoom > 0 {
		return errSilent
	}
	return nil
}

// knownText is what became of an import, in a line or two.
func knownText(r *console.KnownReport) string {
	what := "read as " + r.Format
	if r.Calls > 0 {
		what = fmt.Sprintf("%d calls", r.Calls)
	}
	text := fmt.Sprintf("%s: %d became known, %d got a later date, %d were known already", what, r.Added, r.Newer, r.Unchanged)
	if r.DryRun {
		text = fmt.Sprintf("%s: %d would become known, %d get a later date, %d are known already", what, r.Added, r.Newer, r.Unchanged)
	}
	if r.TooOld > 0 {
		text += fmt.Sprintf(", %d too long ago", r.TooOld)
	}
	if r.NoRoom > 0 {
		text += fmt.Sprintf(", %d found no room", r.NoRoom)
	}
	if r.Refused > 0 {
		text += fmt.Sprintf(", %d lines refused", r.Refused)
	}
	if r.DryRun {
		text += "; nothing was written (--dry-run)"
	}
	return text
}

type knownForgetCmd struct {
	Number string `arg:"" help:"The number, in any spelling, or a name that known ls shows."`
	Line   string `placeholder:"LINE" help:"Only of this line."`
}

func (c *knownForgetCmd) Run(a *app) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	r, err := d.ForgetKnown(a.ctx, console.KnownForget{Number: c.Number, Line: c.Line})
	if err != nil {
		return err
	}
	who := number.Inert(r.Number)
	switch {
	case len(r.Lines) > 0:
		return a.print(r, "%s is no longer known to %s", who, shown(strings.Join(r.Lines, ", ")))
	case c.Line != "":
		return a.print(r, "%s was not known to %s", who, shown(c.Line))
	}
	return a.print(r, "%s was known to nobody", who)
}
