package tomlfile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// syntaxFault turns what the decoder says of a text that is not TOML into one fault in plain words, on the line that has to be
// changed.
func syntaxFault(text string, err error) *Fault {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return &Fault{Line: 1, Key: "syntax", Text: "the file cannot be read as TOML: see https://toml.io for the format"}
	}
	// The decoder's line is that of the byte after the fault, or before it: a line end there makes it the wrong one. Its
	// offset is right.
	text = strings.TrimPrefix(text, byteOrderMark)
	at := min(max(pe.Position.Start, 0), len(text))
	f := &Fault{Line: 1 + strings.Count(text[:at], "\n"), Key: "syntax"}
	before := placeScanner{text: text[:at], line: 1}
	before.scan()
	message := strings.ToLower(pe.Message)
	around := before.around(f.Line, atEnd(message))
	switch {
	case around == nil:
	case around.line < f.Line && around.what != "{" && beginsAnother(text, at), atEnd(message):
		return &Fault{Line: around.line, Key: "syntax", Text: around.unclosed()}
	case strings.Contains(message, "expected a comma") && before.last > 0:
		f.Line = before.last // the comma is missing behind what stands there
	}
	if strings.Contains(message, "escape") || strings.Contains(message, "hexadecimal digits") {
		f.Line += strings.Count(text[at:at+badEscape(text[at:])], "\n") // the decoder says where the text begins
	}
	f.Text = plainSyntax(pe.Message)
	return f
}

// around is what is opened innermost around the place, nil if nothing is; what was opened on the line itself counts only if
// nothing else is, or if here is said.
func (s *placeScanner) around(line int, here bool) *opened {
	for i := len(s.open) - 1; i >= 0; i-- {
		if o := &s.open[i]; here || o.line < line || i == 0 {
			return o
		}
	}
	return nil
}

// escapes are what may follow a backslash, a line end among them; the others are followed by so many hexadecimal digits.
const escapes = "btnfre\"\\ \t\r\n"

var hexEscape = regexp.MustCompile(`^(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})`)

// badEscape is the offset of the first backslash that is followed by something else, 0 if there is none.
func badEscape(text string) int {
	for i := 0; i+1 < len(text); i++ {
		switch {
		case text[i] != '\\' || hexEscape.MatchString(text[i+1:]):
		case strings.IndexByte(escapes, text[i+1]) < 0:
			return i
		default:
			i++
		}
	}
	return 0
}

// atEnd reports whether the decoder met the end of the file.
func atEnd(message string) bool {
	return strings.Contains(message, "eof") || strings.Contains(message, "end of file") || strings.Contains(message, `'\x00'`)
}

// anotherItem is a line that would stand by itself: `[name]`, `[[name]]` or `key =`.
var anotherItem = regexp.MustCompile(`^[ \t]*(\[{1,2}[ \t]*[A-Za-z0-9_.-]+[ \t]*\]{1,2}[ \t]*(#|\r?$)|[A-Za-z0-9_.-]+[ \t]*=)`)

// beginsAnother reports whether the next thing of the file begins on the line of a byte: an array that is still open there was
// not meant to be.
func beginsAnother(text string, at int) bool {
	from := strings.LastIndexByte(text[:at], '\n') + 1
	line, _, _ := strings.Cut(text[from:], "\n")
	return anotherItem.MatchString(line)
}

// unclosed says of what is opened that its end is missing.
func (o opened) unclosed() string {
	what, end := "text in "+o.what, o.what
	switch o.what {
	case "[":
		what, end = "bracket [", "]"
	case "{":
		what, end = "brace {", "}"
	}
	return fmt.Sprintf("the %s that is opened on this line is not closed: write %s where it ends", what, end)
}

// plainSyntax says what to do about the decoder's messages.
func plainSyntax(message string) string {
	for _, m := range []struct{ part, say string }{
		{"has already been defined", "the second one must go, or both become one"},
		{"was already created", "a name stands for one thing in a file: rename or join the two"},
		{"expected '.' or '='", "write key = value"},
		{"expected value but found", "write a text in quotes, a number without, or true or false"},
		{"unexpected eof", "a value is missing, or a quote, bracket or brace is not closed"},
		{"table name", "write [name] or [[name]], and close every bracket"},
		{"table array name", "write [name] or [[name]], and close every bracket"},
		{"blank", "write key = value"},
		{"unexpected '", "write key = value"},
		{"control characters", "take it out; an editor that shows invisible characters finds it"},
		{"strings cannot contain newlines", "close the quote on the same line"},
		{"out of range", "write a smaller number"},
		{"expected a comma", "put a comma between the elements, and close the bracket or brace"},
		{"top-level item to end with a newline", "write each key on a line of its own, and texts in one pair of quotes"},
		{"escape", "write a backslash twice, or the text in single quotes"},
		{"leading zeroes", "write numbers that begin with 0 in quotes"},
		{"underscores", "write the number without underscores, or a text in quotes"},
		{"invalid datetime", "write a date as 2026-10-01"},
	} {
		if strings.Contains(strings.ToLower(message), m.part) {
			if m.part == "out of range" {
				message = "a number is out of range" // the decoder names the type it does not fit
			}
			return fmt.Sprintf("%s: %s", plainWords(message), m.say)
		}
	}
	return plainWords(message) + ": see https://toml.io for how such a file is written"
}

// plainWords is the decoder's message the way the others here are written.
func plainWords(message string) string {
	message = strings.TrimSuffix(strings.TrimSpace(message), ".")
	message = strings.NewReplacer("unexpected EOF", "the file ends too early", "delimiter ", "", "created as a hash", "created as a table",
		"invalid float", "invalid number", "invalid integer", "invalid number", "floats must", "numbers must",
		`'\n'`, "the end of the line", `"\n"`, "the end of the line", `'\x00'`, "the end of the file").Replace(message)
	message = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, message)
	if message == "" {
		return "is not TOML"
	}
	return strings.ToLower(message[:1]) + message[1:]
}
