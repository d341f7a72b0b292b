package storage

import (
	"errors"
	"fmt"
	"math"

	bolt "go.etcd.io/bbolt"
)

// What Open can do without. A count that is kept so that nobody has to count, and what an import left that was cut off, may be unreadable, as after a bit was
// changed on the disk; then the file opens all the same: calls must not ring unscreened for a count.
//
// Not mended is what says how to read the rest: the schema, the moment of the last change (a stamp that was given out twice would make two nodes disagree), what
// it says of changes. Without the last two the file opens, calls are screened, and edits are refused. Nor is a page that bbolt cannot read, of the
// journal's index or of anything: to free it, or write beside it, bbolt walks over it and panics with its locks held, and where one page is foreign no other is to
// be trusted. `ringfence storage restore` is for that.

// Mended says what could not be read when the file was opened, and was made anew or is done without.
func (d *DB) Mended() []string { return d.mended }

// mend counts anew what cannot be read of counts.
func (d *DB) mend() error {
	for _, c := range []struct {
		what  string
		read  func(*bolt.Tx) error
		count func(*bolt.Tx) error
	}{
		{"the size of its journal", func(tx *bolt.Tx) error { _, err := d.journalSize(tx); return err }, recountJournal},
		{"how many reports there are", func(tx *bolt.Tx) error { _, err := d.reportCount(tx); return err }, recountReports},
		{"how many entries the audit has", func(tx *bolt.Tx) error { _, err := auditCount(tx.Bucket(bucketMeta)); return err }, recountAudit},
	} {
		err := d.view(c.read)
		var p *panicked
		if err == nil || errors.As(err, &p) || d.damaged.Load() != nil { // a page cannot be read: whoever asks for it is told
			continue
		}
		if err := d.update(c.count); err != nil {
			return err
		}
		d.mended = append(d.mended, fmt.Sprintf("%s could not be read, and was counted anew", c.what))
	}
	return nil
}

// recountJournal leaves out the state of the index: what cannot be read is not to be trusted to have said the truth of it, and it is made anew.
func recountJournal(tx *bolt.Tx) error {
	var size journalSize
	err := tx.Bucket(bucketJournal).ForEach(func(k, v []byte) error {
		size.Records++
		size.Bytes += row{key: k, value: v}.size()
		return nil
	})
	if err != nil {
		return err
	}
	return putJSON(tx.Bucket(bucketMeta), string(keyJournal), size)
}

func recountReports(tx *bolt.Tx) error {
	b := tx.Bucket(bucketReports)
	return putJSON(tx.Bucket(bucketMeta), string(keyReports), reportCount{Open: countKeys(b.Bucket(partOpen), math.MaxInt), Decided: countKeys(b.Bucket(partDecided), math.MaxInt)})
}

func recountAudit(tx *bolt.Tx) error {
	return putJSON(tx.Bucket(bucketMeta), string(keyAudit), countKeys(tx.Bucket(bucketAudit), math.MaxInt))
}
