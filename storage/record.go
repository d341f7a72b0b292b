package storage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"ringfence/rawtext"
)

// maxRecordText bounds each text of a journal record, in bytes. Longer ones are cut.
const maxRecordText = 256

// maxRawText bounds the two texts that are read as numbers. Who replays a record must see that one was
// longer than the 256 bytes that any number has.
const maxRawText = maxRecordText + utf8.UTFMax

// MaxTripped is how many breakers a record names, maxTerms how many terms of its score.
const (
	MaxTripped = 8
	maxTerms   = 32
)

// Record is one line of the journal: a call and what was decided about it.
//
// Its texts may hold any bytes: Caller.Raw and Name are kept as the switch
// delivered them, which may be Latin-1 or no text at all. Journal.Add cuts each
// text at 256 bytes, a number's at 260. Time is kept in UTC to the millisecond.
//
// In the file it is JSON, in which rawtext escapes what is no text.
type Record struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Node     string    `json:"node"`
	Trunk    string    `json:"trunk"`
	Caller   Caller    `json:"caller"`
	Name     string    `json:"name"` // the caller's name
	Callee   string    `json:"callee"`
	Line     string    `json:"line"`
	Customer string    `json:"customer,omitempty"` // whose the line was, where that is not its own name
	Action   string    `json:"action"`             // what was done
	Would    string    `json:"would"`              // what the rule says
	Mode     string    `json:"mode"`
	Rule     string    `json:"rule"`
	Reason   string    `json:"reason"`
	List     string    `json:"list"`             // the list that decided, if one did
	Test     bool      `json:"test,omitempty"`   // a doctor's call: decided as any other, counted nowhere
	Passed   bool      `json:"passed,omitempty"` // its caller was challenged, and passed
	Outcome  *Outcome  `json:"outcome,omitempty"`

	// Stopped is the key of the line of the database whose caller was turned away, for its customer's notice; "" where none was.
	Stopped string `json:"stopped,omitempty"`

	// What detectors saw, as it was when the call came: the breakers that held for it ("range wakes: 952116", with why in brackets where
	// one only recorded it), MaxTripped at most; who holds the caller's range, by [ranges]; where a rule asks the score, its sum and its terms
	// ("decoys +6").
	Tripped []string `json:"tripped,omitempty"`
	// TrippedBy are the detectors of Tripped that did not only record the call.
	TrippedBy []string `json:"tripped_by,omitempty"`
	Holder    string   `json:"holder,omitempty"`
	Score     float64  `json:"score,omitzero"`
	Terms     []string `json:"terms,omitempty"`

	// Repeats is how many further calls this record is of: the same caller called the same number again, with the same decision (see
	// JournalOptions.Merge). Last is when the last of them was, Also names the first of them, MaxAlso at most. Outcome is that of the call
	// that was talked longest.
	Repeats int       `json:"repeats,omitempty"`
	Last    time.Time `json:"last,omitzero"`
	Also    []string  `json:"also,omitempty"`

	// Trace is how the call was decided, as it was then; nil where nothing is known of that.
	Trace *Trace `json:"trace,omitempty"`

	late   bool // only the outcome of an earlier record
	amends bool // takes the place of an earlier record

	placed bool   // whether it is one of its own was decided: into
	into   string // the record that it is counted on, "" for none
	told   bool   // its line's customer is to be told
}

// Owner is the customer whose line was called, "" for a number of no line.
func (r *Record) Owner() string { return cmp.Or(r.Customer, r.Line) }

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
	Diverted string `json:"diverted,omitempty"` // the number that forwarded the call, as the call says; "unknown" where it does not say which
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
	eachText((*Record)(&p), rawtext.Escape)
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
	r.Time, r.Last = millis(r.Time), millis(r.Last)
	eachText(&r, rawtext.Unescape)
	return r
}

// eachText replaces each text of the record by f of it.
func eachText(r *Record, f func(string) string) {
	for _, s := range []*string{
		&r.ID, &r.Node, &r.Trunk, &r.Caller.Raw, &r.Caller.E164, &r.Caller.Kind, &r.Caller.From, &r.Caller.Diverted, &r.Name, &r.Callee, &r.Line, &r.Customer,
		&r.Action, &r.Would, &r.Mode, &r.Rule, &r.Reason, &r.List, &r.Stopped,
	} {
		*s = f(*s)
	}
	r.Holder, r.Tripped, r.TrippedBy, r.Terms = f(r.Holder), eachOf(r.Tripped, f), eachOf(r.TrippedBy, f), eachOf(r.Terms, f)
	if r.Outcome != nil {
		r.Outcome.Cause, r.Outcome.By = f(r.Outcome.Cause), f(r.Outcome.By)
	}
}

// eachOf is f of each text; the texts themselves stay as they are.
func eachOf(texts []string, f func(string) string) []string {
	if len(texts) == 0 {
		return nil
	}
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = f(text)
	}
	return out
}

// bound makes the record one that can be kept: texts cut, numbers that JSON knows.
func (r *Record) bound() {
	if r.Outcome != nil {
		o := *r.Outcome // the caller's own stays as it is
		o.RingS, o.TalkS = seconds(o.RingS), seconds(o.TalkS)
		r.Outcome = &o
	}
	r.Tripped, r.TrippedBy = r.Tripped[:min(len(r.Tripped), MaxTripped)], r.TrippedBy[:min(len(r.TrippedBy), MaxTripped)]
	r.Terms = r.Terms[:min(len(r.Terms), maxTerms)]
	if math.IsNaN(r.Score) || math.IsInf(r.Score, 0) {
		r.Score = 0
	}
	r.Trace = r.Trace.bounded()
	raw, callee := rawtext.Cut(r.Caller.Raw, maxRawText), rawtext.Cut(r.Callee, maxRawText)
	eachText(r, func(s string) string { return rawtext.Cut(s, maxRecordText) })
	r.Caller.Raw, r.Callee = raw, callee
}

func seconds(s float64) float64 {
	if math.IsNaN(s) || s < 0 {
		return 0
	}
	return min(s, 1e9)
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
