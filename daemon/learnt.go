package daemon

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/bridge"
	"ringfence/policy"
	"ringfence/storage"
)

// Bounds of what is learnt. A pair takes up to 180 bytes of memory, and less on disk.
const (
	maxPairs       = 1_000_000 // of a line and a number that it knows
	maxEmergencies = 10_000    // who dialled an emergency number in the last half hour
	maxUnwritten   = 50_000    // facts that wait for the disk, of each table
)

// How facts get to disk and leave it again.
const (
	writeDelay = time.Second      // how long a fact waits for others
	writeRetry = 10 * time.Second // how long after a write that failed
	pruneEvery = 24 * time.Hour   // an edit of the policy gone wrong does not forget everybody at once
	pruneHurry = time.Minute      // how soon again when there is no room left
	keepKnown  = 30 * 24 * time.Hour
)

// learnt is what calls have taught: who is known to which line, and who awaits a call-back of an emergency
// service. Calls only read it, under the lock of a small part of it; what is learnt from the switch's events is
// in it at once and on disk a little later.
type learnt struct {
	bounds struct{ pairs, emergencies, unwritten int } // maxPairs and so on; tests make them smaller

	seed   maphash.Seed
	shards [256]shard
	pairs  atomic.Int64

	emergency struct {
		sync.Mutex
		last map[string]int64
		n    atomic.Int64 // so that calls need no lock as long as there is none
	}

	unwritten struct {
		sync.Mutex
		facts [3]map[string]int64 // by storage.StampTable
	}
	writing    sync.Mutex // held while facts go to disk, and while one is taken from there for good
	challenged challenged
	wake       chan struct{} // holds one token: there is something to write, or no room left

	full, dropped atomic.Uint64 // pairs and emergencies that had no room; facts that will not be on disk
}

// shard has the callers whose numbers fall on it. Times are milliseconds since 1970.
type shard struct {
	sync.Mutex
	lines map[pair]int64   // when a number was last known to a line
	any   map[string]int64 // and to any line
}

type pair struct{ line, number string }

func newLearnt() *learnt {
	l := &learnt{seed: maphash.MakeSeed(), wake: make(chan struct{}, 1)}
	for i := range l.shards {
		l.shards[i].lines, l.shards[i].any = make(map[pair]int64), make(map[string]int64)
	}
	l.bounds.pairs, l.bounds.emergencies, l.bounds.unwritten = maxPairs, maxEmergencies, maxUnwritten
	l.emergency.last = make(map[string]int64)
	l.unwritten.facts = [3]map[string]int64{{}, {}, {}}
	return l
}

func (l *learnt) shard(number string) *shard {
	return &l.shards[maphash.String(l.seed, number)%uint64(len(l.shards))]
}

// moment is a time as it is kept, zero for never.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// knownTo says when a number was last known to one of the lines, and when to any at all.
func (l *learnt) knownTo(number string, lines []string) (line, all time.Time) {
	if number == "" {
		return line, all
	}
	s := l.shard(number)
	s.Lock()
	defer s.Unlock()
	last, ok := s.any[number]
	if !ok {
		return line, all
	}
	here := int64(0)
	for _, name := range lines {
		here = max(here, s.lines[pair{name, number}])
	}
	return moment(here), moment(last)
}

// awaits says when a key last dialled an emergency number.
func (l *learnt) awaits(key string) time.Time {
	l.emergency.Lock()
	defer l.emergency.Unlock()
	return moment(l.emergency.last[key])
}

// awaitsWhere is awaits for any of the keys that will do.
func (l *learnt) awaitsWhere(will func(key string) bool) time.Time {
	l.emergency.Lock()
	defer l.emergency.Unlock()
	last := int64(0)
	for key, at := range l.emergency.last {
		if at > last && will(key) {
			last = at
		}
	}
	return moment(last)
}

// meet makes a number known to a line.
func (l *learnt) meet(line, number string, at time.Time) {
	if l.remember(line, number, at.UnixMilli()) {
		l.toDisk(storage.Known, line+"\x00"+number, at.UnixMilli())
	}
}

