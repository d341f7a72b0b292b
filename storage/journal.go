package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of JournalOptions.
const (
	defaultQueue = 8192
	defaultBatch = 1024
	defaultDelay = 200 * time.Millisecond
)

const (
	// A write that failed is tried again after these waits, each twice the last.
	retryFirst = 200 * time.Millisecond
	retryMost  = 5 * time.Second
	// trimEvery is how often an idle journal looks for records that are too old.
	trimEvery = time.Minute
	// maxEarly is how many outcomes may wait for their records.
	maxEarly = 1024
	// maxFollowers and maxFollow bound Watch: how many followers there may be, and
	// how many records may wait for one of them.
	maxFollowers = 64
	maxFollow    = 1024
)

// JournalOptions set the bounds of a journal; zero values mean the defaults.
type JournalOptions struct {
	Queue int           // records that may wait to be written (8192)
	Batch int           // records that make a batch be written at once (1024)
	Delay time.Duration // how long a smaller batch waits for more (200 ms)
	// Keep is how long records are kept, by the time in their id; 0: for ever.
	Keep time.Duration
	// MaxBytes bounds the size of the records with their keys; above it the oldest of the
	// loudest callers go (see trimmer). 0: no bound. The file takes about a third more, and does not shrink: what
	// becomes free in it is used again.
	MaxBytes int64
	// Merge is how long after a record calls that repeat it are counted on it, by their times; 0: each call has its own.
	Merge time.Duration
	// Notices says which calls the customers of lines are to be told of; nil for none.
	Notices NoticeTaker
}

// Journal writes records to the database in the background, so that the call path
// never waits for a disk. There should be one at a time for a DB.
//
// When writing fails (the disk is full, say) the records stay in the queue and the
// write is tried again, with growing pauses of up to 5 seconds, until it succeeds.
// Meanwhile new records are taken until the queue is full.
type Journal struct {
	d *DB
	o JournalOptions

	mu       sync.Mutex
	queue    []*Record
	added    uint64              // records ever taken into the queue
	settled  uint64              // of these, how many have left it
	early    map[string]*Outcome // whose records have not come; of the writer alone
	repeats  *repeats
	trimmer  trimmer
	pruned   time.Time     // when old tombstones were looked for; of the writer alone
	progress chan struct{} // closed and replaced when settled grows
	flushTo  uint64        // a batch is due until settled has come to this
	closed   bool
	err      error // of the last write; nil once one succeeds

	wake    chan struct{} // holds one token: the writer should look again
	abandon chan struct{} // closed when Close has waited long enough
	ended   chan struct{} // closed when the writer has ended

	dropped, written, failures, trimmed, strays atomic.Uint64

	followers followers
	fresh     []Record      // that followers have not been told of
	tell      chan struct{} // holds one token: there are followers; closed when no more will come
	told      chan struct{} // closed when followers have been told of all
}

// StartJournal starts writing. End it with Close, before that of the DB.
func (d *DB) StartJournal(o JournalOptions) *Journal {
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	if o.Batch <= 0 {
		o.Batch = defaultBatch
	}
	o.Batch = min(o.Batch, o.Queue)
	if o.Delay <= 0 {
		o.Delay = defaultDelay
	}
	j := &Journal{
		d: d, o: o, repeats: newRepeats(o.Merge), trimmer: trimmer{d: d, max: o.MaxBytes},
		progress: make(chan struct{}),
		wake:     make(chan struct{}, 1),
		abandon:  make(chan struct{}),
		ended:    make(chan struct{}),
		tell:     make(chan struct{}, 1),
		told:     make(chan struct{}),
	}
	go j.run()
	go j.tellFollowers()
	return j
}

