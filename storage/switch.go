package storage

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// switchOver makes what was written the list, with what others changed of it meanwhile.
func (s *stage) switchOver(tx *bolt.Tx) error {
	d, r := s.d, &s.record
	meta, _, err := d.newList(tx, r.List)
	if err != nil {
		return err
	}
	lists := tx.Bucket(bucketEntries)
	oldKey := meta.bucket(r.List)
	anew := lists.Bucket(entriesKey(r.List, r.ID))
	m := merger{tick: s.m.tick, oldest: s.m.oldest, forgotten: s.m.forgotten, sizes: s.sizes, took: s.m.took, highest: s.m.highest, stones: s.m.stones}
	if touched := d.importing.Load().touched; len(touched) > 0 {
		if err := s.keepTouched(tx, &m, lists.Bucket(oldKey), anew, touched); err != nil {
			return err
		}
	}
	if lists.Bucket(oldKey) != nil {
		if err := lists.DeleteBucket(oldKey); err != nil {
			return err
		}
	}
	now, had := millis(d.now()), meta.Entries
	meta.Entries, meta.Records, meta.Deleted, meta.Changed, meta.Built = 0, 0, 0, now, r.ID
	meta.take(&m)
	if err := d.checkSize(r.List, had, meta.Entries); err != nil {
		return err
	}
	if err := d.tookOver(tx, r, &m); err != nil {
		return err
	}
	if err := putList(tx, r.List, meta); err != nil {
		return err
	}
	r.Time = now
	if err := tx.Bucket(bucketMeta).Delete(keyStaged); err != nil {
		return err
	}
	return d.putChange(tx, *r)
}

// keepTouched copies the records that others changed meanwhile from the old list to the new one, tombstones included.
func (s *stage) keepTouched(tx *bolt.Tx, m *merger, old, anew *bolt.Bucket, touched map[recordOf]struct{}) error {
	order := make([]recordOf, 0, len(touched))
	for of := range touched {
		order = append(order, of)
	}
	slices.SortFunc(order, func(a, b recordOf) int {
		return (&edit{pattern: a.pattern, key: a.key}).compare(&edit{pattern: b.pattern, key: b.key})
	})
	was, is := finder{bucket: old, columns: 1}, finder{bucket: anew, columns: 1}
	edits := make([]edit, 0, len(order))
	for _, of := range order {
		rows, err := was.find(of.pattern)
		if err != nil {
			return corrupt(s.d.file, err)
		}
		e := edit{pattern: of.pattern, key: of.key, copied: true}
		if at := recordAt(rows, of.key); at >= 0 {
			e.to = rows[at].now
		}
		if s.record.Node != "" && e.to != nil { // what another node says counts if it was written later, whoever came first
			theirs, err := is.find(of.pattern)
			if err != nil {
				return corrupt(s.d.file, err)
			}
			if at := recordAt(theirs, of.key); at >= 0 && theirs[at].now.stamp.Compare(e.to.stamp) > 0 {
				if err := s.relog(tx, listRow{of.pattern, theirs[at].now.alive(), e.to.alive()}, of); err != nil {
					return err
				}
				continue
			}
		}
		edits = append(edits, e)
		if err := s.unlog(tx, of, rows); err != nil {
			return err
		}
	}
	_, err := s.d.changeBlocks(anew, m, edits)
	return err
}

// recordAt is the place of a source's record among the rows of a pattern; -1 if it has none.
func recordAt(rows []listRow, key sourceKey) int {
	return slices.IndexFunc(rows, func(r listRow) bool { return r.key() == key })
}

// logged gives the block of the import's log that has a record, or would have it: its key, nil if there is none, its rows, and the record's place.
func (s *stage) logged(tx *bolt.Tx, of recordOf) (k []byte, rows []listRow, at int, there bool, err error) {
	id := changeKey(s.record.ID)
	key := append(bytes.Clone(id), of.pattern...)
	k, v := blockOf(tx.Bucket(bucketChanged).Cursor(), key)
	if k == nil || !bytes.HasPrefix(k, id) || bytes.Compare(k, key) > 0 {
		return nil, nil, 0, false, nil
	}
	if rows, err = decodeBlock(nil, k[len(id):], v, 2); err != nil {
		return nil, nil, 0, false, corrupt(s.d.file, err)
	}
	at, there = slices.BinarySearchFunc(rows, of, func(r listRow, of recordOf) int {
		return cmp.Or(strings.Compare(r.pattern, of.pattern), r.key().compare(of.key))
	})
	return bytes.Clone(k), rows, at, there, nil
}

// relog has the log say what became of a record that others changed meanwhile: nothing, if it was not there and is not.
func (s *stage) relog(tx *bolt.Tx, row listRow, of recordOf) error {
	k, rows, at, there, err := s.logged(tx, of)
	if err != nil {
		return err
	}
	if there {
		rows = slices.Delete(rows, at, at+1)
		s.record.Rows--
	}
	if row.now != nil || row.before != nil {
		rows = slices.Insert(rows, at, row)
		s.record.Rows++
	}
	return replaceBlock(tx.Bucket(bucketChanged), changeKey(s.record.ID), k, appendBlocks(nil, rows, 2))
}

// unlog takes a record out of what the import says it changed. rows are those that the list has of its pattern.
func (s *stage) unlog(tx *bolt.Tx, of recordOf, rows []listRow) error {
	k, logged, at, there, err := s.logged(tx, of)
	if err != nil || !there {
		return err
	}
	r := &s.record
	r.Rows--
	switch l := &logged[at]; {
	case l.now == nil:
		r.Removed--
	case l.before != nil:
		r.Updated--
	case r.Kind == KindUndo:
		r.Added--
	default: // as it was counted, if the other sources have not changed
		others := slices.DeleteFunc(slices.Clone(rows), func(r listRow) bool { return r.key() == of.key })
		switch joins(l.now, others) {
		case Added:
			r.Added--
		case Updated:
			r.Updated--
		case Joined:
			r.Joined--
		}
	}
	return replaceBlock(tx.Bucket(bucketChanged), changeKey(r.ID), k, appendBlocks(nil, slices.Delete(logged, at, at+1), 2))
}
