package storage

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// ImportRow is one entry to add, or with Remove one that shall not be there.
type ImportRow struct {
	Entry
	Remove bool
}

// ImportOptions say how to import.
type ImportOptions struct {
	By
	Source string // the file, for the record
	DryRun bool   // only find out what would be done
	// Commit, if set, is called when all is ready, to call do, which makes it count. So the caller can keep others
	// from editing until it has done its own part of the change.
	Commit func(do func() (ChangeRecord, error)) error
	// Tell, if set, is told what becomes of each row; all of it is void if Import fails.
	Tell func(pattern string, c Change)
}

// stageBytes is how much of an import one transaction writes; edits and the journal wait that long.
const stageBytes = 2 << 20

// Import makes any number of changes to a list, which it creates if need be. rows must come in the order of the
// patterns' bytes, each pattern once. Of each entry becomes what AddEntries makes of it.
//
// All counts from one moment on, or nothing does: what is written before that is not seen by anyone, and is gone
// after a crash. Other edits go on meanwhile. One that hits the same entry in that time stays, and the import leaves
// that entry alone. There is one import at a time; another gives ErrBusy. The id of the record is 0 if nothing changed.
func (d *DB) Import(list string, rows iter.Seq[ImportRow], o ImportOptions) (ChangeRecord, error) {
	if err := checkListName(list); err != nil {
		return ChangeRecord{}, err
	}
	if err := o.By.check(); err != nil {
		return ChangeRecord{}, err
	}
	now := millis(d.now())
	var ended error
	wishes := func(yield func(wish) bool) {
		var last *said
		for r := range rows {
			if ended = checkEntry(&r.Entry); ended != nil {
				return
			}
			w := wish{pattern: r.Pattern}
			if !r.Remove {
				last = saidBy(&r.Entry, now, last)
				w.to = last
			}
			if !yield(w) {
				return
			}
		}
	}
	r, err := d.apply(ChangeRecord{List: list, Kind: KindImport, By: o.By, Source: o.Source}, wishes, &ended, o)
	if err != nil {
		return r, explain("importing to the list "+list, err)
	}
	return r, nil
}

// Undo makes what a change did undone, as one change of its own: each entry says again what it said before, unless it
// was changed since, in which case it stays and is counted as skipped. A change can be undone once; undoing
// the undo does it again. ErrNoChange if it is not kept, or not any more.
//
// Commit is that of ImportOptions and may be nil.
func (d *DB) Undo(id uint64, by By, commit func(do func() (ChangeRecord, error)) error) (ChangeRecord, error) {
	if err := by.check(); err != nil {
		return ChangeRecord{}, err
	}
	of, err := d.ChangeOf(id)
	if err != nil {
		return ChangeRecord{}, err
	}
	if of.Undone != 0 {
		return ChangeRecord{}, invalid("change %d is undone already, by change %d: undo that one to have it again", id, of.Undone)
	}
	var ended error
	wishes := func(yield func(wish) bool) {
		ended = d.changedRows(id, func(rows []listRow) error {
			for _, r := range rows {
				if !yield(wish{pattern: r.pattern, undo: true, from: r.now, to: r.before}) {
					return errNothing
				}
			}
			return nil
		})
	}
	r, err := d.apply(ChangeRecord{List: of.List, Kind: KindUndo, By: by, Undoes: id}, wishes, &ended, ImportOptions{Commit: commit})
	if err != nil {
		return r, explain(fmt.Sprintf("undoing change %d", id), err)
	}
	return r, nil
}

