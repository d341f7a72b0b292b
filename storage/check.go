package storage

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// decodeJSON reads a value as putJSON wrote it. Its length is checked first: in a
// damaged page it may be anything, and nothing must be copied on its word.
func decodeJSON(v []byte, to any) error {
	if len(v) > maxValue {
		return fmt.Errorf("it claims to have %d bytes", len(v))
	}
	return json.Unmarshal(v, to)
}

// short is the start of a key, for messages. In a damaged page a key may claim any
// length, and fmt's %.40q copies all of it before it cuts.
func short(k []byte) []byte { return k[:min(len(k), 40)] }

func putJSON(b *bolt.Bucket, key string, v any) error {
	enc, err := json.Marshal(v)
	if err != nil {
		return invalid("%s: %v", key, err)
	}
	return b.Put([]byte(key), enc)
}

// countKeys counts a bucket's keys, no further than max.
func countKeys(b *bolt.Bucket, max int) int {
	n := 0
	c := b.Cursor()
	for k, _ := c.First(); k != nil && n < max; k, _ = c.Next() {
		n++
	}
	return n
}

func checkListName(name string) error {
	if name == "" || len(name) > MaxListName {
		return invalid("a list's name must have 1 to %d bytes, not %d", MaxListName, len(name))
	}
	if name == lineTable {
		return invalid("%q is no list: it has the lines, see ringfence line", name)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
		return invalid("the list name %q must be UTF-8 without spaces and control characters", name)
	}
	return nil
}

func checkEntry(e *Entry) error {
	if e.Pattern == "" {
		return invalid("an entry without a pattern")
	}
	for _, f := range []struct {
		name, text string
		max        int
	}{
		{"pattern", e.Pattern, MaxPattern},
		{"reason", e.Reason, MaxReason},
		{"source", e.Source, MaxText},
		{"who", e.Who, MaxText},
	} {
		switch {
		case len(f.text) > f.max:
			return invalid("entry %.40q: its %s has %d bytes; make it %d at most", e.Pattern, f.name, len(f.text), f.max)
		case isPlain(f.text):
		case !utf8.ValidString(f.text):
			return invalid("entry %.40q: its %s is not UTF-8; convert the text to UTF-8 first", e.Pattern, f.name)
		case strings.ContainsFunc(f.text, unicode.IsControl):
			return invalid("entry %.40q: its %s has a control character or line break in it; take it out", e.Pattern, f.name)
		}
	}
	if e.Origin >= origins {
		return invalid("entry %.40q: there is no origin %d", e.Pattern, e.Origin)
	}
	for _, t := range []time.Time{e.Added, e.Expires} {
		if y := t.Year(); !t.IsZero() && (y < 1970 || y > 9999) {
			return invalid("entry %.40q: the year %d is out of range; use 1970 to 9999", e.Pattern, y)
		}
	}
	return nil
}

// isPlain reports whether a text is ASCII that is seen, as most of what lists of millions have.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// millis is t as it is kept: in UTC, without what is below a millisecond.
func millis(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// explain adds what was being done to an error that does not say.
func explain(what string, err error) error {
	if _, ok := err.(*fault); ok {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// maxDamage is how many values that cannot be read end a read.
const maxDamage = 1000

// damage gathers values that cannot be read, so that one bad value does not hide
// the good ones.
type damage struct {
	count int
	first error
}

func (d *damage) note(err error) {
	if d.count++; d.first == nil {
		d.first = err
	}
}

// hopeless reports whether there is so much damage that reading on makes no sense.
func (d *damage) hopeless() bool { return d.count >= maxDamage }

func (d *damage) err(file, what string) error {
	if d.count == 0 {
		return nil
	}
	return corrupt(file, fmt.Errorf("%d %s cannot be read, the first: %w", d.count, what, d.first))
}
