package listfile

import (
	"errors"
	"io"
	"slices"
	"strings"

	"ringfence/textfile"
)

// readTable reads the rows of a table that is laid out so.
func readTable(in io.Reader, l *layout, o *Options, yield func(Line) error) error {
	rows := textfile.NewRows(in, l.comma)
	dates := expiries{o: o}
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if row.Line <= l.start {
			continue
		}
		line := Line{No: row.Line, Fault: row.Fault, SaysReason: l.reason >= 0, SaysExpires: l.expires >= 0}
		if row.Fault != nil {
			if err := yield(line); err != nil {
				return err
			}
			continue
		}
		cells := row.Cells
		if strings.Contains(cells[0], "#") && l.commented(cells) {
			cells = uncommented(cells)
		}
		empty := true
		for i := range cells {
			cells[i] = value(cells[i])
			empty = empty && cells[i] == ""
		}
		if empty {
			continue
		}
		line.Reason = strings.Clone(l.reasonOf(cells))
		if l.expires >= 0 && l.expires < len(cells) && cells[l.expires] != "" {
			line.Expires, line.Span, line.Fault = dates.read(cells[l.expires])
		}
		if line.Fault == nil {
			line.Fault = faultyText(row.Text)
		}
		if strings.HasPrefix(row.Text, " ") && cells[0] != "" { // uniq -c of a table
			line.Counted, line.Indented = countedIn(" " + cells[0])
		}
		if err := l.each(line, cells, yield); err != nil {
			return err
		}
	}
}

// each yields a line for each number of a row.
func (l *layout) each(line Line, cells []string, yield func(Line) error) error {
	found := false
	for _, at := range l.numbers {
		if at >= len(cells) || cells[at] == "" {
			continue
		}
		found = true
		if at > 0 {
			line.Counted, line.Indented = "", false
		}
		line.Number = strings.Clone(cells[at])
		if line.Fault == nil && l.another(cells) {
			line.Number, line.Reason, line.Fault = strings.Join(cells, " "), "", errTwo
		}
		if err := yield(line); err != nil {
			return err
		}
	}
	if found {
		return nil
	}
	line.Number = ""
	if line.Fault == nil {
		line.Fault = errors.New("its cell for the number is empty: write one, or take the row out")
	}
	return yield(line)
}

// another reports whether a row has a number besides, in a column that has no name.
func (l *layout) another(cells []string) bool {
	if !l.guessed && len(l.names) == 0 {
		return false // the command names the column
	}
	for i, c := range cells {
		if i >= len(l.names) && !slices.Contains(l.numbers, i) && i != l.expires && !(i < len(l.counts) && l.counts[i]) && phoneLike(c) {
			return true
		}
	}
	return false
}

// reasonOf is the reason of a row.
func (l *layout) reasonOf(cells []string) string {
	if l.reason < 0 || l.reason >= len(cells) {
		return ""
	}
	text := Plain(cells[l.reason])
	if l.joined {
		for _, more := range cells[l.reason+1:] {
			if more != "" {
				text += ", " + more
			}
		}
	}
	return text
}

// value is what a cell says. What databases and spreadsheets write for nothing is nothing.
func value(cell string) string {
	cell = strings.TrimSpace(cell)
	switch len(cell) {
	case 1:
		if cell == "-" {
			return ""
		}
	case 2, 3, 4, 5, 6:
		switch strings.ToLower(cell) {
		case "null", `\n`, "(null)", "<null>", "nil", "none", "nan", "n/a", "#n/a", "#nv", "#null!":
			return ""
		}
	}
	return cell
}

// faultyText is what is wrong with a line that has characters of no text; half a line of it may look like a number.
func faultyText(text string) error {
	if strings.IndexByte(text, 0) >= 0 {
		return errors.New("it has zero bytes, which no text has: the file is damaged, or is no text")
	}
	return nil
}
