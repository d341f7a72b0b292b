package desk

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"ringfence/conf"
	"ringfence/inforce"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// install makes p the policy in force, with the lists as its country reads them. d.edit is held. At the start of
// the daemon ReadLists reads the lists afterwards.
func (d *Desk) install(p *policy.Policy, sounds *conf.Sounds) error {
	r := &inforce.Rules{Policy: p, Lists: lists.New(), Sounds: sounds, Loaded: d.o.Now()}
	loaders, err := d.loaders(r)
	if err != nil {
		return err
	}
	if d.force.Rules() == nil || d.o.Journal == nil && !d.inMemory() {
		d.unread = loaders
		d.force.SetRules(r)
		return nil
	}
	if err := d.fill(context.Background(), r, loaders); err != nil {
		return err
	}
	d.unread = nil
	d.force.SetRules(r)
	return nil
}

// loaders begins the reading of every list that there is.
func (d *Desk) loaders(r *inforce.Rules) (map[string]*lists.Loader, error) {
	infos, err := d.db.Lists()
	if err != nil {
		return nil, err
	}
	loaders := make(map[string]*lists.Loader, len(infos))
	for _, l := range infos {
		loaders[l.Name] = r.Lists.Load(l.Name)
	}
	return loaders, nil
}

// inMemory reports whether the lists have been read. d.edit is held, or nobody else has the desk.
func (d *Desk) inMemory() bool { return d.unread == nil }

// needLists reads the lists for a command that asks them, if it has not been done: the other commands work without.
func (d *Desk) needLists() error {
	d.edit.Lock()
	defer d.edit.Unlock()
	if d.inMemory() || d.o.Journal != nil { // the daemon reads them by itself
		return nil
	}
	r := d.force.Rules()
	loaders, err := d.loaders(r) // there may be more lists by now
	if err != nil {
		return err
	}
	if err := d.fill(context.Background(), r, loaders); err != nil {
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
	d.o.Log.Info("lists are read", "took", time.Since(began).Round(time.Millisecond), "strays", d.force.Rules().Strays)
}

// manyEntries is how many entries are worth giving memory back for that reading them took.
const manyEntries = 100_000

// strayLogs is how many strays are logged one by one.
const strayLogs = 20

// fill reads what the database has of the lists. What cannot be read is left out and logged.
func (d *Desk) fill(ctx context.Context, r *inforce.Rules, loaders map[string]*lists.Loader) error {
	total := 0
	for name, load := range loaders {
		plan := r.Policy.Plan()
		err := d.db.EntryPages(name, false, func(es []storage.Entry) error {
			total += len(es)
			for i := range es {
				pattern, err := plan.KeptPattern(es[i].Pattern)
				if err != nil {
					if r.Strays++; r.Strays <= strayLogs {
						d.o.Log.Warn("a list entry is not a number of the policy's country; no call matches it until it is removed", "list", name, "entry", es[i].Pattern, "error", err)
					}
					continue
				}
				e := listEntry(name, pattern, &es[i])
				load.Add(&e)
			}
			return ctx.Err()
		})
		if errors.Is(err, storage.ErrCorrupt) {
			d.o.Log.Error("some list entries are damaged on disk and are left out: `ringfence storage verify` says which", "list", name, "error", err)
		} else if err != nil && !errors.Is(err, storage.ErrNoList) {
			return err
		}
		load.Done()
	}
	if r.Strays > strayLogs {
		d.o.Log.Warn("more list entries are not numbers of the policy's country", "entries", r.Strays)
	}
	if total > manyEntries {
		debug.FreeOSMemory()
	}
	return nil
}

func listEntry(list string, p number.Pattern, e *storage.Entry) policy.ListEntry {
	return policy.ListEntry{List: list, Pattern: p, Reason: e.Reason, Source: e.Source, Added: e.Added, Expires: e.Expires}
}