// Add hands a record to the writer and returns at once. It reports false, and
// counts the record as dropped, if the queue is full, the journal is closed, or
// the record's ID is not a ULID. A record without ID gets one, a record without
// Time the present time. Texts are cut at 256 bytes.
//
// A record with the ID of an earlier one replaces it: so an outcome can follow. One that repeats another (see
// JournalOptions.Merge) is counted on that.
func (j *Journal) Add(r Record) bool {
	if y := r.Time.Year(); r.Time.IsZero() || y < 1970 || y > 9999 { // JSON knows no others
		r.Time = j.d.now()
	}
	r.Time = millis(r.Time)
	ok := true
	if r.ID == "" {
		r.ID = NewID(r.Time)
	} else {
		r.ID, ok = parseID(r.ID)
	}
	r.bound()

	j.mu.Lock()
	defer j.mu.Unlock()
	if !ok || j.closed || len(j.queue) >= j.o.Queue {
		j.dropped.Add(1)
		return false
	}
	j.queue = append(j.queue, &r)
	j.added++
	if !r.late && !r.amends && j.followers.any.Load() { // they follow decisions
		if len(j.fresh) < j.o.Queue {
			j.fresh = append(j.fresh, r)
		} else {
			j.followers.missed.Add(1)
		}
	}
	if n := len(j.queue); n == 1 || n == j.o.Batch {
		j.kick()
	}
	return true
}

// Amend is Add for a record that takes the place of one with its ID: what it says was found to be otherwise. Who follows the
// journal has had the call already and is not told again.
func (j *Journal) Amend(r Record) bool {
	r.amends = true
	return j.Add(r)
}

// Outcome hands what became of a call to the writer, for the record of that ID, and
// returns at once. It reports false as Add does. The record may come a little later;
// an outcome whose record does not come is counted in Strays.
func (j *Journal) Outcome(id string, o Outcome) bool {
	return j.Add(Record{ID: id, Outcome: &o, late: true})
}

// Strays is how many outcomes were given up because no record came.
func (j *Journal) Strays() uint64 { return j.strays.Load() }

// Dropped is how many records were not taken, or were lost when the journal was
// closed before they could be written.
func (j *Journal) Dropped() uint64 { return j.dropped.Load() }

// Written is how many calls are recorded on disk; what completes or corrects a record does not count.
func (j *Journal) Written() uint64 { return j.written.Load() }

// Failures is how many writes failed; each was or will be tried again.
func (j *Journal) Failures() uint64 { return j.failures.Load() }

// Trimmed is how many records were removed because they were too old or too many.
func (j *Journal) Trimmed() uint64 { return j.trimmed.Load() }

// Queued is how many records wait to be written.
func (j *Journal) Queued() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.queue)
}

// Err is the error of the last write, nil if it succeeded.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Flush returns when all records added before it are on disk, or with an error
// when ctx ends or the journal ends first.
func (j *Journal) Flush(ctx context.Context) error {
	j.mu.Lock()
	target := j.added
	j.flushTo = max(j.flushTo, target)
	j.kick()
	j.mu.Unlock()
	for {
		j.mu.Lock()
		settled, progress, last := j.settled, j.progress, j.err
		j.mu.Unlock()
		if settled >= target {
			return nil
		}
		select {
		case <-progress:
		case <-j.ended:
			return j.lost(errors.New("it was closed"))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the journal is not all on disk: %w", context.Cause(ctx)), last)
		}
	}
}

// Close takes no more records, writes those that wait, and ends. When ctx ends
// first, they are given up and counted as dropped, and an error says how many.
// The channels of Watch are closed.
func (j *Journal) Close(ctx context.Context) error {
	j.mu.Lock()
	j.closed = true
	j.kick()
	j.mu.Unlock()
	select {
	case <-j.ended:
	case <-ctx.Done():
		j.mu.Lock()
		select {
		case <-j.abandon:
		default:
			close(j.abandon)
		}
		j.mu.Unlock()
		// The writer may hang in the disk: it is not waited for.
		return j.lost(context.Cause(ctx))
	}
	return j.lost(nil)
}

// lost is the error for records that will not be written, nil if there are none.
func (j *Journal) lost(cause error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.added - j.settled
	if n == 0 {
		return nil
	}
	return errors.Join(fmt.Errorf("%d journal records were not written", n), cause, j.err)
}

// kick makes the writer look at the queue. The caller holds the lock.
func (j *Journal) kick() { token(j.wake) }

// token puts one into a channel that holds one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run is the writer: it waits for a batch to be due, writes it, and thins out the
// journal, until it is closed and empty.
func (j *Journal) run() {
	defer close(j.ended)
	defer j.followers.close()
	defer func() { <-j.told }()
	defer j.giveUp()
	var tick <-chan time.Time
	if j.o.Keep > 0 || j.o.MaxBytes > 0 {
		ticker := time.NewTicker(trimEvery)
		defer ticker.Stop()
		tick = ticker.C
	}
	wait, more := retryFirst, true // what a shorter Keep leaves to remove goes at once
	for more && !j.closing() || j.await(tick) {
		batch := j.head()
		var err error
		more, err = j.write(batch)
		j.finish(batch, err)
		switch {
		case err == nil:
			wait = retryFirst
		case errors.Is(err, ErrClosed):
			return
		default:
			more = false
			if !j.pause(wait) {
				return
			}
			wait = min(2*wait, retryMost)
		}
	}
}

