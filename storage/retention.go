package storage

import (
	"bytes"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// trimBatch is how many records one transaction removes at most. It is more than a
// batch adds, so a journal at its bound stays there.
const trimBatch = 2 * defaultBatch

var keyJournal = []byte("journal")

// row is a journal record as it is kept. One without a value brings the outcome for
// a record that is there already.
type row struct {
	key, value []byte
	rec        *Record // what the value says
	outcome    *Outcome
	amends     bool      // in the place of one that is there, with the calls that were counted on it
	counting   *counting // what is to be counted on a record that is there
	own        string    // the id of the call that was counted on it, was answered, and so has a record of its own
	told       string    // the key of the line whose customer is to be told of the record
	stray      bool      // set by putRows: there is no record for the outcome, or for the calls, the first of which became it
}

func (r row) size() int64 { return int64(len(r.key) + len(r.value)) }

// journalSize is kept in the file, so that nobody has to count. Bytes are of records and their keys.
type journalSize struct {
	Records int64       `json:"records"`
	Bytes   int64       `json:"bytes"`
	Index   *indexState `json:"index,omitempty"` // nil: an older program wrote it, see index.go
}

// JournalSize returns how many records the journal holds and how many bytes they
// take, keys included.
func (d *DB) JournalSize() (records, bytes int64, err error) {
	err = d.view(func(tx *bolt.Tx) error {
		size, err := d.journalSize(tx)
		records, bytes = size.Records, size.Bytes
		return err
	})
	return records, bytes, err
}

func (d *DB) journalSize(tx *bolt.Tx) (s journalSize, err error) {
	v := tx.Bucket(bucketMeta).Get(keyJournal)
	if v == nil {
		return s, nil
	}
	if err := decodeJSON(v, &s); err != nil {
		return s, corrupt(d.file, fmt.Errorf("the size of its journal: %w", err))
	}
	return s, nil
}

// putRows writes journal records and removes the oldest ones: those with a key below
// oldest, and those that make the journal larger than maxBytes (unless it is 0). more
// says that it left some of them for the next call.
func (d *DB) putRows(rows []row, oldest string, maxBytes int64) (trimmed int, more bool, err error) {
	if len(rows) == 0 { // only to trim: save the write if there is nothing to
		over := false
		err := d.view(func(tx *bolt.Tx) error {
			size, err := d.journalSize(tx)
			k, _ := tx.Bucket(bucketJournal).Cursor().First()
			over = k != nil && (string(k) < oldest || maxBytes > 0 && size.Bytes > maxBytes)
			return err
		})
		if err != nil || !over {
			return 0, false, err
		}
	}
	err = d.update(func(tx *bolt.Tx) error {
		j, err := d.journalTx(tx)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := j.putRow(&rows[i]); err != nil {
				return err
			}
		}
		if trimmed, more, err = j.trim(oldest, maxBytes); err != nil {
			return err
		}
		return j.done()
	})
	if err != nil {
		return 0, false, fmt.Errorf("writing the journal: %w", err)
	}
	return trimmed, more, nil
}

// putRow writes a row, if there is anything to write.
func (j *journalTx) putRow(r *row) (err error) {
	old := j.b.Get(r.key)
	if r.own != "" {
		if old, err = j.part(r, old); err != nil {
			return err
		}
	}
	if !r.complete(old) {
		return nil
	}
	if r.counting != nil && r.stray {
		old = j.b.Get([]byte(r.rec.ID))
	}
	if err := j.d.noteStopped(j.tx, r, []byte(r.rec.ID), old); err != nil {
		return err
	}
	return j.put(r.rec, r.value)
}

// trim removes the oldest records: those with a key below oldest, and those that make the journal larger than maxBytes (unless it is 0).
func (j *journalTx) trim(oldest string, maxBytes int64) (trimmed int, more bool, err error) {
	// Gather first: bbolt's cursor may skip keys after a deletion.
	type record struct{ key, value []byte }
	var gone []record
	left := j.size.Bytes
	c := j.b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if !(string(k) < oldest || maxBytes > 0 && left > maxBytes) {
			break
		}
		if len(gone) == trimBatch {
			more = true
			break
		}
		gone = append(gone, record{bytes.Clone(k[:min(len(k), ulid.EncodedSize)]), v})
		left -= row{key: k, value: v}.size()
	}
	for _, r := range gone {
		if err := j.delete(r.key, r.value); err != nil {
			return 0, false, err
		}
	}
	if k, _ := j.b.Cursor().First(); more && bytes.Equal(k, gone[0].key) {
		more = false // a damaged file, in which it cannot be found: do not try for ever
	}
	return len(gone), more, nil
}

