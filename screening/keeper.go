package screening

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// How facts that calls have taught get to disk and leave it again.
const (
	maxUnwritten = 50_000           // facts that wait for the disk, of each table
	writeDelay   = time.Second      // how long a fact waits for others
	writeRetry   = 10 * time.Second // how long after a write that failed
	pruneEvery   = 24 * time.Hour   // an edit of the policy gone wrong does not forget everybody at once
	pruneHurry   = time.Minute      // how soon again when there is no room left
)

// stampTables are where the facts of each of traffic's tables are kept.
var stampTables = [traffic.Tables]storage.StampTable{
	traffic.KnownFacts: storage.Known, traffic.EmergencyFacts: storage.Emergency, traffic.PassedFacts: storage.Passed,
	traffic.RealmFacts: storage.Realms,
}

// Keeper is the traffic.Sink that keeps what calls have taught in the database: it counts at once and is on disk a little
// later. It also removes there and in memory what no rule asks for any more.
type Keeper struct {
	db    *storage.DB
	log   *slog.Logger
	now   func() time.Time
	rules func() *policy.Policy

	mu      sync.Mutex
	facts   [traffic.Tables]map[string]int64
	foreign [traffic.Tables]map[string]struct{} // those of facts that another node has learnt
	tell    func([]Shared)                      // of what was learnt here; nil: nobody
	most    int                                 // facts that may wait, of each table
	writing sync.Mutex                          // held while facts go to disk, and while one is taken from there for good
	wake    chan struct{}
	dropped atomic.Uint64

	memory     *traffic.Memory
	stop, done chan struct{}
	failing    bool // the last write failed, and that was logged
}

// NewKeeper makes a keeper. What it is told of waits in memory until it is started.
func NewKeeper(db *storage.DB, rules func() *policy.Policy, log *slog.Logger, now func() time.Time) *Keeper {
	k := &Keeper{db: db, rules: rules, log: log, now: now, most: maxUnwritten, wake: make(chan struct{}, 1)}
	for t := range k.facts {
		k.facts[t], k.foreign[t] = make(map[string]int64), make(map[string]struct{})
	}
	return k
}

// Keep has a fact written soon. When the disk does not keep up it is dropped and counted; until the next
// start it counts all the same.
func (k *Keeper) Keep(t traffic.Table, key string, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.foreign[t], key)
	k.keep(t, key, at)
}

// keep is Keep for who holds mu.
func (k *Keeper) keep(t traffic.Table, key string, at int64) {
	facts := k.facts[t]
	if _, there := facts[key]; !there && len(facts) >= k.most {
		k.dropped.Add(1)
		return
	}
	facts[key] = max(facts[key], at)
	k.kick()
}

// NoRoom has what is too old removed before its time.
func (k *Keeper) NoRoom(traffic.Table) { k.kick() }

func (k *Keeper) kick() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Waiting is how many facts are not on disk yet.
func (k *Keeper) Waiting() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, facts := range k.facts {
		n += len(facts)
	}
	return n
}

// Dropped is how many facts will not be on disk.
func (k *Keeper) Dropped() uint64 { return k.dropped.Load() }

// hidden is a caller as a key in the database has them, under the name that the memory knows them by; false where they cannot be known: they
// were kept under a name while numbers were hidden, and now they are not.
func hidden(m *traffic.Memory, caller string) (string, bool) {
	isName := strings.HasPrefix(caller, storage.PrivateMark)
	switch {
	case !m.Hides():
		return caller, !isName
	case isName:
		return caller, true
	}
	return m.Name(caller), true // from before; HideFacts writes it so
}

// HideFacts puts the names of a memory that hides numbers into what is kept, where numbers are from before, and says how many there
// were.
func HideFacts(db *storage.DB, m *traffic.Memory) (n int, err error) {
	for _, t := range []storage.StampTable{storage.Known, storage.Passed} {
		done, e := db.SweepStamps(t, func(s *storage.Stamp) storage.Fate {
			line, caller, ok := strings.Cut(s.Key, "\x00")
			if !ok || strings.HasPrefix(caller, storage.PrivateMark) {
				return storage.Stay
			}
			s.Key = line + "\x00" + m.Name(caller)
			return storage.Rewrite
		})
		n, err = n+done.Changed, errors.Join(err, e)
	}
	return n, err
}

