package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// What is kept of changes to lists, so that they can be looked up and undone. Beyond it the oldest go; the newest
// always stays.
const (
	MaxChanges    = 100_000
	MaxChangeRows = 30_000_000
)

// The kinds of changes.
const (
	KindAdd    = "add"
	KindRemove = "remove"
	KindImport = "import"
	KindUndo   = "undo"
	KindForget = "forget" // of no list: somebody was forgotten, see DB.NoteForgotten
)

// ChangeRecord is one change to a list that was made as a whole: an edit of a few entries, an import, or the
// undoing of another.
type ChangeRecord struct {
	ID   uint64    `json:"id"` // they count up from 1
	Time time.Time `json:"time"`
	By
	Kind    string `json:"kind"`
	List    string `json:"list"`
	Line    string `json:"line,omitempty"`   // of own lists of lines, the key of the one whose list it is; "": of several
	Source  string `json:"source,omitempty"` // of an import: the file
	Added   int    `json:"added,omitempty"`
	Updated int    `json:"updated,omitempty"`
	Removed int    `json:"removed,omitempty"`
	Joined  int    `json:"joined,omitempty"`  // see the Change of that name
	Undoes  uint64 `json:"undoes,omitempty"`  // the change that this one undid
	Undone  uint64 `json:"undone,omitempty"`  // the change that undid this one
	Skipped int    `json:"skipped,omitempty"` // of an undo: records that were changed since and stayed
	Rows    int    `json:"rows"`              // records that it changed

	// Of a change that came from another node: which, its number there, 0 if it came by comparing lists, and when it was made there. Time
	// is when it came to count here.
	Node string    `json:"node,omitempty"`
	Of   uint64    `json:"of,omitempty"`
	Made time.Time `json:"made,omitzero"`

	Stamp Tick `json:"-"` // of the records that it changed; of what came from another node, and of before it was kept, none
	Took  int  `json:"-"` // of Merge: rows that are other than before, tombstones included
	Early int  `json:"-"` // of Merge: rows that were refused, see MaxAhead
}

func (r *ChangeRecord) count(c counted) {
	r.Added, r.Updated, r.Removed, r.Joined = c.added, c.updated, c.removed, c.joined
}

// keptRecord is a ChangeRecord as it is kept.
type keptRecord struct {
	Time    time.Time `json:"time"`
	Who     string    `json:"who,omitempty"`
	From    string    `json:"from,omitempty"`
	Kind    string    `json:"kind"`
	List    string    `json:"list"`
	Line    string    `json:"line,omitempty"`
	Source  string    `json:"source,omitempty"`
	Added   int       `json:"added,omitempty"`
	Updated int       `json:"updated,omitempty"`
	Removed int       `json:"removed,omitempty"`
	Joined  int       `json:"joined,omitempty"`
	Undoes  uint64    `json:"undoes,omitempty"`
	Undone  uint64    `json:"undone,omitempty"`
	Skipped int       `json:"skipped,omitempty"`
	Rows    int       `json:"rows"` // in the log
	Node    string    `json:"node,omitempty"`
	Of      uint64    `json:"of,omitempty"`
	Made    time.Time `json:"made,omitzero"`
	Stamp   Tick      `json:"stamp,omitzero"`
}

// changeState is what the file keeps about all changes.
type changeState struct {
	Next    uint64 `json:"next"` // the id of the next one, less 1
	Records int    `json:"records"`
	Rows    int    `json:"rows"`
}

var keyChanges = []byte("changes")

func changeKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

func (d *DB) changeState(tx *bolt.Tx) (s changeState, err error) {
	if v := tx.Bucket(bucketMeta).Get(keyChanges); v != nil {
		if err := decodeJSON(v, &s); err != nil {
			return s, corrupt(d.file, fmt.Errorf("what it says of changes: %w", err))
		}
	}
	return s, nil
}

// nextChange takes the id for a change, for good only if putChange or a write of the state follows.
func (d *DB) nextChange(tx *bolt.Tx) (uint64, error) {
	s, err := d.changeState(tx)
	return s.Next + 1, err
}

// putLog writes what a change did to entries.
func putLog(tx *bolt.Tx, id uint64, log []listRow) error {
	b := tx.Bucket(bucketChanged)
	for _, bl := range appendBlocks(nil, log, 2) {
		if err := b.Put(append(changeKey(id), bl.key...), bl.value); err != nil {
			return err
		}
	}
	return nil
}

