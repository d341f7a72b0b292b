package cmd

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// pageColumns is how wide prose is for a person, and what a terminal has at least.
const pageColumns = 80

// isTerminal reports whether a person watches.
func isTerminal(out any) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// paint colours words on a terminal of a person who has not asked for none (https://no-color.org).
type paint bool

func painter(out io.Writer) paint {
	return paint(isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

// action colours the name of an action by what it is for the caller.
func (p paint) action(action, text string) string {
	code := map[string]string{"allow": "32", "tag": "33", "warn": "33", "challenge": "33", "divert": "36", "reject": "31", "fail-open": "35"}[action]
	if !p || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// columns is how many columns of a terminal a text takes: a Chinese character takes two.
func columns(text string) int {
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

// pad fills a text up with spaces to so many columns.
func pad(text string, to int) string { return text + strings.Repeat(" ", max(to-columns(text), 0)) }

// wrap breaks a text between words into lines of at most so many columns, the first of which begins behind something that takes
// used of them, and the others behind an indent. A word that is longer has a line of its own.
func wrap(text string, most, used, indent int) string {
	var b strings.Builder
	at, fresh := used, true
	for word := range strings.FieldsSeq(text) {
		n := columns(word)
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

// prose is a line for a person: on a terminal it is broken into lines of a page, the further ones indented; elsewhere, where a
// program may read it, it stays one.
func (a *app) prose(text string, indent int) string {
	if !isTerminal(a.out) {
		return text
	}
	head := text[:len(text)-len(strings.TrimLeft(text, " "))]
	return head + wrap(text, pageColumns, len(head), indent)
}

// program is how this program is called from where the person is: as it was found on PATH, else by its path.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "ringfence"
	}
	if found, err := exec.LookPath(filepath.Base(self)); err == nil && sameFile(found, self) {
		return filepath.Base(self)
	}
	here, err := os.Getwd()
	if err != nil {
		return self
	}
	if near, err := filepath.Rel(here, self); err == nil && !strings.HasPrefix(near, "..") {
		return "./" + near
	}
	return self
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}
