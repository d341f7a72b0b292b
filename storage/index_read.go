package storage

import (
	"bytes"
	"context"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// indexFrom is the id from which on the index has all records; false if there is none that is true.
func (d *DB) indexFrom(tx *bolt.Tx) (ulid.ULID, bool) {
	size, err := d.journalSize(tx)
	if err != nil || tx.Bucket(bucketIndex) == nil {
		return ulid.ULID{}, false
	}
	return size.from()
}

func maxID(a, b ulid.ULID) ulid.ULID {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// left are the ids that a scan has not looked at yet: from lo on, and before hi, unless that is nil.
func (s *scan) left() (lo ulid.ULID, hi *ulid.ULID) {
	if s.from != nil {
		lo = idBound(s.from)
	}
	if s.to != nil {
		id := idBound(s.to)
		hi = &id
	}
	if s.last != nil {
		id := idBound(s.last)
		if !s.q.Newest {
			lo = maxID(lo, nextID(id))
		} else if hi == nil || id.Compare(*hi) < 0 {
			hi = &id
		}
	}
	return lo, hi
}

// idBound is the first id that is not before a key: an id, or one with a byte behind it.
func idBound(k []byte) ulid.ULID {
	id, err := ulid.ParseStrict(string(k[:min(len(k), ulid.EncodedSize)]))
	if err == nil && len(k) > ulid.EncodedSize {
		return nextID(id)
	}
	return id
}

// outlines collects the next records by the index, of ids from lo on and before hi. end says that there are no more of those.
func (s *scan) outlines(d *DB, tx *bolt.Tx, lo ulid.ULID, hi *ulid.ULID) (page []Record, end bool) {
	journal, read := tx.Bucket(bucketJournal), 0
	var key [ulid.EncodedSize]byte
	end = s.walk(d, tx, lo, hi, func(o *Outline) (enough bool) {
		o.id.MarshalTextTo(key[:]) // the size is right
		read++
		if v := journal.Get(key[:]); v != nil && len(v) <= maxValue {
			page = s.take(page, key[:], v)
		}
		s.done = s.full || s.damage.hopeless()
		return s.done || len(page) == pageRecords || read == pageScanned
	})
	return page, end
}

// walk calls look for the outlines that the sieve lets through, of ids from lo on and before hi, until it has enough or has seen as many as one
// transaction may. end says that there are no more.
func (s *scan) walk(d *DB, tx *bolt.Tx, lo ulid.ULID, hi *ulid.ULID, look func(*Outline) (enough bool)) (end bool) {
	c := tx.Bucket(bucketIndex).Cursor()
	looked := 0
	last := func(row []byte) { s.last = append(s.last[:0], ulid.ULID(row[:len(lo)]).String()...) }
	k, v := firstBlock(c, lo)
	if s.q.Newest {
		k, v = lastBlock(c, hi)
	}
	var o Outline
	for ; k != nil && looked < pageOutlines; k, v = s.nextBlock(c) {
		n, ok := countOutlines(v)
		if !ok {
			s.sieve.narrow = false // the journal itself is read from here on
			d.badIndex.Store(true)
			return false
		}
		if n == 0 {
			continue
		}
		rows := v[outlineHead:]
		first, final := rows[:outlineSize], rows[(n-1)*outlineSize:]
		edge := bytes.Compare(first[:len(lo)], lo[:]) < 0 || hi != nil && bytes.Compare(final[:len(lo)], hi[:]) >= 0
		for i := range n {
			row := rows[i*outlineSize:][:outlineSize]
			if s.q.Newest {
				row = rows[(n-1-i)*outlineSize:][:outlineSize]
			}
			if edge {
				before, behind := bytes.Compare(row[:len(lo)], lo[:]) < 0, hi != nil && bytes.Compare(row[:len(lo)], hi[:]) >= 0
				if before && s.q.Newest || behind && !s.q.Newest {
					return true
				}
				if before || behind {
					continue
				}
			}
			s.looked++
			looked++
			if !s.sieve.quick(row) {
				continue
			}
			if o.read(row); s.sieve.lets(&o) && look(&o) {
				last(row)
				return false
			}
		}
		if last(final); s.q.Newest {
			last(first)
		}
	}
	return k == nil
}

func (s *scan) nextBlock(c *bolt.Cursor) (k, v []byte) {
	if s.q.Newest {
		return c.Prev()
	}
	return c.Next()
}

// Outlines calls yield for the outlines of the records that a query asks for, some at a time, the newest first, until yield returns an error or ctx ends.
// Of texts the index has hashes: there may be others among them, one of some ten thousand. Text, Limit and Is are not asked. Records that the
// index does not have yet are read.
func (d *DB) Outlines(ctx context.Context, q Query, yield func([]Outline) error) (Looked, error) {
	q.Newest, q.Text, q.Limit, q.Is = true, "", 0, nil
	s, err := newScan(q)
	if err != nil {
		return Looked{}, err
	}
	s.sieve.narrow = true
	rows := make([]Outline, 0, outlinesPage)
	for !s.done && ctx.Err() == nil {
		rows = rows[:0]
		err := d.view(func(tx *bolt.Tx) error {
			rows = s.outlinesPage(d, tx, rows)
			return nil
		})
		if err != nil {
			return s.came(), err
		}
		if err := yield(rows); err != nil {
			return s.came(), err
		}
	}
	return s.came(), s.damage.err(d.file, "records of the journal")
}

// outlinesPage is how many outlines are given at a time.
const outlinesPage = 4096

// outlinesPage collects the next outlines, backwards.
func (s *scan) outlinesPage(d *DB, tx *bolt.Tx, rows []Outline) []Outline {
	if from, ok := d.indexFrom(tx); ok && s.sieve.narrow {
		if lo, hi := s.left(); hi == nil || from.Compare(*hi) < 0 {
			end := s.walk(d, tx, maxID(lo, from), hi, func(o *Outline) (enough bool) {
				rows = append(rows, *o)
				return len(rows) == cap(rows)
			})
			if end {
				s.last = []byte(from.String())
				s.done = lo.Compare(from) >= 0
			}
			return rows
		}
	}
	page, end := s.records(tx.Bucket(bucketJournal).Cursor(), nil)
	for i := range page {
		if o, ok := outlineOf(&page[i]); ok {
			rows = append(rows, o)
		}
	}
	s.done = s.done || end
	return rows
}

// lastBlock is the last block that may have an id before hi, firstBlock the first that may have one from lo on.
func lastBlock(c *bolt.Cursor, hi *ulid.ULID) (k, v []byte) {
	if hi == nil {
		return c.Last()
	}
	if k, _ = c.Seek(hi[:]); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func firstBlock(c *bolt.Cursor, lo ulid.ULID) (k, v []byte) {
	k, v = c.Seek(lo[:])
	if bytes.Equal(k, lo[:]) {
		return k, v
	}
	var before, value []byte
	if k == nil {
		before, value = c.Last()
	} else {
		before, value = c.Prev()
	}
	if before != nil {
		return before, value
	}
	return c.First()
}
