package storage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Lines are kept in a table of the same make as a list: a line is an entry whose pattern is its name. So history, undo, imports, tombstones,
// copies and the way back are those of lists. No list can have its name.
const lineTable = "line:"

// Bounds on lines, in bytes unless said otherwise.
const (
	MaxLines       = 200_000
	MaxLineNumbers = 1000     // patterns of one line
	MaxLineText    = 512      // note and notify
	maxLineValue   = 24 << 10 // of one line as it is kept
)

// Line is a line that lives in the database.
type Line struct {
	Name     string   `json:"-"`
	Key      string   `json:"key"`               // see policy.Line; ChangeLines gives a new line its own
	Numbers  []string `json:"numbers,omitempty"` // canonical texts of patterns, in order
	Customer string   `json:"customer,omitempty"`
	Profile  string   `json:"profile,omitempty"`
	Mode     string   `json:"mode,omitempty"` // "" is enforce
	Timezone string   `json:"timezone,omitempty"`
	Language string   `json:"language,omitempty"`
	Notify   string   `json:"notify,omitempty"`
	Note     string   `json:"note,omitempty"`
	Import   string   `json:"import,omitempty"` // the source of imports that keeps the line, and takes it away when it no longer names it

	// For reading.
	Who, Source    string    `json:"-"`
	Added, Updated time.Time `json:"-"`
	Change         uint64    `json:"-"`
	Stamp          Tick      `json:"-"`
}

// LineEdit puts a line in, or takes the one of a name out.
type LineEdit struct {
	Line
	Remove bool
}

// LineOwn is some letters and digits of which no line had the same before, for its key.
func LineOwn() string { return strings.ToLower(rand.Text()[:6]) }

// ChangeLines makes edits of lines, each of another name, as one change that can be undone, and says what became of each. Each is checked by who
// calls; here it is only bounded. When it returns without error all is on disk, else nothing was changed (after ErrWrite: all or nothing).
//
// MaxEdit/10 edits or more are written beside the lines first, as an import of a list is: then an import or undo under way gives ErrBusy, and nobody
// else may change lines meanwhile.
func (d *DB) ChangeLines(r ChangeRecord, edits []LineEdit) ([]Change, ChangeRecord, error) {
	return d.changeLines(r, edits, false)
}

// ImportTurn is the turn to import, for who would wait for another import or undo rather than get ErrBusy.
type ImportTurn struct {
	d  *DB
	is bool // it is needed
}

// LineTurn waits for the turn to make so many edits of lines at once, where they are so many that they need it; so long at most, then it is ErrBusy. Take
// it before all locks that an import's Commit takes. Others get ErrBusy until it is ended.
func (d *DB) LineTurn(ctx context.Context, edits int, wait time.Duration) (*ImportTurn, error) {
	if edits < d.atOnce(lineTable) {
		return &ImportTurn{d: d}, nil
	}
	turn := &ImportTurn{d: d, is: true}
	select {
	case d.imports <- struct{}{}:
		return turn, nil
	default:
	}
	d.giveWay.Add(1)
	defer d.giveWay.Add(-1)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case d.imports <- struct{}{}:
		return turn, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, &fault{kind: ErrBusy, text: fmt.Sprintf("another import or undo is still under way after %v: nothing was changed, try again when it is done", wait)}
	}
}

// ChangeLines is that of DB.
func (t *ImportTurn) ChangeLines(r ChangeRecord, edits []LineEdit) ([]Change, ChangeRecord, error) {
	return t.d.changeLines(r, edits, t.is)
}

// End gives the turn to the next.
func (t *ImportTurn) End() {
	if t.is {
		<-t.d.imports
	}
}

func (d *DB) changeLines(r ChangeRecord, edits []LineEdit, inTurn bool) ([]Change, ChangeRecord, error) {
	if err := r.By.check(); err != nil {
		return nil, ChangeRecord{}, err
	}
	r.List = lineTable
	if r.Kind == "" {
		r.Kind = KindAdd
	}
	order := make([]int, len(edits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(edits[a].Name, edits[b].Name) })
	for i, at := range order[min(1, len(order)):] {
		if name := edits[at].Name; name == edits[order[i]].Name {
			return nil, ChangeRecord{}, invalid("the line %.64q is in the change twice: name it once", name)
		}
	}
	if len(edits) < d.atOnce(lineTable) {
		return d.changeFewLines(r, edits, order)
	}
	changes := make([]Change, len(edits))
	next := 0 // in order
	var ended error
	r, err := d.apply(r, d.lineEdits(r, edits, order, &ended), &ended, ImportOptions{inTurn: inTurn, Tell: func(_ string, c Change) {
		changes[order[next]] = c
		next++
	}})
	if err != nil {
		return nil, ChangeRecord{}, explain("changing lines", err)
	}
	if r.Rows == 0 { // nothing has changed
		r.ID = 0
	}
	return changes, r, nil
}

// changeFewLines is ChangeLines in one transaction, which waits for no import.
func (d *DB) changeFewLines(r ChangeRecord, edits []LineEdit, order []int) ([]Change, ChangeRecord, error) {
	var ended error
	made := slices.Collect(d.lineEdits(r, edits, order, &ended))
	if ended != nil {
		return nil, ChangeRecord{}, ended
	}
	sorted, r, err := d.change(r, made)
	if err != nil {
		return nil, ChangeRecord{}, explain("changing lines", err)
	}
	changes := make([]Change, len(edits))
	for i, at := range order {
		changes[at] = sorted[i]
	}
	return changes, r, nil
}

