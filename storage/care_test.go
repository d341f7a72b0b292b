package storage

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A backup taken between edits has all that was acknowledged before and is whole; restoring it gives back just that, and
// keeps what was there.
func TestBackupAndRestore(t *testing.T) {
	d := open(t, Options{})
	_, err := d.AddEntries("blacklist", series(0, 3000, 1, "old"))
	check(t, err)
	want := stateOf(t, d)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // others edit meanwhile
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := d.AddEntries("other", []Entry{entry(i)}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	backup := filepath.Join(t.TempDir(), "backup.db")
	check(t, WriteNew(backup, "the backup", d.BackupTo))
	close(stop)
	<-done
	if err := WriteNew(backup, "the backup", d.BackupTo); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over another: %v", err)
	}
	if err := WriteNew(filepath.Join(backup, "x"), "the backup", d.BackupTo); err == nil {
		t.Error("in a folder that is none")
	}
	failing := filepath.Join(filepath.Dir(backup), "failing.db")
	if err := WriteNew(failing, "the backup", func(w io.Writer) error { w.Write([]byte("half")); return errStop }); !errors.Is(err, errStop) {
		t.Error(err)
	}
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(backup), "*")); len(names) != 1 {
		t.Errorf("left beside the backup: %v", names)
	}
	if names, _ := filepath.Glob(d.File() + "*"); len(names) != 1 {
		t.Errorf("left beside the database: %v", names)
	}
	if _, _, err := Restore(backup, d.File()); !errors.Is(err, ErrLocked) {
		t.Errorf("while it is in use: %v", err)
	}
	_, err = d.RemoveEntries("blacklist", []string{entry(5).Pattern}, By{})
	check(t, err)
	check(t, d.Close())
	kept, report, err := Restore(backup, d.File())
	if err != nil || report.Lists == 0 || kept != d.File()+".before-restore" {
		t.Fatalf("%q, %+v, %v", kept, report, err)
	}
	d = open(t, Options{}, d.File())
	got := stateOf(t, d)
	maps.DeleteFunc(got, func(k, v string) bool { return strings.HasPrefix(k, "other ") || strings.Contains(v, "List:other") })
	if !maps.Equal(got, want) {
		t.Errorf("%d of %d", len(got), len(want))
	}
	check(t, d.Close())
	if _, _, err := Restore(backup, d.File()); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("again: %v", err)
	}
	data, err := os.ReadFile(backup)
	check(t, err)
	damaged := filepath.Join(t.TempDir(), "damaged.db")
	at := bytes.Index(data, []byte("old")) // a text in a block
	data[at] ^= 1
	check(t, os.WriteFile(damaged, data, 0o600))
	check(t, os.Remove(kept))
	if _, _, err := Restore(damaged, d.File()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a damaged backup: %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "ringfence.db")
	if kept, _, err := Restore(backup, elsewhere); err != nil || kept != "" {
		t.Errorf("where nothing was: %q, %v", kept, err)
	}
}

func TestCompact(t *testing.T) {
	now := epoch
	d := open(t, Options{Now: func() time.Time { return now }})
	d.maxChangeRows = 10
	r, err := d.Import("blacklist", imported(series(0, 50_000, 1, "old")...), ImportOptions{})
	check(t, err)
	check(t, d.PutSetting("pause", []byte("on")))
	if _, _, err := Compact(d.File()); !errors.Is(err, ErrLocked) {
		t.Errorf("while it is in use: %v", err)
	}
	_, err = d.Undo(r.ID, By{}, nil)
	check(t, err)
	_, err = d.AddEntries("blacklist", series(0, 20, 1, "x"))
	check(t, err)
	now = now.Add(31 * 24 * time.Hour)
	if n, err := d.PruneDeleted(); n != 50_000-20 || err != nil {
		t.Errorf("%d tombstones pruned, %v", n, err)
	}
	want := stateOf(t, d)
	check(t, d.Close())
	before, after, err := Compact(d.File())
	info, err2 := os.Stat(d.File())
	if err != nil || err2 != nil || after >= before/4 || info.Size() != after || info.Mode().Perm() != 0o640 {
		t.Errorf("%d, %d, %v, %v", before, after, err, info)
	}
	d = open(t, Options{}, d.File())
	if got := stateOf(t, d); !maps.Equal(got, want) {
		t.Errorf("%d of %d", len(got), len(want))
	}
	if names, _ := filepath.Glob(d.File() + "*"); len(names) != 1 {
		t.Errorf("left beside it: %v", names)
	}
}

// Verify finds what is wrong and says where.
func TestVerify(t *testing.T) {
	for says, spoil := range map[string]func(t *testing.T, d *DB, tx *bolt.Tx) error{
		"checksum is wrong": func(t *testing.T, d *DB, tx *bolt.Tx) error {
			b := tx.Bucket(bucketEntries).Bucket([]byte("blacklist"))
			k, v := b.Cursor().First()
			v = bytes.Clone(v)
			v[9] ^= 4
			return b.Put(k, v)
		},
		"list blacklist: it says 400 entries and has 200": func(t *testing.T, d *DB, tx *bolt.Tx) error {
			b := tx.Bucket(bucketEntries).Bucket([]byte("blacklist"))
			k, _ := b.Cursor().Last()
			return b.Delete(k)
		},
		"overlaps the one before": func(t *testing.T, d *DB, tx *bolt.Tx) error {
			b := tx.Bucket(bucketEntries).Bucket([]byte("blacklist"))
			for _, bl := range appendBlocks(nil, []listRow{{pattern: entry(7).Pattern, now: &sourceRecord{stamp: Tick{Wall: 1}}}}, 1) {
				check(t, b.Put(bl.key, bl.value))
			}
			return nil
		},
		"a list \"nolist\" that there is not": func(t *testing.T, d *DB, tx *bolt.Tx) error {
			_, err := tx.Bucket(bucketEntries).CreateBucket([]byte("nolist"))
			return err
		},
		"change 1: it says 400 entries and has 0": func(t *testing.T, d *DB, tx *bolt.Tx) error {
			return dropLog(tx, changeKey(1))
		},
		"it says 1 changes with 400 entries and has 0 with 0": func(t *testing.T, d *DB, tx *bolt.Tx) error {
			return tx.Bucket(bucketChanges).Delete(changeKey(1))
		},
		"journal: it says 0 records and has 1": func(t *testing.T, d *DB, tx *bolt.Tx) error {
			return tx.Bucket(bucketJournal).Put([]byte(NewID(time.Now())), []byte("{"))
		},
	} {
		d := open(t, Options{})
		_, err := d.AddEntries("blacklist", series(0, 400, 1, "old"))
		check(t, err)
		if report, err := d.Verify(); err != nil || len(report.Faults) > 0 || report.Entries != 400 || report.Lists != 1 || report.Changes != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		check(t, d.update(func(tx *bolt.Tx) error { return spoil(t, d, tx) }))
		report, err := d.Verify()
		if err != nil || !strings.Contains(strings.Join(report.Faults, "\n"), says) {
			t.Errorf("%q is not among %q, %v", says, report.Faults, err)
		}
	}
}
