package storage

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// sizeIsTrue compares the size that is kept with the records that are there.
func sizeIsTrue(t *testing.T, d *DB) (records, bytes int64) {
	t.Helper()
	records, bytes, err := d.JournalSize()
	check(t, err)
	var n, sum int64
	check(t, d.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketJournal).ForEach(func(k, v []byte) error { n++; sum += int64(len(k) + len(v)); return nil })
	}))
	if n != records || sum != bytes {
		t.Errorf("the journal says %d records of %d bytes, and has %d of %d", records, bytes, n, sum)
	}
	indexIsTrue(t, d)
	return records, bytes
}

func TestRetentionBySize(t *testing.T) {
	d := open(t, Options{})
	const max = 200_000
	j := startJournal(t, d, JournalOptions{MaxBytes: max, Batch: 100})
	for round := range 10 {
		for i := range 500 {
			if !j.Add(record(round*500 + i)) {
				t.Fatal("dropped")
			}
		}
		check(t, j.Flush(soon(t)))
		if _, bytes := sizeIsTrue(t, d); bytes > max || round > 2 && bytes < max*9/10 {
			t.Errorf("%d bytes after round %d", bytes, round)
		}
	}
	rs := readJournal(t, d, Query{})
	if last := rs[len(rs)-1]; last.Caller.Raw != record(4999).Caller.Raw {
		t.Errorf("the last record is %s", last.Caller.Raw)
	}
	if n := j.Trimmed(); n != uint64(5000-len(rs)) {
		t.Errorf("%d removed, of 5000 %d are there", n, len(rs))
	}
	check(t, j.Close(soon(t)))

	// A smaller bound, set while much is there, is reached in small steps.
	j = startJournal(t, d, JournalOptions{MaxBytes: 1000})
	addAll(t, j, record(5000))
	if _, bytes := sizeIsTrue(t, d); bytes > 1000 {
		t.Errorf("%d bytes", bytes)
	}
}

func TestRetentionByAge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	synctest.Test(t, func(t *testing.T) {
		d, err := Open(file, Options{})
		check(t, err)
		defer d.Close()
		ctx := context.Background()
		j := d.StartJournal(JournalOptions{})
		start := time.Now()
		at := func(day int) Record {
			r := record(0)
			r.Time = start.Add(time.Duration(day) * 24 * time.Hour)
			r.ID = NewID(r.Time)
			return r
		}
		for day := -3*trimBatch - 5; day <= 0; day++ {
			j.Add(at(day))
		}
		check(t, j.Close(ctx))

		// Old records go in small steps from the start, without a new one coming.
		j = d.StartJournal(JournalOptions{Keep: 90*24*time.Hour + time.Hour})
		synctest.Wait()
		if records, _ := sizeIsTrue(t, d); records != 91 || j.Trimmed() != 3*trimBatch+6-91 {
			t.Errorf("%d records are left, %d removed", records, j.Trimmed())
		}
		// And as time goes by, within a minute.
		time.Sleep(time.Hour - time.Minute)
		synctest.Wait()
		if records, _ := sizeIsTrue(t, d); records != 91 {
			t.Errorf("%d records are left too early", records)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if records, _ := sizeIsTrue(t, d); records != 90 {
			t.Errorf("%d records are left after an hour", records)
		}
		// With a batch, too.
		j.Add(at(0))
		check(t, j.Flush(ctx))
		time.Sleep(10 * 24 * time.Hour)
		j.Add(at(10))
		check(t, j.Flush(ctx))
		if records, _ := sizeIsTrue(t, d); records != 82 {
			t.Errorf("%d records are left after ten days", records)
		}
		check(t, j.Close(ctx))
	})
}

// Whose records are deleted is gone, the rest stays, and the sizes that are kept are right.
func TestDeleteRecords(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	const n = 5000
	for i := range n {
		r := record(i)
		if i%2 == 0 {
			r.Caller = Caller{Raw: "013800138000", E164: "+8613800138000", Kind: "mobile"}
		}
		if !j.Add(r) {
			t.Fatal("no room")
		}
	}
	check(t, j.Flush(soon(t)))
	if _, err := d.DeleteRecords(Query{Action: "reject"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("nobody is named: %v", err)
	}
	removed, err := d.DeleteRecords(Query{Caller: "+8613800138000"})
	check(t, err)
	left := readJournal(t, d, Query{})
	if removed != n/2 || len(left) != n/2 || len(readJournal(t, d, Query{Caller: "013800138000"})) != 0 {
		t.Errorf("%d removed, %d left", removed, len(left))
	}
	removed, err = d.DeleteRecords(Query{Callee: left[0].Callee})
	check(t, err)
	if removed != 5 {
		t.Errorf("%d to %s removed", removed, left[0].Callee)
	}
	var bytes int64
	left = readJournal(t, d, Query{})
	for _, r := range left {
		v, err := r.MarshalJSON()
		check(t, err)
		bytes += int64(len(r.ID) + len(v))
	}
	if records, size, err := d.JournalSize(); err != nil || int(records) != len(left) || size != bytes {
		t.Errorf("%d records of %d bytes are counted, there are %d of %d: %v", records, size, len(left), bytes, err)
	}
}
