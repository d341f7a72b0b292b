package desk

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"ringfence/conf"
	"ringfence/inforce"
	"ringfence/lists"
	"ringfence/policy"
	"ringfence/storage"
)

// install makes p the policy in force, by the version of its text, with the lists as its country reads them. d.edit is held. At the start of
// the daemon ReadLists reads the lists afterwards.
func (d *Desk) install(p *policy.Policy, text []byte, sounds *conf.Sounds) error {
	kept, err := d.readLines(p.Plan())
	if err != nil {
		return err
	}
	p = p.WithLines(kept)
	r := &inforce.Rules{Policy: p, Version: versionOf(text), Lists: lists.New(), Lines: kept, Sounds: sounds, Loaded: d.o.Now(), Strays: make(map[string]int), Detectors: d.detectorsOf(p)}
	r.Lists.OnFault = func(string) { signal(d.pieces.broken) }
	infos, err := d.db.Lists()
	if err != nil {
		return err
	}
	var mapped map[string]bool
	if d.force.Rules() == nil && d.o.Journal != nil {
		mapped = d.mapPieces(r, infos)
	}
	loaders := loadersOf(r, infos, mapped)
	if d.force.Rules() == nil || d.o.Journal == nil && d.unread != nil {
		d.unread = loaders
		d.swap(r)
		return nil
	}
	doubt := d.pieces.doubt.Swap(false)
	if err := d.fill(context.Background(), r, loaders); err != nil {
		d.pieces.doubt.Store(doubt) // the lists of before stay
		return err
	}
	d.unread = nil
	d.swap(r)
	return nil
}

// swap puts rules in force. What was counted goes on to be counted.
func (d *Desk) swap(r *inforce.Rules) {
	if was := d.force.Rules(); was != nil {
		r.Detectors.Adopt(was.Detectors)
		if err := d.bringBack(r, was.Policy); err != nil {
			d.o.Log.Error("some breakers of detectors that are back cannot be read: they count after a restart", "error", err)
		}
	}
	d.force.SetRules(r)
	d.observe(r.Policy)
	signal(d.breakers.wake) // what is on trial has changed, perhaps
}

// loader reads one list, or the own lists of lines that have one name.
type loader struct {
	list *lists.Loader
	own  *lists.OwnLoader
}

// load begins to read a list. With anew it stays as it is until that is done.
func load(r *inforce.Rules, name string, anew bool) loader {
	own, isOwn := lists.OwnTable(name)
	switch {
	case isOwn && anew:
		return loader{own: r.Lists.RebuildOwn(own)}
	case isOwn:
		return loader{own: r.Lists.LoadOwn(own)}
	case anew:
		return loader{list: r.Lists.Rebuild(name)}
	}
	return loader{list: r.Lists.Load(name)}
}

// loadersOf begins the reading of every list that was not mapped.
func loadersOf(r *inforce.Rules, infos []storage.ListInfo, mapped map[string]bool) map[string]loader {
	loaders := make(map[string]loader, len(infos))
	for _, l := range infos {
		if !mapped[l.Name] {
			loaders[l.Name] = load(r, l.Name, false)
		}
	}
	return loaders
}

// inMemory reports whether edits are to be made in memory too: always in the daemon, whose calls ask it, also for a list that
// could not be read; else once a question needed the lists. d.edit is held.
func (d *Desk) inMemory() bool { return d.o.Journal != nil || d.unread == nil }

// needLists reads the lists for a command that asks them, if it has not been done: the other commands work without.
func (d *Desk) needLists() error {
	if d.o.Journal != nil { // the daemon reads them by itself, and a question does not wait for an edit
		return nil
	}
	d.edit.Lock()
	defer d.edit.Unlock()
	if d.inMemory() {
		return nil
	}
	r := d.force.Rules()
	infos, err := d.db.Lists() // there may be more by now
	if err != nil {
		return err
	}
	if err := d.fill(context.Background(), r, loadersOf(r, infos, d.mapPieces(r, infos))); err != nil {
		return err
	}
	d.unread = nil
	return nil
}

