package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	bolt "go.etcd.io/bbolt"
)

// bbolt never writes over a page that is used: what was changed or deleted stays readable in pages that have become free, until they
// are used again. That is well as long as nobody asked to be forgotten.

const (
	// wipePages is how many pages are looked at in one go, while nobody writes or reads.
	wipePages = 4096
	// wipeWait is how long to wait for those who read.
	wipeWait = 30 * time.Second
	wipeTry  = 2 * time.Millisecond // how long until the next try
)

// WipeFreed writes zeros over all that was freed in the file, so that what was deleted before is not in it any more. It works
// through the file in steps of milliseconds, between which others read and write. What is free already and zero is only
// read. Whatever moment it is cut short at, the file is sound; then call it again.
func (d *DB) WipeFreed() error {
	for from, done := 2, false; !done; { // behind the two headers
		var err error
		if from, done, err = d.wipeSome(from); err != nil {
			return explain("overwriting what was freed in the database", err)
		}
	}
	return nil
}

// wipeSome does it to some pages from one on. It gives where to go on, and whether that was all.
//
// A page that is free, or was freed by the last transaction, is one that the latest header does not lead to, and that bbolt
// itself may write to in the next transaction: so a power cut in between leaves the file as whole as one in that. Who reads
// may still need it: therefore nobody does.
func (d *DB) wipeSome(from int) (next int, done bool, err error) {
	deadline := time.Now().Add(d.wipeWait)
	for {
		err := d.update(func(tx *bolt.Tx) error { // holds off who writes, and changes nothing
			if !d.readers.TryLock() {
				return errReaders
			}
			defer d.readers.Unlock()
			next, done, err = d.wipeIn(tx, from)
			if err != nil {
				return err
			}
			return errNothing
		})
		switch {
		case err == errNothing:
			return next, done, nil
		case err != errReaders:
			return 0, false, err
		case time.Now().After(deadline):
			return 0, false, &fault{kind: ErrBusy, text: fmt.Sprintf(
				"what was deleted from the database %s can still be found in freed parts of the file: somebody has been reading for %v (a backup, a verify); repeat this when they are done", d.file, d.wipeWait)}
		}
		time.Sleep(wipeTry)
	}
}

var errReaders = errors.New("somebody reads")

func (d *DB) wipeIn(tx *bolt.Tx, from int) (next int, done bool, err error) {
	size := int64(tx.DB().Info().PageSize)
	end := int(tx.Size() / size)
	room := make([]byte, 0)
	wiped := false
	wipe := func(at, n int64) error {
		if int64(cap(room)) < n {
			room = make([]byte, n)
		}
		switch _, err := d.raw.ReadAt(room[:n], at); {
		case err != nil && err != io.EOF:
			return err
		case len(bytes.Trim(room[:n], "\x00")) == 0:
			return nil
		}
		clear(room[:n])
		wiped = true
		_, err := d.raw.WriteAt(room[:n], at)
		return err
	}
	last := min(end, from+wipePages)
	for from < last {
		p, err := tx.Page(from)
		switch {
		case err != nil || p == nil:
			return 0, false, fmt.Errorf("page %d: %w", from, err)
		case p.Type == "free":
			if err := wipe(int64(from)*size, size); err != nil {
				return 0, false, err
			}
			from++
		default:
			from += 1 + p.OverflowCount
		}
	}
	if done = from >= end; done { // what a write that failed left behind the end
		info, err := d.raw.Stat()
		if err != nil {
			return 0, false, err
		}
		const step = 1 << 20
		for at := int64(end) * size; at < info.Size(); at += step {
			if err := wipe(at, min(step, info.Size()-at)); err != nil {
				return 0, false, err
			}
		}
	}
	if wiped {
		err = d.raw.Sync()
	}
	return from, done, err
}
