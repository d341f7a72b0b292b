package storage

import (
	"testing"

	bolt "go.etcd.io/bbolt"
)

// indexIsTrue holds the index against the journal.
func indexIsTrue(t testing.TB, d *DB) {
	t.Helper()
	check(t, d.view(func(tx *bolt.Tx) error {
		size, err := d.journalSize(tx)
		check(t, err)
		v := newIndexVerifier(tx, &size, func(err error) { t.Error(err) })
		check(t, tx.Bucket(bucketJournal).ForEach(func(key, value []byte) error {
			r, err := decodeRecord(key, value)
			if err == nil {
				v.record(&r)
			}
			return nil
		}))
		v.end()
		return nil
	}))
}