// LoadFacts reads what was learnt before into a memory. What is too old for the policy is left out, and later removed. What
// is damaged is left out as well, and the error wraps storage.ErrCorrupt.
func LoadFacts(db *storage.DB, m *traffic.Memory, p *policy.Policy, now time.Time) error {
	oldest, keepPassed := now.Add(-traffic.KeepKnown(p)), traffic.KeepPassed(p)
	strays, gone := 0, 0
	known := func(all bool) error {
		strays = 0
		return db.EachStamp(storage.Known, func(s storage.Stamp) error {
			line, caller, ok := strings.Cut(s.Key, "\x00")
			if !ok {
				strays++
				return nil
			}
			if _, there := p.CustomerOfKey(line); !there {
				if gone++; !all {
					return nil
				}
			}
			if caller, ok = hidden(m, caller); ok && !s.At.Before(oldest) {
				m.Known.Remember(line, caller, s.At)
			}
			return nil
		})
	}
	err := known(true)
	if gone > 0 && m.Known.IsFull() { // lines that are there come before those that only an undo would bring back
		m.Known.Forget(oldest, p)
		err = known(false)
	}
	if strays > 0 && err == nil {
		err = fmt.Errorf("%w: %d facts of no line", storage.ErrCorrupt, strays)
	}
	passed := db.EachStamp(storage.Passed, func(s storage.Stamp) error {
		// A key without a line is of a time when who had passed once passed everywhere; it counts no more.
		if line, caller, ok := strings.Cut(s.Key, "\x00"); ok && now.Sub(s.At) < keepPassed {
			if caller, ok = hidden(m, caller); ok {
				m.Challenges.Remember(line, caller, s.At)
			}
		}
		return nil
	})
	realms := db.EachStamp(storage.Realms, func(s storage.Stamp) error {
		m.Realms.Remember(s.Key, s.At, now)
		return nil
	})
	return errors.Join(err, passed, realms, db.EachStamp(storage.Emergency, func(s storage.Stamp) error {
		if now.Sub(s.At) < policy.CallbackWindow {
			m.Callbacks.Expect(s.Key, s.At, now)
		}
		return nil
	}))
}

// EndPasses lets a caller be asked again on lines that a function names (by traffic.PassKey), a nil one all: they have reported them. When it
// returns nil, that is on disk.
func (k *Keeper) EndPasses(e164 string, ends func(line string) bool) error {
	if e164 == "" {
		return nil
	}
	name := k.memory.Name(e164)
	k.memory.Challenges.End(name, ends)
	k.writing.Lock() // a pass that is on its way to the disk would come back from there at the next start
	defer k.writing.Unlock()
	k.drop(traffic.PassedFacts, func(key string) bool { return isPass(key, e164, name, ends) })
	return EndPasses(k.db, k.memory, e164, ends)
}

// raise has facts that wait for the disk be no older than what was written there without waiting.
func (k *Keeper) raise(t traffic.Table, written []storage.Stamp) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range written {
		if at, waits := k.facts[t][written[i].Key]; waits {
			k.facts[t][written[i].Key] = max(at, written[i].At.UnixMilli())
		}
	}
}

// drop takes facts away that wait for the disk.
func (k *Keeper) drop(t traffic.Table, which func(key string) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.facts[t], func(key string, _ int64) bool { return which(key) })
}

// isOf reports whether the key of a fact is of a number, or of its name.
func isOf(key, e164, name string) bool {
	_, caller, ok := strings.Cut(key, "\x00")
	return ok && (caller == e164 || caller == name)
}

// isPass reports whether the key of a fact is of a number, or of its name, on a line that a function names; a nil one any.
func isPass(key, e164, name string, ends func(line string) bool) bool {
	line, _, _ := strings.Cut(key, "\x00")
	return isOf(key, e164, name) && (ends == nil || ends(line))
}