// putChange writes the record of a change whose log is there, and removes the oldest ones that are too many.
func (d *DB) putChange(tx *bolt.Tx, r ChangeRecord) error {
	s, err := d.changeState(tx)
	if err != nil {
		return err
	}
	s.Next, s.Records, s.Rows = max(s.Next, r.ID), s.Records+1, s.Rows+r.Rows
	records := tx.Bucket(bucketChanges)
	k := keptRecord{
		r.Time, r.Who, r.From, r.Kind, r.List, r.Line, r.Source, r.Added, r.Updated, r.Removed, r.Joined, r.Undoes, r.Undone, r.Skipped, r.Rows,
		r.Node, r.Of, r.Made, r.Stamp,
	}
	if err := putJSON(records, string(changeKey(r.ID)), k); err != nil {
		return err
	}
	if r.Undoes != 0 {
		if err := d.markUndone(tx, r.Undoes, r.ID); err != nil {
			return err
		}
	}
	for (s.Records > d.maxChanges || s.Rows > d.maxChangeRows) && s.Records > 1 {
		oldest, v := records.Cursor().First()
		if oldest == nil || bytes.Equal(oldest, changeKey(r.ID)) {
			break
		}
		var old keptRecord
		if err := decodeJSON(v, &old); err != nil {
			return corrupt(d.file, fmt.Errorf("change %x: %w", short(oldest), err))
		}
		if err := dropLog(tx, bytes.Clone(oldest)); err != nil {
			return err
		}
		if err := records.Delete(bytes.Clone(oldest)); err != nil {
			return err
		}
		s.Records, s.Rows = s.Records-1, s.Rows-old.Rows
	}
	return putJSON(tx.Bucket(bucketMeta), string(keyChanges), s)
}

// markUndone notes with a change which other one undid it. Undoing an undo lets the change that it undid count again.
func (d *DB) markUndone(tx *bolt.Tx, id, by uint64) error {
	for mark := by; id != 0; mark = 0 {
		key := changeKey(id)
		v := tx.Bucket(bucketChanges).Get(key)
		if v == nil {
			return nil
		}
		var k keptRecord
		if err := decodeJSON(v, &k); err != nil {
			return corrupt(d.file, fmt.Errorf("change %d: %w", id, err))
		}
		k.Undone = mark
		if err := putJSON(tx.Bucket(bucketChanges), string(key), k); err != nil {
			return err
		}
		if id = 0; mark != 0 {
			id = k.Undoes
		}
	}
	return nil
}

