package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// Who follows calls as they come shares one watch of the journal and one store of the last records: a hundred live views cost a hundred readers, and not a
// hundred copies. They are woken together and seldom, so that calls do not wait for them.

const (
	// maxFollow is how many records are kept for who follows; who is further behind is too slow, and let go of.
	maxFollow = 4096
	// maxFollowers is how many may follow at a time.
	maxFollowers = 1000
	// followersEach is how many streams one session or token may have of them: else one script could shut out everybody.
	followersEach = 16
	// followEvery is how often they are woken at most.
	followEvery = 20 * time.Millisecond
	// maxWatched is how many records wait for the hub, which takes them all each time.
	maxWatched = 1024
)

// hub tells all who follow.
type hub struct {
	mu        sync.Mutex
	last      []console.Record // a ring, by their numbers
	next      uint64           // the number of the record to come
	grew      chan struct{}    // closed and replaced when next grows, closed when the journal ends
	followers int
	of        map[string]int // by session or token; who follows nothing now is not there
	running   bool
	ended     bool
}

// Follow calls yield for each record from now on, until ctx ends or yield returns an error, which Follow then returns. Who is too slow is told so
// by an error. It calls joined, if there is one, when each record that is written from then on will come.
func (d *Desk) Follow(ctx context.Context, joined func(), yield func(console.Record) error) error {
	if d.o.Journal == nil {
		return fmt.Errorf("%w, so no call can be followed", console.ErrNotRunning)
	}
	who := follower(ctx)
	at, err := d.hub.join(d.o.Journal, who)
	if err != nil {
		return err
	}
	defer d.hub.leave(who)
	if joined != nil {
		joined()
	}
	var batch []console.Record
	for ctx.Err() == nil {
		var grew <-chan struct{}
		var ended bool
		if batch, grew, ended, err = d.hub.since(at, batch[:0]); err != nil {
			d.slow.Add(1)
			return err
		}
		for i := range batch {
			if err := yield(batch[i]); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		at += uint64(len(batch))
		if len(batch) > 0 {
			continue
		}
		if ended {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-grew:
		}
	}
	return nil
}

// ErrSlow is what Follow gives to who is too slow.
var ErrSlow = errors.New("calls came faster than they were read here, so some are missing: connect again")

// Followed says how many follow calls now, and how many were let go of because they were too slow.
func (d *Desk) Followed() (now int, slow uint64) {
	d.hub.mu.Lock()
	defer d.hub.mu.Unlock()
	return d.hub.followers, d.slow.Load()
}

// follower is the session or token that follows; "" for who is at the machine itself, who has all the places.
func follower(ctx context.Context) string {
	w := console.WhoOf(ctx)
	if w == nil || w.Way == console.BySocket {
		return ""
	}
	return w.Way + " " + cmp.Or(w.Session, w.Name)
}

// join gives the number of the first record that who joins is to be told of.
func (h *hub) join(j *storage.Journal, who string) (at uint64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.followers >= maxFollowers:
		return 0, console.Conflict(fmt.Sprintf("%d follow the calls already: close some of those views", maxFollowers))
	case who != "" && h.of[who] >= followersEach:
		return 0, console.Conflict(fmt.Sprintf("you follow the calls in %d places already: close some of them", followersEach))
	}
	if !h.running {
		h.running, h.ended = true, false
		h.last, h.grew = make([]console.Record, maxFollow), make(chan struct{})
		records, stop := j.Watch(maxWatched)
		go h.run(records, stop)
	}
	h.followers++
	if h.of == nil {
		h.of = make(map[string]int)
	}
	h.of[who]++
	return h.next, nil
}

func (h *hub) leave(who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers--
	if h.of[who]--; h.of[who] == 0 {
		delete(h.of, who)
	}
}

// run takes records until the journal ends, or nobody follows any more.
func (h *hub) run(records <-chan storage.Record, stop func()) {
	defer stop()
	idle := time.NewTicker(time.Minute)
	defer idle.Stop()
	for {
		select {
		case r, ok := <-records:
			if !ok {
				h.end()
				return
			}
			h.take(r, records)
			time.Sleep(followEvery) // more may come, and all are woken once
		case <-idle.C:
			if h.rest() {
				return
			}
		}
	}
}

// take adds a record, and those that wait behind it.
func (h *hub) take(r storage.Record, more <-chan storage.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ok := true; ok; {
		h.last[h.next%maxFollow] = recordOf(&r)
		h.next++
		select {
		case r, ok = <-more: // when it is closed the next turn sees it
		default:
			ok = false
		}
	}
	close(h.grew)
	h.grew = make(chan struct{})
}

// end tells all that no more will come.
func (h *hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended, h.running = true, false
	close(h.grew)
}

// rest ends the work where nobody follows. What is kept for them goes.
func (h *hub) rest() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.followers > 0 {
		return false
	}
	h.running, h.last = false, nil
	return true
}

// followBatch is how many records one who follows is given at a time.
const followBatch = 64

// since appends the records from a number on to a batch, some at a time. grew is closed when there are more.
func (h *hub) since(at uint64, batch []console.Record) (_ []console.Record, grew <-chan struct{}, ended bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next-at > maxFollow {
		return nil, nil, false, ErrSlow
	}
	for ; at < h.next && len(batch) < followBatch; at++ {
		batch = append(batch, h.last[at%maxFollow])
	}
	return batch, h.grew, h.ended, nil
}

// Watch delivers records from now on, until stop. Who does not keep up misses some.
func (d *Desk) Watch() (records <-chan console.Record, stop func()) {
	written, stop := d.o.Journal.Watch(maxWatched)
	seen := make(chan console.Record, maxWatched)
	go func() { // until stop
		defer close(seen)
		for r := range written {
			select {
			case seen <- recordOf(&r):
			default:
				d.missed.Add(1)
			}
		}
	}()
	return seen, stop
}
