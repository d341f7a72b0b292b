package storage

import (
	"fmt"
	"iter"
	"time"
)

// ImportRow is one record to add, or with Remove one that shall not be there: of the entry's Origin and Source.
type ImportRow struct {
	Entry
	Remove bool

	// KeepReason and KeepExpires say that the source says nothing of these: what its record says stays; an expiry that has come is no
	// longer said. Of a new record they are none, or with Inherit what those say who name the pattern already.
	KeepReason, KeepExpires, Inherit bool
	// Near is by how much an expiry may differ from the record's without being another: one that is told as a span is
	// a little later each time.
	Near time.Duration
}

// ImportOptions say how to import.
type ImportOptions struct {
	By
	Source string // the file, for the record
	DryRun bool   // only find out what would be done
	// Commit, if set, is called when all is ready, to call do, which makes it count. So the caller can keep others
	// from editing until it has done its own part of the change.
	Commit func(do func() (ChangeRecord, error)) error
	// Tell, if set, is told what becomes of each row; all of it is void if Import fails.
	Tell func(pattern string, c Change)

	inTurn bool // who asks has the turn to import, see ImportTurn
}

// Import makes any number of changes to a list, which it creates if need be. rows must come in the order of the
// patterns' bytes, of each source one a pattern. Of each record becomes what AddEntries makes of it; those of other sources stay.
//
// All counts from one moment on, or nothing does: what is written before that is not seen by anyone, and is gone
// after a crash. Other edits go on meanwhile. One that hits the same record in that time stays, and the import leaves
// that record alone. There is one import at a time; another gives ErrBusy. The id of the record is 0 if nothing changed.
func (d *DB) Import(list string, rows iter.Seq[ImportRow], o ImportOptions) (ChangeRecord, error) {
	if err := checkListName(list); err != nil {
		return ChangeRecord{}, err
	}
	if err := o.By.check(); err != nil {
		return ChangeRecord{}, err
	}
	now := millis(d.now())
	var ended error
	edits := func(yield func(edit) bool) {
		var last *sourceRecord
		for r := range rows {
			if ended = checkEntry(&r.Entry); ended != nil {
				return
			}
			e := edit{
				pattern: r.Pattern, key: keyOf(r.Origin, r.Source), near: r.Near.Milliseconds(),
				keepReason: r.KeepReason, keepExpires: r.KeepExpires, inherit: r.Inherit,
			}
			if !r.Remove {
				last = saidBy(&r.Entry, now, last)
				e.to = last
			}
			if !yield(e) {
				return
			}
		}
	}
	r, err := d.apply(ChangeRecord{List: list, Kind: KindImport, By: o.By, Source: o.Source}, edits, &ended, o)
	if err != nil {
		return r, explain("importing to the list "+list, err)
	}
	return r, nil
}

// Undo makes what a change did undone, as one change of its own: each record says again what it said before, unless it
// was changed since, in which case it stays and is counted as skipped. Records of other sources stay as they are. A change
// can be undone once; undoing the undo does it again. ErrNoChange if it is not kept, or not any more.
//
// Commit is that of ImportOptions and may be nil.
func (d *DB) Undo(id uint64, by By, commit func(do func() (ChangeRecord, error)) error) (ChangeRecord, error) {
	if err := by.check(); err != nil {
		return ChangeRecord{}, err
	}
	of, err := d.ChangeOf(id)
	if err != nil {
		return ChangeRecord{}, err
	}
	if of.Kind == KindForget {
		return ChangeRecord{}, invalid("change %d forgot somebody: nothing of that is kept that could be put back", id)
	}
	if of.Undone != 0 {
		return ChangeRecord{}, invalid("change %d is undone already, by change %d: undo that one to have it again", id, of.Undone)
	}
	var ended error
	edits := func(yield func(edit) bool) {
		ended = d.changedRows(id, func(rows []listRow) error {
			for _, r := range rows {
				if !yield(edit{pattern: r.pattern, key: r.key(), undo: true, from: r.now, to: r.before}) {
					return errNothing
				}
			}
			return nil
		})
	}
	r, err := d.apply(ChangeRecord{List: of.List, Kind: KindUndo, By: by, Undoes: id}, edits, &ended, ImportOptions{Commit: commit})
	if err != nil {
		return r, explain(fmt.Sprintf("undoing change %d", id), err)
	}
	return r, nil
}

