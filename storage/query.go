package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/rawtext"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// A read transaction of the journal ends after this many records found, records looked at, or outlines of the index, so that it is over in
// milliseconds.
const (
	pageRecords  = 128
	pageScanned  = 4096
	pageOutlines = 1 << 16
)

// Query says which records of the journal to read. The zero value is all of them,
// oldest first. All conditions must hold.
type Query struct {
	// Since and Until bound the time in the record's id, in milliseconds, which is
	// that of the call: Since is included, Until is not. Zero: no bound.
	Since, Until time.Time
	// Caller is the caller's E.164 number or the raw text as it arrived.
	Caller string
	// Callers are E.164 numbers, or what stands for them, one of which the caller's must be; nil is any.
	Callers []string
	// Ranges are patterns of E.164 digits, one of which the caller's number must match; nil is any.
	Ranges []number.Pattern
	// Callee, Action and ID are compared as they are, and so are these.
	Callee, Action, ID                           string
	Line, Rule, Trunk, Kind, Would, Holder, List string
	// Detector is the name of one that had tripped for the call.
	Detector string
	// Customer is whose line was called (Record.Owner).
	Customer string
	// Lines are those of which one must have been called; nil is any.
	Lines []string
	// Text is in the caller's name, number or text, in the reason or the called number, whatever the case of its letters.
	Text string
	// Became is what must have become of the call.
	Became Became
	// MinTalk and MaxTalk bound the seconds of conversation, ends included, of a call that was answered; 0: no bound.
	MinTalk, MaxTalk float64
	// Is is asked last of a record that meets all else; nil: there is nothing to ask.
	Is func(*Record) bool
	// Limit is how many records to return at most; 0 means all.
	Limit int
	// Newest reads backwards, newest first.
	Newest bool
	// Cursor is the ID of the last record of an earlier query, after which this
	// one goes on (before which, with Newest).
	Cursor string
}

// Became is what became of a call, as far as its record says.
type Became uint8

const (
	AnyEnd     Became = iota
	Answered          // somebody took it
	Unanswered        // it rang, and nobody did, as the switch said
	TurnedAway        // Record.TurnedAway
	DidRing           // Record.Rang
)

// Journal calls yield for each record that the query asks for, in the order of
// their ids, until yield returns an error, which Journal then returns. Records still
// in the queue of the running journal are not there yet (see Journal.Flush).
//
// It reads in pages: records that are written or removed meanwhile may come or not.
// A record that cannot be read is passed over; the rest still comes, and then an
// error that is ErrCorrupt.
func (d *DB) Journal(q Query, yield func(Record) error) error {
	_, err := d.Search(context.Background(), q, yield)
	return err
}

// Looked is how far a search came.
type Looked struct {
	Records int    // looked at
	Last    string // the id of the one looked at last, a Cursor from which another search goes on; "" if there was none
	Done    bool   // there are no more
	Full    bool   // Limit records were found
}

// Search is Journal until ctx ends, which is no error.
func (d *DB) Search(ctx context.Context, q Query, yield func(Record) error) (Looked, error) {
	return d.search(ctx, q, 0, yield)
}

// search is Search that looks at a number of records at most; 0 is all.
func (d *DB) search(ctx context.Context, q Query, most int, yield func(Record) error) (Looked, error) {
	s, err := newScan(q)
	if err != nil {
		return Looked{}, err
	}
	for !s.done && ctx.Err() == nil && (most <= 0 || s.looked < most) {
		var page []Record
		err := d.view(func(tx *bolt.Tx) error {
			page = s.page(d, tx)
			return nil
		})
		if err != nil {
			return s.came(), err
		}
		for _, r := range page {
			if err := yield(r); err != nil {
				return s.came(), err
			}
		}
	}
	return s.came(), s.damage.err(d.file, "records of the journal")
}

// scan is a query under way.
type scan struct {
	q      Query
	from   []byte   // first key that may be returned; nil: no bound
	to     []byte   // first key that may not be; nil: no bound
	last   []byte   // the key looked at last
	texts  [][]byte // each of which a record must have
	any    [][]byte // and one of these, if there are some
	text   folded   // and this in one of the texts that people see
	plain  bool     // which is in the JSON as it is
	sieve  sieve
	looked int // how many records were looked at
	found  int
	full   bool
	done   bool
	damage damage
}