// apply makes any number of wishes come true, ascending by pattern. ended says what ended them, if not their end.
func (d *DB) apply(r ChangeRecord, wishes iter.Seq[wish], ended *error, o ImportOptions) (ChangeRecord, error) {
	if o.Commit == nil {
		o.Commit = func(do func() (ChangeRecord, error)) error { _, err := do(); return err }
	}
	select {
	case d.imports <- struct{}{}:
		defer func() { <-d.imports }()
	default:
		return ChangeRecord{}, &fault{kind: ErrBusy, text: "another import or undo is under way: try again when it is done"}
	}
	next, stop := iter.Pull(wishes)
	defer stop()
	var few []wish
	for len(few) < d.maxEdit {
		w, ok := next()
		if !ok {
			break
		}
		if len(few) > 0 && few[len(few)-1].pattern >= w.pattern {
			return ChangeRecord{}, invalid("the pattern %.40q comes after %.40q: an import must be in order", w.pattern, few[len(few)-1].pattern)
		}
		few = append(few, w)
	}
	if *ended != nil {
		return ChangeRecord{}, *ended
	}
	if len(few) < d.maxEdit && !o.DryRun {
		var changes []Change
		err := o.Commit(func() (_ ChangeRecord, err error) {
			changes, r, err = d.changeFor(r, few)
			return r, err
		})
		if err == nil && o.Tell != nil {
			for i, c := range changes {
				o.Tell(few[i].pattern, c)
			}
		}
		return r, err
	}
	s := &stage{d: d, record: r, dry: o.DryRun, commit: o.Commit}
	s.m.tell = func(_ int, pattern string, c Change) {
		if c == Kept {
			s.record.Skipped++
		}
		if o.Tell != nil {
			o.Tell(pattern, c)
		}
	}
	err := s.run(func() (w wish, ok bool) {
		if len(few) > 0 {
			w, few = few[0], few[1:]
			return w, true
		}
		return next()
	}, ended)
	return s.record, err
}

// importing is an import under way: what others change of its list meanwhile.
type importing struct {
	list    string
	touched map[string]struct{}
}

// staged is what the file keeps of an import under way, to be cleared away after a crash.
type staged struct {
	Change uint64 `json:"change"`
	List   string `json:"list"`
}

var keyStaged = []byte("staged")

// stage is an import that builds its list anew beside the old one.
type stage struct {
	d      *DB
	record ChangeRecord
	dry    bool
	commit func(do func() (ChangeRecord, error)) error
	m      merger

	rows, log  []listRow // not packed yet
	list, logs []block   // packed, not written yet
	bytes      int
	entries    int // in the list anew
	logged     int
	merged     []listRow
}

func (s *stage) run(next func() (wish, bool), ended *error) (err error) {
	d := s.d
	isNew := false
	if !s.dry {
		err = d.edit(func(tx *bolt.Tx) error {
			if _, isNew, err = d.newList(tx, s.record.List); err != nil {
				return err
			}
			state, err := d.changeState(tx)
			if err != nil {
				return err
			}
			state.Next++
			s.record.ID = state.Next
			d.importing.Store(&importing{s.record.List, map[string]struct{}{}})
			if err := putJSON(tx.Bucket(bucketMeta), string(keyChanges), state); err != nil {
				return err
			}
			return putJSON(tx.Bucket(bucketMeta), string(keyStaged), staged{s.record.ID, s.record.List})
		})
		if err != nil {
			d.importing.Store(nil)
			return err
		}
		done := false
		defer func() {
			d.importing.Store(nil)
			if !done || err != nil {
				id := s.record.ID
				s.record.ID = 0
				if e := d.update(func(tx *bolt.Tx) error { return clearStage(tx, staged{id, s.record.List}) }); e != nil && err == nil {
					err = e
				}
			}
		}()
		defer func() { done = s.m.count.any() || isNew }()
	}
	if err := s.merge(next); err != nil {
		return err
	}
	if *ended != nil {
		return *ended
	}
	s.record.Added, s.record.Updated, s.record.Removed = s.m.count.added, s.m.count.updated, s.m.count.removed
	if s.dry || !s.m.count.any() && !isNew {
		return nil
	}
	s.pack(true)
	if err := s.flush(); err != nil {
		return err
	}
	return s.commit(func() (ChangeRecord, error) {
		err := d.edit(s.switchOver)
		return s.record, err
	})
}

// merge goes through the list as it is and the wishes, both in order.
func (s *stage) merge(next func() (wish, bool)) error {
	stamps := stamper{unit: s.record.ID}
	w, ok := next()
	last := ""
	var wishes []wish
	var bad error
	take := func(upTo string, all bool) {
		wishes = wishes[:0]
		for ok && (all && len(wishes) < pageBlocks*blockRows || !all && w.pattern <= upTo) {
			if w.pattern <= last {
				bad = invalid("the pattern %.40q comes after %.40q: an import must be in order", w.pattern, last)
				return
			}
			last = w.pattern
			stamps.stamp(&w)
			wishes = append(wishes, w)
			w, ok = next()
		}
	}
	step := func(rows []listRow) error {
		if bad != nil {
			return bad
		}
		s.merged, s.log = s.m.merge(s.merged[:0], s.log, rows, wishes)
		s.entries += len(s.merged)
		if s.dry {
			s.log = s.log[:0]
			return nil
		}
		s.rows = append(s.rows, s.merged...)
		s.pack(false)
		if s.bytes >= s.d.stageBytes {
			return s.flush()
		}
		return nil
	}
	var damage damage
	err := s.d.rows(s.record.List, &damage, func(rows []listRow) error {
		take(rows[len(rows)-1].pattern, false)
		return step(rows)
	})
	if err != nil && !errors.Is(err, ErrNoList) {
		return err
	}
	if err := damage.err(s.d.file, "blocks of entries of the list "+s.record.List); err != nil {
		return err
	}
	for ok && bad == nil {
		take("", true)
		if err := step(nil); err != nil {
			return err
		}
	}
	return bad
}

