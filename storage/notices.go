package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// What the customers of lines are yet to be told: which calls to a line were stopped since they were told last. It is written in the transaction
// that writes the journal's record, so that a restart neither loses a call nor tells of one twice, and it names the record alone: a call that is
// taken out of the journal, as `forget` does, leaves nothing of its caller here.
//
//	KEY          → noticeHead as JSON
//	KEY NUL ULID → how many calls of that record are not told of yet, as a varint

// Bounds of what is not told of yet. Above them calls are only counted.
const (
	MaxNoticeCalls = 100     // records of one line
	maxNoticeRows  = 500_000 // records of all lines
	maxNoticeKey   = MaxStampKey
)

var keyNotices = []byte("notices") // in meta: how many records of all lines are not told of yet

// NoticeTaker says which calls the customers of lines are to be told of. The journal's writer alone asks it, off the calls' path.
type NoticeTaker interface {
	// Wants reports whether the call of a record is to be told of. Stopped is set.
	Wants(r *Record) bool
	// Kept says that such calls to lines, by their keys, are on disk.
	Kept(lines []string)
}

// Notice is what the customer of a line is yet to be told, and how it went so far.
type Notice struct {
	Line string `json:"-"` // its key
	noticeHead
}

type noticeHead struct {
	First   time.Time `json:"first,omitzero"`    // the first call that is not told of; zero: there is none
	Records int       `json:"records,omitempty"` // that are not told of
	More    int       `json:"more,omitempty"`    // calls beyond MaxNoticeCalls, which are only counted
	Sent    time.Time `json:"sent,omitzero"`     // when the customer was told last
	Failing time.Time `json:"failing,omitzero"`  // since when it fails
	Tries   int       `json:"tries,omitempty"`   // how often, since then
	Again   time.Time `json:"again,omitzero"`    // when it is tried again
	GivenUp time.Time `json:"given_up,omitzero"` // when calls were dropped that nobody could be told of, and nobody was since
}

// NoticeCall is a record that is not told of yet.
type NoticeCall struct {
	ID    string
	Calls int     // of these the record is of, 1 or more
	Of    *Record // nil: it is in the journal no more
}

// tellOf is the key of the line whose customer is to be told of a record, "" for nobody.
func (r *Record) tellOf() string {
	if r.told {
		return r.Stopped
	}
	return ""
}

// noteKept says that what customers are to be told of is on disk.
func (j *Journal) noteKept(batch []*Record) {
	var lines []string
	for _, r := range batch {
		if r.told {
			lines = append(lines, r.Stopped)
		}
	}
	if len(lines) > 0 {
		j.o.Notices.Kept(lines)
	}
}

// noteStopped notes the calls of a row that customers are to be told of, before it is written in the place of what was there.
func (d *DB) noteStopped(tx *bolt.Tx, r *row, key, old []byte) error {
	line, n := r.told, 1
	switch {
	case r.counting != nil:
		n = 0
		for _, again := range r.counting.calls {
			if again.told { // all are of one line, or they would not repeat each other
				line, n = again.Stopped, n+1
			}
		}
	case line != "" && r.amends && old != nil:
		if was, err := decodeRecord(r.key, old); err == nil && was.Stopped != "" {
			return nil // it was noted when it first said so
		}
	}
	return d.addNotice(tx, line, string(key), d.now(), n)
}

// addNotice notes calls that are on a record, in the transaction that writes it.
func (d *DB) addNotice(tx *bolt.Tx, line, id string, at time.Time, calls int) error {
	if line == "" || len(line) > maxNoticeKey || calls <= 0 {
		return nil
	}
	b := tx.Bucket(bucketNotices)
	head, err := d.noticeHead(b, line)
	if err != nil {
		return err
	}
	if head.First.IsZero() {
		head.First = at
	}
	key, all := noticeKey(line, id), noticeRows(tx)
	had := b.Get(key)
	switch n, size := binary.Uvarint(had); {
	case had == nil && (head.Records >= MaxNoticeCalls || all >= maxNoticeRows):
		head.More += calls
	case had != nil && size <= 0:
		return corrupt(d.file, fmt.Errorf("the notice %q: its count is none", short(key)))
	default:
		if had == nil {
			head.Records++
			if err := putJSON(tx.Bucket(bucketMeta), string(keyNotices), all+1); err != nil {
				return err
			}
		}
		if err := b.Put(key, binary.AppendUvarint(nil, n+uint64(calls))); err != nil {
			return err
		}
	}
	return putJSON(b, line, head)
}

func noticeKey(line, id string) []byte { return []byte(line + "\x00" + id) }

func noticeRows(tx *bolt.Tx) (n int) {
	if v := tx.Bucket(bucketMeta).Get(keyNotices); v != nil && decodeJSON(v, &n) != nil {
		return 0 // it only bounds
	}
	return n
}

func (d *DB) noticeHead(b *bolt.Bucket, line string) (h noticeHead, err error) {
	if v := b.Get([]byte(line)); v != nil {
		if err := decodeJSON(v, &h); err != nil {
			return h, corrupt(d.file, fmt.Errorf("the notice %.64q: %w", line, err))
		}
	}
	return h, nil
}

