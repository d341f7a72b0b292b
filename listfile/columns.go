package listfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"ringfence/textfile"
)

// Column is one that a table with a header may have.
type Column struct {
	Name   string // what --column and messages call it
	Also   string // what headers call it besides, with blanks between; case, blanks and signs in a header do not count
	Needed bool
}

// TableOptions say how to read a table with a header.
type TableOptions struct {
	Columns  []Column
	Named    []string // WHAT=COLUMN: which column of the file holds one of Columns, by its name in the header or its place from 1
	Encoding string   // its name on the web; "": what the file shows
	Country  string   // ISO 3166-1 alpha-2: whose spreadsheets wrote a file that is not Unicode
}

// TableRow is a row of a table, or one that cannot be read.
type TableRow struct {
	No    int      // the line of the file where it begins, from 1
	Cells []string // by the columns of the options; "" of one that the table has not. Used again for the next row
	Has   []bool   // by the columns of the options, which of them the table has
	Fault error
}

// TableInfo is what a table was found to be.
type TableInfo struct {
	Encoding string // "" if it cannot be told: texts may have characters that are wrong
	Has      []bool // by the columns of the options, which of them the table has
	Columns  string // what is read from which column, for people
}

// ReadTable reads a table whose header names its columns, in any encoding that a list may have, with commas, semicolons, tabs or | between its
// cells, and calls yield for each row until that returns an error, which ReadTable then returns. Empty rows and those that begin with # are passed
// over. The marks that Inert set are taken off again. An error says what to do; what came before it is not the whole file.
func ReadTable(in io.Reader, o TableOptions, yield func(TableRow) error) (TableInfo, error) {
	info := TableInfo{Has: make([]bool, len(o.Columns))}
	named, err := o.named()
	if err != nil {
		return info, err
	}
	text, err := textfile.NewReader(in, textfile.Options{Encoding: o.Encoding, Country: o.Country})
	if err != nil {
		return info, err
	}
	r := bufio.NewReaderSize(text, headSize)
	head, err := r.Peek(headSize)
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		return info, err
	}
	t := tableLayout{o: &o, named: named, at: make([]int, len(o.Columns))}
	if err := t.find(string(head), err == io.EOF); err != nil {
		return info, err
	}
	for i, at := range t.at {
		info.Has[i] = at >= 0
	}
	info.Columns = t.String()
	err = t.read(r, info.Has, yield)
	info.Encoding = text.Name()
	return info, err
}

// named reads WHAT=COLUMN.
func (o *TableOptions) named() (map[string]string, error) {
	named := make(map[string]string, len(o.Named))
	for _, w := range o.Named {
		what, column, ok := strings.Cut(w, "=")
		what, column = strings.ToLower(strings.TrimSpace(what)), strings.TrimSpace(column)
		n, err := strconv.Atoi(column)
		switch known := slices.ContainsFunc(o.Columns, func(c Column) bool { return c.Name == what }); {
		case !ok || !known || column == "":
			return nil, fmt.Errorf("%.60q: write WHAT=COLUMN, where WHAT is one of %s, and COLUMN a name in the header or a place from 1", w, o.names())
		case named[what] != "":
			return nil, fmt.Errorf("%s is named twice: one column each", what)
		case err == nil && (n < 1 || n > maxColumns):
			return nil, fmt.Errorf("%s is no column: the first is 1", column)
		}
		named[what] = column
	}
	return named, nil
}

// CheckNamed says what is wrong with WHAT=COLUMN words, before there is a file.
func (o *TableOptions) CheckNamed() error {
	_, err := o.named()
	return err
}

