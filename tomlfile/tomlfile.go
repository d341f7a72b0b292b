// Package tomlfile reads a TOML file of settings so that its faults can be told to the person who wrote it: each has the
// line and the key where it stands, and says in plain words what to write instead. What the settings mean is for the
// callers: policy reads the rules with it, and conf the daemon's own file.
package tomlfile

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Fault is one thing that is wrong with a file, or, as a warning, that is probably not meant.
type Fault struct {
	File    string
	Line    int    // from 1
	Key     string // the key as it is written, with the tables it stands in: rule.when.caller
	Text    string // what is wrong and what to write instead
	Warning bool   // the file can be used all the same
}

// String is `FILE:LINE: key: text`.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Key, f.Text)
}

// MaxFile is how many bytes a file of settings may have. Whoever reads one reads no more than one byte beyond it: Decode says
// the rest.
const MaxFile = 4 << 20

// maxBrackets bounds the decoder's stack: it calls itself for every bracket that stands within another.
const maxBrackets = 200_000

// Decode reads a text: the values as the decoder gives them, and the place of each. When it cannot be read as TOML
// there is a fault instead, without the file's name.
func Decode(text []byte) (map[string]any, *Place, *Fault) {
	if len(text) > MaxFile {
		return nil, nil, &Fault{Line: 1, Key: "file", Text: fmt.Sprintf("is larger than %d MiB: put long runs of numbers into a list (ringfence list import)", MaxFile>>20)}
	}
	if line := badUTF8(text); line > 0 {
		return nil, nil, &Fault{Line: line, Key: "file", Text: "is not UTF-8 here: save the file in the encoding UTF-8"}
	}
	if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxBrackets {
		return nil, nil, &Fault{Line: 1, Key: "file", Text: fmt.Sprintf("has more than %d brackets, more than any such file needs: take out what is none of it", maxBrackets)}
	}
	places, deep := findPlaces(string(text))
	if deep > 0 {
		return nil, nil, &Fault{Line: deep, Key: "file", Text: "has more parts or brackets within brackets here than any such file needs: take out what is none of it"}
	}
	values := make(map[string]any)
	if _, err := toml.Decode(string(text), &values); err != nil {
		return nil, nil, syntaxFault(string(text), err)
	}
	return values, places, nil
}

// badUTF8 is the line of the first byte that is not UTF-8, 0 if there is none.
func badUTF8(text []byte) int {
	if utf8.Valid(text) {
		return 0
	}
	line := 1
	for rest := text; len(rest) > 0; {
		c, size := utf8.DecodeRune(rest)
		if c == utf8.RuneError && size == 1 {
			break
		}
		if c == '\n' {
			line++
		}
		rest = rest[size:]
	}
	return line
}
