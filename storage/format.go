package storage

import (
	"errors"
	"fmt"
	"strconv"

	bolt "go.etcd.io/bbolt"
)

// checkFormat verifies that the file is one of ours and of a schema we know, and
// lays out a new one. It reads a little of every part, so that a damaged file is
// more likely to be found now than later.
func (d *DB) checkFormat(keepAt string) error {
	var empty, older bool
	version := 0
	err := d.view(func(tx *bolt.Tx) error {
		info, err := d.raw.Stat()
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return corrupt(d.file, fmt.Errorf("it is cut short: %d bytes, should have at least %d", info.Size(), tx.Size()))
		}
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return corrupt(d.file, errors.New("it is a bbolt file, but of another program"))
			}
			empty = true
			return nil
		}
		text := meta.Get(keySchema)
		version, err = strconv.Atoi(string(text[:min(len(text), 9)]))
		if err != nil || version < 1 {
			return corrupt(d.file, fmt.Errorf("its schema version reads %q", short(text)))
		}
		if version > schemaVersion {
			return &fault{kind: ErrNewer, text: fmt.Sprintf(
				"the database %s was written by a newer version of ringfence (schema %d, this one knows up to %d): install that version again; it also writes a database for this one: ringfence storage export --schema %d FILE",
				d.file, version, schemaVersion, schemaVersion)}
		}
		for _, name := range [][]byte{bucketSettings, bucketLists, bucketEntries, bucketJournal} {
			b := tx.Bucket(name)
			if b == nil {
				return corrupt(d.file, fmt.Errorf("its bucket %q is missing", name))
			}
			b.Cursor().First()
			b.Cursor().Last()
		}
		for _, name := range laterBuckets {
			if b := tx.Bucket(name); b == nil {
				older = true
			} else {
				b.Cursor().First()
				b.Cursor().Last()
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case empty && d.bolt.IsReadOnly():
		return corrupt(d.file, errors.New("it is empty"))
	case empty:
		return d.update(layOut)
	case version < schemaVersion && d.bolt.IsReadOnly():
		return &fault{kind: ErrOlder, text: fmt.Sprintf(
			"the database %s was written by an older version of ringfence (schema %d, this one reads %d): start the daemon, or edit a list, once; that brings it up to date",
			d.file, version, schemaVersion)}
	case version < schemaVersion:
		if err := d.upgrade(version, keepAt); err != nil {
			return err
		}
	case d.bolt.IsReadOnly():
		return nil
	case older:
		if err := d.update(addLater); err != nil {
			return err
		}
	}
	if err := d.mend(); err != nil {
		return err
	}
	if err := d.openIndex(); err != nil {
		return err
	}
	return d.clearStaged()
}

// layOut writes the buckets of an empty database.
func layOut(tx *bolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketSettings, bucketLists, bucketEntries, bucketJournal} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	if err := addLater(tx); err != nil {
		return err
	}
	if err := putJSON(tx.Bucket(bucketMeta), string(keyJournal), journalSize{Index: &indexState{Version: indexVersion}}); err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Put(keySchema, []byte(strconv.Itoa(schemaVersion)))
}

// addLater writes the buckets that files of older versions lack.
func addLater(tx *bolt.Tx) error {
	for _, name := range laterBuckets {
		b, err := tx.CreateBucketIfNotExists(name)
		if err != nil {
			return err
		}
		if string(name) != string(bucketReports) {
			continue
		}
		for _, part := range [][]byte{partAll, partOpen, partDecided} {
			if _, err := b.CreateBucketIfNotExists(part); err != nil {
				return err
			}
		}
	}
	return nil
}
