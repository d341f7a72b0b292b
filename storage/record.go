package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// maxRecordText bounds each text of a journal record, in bytes. Longer ones are cut.
const maxRecordText = 256

// maxRawText bounds the two texts that are read as numbers. Who replays a record must see that one was
// longer than the 256 bytes that any number has.
const maxRawText = maxRecordText + utf8.UTFMax

// Record is one line of the journal: a call and what was decided about it.
//
// Its texts may hold any bytes: Caller.Raw and Name are kept as the switch
// delivered them, which may be Latin-1 or no text at all. Journal.Add cuts each
// text at 256 bytes, a number's at 260. Time is kept in UTC to the millisecond.
//
// In JSON every byte that is not part of valid UTF-8 is written as \xHH, with two
// upper-case hexadecimal digits, inside the string (so the JSON itself shows
// \\xHH): the Latin-1 name "Jos\xe9" becomes "Jos\\xE9". So that this can be
// undone without loss, a backslash that would read as such an escape is written as
// \x5C. All other text is as usual. UnmarshalJSON undoes it.
type Record struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Node    string    `json:"node"`
	Trunk   string    `json:"trunk"`
	Caller  Caller    `json:"caller"`
	Name    string    `json:"name"` // the caller's name
	Callee  string    `json:"callee"`
	Line    string    `json:"line"`
	Action  string    `json:"action"` // what was done
	Would   string    `json:"would"`  // what the rule says
	Mode    string    `json:"mode"`
	Rule    string    `json:"rule"`
	Reason  string    `json:"reason"`
	List    string    `json:"list"` // the list that decided, if one did
	Outcome *Outcome  `json:"outcome,omitempty"`

	late   bool // only the outcome of an earlier record
	amends bool // takes the place of an earlier record
}

// PrivateMark begins the Raw of a caller in a journal that is kept private: a token follows, of which no number can
// be made.
const PrivateMark = "hmac:"

// Caller is who called.
type Caller struct {
	Raw      string `json:"raw"`  // as the switch delivered it
	E164     string `json:"e164"` // "" if it is no number
	Kind     string `json:"kind"`
	Withheld bool   `json:"withheld,omitempty"` // the number is known, but must not be shown
	From     string `json:"from,omitempty"`     // the number in the From header, where a trusted header has another one
	Diverted string `json:"diverted,omitempty"` // the number that forwarded the call, by its Diversion header
}

// Outcome is what became of a call. A Record without one: not known (yet).
type Outcome struct {
	Answered bool    `json:"answered"`
	RingS    float64 `json:"ring_s"` // seconds until answered or given up
	TalkS    float64 `json:"talk_s"` // seconds of conversation
	Cause    string  `json:"cause"`  // the switch's hangup cause
	By       string  `json:"by"`     // who hung up
}

const recordTime = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the record as one line of the journal.
func (r Record) MarshalJSON() ([]byte, error) {
	p := plain(r)
	if p.Outcome != nil {
		o := *p.Outcome
		p.Outcome = &o
	}
	eachText((*Record)(&p), escapeBytes)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // whoever calls this may still ask for it
	err := enc.Encode(struct {
		ID   string `json:"id"`
		Time string `json:"time"`
		plain
	}{p.ID, r.Time.UTC().Format(recordTime), p})
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Record) UnmarshalJSON(data []byte) error {
	var p plain
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*r = p.record()
	return nil
}

// plain is a Record as encoding/json alone reads and writes it.
type plain Record

func (p plain) record() Record {
	r := Record(p)
	r.Time = millis(r.Time)
	eachText(&r, unescapeBytes)
	return r
}

// eachText replaces each text of the record by f of it.
func eachText(r *Record, f func(string) string) {
	for _, s := range []*string{
		&r.ID, &r.Node, &r.Trunk, &r.Caller.Raw, &r.Caller.E164, &r.Caller.Kind, &r.Caller.From, &r.Caller.Diverted, &r.Name, &r.Callee, &r.Line,
		&r.Action, &r.Would, &r.Mode, &r.Rule, &r.Reason, &r.List,
	} {
		*s = f(*s)
	}
	if r.Outcome != nil {
		r.Outcome.Cause, r.Outcome.By = f(r.Outcome.Cause), f(r.Outcome.By)
	}
}

// bound makes the record one that can be kept: texts cut, numbers that JSON knows.
func (r *Record) bound() {
	if r.Outcome != nil {
		o := *r.Outcome // the caller's own stays as it is
		o.RingS, o.TalkS = seconds(o.RingS), seconds(o.TalkS)
		r.Outcome = &o
	}
	raw, callee := cut(r.Caller.Raw, maxRawText), cut(r.Callee, maxRawText)
	eachText(r, func(s string) string { return cut(s, maxRecordText) })
	r.Caller.Raw, r.Callee = raw, callee
}

func seconds(s float64) float64 {
	if math.IsNaN(s) || s < 0 {
		return 0
	}
	return min(s, 1e9)
}

// cut shortens a text to max bytes, or a few less so as not to split a character.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for i := max; i > max-utf8.UTFMax; i-- {
		if !utf8.RuneStart(s[i]) {
			continue // the byte at i continues a character
		}
		if r, _ := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError {
			return strings.Clone(s[:i])
		}
		break
	}
	return strings.Clone(s[:max]) // no character there to split; cloned to let the long text go
}

const hexDigits = "0123456789ABCDEF"

// escapeBytes makes any bytes valid UTF-8; see Record.
func escapeBytes(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || isByteEscape(s[i:]) {
			b.Write([]byte{'\\', 'x', hexDigits[s[i]>>4], hexDigits[s[i]&15]})
			i++
			continue
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	return b.String()
}

// unescapeBytes undoes escapeBytes.
func unescapeBytes(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if !isByteEscape(s[i:]) {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte(byte(strings.IndexByte(hexDigits, s[i+2])<<4 | strings.IndexByte(hexDigits, s[i+3])))
		i += 3
	}
	return b.String()
}

// isByteEscape reports whether the text starts with \xHH.
func isByteEscape(s string) bool {
	return len(s) >= 4 && s[0] == '\\' && s[1] == 'x' &&
		strings.IndexByte(hexDigits, s[2]) >= 0 && strings.IndexByte(hexDigits, s[3]) >= 0
}

// decodeRecord reads a record as the journal keeps it.
func decodeRecord(k, v []byte) (Record, error) {
	var p plain // not Record, whose UnmarshalJSON would have the text scanned twice
	if err := decodeJSON(v, &p); err != nil {
		return Record{}, fmt.Errorf("journal record %q: %w", short(k), err)
	}
	r := p.record()
	if len(k) != len(r.ID) || r.ID != string(k) {
		return Record{}, fmt.Errorf("journal record %q: it says its id is %.40q", short(k), r.ID)
	}
	return r, nil
}