// EndPasses is Keeper.EndPasses where no daemon runs.
func EndPasses(db *storage.DB, m *traffic.Memory, e164 string, ends func(line string) bool) error {
	if e164 == "" {
		return nil
	}
	name := m.Name(e164)
	_, err := db.SweepStamps(storage.Passed, func(s *storage.Stamp) storage.Fate {
		if isPass(s.Key, e164, name, ends) {
			return storage.Drop
		}
		return storage.Stay
	})
	return err
}

// Forget drops what memory has of a number, and what of it waits for the disk. While it does, and then, nothing of before comes to the
// disk any more.
func (k *Keeper) Forget(e164 string) int {
	name := k.memory.Name(e164)
	k.writing.Lock() // what is on its way there arrives, and is met there
	defer k.writing.Unlock()
	n := k.memory.ForgetNumber(e164)
	for _, t := range []traffic.Table{traffic.KnownFacts, traffic.PassedFacts} {
		k.drop(t, func(key string) bool { return isOf(key, e164, name) })
	}
	k.drop(traffic.EmergencyFacts, func(key string) bool { return traffic.IsPhone(key, e164) })
	return n
}

// write puts what waits on disk. What could not be written waits on.
func (k *Keeper) write() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	var failed error
	for t := range traffic.Table(traffic.Tables) {
		k.mu.Lock()
		facts, foreign := k.facts[t], k.foreign[t]
		k.facts[t], k.foreign[t] = make(map[string]int64), make(map[string]struct{})
		k.mu.Unlock()
		put := make([]storage.Stamp, 0, len(facts))
		for key, at := range facts {
			put = append(put, storage.Stamp{Key: key, At: time.UnixMilli(at)})
		}
		if err := k.db.PutStamps(stampTables[t], put, nil); err != nil {
			failed = errors.Join(failed, err)
			for key, at := range facts {
				k.Keep(t, key, at)
			}
			continue
		}
		k.share(t, put, foreign)
	}
	return failed
}

// prune removes from disk and from memory what no rule asks for any more.
func (k *Keeper) prune(now time.Time) error {
	p := k.rules()
	keepKnown, keepPassed := traffic.KeepKnown(p), traffic.KeepPassed(p)
	k.memory.Forget(p, now)
	return errors.Join(
		dropBefore(k.db, storage.Known, now.Add(-keepKnown)),
		dropBefore(k.db, storage.Emergency, now.Add(-policy.CallbackWindow)),
		dropBefore(k.db, storage.Passed, now.Add(-keepPassed)),
		dropBefore(k.db, storage.Realms, now.Add(-traffic.KeepRealms)),
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

// Start brings facts to disk and prunes them from now on, until Close. memory is the one whose sink this is.
func (k *Keeper) Start(memory *traffic.Memory) {
	k.memory = memory
	k.stop, k.done = make(chan struct{}), make(chan struct{})
	go k.run()
}

// Close writes what is left. When ctx ends first, that is given up; the error says how much.
func (k *Keeper) Close(ctx context.Context) error {
	close(k.stop)
	select {
	case <-k.done:
	case <-ctx.Done():
	}
	if n := k.Waiting(); n > 0 {
		return fmt.Errorf("%d facts that were learnt from calls were not written", n)
	}
	return nil
}

func (k *Keeper) run() {
	defer close(k.done)
	defer k.tryWrite()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	pruned := k.now().Add(-pruneEvery)
	for pause := time.Duration(0); ; {
		if now := k.now(); now.Sub(pruned) >= pruneEvery || k.memory.Known.IsFull() && now.Sub(pruned) >= pruneHurry {
			pruned = now
			if err := k.prune(now); err != nil {
				k.log.Warn("what was learnt of callers long ago could not all be removed", "error", err)
			}
		}
		if !k.sleep(pause) { // lets others come along, or the disk recover
			return
		}
		if pause = writeDelay; !k.tryWrite() {
			pause = writeRetry
			continue
		}
		select {
		case <-k.wake:
		case <-prune.C:
		case <-k.stop:
			return
		}
	}
}

func (k *Keeper) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-k.stop:
		return false
	}
}

// tryWrite logs the first of several failures.
func (k *Keeper) tryWrite() bool {
	err := k.write()
	if err != nil && !k.failing {
		k.log.Error("what was learnt of callers cannot be written; it counts until the next start", "error", err)
	}
	k.failing = err != nil
	return err == nil
}
