package policy

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"ringfence/tomlfile"
)

// section reads one table of the file. Every reader notes a fault with the value's line when the value is not what
// the key wants, and then answers as if the key were not there, so that one pass finds every fault.
type section struct {
	fs     *faults
	path   string // the table as a key shows it, "" for the top
	at     *tomlfile.Place
	values map[string]any
}

// word is a string of the file with its line.
type word struct {
	text string
	line int
}

func (s *section) has(key string) bool { _, ok := s.values[key]; return ok }

// line is where a key stands, or its table if it is missing.
func (s *section) line(key string) int { return s.at.Key(key).Line }

// key is a key with the tables it stands in.
func (s *section) key(name string) string {
	name = tomlfile.BareKey(name)
	if s.path == "" {
		return name
	}
	return s.path + "." + name
}

func (s *section) fault(key, format string, args ...any) {
	s.fs.add(s.line(key), s.key(key), format, args...)
}

func (s *section) warn(key, format string, args ...any) {
	s.fs.warn(s.line(key), s.key(key), format, args...)
}

// text reads a string. ok is false when the key is missing or not a string.
func (s *section) text(key, example string) (string, bool) {
	v, there := s.values[key]
	if !there {
		return "", false
	}
	text, ok := v.(string)
	if !ok {
		s.fault(key, "is %s: write a text in quotes, as in %s = %q", tomlfile.TypeName(v), tomlfile.BareKey(key), example)
	}
	return text, ok
}

// oneOf reads a string that must be one of a few words; missing is "".
func (s *section) oneOf(key string, words ...string) string {
	text, ok := s.text(key, words[0])
	if !ok {
		return ""
	}
	for _, w := range words {
		if text == w {
			return text
		}
	}
	s.fault(key, "%q is not known here: %s", text, tomlfile.DidYouMean(text, words))
	return ""
}

// number reads a whole number within bounds, both included; missing is the default.
func (s *section) number(key string, byDefault, low, high int) int {
	v, there := s.values[key]
	if !there {
		return byDefault
	}
	n, ok := v.(int64)
	switch {
	case !ok:
		s.fault(key, "is %s: write a whole number, as in %s = %d", tomlfile.TypeName(v), key, byDefault)
	case n < int64(low) || n > int64(high) || n > math.MaxInt32:
		s.fault(key, "is %d: write a number from %d to %d", n, low, high)
	default:
		return int(n)
	}
	return byDefault
}

// flag reads true or false; missing is false.
func (s *section) flag(key string) bool {
	v, there := s.values[key]
	b, ok := v.(bool)
	if there && !ok {
		s.fault(key, "is %s: write %s = true or %s = false, without quotes", tomlfile.TypeName(v), key, key)
	}
	return b
}

// duration reads a time span such as "30d"; missing is the default.
func (s *section) duration(key string, byDefault, low, high time.Duration) time.Duration {
	v, there := s.values[key]
	if !there {
		return byDefault
	}
	text, ok := v.(string)
	if !ok {
		s.fault(key, "is %s: write a time span in quotes, as in %s = %q", tomlfile.TypeName(v), key, spanText(byDefault))
		return byDefault
	}
	d, err := ParseSpan(text)
	switch {
	case err != nil:
		s.fault(key, "%s", err)
	case d < low || d > high:
		s.fault(key, "is %q: write %s to %s", text, spanText(low), spanText(high))
	default:
		return d
	}
	return byDefault
}

