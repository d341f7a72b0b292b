package storage

import (
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Hit says how often an entry decided calls, and when it did last.
type Hit struct {
	List, Pattern string
	Count         uint64
	Last          time.Time
}

func hitKey(list, pattern string) []byte {
	return append(append([]byte(list), 0), pattern...)
}

func encodeHit(count uint64, last int64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, count), uint64(last))
}

func decodeHit(v []byte) (count uint64, last int64, ok bool) {
	r := reader{v: v}
	count, last = r.uvarint(), int64(r.uvarint())
	return count, last, !r.bad && last >= 0 && last <= maxMillis
}

// AddHits adds to the hits of entries, those of at most MaxEdit in one transaction. Hits of entries that are not there
// any more are forgotten, and an entry that was removed and added again begins anew. Call it from the background:
// it waits for the disk.
func (d *DB) AddHits(hits []Hit) error {
	if len(hits) == 0 {
		return nil
	}
	if len(hits) > MaxEdit {
		return invalid("the hits of %d entries are too many for one write: at most %d", len(hits), MaxEdit)
	}
	err := d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketHits)
		for _, h := range hits {
			of, err := d.finder(tx, h.List)
			if err != nil {
				return err
			}
			rows, err := of.find(h.Pattern)
			if err != nil {
				return corrupt(d.file, err)
			}
			key, added := hitKey(h.List, h.Pattern), firstAdded(appendRecords(nil, rows))
			if added == 0 {
				if err := b.Delete(key); err != nil {
					return err
				}
				continue
			}
			count, last, ok := decodeHit(b.Get(key))
			if !ok || last < added {
				count, last = 0, 0
			}
			if err := b.Put(key, encodeHit(count+h.Count, max(last, toMillis(h.Last)))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return explain("writing the hits of list entries", err)
	}
	return nil
}

// firstAdded is since when an entry with these records is on its list, in milliseconds since 1970; 0 if it is not.
func firstAdded(records []Entry) (first int64) {
	for i := range records {
		if added := toMillis(records[i].Added); first == 0 || added < first {
			first = added
		}
	}
	return first
}

// addHits completes entries, which are in order, with their hits.
func (d *DB) addHits(list string, es []Entry) error {
	return d.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketHits)
		if b == nil || len(es) == 0 {
			return nil
		}
		c := b.Cursor()
		k, v := c.Seek(hitKey(list, es[0].Pattern))
		for i, end := 0, 0; i < len(es); i = end {
			for end = i + 1; end < len(es) && es[end].Pattern == es[i].Pattern; {
				end++
			}
			want := string(hitKey(list, es[i].Pattern))
			if k == nil {
				return nil
			}
			if string(k) < want {
				if k, v = c.Next(); k != nil && string(k) < want {
					k, v = c.Seek([]byte(want))
				}
			}
			if string(k) != want {
				continue
			}
			count, last, ok := decodeHit(v)
			if !ok {
				return corrupt(d.file, fmt.Errorf("the hits of %q cannot be read", short(k)))
			}
			if last < firstAdded(es[i:end]) {
				continue
			}
			for ; i < end; i++ {
				es[i].Hits, es[i].LastHit = count, fromMillis(last)
			}
		}
		return nil
	})
}
