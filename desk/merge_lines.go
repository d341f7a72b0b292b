package desk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/lines"
	"ringfence/policy"
	"ringfence/storage"
)

// mergeLines takes what another node says of lines. Two lines that have one number, because they were edited on two nodes, both stay as they are; the number is
// the later one's, on each node (see lines.Lines.Load).
func (d *Desk) mergeLines(ctx context.Context, rows []storage.Row, of storage.Foreign) (changed int, err error) {
	of = inertOf(of)
	c := &mergeCheck{d: d, list: console.LineTable}
	if len(rows) > storage.MaxEdit/10 {
		return d.mergeManyLines(ctx, c, rows, of)
	}
	d.edit.Lock()
	defer d.edit.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	good := c.lines(rows)
	changed, r, err := d.db.Merge(console.LineTable, good, of)
	if err = c.asRefused(err, len(rows)); err != nil {
		return 0, d.linesFailed(err, namesOfRows(good))
	}
	d.notTaken(c, &of, r.Early)
	if r.ID == 0 {
		return changed, nil
	}
	names, err := d.linesIn(r.ID)
	if err == nil {
		err = d.followLines(names)
	}
	return changed, err
}

// mergeManyLines is mergeLines for so many that they are staged.
func (d *Desk) mergeManyLines(ctx context.Context, c *mergeCheck, rows []storage.Row, of storage.Foreign) (int, error) {
	good := c.lines(rows)
	r, err := d.db.MergeMany(console.LineTable, func(yield func(storage.Row, error) bool) {
		for i := range good {
			if !yield(good[i], nil) {
				return
			}
		}
	}, of, func(do func() (storage.ChangeRecord, error)) error {
		d.edit.Lock()
		defer d.edit.Unlock()
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := do(); err != nil {
			return err
		}
		return d.followAllLines()
	})
	if err = c.asRefused(err, len(rows)); err != nil {
		return 0, err
	}
	d.notTaken(c, &of, r.Early)
	return r.Took, nil
}

func namesOfRows(rows []storage.Row) []string {
	names := make([]string, len(rows))
	for i := range rows {
		names[i] = rows[i].Pattern
	}
	return names
}

// linesIn are the lines that a change was of.
func (d *Desk) linesIn(id uint64) (names []string, err error) {
	err = d.db.ChangedBy(id, func(listed []storage.Listed) error {
		for i := range listed {
			names = append(names, strings.Clone(listed[i].Pattern))
		}
		return nil
	})
	return names, err
}

// lines gives those of some rows of lines that can be taken.
func (c *mergeCheck) lines(rows []storage.Row) []storage.Row {
	c.rules = c.d.force.Rules()
	m := newLineMaker(c.rules.Policy)
	good := make([]storage.Row, 0, len(rows))
	changes := make([]lines.Change, 0, len(rows))
	for i := range rows {
		line, err := m.said(&rows[i])
		if err != nil {
			c.refuse(&rows[i], err.Error())
			continue
		}
		good, changes = append(good, rows[i]), append(changes, lines.Change{Line: line, Remove: rows[i].Gone})
	}
	if err := c.rules.Lines.Room(changes); err != nil {
		for i := range good {
			if !good[i].Gone {
				c.refuse(&good[i], err.Error())
			}
		}
		good = slices.DeleteFunc(good, func(r storage.Row) bool { return !r.Gone })
	}
	return good
}

// said is a line that another node says, if it could be set so here.
func (m *lineMaker) said(row *storage.Row) (line lines.Line, err error) {
	if err := row.Check(console.LineTable); err != nil {
		return line, err
	}
	if row.Origin != storage.FromPerson {
		return line, errors.New("lines are of persons alone")
	}
	if line.Name = row.Pattern; row.Gone {
		return line, nil
	}
	l, err := storage.LineOfEntry(&storage.Entry{Pattern: row.Pattern, Reason: row.Reason})
	if err != nil {
		return line, err
	}
	if err := m.name(l.Name); err != nil {
		return line, err
	}
	own, ok := strings.CutPrefix(l.Key, policy.NewLineKey(l.Name, ""))
	if !ok || own == "" || strings.Trim(own, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return line, fmt.Errorf("its key %.80q is not one of a line of that name", l.Key)
	}
	if text, err := plain("source", l.Import, storage.MaxLineText); err != nil || text != l.Import {
		return line, errors.Join(err, errors.New("its source cannot be one"))
	}
	then, err := m.make(&l, &console.LineSet{
		Name: l.Name, Numbers: &l.Numbers, Customer: &l.Customer, Profile: &l.Profile, Mode: &l.Mode, Timezone: &l.Timezone, Language: &l.Language, Notify: &l.Notify, Note: &l.Note,
	})
	if err != nil {
		return line, err
	}
	if !sameLine(&then, &l) {
		return line, fmt.Errorf("it is written otherwise here: %s", strings.Join(lineChanges(&l, &then), ", "))
	}
	return lineInMemory(m.plan, &l)
}

// followAllLines makes all lines in memory what they are on disk, with the own lists of those that come. d.edit is held.
func (d *Desk) followAllLines() error {
	r := d.force.Rules()
	gone := make(map[string]bool)
	for l := range r.Lines.All() {
		gone[strings.Clone(l.Key)] = true
	}
	var come []string
	err := d.db.Lines(func(l storage.Line) error {
		if gone[l.Key] {
			delete(gone, l.Key)
		} else {
			come = append(come, strings.Clone(l.Key))
		}
		return nil
	})
	if err != nil && !errors.Is(err, storage.ErrCorrupt) {
		return err
	}
	if d.inMemory() {
		err = d.readOwn(r, come)
	}
	err = errors.Join(err, d.loadLines(r.Policy.Plan(), r.Lines))
	if d.inMemory() {
		r.Lists.DropOwn(slices.Collect(maps.Keys(gone)))
	}
	return err
}

// LinesMet is how many lines of the database have a number that another line has, as a row of another node says it: they would lose it if that is later. A row
// that could not be taken meets none.
func LinesMet(r *inforce.Rules, row *storage.Row) int {
	l, err := storage.LineOfEntry(&storage.Entry{Pattern: row.Pattern, Reason: row.Reason})
	if err != nil {
		return 0
	}
	line, err := lineInMemory(r.Policy.Plan(), &l)
	if err != nil {
		return 0
	}
	met := make(map[string]bool)
	for _, p := range line.Numbers {
		r.Lines.Meet(p, func(other policy.Line) bool {
			if other.Name != line.Name {
				met[strings.Clone(other.Name)] = true
			}
			return true
		})
	}
	return len(met)
}