// await waits until there is something to do: a batch is due, or a look at what is
// too old. It reports false when the journal is closed and has nothing left to write,
// or was told to give up.
func (j *Journal) await(tick <-chan time.Time) bool {
	var due <-chan time.Time
	for {
		j.mu.Lock()
		n, closed := len(j.queue), j.closed
		now := n >= j.o.Batch || closed || j.settled < j.flushTo
		j.mu.Unlock()
		select {
		case <-j.abandon:
			return false
		default:
		}
		switch {
		case n == 0 && closed:
			return false
		case n > 0 && now:
			return true
		case n > 0 && due == nil:
			due = time.After(j.o.Delay)
		}
		select {
		case <-j.wake:
		case <-due:
			return true
		case <-tick:
			return true
		case <-j.abandon:
			return false
		}
	}
}

// closing reports whether Close was called: then removing old records can wait.
func (j *Journal) closing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}

// pause waits before the next try; false if the journal gives up meanwhile.
func (j *Journal) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-j.abandon:
		return false
	}
}

// head returns the records to write next. They stay in the queue until they are on
// disk, and so count against its bound.
func (j *Journal) head() []*Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]*Record(nil), j.queue[:min(len(j.queue), j.o.Batch)]...)
}

// write puts a batch on disk and removes records beyond the journal's bounds; more
// says that there are further ones to remove.
func (j *Journal) write(batch []*Record) (more bool, err error) {
	rows, err := j.rows(batch)
	if err != nil {
		return false, err
	}
	var oldest string
	if j.o.Keep > 0 {
		oldest = firstID(j.d.now().Add(-j.o.Keep))
	}
	trimmed, more, err := j.d.putRows(rows, oldest, j.trimmer.hardMax())
	if err != nil {
		return more, err
	}
	j.trimmed.Add(uint64(trimmed))
	loud, moreLoud, err := j.trimmer.some()
	j.trimmed.Add(uint64(loud))
	if err == nil {
		var moreIndex bool
		moreIndex, err = j.d.indexMore()
		more = more || moreIndex
	}
	if more = more || moreLoud; err != nil && len(batch) == 0 {
		return more, err // else the batch is on disk, and that is what is to be said; it is met again
	}
	if now := j.d.now(); now.Sub(j.pruned) >= pruneEvery {
		j.pruned = now
		j.d.PruneDeleted() // a fault is met again by the next edit of that list, which has somebody to tell
	}
	for _, r := range batch {
		if !r.late {
			delete(j.early, r.ID)
		}
	}
	for i := range rows {
		switch r := &rows[i]; {
		case r.counting != nil && r.stray && len(r.counting.calls) > 0:
			j.repeats.moved(string(r.key), r.counting.calls[0].ID)
		case r.own != "":
			if j.repeats.part(r.own); r.stray {
				j.strays.Add(1)
			}
		case r.outcome != nil && r.stray:
			j.keepEarly(string(r.key), r.outcome)
		}
	}
	return more, nil
}

// finish settles a batch that is on disk, or notes why it is not.
func (j *Journal) finish(batch []*Record, err error) {
	if err != nil {
		j.failures.Add(1)
		j.mu.Lock()
		j.err = fmt.Errorf("the journal cannot be written (%d records wait, new ones are dropped at %d): %w",
			len(j.queue), j.o.Queue, err)
		j.mu.Unlock()
		return
	}
	for _, r := range batch {
		if !r.late && !r.amends {
			j.written.Add(1)
		}
	}
	j.noteKept(batch)
	j.mu.Lock()
	clear(j.queue[:len(batch)])
	j.queue = j.queue[len(batch):]
	j.settled += uint64(len(batch))
	j.err = nil
	close(j.progress)
	j.progress = make(chan struct{})
	j.mu.Unlock()
}

// giveUp counts what the writer leaves behind.
func (j *Journal) giveUp() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.dropped.Add(uint64(len(j.queue)))
	j.queue = nil
	close(j.tell) // nothing is added any more
}