func (o *TableOptions) names() string {
	var names []string
	for _, c := range o.Columns {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// tableLayout says where the columns of a table stand; -1 is nowhere.
type tableLayout struct {
	o      *TableOptions
	named  map[string]string
	comma  byte
	start  int // the line of the header
	header []string
	at     []int
}

// find looks for the header among the first rows: with the separator by which it has most of the columns.
func (t *tableLayout) find(head string, whole bool) error {
	commas, line := separators, 1
	if first, rest, _ := strings.Cut(head, "\n"); firstLine.MatchString(strings.TrimSpace(first)) {
		comma := firstLine.FindStringSubmatch(strings.TrimSpace(first))[1][0]
		if strings.HasSuffix(first, "\t") {
			comma = '\t'
		}
		commas, line, head = []byte{comma}, 2, rest
	}
	most, seen := 0, ""
	for _, comma := range commas {
		s := sampleOf(head, comma, line, whole)
		for _, row := range s.rows[:min(len(s.rows), maxTitle)] {
			if seen == "" {
				seen = row.Text
			}
			at, found := t.places(row.Cells)
			if found > most {
				most, t.comma, t.start, t.header, t.at = found, comma, row.Line, row.Cells, at
			}
		}
	}
	if most == 0 {
		if strings.TrimSpace(head) == "" {
			return errors.New("the file is empty: not even a row that names its columns is there")
		}
		return fmt.Errorf("no row of it names the columns, as in %s; it begins with %.60q", strings.ReplaceAll(t.o.names(), " ", ""), seen)
	}
	for what, column := range t.named {
		if at := t.at[t.place(what)]; at < 0 || at >= len(t.header) {
			return fmt.Errorf("--column %s=%s: there is no such column%s", what, column, t.those())
		}
	}
	for i, c := range t.o.Columns {
		if c.Needed && t.at[i] < 0 {
			return fmt.Errorf("no column of it is called %s: name it with --column %s=COLUMN, by its name in the header or its place from 1%s", c.Name, c.Name, t.those())
		}
	}
	return nil
}

// place is which of the columns has a name.
func (t *tableLayout) place(what string) int {
	return slices.IndexFunc(t.o.Columns, func(c Column) bool { return c.Name == what })
}

// places finds the columns in a row that may be the header, and counts those that it names. Of two that could be the same the one with the proper
// name counts, then the first.
func (t *tableLayout) places(cells []string) (at []int, found int) {
	at = make([]int, len(t.o.Columns))
	for i, c := range t.o.Columns {
		at[i] = -1
		if want, ok := t.named[c.Name]; ok {
			at[i] = slices.IndexFunc(cells, func(cell string) bool { return folded(cell) == folded(want) })
			if at[i] >= 0 {
				found++
			} else if n, err := strconv.Atoi(want); err == nil {
				at[i] = n - 1
			}
		}
	}
	spoken := slices.Clone(at) // for something by --column, and so for nothing else by what the header calls it
	for i, c := range t.o.Columns {
		if t.named[c.Name] != "" {
			continue
		}
		words := places(c.Name + " " + c.Also)
		best := 0
		for k, cell := range cells {
			if place := words[folded(cell)]; place > 0 && (best == 0 || place < best) && !slices.Contains(spoken, k) {
				best, at[i] = place, k
			}
		}
		if best > 0 {
			found++
		}
	}
	return at, found
}

// those names the columns of a table, for advice.
func (t *tableLayout) those() string {
	l := layout{names: t.header}
	return l.those()
}

// String says what is read from which column.
func (t *tableLayout) String() string {
	var parts []string
	used := make(map[int]bool)
	for i, c := range t.o.Columns {
		if t.at[i] >= 0 {
			used[t.at[i]] = true
			parts = append(parts, fmt.Sprintf("%s from “%.40s”", c.Name, t.header[t.at[i]]))
		}
	}
	text := strings.Join(parts, ", ")
	var left []string
	for i, name := range t.header {
		if !used[i] && strings.TrimSpace(name) != "" && len(left) < 10 {
			left = append(left, fmt.Sprintf("“%.40s”", name))
		}
	}
	if len(left) > 0 {
		text += "; left out: " + strings.Join(left, ", ")
	}
	return text
}

// read reads the rows behind the header.
func (t *tableLayout) read(in io.Reader, has []bool, yield func(TableRow) error) error {
	rows := textfile.NewRows(in, t.comma)
	cells := make([]string, len(t.at))
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if row.Line <= t.start {
			continue
		}
		out := TableRow{No: row.Line, Cells: cells, Has: has, Fault: row.Fault}
		empty := row.Fault == nil
		for i, at := range t.at {
			if cells[i] = ""; at >= 0 && at < len(row.Cells) {
				cells[i] = Plain(value(row.Cells[at]))
			}
		}
		for i := range row.Cells {
			empty = empty && value(row.Cells[i]) == ""
		}
		if empty || row.Fault == nil && strings.HasPrefix(strings.TrimSpace(row.Cells[0]), "#") {
			continue
		}
		if out.Fault == nil {
			out.Fault = faultyText(row.Text)
		}
		if n := len(t.header); out.Fault == nil && len(row.Cells) > n && slices.ContainsFunc(row.Cells[n:], func(c string) bool { return value(c) != "" }) {
			out.Fault = fmt.Errorf("it has %d cells, and the header names %d columns: put texts with a %q in them in quotes", len(row.Cells), n, t.comma)
		}
		if err := yield(out); err != nil {
			return err
		}
	}
}

// TableWriter writes a table with a header as ReadTable reads it. Nothing in it is a formula to a spreadsheet.
type TableWriter struct {
	w     *Writer
	names []string
	cells []string
}

// NewTableWriter writes nothing yet.
func NewTableWriter(out io.Writer, columns ...Column) *TableWriter {
	t := &TableWriter{w: NewWriter(out)}
	for _, c := range columns {
		t.names = append(t.names, c.Name)
	}
	return t
}

// Begin writes the header, if it has not been written.
func (t *TableWriter) Begin() error {
	if t.w.begun {
		return nil
	}
	t.w.begun = true
	return t.w.csv.Write(t.names)
}

// Write writes a row; its cells come in the order of the names.
func (t *TableWriter) Write(cells ...string) error {
	if err := t.Begin(); err != nil {
		return err
	}
	t.cells = t.cells[:0]
	for _, c := range cells {
		if !arePlusNumbers(c) {
			c = Inert(c)
		}
		t.cells = append(t.cells, c)
	}
	return t.w.csv.Write(t.cells)
}

// arePlusNumbers reports whether a text is made of numbers, or patterns of such, the first with its +: a spreadsheet finds nothing in it to do.
func arePlusNumbers(s string) bool {
	return len(s) > 1 && s[0] == '+' && s[1] >= '0' && s[1] <= '9' && strings.Trim(s, "+0123456789*?. ") == ""
}

// Flush writes what is left.
func (t *TableWriter) Flush() error { return t.w.Flush() }
