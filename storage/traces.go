package storage

import (
	"bytes"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// EachPattern calls yield for each pattern that lists have, or had as far as that is remembered: a pattern may come more
// than once. Those of own lists come without the line's key. What cannot be read is passed over and reported at the end.
func (d *DB) EachPattern(yield func(pattern string) error) error {
	var damage damage
	each := func(list string) func([]listRow) error {
		return func(rows []listRow) error {
			for i := range rows {
				if i > 0 && rows[i].pattern == rows[i-1].pattern {
					continue
				}
				pattern := rows[i].pattern
				if IsOwn(list) {
					_, pattern, _ = CutOwn(pattern)
				}
				if err := yield(pattern); err != nil {
					return err
				}
			}
			return nil
		}
	}
	lists, err := d.Lists()
	if err != nil {
		return err
	}
	for _, l := range lists {
		if err := d.rows(l.Name, &damage, each(l.Name)); err != nil {
			return err
		}
	}
	return joinDamage(d.Changes(func(r ChangeRecord) error { return d.changedRows(r.ID, each(r.List)) }), damage.err(d.file, "blocks of entries"))
}

func joinDamage(err, damaged error) error {
	if err != nil {
		return err
	}
	return damaged
}

// Traces are what is remembered of a pattern that is not on a list.
type Traces struct {
	Changes int // records of it in the log of changes, by which it could be undone
	Deleted int // notes that it was taken off a list
}

// ForgetTraces takes patterns out of all that is remembered of the past, for lists that do not have them: what changes did to them, which
// cannot be undone as far as that goes, that they were taken off, how often they decided. Of lists that have a pattern all of it stays. Own lists of
// lines are each a list here. With count it says what there is and changes nothing. An import or undo under way gives ErrBusy.
func (d *DB) ForgetTraces(patterns []string, count bool) (n Traces, err error) {
	end, err := d.importTurn(false)
	if err != nil {
		return n, err
	}
	defer end()
	has, gone, err := d.tracesOf(patterns)
	if err != nil {
		return n, err
	}
	for len(gone) > 0 {
		list, mine := gone[0].List, 1
		for mine < min(len(gone), sweepBatch) && gone[mine].List == list {
			mine++
		}
		deleted, err := d.forgetDeleted(list, gone[:mine], count)
		if err != nil {
			return n, explain("forgetting what was taken off the list "+list, err)
		}
		n.Deleted, gone = n.Deleted+deleted, gone[mine:]
	}
	var logged []loggedPattern
	err = d.Changes(func(r ChangeRecord) error {
		for _, pattern := range patterns {
			rows, err := d.changedIn(&r, pattern)
			if err != nil {
				return err
			}
			for i := range rows {
				if has[Place{r.List, rows[i].pattern}] {
					continue
				}
				if n.Changes++; len(logged) == 0 || logged[len(logged)-1] != (loggedPattern{r.ID, rows[i].pattern}) {
					logged = append(logged, loggedPattern{r.ID, rows[i].pattern})
				}
			}
		}
		return nil
	})
	if err != nil || count {
		return n, err
	}
	for ; len(logged) > 0; logged = logged[min(len(logged), sweepBatch):] {
		err := d.edit(func(tx *bolt.Tx) error { return d.unlogPatterns(tx, logged[:min(len(logged), sweepBatch)]) })
		if err != nil {
			return n, explain("forgetting what changes did", err)
		}
	}
	return n, nil
}

// tracesOf says where patterns are, and where it may only be remembered that they were.
func (d *DB) tracesOf(patterns []string) (has map[Place]bool, gone []Place, err error) {
	has = make(map[Place]bool)
	lists, err := d.Lists()
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lists {
		if IsOwn(l.Name) {
			continue
		}
		for _, p := range patterns {
			if at := (Place{l.Name, p}); d.HasEntry(l.Name, p) {
				has[at] = true
			} else {
				gone = append(gone, at)
			}
		}
	}
	once := make(map[Place]bool)
	err = d.eachOwn(patterns, func(at Place, alive bool) {
		if alive {
			has[at] = true
		} else {
			gone = append(gone, at)
			once[at] = true
		}
	})
	if err != nil {
		return nil, nil, err
	}
	hits, err := d.ownHits(patterns)
	for _, at := range hits {
		if !has[at] && !once[at] {
			gone = append(gone, at)
		}
	}
	return has, gone, err
}

// loggedPattern is a pattern that a change did something to.
type loggedPattern struct {
	change uint64
	text   string
}

// forgetDeleted removes tombstones and hits of patterns that a list does not have, in one transaction.
func (d *DB) forgetDeleted(list string, gone []Place, count bool) (n int, err error) {
	run := d.edit
	if count {
		run = d.view
	}
	err = run(func(tx *bolt.Tx) error {
		n = 0
		meta, _, err := d.listMeta(tx, list)
		if err != nil {
			return err
		}
		changed := false
		for _, at := range gone {
			stones, hit, err := d.forgetStones(tx, &meta, at, count)
			if err != nil {
				return err
			}
			n += stones
			changed = changed || hit || stones > 0
		}
		if count || !changed {
			return errNothing
		}
		if n == 0 {
			return nil
		}
		meta.Deleted -= n
		return putJSON(tx.Bucket(bucketLists), list, meta) // with the stamp that it has: no entry has changed
	})
	if err == errNothing {
		err = nil
	}
	return n, err
}

// forgetStones is forgetDeleted for one place, without its list's counts.
func (d *DB) forgetStones(tx *bolt.Tx, meta *listMeta, at Place, count bool) (stones int, hit bool, err error) {
	hits := tx.Bucket(bucketHits)
	if hit = !count && hits.Get(hitKey(at.List, at.Text)) != nil; hit {
		if err := hits.Delete(hitKey(at.List, at.Text)); err != nil {
			return 0, hit, err
		}
	}
	b := tx.Bucket(bucketEntries).Bucket(meta.bucket(at.List))
	if b == nil {
		return 0, hit, nil
	}
	k, v := blockOf(b.Cursor(), []byte(at.Text))
	if k == nil {
		return 0, hit, nil
	}
	rows, err := decodeBlock(nil, k, v, 1)
	if err != nil {
		return 0, hit, corrupt(d.file, err)
	}
	stay := slices.DeleteFunc(slices.Clone(rows), func(r listRow) bool { return r.pattern == at.Text && r.now.gone })
	if stones = len(rows) - len(stay); stones == 0 || count {
		return stones, hit, nil
	}
	return stones, hit, replaceBlock(b, nil, bytes.Clone(k), appendBlocks(nil, stay, 1))
}

// unlogPatterns takes patterns out of what changes did.
func (d *DB) unlogPatterns(tx *bolt.Tx, logged []loggedPattern) error {
	b := tx.Bucket(bucketChanged)
	state, err := d.changeState(tx)
	if err != nil {
		return err
	}
	for _, l := range logged {
		id, pattern := l.change, l.text
		prefix := changeKey(id)
		kept := tx.Bucket(bucketChanges).Get(prefix)
		key := append(bytes.Clone(prefix), pattern...)
		k, v := blockOf(b.Cursor(), key)
		if kept == nil || k == nil || !bytes.HasPrefix(k, prefix) || bytes.Compare(k, key) > 0 {
			continue // it has gone meanwhile
		}
		var r keptRecord
		if err := decodeJSON(kept, &r); err != nil {
			return corrupt(d.file, fmt.Errorf("change %d: %w", id, err))
		}
		rows, err := decodeBlock(nil, k[len(prefix):], v, 2)
		if err != nil {
			return corrupt(d.file, fmt.Errorf("change %d: %w", id, err))
		}
		stay := slices.DeleteFunc(slices.Clone(rows), func(r listRow) bool { return r.pattern == pattern })
		if len(stay) == len(rows) {
			continue
		}
		fewer := len(rows) - len(stay)
		if v[0] == blockVersion1 { // it was counted by its patterns, and is written as one that counts its rows
			patterns := slices.CompactFunc(slices.Clone(rows), func(a, b listRow) bool { return a.pattern == b.pattern })
			fewer = len(patterns) - len(stay)
		}
		if err := replaceBlock(b, prefix, bytes.Clone(k), appendBlocks(nil, stay, 2)); err != nil {
			return err
		}
		r.Rows -= fewer
		state.Rows -= fewer
		if err := putJSON(tx.Bucket(bucketChanges), string(prefix), r); err != nil {
			return err
		}
	}
	return putJSON(tx.Bucket(bucketMeta), string(keyChanges), state)
}

// NoteForgotten keeps with the changes to lists that somebody was forgotten, not who it was, and how many entries of lists went with
// it. It cannot be undone.
func (d *DB) NoteForgotten(by By, entries int) error {
	if err := by.check(); err != nil {
		return err
	}
	err := d.edit(func(tx *bolt.Tx) error {
		id, err := d.nextChange(tx)
		if err != nil {
			return err
		}
		return d.putChange(tx, ChangeRecord{ID: id, Time: millis(d.now()), By: by, Kind: KindForget, Removed: entries})
	})
	if err != nil {
		return explain("noting that somebody was forgotten", err)
	}
	return nil
}
