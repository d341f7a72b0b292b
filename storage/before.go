package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// KeepBefore is how long the file of before a migration is kept.
const KeepBefore = 30 * 24 * time.Hour

// spareRoom is how many bytes must be free beside a copy of the file of before, for the migration itself.
const spareRoom = 16 << 20

// maxBefore is how many files of before there may be of one schema.
const maxBefore = 9

// BeforeFile is a file of before a migration, kept beside the database. Nothing that is changed or forgotten since is
// changed or forgotten in it.
type BeforeFile struct {
	File   string    `json:"file"`
	Schema int       `json:"schema"`
	Bytes  int64     `json:"bytes"`
	At     time.Time `json:"at"` // of the migration
}

// Goes is when it is deleted.
func (b *BeforeFile) Goes() time.Time { return b.At.Add(KeepBefore) }

var beforeName = regexp.MustCompile(`^\.schema([1-9][0-9]?)(\.[2-9])?$`)

// BeforeFiles are the files of before migrations that are kept beside a database, the oldest first.
func BeforeFiles(file string) ([]BeforeFile, error) {
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("what is kept beside the database cannot be read: %w", err)
	}
	var all []BeforeFile
	for _, e := range entries {
		base := filepath.Base(file)
		if len(e.Name()) <= len(base) || e.Name()[:len(base)] != base || !e.Type().IsRegular() {
			continue
		}
		m := beforeName.FindStringSubmatch(e.Name()[len(base):])
		info, err := e.Info()
		if m == nil || err != nil {
			continue
		}
		schema, _ := strconv.Atoi(m[1])
		all = append(all, BeforeFile{filepath.Join(filepath.Dir(file), e.Name()), schema, info.Size(), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b BeforeFile) int { return a.At.Compare(b.At) })
	return all, nil
}

// DropBefore deletes those of these files whose time is over, and gives them.
func DropBefore(file string, now time.Time) ([]BeforeFile, error) {
	all, err := BeforeFiles(file)
	var dropped []BeforeFile
	for _, b := range all {
		if now.Before(b.Goes()) {
			continue
		}
		if e := os.Remove(b.File); e != nil {
			err = errors.Join(err, fmt.Errorf("the file of before an upgrade cannot be deleted: %w", e))
		} else {
			dropped = append(dropped, b)
		}
	}
	return dropped, err
}

// keepBefore copies the file, which nobody has written to, before a migration. at is where; "" for beside it. The result is the copy, ""
// if there was one already, of a migration that did not come to its end.
func (d *DB) keepBefore(schema int, at string) (copied string, err error) {
	info, err := d.raw.Stat()
	if err != nil {
		return "", err
	}
	if at == "" {
		there := false
		if at, there, err = d.nameBefore(schema, info.Size()); err != nil || there {
			return "", err
		}
	}
	// What a copy left that was killed is in the way of the next.
	if left, err := filepath.Glob(at + ".new-*"); err == nil {
		for _, f := range left {
			os.Remove(f)
		}
	}
	if free, err := freeRoom(filepath.Dir(at)); err == nil && free < info.Size()+spareRoom {
		return "", &fault{kind: ErrWrite, text: fmt.Sprintf(
			"the database %s is of an older version and is brought up to date only after it was copied as it is; there is no room for that in %s: %d MB are free, %d are needed. Nothing was changed: make room, or have the copy written elsewhere with `ringfence storage upgrade --keep FILE`",
			d.file, filepath.Dir(at), free>>20, (info.Size()+spareRoom)>>20+1)}
	}
	err = writeNew(at, func(f *os.File) error {
		if _, err := d.raw.Seek(0, io.SeekStart); err != nil { // bbolt does not read from where the file stands
			return err
		}
		_, err := io.Copy(f, d.raw)
		return err
	})
	if err != nil {
		return "", explainCopy("the copy of the database as it was before the upgrade", at, err)
	}
	return at, nil
}

// nameBefore is a name for the file of before that no other has, unless that is the very same file.
func (d *DB) nameBefore(schema int, size int64) (name string, there bool, err error) {
	name = fmt.Sprintf("%s.schema%d", d.file, schema)
	for n := 2; ; n++ {
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return name, false, nil
		case err != nil:
			return "", false, err
		case info.Size() == size && d.sameAs(name):
			return name, true, nil
		case n > maxBefore:
			return "", false, invalid("there are %d files of before an upgrade, up to %s: delete or move away those that are not needed", maxBefore, name)
		}
		name = fmt.Sprintf("%s.schema%d.%d", d.file, schema, n)
	}
}

// sameAs reports whether a file has the same bytes as the database.
func (d *DB) sameAs(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; at += int64(len(a)) {
		n, err := f.ReadAt(a, at)
		m, err2 := d.raw.ReadAt(b, at)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return false
		}
		if err != nil || err2 != nil {
			return errors.Is(err, io.EOF) && errors.Is(err2, io.EOF)
		}
	}
}

// freeRoom is how many bytes can be written in a folder.
func freeRoom(folder string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, err
	}
	return int64(min(s.Bavail, 1<<40)) * s.Bsize, nil
}
