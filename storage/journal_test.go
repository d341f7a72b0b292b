package storage

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var boltFull = bolterrors.ErrMaxSizeReached

// inBubble runs a test of waiting times with a database of its own and a clock that
// jumps ahead when all wait.
func inBubble(t *testing.T, f func(t *testing.T, d *DB)) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	synctest.Test(t, func(t *testing.T) {
		d, err := Open(file, Options{})
		check(t, err)
		defer d.Close()
		f(t, d)
	})
}

func TestJournalBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, d *DB) {
		j := d.StartJournal(JournalOptions{Batch: 10})
		defer j.Close(context.Background())
		synctest.Wait()
		start := time.Now()
		written := func(after time.Duration, want uint64) {
			t.Helper()
			time.Sleep(after - time.Since(start))
			synctest.Wait()
			if got := j.Written(); got != want {
				t.Errorf("after %v %d records are written, want %d", after, got, want)
			}
		}
		j.Add(record(1))
		written(150*time.Millisecond, 0)
		j.Add(record(2)) // does not put the first one off
		written(199*time.Millisecond, 0)
		written(200*time.Millisecond, 2)
		for i := range 9 {
			j.Add(record(10 + i))
		}
		written(300*time.Millisecond, 2)
		j.Add(record(20)) // the batch is full
		written(300*time.Millisecond, 12)
		j.Add(record(21))
		check(t, j.Flush(context.Background()))
		written(300*time.Millisecond, 13)
		for i := range 25 {
			j.Add(record(30 + i))
		}
		written(300*time.Millisecond, 33)
		written(500*time.Millisecond, 38)
		j.Add(record(60))
		check(t, j.Close(context.Background()))
		written(500*time.Millisecond, 39)
		if j.Add(record(61)) || j.Dropped() != 1 {
			t.Error("a closed journal takes records")
		}
		check(t, j.Flush(context.Background()))
		check(t, j.Close(context.Background()))
	})
}

// A queue that is full drops and counts; Add never waits, whatever the disk does.
func TestJournalFull(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	hang, err := d.bolt.Begin(true) // a disk that hangs: no other write gets through
	check(t, err)
	rs := make([]Record, defaultQueue+100)
	for i := range rs {
		rs[i] = record(i)
		if took := j.Add(rs[i]); took != (i < defaultQueue) {
			t.Fatalf("record %d: %v", i, took)
		}
	}
	if j.Dropped() != 100 || j.Queued() != defaultQueue || j.Written() != 0 {
		t.Errorf("%d dropped, %d wait, %d written", j.Dropped(), j.Queued(), j.Written())
	}
	expired, cancel := context.WithCancel(context.Background())
	cancel()
	if err := j.Flush(expired); !errors.Is(err, context.Canceled) {
		t.Errorf("flushing to a disk that hangs: %v", err)
	}
	check(t, hang.Rollback())
	check(t, j.Flush(soon(t)))
	if !j.Add(rs[0]) {
		t.Error("no room after the disk came back")
	}
	check(t, j.Close(soon(t)))
	if n := len(readJournal(t, d, Query{})); n != defaultQueue || j.Dropped() != 100 {
		t.Errorf("%d records are there, %d dropped", n, j.Dropped())
	}
}

// While the disk is full nothing is lost up to the queue's bound, and the write is
// tried again with growing pauses.
func TestJournalDiskFull(t *testing.T) {
	inBubble(t, func(t *testing.T, d *DB) {
		j := d.StartJournal(JournalOptions{Queue: 600, Batch: 500})
		synctest.Wait()
		setMaxSize(t, d, 1)
		start := time.Now()
		for i := range 500 {
			j.Add(record(i))
		}
		var tries []time.Duration
		for last := uint64(0); time.Since(start) < 25*time.Second; time.Sleep(100 * time.Millisecond) {
			synctest.Wait()
			if n := j.Failures(); n > last {
				last = n
				tries = append(tries, time.Since(start))
			}
		}
		ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
		if want := []time.Duration{0, ms(200), ms(600), ms(1400), ms(3000), ms(6200), ms(11200), ms(16200), ms(21200)}; !reflect.DeepEqual(tries, want) {
			t.Errorf("tried after %v, want %v", tries, want)
		}
		for i := range 110 {
			if took := j.Add(record(500 + i)); took != (i < 100) {
				t.Errorf("record %d: %v", i, took)
			}
		}
		err := j.Err()
		if !errors.Is(err, ErrWrite) || !errors.Is(err, boltFull) || !strings.Contains(err.Error(), "500 records wait") {
			t.Errorf("the error is %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := j.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrWrite) {
			t.Errorf("flushing gives %v", err)
		}
		setMaxSize(t, d, 0)
		check(t, j.Flush(context.Background()))
		if j.Err() != nil || j.Written() != 600 || j.Dropped() != 10 || j.Queued() != 0 {
			t.Errorf("then: %v, %d written, %d dropped, %d wait", j.Err(), j.Written(), j.Dropped(), j.Queued())
		}
		check(t, j.Close(context.Background()))
		if records, _, err := d.JournalSize(); records != 600 || err != nil {
			t.Errorf("%d records are there, %v", records, err)
		}
	})
}

// Closing does not wait longer than it may, and says what was lost.
func TestJournalCloseGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T, d *DB) {
		j := d.StartJournal(JournalOptions{})
		synctest.Wait()
		setMaxSize(t, d, 1)
		for i := range 1000 {
			j.Add(record(i))
		}
		c, _ := j.Watch(5)
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		err := j.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrWrite) || !strings.Contains(err.Error(), "1000 journal records were not written") || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		synctest.Wait()
		if j.Dropped() != 1000 {
			t.Errorf("%d counted as dropped", j.Dropped())
		}
		if _, open := <-c; open {
			t.Error("a follower still follows")
		}
		if err := j.Flush(context.Background()); err == nil {
			t.Error("flushing says that all is written")
		}
	})
}

