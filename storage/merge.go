package storage

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// KindMerge is what other nodes say, where it came by comparing lists and not with a change of theirs.
const KindMerge = "merge"

// MaxAhead is by how much the stamp of another node's row may be ahead of this node's clock. One that is further ahead is refused: nobody
// could write over it. It is more than a day, for a node whose time zone was taken for its time.
const MaxAhead = 25 * time.Hour

// Foreign says whose change rows come from.
type Foreign struct {
	Node string // the node that sent them
	ID   uint64 // of the change there; 0: they are of a comparison of lists, and of no one change
	Kind string // of the change there; "": KindMerge
	By
	Source string    // of an import there: the file
	Time   time.Time // when it was made there
}

// record is the beginning of the change that the rows become here.
func (f *Foreign) record(list string) (ChangeRecord, error) {
	if list != lineTable {
		if err := checkListName(list); err != nil {
			return ChangeRecord{}, err
		}
	}
	if f.Node == "" || checkNode(f.Node) != nil {
		return ChangeRecord{}, invalid("%.40q is no name of a node that changes could come from", f.Node)
	}
	kind := cmp.Or(f.Kind, KindMerge)
	switch kind {
	case KindAdd, KindRemove, KindImport, KindUndo, KindMerge:
	default:
		return ChangeRecord{}, invalid("the node %.40q tells of a change of the kind %.40q, which there is not: is it of a newer version?", f.Node, f.Kind)
	}
	if err := f.By.check(); err != nil {
		return ChangeRecord{}, err
	}
	if err := (By{Who: f.Source}).check(); err != nil {
		return ChangeRecord{}, err
	}
	made := time.Time{}
	if y := f.Time.Year(); y >= 1970 && y <= 9999 {
		made = millis(f.Time)
	}
	return ChangeRecord{List: list, Kind: kind, By: f.By, Source: f.Source, Node: f.Node, Of: f.ID, Made: made}, nil
}

// Merge takes what another node says of patterns of a list, which it creates if need be: of each row what it says, with its stamp, if that is later
// than the stamp of what is there, be it a tombstone. So the same rows again change nothing, and nodes that have taken the same rows hold the
// same, in whatever order they came. It says how many rows are other than before; the change, which can be undone here, has no id if that is none but
// tombstones. Rows that are too far ahead are left out and counted (Early, see MaxAhead); with any that is not to be kept at all, see Row.Check, it is
// ErrInvalid and none is taken.
//
// There may be MaxEdit rows, of lines a tenth, in any order. The call is one transaction, as that of AddEntries.
func (d *DB) Merge(list string, rows []Row, of Foreign) (int, ChangeRecord, error) {
	r, err := of.record(list)
	if err != nil {
		return 0, ChangeRecord{}, err
	}
	most := MaxEdit
	if list == lineTable {
		most = MaxEdit / 10
	}
	if len(rows) > most {
		return 0, ChangeRecord{}, invalid("%d rows of another node are too many for one edit: merge at most %d at a time", len(rows), most)
	}
	edits := make([]edit, 0, len(rows))
	f := foreignRows{list: list, ahead: d.tooFarAhead()}
	for i := range rows {
		e, ok, err := f.edit(&rows[i])
		if err != nil {
			return 0, ChangeRecord{}, err
		}
		if ok {
			edits = append(edits, e)
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Or(a.compare(&b), b.to.stamp.Compare(a.to.stamp)) })
	edits = slices.CompactFunc(edits, func(a, b edit) bool { return a.compare(&b) == 0 }) // the latest of each
	if len(edits) > 0 {
		if _, r, err = d.change(r, edits); err != nil {
			return 0, ChangeRecord{}, explain("taking over what the node "+of.Node+" says of the list "+list, err)
		}
	}
	r.Early = f.early
	return r.Took, r, nil
}

// MergeMany is Merge for any number of rows, which must come in order: by the bytes of their patterns, then by origin, then by source, none twice. They
// count all at once, as an import does, beside which nobody else may import: it gives way to who wants to, which is ErrBusy. commit is that of ImportOptions and may
// be nil. An error that comes with a row ends it, and nothing was changed.
func (d *DB) MergeMany(list string, rows iter.Seq2[Row, error], of Foreign, commit func(do func() (ChangeRecord, error)) error) (ChangeRecord, error) {
	r, err := of.record(list)
	if err != nil {
		return ChangeRecord{}, err
	}
	f := foreignRows{list: list, ahead: d.tooFarAhead()}
	var ended error
	edits := func(yield func(edit) bool) {
		for row, err := range rows {
			if ended = err; ended != nil {
				return
			}
			if d.giveWay.Load() > 0 {
				ended = &fault{kind: ErrBusy, text: "what is imported or undone here goes first"}
				return
			}
			e, ok, err := f.edit(&row)
			if ended = err; ended != nil {
				return
			}
			if ok && !yield(e) {
				return
			}
		}
	}
	r, err = d.apply(r, edits, &ended, ImportOptions{Commit: commit})
	r.Early = f.early
	if err != nil {
		return r, explain("taking over what the node "+of.Node+" says of the list "+list, err)
	}
	return r, nil
}

