package desk

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"ringfence/detect"
	"ringfence/pseudonym"
	"ringfence/storage"
)

// How breakers get to disk.
const (
	breakersDelay = time.Second      // how long one waits for others
	breakersRetry = 10 * time.Second // how long after a write that failed
	maxUnwritten  = 20_000           // that wait for the disk
	breakerUse    = "breaker"        // of the seal
)

// breakers keeps in the database what must outlive the program of breakers: it is a detect.Sink. What it is told of counts at once and is on
// disk a little later, or when somebody who typed it waits for that (flush).
type breakers struct {
	db      *storage.DB
	private *pseudonym.Key
	wake    chan struct{}

	mu      sync.Mutex
	waiting map[breakerOf]detect.Breaker // for the disk
	// closed are those of which the disk says that they are closed. It says so until the file of counts knows it too: that is older, and
	// would have them tripped after a kill.
	closed  map[breakerOf]bool
	dropped uint64

	writing sync.Mutex // held while breakers go to disk, and while some are taken from there for good
}

// breakerOf names a breaker.
type breakerOf struct{ detector, trunk, key string }

func nameOf(b *detect.Breaker) breakerOf { return breakerOf{b.Detector, b.Trunk, b.Key} }

func newBreakers(db *storage.DB, private *pseudonym.Key) *breakers {
	return &breakers{
		db: db, private: private, wake: make(chan struct{}, 1),
		waiting: make(map[breakerOf]detect.Breaker), closed: make(map[breakerOf]bool),
	}
}

// Changed has a breaker written soon.
func (k *breakers) Changed(b detect.Breaker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	of := nameOf(&b)
	if _, there := k.waiting[of]; !there && len(k.waiting) >= maxUnwritten && b.By == "" && b.Pinned == "" { // who typed it waits for the disk
		k.dropped++
		return
	}
	k.waiting[of] = b
	signal(k.wake)
}

// isGone reports whether nothing of a breaker is worth keeping.
func isGone(b *detect.Breaker) bool {
	return b.Pinned == "" && b.State != detect.Tripped && b.State != detect.Probing
}

// Dropped is how many found no room among those that wait for the disk.
func (k *breakers) Dropped() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dropped
}

// rowKey is under what a breaker is kept; in a private installation nobody can read it.
func (k *breakers) rowKey(of breakerOf) string {
	text := strings.Join([]string{of.detector, of.trunk, of.key}, "\x00")
	if k.private != nil {
		return k.private.Name("breaker\x00" + text)
	}
	return text
}

// row is a breaker as it is kept.
func (k *breakers) row(b *detect.Breaker) (storage.Breaker, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return storage.Breaker{}, err
	}
	if k.private != nil {
		text = k.private.Seal(breakerUse, text)
	}
	return storage.Breaker{Key: k.rowKey(nameOf(b)), Value: text}, nil
}

// breakerOfRow reads a row, sealed or not; false for one that cannot be read.
func breakerOfRow(row storage.Breaker, key *pseudonym.Key) (b detect.Breaker, ok bool) {
	text := row.Value
	if strings.HasPrefix(row.Key, storage.PrivateMark) {
		if text, ok = key.Unseal(breakerUse, row.Value); !ok {
			return b, false
		}
	}
	if json.Unmarshal(text, &b) != nil || b.Detector == "" || b.Key == "" {
		return b, false
	}
	return b, true
}

// flush puts what waits on disk. What could not be written waits on.
func (k *breakers) flush() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	waiting := k.waiting
	k.waiting = make(map[breakerOf]detect.Breaker)
	k.mu.Unlock()
	if len(waiting) == 0 {
		return nil
	}
	var put []storage.Breaker
	var failed error
	for _, b := range waiting {
		row, err := k.row(&b)
		if err == nil && (len(row.Key) > storage.MaxBreakerKey || len(row.Value) > storage.MaxBreakerValue) {
			err = errors.New("a breaker is too long to be kept")
		}
		if err != nil {
			failed = err // it counts until the next start; the others are kept
			continue
		}
		put = append(put, row)
	}
	for rest := put; len(rest) > 0; {
		n := min(len(rest), storage.MaxEdit)
		if err := k.db.PutBreakers(rest[:n], nil); err != nil {
			k.again(waiting)
			return err
		}
		rest = rest[n:]
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for of, b := range waiting {
		if isGone(&b) {
			k.closed[of] = true
		} else {
			delete(k.closed, of)
		}
	}
	return failed
}

// again has breakers wait on, but for those that have changed meanwhile.
func (k *breakers) again(waiting map[breakerOf]detect.Breaker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for of, b := range waiting {
		if _, there := k.waiting[of]; !there {
			k.waiting[of] = b
		}
	}
}

// closedNow are the breakers of which the disk says that they are closed.
func (k *breakers) closedNow() map[breakerOf]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.closed)
}

// dropClosed removes breakers that were closed before the file of counts was written.
func (k *breakers) dropClosed(closed map[breakerOf]bool) {
	if len(closed) == 0 {
		return
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	var drop []string
	k.mu.Lock()
	for of := range closed {
		_, changed := k.waiting[of]
		if k.closed[of] && !changed && len(drop) < storage.MaxEdit {
			drop = append(drop, k.rowKey(of))
			delete(k.closed, of)
		}
	}
	k.mu.Unlock()
	k.db.PutBreakers(nil, drop) // what stays is dropped at the next start
}

// each calls yield for each breaker that is kept. How many rows could not be read is its result.
func (k *breakers) each(key *pseudonym.Key, yield func(storage.Breaker, detect.Breaker) error) (unread int, err error) {
	err = k.db.EachBreaker(func(row storage.Breaker) error {
		b, ok := breakerOfRow(row, key)
		if !ok {
			unread++
			return nil
		}
		return yield(row, b)
	})
	return unread, err
}

// sweep removes those that judge names, on disk and among those that wait. While it does nothing comes to the disk.
func (k *breakers) sweep(key *pseudonym.Key, judge func(b *detect.Breaker) bool) (n int, err error) {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	maps.DeleteFunc(k.waiting, func(_ breakerOf, b detect.Breaker) bool { return judge(&b) })
	k.mu.Unlock()
	var drop []string
	_, err = k.each(key, func(row storage.Breaker, b detect.Breaker) error {
		if judge(&b) {
			drop = append(drop, row.Key)
		}
		return nil
	})
	for rest := drop; len(rest) > 0; {
		m := min(len(rest), storage.MaxEdit)
		if e := k.db.PutBreakers(nil, rest[:m]); e != nil {
			return n, errors.Join(err, e)
		}
		n, rest = n+m, rest[m:]
	}
	return n, err
}

// KeepBreakers brings to disk what changes of breakers, and tells a person of those that hold, until ctx ends and once more then.
func (d *Desk) KeepBreakers(ctx context.Context) {
	k, failing := d.breakers, false
	write := func() bool {
		err := k.flush()
		if err != nil && !failing {
			d.o.Log.Error("breakers cannot be written; they count until the next start", "error", err)
		}
		failing = err != nil
		d.alertTripped()
		return err == nil
	}
	defer write()
	d.alertTripped()
	for pause := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-after(pause): // a write that failed is tried again
		}
		select { // lets others come along
		case <-ctx.Done():
			return
		case <-time.After(breakersDelay):
		}
		if pause = 0; !write() {
			pause = breakersRetry
		}
	}
}

// after is a channel that delivers after a while, never for 0.
func after(d time.Duration) <-chan time.Time {
	if d == 0 {
		return nil
	}
	return time.After(d)
}