// lineEdits are edits of lines as those of entries, in an order. ended says what ended them, if not their end.
func (d *DB) lineEdits(r ChangeRecord, edits []LineEdit, order []int, ended *error) iter.Seq[edit] {
	now := toMillis(millis(d.now()))
	return func(yield func(edit) bool) {
		for _, i := range order {
			e, err := lineEdit(&r, &edits[i], now)
			if err != nil {
				*ended = err
				return
			}
			if !yield(e) {
				return
			}
		}
	}
}

func lineEdit(r *ChangeRecord, from *LineEdit, now int64) (edit, error) {
	l := &from.Line
	e := edit{pattern: l.Name, key: keyOf(FromPerson, "")}
	if err := checkEntry(&Entry{Pattern: l.Name}); err != nil || from.Remove {
		return e, err
	}
	text, err := json.Marshal(l)
	if err != nil {
		return e, err
	}
	if len(text) > maxLineValue {
		return e, invalid("the line %.64q takes %d bytes; make it %d at most: write ranges for its numbers", l.Name, len(text), maxLineValue)
	}
	e.to = &sourceRecord{origin: FromPerson, added: now, updated: now, reason: string(text), source: r.From, who: r.Who}
	return e, nil
}

// LinesUndone is what undoing a change of lines would do to them as they are now: lines that were changed since are not among it. It changes nothing.
func (d *DB) LinesUndone(id uint64) ([]LineEdit, error) {
	var edits []LineEdit
	err := d.changedRows(id, func(rows []listRow) error {
		return d.view(func(tx *bolt.Tx) error {
			f, err := d.finder(tx, lineTable)
			if err != nil {
				return err
			}
			for i := range rows {
				now, err := f.find(rows[i].pattern)
				if err != nil {
					return corrupt(d.file, err)
				}
				var said *sourceRecord
				if at := recordAt(now, rows[i].key()); at >= 0 {
					said = now[at].now.alive()
				}
				if !said.same(rows[i].now) {
					continue
				}
				e := LineEdit{Line: Line{Name: rows[i].pattern}, Remove: rows[i].before == nil}
				if !e.Remove {
					was := rows[i].before.entry(rows[i].pattern)
					if e.Line, err = lineOf(&was); err != nil {
						return corrupt(d.file, err)
					}
				}
				edits = append(edits, e)
			}
			return nil
		})
	})
	return edits, err
}

// LineHistory calls yield for each change that is kept of a line, the oldest first. Before and After are what LineOfEntry takes.
func (d *DB) LineHistory(name string, yield func(PatternChange) error) error {
	return d.Changes(func(r ChangeRecord) error {
		if !r.IsLines() {
			return nil
		}
		var rows []listRow
		err := d.view(func(tx *bolt.Tx) (err error) {
			f := finder{bucket: tx.Bucket(bucketChanged), prefix: changeKey(r.ID), columns: 2}
			if rows, err = f.find(name); err != nil {
				return corrupt(d.file, fmt.Errorf("change %d: %w", r.ID, err))
			}
			return nil
		})
		for i := range rows {
			if err == nil {
				err = yield(lineChange(r, &rows[i]))
			}
		}
		return err
	})
}

func lineChange(r ChangeRecord, row *listRow) PatternChange {
	c := PatternChange{ChangeRecord: r}
	if row.before != nil {
		e := row.before.entry(row.pattern)
		c.Before = &e
	}
	if row.now != nil {
		e := row.now.entry(row.pattern)
		c.After = &e
	}
	return c
}

// Lines calls yield for each line, in the order of their names' bytes, until it returns an error. What cannot be read is passed over and reported
// at the end, as that of Entries is.
func (d *DB) Lines(yield func(Line) error) error {
	var damage damage
	err := d.EntryPages(lineTable, false, func(es []Entry) error {
		for i := range es {
			l, err := lineOf(&es[i])
			if err != nil {
				damage.note(err)
				continue
			}
			if err := yield(l); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, ErrNoList):
		return nil
	case err != nil:
		return err
	}
	return damage.err(d.file, "lines")
}

// LinesNamed gives lines by name, as many as there are. What cannot be read is passed over, and the error is ErrCorrupt then.
func (d *DB) LinesNamed(names ...string) ([]Line, error) {
	found, err := d.Lookup(lineTable, names...)
	if err != nil {
		return nil, err
	}
	var lines []Line
	var damage damage
	for _, es := range found {
		for i := range es {
			l, err := lineOf(&es[i])
			if err != nil {
				damage.note(err)
				continue
			}
			lines = append(lines, l)
		}
	}
	return lines, damage.err(d.file, "lines")
}

func lineOf(e *Entry) (Line, error) {
	l := Line{Name: e.Pattern, Who: e.Who, Source: e.Source, Added: e.Added, Updated: e.Updated, Change: e.Change, Stamp: e.Stamp}
	if err := l.read(e.Reason); err != nil {
		return l, fmt.Errorf("the line %.64q: %w", e.Pattern, err)
	}
	return l, nil
}

// IsLines reports whether a change was one of lines.
func (r *ChangeRecord) IsLines() bool { return r.List == lineTable }

// LineOfEntry is the line that an entry of a change of lines is (see LineHistory).
func LineOfEntry(e *Entry) (Line, error) { return lineOf(e) }

// atOnce is from how many edits of a table on they are staged. A line takes as much as ten entries do.
func (d *DB) atOnce(list string) int {
	if list == lineTable {
		return max(d.maxEdit/10, 1)
	}
	return d.maxEdit
}

// checkSize refuses what a change has made of a table if that is too many lines.
func (d *DB) checkSize(list string, before, after int) error {
	if list == lineTable && after > d.maxLines && after > before {
		return invalid("there would be %d lines, and there may be %d: remove some, or give one line more numbers", after, d.maxLines)
	}
	return nil
}
