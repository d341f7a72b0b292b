package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func fileHas(t *testing.T, file, text string) bool {
	t.Helper()
	b, err := os.ReadFile(file)
	check(t, err)
	return bytes.Contains(b, []byte(text))
}

// What was deleted is in no backup, and once freed parts are overwritten not in the file either.
func TestDeletedIsGone(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	const secret = "+86952" + "98765"
	for i := range 3000 {
		r := record(i)
		if i%7 == 0 {
			r.Caller.E164 = secret
		}
		addAll(t, j, r)
	}
	_, err := d.DeleteRecords(Query{Caller: secret})
	check(t, err)
	if !fileHas(t, d.File(), secret) {
		t.Fatal("nothing is left in freed pages, so that this shows nothing")
	}
	var backup bytes.Buffer
	check(t, d.BackupTo(&backup))
	if bytes.Contains(backup.Bytes(), []byte(secret)) {
		t.Error("a backup has what was deleted")
	}
	check(t, d.WipeFreed())
	if fileHas(t, d.File(), secret) {
		t.Error("the file has what was deleted")
	}
	report, err := d.Verify()
	check(t, err)
	openImage(t, backup.Bytes(), func(b *DB) {
		again, err := b.Verify()
		check(t, err)
		if report.Records != again.Records || len(again.Faults)+len(report.Faults) > 0 || again.Records == 0 {
			t.Errorf("the backup has %+v, the database %+v", again, report)
		}
	})
}

// Others read and write while freed parts are overwritten: they lose nothing and see nothing of it.
func TestWipeBesideOthers(t *testing.T) {
	d := open(t, Options{})
	_, err := d.AddEntries("blacklist", series(0, 2000, 1, "old"))
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var others sync.WaitGroup
	for n, work := range []func(i int) error{
		func(i int) error { _, err := d.AddEntries("list", []Entry{entry(i)}); return err },
		func(i int) error { _, err := d.RemoveEntries("list", []string{entry(i - 1).Pattern}, By{}); return err },
		func(int) error {
			n := 0
			err := d.Entries("blacklist", func(Entry) error { n++; return nil })
			if n != 2000 {
				err = errors.Join(err, fmt.Errorf("%d entries", n))
			}
			return err
		},
	} {
		others.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := work(i); err != nil {
					t.Errorf("work %d: %v", n, err)
					return
				}
			}
		})
	}
	for range 30 {
		check(t, d.WipeFreed())
	}
	stop()
	others.Wait()
	if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Who reads for long is not disturbed; whoever wants to overwrite is told.
func TestWipeWaitsForReaders(t *testing.T) {
	d := open(t, Options{})
	d.wipeWait = 20 * time.Millisecond
	_, err := d.AddEntries("room", series(0, 3000, 1, "room")) // a file that has to grow waits for who reads
	check(t, err)
	var all []string
	for _, e := range series(0, 3000, 1, "") {
		all = append(all, e.Pattern)
	}
	_, err = d.RemoveEntries("room", all, By{})
	check(t, err)
	check(t, d.PutSetting("a", []byte("before")))
	inside, on := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- d.view(func(tx *bolt.Tx) error {
			close(inside)
			<-on
			if v := tx.Bucket(bucketSettings).Get([]byte("a")); string(v) != "before" {
				return fmt.Errorf("it reads %q", v)
			}
			return nil
		})
	}()
	<-inside
	check(t, d.PutSetting("a", []byte("after")))
	if err := d.WipeFreed(); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	close(on)
	check(t, <-done)
	check(t, d.WipeFreed())
	if fileHas(t, d.File(), "before") {
		t.Error("it is still there")
	}
}
