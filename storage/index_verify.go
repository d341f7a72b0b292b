package storage

import (
	"fmt"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// indexVerifier holds the journal's index against the records, which it is given in their order.
type indexVerifier struct {
	c     *bolt.Cursor // nil: there is no index to hold against them
	from  ulid.ULID
	rows  []Outline // of the block in hand that are not met yet
	last  ulid.ULID
	fault func(error)
}

func newIndexVerifier(tx *bolt.Tx, size *journalSize, fault func(error)) *indexVerifier {
	v := &indexVerifier{fault: fault}
	from, ok := size.from()
	b := tx.Bucket(bucketIndex)
	if !ok || b == nil {
		return v
	}
	v.c, v.from = b.Cursor(), from
	v.block(v.c.First())
	return v
}

// block takes the next block in hand.
func (v *indexVerifier) block(key, value []byte) {
	for v.rows = v.rows[:0]; key != nil && len(v.rows) == 0; {
		var ok bool
		if v.rows, ok = decodeOutlines(v.rows, value); !ok {
			v.fault(fmt.Errorf("block %x cannot be read", short(key)))
		}
		if len(v.rows) > 0 && (string(v.rows[0].id[:]) < string(key) || v.rows[0].id.Compare(v.last) < 0) {
			v.fault(fmt.Errorf("block %x is out of order", short(key)))
		}
		if len(v.rows) == 0 {
			key, value = v.c.Next()
		}
	}
}

// next takes the next outline in hand.
func (v *indexVerifier) next() {
	v.last = v.rows[0].id
	if v.rows = v.rows[1:]; len(v.rows) == 0 {
		v.block(v.c.Next())
	}
}

func (v *indexVerifier) record(r *Record) {
	want, ok := outlineOf(r)
	if v.c == nil || !ok || want.id.Compare(v.from) < 0 {
		return
	}
	for len(v.rows) > 0 && v.rows[0].id.Compare(want.id) < 0 {
		v.gone()
	}
	switch {
	case len(v.rows) == 0 || v.rows[0].id != want.id:
		v.fault(fmt.Errorf("record %s is not in it", r.ID))
		return
	case v.rows[0] != want:
		v.fault(fmt.Errorf("of record %s it has what is not so", r.ID))
	}
	v.next()
}

func (v *indexVerifier) gone() {
	v.fault(fmt.Errorf("it has the record %s, which is not there", v.rows[0].id))
	v.next()
}

// end is called behind the last record.
func (v *indexVerifier) end() {
	for v.c != nil && len(v.rows) > 0 {
		v.gone()
	}
}
