package storage

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// AddEntries adds records to entries of a list, which it creates if need be (also for no entries at all). It returns what
// became of each, in order: Added; Updated if the number was there with another reason or expiry; Joined if only other
// sources named it, saying the same; or Unchanged. A record that is updated keeps the time it was first added and takes all else from the
// new one. An entry without Added gets the present time.
//
// The call is one transaction: when it returns without error everything is on
// disk, and when it returns an error nothing was changed (after ErrWrite: all or
// nothing; repeat the call).
func (d *DB) AddEntries(list string, es []Entry) ([]Change, error) {
	changes, _, err := d.Add(list, es)
	return changes, err
}

// Add is AddEntries that also gives the id of the change, 0 if nothing changed.
func (d *DB) Add(list string, es []Entry) ([]Change, uint64, error) {
	if err := checkListName(list); err != nil {
		return nil, 0, err
	}
	if len(es) > MaxEdit {
		return nil, 0, invalid("%d entries are too many for one edit: add at most %d at a time", len(es), MaxEdit)
	}
	for i := range es {
		if err := checkEntry(&es[i]); err != nil {
			return nil, 0, err
		}
	}
	if len(es) == 0 {
		return []Change{}, 0, d.makeList(list)
	}
	by := By{Who: es[0].Who, From: es[0].Source}
	edits := make([]edit, len(es))
	now := millis(d.now())
	var last *sourceRecord
	for i := range es {
		last = saidBy(&es[i], now, last)
		edits[i] = edit{pattern: es[i].Pattern, key: keyOf(es[i].Origin, es[i].Source), to: last}
	}
	changes, r, err := d.change(ChangeRecord{List: list, Kind: KindAdd, By: by}, edits)
	if err != nil {
		return nil, 0, explain("adding to the list "+list, err)
	}
	return changes, r.ID, nil
}

// saidBy is what an entry says; last, if that is the same.
func saidBy(e *Entry, now time.Time, last *sourceRecord) *sourceRecord {
	added := e.Added
	if added.IsZero() {
		added = now
	}
	s := sourceRecord{
		origin: e.Origin, added: toMillis(added), updated: toMillis(now), expires: toMillis(e.Expires),
		reason: e.Reason, source: e.Source, who: e.Who,
	}
	if last != nil && *last == s {
		return last
	}
	anew := s
	return &anew
}

// RemoveEntries takes the record that a person made away from patterns of a list, and returns what became of each, in
// order: Removed or Absent. What other sources say of them stays (see Lookup). A list that does not exist has nothing to
// remove, which is no error; a list whose last entry goes stays, empty. The call is one
// transaction, as that of AddEntries.
func (d *DB) RemoveEntries(list string, patterns []string, by By) ([]Change, error) {
	changes, _, err := d.Remove(list, patterns, by, TakePersons)
	return changes, err
}

// RemoveReported is RemoveEntries for the records of reports that were confirmed.
func (d *DB) RemoveReported(list string, patterns []string, by By) ([]Change, error) {
	changes, _, err := d.Remove(list, patterns, by, TakeReported)
	return changes, err
}

// RemoveAll is RemoveEntries for the records of all sources.
func (d *DB) RemoveAll(list string, patterns []string, by By) ([]Change, error) {
	changes, _, err := d.Remove(list, patterns, by, TakeAll)
	return changes, err
}

// Take says whose records Remove takes away.
type Take uint8

const (
	TakePersons  Take = iota // those that persons made
	TakeReported             // those of reports that were confirmed
	TakeAll
)

// Remove is RemoveEntries for the records that take says. It also gives the id of the change, 0 if nothing changed.
func (d *DB) Remove(list string, patterns []string, by By, take Take) ([]Change, uint64, error) {
	if err := checkListName(list); err != nil {
		return nil, 0, err
	}
	if err := by.check(); err != nil {
		return nil, 0, err
	}
	if len(patterns) > MaxEdit {
		return nil, 0, invalid("%d patterns are too many for one edit: remove at most %d at a time", len(patterns), MaxEdit)
	}
	one := edit{all: take == TakeAll}
	switch take {
	case TakePersons:
		one.key = keyOf(FromPerson, "")
	case TakeReported:
		one.key = keyOf(FromReport, "")
	}
	edits := make([]edit, len(patterns))
	for i, p := range patterns {
		edits[i] = one
		edits[i].pattern = p
	}
	changes, r, err := d.change(ChangeRecord{List: list, Kind: KindRemove, By: by}, edits)
	if err != nil {
		return nil, 0, explain("removing from the list "+list, err)
	}
	return changes, r.ID, nil
}

// change makes an edit of at most MaxEdit records, in one transaction. They may come in any order; what became
// of each comes back in theirs. The id is 0 if nothing changed.
func (d *DB) change(r ChangeRecord, edits []edit) ([]Change, ChangeRecord, error) {
	changes := make([]Change, len(edits))
	order := make([]int, len(edits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return edits[a].compare(&edits[b]) })
	sorted := make([]edit, len(edits))
	for i, at := range order {
		sorted[i] = edits[at]
	}
	err := d.edit(func(tx *bolt.Tx) error {
		if r.Kind == KindRemove && r.Node == "" && tx.Bucket(bucketLists).Get([]byte(r.List)) == nil {
			for i := range changes {
				changes[i] = Absent
			}
			return errNothing
		}
		r.Skipped = 0
		return d.changeTx(tx, &r, slices.Clone(sorted), func(i int, _ string, c Change) {
			if changes[order[i]] = c; c == Kept {
				r.Skipped++
			}
		})
	})
	if err == errNothing {
		r.ID = 0
		return changes, r, nil
	}
	if err != nil {
		return nil, ChangeRecord{}, err
	}
	return changes, r, nil
}

