// Package terminal is how text is laid out for a person: lines of a page, colour where it is wanted, and the columns that characters
// take.
package terminal

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// Page is how many columns prose for a person has: what a terminal has at least.
const Page = 80

// Is reports whether a person watches what is written.
func Is(out any) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Paint colours words, if it is true.
type Paint bool

// Painter colours what is written on a terminal, unless its user wants none (https://no-color.org) or it has none.
func Painter(out io.Writer) Paint {
	return Paint(Is(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

// Action colours a text by the name of the action that it is about: what is let through, held up, sent elsewhere, refused.
func (p Paint) Action(action, text string) string {
	code := map[string]string{"allow": "32", "tag": "33", "warn": "33", "challenge": "33", "divert": "36", "reject": "31", "fail-open": "35"}[action]
	if !p || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Columns is how many columns of a terminal a text takes: a Chinese character takes two.
func Columns(text string) int {
	n := 0
	for _, r := range text {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// Pad fills a text up with spaces to so many columns.
func Pad(text string, to int) string { return text + strings.Repeat(" ", max(to-Columns(text), 0)) }

// Wrap breaks a text between words into lines of at most so many columns, the first of which begins behind something that takes
// used of them, and the others behind an indent. A word that is longer has a line of its own.
func Wrap(text string, most, used, indent int) string {
	var b strings.Builder
	at, fresh := used, true
	for word := range strings.FieldsSeq(text) {
		n := Columns(word)
		if !fresh && at+1+n > most {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at, fresh = indent, true
		}
		if !fresh {
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at, fresh = at+n, false
	}
	return b.String()
}
