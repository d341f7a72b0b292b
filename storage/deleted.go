package storage

import (
	"bytes"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// maxDeleted is how many tombstones a list has at most: more than a list of the largest size has entries, so that all of them may go at once. Each takes
// some six bytes. A change that takes more away leaves none for the rest, and the list says so (see listMeta.Forgotten).
const maxDeleted = 1 << 25

// pruneBlocks is how many blocks one transaction frees of old tombstones.
const pruneBlocks = 256

// KeptDeleted is how long it is remembered that a record was taken away.
func (d *DB) KeptDeleted() time.Duration { return d.keepDeleted }

// forgetBefore is the time before which it need not be known any more what was taken away, in milliseconds since 1970.
func (d *DB) forgetBefore() int64 { return d.now().Add(-d.keepDeleted).UnixMilli() }

// PruneDeleted removes tombstones that are older than they are kept for, and says how many. A list without such is not read.
// What it did before an error stays done. Edits drop those that they come across by themselves.
func (d *DB) PruneDeleted() (int, error) {
	names, err := d.withOldTombstones()
	if err != nil {
		return 0, err
	}
	pruned := 0
	for _, name := range names {
		n, err := d.pruneList(name)
		pruned += n
		if err != nil {
			return pruned, fmt.Errorf("forgetting what was taken off the list %s: %w", name, err)
		}
	}
	return pruned, nil
}

func (d *DB) withOldTombstones() (names []string, err error) {
	before := d.forgetBefore()
	err = d.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketLists).ForEach(func(k, v []byte) error {
			var m listMeta
			if err := decodeMeta(k, v, &m); err != nil {
				return corrupt(d.file, err)
			}
			if m.Deleted > 0 && m.OldestDeleted < before {
				names = append(names, string(k))
			}
			return nil
		})
	})
	return names, err
}

// pruneList reads a list, block by block, and writes those anew that have old tombstones. It leaves the list alone
// while an import builds it anew, which drops them too.
func (d *DB) pruneList(list string) (pruned int, err error) {
	before, stones := d.forgetBefore(), d.stones.Load()
	oldest := int64(0) // of those that stay
	var after []byte
	for more := true; more; {
		n := 0
		err := d.edit(func(tx *bolt.Tx) error {
			n = 0
			meta, isNew, err := d.listMeta(tx, list)
			if err != nil || isNew {
				more = false
				return err
			}
			b := tx.Bucket(bucketEntries).Bucket(meta.bucket(list))
			if i := d.importing.Load(); b == nil || i != nil && i.list == list {
				more = false
				return errNothing
			}
			m := merger{oldest: before}
			if after, more, err = d.pruneSome(b, &m, after, &oldest); err != nil {
				return err
			}
			if n = -m.sizes.deleted; n == 0 && more {
				return errNothing
			}
			meta.Deleted -= n
			// What came from other nodes meanwhile may be older than what has been read.
			if !more && (d.stones.Load() == stones || meta.Deleted == 0) {
				meta.OldestDeleted = oldest
			}
			return putJSON(tx.Bucket(bucketLists), list, meta) // with the stamp that it has: no entry has changed
		})
		if err != nil && err != errNothing {
			return pruned, err
		}
		pruned += n
	}
	return pruned, nil
}

// pruneSome does it to some blocks behind a key. It gives the last one's key and whether there are more.
func (d *DB) pruneSome(b *bolt.Bucket, m *merger, after []byte, oldest *int64) (last []byte, more bool, err error) {
	type change struct {
		key    []byte
		blocks []block
	}
	var changes []change
	var rows []listRow
	c := b.Cursor()
	k, v := c.First()
	if after != nil {
		if k, v = c.Seek(after); bytes.Equal(k, after) {
			k, v = c.Next()
		}
	}
	for n := 0; k != nil; k, v = c.Next() {
		if n++; n > pruneBlocks {
			more = true
			break
		}
		if rows, err = decodeBlock(rows[:0], k, v, 1); err != nil {
			return nil, false, corrupt(d.file, err)
		}
		last = bytes.Clone(k)
		had := len(rows)
		rows = m.prune(rows)
		for i := range rows {
			if s := rows[i].now; s.gone && (*oldest == 0 || s.stamp.Wall < *oldest) {
				*oldest = s.stamp.Wall
			}
		}
		if len(rows) < had {
			changes = append(changes, change{last, appendBlocks(nil, rows, 1)})
		}
	}
	for _, ch := range changes { // bbolt's cursor may skip keys after a deletion
		if err := replaceBlock(b, nil, ch.key, ch.blocks); err != nil {
			return nil, false, err
		}
	}
	return last, more, nil
}

// pruneEvery is how often a running journal looks for old tombstones, beside old records.
const pruneEvery = 6 * time.Hour