// apply makes any number of edits, which come in order. ended says what ended them, if not their end.
func (d *DB) apply(r ChangeRecord, edits iter.Seq[edit], ended *error, o ImportOptions) (ChangeRecord, error) {
	if o.Commit == nil {
		o.Commit = func(do func() (ChangeRecord, error)) error { _, err := do(); return err }
	}
	if !o.inTurn {
		end, err := d.importTurn(r.Node != "")
		if err != nil {
			return ChangeRecord{}, err
		}
		defer end()
	}
	next, stop := iter.Pull(edits)
	defer stop()
	q := editQueue{next: next}
	few := q.take(nil, "", d.atOnce(r.List))
	if *ended != nil || q.bad != nil {
		if *ended != nil {
			return ChangeRecord{}, *ended
		}
		return ChangeRecord{}, q.bad
	}
	if len(few) < d.atOnce(r.List) && !o.DryRun {
		return d.applyFew(r, few, o)
	}
	q.putBack(few)
	s := &stage{d: d, record: r, dry: o.DryRun, commit: o.Commit, edits: &q, ended: ended}
	s.m.tell = func(_ int, pattern string, c Change) {
		if c == Kept {
			s.record.Skipped++
		}
		if o.Tell != nil {
			o.Tell(pattern, c)
		}
	}
	err := s.run()
	return s.record, err
}

// giveWayWait is how long an import waits for one of another node to give way.
const giveWayWait = time.Minute

// IsAwaited reports whether somebody here waits for what another node has to give way. MergeMany gives way when the next row comes; who waits for that row gives
// way by this.
func (d *DB) IsAwaited() bool { return d.giveWay.Load() > 0 }

// importTurn takes the turn to import. What is done here does not fail because of what another node has: it waits until that has given way. Else there is ErrBusy
// while another has it.
func (d *DB) importTurn(foreign bool) (end func(), err error) {
	end = func() {
		d.foreign.Store(false)
		<-d.imports
	}
	select {
	case d.imports <- struct{}{}:
		d.foreign.Store(foreign)
		return end, nil
	default:
	}
	if !foreign && d.foreign.Load() {
		d.giveWay.Add(1)
		defer d.giveWay.Add(-1)
		timer := time.NewTimer(giveWayWait)
		defer timer.Stop()
		select {
		case d.imports <- struct{}{}:
			return end, nil
		case <-timer.C:
		}
	}
	return nil, &fault{kind: ErrBusy, text: "another import or undo is under way: try again when it is done"}
}

// applyFew makes edits that are few enough for one transaction.
func (d *DB) applyFew(r ChangeRecord, few []edit, o ImportOptions) (ChangeRecord, error) {
	var changes []Change
	err := o.Commit(func() (_ ChangeRecord, err error) {
		changes, r, err = d.change(r, few)
		return r, err
	})
	if err == nil && o.Tell != nil {
		for i, c := range changes {
			o.Tell(few[i].pattern, c)
		}
	}
	return r, err
}

// editQueue hands out edits that must come in order.
type editQueue struct {
	next  func() (edit, bool)
	again []edit   // handed out before, to be handed out once more
	last  recordOf // what came last
	bad   error    // they are out of order

	head   edit // the next one, if loaded
	loaded bool
}

// peek is the next edit; false at the end.
func (q *editQueue) peek() (*edit, bool) {
	if !q.loaded {
		if len(q.again) > 0 {
			q.head, q.again, q.loaded = q.again[0], q.again[1:], true
		} else if e, ok := q.next(); ok {
			if q.last.pattern > e.pattern || q.last.pattern == e.pattern && q.last.key.compare(e.key) >= 0 {
				q.bad = invalid("the pattern %.40q comes after %.40q: an import must be in order", e.pattern, q.last.pattern)
				return nil, false
			}
			q.head, q.last, q.loaded = e, recordOf{e.pattern, e.key}, true
		}
	}
	return &q.head, q.loaded
}

// putBack has edits handed out once more, which were the last.
func (q *editQueue) putBack(edits []edit) {
	if q.loaded {
		edits, q.loaded = append(edits, q.head), false
	}
	q.again = edits
}

// take appends the next edits: those of patterns up to one, or if that is "" as many as there are up to a number, and then also the rest of
// the last pattern's.
func (q *editQueue) take(edits []edit, upTo string, most int) []edit {
	for {
		e, ok := q.peek()
		if !ok || upTo != "" && e.pattern > upTo {
			return edits
		}
		if n := len(edits); upTo == "" && n >= most && edits[n-1].pattern != e.pattern {
			return edits
		}
		edits = append(edits, *e)
		q.loaded = false
	}
}