// dropLog removes what a change did to entries; without it, it cannot be undone.
func dropLog(tx *bolt.Tx, id []byte) error {
	b := tx.Bucket(bucketChanged)
	var gone [][]byte // gathered first: bbolt's cursor may skip keys after a deletion
	c := b.Cursor()
	for k, _ := c.Seek(id); k != nil && bytes.HasPrefix(k, id); k, _ = c.Next() {
		gone = append(gone, bytes.Clone(k))
	}
	for _, k := range gone {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func decodeChange(k, v []byte) (ChangeRecord, error) {
	var kept keptRecord
	if len(k) != 8 {
		return ChangeRecord{}, fmt.Errorf("change %x: its id has %d bytes", short(k), len(k))
	}
	id := binary.BigEndian.Uint64(k)
	if err := decodeJSON(v, &kept); err != nil {
		return ChangeRecord{}, fmt.Errorf("change %d: %w", id, err)
	}
	return ChangeRecord{
		ID: id, Time: kept.Time, By: By{kept.Who, kept.From}, Kind: kept.Kind, List: kept.List, Line: kept.Line, Source: kept.Source,
		Added: kept.Added, Updated: kept.Updated, Removed: kept.Removed, Joined: kept.Joined, Undoes: kept.Undoes, Undone: kept.Undone, Skipped: kept.Skipped,
		Rows: kept.Rows, Node: kept.Node, Of: kept.Of, Made: kept.Made, Stamp: kept.Stamp,
	}, nil
}

// Changes calls yield for each change that is kept, the oldest first, as Entries does for entries.
func (d *DB) Changes(yield func(ChangeRecord) error) error {
	return eachKey(d, func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(bucketChanges) }, 8, pageStamps, "records of changes", decodeChange, yield)
}

// ChangeOf is the change with this id; an error that is ErrNoChange if there is none, or none any more.
func (d *DB) ChangeOf(id uint64) (r ChangeRecord, err error) {
	err = d.view(func(tx *bolt.Tx) error {
		r, err = d.changeOf(tx, id)
		return err
	})
	return r, err
}

func (d *DB) changeOf(tx *bolt.Tx, id uint64) (ChangeRecord, error) {
	v := tx.Bucket(bucketChanges).Get(changeKey(id))
	if v == nil {
		s, err := d.changeState(tx)
		if err == nil && id > 0 && id <= s.Next {
			return ChangeRecord{}, &fault{kind: ErrNoChange, text: fmt.Sprintf(
				"change %d is no longer kept, or came to nothing: the last %d changes with %d entries are kept", id, d.maxChanges, d.maxChangeRows)}
		}
		return ChangeRecord{}, &fault{kind: ErrNoChange, text: "there is no change " + strconv.FormatUint(id, 10)}
	}
	r, err := decodeChange(changeKey(id), v)
	if err != nil {
		return r, corrupt(d.file, err)
	}
	return r, nil
}

// PatternChange is what a change did to one source's record of a pattern. Before or After is nil if it was not there. Of an own list of a line
// Line is whose, also where the change was of several.
type PatternChange struct {
	ChangeRecord
	Before *Entry `json:"before"`
	After  *Entry `json:"after"`
}

// History calls yield for each change that is kept of a pattern, on every list and by every source, the oldest first. The patterns of own lists
// are without the line's key.
func (d *DB) History(pattern string, yield func(PatternChange) error) error {
	return d.Changes(func(r ChangeRecord) error {
		rows, err := d.changedIn(&r, pattern)
		if err != nil {
			return err
		}
		for _, row := range rows {
			c := PatternChange{ChangeRecord: r}
			if IsOwn(r.List) {
				c.Line, _, _ = CutOwn(row.pattern)
			}
			for _, side := range []struct {
				from *sourceRecord
				to   **Entry
			}{{row.before, &c.Before}, {row.now, &c.After}} {
				if side.from != nil {
					e := side.from.entry(pattern)
					*side.to = &e
				}
			}
			if err := yield(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// changedIn is what a change did to a pattern, on an own list to that of every line.
func (d *DB) changedIn(r *ChangeRecord, pattern string) (rows []listRow, err error) {
	text := pattern
	switch {
	case r.List == lineTable: // a line may be named like a number
		return nil, nil
	case IsOwn(r.List) && r.Line == "":
		err := d.changedRows(r.ID, func(all []listRow) error {
			for i := range all {
				if _, p, ok := CutOwn(all[i].pattern); ok && p == pattern {
					rows = append(rows, all[i])
				}
			}
			return nil
		})
		return rows, err
	case IsOwn(r.List):
		text = OwnText(r.Line, pattern)
	}
	err = d.view(func(tx *bolt.Tx) (err error) {
		f := finder{bucket: tx.Bucket(bucketChanged), prefix: changeKey(r.ID), columns: 2}
		if rows, err = f.find(text); err != nil {
			return corrupt(d.file, fmt.Errorf("change %d: %w", r.ID, err))
		}
		return nil
	})
	return rows, err
}

// Listed is a pattern with what its sources say of it, a person's record first, then the newest; none: it is not on the list.
type Listed struct {
	Pattern string
	Records []Entry
}

// ChangedBy calls yield for the patterns that a change touched, as its list has them now, in their order, some thousand at a time, in a
// slice that is used again.
func (d *DB) ChangedBy(id uint64, yield func([]Listed) error) error {
	r, err := d.ChangeOf(id)
	if err != nil {
		return err
	}
	var patterns []string
	var listed []Listed
	return d.changedRows(id, func(rows []listRow) error {
		patterns, listed = patterns[:0], listed[:0]
		for i := range rows {
			if i == 0 || rows[i].pattern != rows[i-1].pattern {
				patterns = append(patterns, rows[i].pattern)
			}
		}
		records, err := d.Lookup(r.List, patterns...)
		if err != nil {
			return err
		}
		for i, p := range patterns {
			listed = append(listed, Listed{p, records[i]})
		}
		return yield(listed)
	})
}

func (d *DB) changedRows(id uint64, yield func([]listRow) error) error {
	var damage damage
	p := pager{d: d, prefix: changeKey(id), columns: 2, damage: &damage, find: func(tx *bolt.Tx) (*bolt.Bucket, error) { return tx.Bucket(bucketChanged), nil }}
	if err := p.run(yield); err != nil {
		return err
	}
	return damage.err(d.file, fmt.Sprintf("blocks of the change %d", id))
}