// pack makes blocks of the rows that fill some, or of all.
func (s *stage) pack(all bool) {
	for _, q := range [...]struct {
		rows    *[]listRow
		blocks  *[]block
		columns int
		count   *int
	}{{&s.rows, &s.list, 1, nil}, {&s.log, &s.logs, 2, &s.logged}} {
		n := len(*q.rows)
		if !all {
			n -= n % blockRows
		}
		from := len(*q.blocks)
		for at := 0; at < n; at += blockRows {
			*q.blocks = appendBlocks(*q.blocks, (*q.rows)[at:min(at+blockRows, n)], q.columns)
		}
		for _, b := range (*q.blocks)[from:] {
			s.bytes += len(b.key) + len(b.value)
		}
		if q.count != nil {
			*q.count += n
		}
		*q.rows = slices.Delete(*q.rows, 0, n)
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

// switchOver makes what was written the list, with what others changed of it meanwhile.
func (s *stage) switchOver(tx *bolt.Tx) error {
	d, r := s.d, &s.record
	meta, _, err := d.newList(tx, r.List)
	if err != nil {
		return err
	}
	lists := tx.Bucket(bucketEntries)
	oldKey := meta.bucket(r.List)
	old, anew := lists.Bucket(oldKey), lists.Bucket(entriesKey(r.List, r.ID))
	if touched := d.importing.Load().touched; len(touched) > 0 {
		var wishes []wish
		for p := range touched {
			w := wish{pattern: p, undo: true}
			for _, side := range []struct {
				b  *bolt.Bucket
				to **said
			}{{old, &w.to}, {anew, &w.from}} {
				if side.b == nil {
					continue
				}
				found, _, err := findRow(side.b, nil, p, 1)
				if err != nil {
					return corrupt(d.file, err)
				}
				*side.to = found.now
			}
			wishes = append(wishes, w)
			if err := s.unlog(tx, p); err != nil {
				return err
			}
		}
		slices.SortFunc(wishes, func(a, b wish) int { return strings.Compare(a.pattern, b.pattern) })
		var m merger
		if _, err := d.changeBlocks(anew, &m, wishes); err != nil {
			return err
		}
		s.entries += m.count.added - m.count.removed
	}
	if old != nil {
		if err := lists.DeleteBucket(oldKey); err != nil {
			return err
		}
	}
	now := millis(d.now())
	meta.Entries, meta.Changed, meta.Built = s.entries, now, r.ID
	if err := putList(tx, r.List, meta); err != nil {
		return err
	}
	r.Time = now
	if err := tx.Bucket(bucketMeta).Delete(keyStaged); err != nil {
		return err
	}
	return d.putChange(tx, *r, s.logged)
}

// unlog takes a pattern out of what the import says it changed.
func (s *stage) unlog(tx *bolt.Tx, pattern string) error {
	b, id := tx.Bucket(bucketChanged), changeKey(s.record.ID)
	found, ok, err := findRow(b, id, pattern, 2)
	if err != nil || !ok {
		return err
	}
	k, v := blockOf(b.Cursor(), append(slices.Clone(id), pattern...))
	rows, err := decodeBlock(nil, k[len(id):], v, 2)
	if err != nil {
		return corrupt(s.d.file, err)
	}
	rows = slices.DeleteFunc(rows, func(r listRow) bool { return r.pattern == pattern })
	if err := b.Delete(slices.Clone(k)); err != nil {
		return err
	}
	for _, bl := range appendBlocks(nil, rows, 2) {
		if err := b.Put(append(slices.Clone(id), bl.key...), bl.value); err != nil {
			return err
		}
	}
	s.logged--
	switch {
	case found.before == nil:
		s.record.Added--
	case found.now == nil:
		s.record.Removed--
	default:
		s.record.Updated--
	}
	return nil
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
