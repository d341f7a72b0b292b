package storage

import (
	"bytes"
	"slices"

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
	m := merger{tick: s.m.tick, oldest: s.m.oldest, forgo: s.m.forgo, sizes: s.sizes}
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
	was := finder{bucket: old, columns: 1}
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

// unlog takes a record out of what the import says it changed. rows are those that the list has of its pattern.
func (s *stage) unlog(tx *bolt.Tx, of recordOf, rows []listRow) error {
	b, id := tx.Bucket(bucketChanged), changeKey(s.record.ID)
	key := append(bytes.Clone(id), of.pattern...)
	k, v := blockOf(b.Cursor(), key)
	if k == nil || !bytes.HasPrefix(k, id) || bytes.Compare(k, key) > 0 {
		return nil
	}
	logged, err := decodeBlock(nil, k[len(id):], v, 2)
	if err != nil {
		return corrupt(s.d.file, err)
	}
	at := slices.IndexFunc(logged, func(r listRow) bool { return r.pattern == of.pattern && r.key() == of.key })
	if at < 0 {
		return nil
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
	return replaceBlock(b, id, bytes.Clone(k), appendBlocks(nil, slices.Delete(logged, at, at+1), 2))
}
