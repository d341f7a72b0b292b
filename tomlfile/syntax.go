package tomlfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// syntaxFault turns what the decoder says of a text that is not TOML into one fault in plain words.
func syntaxFault(err error) *Fault {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return &Fault{Line: 1, Key: "syntax", Text: "the file cannot be read as TOML: see https://toml.io for the format"}
	}
	return &Fault{Line: max(pe.Position.Line, 1), Key: "syntax", Text: plainSyntax(pe.Message)}
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