func (s *scan) came() Looked {
	return Looked{Records: s.looked, Last: string(s.last), Done: s.done && !s.full, Full: s.full}
}

func newScan(q Query) (*scan, error) {
	s := &scan{q: q}
	if !q.Since.IsZero() {
		s.from = []byte(firstID(q.Since))
	}
	if !q.Until.IsZero() {
		s.to = []byte(firstID(q.Until))
	}
	if q.ID != "" {
		id, ok := parseID(q.ID)
		if !ok {
			return nil, invalid("%.40q is not the id of a journal record: it has 26 letters and digits", q.ID)
		}
		s.narrow([]byte(id), append([]byte(id), 0))
	}
	if q.Cursor != "" {
		id, ok := parseID(q.Cursor)
		if !ok {
			return nil, invalid("%.40q is not a cursor: give the id of the last record that was returned", q.Cursor)
		}
		if q.Newest {
			s.narrow(nil, []byte(id))
		} else {
			s.narrow(append([]byte(id), 0), nil)
		}
	}
	s.sieve = sieveOf(&q)
	// A record that has a text in it has the text's JSON in it. Looking for that
	// first saves decoding the others, which is most of the work.
	for _, text := range []string{q.Caller, q.Callee, q.Action, q.Customer, q.Line, q.Rule, q.Trunk, q.Kind, q.Would, q.Holder, q.List} {
		if text != "" {
			s.texts = append(s.texts, jsonText(text))
		}
	}
	if q.Detector != "" {
		s.texts = append(s.texts, bytes.TrimSuffix(jsonText(q.Detector), []byte(`"`)))
	}
	for _, name := range q.Callers {
		if len(q.Callers) <= maxAny {
			s.any = append(s.any, jsonText(name))
		}
	}
	s.text = foldedText(q.Text)
	s.plain = string(jsonText(q.Text)) == `"`+q.Text+`"`
	return s, nil
}

// maxAny is how many texts are looked for in a record, one of which it must have: more are not worth it.
const maxAny = 8

// narrow makes the bounds from and to tighter.
func (s *scan) narrow(from, to []byte) {
	if bytes.Compare(from, s.from) > 0 {
		s.from = from
	}
	if to != nil && (s.to == nil || bytes.Compare(to, s.to) < 0) {
		s.to = to
	}
}

// page collects the next records, and sets done when there are no more. What the index can say it is asked.
func (s *scan) page(d *DB, tx *bolt.Tx) []Record {
	journal, to := tx.Bucket(bucketJournal), s.to
	from, ok := ulid.ULID{}, false
	if s.sieve.narrow {
		from, ok = d.indexFrom(tx)
	}
	if ok {
		lo, hi := s.left()
		switch first := from.String(); {
		case s.q.Newest && (hi == nil || from.Compare(*hi) < 0), !s.q.Newest && from.Compare(lo) <= 0:
			page, end := s.outlines(d, tx, maxID(lo, from), hi)
			switch {
			case !end:
			case s.q.Newest && lo.Compare(from) < 0: // what is older is not in the index yet
				s.last = []byte(first)
			default:
				s.done = true
			}
			return page
		case !s.q.Newest:
			if to == nil || first < string(to) {
				to = []byte(first)
			}
		}
	}
	page, end := s.records(journal.Cursor(), to)
	if end && !s.done {
		if s.done = !ok || s.q.Newest || bytes.Equal(to, s.to); !s.done {
			s.last = []byte(prevID(from).String())
		}
	}
	return page
}

// records collects the next records by reading the journal up to a key. end says that it came there.
func (s *scan) records(c *bolt.Cursor, to []byte) (page []Record, end bool) {
	progress := false
	k, v := s.start(c)
	for range pageScanned {
		if k == nil || s.outside(k, to) {
			return page, true
		}
		s.looked++
		switch {
		case len(k) != ulid.EncodedSize || len(v) > maxValue:
			s.damage.note(fmt.Errorf("journal record %q: key of %d bytes, value of %d", short(k), len(k), len(v)))
			v = nil
		case s.last != nil && !s.follows(k):
			s.damage.note(fmt.Errorf("journal record %q: it is out of order", k))
		default:
			s.last = append(s.last[:0], k...)
			progress = true
		}
		if v != nil {
			page = s.take(page, k, v)
		}
		if s.full || len(page) == pageRecords {
			break
		}
		if s.q.Newest {
			k, v = c.Prev()
		} else {
			k, v = c.Next()
		}
	}
	// In a damaged file keys out of order could lead back to the same page for ever.
	s.done = s.full || !progress || s.damage.hopeless()
	return page, false
}

