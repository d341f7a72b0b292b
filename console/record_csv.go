package console

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ringfence/rawtext"
)

// What is kept of a text, in bytes, and of a length of time, in seconds.
const (
	maxRecordText = 256
	maxSeconds    = 1e9
	maxParts      = 32 // texts in one cell
)

// The journal as CSV: a header, then one record a line, whatever its texts hold. The columns are those of the
// JSON, without the ids of repeats ("also"), with the caller and the outcome spread out; "caller" is the text as it arrived. Without an outcome its
// five columns are empty.
//
// A spreadsheet takes a cell that starts with = + - @ (or their full-width forms) for a formula, and who calls
// chooses the name he shows. Such a character at the start of a text, or behind a semicolon, where a
// spreadsheet of another country starts the next cell (spaces and quotes between do not count), is written as \xHH for each of its bytes, and so are
// control characters and what Record escapes in JSON. Reading undoes it: nothing is lost. A + before digits
// alone is a number and stays.

// csvColumns are the columns, in the order they are written.
var csvColumns = []string{
	"id", "time", "node", "trunk", "caller", "e164", "kind", "withheld", "name", "callee", "line",
	"action", "would", "mode", "rule", "reason", "list", "answered", "ring_s", "talk_s", "cause", "by", "from", "diverted", "repeats", "last", "test",
	"tripped", "holder", "score", "terms", "tripped_by", "passed", "customer",
}

// AppendCSVHeader appends the first line of a journal as CSV.
func AppendCSVHeader(dst []byte) []byte {
	return append(append(dst, strings.Join(csvColumns, ",")...), '\n')
}

// AppendCSV appends the record as one line of CSV.
func (r *Record) AppendCSV(dst []byte) []byte {
	answered, ring, talk, cause, by := "", "", "", "", ""
	if o := r.Outcome; o != nil {
		answered, cause, by = strconv.FormatBool(o.Answered), o.Cause, o.By
		ring, talk = secondsText(o.RingS), secondsText(o.TalkS)
	}
	test, passed := "", ""
	if r.Test {
		test = "true"
	}
	if r.Passed {
		passed = "true"
	}
	score := ""
	if len(r.Terms) > 0 {
		score = strconv.FormatFloat(r.Score, 'f', -1, 64)
	}
	repeats, last := "", ""
	if r.Repeats > 0 {
		repeats, last = strconv.Itoa(r.Repeats), r.Last.UTC().Format(recordTime)
	}
	for i, text := range [...]string{
		r.ID, r.Time.UTC().Format(recordTime), r.Node, r.Trunk, r.Caller.Raw, r.Caller.E164, r.Caller.Kind,
		strconv.FormatBool(r.Caller.Withheld), r.Name, r.Callee, r.Line,
		r.Action, r.Would, r.Mode, r.Rule, r.Reason, r.List, answered, ring, talk, cause, by, r.Caller.From, r.Caller.Diverted,
		repeats, last, test, joined(r.Tripped), r.Holder, score, joined(r.Terms), joined(r.TrippedBy), passed, r.Customer,
	} {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCell(dst, text)
	}
	return append(dst, '\n')
}

// joined writes several texts into one cell. What parts them does not occur in one: names of detectors, keys and terms are inert.
func joined(texts []string) string { return strings.Join(texts, " | ") }

// parted reads what joined wrote, as far as a record may have it.
func parted(cell string) []string {
	texts := strings.SplitN(rawtext.Unescape(cell), " | ", maxParts+1)
	texts = texts[:min(len(texts), maxParts)]
	for i, text := range texts {
		texts[i] = rawtext.Cut(text, maxRecordText)
	}
	return texts
}

func secondsText(s float64) string { return strconv.FormatFloat(s, 'f', -1, 64) }

// appendCell appends a text as a cell, in quotes where it needs them.
func appendCell(dst []byte, s string) []byte {
	quoted := strings.ContainsAny(s, "\",; ")
	if quoted {
		dst = append(dst, '"')
	}
	starts := !isPlusNumber(s) // a formula could start here
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == utf8.RuneError && n == 1, unicode.IsControl(c), rawtext.IsEscape(s[i:]), starts && strings.ContainsRune("=+-@＝＋－＠", c):
			for _, b := range []byte(s[i : i+n]) {
				dst = rawtext.AppendByte(dst, b)
			}
		case c == '"':
			dst = append(dst, '"', '"')
		default:
			dst = append(dst, s[i:i+n]...)
		}
		starts = c == ';' || starts && (c == ' ' || c == '"')
		i += n
	}
	if quoted {
		dst = append(dst, '"')
	}
	return dst
}