// part takes an answered call off the record that it was counted on, and makes it a record of its own, which it gives as a record without the
// outcome that is to come.
func (j *journalTx) part(r *row, old []byte) ([]byte, error) {
	if own := j.b.Get([]byte(r.own)); own != nil { // it has one already
		r.key = []byte(r.own)
		return own, nil
	}
	if old == nil {
		return nil, nil
	}
	rec, err := decodeRecord(r.key, old)
	if err != nil || rec.Repeats == 0 {
		return nil, nil
	}
	own := rec
	own.ID, own.Time, own.Outcome = r.own, millis(TimeOf(r.own)), nil
	own.Repeats, own.Last, own.Also = 0, time.Time{}, nil
	rec = (&counting{less: []string{r.own}}).into(rec)
	for _, put := range []*Record{&rec, &own} {
		value, err := put.MarshalJSON()
		if err != nil {
			return nil, err
		}
		if err := j.put(put, value); err != nil {
			return nil, err
		}
		r.key, old = []byte(put.ID), value // those of its own, at last
	}
	return old, nil
}

// complete makes the value of a row that adds to what is there. It is false if there is nothing to write.
func (r *row) complete(old []byte) bool {
	if r.outcome == nil && r.counting == nil && !(r.amends && old != nil) {
		return true
	}
	var rec Record
	found := old != nil
	if found {
		var err error
		rec, err = decodeRecord(r.key, old)
		found = err == nil
	}
	switch r.stray = !found && !r.amends; {
	case r.amends:
		var anew Record
		if !found || rec.Repeats == 0 && rec.Trace == nil || anew.UnmarshalJSON(r.value) != nil {
			return true
		}
		anew.Repeats, anew.Last, anew.Also = rec.Repeats, rec.Last, rec.Also
		if anew.Trace == nil { // what is known by now is not why it was decided so
			anew.Trace = rec.Trace
		}
		rec = anew
	case !found && (r.outcome != nil || len(r.counting.calls) == 0):
		return false
	case !found: // it was deleted, or is too old: the first of the calls is the record of the others
		first := *r.counting.calls[0]
		others := counting{calls: r.counting.calls[1:]}
		rec = others.into(first)
	case r.outcome != nil:
		rec.ended(r.outcome)
	default:
		rec = r.counting.into(rec)
	}
	value, err := rec.MarshalJSON()
	if err == nil {
		r.value, r.rec = value, &rec
	}
	return err == nil
}

// DeleteRecords removes the journal's records that a query asks for, which must name a caller or a callee, and
// says how many there were. They are gone from the file's pages when it returns, some thousand in each
// transaction; what was removed before an error stays removed. Records still in the queue of the running
// journal are not there yet (see Journal.Flush).
func (d *DB) DeleteRecords(q Query) (int, error) {
	if q.Caller == "" && q.Callee == "" {
		return 0, invalid("whose records are to be deleted? name a caller or a callee")
	}
	removed := 0
	var ids []string
	drop := func() error {
		n, err := d.dropRecords(ids)
		removed += n
		ids = ids[:0]
		return err
	}
	err := d.Journal(q, func(r Record) error {
		if ids = append(ids, r.ID); len(ids) < trimBatch {
			return nil
		}
		return drop()
	})
	if err == nil && len(ids) > 0 {
		err = drop()
	}
	if err != nil {
		return removed, fmt.Errorf("deleting from the journal: %w", err)
	}
	return removed, nil
}

// dropRecords removes records, in one transaction, and says how many of them were there.
func (d *DB) dropRecords(ids []string) (n int, err error) {
	err = d.update(func(tx *bolt.Tx) error {
		n = 0
		j, err := d.journalTx(tx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			v := j.b.Get([]byte(id))
			if v == nil {
				continue // it has become too old meanwhile
			}
			n++
			if err := j.delete([]byte(id), v); err != nil {
				return err
			}
		}
		return j.done()
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