// ParseSpan reads a time span: one or more whole numbers, each with s, m, h or d, the largest first: `10m`,
// `1h30m`, `30d`. The error is advice for the operator.
func ParseSpan(text string) (time.Duration, error) {
	units := []struct {
		letter byte
		span   time.Duration
	}{{'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}
	var total time.Duration
	rest, unit := text, 0
	for rest != "" {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > 9 || digits == len(rest) {
			break
		}
		n, _ := strconv.ParseInt(rest[:digits], 10, 64)
		for unit < len(units) && units[unit].letter != rest[digits] {
			unit++
		}
		if unit == len(units) {
			break
		}
		if n > int64(math.MaxInt64/units[unit].span) || total > math.MaxInt64-time.Duration(n)*units[unit].span {
			return 0, fmt.Errorf("%q is longer than anything can be kept: write fewer days, as in 30d", text)
		}
		total += time.Duration(n) * units[unit].span
		rest, unit = rest[digits+1:], unit+1
	}
	if text == "" || rest != "" {
		return 0, fmt.Errorf("%q is no time span: write whole numbers with d, h, m or s, as in 30d, 1h30m or 10m", text)
	}
	return total, nil
}

// spanText writes a time span the way ParseSpan reads it.
func spanText(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range []struct {
		letter byte
		span   time.Duration
	}{{'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}} {
		if n := d / u.span; n > 0 {
			fmt.Fprintf(&b, "%d%c", n, u.letter)
			d -= n * u.span
		}
	}
	return b.String()
}

// texts reads an array of strings, or one string that stands for an array of one. It must not be empty.
func (s *section) texts(key, example string) []word {
	v, there := s.values[key]
	if !there {
		return nil
	}
	if text, ok := v.(string); ok {
		return []word{{text, s.line(key)}}
	}
	array, ok := v.([]any)
	if !ok {
		s.fault(key, "is %s: write texts in quotes, as in %s = [%q]", tomlfile.TypeName(v), key, example)
		return nil
	}
	if len(array) == 0 {
		s.fault(key, "is empty: write at least one, as in %s = [%q], or take the key out", key, example)
		return nil
	}
	words := make([]word, 0, len(array))
	at := s.at.Key(key)
	for i, v := range array {
		line := at.Item(i).Line
		if text, ok := v.(string); ok {
			words = append(words, word{text, line})
			continue
		}
		s.fs.add(line, s.key(key), "has %s among its texts: write each in quotes, as in %s = [%q]", tomlfile.TypeName(v), key, example)
	}
	return words
}

// dates reads an array of dates without time, in the order of the file.
func (s *section) dates(key string) []dateWord {
	v, there := s.values[key]
	if !there {
		return nil
	}
	array, ok := v.([]any)
	if !ok {
		s.fault(key, "is %s: write dates in brackets, without quotes, as in %s = [2026-10-01]", tomlfile.TypeName(v), key)
		return nil
	}
	var days []dateWord
	seen := make(map[date]bool)
	at := s.at.Key(key)
	for i, v := range array {
		line := at.Item(i).Line
		t, ok := v.(time.Time)
		switch {
		case !ok:
			s.fs.add(line, s.key(key), "has %s among its dates: write each without quotes, as in 2026-10-01", tomlfile.TypeName(v))
		case t.Location().String() != localDate:
			s.fs.add(line, s.key(key), "has a time of day among its dates: write the day alone, as in 2026-10-01")
		case seen[dateOf(t)]:
			s.fs.add(line, s.key(key), "%s is there twice: take one out", t.Format(time.DateOnly))
		default:
			seen[dateOf(t)] = true
			days = append(days, dateWord{dateOf(t), word{t.Format(time.DateOnly), line}})
		}
	}
	return days
}

// dateWord is a date of the file.
type dateWord struct {
	date
	word
}

// The decoder marks times without an offset by the name of their location.
const (
	localDate     = "date-local"
	localDateTime = "datetime-local"
	localTime     = "time-local"
)

// table reads a table; nil if the key is missing or something else.
func (s *section) table(key, example string) *section {
	v, there := s.values[key]
	if !there {
		return nil
	}
	values, ok := v.(map[string]any)
	if !ok {
		s.fault(key, "is %s: write a table, as in %s", tomlfile.TypeName(v), example)
		return nil
	}
	return &section{fs: s.fs, path: s.key(key), at: s.at.Key(key), values: values}
}

// named reads a table of tables, each under a name of the operator's, in the order of the file.
func (s *section) named(key, example string) (names []string, tables []*section) {
	outer := s.table(key, example)
	if outer == nil {
		return nil, nil
	}
	for name := range outer.values {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		if a, b := outer.line(names[i]), outer.line(names[j]); a != b {
			return a < b
		}
		return names[i] < names[j]
	})
	kept := names[:0]
	for _, name := range names {
		if t := outer.table(name, example); t != nil {
			kept = append(kept, name)
			tables = append(tables, t)
		}
	}
	return kept, tables
}

// tables reads an array of tables, be it written as [[key]] or as an array of inline tables.
func (s *section) tables(key string) []*section {
	v, there := s.values[key]
	if !there {
		return nil
	}
	at := s.at.Key(key)
	var list []*section
	add := func(i int, values map[string]any) {
		list = append(list, &section{fs: s.fs, path: s.key(key), at: at.Item(i), values: values})
	}
	switch v := v.(type) {
	case []map[string]any:
		for i, values := range v {
			add(i, values)
		}
		return list
	case []any:
		for i, v := range v {
			values, ok := v.(map[string]any)
			if !ok {
				s.fs.add(at.Item(i).Line, s.key(key), "has %s where a table should be: write [[%s]] on a line of its own, and its keys below", tomlfile.TypeName(v), key)
				continue
			}
			add(i, values)
		}
		return list
	}
	s.fault(key, "is %s: write [[%s]], with two brackets, before each one", tomlfile.TypeName(v), key)
	return nil
}

// only notes every key that is not among the known ones. hints answer for keys that have a better place or time.
func (s *section) only(known []string, hints map[string]string) {
	keys := make([]string, 0, len(s.values))
	for key := range s.values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		switch hint := hints[key]; {
		case contains(known, key):
		case hint != "":
			s.fault(key, "%s", hint)
		case otherHome(key) != "":
			s.fault(key, "does not belong here: %s", otherHome(key))
		default:
			s.fault(key, "is not known here: %s", tomlfile.DidYouMean(key, known))
		}
	}
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
