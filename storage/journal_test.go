package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
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

func TestQuery(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	const n = 1000
	rs := make([]Record, n)
	for i := range rs {
		rs[i] = record(i)
		rs[i].Caller.Raw = "anonymous"
		if i%2 == 0 {
			rs[i].Caller.Raw = fmt.Sprintf("0952 \"%d\xe9", i)
		}
		rs[i].ID = NewID(rs[i].Time)
	}
	addAll(t, j, rs...)
	at := func(i int) time.Time { return record(i).Time }
	raws := func(keep func(i int, r Record) bool) (out []int) {
		for i, r := range rs {
			if keep(i, r) {
				out = append(out, i)
			}
		}
		return out
	}
	backwards := func(in []int) []int { slices.Reverse(in); return in }
	all := raws(func(int, Record) bool { return true })
	tests := []struct {
		name string
		q    Query
		want []int
	}{
		{"all", Query{}, all},
		{"newest", Query{Newest: true}, backwards(slices.Clone(all))},
		{"last 20", Query{Newest: true, Limit: 20}, backwards(slices.Clone(all))[:20]},
		{"first 130", Query{Limit: 130}, all[:130]},
		{"since", Query{Since: at(990)}, all[990:]},
		{"since, a moment later", Query{Since: at(990).Add(time.Millisecond)}, all[991:]},
		{"until", Query{Until: at(3)}, all[:3]},
		{"between", Query{Since: at(100), Until: at(400)}, all[100:400]},
		{"between, newest", Query{Since: at(100), Until: at(400), Newest: true}, backwards(slices.Clone(all[100:400]))},
		{"after the last", Query{Since: at(n)}, nil},
		{"after the last, newest", Query{Since: at(n), Newest: true}, nil},
		{"before the first", Query{Until: at(0)}, nil},
		{"before the first, newest", Query{Until: at(0), Newest: true}, nil},
		{"nothing between", Query{Since: at(5), Until: at(5)}, nil},
		{"until far ahead, newest", Query{Until: at(10 * n), Newest: true, Limit: 1}, []int{n - 1}},
		{"caller", Query{Caller: "+8695200017"}, []int{17}},
		{"caller as it arrived", Query{Caller: "0952 \"18\xe9"}, []int{18}},
		{"raw of many", Query{Caller: "anonymous"}, raws(func(i int, r Record) bool { return i%2 == 1 })},
		{"no prefix", Query{Caller: "+869520001"}, nil},
		{"callee", Query{Callee: "05925550005"}, []int{5}},
		{"the callee's number as caller", Query{Caller: "05925550005"}, nil},
		{"action", Query{Action: "warn", Newest: true, Limit: 3}, []int{998, 995, 992}},
		{"would is not action", Query{Action: "reject"}, raws(func(i int, r Record) bool { return r.Action == "reject" })},
		{"id", Query{ID: strings.ToLower(rs[7].ID)}, []int{7}},
		{"id, newest", Query{ID: rs[7].ID, Newest: true}, []int{7}},
		{"id and another action", Query{ID: rs[7].ID, Action: "reject"}, nil},
		{"cursor", Query{Cursor: rs[997].ID}, []int{998, 999}},
		{"cursor, newest", Query{Cursor: rs[2].ID, Newest: true}, []int{1, 0}},
		{"cursor at the end", Query{Cursor: rs[999].ID}, nil},
		{"cursor at the end, newest", Query{Cursor: rs[0].ID, Newest: true}, nil},
		{"cursor before since", Query{Cursor: rs[2].ID, Since: at(990)}, all[990:]},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []int
			for _, r := range readJournal(t, d, test.q) {
				i := slices.IndexFunc(rs, func(o Record) bool { return o.ID == r.ID })
				if !reflect.DeepEqual(r, rs[i]) {
					t.Fatalf("record %d is\n%+v, want\n%+v", i, r, rs[i])
				}
				got = append(got, i)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v\nwant %v", got, test.want)
			}
		})
	}
	for _, q := range []Query{{ID: "7"}, {Cursor: "01"}, {Cursor: strings.Repeat("U", 26)}} {
		if err := d.Journal(q, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if err := d.Journal(Query{}, func(Record) error { return errStop }); err != errStop {
		t.Errorf("an error of yield comes back as %v", err)
	}
}

// Walking by cursor sees each record once, though a scan is cut into pages, and
// though the one it stopped at is removed meanwhile.
func TestQueryPages(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Queue: 20_000})
	const n = 2*pageScanned + 100
	for i := range n {
		r := record(i)
		if i%(pageScanned/2) != 0 {
			r.Callee = "rare"[:i%4] // the scan passes over most
		} else {
			r.Callee = "found"
		}
		if !j.Add(r) {
			t.Fatal("dropped")
		}
	}
	check(t, j.Flush(soon(t)))
	for _, newest := range []bool{false, true} {
		got := readJournal(t, d, Query{Callee: "found", Newest: newest})
		if len(got) != 5 {
			t.Errorf("%d found, newest %v", len(got), newest)
		}
	}
	seen := 0
	for _, newest := range []bool{false, true} {
		q := Query{Limit: 1000, Newest: newest}
		for {
			page := readJournal(t, d, q)
			if len(page) == 0 {
				break
			}
			seen += len(page)
			q.Cursor = page[len(page)-1].ID
		}
	}
	if seen != 2*n {
		t.Errorf("%d records by cursor, want %d", seen, 2*n)
	}
	// A callback that edits, and removes what the next page would start after.
	seen = 0
	check(t, d.Journal(Query{}, func(r Record) error {
		if seen++; seen == pageRecords {
			return d.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketJournal).Delete([]byte(r.ID)) })
		}
		return nil
	}))
	if seen != n {
		t.Errorf("%d records came, want %d", seen, n)
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