// take appends a record to a page if it is asked for.
func (s *scan) take(page []Record, k, v []byte) []Record {
	if !s.mayMatch(v) {
		return page
	}
	r, err := decodeRecord(k, v)
	switch {
	case err != nil:
		s.damage.note(err)
	case s.matches(&r):
		page = append(page, r)
		s.found++
		s.full = s.found == s.q.Limit
	}
	return page
}

// start moves the cursor to the first key not yet looked at.
func (s *scan) start(c *bolt.Cursor) (k, v []byte) {
	if !s.q.Newest {
		switch {
		case s.last != nil:
			if k, v = c.Seek(s.last); bytes.Equal(k, s.last) {
				return c.Next()
			}
			return k, v
		case s.from != nil:
			return c.Seek(s.from)
		}
		return c.First()
	}
	end := s.to
	if s.last != nil {
		end = s.last
	}
	if end == nil {
		return c.Last()
	}
	if k, _ := c.Seek(end); k == nil {
		return c.Last()
	}
	return c.Prev()
}

// outside reports whether the key is past the bound that the scan moves towards, which is the key to unless it reads backwards.
func (s *scan) outside(k, to []byte) bool {
	if s.q.Newest {
		return bytes.Compare(k, s.from) < 0
	}
	return to != nil && bytes.Compare(k, to) >= 0
}

// follows reports whether the key comes after the one looked at last, as it must.
func (s *scan) follows(k []byte) bool {
	if s.q.Newest {
		return bytes.Compare(k, s.last) < 0
	}
	return bytes.Compare(k, s.last) > 0
}

func (s *scan) mayMatch(v []byte) bool {
	for _, text := range s.texts {
		if !bytes.Contains(v, text) {
			return false
		}
	}
	return (len(s.any) == 0 || slices.ContainsFunc(s.any, func(text []byte) bool { return bytes.Contains(v, text) })) && (!s.plain || s.text.in(v))
}

func (s *scan) matches(r *Record) bool {
	q := &s.q
	is := func(want, got string) bool { return want == "" || want == got }
	return (q.Caller == "" || r.Caller.E164 == q.Caller || r.Caller.Raw == q.Caller) &&
		(q.Callers == nil || r.Caller.E164 != "" && slices.Contains(q.Callers, r.Caller.E164)) &&
		(q.Ranges == nil || inRanges(callerCode(r.Caller.E164), q.Ranges)) &&
		is(q.Callee, r.Callee) && is(q.Action, r.Action) && is(q.Line, r.Line) && is(q.Rule, r.Rule) && is(q.Trunk, r.Trunk) &&
		is(q.Kind, r.Caller.Kind) && is(q.Would, r.Would) && is(q.Holder, r.Holder) && is(q.List, r.List) && is(q.Customer, r.Owner()) &&
		(q.Lines == nil || slices.Contains(q.Lines, r.Line)) &&
		(q.Detector == "" || slices.ContainsFunc(r.Tripped, func(t string) bool { return strings.HasPrefix(t, q.Detector+": ") })) &&
		q.Became.is(r) && talked(r, q.MinTalk, q.MaxTalk) && holdsText(r, &s.text) && (q.Is == nil || q.Is(r))
}

// is reports whether it is what became of a call.
func (b Became) is(r *Record) bool {
	switch b {
	case Answered:
		return r.Outcome != nil && r.Outcome.Answered
	case Unanswered:
		return r.Outcome != nil && !r.Outcome.Answered && r.Rang()
	case TurnedAway:
		return r.TurnedAway()
	case DidRing:
		return r.Rang()
	}
	return true
}

func talked(r *Record, least, most float64) bool {
	if least <= 0 && most <= 0 {
		return true
	}
	return r.Outcome != nil && r.Outcome.Answered && r.Outcome.TalkS >= least && (most <= 0 || r.Outcome.TalkS <= most)
}

// jsonText is a text as Record.MarshalJSON writes it, in quotes.
func jsonText(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(rawtext.Escape(s)) // a string: no error
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
