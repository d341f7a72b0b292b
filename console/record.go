package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"ringfence/rawtext"
)

// Record is one line of the journal: a call and what was decided about it.
//
// Its texts may hold any bytes: Caller.Raw and Name are kept as the switch
// delivered them, which may be Latin-1 or no text at all, cut at 256 bytes, a number's at 260.
// Time is in UTC, to the millisecond.
//
// In JSON every byte that is not part of valid UTF-8 is written as \xHH, with two
// upper-case hexadecimal digits, inside the string (so the JSON itself shows
// \\xHH): the Latin-1 name "Jos\xe9" becomes "Jos\\xE9". So that this can be
// undone without loss, a backslash that would read as such an escape is written as
// \x5C. All other text is as usual. UnmarshalJSON undoes it.
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

	// What detectors saw, as it was when the call came: the breakers that held for it ("range wakes: 952116", with why in brackets where
	// one only recorded it), eight at most; who holds the caller's range, by [ranges]; where a rule asks the score, its sum and its terms
	// ("decoys +6").
	Tripped []string `json:"tripped,omitempty"`
	// TrippedBy are the detectors of Tripped that did not only record the call.
	TrippedBy []string `json:"tripped_by,omitempty"`
	Holder    string   `json:"holder,omitempty"`
	Score     float64  `json:"score,omitzero"`
	Terms     []string `json:"terms,omitempty"`

	// Repeats is how many further calls this is the record of: the same caller called the same number again within a minute, with the
	// same decision. Last is when the last of them was, Also has the ids of the first eight. Outcome is of the call that was talked longest.
	Repeats int       `json:"repeats,omitempty"`
	Last    time.Time `json:"last,omitzero"`
	Also    []string  `json:"also,omitempty"`
}

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
	r.Time = r.Time.UTC().Truncate(time.Millisecond)
	eachText(&r, rawtext.Unescape)
	return r
}

// eachText replaces each text of the record by f of it.
func eachText(r *Record, f func(string) string) {
	for _, s := range []*string{
		&r.ID, &r.Node, &r.Trunk, &r.Caller.Raw, &r.Caller.E164, &r.Caller.Kind, &r.Caller.From, &r.Caller.Diverted, &r.Name, &r.Callee, &r.Line, &r.Customer,
		&r.Action, &r.Would, &r.Mode, &r.Rule, &r.Reason, &r.List,
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

// Owner is the customer whose line was called, "" for a number of no line.
func (r *Record) Owner() string { return cmp.Or(r.Customer, r.Line) }

// Query says which records to give. The zero value is all of them, oldest first. All conditions must hold.
type Query struct {
	// Since and Until bound the time of the call, in milliseconds: Since is included, Until is not. Zero: no bound.
	Since, Until time.Time
	// Caller is a number in any spelling, or the raw text as it arrived.
	Caller string
	// Callee, Action and ID are compared as they are.
	Callee, Action, ID string
	// Customer is whose line was called; the name of a line whose customer nobody says.
	Customer string
	// Line, Rule, Trunk, Kind, Would, Holder and List are compared as they are. Detector is the name of one that had tripped for the call.
	Line, Rule, Trunk, Kind, Would, Holder, List, Detector string
	// Range is a pattern that the caller's number must match, as a list would have it.
	Range string
	// Text is in the caller's name, number, reason or callee, whatever the case of its letters.
	Text string
	// Outcome is answered, unanswered, stopped (it was kept from ringing) or rang; "" for any.
	Outcome string
	// MinTalk and MaxTalk bound the seconds of conversation; zero: no bound. A bound wants a call that was answered.
	MinTalk, MaxTalk float64
	// Lines are those of which one must have been called; nil: any. Only whoever bounds people to lines sets it.
	Lines []string
	// Limit is how many records to give at most; 0 means all.
	Limit int
	// Newest is newest first.
	Newest bool
	// Cursor is the ID of the last record of an earlier query, after which this one goes on (before which, with Newest).
	Cursor string
}

// PrivateMark begins the Raw of a caller in a journal that is kept private: a token follows, of which no number can
// be made.
const PrivateMark = "hmac:"
