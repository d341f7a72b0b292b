package cmd

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/policy"
)

type listCmd struct {
	Ls     listLsCmd     `cmd:"" help:"Name the lists."`
	Show   listShowCmd   `cmd:"" help:"Show a list's entries."`
	Add    listAddCmd    `cmd:"" help:"Add patterns to a list."`
	Remove listRemoveCmd `cmd:"" help:"Remove patterns from a list."`
	Import listImportCmd `cmd:"" help:"Add the patterns of a file: a pattern a line, or CSV with a header (number,reason,expires)."`
	Export listExportCmd `cmd:"" help:"Write a list as CSV that import reads."`
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
	expires, err := expiry(c.Expires, time.Now())
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
		add = append(add, console.NewEntry{Number: p, Reason: c.Reason, Source: "command line", Who: whoami(), Expires: expires})
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

type listImportCmd struct {
	List string `arg:"" help:"The list. It is made if it is not there."`
	File string `arg:"" help:"The file, - for standard input."`
}

// batch is how many entries go to the daemon at once.
const batch = 5000

func (c *listImportCmd) Run(a *app) error {
	in := a.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	counts := map[string]int{}
	refuse := func(line int, text, why string) {
		counts[console.Refused]++
		fmt.Fprintf(a.err, "%s:%d: %.64q: %s\n", c.File, line, text, why)
	}
	var add []console.NewEntry
	var lines []int
	flush := func() error {
		if len(add) == 0 {
			return nil
		}
		edits, err := d.AddEntries(a.ctx, c.List, add, true)
		if err != nil {
			return err
		}
		for i, e := range edits {
			if e.Change == console.Refused {
				refuse(lines[i], e.Number, e.Why)
			} else {
				counts[e.Change]++
			}
		}
		add, lines = add[:0], lines[:0]
		return nil
	}
	err = readEntries(in, func(line int, e console.NewEntry, fault error) error {
		if fault != nil {
			refuse(line, e.Number, fault.Error())
			return nil
		}
		e.Source, e.Who = "import "+c.File, whoami()
		add, lines = append(add, e), append(lines, line)
		if len(add) < batch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("%w (before that: %d added, %d updated, %d were there already)", err, counts["added"], counts["updated"], counts["unchanged"])
	}
	a.print(counts, "%s: %d added, %d updated, %d were there already, %d refused", c.List, counts["added"], counts["updated"], counts["unchanged"], counts[console.Refused])
	if counts[console.Refused] > 0 {
		return errSilent
	}
	return nil
}

// readEntries reads a list file. CSV is told by its first line: a header with a column number.
func readEntries(in io.Reader, yield func(line int, e console.NewEntry, fault error) error) error {
	r := bufio.NewReader(in)
	if bom, _ := r.Peek(3); string(bom) == "\ufeff" {
		r.Discard(3)
	}
	first, _ := r.Peek(4096)
	head, _, _ := strings.Cut(string(first), "\n")
	for _, column := range strings.Split(strings.ToLower(strings.TrimSpace(head)), ",") {
		if strings.Trim(column, ` "`) == "number" {
			return readCSV(r, yield)
		}
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<16)
	for line := 1; sc.Scan(); line++ {
		text, _, _ := strings.Cut(sc.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if err := yield(line, console.NewEntry{Number: text}, nil); err != nil {
			return err
		}
	}
	return sc.Err()
}

func readCSV(in io.Reader, yield func(line int, e console.NewEntry, fault error) error) error {
	r := csv.NewReader(in)
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		return err
	}
	columns := map[string]int{}
	for i, name := range header {
		columns[strings.ToLower(strings.TrimSpace(name))] = i
	}
	now := time.Now()
	for {
		row, err := r.Read()
		if err == io.EOF {
			return nil
		}
		line, _ := r.FieldPos(0)
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			if err := yield(bad.Line, console.NewEntry{}, bad.Err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		field := func(name string) string {
			if i, ok := columns[name]; ok && i < len(row) {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		e := console.NewEntry{Number: field("number"), Reason: field("reason")}
		e.Expires, err = expiry(field("expires"), now)
		if err := yield(line, e, err); err != nil {
			return err
		}
	}
}

type listExportCmd struct {
	List string `arg:"" help:"The list."`
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
		if !header && !a.json {
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

// expiry reads a time to come: a span from now, a date, which counts to its end, or a time.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := policy.ParseSpan(text); err == nil {
		return now.Add(d), nil
	}
	if t, err := time.ParseInLocation("2006-01-02", text, time.Local); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a span such as 30d or 12h nor a date such as 2026-12-31", text)
}

func whoami() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
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
func shown(s string) string { return policy.InertUpTo(s, 120) }
