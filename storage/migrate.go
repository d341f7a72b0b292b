package storage

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// migrate brings a file of an older schema up to date, in one transaction: when the disk takes it all, or never. An entry
// that cannot be read stops it, because what it said would be lost.
//
// The blocks of schema 2 stay as they are, and are read as they are (see blocks_old.go). So it takes no longer for ten million entries
// than for ten.
func (d *DB) migrate(tx *bolt.Tx, from int) error {
	if err := addLater(tx); err != nil {
		return err
	}
	if err := d.beginIndex(tx); err != nil {
		return err
	}
	var names []string
	if err := tx.Bucket(bucketLists).ForEach(func(k, _ []byte) error { names = append(names, string(k)); return nil }); err != nil {
		return err
	}
	var clock Tick
	for _, name := range names {
		if from == 1 {
			if err := d.migrateList(tx, name); err != nil {
				return err
			}
		}
		meta, _, err := d.listMeta(tx, name)
		if err != nil {
			return err
		}
		meta.Records = meta.Entries
		clock.Wall = max(clock.Wall, meta.Changed.UnixMilli())
		if err := putList(tx, name, meta); err != nil {
			return err
		}
	}
	// No stamp from now on is lower than those of what is there, which were made of its dates.
	clock.Wall = min(clock.Wall, maxMillis)
	if err := putJSON(tx.Bucket(bucketMeta), string(keyClock), clock); err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Put(keySchema, []byte(strconv.Itoa(schemaVersion)))
}

// migrateList makes blocks of a list of schema 1.
func (d *DB) migrateList(tx *bolt.Tx, name string) error {
	entries := tx.Bucket(bucketEntries)
	old := entries.Bucket([]byte(name))
	if old == nil {
		return nil
	}
	var blocks []block
	var rows []listRow
	n := 0
	var last *sourceRecord
	err := old.ForEach(func(k, v []byte) error {
		e, err := decodeEntry1(k, v)
		if err != nil {
			return corrupt(d.file, fmt.Errorf("an entry of the list %s: %w", name, err))
		}
		e.Origin = originOf(e.Source)
		last = saidBy(&e, e.Added, last)
		last.stamp.Wall = last.added
		rows = append(rows, listRow{pattern: e.Pattern, now: last})
		if n++; len(rows) == blockRows {
			blocks, rows = appendBlocks(blocks, rows, 1), rows[:0]
		}
		return nil
	})
	if err != nil {
		return err
	}
	blocks = appendBlocks(blocks, rows, 1)
	if err := entries.DeleteBucket([]byte(name)); err != nil {
		return err
	}
	b, err := entries.CreateBucket([]byte(name))
	if err != nil {
		return err
	}
	for _, bl := range blocks {
		if err := b.Put(bl.key, bl.value); err != nil {
			return err
		}
	}
	meta, _, err := d.listMeta(tx, name)
	if err != nil {
		return err
	}
	meta.Entries = n
	return putList(tx, name, meta)
}

// decodeEntry1 reads an entry as schema 1 kept it.
func decodeEntry1(k, v []byte) (Entry, error) {
	var e struct {
		Reason  string    `json:"reason"`
		Source  string    `json:"source"`
		Who     string    `json:"who"`
		Added   time.Time `json:"added"`
		Expires time.Time `json:"expires"`
	}
	if len(k) == 0 || len(k) > MaxPattern {
		return Entry{}, fmt.Errorf("entry %q: its pattern has %d bytes", short(k), len(k))
	}
	if len(v) > maxValue {
		return Entry{}, fmt.Errorf("entry %q: it claims to have %d bytes", short(k), len(v))
	}
	if err := json.Unmarshal(v, &e); err != nil {
		return Entry{}, fmt.Errorf("entry %q: %w", short(k), err)
	}
	return Entry{Pattern: string(k), Reason: e.Reason, Source: e.Source, Who: e.Who, Added: e.Added, Expires: e.Expires}, nil
}

// upgrade does it, once the file as it is was copied.
func (d *DB) upgrade(from int, keepAt string) error {
	copied, err := d.keepBefore(from, keepAt)
	if err != nil {
		return err
	}
	if err := d.update(func(tx *bolt.Tx) error { return d.migrate(tx, from) }); err != nil {
		os.Remove(copied) // else each start that fails would leave one
		return err
	}
	return nil
}

// clearStaged removes what an import left that was cut off.
func (d *DB) clearStaged() error {
	var s staged
	found, lost := false, false
	err := d.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketMeta).Get(keyStaged)
		if found = v != nil; found {
			lost = decodeJSON(v, &s) != nil
		}
		return nil
	})
	if err != nil || !found {
		return err
	}
	if lost { // what it was building beside its list is no list's, and harms none
		d.mended = append(d.mended, "what it says of an import that was cut off could not be read; what that import left stays, and is none of a list")
		return d.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyStaged) })
	}
	return d.update(func(tx *bolt.Tx) error { return clearStage(tx, s) })
}