// The database closed under the journal: it ends, and says so.
func TestJournalDatabaseClosed(t *testing.T) {
	d := open(t, Options{})
	j := d.StartJournal(JournalOptions{})
	addAll(t, j, record(1))
	check(t, d.Close())
	j.Add(record(2))
	if err := j.Flush(soon(t)); !errors.Is(err, ErrClosed) || j.Dropped() != 1 {
		t.Errorf("%v, %d dropped", err, j.Dropped())
	}
	if err := j.Close(soon(t)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestWatch(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	addAll(t, j, record(0))
	fast, endFast := j.Watch(100)
	slow, _ := j.Watch(2)
	for i := 1; i <= 10; i++ {
		addAll(t, j, record(i))
	}
	for i := 1; i <= 10; i++ {
		if r := <-fast; r.Caller.Raw != record(i).Caller.Raw {
			t.Errorf("record %d is %s", i, r.Caller.Raw)
		}
	}
	endFast()
	endFast()
	if _, open := <-fast; open {
		t.Error("records after the end")
	}
	check(t, j.Close(soon(t)))
	n := 0
	for r := range slow {
		if n++; r.Caller.Raw != record(n).Caller.Raw {
			t.Errorf("the slow one's record %d is %s", n, r.Caller.Raw)
		}
	}
	if n != 2 || j.Missed() != 8 {
		t.Errorf("the slow one got %d, missed %d", n, j.Missed())
	}
	if _, open := <-first(j.Watch(1)); open {
		t.Error("a closed journal is followed")
	}
}

func first[A, B any](a A, _ B) A { return a }

// Who follows calls does not wait for the disk.
func TestWatchBeforeTheDisk(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	c, end := j.Watch(10)
	defer end()
	busy, release, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- d.update(func(*bolt.Tx) error { close(busy); <-release; return nil })
	}()
	<-busy
	r := record(1)
	j.Add(r)
	select {
	case got := <-c:
		if got.ID != r.ID || j.Written() != 0 {
			t.Errorf("%+v, %d written", got, j.Written())
		}
	case <-time.After(20 * time.Second):
		t.Error("no record while the disk is busy")
	}
	close(release)
	check(t, <-ended)
	check(t, j.Flush(soon(t)))
	if got := readJournal(t, d, Query{}); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
}

func TestWatchBounds(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	var ends []func()
	for range maxFollowers {
		c, end := j.Watch(1 << 30)
		if cap(c) != maxFollow {
			t.Errorf("room for %d records", cap(c))
		}
		ends = append(ends, end)
	}
	if _, open := <-first(j.Watch(1)); open {
		t.Error("one follower too many")
	}
	ends[0]()
	c, end := j.Watch(-1)
	end()
	if _, open := <-c; open || cap(c) != 1 {
		t.Error("no place after one left")
	}
}

func TestDamagedRecord(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	addAll(t, j, record(1), record(2), record(3))
	all := readJournal(t, d, Query{})
	check(t, d.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketJournal).Put([]byte(all[1].ID), []byte(`{"id":"01`))
	}))
	n := 0
	err := d.Journal(Query{}, func(Record) error { n++; return nil })
	if n != 2 || !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), all[1].ID) {
		t.Errorf("%d records came, and %v", n, err)
	}
}

// A record with the ID of another takes its place.
func TestJournalReplace(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	r := record(1)
	addAll(t, j, r)
	r.Outcome = &Outcome{Answered: true, TalkS: 12}
	addAll(t, j, r)
	if got := readJournal(t, d, Query{}); len(got) != 1 || !reflect.DeepEqual(got[0], r) {
		t.Errorf("got %+v", got)
	}
	sizeIsTrue(t, d)
}