// ReadLists reads the lists that install left. Calls are decided meanwhile, edits wait.
func (d *Desk) ReadLists(ctx context.Context) {
	d.edit.Lock()
	defer d.edit.Unlock()
	defer close(d.listsRead)
	began := time.Now()
	if err := d.fill(ctx, d.force.Rules(), d.unread); err != nil {
		if ctx.Err() == nil {
			d.o.Log.Error("the lists cannot be read; calls that a rule asks them for pass: see to the disk, then `ringfence policy reload`", "error", err)
		}
		return
	}
	d.unread = nil
	d.o.Log.Info("lists are read", "took", time.Since(began).Round(time.Millisecond), "strays", allStrays(d.force.Rules()))
}

// manyEntries is how many entries are worth giving memory back for that reading them took.
const manyEntries = 100_000

// strayLogs is how many strays are logged one by one.
const strayLogs = 20

// fill reads what the database has of the lists. What cannot be read is left out and logged.
func (d *Desk) fill(ctx context.Context, r *inforce.Rules, loaders map[string]loader) error {
	total := 0
	for name, load := range loaders {
		n, strays, others := 0, 0, allStrays(r)-r.Strays[name]
		err := d.readList(ctx, r, name, load, func(text string, err error) {
			if strays++; others+strays <= strayLogs {
				d.o.Log.Warn("a list entry is not a number of the policy's country; no call matches it until it is removed", "list", name, "entry", text, "error", err)
			}
		}, &n)
		if total += n; errors.Is(err, storage.ErrCorrupt) {
			d.pieces.doubt.Store(d.pieces.doubt.Load() || load.list != nil) // own lists are in no piece
			d.o.Log.Error("some list entries are damaged on disk and are left out: `ringfence storage verify` says which", "list", name, "error", err)
		} else if err != nil && !errors.Is(err, storage.ErrNoList) {
			return err
		}
		load.done()
		r.Strays[name] = strays
	}
	if strays := allStrays(r); strays > strayLogs {
		d.o.Log.Warn("more list entries are not numbers of the policy's country", "entries", strays)
	}
	if len(loaders) > 0 {
		signal(d.pieces.whole)
	}
	if total > manyEntries {
		debug.FreeOSMemory()
	}
	return nil
}

// readList reads one list, and counts its entries.
func (d *Desk) readList(ctx context.Context, r *inforce.Rules, name string, load loader, stray func(text string, err error), total *int) error {
	plan := r.Policy.Plan()
	var whose presence
	return d.db.EntryPages(name, false, func(es []storage.Entry) error {
		for i, end := 0, 0; i < len(es); i = end {
			for end = i + 1; end < len(es) && es[end].Pattern == es[i].Pattern; {
				end++
			}
			text := es[i].Pattern
			if load.own != nil {
				ok := false
				if text, ok = whose.pattern(r, text); !ok {
					continue
				}
			}
			*total++
			pattern, err := plan.KeptPattern(text)
			switch e := &es[i]; {
			case err != nil:
				stray(es[i].Pattern, err)
			case load.own != nil:
				load.own.Add(whose.line, pattern, sourcesOf(es[i:end]))
			case end == i+1:
				load.list.Add(&policy.ListEntry{Pattern: pattern, Reason: e.Reason, Source: e.Source, Added: e.Added, Expires: e.Expires})
			default:
				load.list.AddRecords(pattern, sourcesOf(es[i:end]))
			}
		}
		return ctx.Err()
	})
}

func (l loader) done() {
	if l.own != nil {
		l.own.Done()
	} else {
		l.list.Done()
	}
}

// sourcesOf is what the sources of an entry say, as it is kept in memory.
func sourcesOf(es []storage.Entry) []lists.Record {
	records := make([]lists.Record, len(es))
	for i := range es {
		e := &es[i]
		records[i] = lists.Record{Reason: e.Reason, Source: e.Source, Added: e.Added, Expires: e.Expires}
	}
	return records
}

// allStrays is how many list entries the policy's country cannot read. d.edit is held.
func allStrays(r *inforce.Rules) (n int) {
	for _, strays := range r.Strays {
		n += strays
	}
	return n
}
