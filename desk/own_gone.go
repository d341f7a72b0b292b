package desk

import (
	"context"
	"errors"
	"time"

	"ringfence/policy"
	"ringfence/storage"
)

// The own lists of a line that was removed, or given to another customer, stay on disk for as long as the removal can be expected to be undone. Then
// they go.

// goneEvery is how often it is looked for such lists.
const goneEvery = 6 * time.Hour

// goneBy is who takes them away, in the log of changes.
var goneBy = storage.By{From: "line removed"}

// ForgetGone takes away the own lists of lines that have not been there for so long as it is remembered what was taken off lists (30 days), from the
// time on that this was first seen. It goes on until ctx ends.
func (d *Desk) ForgetGone(ctx context.Context) {
	select {
	case <-d.listsRead:
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(goneEvery)
	defer tick.Stop()
	for {
		if err := d.forgetGone(ctx); err != nil && ctx.Err() == nil {
			d.o.Log.Warn("own lists of lines that were removed cannot be taken away yet; they count for nothing", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// forgetGone is one round of ForgetGone.
func (d *Desk) forgetGone(ctx context.Context) error {
	tables, gone, err := d.goneLines(ctx)
	if err != nil {
		return err
	}
	since := make(map[string]time.Time)
	var back []string
	err = d.db.EachStamp(storage.Gone, func(s storage.Stamp) error {
		if gone[s.Key] {
			since[s.Key] = s.At
		} else {
			back = append(back, s.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	now := d.o.Now()
	before := now.Add(-d.db.KeptDeleted())
	var seen []storage.Stamp
	for line := range gone {
		switch at, known := since[line]; {
		case !known:
			seen = append(seen, storage.Stamp{Key: line, At: now})
		case at.Before(before):
			if err := errors.Join(ctx.Err(), d.dropGone(tables, line)); err != nil {
				return err
			}
			back = append(back, line)
		}
	}
	for len(seen)+len(back) > 0 {
		put, drop := min(len(seen), storage.MaxEdit/2), min(len(back), storage.MaxEdit/2)
		if err := d.db.PutStamps(storage.Gone, seen[:put], back[:drop]); err != nil {
			return err
		}
		seen, back = seen[put:], back[drop:]
	}
	return nil
}

// goneLines are the lines that have own lists and are not there, by their keys, and the tables that there are.
func (d *Desk) goneLines(ctx context.Context) (tables []string, gone map[string]bool, err error) {
	infos, err := d.db.Lists()
	if err != nil {
		return nil, nil, err
	}
	gone = make(map[string]bool)
	for _, l := range infos {
		if !storage.IsOwn(l.Name) || l.Entries == 0 {
			continue
		}
		tables = append(tables, l.Name)
		var whose presence
		err := d.db.EntryPages(l.Name, false, func(es []storage.Entry) error {
			r := d.force.Rules()
			for i := range es {
				if _, ok := whose.pattern(r, es[i].Pattern); !ok && whose.line != "" {
					gone[whose.line] = true
				}
			}
			return ctx.Err()
		})
		if err != nil && !errors.Is(err, storage.ErrCorrupt) { // what is damaged was said when it was read
			return nil, nil, err
		}
	}
	return tables, gone, nil
}

// dropGone takes the own lists of a line away, unless it is back.
func (d *Desk) dropGone(tables []string, line string) error {
	d.edit.Lock()
	defer d.edit.Unlock()
	if r := d.force.Rules(); r.Lines != nil {
		if l, ok := r.Lines.LineNamed(line); ok && l.Key == line {
			return nil
		}
	}
	// A line that is on disk may be missing in memory, where it cannot be read.
	if kept, err := d.db.LinesNamed(policy.LineName(line)); err != nil || len(kept) > 0 && kept[0].Key == line {
		return err
	}
	for _, table := range tables {
		var texts []string
		err := d.db.LineEntries(table, line, false, func(es []storage.Entry) error {
			for i := range es {
				if i == 0 || es[i].Pattern != es[i-1].Pattern {
					texts = append(texts, es[i].Pattern)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for len(texts) > 0 {
			n := min(len(texts), storage.MaxEdit)
			if _, err := d.db.RemoveAll(table, texts[:n], goneBy); err != nil {
				return err
			}
			texts = texts[n:]
		}
	}
	return nil
}