// remember is meet in memory alone. It is false if there is no room, or if more recent things are known.
func (l *learnt) remember(line, number string, at int64) bool {
	s, k := l.shard(number), pair{line, number}
	s.Lock()
	defer s.Unlock()
	last, there := s.lines[k]
	switch {
	case there && last >= at:
		return false
	case !there && l.pairs.Load() >= int64(l.bounds.pairs):
		l.full.Add(1)
		l.kick()
		return false
	case !there:
		k.number = strings.Clone(number) // not a part of a larger text
		l.pairs.Add(1)
	}
	s.lines[k] = at
	if last, there := s.any[number]; !there || last < at {
		s.any[k.number] = at
	}
	return true
}

// dialled notes that a key dialled an emergency number.
func (l *learnt) dialled(key string, at time.Time) {
	if l.expect(key, at.UnixMilli(), at) {
		l.toDisk(storage.Emergency, key, at.UnixMilli())
	}
}

func (l *learnt) expect(key string, at int64, now time.Time) bool {
	e := &l.emergency
	e.Lock()
	defer e.Unlock()
	last, there := e.last[key]
	if there && last >= at {
		return false
	}
	if !there && len(e.last) >= l.bounds.emergencies {
		l.forgetEmergencies(now)
		if len(e.last) >= l.bounds.emergencies {
			l.full.Add(1)
			return false
		}
	}
	e.last[key] = at
	e.n.Store(int64(len(e.last)))
	return true
}

// forgetEmergencies drops what has no effect any more. The lock is held.
func (l *learnt) forgetEmergencies(now time.Time) {
	oldest := now.Add(-policy.CallbackWindow).UnixMilli()
	for key, at := range l.emergency.last {
		if at <= oldest {
			delete(l.emergency.last, key)
		}
	}
	l.emergency.n.Store(int64(len(l.emergency.last)))
}

// forget drops callers that were last known before a time. It holds the lock of one part at a time.
func (l *learnt) forget(before time.Time) {
	oldest := before.UnixMilli()
	for i := range l.shards {
		s := &l.shards[i]
		s.Lock()
		for k, at := range s.lines {
			if at < oldest {
				delete(s.lines, k)
				l.pairs.Add(-1)
			}
		}
		for number, at := range s.any {
			if at < oldest {
				delete(s.any, number)
			}
		}
		s.Unlock()
	}
}

// toDisk has a fact written soon. When the disk does not keep up it is dropped and counted; until the next
// start it counts all the same.
func (l *learnt) toDisk(t storage.StampTable, key string, at int64) {
	u := &l.unwritten
	u.Lock()
	defer u.Unlock()
	facts := u.facts[t]
	if _, there := facts[key]; !there && len(facts) >= l.bounds.unwritten {
		l.dropped.Add(1)
		return
	}
	facts[key] = max(facts[key], at)
	l.kick()
}

func (l *learnt) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// waiting is how many facts are not on disk yet.
func (l *learnt) waiting() int {
	l.unwritten.Lock()
	defer l.unwritten.Unlock()
	n := 0
	for _, facts := range l.unwritten.facts {
		n += len(facts)
	}
	return n
}

// load reads what was learnt before. What is too old is left out, and later removed by prune.
func (l *learnt) load(db *storage.DB, now time.Time, keep, keepPassed time.Duration) error {
	oldest := now.Add(-keep)
	names := make(map[string]string) // one text for each line, not one for each number
	var strays int
	err := db.EachStamp(storage.Known, func(s storage.Stamp) error {
		line, number, ok := strings.Cut(s.Key, "\x00")
		switch {
		case !ok:
			strays++
		case !s.At.Before(oldest):
			name, seen := names[line]
			if !seen {
				name = strings.Clone(line)
				names[name] = name
			}
			l.remember(name, number, s.At.UnixMilli())
		}
		return nil
	})
	if strays > 0 && err == nil {
		err = fmt.Errorf("%w: %d facts of no line", storage.ErrCorrupt, strays)
	}
	passed := db.EachStamp(storage.Passed, func(s storage.Stamp) error {
		// A key without a line is of a time when who had passed once passed everywhere; it counts no more.
		if line, number, ok := strings.Cut(s.Key, "\x00"); ok && now.Sub(s.At) < keepPassed {
			l.challenged.note(line, "", number, bridge.KeyedRight, s.At)
		}
		return nil
	})
	return errors.Join(err, passed, db.EachStamp(storage.Emergency, func(s storage.Stamp) error {
		if now.Sub(s.At) < policy.CallbackWindow {
			l.expect(s.Key, s.At.UnixMilli(), now)
		}
		return nil
	}))
}