// isPlusNumber reports whether a text is + and digits.
func isPlusNumber(s string) bool {
	digits, ok := strings.CutPrefix(s, "+")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// CSVLayout says which cell of a line holds what, in a journal as CSV whose columns may have been moved, or
// some taken out.
type CSVLayout struct {
	at []int // for each of csvColumns its place in a line, -1 for none
}

// ReadCSVHeader recognises a journal by its header: the columns time, caller, callee, action and rule are
// there, whatever else is.
func ReadCSVHeader(header []string) (*CSVLayout, bool) {
	l := &CSVLayout{}
	for _, name := range csvColumns {
		at := slices.IndexFunc(header, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) })
		if at < 0 && slices.Contains([]string{"time", "caller", "callee", "action", "rule"}, name) {
			return nil, false
		}
		l.at = append(l.at, at)
	}
	return l, true
}

// Record reads the cells of a line, whose quotes have been taken off. Texts are cut at 256 bytes, as the
// journal does. An error says which column is wrong.
//
// long: because the table of columns is read as one.
func (l *CSVLayout) Record(cells []string) (Record, error) {
	var r Record
	var o Outcome
	ended := false
	for i, at := range l.at {
		if at < 0 || at >= len(cells) || cells[at] == "" {
			continue
		}
		text := rawtext.Cut(rawtext.Unescape(cells[at]), maxRecordText)
		var err error
		switch name := csvColumns[i]; name {
		case "id":
			r.ID = text
		case "time":
			if r.Time, err = time.Parse(time.RFC3339, text); err != nil {
				err = fmt.Errorf("time: %.40q is no time such as %s", text, recordTime)
			}
			r.Time = r.Time.UTC().Truncate(time.Millisecond)
		case "node":
			r.Node = text
		case "trunk":
			r.Trunk = text
		case "caller":
			r.Caller.Raw = text
		case "e164":
			r.Caller.E164 = text
		case "kind":
			r.Caller.Kind = text
		case "withheld":
			r.Caller.Withheld, err = csvBool(name, text)
		case "name":
			r.Name = text
		case "callee":
			r.Callee = text
		case "line":
			r.Line = text
		case "action":
			r.Action = text
		case "would":
			r.Would = text
		case "mode":
			r.Mode = text
		case "rule":
			r.Rule = text
		case "reason":
			r.Reason = text
		case "list":
			r.List = text
		case "answered":
			ended = true
			o.Answered, err = csvBool(name, text)
		case "ring_s":
			ended = true
			o.RingS, err = csvSeconds(name, text)
		case "talk_s":
			ended = true
			o.TalkS, err = csvSeconds(name, text)
		case "cause":
			ended, o.Cause = true, text
		case "by":
			ended, o.By = true, text
		case "from":
			r.Caller.From = text
		case "diverted":
			r.Caller.Diverted = text
		case "test":
			r.Test, err = csvBool(name, text)
		case "passed":
			r.Passed, err = csvBool(name, text)
		case "tripped_by":
			r.TrippedBy = parted(cells[at])
		case "tripped":
			r.Tripped = parted(cells[at])
		case "holder":
			r.Holder = text
		case "customer":
			r.Customer = text
		case "terms":
			r.Terms = parted(cells[at])
		case "score":
			if r.Score, err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(r.Score) || math.IsInf(r.Score, 0) {
				err = fmt.Errorf("score: %.40q is no number", text)
			}
		case "repeats":
			if r.Repeats, err = strconv.Atoi(text); err != nil || r.Repeats < 0 {
				err = fmt.Errorf("repeats: %.40q is no number of calls", text)
			}
		case "last":
			if r.Last, err = time.Parse(time.RFC3339, text); err != nil {
				err = fmt.Errorf("last: %.40q is no time such as %s", text, recordTime)
			}
			r.Last = r.Last.UTC().Truncate(time.Millisecond)
		}
		if err != nil {
			return Record{}, err
		}
	}
	if ended {
		r.Outcome = &o
	}
	return r, nil
}

// csvBool reads true and false, in the capitals that spreadsheets make of them too.
func csvBool(column, text string) (bool, error) {
	b, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		return false, fmt.Errorf("%s: %.40q is neither true nor false", column, text)
	}
	return b, nil
}

func csvSeconds(column, text string) (float64, error) {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || s < 0 || s != s {
		return 0, fmt.Errorf("%s: %.40q is no number of seconds", column, text)
	}
	return min(s, maxSeconds), nil
}
