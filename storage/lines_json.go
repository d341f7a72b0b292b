package storage

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// read reads a line as json.Marshal writes it, in a fifth of the time of json.Unmarshal, since a start waits for it. What is written otherwise, or has
// a text with characters that are escaped, it leaves to that. The texts are parts of text.
func (l *Line) read(text string) error {
	as := *l
	if as.quick(text) {
		*l = as
		return nil
	}
	return json.Unmarshal([]byte(text), l)
}

// text is the field of a name; nil if there is none of texts.
func (l *Line) text(name string) *string {
	switch name {
	case "key":
		return &l.Key
	case "customer":
		return &l.Customer
	case "profile":
		return &l.Profile
	case "mode":
		return &l.Mode
	case "timezone":
		return &l.Timezone
	case "language":
		return &l.Language
	case "notify":
		return &l.Notify
	case "note":
		return &l.Note
	case "import":
		return &l.Import
	}
	return nil
}

// quick reports whether it could read a line.
func (l *Line) quick(text string) bool {
	r := lineReader{text}
	if !r.skip('{') || !utf8.ValidString(text) {
		return false
	}
	for first := true; !r.skip('}'); first = false {
		if !first && !r.skip(',') {
			return false
		}
		name, ok := r.word()
		if !ok || !r.skip(':') {
			return false
		}
		if name == "numbers" {
			if !r.words(&l.Numbers) {
				return false
			}
			continue
		}
		field := l.text(name)
		if field == nil {
			return false
		}
		if *field, ok = r.word(); !ok {
			return false
		}
	}
	return r.rest == ""
}

type lineReader struct{ rest string }

func (r *lineReader) skip(c byte) bool {
	if r.rest == "" || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// word reads a text in which nothing is escaped.
func (r *lineReader) word() (string, bool) {
	if !r.skip('"') {
		return "", false
	}
	end := strings.IndexByte(r.rest, '"')
	if end < 0 {
		return "", false
	}
	word := r.rest[:end]
	for i := range len(word) {
		if word[i] == '\\' || word[i] < ' ' {
			return "", false
		}
	}
	r.rest = r.rest[end+1:]
	return word, true
}

// words reads texts in brackets.
func (r *lineReader) words(to *[]string) bool {
	if !r.skip('[') {
		return false
	}
	end := strings.IndexByte(r.rest, ']')
	if end < 0 {
		return false
	}
	*to = make([]string, 0, strings.Count(r.rest[:end], ",")+1)
	for first := true; !r.skip(']'); first = false {
		if !first && !r.skip(',') {
			return false
		}
		word, ok := r.word()
		if !ok {
			return false
		}
		*to = append(*to, word)
	}
	return true
}
