package screening

import (
	"strings"
	"time"

	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// Shared is a fact that nodes of a cluster tell each other: of a key of a table, when it was last so.
type Shared struct {
	Table string // known, passed or emergency
	Key   string
	At    time.Time
}

// sharedTables are the tables of which nodes tell each other. Realms are those of a node's own switch.
var sharedTables = map[string]traffic.Table{"known": traffic.KnownFacts, "passed": traffic.PassedFacts, "emergency": traffic.EmergencyFacts}

// SharedTable is where the database keeps facts of a table that nodes tell each other of.
func SharedTable(name string) (storage.StampTable, bool) {
	t, there := sharedTables[name]
	return stampTables[t], there
}

// Share has facts that were learnt here told to a function when they are on disk. It must not wait.
func (k *Keeper) Share(tell func([]Shared)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tell = tell
}

// share tells what was written.
func (k *Keeper) share(t traffic.Table, put []storage.Stamp, foreign map[string]struct{}) {
	k.mu.Lock()
	tell := k.tell
	k.mu.Unlock()
	if tell == nil {
		return
	}
	for name, of := range sharedTables {
		if of != t {
			continue
		}
		var facts []Shared
		for _, s := range put {
			if _, is := foreign[s.Key]; !is {
				facts = append(facts, Shared{name, s.Key, s.At})
			}
		}
		if len(facts) > 0 {
			tell(facts)
		}
	}
}

// Take has facts count that another node has learnt, and brings them to disk. It says how many were refused, as of a line that is not there.
func (k *Keeper) Take(facts []Shared) (refused int) {
	p, now := k.rules(), k.now()
	for i := range facts {
		if !k.take(p, &facts[i], now) {
			refused++
		}
	}
	return refused
}

func (k *Keeper) take(p *policy.Policy, f *Shared, now time.Time) bool {
	t, ok := sharedTables[f.Table]
	if !ok || f.Key == "" || len(f.Key) > storage.MaxStampKey || f.At.After(now) || f.At.Year() < 1970 {
		return false
	}
	line, caller, isPair := strings.Cut(f.Key, "\x00")
	news := false // else nothing of it is written: what is too old, or earlier than what is known here
	switch t {
	case traffic.EmergencyFacts:
		news = now.Sub(f.At) < policy.CallbackWindow && k.memory.Callbacks.Expect(f.Key, f.At, now)
	case traffic.KnownFacts:
		if _, there := p.CustomerOfKey(line); !isPair || !there {
			return false
		}
		if caller, ok = hidden(k.memory, caller); !ok {
			return false
		}
		if now.Sub(f.At) > traffic.KeepKnown(p) {
			return true
		}
		if !k.memory.Known.HasRoomForOthers(line, caller) {
			return false
		}
		news = k.memory.Known.Remember(line, caller, f.At)
	case traffic.PassedFacts:
		if caller, ok = hidden(k.memory, caller); !isPair || !ok {
			return false
		}
		if now.Sub(f.At) >= traffic.KeepPassed(p) {
			return true
		}
		if !k.memory.Challenges.HasRoomForOthers(line, caller) {
			return false
		}
		news = k.memory.Challenges.Remember(line, caller, f.At)
	}
	if news {
		k.keepForeign(t, f.Key, f.At.UnixMilli())
	}
	return true
}

// keepForeign is Keep of what others know already.
func (k *Keeper) keepForeign(t traffic.Table, key string, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ours := k.facts[t][key]; !ours {
		k.foreign[t][key] = struct{}{}
	}
	k.keep(t, key, at)
}

// pageShared is how many facts Since gives at a time.
const pageShared = 1_000

// Since calls yield for the facts of shared tables that were so since a time.
func (k *Keeper) Since(since time.Time, yield func([]Shared) error) error {
	var page []Shared
	for name, t := range sharedTables {
		err := k.db.EachStamp(stampTables[t], func(s storage.Stamp) error {
			if s.At.Before(since) {
				return nil
			}
			if page = append(page, Shared{name, s.Key, s.At}); len(page) < pageShared {
				return nil
			}
			err := yield(page)
			page = page[:0]
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(page) == 0 {
		return nil
	}
	return yield(page)
}