// tooFarAhead is the time that no stamp of another node's row may be later than, in milliseconds since 1970.
func (d *DB) tooFarAhead() int64 { return d.now().Add(MaxAhead).UnixMilli() }

// foreignRows makes edits of another node's rows.
type foreignRows struct {
	list  string
	ahead int64
	early int           // rows that were left out
	last  *sourceRecord // what the last row says
}

func (f *foreignRows) edit(row *Row) (e edit, ok bool, err error) {
	if err := row.Check(f.list); err != nil {
		return e, false, err
	}
	if row.Stamp.Wall > f.ahead {
		f.early++
		return e, false, nil
	}
	key := keyOf(row.Origin, row.Source)
	s := sourceRecord{origin: row.Origin, source: key.name, gone: true, stamp: row.Stamp}
	if !row.Gone {
		s = sourceRecord{
			origin: row.Origin, source: row.Source, stamp: row.Stamp, reason: row.Reason, who: row.Who, added: row.Added, updated: row.Updated, expires: row.Expires,
		}
	}
	if f.last == nil || *f.last != s { // rows that say the same share it, which makes large lists small
		anew := s
		f.last = &anew
	}
	return edit{pattern: row.Pattern, key: key, to: f.last, foreign: true}, true, nil
}

// mergeForeign makes a record what another node says it is, if that was written later than what is there. others are the rows of the pattern's
// other sources.
func (m *merger) mergeForeign(dst, log []listRow, was *sourceRecord, e *edit, others ...[]listRow) (_, _ []listRow) {
	if was != nil && e.to.stamp.Compare(was.stamp) <= 0 {
		m.report(e.pattern, Unchanged, 1)
		return append(dst, listRow{pattern: e.pattern, now: was}), log
	}
	m.highest = later(m.highest, e.to.stamp)
	before := was.alive()
	if e.to.gone {
		c := Absent
		if before != nil {
			c, log = Removed, append(log, listRow{pattern: e.pattern, before: before})
		}
		m.report(e.pattern, c, 1)
		return m.layStone(dst, was, e), log
	}
	c := Updated
	if before == nil {
		c = joins(e.to, others...)
	}
	m.report(e.pattern, c, 1)
	return append(dst, listRow{pattern: e.pattern, now: e.to}), append(log, listRow{pattern: e.pattern, now: e.to, before: before})
}

// layStone puts another node's tombstone in the place of what was there, if it is not old and there is room.
func (m *merger) layStone(dst []listRow, was *sourceRecord, e *edit) []listRow {
	anew := was == nil || !was.gone
	switch {
	case e.to.stamp.Wall < m.oldest:
		return dst
	case anew && m.room <= 0:
		m.forgo(e.to.stamp)
		return dst
	case anew:
		m.room--
	}
	if m.stones == 0 || e.to.stamp.Wall < m.stones {
		m.stones = e.to.stamp.Wall
	}
	return append(dst, listRow{pattern: e.pattern, now: e.to})
}

// differing is how many rows of one pattern are other than before. A tombstone that has only gone is not counted.
func differing(was, is []listRow) (n int) {
	for len(was) > 0 || len(is) > 0 {
		c := 0
		switch {
		case len(was) == 0:
			c = 1
		case len(is) == 0:
			c = -1
		default:
			c = was[0].key().compare(is[0].key())
		}
		if c < 0 && !was[0].now.gone || c > 0 || c == 0 && was[0].now != is[0].now {
			n++
		}
		if c <= 0 {
			was = was[1:]
		}
		if c >= 0 {
			is = is[1:]
		}
	}
	return n
}

// tookOver notes what a change took over from another node, in its transaction.
func (d *DB) tookOver(tx *bolt.Tx, r *ChangeRecord, m *merger) error {
	r.Took = m.took
	if m.stones != 0 {
		d.stones.Add(1)
	}
	return d.raiseClock(tx, m.highest)
}

// Check reports whether a row of another node, of a list, can be kept; an error that is ErrInvalid says why not.
func (row *Row) Check(list string) error {
	e := Entry{Pattern: row.Pattern, Reason: row.Reason, Origin: row.Origin, Source: row.Source, Who: row.Who}
	if list == lineTable && len(row.Reason) > MaxReason {
		if e.Reason = ""; len(row.Reason) > maxLineValue {
			return invalid("the line %.64q takes %d bytes; make it %d at most: write ranges for its numbers", row.Pattern, len(row.Reason), maxLineValue)
		}
	}
	if err := checkEntry(&e); err != nil {
		return err
	}
	for _, t := range [...]int64{row.Stamp.Wall, row.Added, row.Updated, row.Expires} {
		if t < 0 || t > maxMillis {
			return invalid("entry %.40q: the time %d is out of range; use 1970 to 9999", row.Pattern, t)
		}
	}
	if err := checkNode(row.Stamp.Node); err != nil {
		return fmt.Errorf("entry %.40q: %w", row.Pattern, err)
	}
	return nil
}
