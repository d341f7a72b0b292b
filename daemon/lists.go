package daemon

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/conf"
	"ringfence/policy"
	"ringfence/storage"
)

// failLists is the reason of calls that passed because a rule asked a list that had not been read yet.
const failLists = "lists"

// listsWait is how long the daemon waits for the lists before it takes calls. What is not read by then, as a list of
// millions may not be, is read while calls are decided.
const listsWait = 250 * time.Millisecond

// install makes p the policy in force, with the lists as its country reads them. d.edit is held. At the start of
// the daemon readLists reads the lists afterwards.
func (d *Desk) install(p *policy.Policy, sounds *conf.Sounds) error {
	r := &rules{policy: p, lists: policy.NewLists(), sounds: sounds, loaded: d.now()}
	infos, err := d.db.Lists()
	if err != nil {
		return err
	}
	loaders := make(map[string]*policy.ListLoader, len(infos))
	for _, l := range infos {
		loaders[l.Name] = r.lists.Load(l.Name)
	}
	if d.journal != nil && d.rules.Load() == nil {
		d.unread = loaders
		d.rules.Store(r)
		return nil
	}
	if err := d.fill(context.Background(), r, loaders); err != nil {
		return err
	}
	d.rules.Store(r)
	return nil
}

// readLists reads the lists that install left. Calls are decided meanwhile, edits wait.
func (d *Desk) readLists(ctx context.Context) {
	d.edit.Lock()
	defer d.edit.Unlock()
	defer close(d.listsRead)
	began := time.Now()
	if err := d.fill(ctx, d.rules.Load(), d.unread); err != nil {
		if ctx.Err() == nil {
			d.log.Error("the lists cannot be read; calls that a rule asks them for pass: see to the disk, then `ringfence policy reload`", "error", err)
		}
		return
	}
	d.unread = nil
	d.log.Info("lists are read", "took", time.Since(began).Round(time.Millisecond), "strays", d.rules.Load().strays)
}

// manyEntries is how many entries are worth giving memory back for that reading them took.
const manyEntries = 100_000

// strayLogs is how many strays are logged one by one.
const strayLogs = 20

// fill reads what the database has of the lists. What cannot be read is left out and logged.
func (d *Desk) fill(ctx context.Context, r *rules, loaders map[string]*policy.ListLoader) error {
	total := 0
	for name, load := range loaders {
		plan := r.policy.Plan()
		err := d.db.EntryPages(name, false, func(es []storage.Entry) error {
			for i, end := 0, 0; i < len(es); i = end {
				for end = i + 1; end < len(es) && es[end].Pattern == es[i].Pattern; {
					end++
				}
				total++
				pattern, err := plan.KeptPattern(es[i].Pattern)
				if err != nil {
					if r.strays++; r.strays <= strayLogs {
						d.log.Warn("a list entry is not a number of the policy's country; no call matches it until it is removed", "list", name, "entry", es[i].Pattern, "error", err)
					}
					continue
				}
				e := listEntry(name, pattern, es[i:end])
				load.Add(&e)
			}
			return ctx.Err()
		})
		if errors.Is(err, storage.ErrCorrupt) {
			d.log.Error("some list entries are damaged on disk and are left out: `ringfence storage verify` says which", "list", name, "error", err)
		} else if err != nil && !errors.Is(err, storage.ErrNoList) {
			return err
		}
		load.Done()
	}
	if r.strays > strayLogs {
		d.log.Warn("more list entries are not numbers of the policy's country", "entries", r.strays)
	}
	if total > manyEntries {
		debug.FreeOSMemory()
	}
	return nil
}

// listEntry is an entry as it is kept in memory, of what its sources say, which is at least one record.
func listEntry(list string, p policy.Pattern, records []storage.Entry) policy.ListEntry {
	e := &records[0]
	entry := policy.ListEntry{List: list, Pattern: p, Reason: e.Reason, Source: e.Source, Added: e.Added, Expires: e.Expires}
	if len(records) > 1 {
		rest := listEntry(list, p, records[1:])
		entry.Rest = &rest
	}
	return entry
}

// hits counts how often entries decide calls, until flush writes that down. What was not written is lost in a crash.
type hits struct {
	mu      sync.Mutex
	all     map[hitOf]*storage.Hit
	dropped atomic.Uint64 // calls whose hit found no room
}

type hitOf struct{ list, pattern string }

const (
	// maxHits bounds the entries that wait to be written.
	maxHits = 50_000
	// hitsEvery is how often they are written.
	hitsEvery = 10 * time.Second
)

// note counts a call that an entry decided.
func (h *hits) note(list, pattern string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := hitOf{list, pattern}
	hit := h.all[k]
	if hit == nil {
		if len(h.all) >= maxHits {
			h.dropped.Add(1)
			return
		}
		if h.all == nil {
			h.all = make(map[hitOf]*storage.Hit)
		}
		hit = &storage.Hit{List: list, Pattern: pattern}
		h.all[k] = hit
	}
	hit.Count++
	hit.Last = at
}

// flush writes down what was counted. What the disk does not take is lost, and counted as dropped.
func (h *hits) flush(db *storage.DB) error {
	h.mu.Lock()
	all := h.all
	h.all = nil
	h.mu.Unlock()
	list, calls := make([]storage.Hit, 0, len(all)), uint64(0)
	for _, hit := range all {
		list = append(list, *hit)
		calls += hit.Count
	}
	err := db.AddHits(list)
	if err != nil {
		h.dropped.Add(calls)
	}
	return err
}

// writeHits writes hits down until ctx ends, and once more then.
func (d *Desk) writeHits(ctx context.Context) {
	tick := time.NewTicker(hitsEvery)
	defer tick.Stop()
	failing := false
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-tick.C:
		}
		err := d.hits.flush(d.db)
		if err != nil && !failing {
			d.log.Error("the hits of list entries cannot be written down", "error", err)
		}
		failing = err != nil
	}
}

// unreadLists names the lists that have not been read yet.
func (r *rules) unreadLists() []string {
	var names []string
	for _, name := range r.lists.Names() {
		if !r.lists.Loaded(name) {
			names = append(names, name)
		}
	}
	return names
}