// write puts what waits on disk. What could not be written waits on.
func (l *learnt) write(db *storage.DB) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	var failed error
	for _, t := range []storage.StampTable{storage.Known, storage.Emergency, storage.Passed} {
		l.unwritten.Lock()
		facts := l.unwritten.facts[t]
		l.unwritten.facts[t] = make(map[string]int64)
		l.unwritten.Unlock()
		put := make([]storage.Stamp, 0, len(facts))
		for key, at := range facts {
			put = append(put, storage.Stamp{Key: key, At: time.UnixMilli(at)})
		}
		if err := db.PutStamps(t, put, nil); err != nil {
			failed = errors.Join(failed, err)
			for key, at := range facts {
				l.toDisk(t, key, at)
			}
		}
	}
	return failed
}

// prune removes from disk and from memory what no rule asks for any more.
func (l *learnt) prune(db *storage.DB, now time.Time, keep, keepPassed time.Duration) error {
	l.forget(now.Add(-keep))
	l.challenged.forget(now.Add(-keepPassed), now.Add(-policy.MaxGrace))
	l.emergency.Lock()
	l.forgetEmergencies(now)
	l.emergency.Unlock()
	return errors.Join(
		dropBefore(db, storage.Known, now.Add(-keep)),
		dropBefore(db, storage.Emergency, now.Add(-policy.CallbackWindow)),
		dropBefore(db, storage.Passed, now.Add(-keepPassed)),
	)
}

// dropBefore removes facts that are older, some at a time: other writes come in between.
func dropBefore(db *storage.DB, t storage.StampTable, oldest time.Time) error {
	const batch = 5000
	var old []string
	drop := func() error {
		err := db.PutStamps(t, nil, old)
		old = old[:0]
		return err
	}
	err := db.EachStamp(t, func(s storage.Stamp) error {
		if !s.At.Before(oldest) {
			return nil
		}
		if old = append(old, s.Key); len(old) < batch {
			return nil
		}
		return drop()
	})
	return errors.Join(err, drop())
}

// keeper brings what is learnt to disk and prunes it, until stop is closed.
type keeper struct {
	l          *learnt
	db         *storage.DB
	log        *slog.Logger
	now        func() time.Time
	keep       func() time.Duration // how long callers are known
	keepPassed func() time.Duration // how long it is kept who passed a challenge

	stop, done chan struct{}
	failing    bool // the last write failed, and that was logged
}

func startKeeper(k *keeper) *keeper {
	k.stop, k.done = make(chan struct{}), make(chan struct{})
	go k.run()
	return k
}

// close writes what is left. When ctx ends first, that is given up; the error says how much.
func (k *keeper) close(ctx context.Context) error {
	close(k.stop)
	select {
	case <-k.done:
	case <-ctx.Done():
	}
	if n := k.l.waiting(); n > 0 {
		return fmt.Errorf("%d facts that were learnt from calls were not written", n)
	}
	return nil
}

func (k *keeper) run() {
	defer close(k.done)
	defer k.write()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	pruned := k.now().Add(-pruneEvery)
	for pause := time.Duration(0); ; {
		if now := k.now(); now.Sub(pruned) >= pruneEvery || k.l.pairs.Load() >= int64(k.l.bounds.pairs) && now.Sub(pruned) >= pruneHurry {
			pruned = now
			if err := k.l.prune(k.db, now, k.keep(), k.keepPassed()); err != nil {
				k.log.Warn("what was learnt of callers long ago could not all be removed", "error", err)
			}
		}
		if !k.sleep(pause) { // lets others come along, or the disk recover
			return
		}
		if pause = writeDelay; !k.write() {
			pause = writeRetry
			continue
		}
		select {
		case <-k.l.wake:
		case <-prune.C:
		case <-k.stop:
			return
		}
	}
}

func (k *keeper) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-k.stop:
		return false
	}
}

// write logs the first of several failures.
func (k *keeper) write() bool {
	err := k.l.write(k.db)
	if err != nil && !k.failing {
		k.log.Error("what was learnt of callers cannot be written; it counts until the next start", "error", err)
	}
	k.failing = err != nil
	return err == nil
}
