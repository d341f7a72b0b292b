package listfile

import (
	"encoding/csv"
	"io"
	"strings"
	"time"
	"unicode"
)

// Writer writes a list as CSV that Read reads again: number, reason, expires. Nothing in it is a formula to a spreadsheet.
type Writer struct {
	csv   *csv.Writer
	begun bool
}

// NewWriter writes nothing yet.
func NewWriter(out io.Writer) *Writer { return &Writer{csv: csv.NewWriter(out)} }

// Begin writes the header, if it has not been written. A list without entries has one too.
func (w *Writer) Begin() error {
	if w.begun {
		return nil
	}
	w.begun = true
	return w.csv.Write([]string{"number", "reason", "expires"})
}

// Write writes an entry. A zero expires is never.
func (w *Writer) Write(number, reason string, expires time.Time) error {
	if err := w.Begin(); err != nil {
		return err
	}
	until := ""
	if !expires.IsZero() {
		until = expires.Format(time.RFC3339)
	}
	return w.csv.Write([]string{number, Inert(reason), until})
}

// Flush writes what is left.
func (w *Writer) Flush() error {
	w.csv.Flush()
	return w.csv.Error()
}

// formulas are the characters with which a spreadsheet takes a cell for a formula, or runs it together with the one before.
const formulas = "=+-@\t\r\n＝＋－＠"

// Inert makes a text one that no spreadsheet takes for a formula: before each character that could begin one comes a ', also
// behind a semicolon, where a spreadsheet of another country begins the next cell. Blanks and quotes between do not count. A text
// that has such a ' already gets another, so that Plain gives the very text back.
func Inert(text string) string { return mark(text, true) }

// Plain undoes Inert. A ' before what could not be a formula stays.
func Plain(text string) string { return mark(text, false) }

// mark adds a ' at each place where a formula could begin, or takes one away.
func mark(text string, add bool) string {
	if !strings.ContainsAny(text, formulas) {
		return text
	}
	var b strings.Builder
	starts, marks := true, 0 // a cell could begin here; with so many ' before
	for _, c := range text {
		switch {
		case starts && c == '\'':
			marks++
			continue
		case starts && strings.ContainsRune(formulas, c):
			if add {
				marks++
			} else if marks > 0 {
				marks--
			}
			fallthrough
		default:
			for ; marks > 0; marks-- {
				b.WriteByte('\'')
			}
		}
		starts = c == ';' || starts && (c == '"' || unicode.IsSpace(c))
		b.WriteRune(c)
	}
	for ; marks > 0; marks-- {
		b.WriteByte('\'')
	}
	return b.String()
}
