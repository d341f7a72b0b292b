package storage

import (
	"bytes"
	"strconv"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// Fate is what becomes of a row that was looked at.
type Fate uint8

const (
	Stay    Fate = iota
	Rewrite      // as judge made the row
	Drop
)

// Swept counts what a sweep did.
type Swept struct{ Changed, Dropped int }

// sweepBatch is how many rows one transaction of a sweep changes at most.
const sweepBatch = 2048

// table is a kind of rows that can be swept.
type table[T any] struct {
	d      *DB
	what   string
	maxKey int
	find   func(*bolt.Tx) *bolt.Bucket
	decode func(k, v []byte) (T, error)
	// write writes what became of rows, which are as they were read, in one transaction.
	write func(tx *bolt.Tx, rows []*sweptRow[T]) error
}

// sweptRow is a row that is to change.
type sweptRow[T any] struct {
	key, value []byte
	was, is    T
	drop       bool
}

// sweep looks at all rows, in pages, and changes or drops those that judge says, which is called outside of all
// transactions. A row that others changed meanwhile is judged again. What it did before an error stays done. Rows that
// cannot be read are passed over and reported at the end.
func (t *table[T]) sweep(judge func(*T) Fate) (done Swept, err error) {
	var rows []*sweptRow[T]
	var again [][]byte
	flush := func() error {
		var n Swept
		var stale [][]byte
		err := t.d.update(func(tx *bolt.Tx) error {
			n, stale = Swept{}, nil
			b := t.find(tx)
			as := rows[:0:0]
			for _, r := range rows {
				switch {
				case !bytes.Equal(b.Get(r.key), r.value):
					stale = append(stale, r.key)
					continue
				case r.drop:
					n.Dropped++
				default:
					n.Changed++
				}
				as = append(as, r)
			}
			return t.write(tx, as)
		})
		if err == nil {
			done.Changed, done.Dropped = done.Changed+n.Changed, done.Dropped+n.Dropped
			again = append(again, stale...)
		}
		rows = nil
		return err
	}
	look := func(r *sweptRow[T]) error {
		switch r.is = r.was; judge(&r.is) {
		case Stay:
			return nil
		case Drop:
			r.drop = true
		}
		if rows = append(rows, r); len(rows) < sweepBatch {
			return nil
		}
		return flush()
	}
	decode := func(k, v []byte) (*sweptRow[T], error) {
		of, err := t.decode(k, v)
		return &sweptRow[T]{key: bytes.Clone(k), value: bytes.Clone(v), was: of}, err
	}
	damaged := eachKey(t.d, t.find, t.maxKey, pageStamps, t.what, decode, look)
	if damaged != nil && !isCorrupt(damaged) {
		return done, damaged
	}
	for len(rows) > 0 || len(again) > 0 {
		if len(rows) > 0 {
			if err := flush(); err != nil {
				return done, err
			}
		}
		keys := again
		again = nil
		for _, k := range keys {
			var r *sweptRow[T]
			err := t.d.view(func(tx *bolt.Tx) (err error) {
				if v := t.find(tx).Get(k); v != nil {
					r, err = decode(k, v)
				}
				return err
			})
			if err == nil && r != nil {
				err = look(r)
			}
			if err != nil {
				return done, err
			}
		}
	}
	return done, damaged
}

// SweepJournal looks at each record of the journal and changes or drops those that judge says; it must leave ID and time alone. Records still
// in the queue of the running journal are not there yet (see Journal.Flush).
func (d *DB) SweepJournal(judge func(*Record) Fate) (Swept, error) {
	t := table[Record]{
		d: d, what: "records of the journal", maxKey: ulid.EncodedSize, decode: decodeRecord,
		find: func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(bucketJournal) },
		write: func(tx *bolt.Tx, rows []*sweptRow[Record]) error {
			j, err := d.journalTx(tx)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if r.drop {
					if err := j.delete(r.key, r.value); err != nil {
						return err
					}
					continue
				}
				r.is.bound()
				value, err := r.is.MarshalJSON()
				if err != nil {
					return err
				}
				if err := j.put(&r.is, value); err != nil {
					return err
				}
			}
			return j.done()
		},
	}
	done, err := t.sweep(judge)
	if err != nil {
		err = explain("going through the journal", err)
	}
	return done, err
}

// SweepStamps looks at each fact of a table; judge may change its key.
func (d *DB) SweepStamps(of StampTable, judge func(*Stamp) Fate) (Swept, error) {
	t := table[Stamp]{
		d: d, what: "learnt facts (" + of.String() + ")", maxKey: MaxStampKey, decode: decodeStamp,
		find: func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(of.bucket()) },
		write: func(tx *bolt.Tx, rows []*sweptRow[Stamp]) error {
			b := tx.Bucket(of.bucket())
			for _, r := range rows {
				if err := b.Delete(r.key); err != nil {
					return err
				}
				if r.drop || len(r.is.Key) > MaxStampKey {
					continue
				}
				at := r.is.At.UnixMilli()
				if old := b.Get([]byte(r.is.Key)); old != nil {
					if s, err := decodeStamp([]byte(r.is.Key), old); err == nil {
						at = max(at, s.At.UnixMilli())
					}
				}
				if err := b.Put([]byte(r.is.Key), strconv.AppendInt(nil, at, 10)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	done, err := t.sweep(judge)
	if err != nil {
		err = explain("going through what was learnt ("+of.String()+")", err)
	}
	return done, err
}

// SweepReports looks at each report; judge may change its caller.
func (d *DB) SweepReports(judge func(*Report) Fate) (Swept, error) {
	t := table[Report]{
		d: d, what: "reports", maxKey: ulid.EncodedSize, decode: decodeReport,
		find: func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(bucketReports).Bucket(partAll) },
		write: func(tx *bolt.Tx, rows []*sweptRow[Report]) error {
			b := tx.Bucket(bucketReports)
			count, err := d.reportCount(tx)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if err := sweepReport(b, r, &count); err != nil {
					return err
				}
			}
			return putJSON(tx.Bucket(bucketMeta), string(keyReports), count)
		},
	}
	done, err := t.sweep(judge)
	if err != nil {
		err = explain("going through the reports", err)
	}
	return done, err
}

func sweepReport(b *bolt.Bucket, r *sweptRow[Report], count *reportCount) error {
	if !r.drop {
		if err := checkReport(&r.is); err != nil {
			return err
		}
	}
	open := r.was.State == ReportOpen
	if open {
		if err := b.Bucket(partOpen).Delete(r.was.openKey()); err != nil {
			return err
		}
	}
	switch {
	case !r.drop && open:
		if err := b.Bucket(partOpen).Put(r.is.openKey(), r.key); err != nil {
			return err
		}
		fallthrough
	case !r.drop:
		return putJSON(b.Bucket(partAll), string(r.key), r.is)
	case open:
		count.Open--
	default:
		count.Decided--
		if err := b.Bucket(partDecided).Delete(r.key); err != nil {
			return err
		}
	}
	return b.Bucket(partAll).Delete(r.key)
}

func isCorrupt(err error) bool { f, ok := err.(*fault); return ok && f.kind == ErrCorrupt }
