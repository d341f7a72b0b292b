package storage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A migration keeps the file of before, byte for byte, and never writes over one.
func TestBeforeFiles(t *testing.T) {
	for _, name := range []string{"schema1.db.gz", "schema2.db.gz"} {
		file, data := unpacked(t, name)
		suffix := strings.TrimSuffix(name, ".db.gz")
		check(t, os.WriteFile(file+"."+suffix+".new-123", []byte("of a copy that was killed"), 0o600))
		check(t, os.WriteFile(file+".schema2x", nil, 0o600)) // somebody's own
		check(t, os.Mkdir(file+".schema3", 0o700))
		for n, want := range []string{"", ".2", ".3"} {
			if n > 0 {
				check(t, os.WriteFile(file+"."+suffix+[]string{"", "", ".2"}[n], append(data[:len(data)-1:len(data)-1], 'x'), 0o600)) // another one
			}
			check(t, os.WriteFile(file, data, 0o600)) // back
			check(t, open(t, Options{}, file).Close())
			check(t, os.WriteFile(file, data, 0o600)) // killed before the migration came to its end
			check(t, open(t, Options{}, file).Close())
			check(t, open(t, Options{}, file).Close()) // it is up to date
			if kept, err := os.ReadFile(file + "." + suffix + want); err != nil || !bytes.Equal(kept, data) {
				t.Errorf("%s%s: %d bytes, %v", suffix, want, len(kept), err)
			}
		}
		all, err := BeforeFiles(file)
		if err != nil || len(all) != 3 || all[0].Schema != int(suffix[6]-'0') || all[0].Bytes != int64(len(data)) {
			t.Errorf("%+v, %v", all, err)
		}
		if left, _ := filepath.Glob(file + ".*new-*"); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
		check(t, os.Chtimes(all[1].File, time.Time{}, time.Now().Add(-KeepBefore)))
		dropped, err := DropBefore(file, time.Now())
		if err != nil || len(dropped) != 1 || dropped[0].File != all[1].File {
			t.Errorf("%+v, %v", dropped, err)
		}
		if now, err := BeforeFiles(file); err != nil || len(now) != 2 {
			t.Errorf("%+v, %v", now, err)
		}
	}
}

// A migration that fails again and again leaves no heap of copies.
func TestMigrationFailsKeepsNothing(t *testing.T) {
	file, _ := unpacked(t, "schema1.db.gz")
	b, err := bolt.Open(file, 0o600, nil)
	check(t, err)
	check(t, b.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketEntries).Bucket([]byte("blacklist")).Put([]byte("+86"), []byte("nonsense"))
	}))
	check(t, b.Close())
	for range 3 {
		if _, err := Open(file, Options{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v", err)
		}
	}
	if all, err := BeforeFiles(file); err != nil || len(all) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// Where the copy cannot be made nothing is changed, and the copy may be made elsewhere.
func TestBeforeFileCannotBeKept(t *testing.T) {
	file, data := unpacked(t, "schema2.db.gz")
	for n := range maxBefore {
		check(t, os.WriteFile(file+".schema2"+[]string{"", ".2", ".3", ".4", ".5", ".6", ".7", ".8", ".9"}[n], nil, 0o600))
	}
	if _, err := Open(file, Options{}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "delete or move away") {
		t.Errorf("%v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "kept.db")
	check(t, os.WriteFile(elsewhere, nil, 0o600))
	if _, err := Open(file, Options{KeepAt: elsewhere}); !errors.Is(err, ErrInvalid) {
		t.Errorf("over a file: %v", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, data) {
		t.Errorf("the file was changed: %v", err)
	}
	check(t, os.Remove(elsewhere))
	check(t, open(t, Options{KeepAt: elsewhere}, file).Close())
	if kept, err := os.ReadFile(elsewhere); err != nil || !bytes.Equal(kept, data) {
		t.Errorf("%d bytes, %v", len(kept), err)
	}
	if free, err := freeRoom(filepath.Dir(file)); err != nil || free < 1<<20 {
		t.Errorf("%d bytes are free, %v", free, err)
	}
}
