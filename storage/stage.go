package storage

import (
	"errors"

	bolt "go.etcd.io/bbolt"
)

// stageBytes is how much of an import one transaction writes; edits and the journal wait that long.
const stageBytes = 2 << 20

// importing is an import under way: what others change of its list meanwhile.
type importing struct {
	list    string
	touched map[recordOf]struct{}
}

// staged is what the file keeps of an import under way, to be cleared away after a crash.
type staged struct {
	Change uint64 `json:"change"`
	List   string `json:"list"`
	Node   string `json:"node,omitempty"` // of what comes from another node, whose
}

var keyStaged = []byte("staged")

// stage is an import that builds its list anew beside the old one.
type stage struct {
	d      *DB
	record ChangeRecord
	dry    bool
	commit func(do func() (ChangeRecord, error)) error
	edits  *editQueue
	ended  *error // what ended the edits, if not their end

	m      merger
	stamps stamper
	isNew  bool // there is no such list yet

	rows, log  []listRow // not packed yet
	list, logs []block   // packed, not written yet
	bytes      int
	sizes      sizes // of the list anew
	merged     []listRow
}

func (s *stage) run() (err error) {
	if !s.dry {
		if err := s.begin(); err != nil {
			return err
		}
		done := false
		defer func() {
			s.d.importing.Store(nil)
			if !done || err != nil {
				id := s.record.ID
				s.record.ID = 0
				if e := s.d.update(func(tx *bolt.Tx) error { return clearStage(tx, staged{Change: id, List: s.record.List}) }); e != nil && err == nil {
					err = e
				}
			}
		}()
		defer func() { done = s.changed() }()
	}
	if err := s.merge(); err != nil {
		return err
	}
	s.record.count(s.m.told)
	s.record.Took = s.m.took
	if s.dry || !s.changed() {
		return nil
	}
	s.pack(true)
	if err := s.flush(); err != nil {
		return err
	}
	return s.commit(func() (ChangeRecord, error) {
		err := s.d.edit(s.switchOver)
		return s.record, err
	})
}

// changed reports whether there is anything to switch over to.
func (s *stage) changed() bool { return s.record.Rows > 0 || s.isNew || s.m.took > 0 }

// begin takes the id and the stamp of the change, and notes that it is under way. From then on, what others change is noted.
func (s *stage) begin() error {
	d := s.d
	err := d.edit(func(tx *bolt.Tx) error {
		meta, isNew, err := d.newList(tx, s.record.List)
		if err != nil {
			return err
		}
		state, err := d.changeState(tx)
		if err != nil {
			return err
		}
		tick, err := d.tick(tx)
		if err != nil {
			return err
		}
		state.Next++
		if s.record.ID, s.isNew = state.Next, isNew; s.record.Node == "" {
			s.record.Stamp = tick
		}
		s.stamps = stamper{unit: s.record.ID, tick: tick}
		s.m.tick, s.m.oldest, s.m.room = tick, d.forgetBefore(), d.maxDeleted-meta.Deleted
		d.importing.Store(&importing{s.record.List, map[recordOf]struct{}{}})
		if err := putJSON(tx.Bucket(bucketMeta), string(keyChanges), state); err != nil {
			return err
		}
		return putJSON(tx.Bucket(bucketMeta), string(keyStaged), staged{s.record.ID, s.record.List, s.record.Node})
	})
	if err != nil {
		d.importing.Store(nil)
	}
	return err
}

// merge goes through the list as it is and the edits, both in order.
func (s *stage) merge() error {
	var damage damage
	var edits []edit
	err := s.d.rows(s.record.List, &damage, func(rows []listRow) error {
		edits = s.edits.take(edits[:0], rows[len(rows)-1].pattern, 0)
		return s.step(rows, edits)
	})
	if err != nil && !errors.Is(err, ErrNoList) {
		return err
	}
	if err := damage.err(s.d.file, "blocks of entries of the list "+s.record.List); err != nil {
		return err
	}
	for {
		edits = s.edits.take(edits[:0], "", pageBlocks*blockRows)
		if err := s.step(nil, edits); err != nil {
			return err
		}
		if len(edits) == 0 {
			return *s.ended
		}
	}
}

// step merges some rows of the list, which may be none, with the edits of their patterns.
func (s *stage) step(rows []listRow, edits []edit) error {
	if s.edits.bad != nil {
		return s.edits.bad
	}
	for i := range edits {
		s.stamps.stamp(&edits[i])
	}
	had := len(s.log)
	s.merged, s.log = s.m.merge(s.merged[:0], s.log, rows, edits)
	s.record.Rows += len(s.log) - had
	if s.dry {
		s.log = s.log[:0]
		return nil
	}
	s.rows = append(s.rows, s.m.prune(s.merged)...)
	s.pack(false)
	if s.bytes >= s.d.stageBytes {
		return s.flush()
	}
	return nil
}

// pack makes blocks of the rows that fill some, or of all.
func (s *stage) pack(all bool) {
	s.rows = s.packRows(&s.list, s.rows, 1, all)
	s.log = s.packRows(&s.logs, s.log, 2, all)
}

// packRows does it to rows of one kind, and gives what is left of them.
func (s *stage) packRows(to *[]block, rows []listRow, columns int, all bool) []listRow {
	from, at := len(*to), 0
	for len(rows)-at > blockRows || all && at < len(rows) {
		n := wholePatterns(rows[at:], min(blockRows, len(rows)-at))
		if columns == 1 {
			s.count(rows[at : at+n])
		}
		*to = appendBlocks(*to, rows[at:at+n], columns)
		at += n
	}
	for _, b := range (*to)[from:] {
		s.bytes += len(b.key) + len(b.value)
	}
	return append(rows[:0], rows[at:]...)
}

// count adds rows to the size of the list anew.
func (s *stage) count(rows []listRow) {
	for i, end := 0, 0; i < len(rows); i = end {
		for end = i + 1; end < len(rows) && rows[end].pattern == rows[i].pattern; {
			end++
		}
		s.sizes.add(rows[i:end], 1)
	}
}

// flush writes the blocks where nobody looks.
func (s *stage) flush() error {
	err := s.d.update(func(tx *bolt.Tx) error {
		b, err := tx.Bucket(bucketEntries).CreateBucketIfNotExists(entriesKey(s.record.List, s.record.ID))
		if err != nil {
			return err
		}
		b.FillPercent = 0.95 // they come in order
		for _, bl := range s.list {
			if err := b.Put(bl.key, bl.value); err != nil {
				return err
			}
		}
		b = tx.Bucket(bucketChanged)
		b.FillPercent = 0.95
		for _, bl := range s.logs {
			if err := b.Put(append(changeKey(s.record.ID), bl.key...), bl.value); err != nil {
				return err
			}
		}
		return nil
	})
	s.list, s.logs, s.bytes = s.list[:0], s.logs[:0], 0
	return err
}

// clearStage removes what an import wrote that did not come to its end.
func clearStage(tx *bolt.Tx, s staged) error {
	lists := tx.Bucket(bucketEntries)
	var meta listMeta
	if v := tx.Bucket(bucketLists).Get([]byte(s.List)); v != nil {
		if err := decodeMeta([]byte(s.List), v, &meta); err != nil {
			return err
		}
	}
	if meta.Built == s.Change { // it did, though the disk said it did not
		return tx.Bucket(bucketMeta).Delete(keyStaged)
	}
	if key := entriesKey(s.List, s.Change); lists.Bucket(key) != nil {
		if err := lists.DeleteBucket(key); err != nil {
			return err
		}
	}
	if err := dropLog(tx, changeKey(s.Change)); err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Delete(keyStaged)
}
