package storage

import (
	"sync"
	"sync/atomic"
	"time"
)

// followers are those who watch the journal grow. The zero value is ready for use.
type followers struct {
	mu     sync.Mutex
	all    map[chan Record]struct{}
	closed bool
	any    atomic.Bool // there are some
	missed atomic.Uint64
}

// Watch returns a channel of the records added from now on, and a function that
// ends it. Records come at once, before they are on disk (they may still be lost with it), so whoever watches first, has the
// journal be flushed and then reads it misses none (but may see some twice, with the same ID).
//
// n is how many records may wait for the follower, 1 to 1024. One that is slower
// misses records, which Missed counts; it never delays the journal. The channel is
// closed by the function, and when the journal ends; at once if 64 others follow
// already. Treat a record's Outcome as read-only: followers share it.
func (j *Journal) Watch(n int) (<-chan Record, func()) {
	c, end := j.followers.add(min(max(n, 1), maxFollow))
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed {
		token(j.tell)
	}
	return c, end
}

// tellEvery is how often followers are told: a record waits no longer, and whoever adds one wakes nobody.
const tellEvery = 10 * time.Millisecond

// tellFollowers hands records on as they come: who follows calls is not to wait for a disk.
func (j *Journal) tellFollowers() {
	defer close(j.told)
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	var batch []Record
	for more := true; more; {
		var due <-chan time.Time
		if j.followers.any.Load() {
			due = tick.C
		}
		select {
		case _, more = <-j.tell:
		case <-due:
		}
		j.mu.Lock()
		batch, j.fresh = j.fresh, batch[:0]
		j.mu.Unlock()
		if len(batch) > 0 {
			j.followers.send(batch)
			clear(batch)
		}
	}
}

// Missed is how many records followers were too slow for, each counted per follower.
func (j *Journal) Missed() uint64 { return j.followers.missed.Load() }

func (f *followers) add(n int) (<-chan Record, func()) {
	c := make(chan Record, n)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.all) >= maxFollowers {
		close(c)
		return c, func() {}
	}
	if f.all == nil {
		f.all = make(map[chan Record]struct{})
	}
	f.all[c] = struct{}{}
	f.any.Store(true)
	return c, func() { f.remove(c) }
}

func (f *followers) remove(c chan Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.all[c]; ok {
		delete(f.all, c)
		close(c)
		f.any.Store(len(f.all) > 0)
	}
}

func (f *followers) send(batch []Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.all {
		for i := range batch {
			select {
			case c <- batch[i]:
			default:
				f.missed.Add(1)
			}
		}
	}
}

func (f *followers) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for c := range f.all {
		delete(f.all, c)
		close(c)
	}
}