// changeTx is change in its transaction, with the edits in order.
func (d *DB) changeTx(tx *bolt.Tx, r *ChangeRecord, edits []edit, tell func(int, string, Change)) error {
	meta, isNew, err := d.newList(tx, r.List)
	if err != nil {
		return err
	}
	b, err := tx.Bucket(bucketEntries).CreateBucketIfNotExists(meta.bucket(r.List))
	if err != nil {
		return err
	}
	if r.ID, err = d.nextChange(tx); err != nil {
		return err
	}
	tick, err := d.tick(tx)
	if err != nil {
		return err
	}
	m := d.newMerger(&meta, tick)
	var taken []recordOf // of other nodes' rows
	m.tell = func(i int, pattern string, c Change) {
		if edits[i].foreign && c != Unchanged {
			taken = append(taken, recordOf{pattern, edits[i].key})
		}
		tell(i, pattern, c)
	}
	stamps := stamper{unit: r.ID, tick: tick}
	for i := range edits {
		stamps.stamp(&edits[i])
	}
	log, err := d.changeBlocks(b, m, edits)
	if err != nil {
		return err
	}
	if len(log) == 0 && !isNew && m.took == 0 && m.forgotten.Compare(meta.Forgotten) <= 0 {
		return errNothing
	}
	now := millis(d.now())
	had := meta.Entries
	meta.take(m)
	if err := d.checkSize(r.List, had, meta.Entries); err != nil {
		return err
	}
	if err := d.tookOver(tx, r, m); err != nil {
		return err
	}
	d.touch(r.List, log, taken)
	if len(log) == 0 && !isNew { // tombstones of what was not there: no entry has changed
		r.ID = 0
		return putJSON(tx.Bucket(bucketLists), r.List, meta)
	}
	meta.Changed = now
	if err := putList(tx, r.List, meta); err != nil {
		return err
	}
	if len(log) == 0 { // the list is there now, which is all
		r.ID = 0
		return nil
	}
	if r.Time, r.Rows = now, len(log); r.Node == "" {
		r.Stamp = tick
	}
	r.Line = lineOfLog(r.List, log)
	r.count(m.told)
	if err := putLog(tx, r.ID, log); err != nil {
		return err
	}
	return d.putChange(tx, *r)
}

// newMerger makes a merger for a change of a list.
func (d *DB) newMerger(meta *listMeta, tick Tick) *merger {
	return &merger{tick: tick, oldest: d.forgetBefore(), room: d.maxDeleted - meta.Deleted}
}

// take notes with a list what a merger made of it.
func (l *listMeta) take(m *merger) {
	l.Entries += m.sizes.entries
	l.Records += m.sizes.records
	l.Deleted += m.sizes.deleted
	l.Forgotten = later(l.Forgotten, m.forgotten)
	switch oldest := cmp.Or(m.stones, m.tick.Wall); {
	case l.Deleted == 0:
		l.OldestDeleted = 0
	case l.OldestDeleted == 0, oldest < l.OldestDeleted:
		l.OldestDeleted = oldest
	}
}

// changeBlocks applies edits, ascending, to a list's blocks and gives what changed.
func (d *DB) changeBlocks(b *bolt.Bucket, m *merger, edits []edit) (log []listRow, err error) {
	var rows, merged []listRow
	for len(edits) > 0 {
		c := b.Cursor()
		k, v := blockOf(c, []byte(edits[0].pattern))
		k = bytes.Clone(k)
		mine := len(edits) // those before the next block
		rows = rows[:0]
		if k != nil {
			if rows, err = decodeBlock(rows, k, v, 1); err != nil {
				return nil, corrupt(d.file, err)
			}
			if next, _ := c.Next(); next != nil {
				mine, _ = slices.BinarySearchFunc(edits, string(next), func(e edit, p string) int { return strings.Compare(e.pattern, p) })
			}
			if mine == 0 {
				return nil, corrupt(d.file, errBlock)
			}
		}
		had, copied, took, sizes := len(log), edits[0].copied, m.took, m.sizes
		merged, log = m.merge(merged[:0], log, rows, edits[:mine])
		edits = edits[mine:]
		if len(log) == had && !copied && m.took == took {
			m.sizes = sizes // old tombstones stay where nothing is written
			continue
		}
		if err := replaceBlock(b, nil, k, appendBlocks(nil, m.prune(merged), 1)); err != nil {
			return nil, err
		}
	}
	return log, nil
}

// replaceBlock puts blocks in the place of the one with a key, nil if there is none. The keys of blocks are behind a prefix.
func replaceBlock(b *bolt.Bucket, prefix, key []byte, blocks []block) error {
	if key != nil && (len(blocks) == 0 || !bytes.Equal(key, append(bytes.Clone(prefix), blocks[0].key...))) {
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	for _, bl := range blocks {
		if err := b.Put(append(bytes.Clone(prefix), bl.key...), bl.value); err != nil {
			return err
		}
	}
	return nil
}

// recordOf names one source's record of a pattern.
type recordOf struct {
	pattern string
	key     sourceKey
}

// touch tells an import of the list under way which records an edit changed: those of its log, and what it took of another node.
// The caller has the turn to edit.
func (d *DB) touch(list string, log []listRow, taken []recordOf) {
	i := d.importing.Load()
	if i == nil || i.list != list {
		return
	}
	for _, l := range log {
		i.touched[recordOf{l.pattern, l.key()}] = struct{}{}
	}
	for _, of := range taken {
		i.touched[of] = struct{}{}
	}
}