// Notice gives what the customer of a line, by its key, is to be told, with the calls in the order in which they came.
func (d *DB) Notice(line string) (n Notice, calls []NoticeCall, err error) {
	n.Line = line
	err = d.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketNotices)
		if b == nil { // a file of before, opened for reading
			return nil
		}
		if n.noticeHead, err = d.noticeHead(b, line); err != nil {
			return err
		}
		journal, prefix := tx.Bucket(bucketJournal), noticeKey(line, "")
		c := b.Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			count, size := binary.Uvarint(v)
			if size <= 0 || len(k) != len(prefix)+ulid.EncodedSize {
				return corrupt(d.file, fmt.Errorf("the notice %q cannot be read", short(k)))
			}
			call := NoticeCall{ID: string(k[len(prefix):]), Calls: int(count)}
			if v := journal.Get([]byte(call.ID)); v != nil {
				if r, err := decodeRecord([]byte(call.ID), v); err == nil {
					call.Of = &r
				}
			}
			calls = append(calls, call)
		}
		return nil
	})
	return n, calls, err
}

// NoticeTold takes calls off that the customer of a line was told of, as Notice gave them; those that came meanwhile stay. sent is when that was;
// zero if they were dropped, at a moment that is given.
func (d *DB) NoticeTold(told Notice, calls []NoticeCall, sent, dropped time.Time) (left Notice, err error) {
	left.Line = told.Line
	err = d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketNotices)
		head, err := d.noticeHead(b, told.Line)
		if err != nil {
			return err
		}
		gone := 0
		for _, c := range calls {
			key := noticeKey(told.Line, c.ID)
			n, size := binary.Uvarint(b.Get(key))
			switch {
			case size <= 0:
				continue
			case n > uint64(c.Calls):
				err = b.Put(key, binary.AppendUvarint(nil, n-uint64(c.Calls)))
			default:
				gone++
				err = b.Delete(key)
			}
			if err != nil {
				return err
			}
		}
		head.Records, head.More = max(head.Records-gone, 0), max(head.More-told.More, 0)
		head.Failing, head.Tries, head.Again = time.Time{}, 0, time.Time{}
		now := millis(sent)
		if sent.IsZero() {
			now = millis(dropped)
			head.GivenUp = now
		} else {
			head.Sent, head.GivenUp = now, time.Time{}
		}
		head.First = time.Time{}
		if head.Records > 0 || head.More > 0 {
			head.First = now
		}
		if err := putJSON(tx.Bucket(bucketMeta), string(keyNotices), max(noticeRows(tx)-gone, 0)); err != nil {
			return err
		}
		left.noticeHead = head
		return putJSON(b, told.Line, head)
	})
	if err != nil {
		return left, explain("writing what customers were told", err)
	}
	return left, nil
}

// NoticeFailed notes that the customer of a line could not be told: since when, how often, and when it is tried again.
func (d *DB) NoticeFailed(line string, since time.Time, tries int, again time.Time) error {
	err := d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketNotices)
		head, err := d.noticeHead(b, line)
		if err != nil {
			return err
		}
		head.Failing, head.Tries, head.Again = millis(since), tries, millis(again)
		return putJSON(b, line, head)
	})
	if err != nil {
		return explain("writing what customers were told", err)
	}
	return nil
}

// DropNotice takes away all that is kept of a line: nobody is told of it.
func (d *DB) DropNotice(line string) error {
	err := d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketNotices)
		var keys [][]byte // bbolt's cursor may skip keys after a deletion
		c, prefix := b.Cursor(), noticeKey(line, "")
		for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			keys = append(keys, bytes.Clone(k))
		}
		for _, k := range keys {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		if len(keys) > 0 {
			if err := putJSON(tx.Bucket(bucketMeta), string(keyNotices), max(noticeRows(tx)-len(keys), 0)); err != nil {
				return err
			}
		}
		return b.Delete([]byte(line))
	})
	if err != nil {
		return explain("writing what customers were told", err)
	}
	return nil
}

// Notices gives a page of what is kept of lines, in the order of their keys' bytes: those after a key. None are left when it gives none.
func (d *DB) Notices(after string) (page []Notice, err error) {
	var damage damage
	err = d.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketNotices)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		k, v := c.First()
		if after != "" {
			k, v = c.Seek([]byte(after + "\x01")) // past its calls; what names a line has no such byte
		}
		for k != nil && len(page) < pageStamps && !damage.hopeless() {
			if len(k) > maxNoticeKey || bytes.IndexByte(k, 0) >= 0 {
				damage.note(fmt.Errorf("the notice %q is of no line", short(k)))
				k, v = c.Next()
				continue
			}
			n := Notice{Line: string(k)}
			if err := json.Unmarshal(v, &n.noticeHead); err != nil {
				damage.note(fmt.Errorf("the notice %q: %w", short(k), err))
			} else {
				page = append(page, n)
			}
			k, v = c.Seek([]byte(n.Line + "\x01"))
		}
		return nil
	})
	return page, errors.Join(err, damage.err(d.file, "notices"))
}
