package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ringfence/rawtext"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// A read transaction of the journal ends after this many records found, or looked
// at, so that it is over in milliseconds.
const (
	pageRecords = 128
	pageScanned = 4096
)

// Query says which records of the journal to read. The zero value is all of them,
// oldest first. All conditions must hold.
type Query struct {
	// Since and Until bound the time in the record's id, in milliseconds, which is
	// that of the call: Since is included, Until is not. Zero: no bound.
	Since, Until time.Time
	// Caller is the caller's E.164 number or the raw text as it arrived.
	Caller string
	// Callee, Action and ID are compared as they are.
	Callee, Action, ID string
	// Customer is whose line was called (Record.Owner).
	Customer string
	// Limit is how many records to return at most; 0 means all.
	Limit int
	// Newest reads backwards, newest first.
	Newest bool
	// Cursor is the ID of the last record of an earlier query, after which this
	// one goes on (before which, with Newest).
	Cursor string
}

// Journal calls yield for each record that the query asks for, in the order of
// their ids, until yield returns an error, which Journal then returns. Records still
// in the queue of the running journal are not there yet (see Journal.Flush).
//
// It reads in pages: records that are written or removed meanwhile may come or not.
// A record that cannot be read is passed over; the rest still comes, and then an
// error that is ErrCorrupt.
func (d *DB) Journal(q Query, yield func(Record) error) error {
	s, err := newScan(q)
	if err != nil {
		return err
	}
	for !s.done {
		var page []Record
		err := d.view(func(tx *bolt.Tx) error {
			page = s.page(tx.Bucket(bucketJournal).Cursor())
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := yield(r); err != nil {
				return err
			}
		}
	}
	return s.damage.err(d.file, "records of the journal")
}

// scan is a query under way.
type scan struct {
	q      Query
	from   []byte   // first key that may be returned; nil: no bound
	to     []byte   // first key that may not be; nil: no bound
	last   []byte   // the key looked at last
	texts  [][]byte // each of which a record must have
	any    [][]byte // and one of these, if there are some
	looked int      // how many records were looked at
	found  int
	done   bool
	damage damage
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
	// A record that has a text in it has the text's JSON in it. Looking for that
	// first saves decoding the others, which is most of the work.
	for _, text := range []string{q.Caller, q.Callee, q.Action, q.Customer} {
		if text != "" {
			s.texts = append(s.texts, jsonText(text))
		}
	}
	return s, nil
}

// narrow makes the bounds from and to tighter.
func (s *scan) narrow(from, to []byte) {
	if bytes.Compare(from, s.from) > 0 {
		s.from = from
	}
	if to != nil && (s.to == nil || bytes.Compare(to, s.to) < 0) {
		s.to = to
	}
}

// page collects the next records, and sets done when there are no more.
func (s *scan) page(c *bolt.Cursor) []Record {
	var page []Record
	progress := false
	k, v := s.start(c)
	for range pageScanned {
		if k == nil || s.outside(k) {
			s.done = true
			return page
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
		if v != nil && s.mayMatch(v) {
			r, err := decodeRecord(k, v)
			switch {
			case err != nil:
				s.damage.note(err)
			case s.matches(r):
				page = append(page, r)
				s.found++
			}
		}
		if s.found == s.q.Limit && s.q.Limit > 0 {
			s.done = true
			return page
		}
		if len(page) == pageRecords {
			break
		}
		if s.q.Newest {
			k, v = c.Prev()
		} else {
			k, v = c.Next()
		}
	}
	// In a damaged file keys out of order could lead back to the same page for ever.
	s.done = s.done || !progress || s.damage.hopeless()
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

// outside reports whether the key is past the bound that the scan moves towards.
func (s *scan) outside(k []byte) bool {
	if s.q.Newest {
		return bytes.Compare(k, s.from) < 0
	}
	return s.to != nil && bytes.Compare(k, s.to) >= 0
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
	return len(s.any) == 0 || slices.ContainsFunc(s.any, func(text []byte) bool { return bytes.Contains(v, text) })
}

func (s *scan) matches(r Record) bool {
	return (s.q.Caller == "" || r.Caller.E164 == s.q.Caller || r.Caller.Raw == s.q.Caller) &&
		(s.q.Callee == "" || r.Callee == s.q.Callee) &&
		(s.q.Action == "" || r.Action == s.q.Action) &&
		(s.q.Customer == "" || r.Owner() == s.q.Customer)
}

// jsonText is a text as Record.MarshalJSON writes it, in quotes.
func jsonText(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(rawtext.Escape(s)) // a string: no error
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
