package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// Lines calls yield for each line of the database that is asked for.
func (d *Desk) Lines(ctx context.Context, q console.LineQuery, yield func(console.Line) error) error {
	if q.Name != "" {
		found, err := d.db.LinesNamed(q.Name)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return d.noLine(q.Name)
		}
		return yield(lineShown(&found[0]))
	}
	return d.db.Lines(func(l storage.Line) error {
		if q.Customer != "" && q.Customer != customerOf(&l) || q.Profile != "" && q.Profile != l.Profile {
			return ctx.Err()
		}
		return errors.Join(ctx.Err(), yield(lineShown(&l)))
	})
}

// noLine says that there is no line of a name.
func (d *Desk) noLine(name string) error {
	for _, own := range d.force.Rules().Policy.Lines() {
		if own == name {
			return console.NotFound(fmt.Sprintf("%s is a line of the policy: see [lines.%s] there; `ringfence line` is about those of the database", name, name))
		}
	}
	return console.NotFound(fmt.Sprintf("there is no line %s: `ringfence line ls` names those there are", number.InertUpTo(name, 64)))
}

// noLineNamed says that neither the policy nor the database has a line of a name.
func noLineNamed(name string) error {
	return console.NotFound(fmt.Sprintf("there is no line %s: `ringfence line ls` names those of the database, and the policy has its own as [lines.NAME]", number.InertUpTo(name, maxName)))
}

// lineShown is a line as people see it.
func lineShown(l *storage.Line) console.Line {
	out := console.Line{
		Name: l.Name, Numbers: l.Numbers, Customer: customerOf(l), Profile: l.Profile, Mode: modeText(l.Mode), Timezone: l.Timezone, Language: l.Language,
		Notify: l.Notify, Note: l.Note, Source: l.Import, Who: l.Who, From: l.Source, Added: l.Added, Updated: l.Updated,
	}
	if out.Numbers == nil {
		out.Numbers = []string{}
	}
	return out
}

// AddLines makes lines. One that is there already and says the same is no fault; one that says something else is.
func (d *Desk) AddLines(ctx context.Context, add []console.LineSet) ([]console.LineEdit, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	names := make([]string, len(add))
	for i := range add {
		names[i] = add[i].Name
	}
	present, err := d.linesOf(names)
	if err != nil && !errors.Is(err, storage.ErrCorrupt) { // to add what is damaged puts it right
		return nil, err
	}
	m := newLineMaker(d.force.Rules().Policy)
	out := make([]console.LineEdit, len(add))
	var edits []storage.LineEdit
	var wrong []string
	seen := make(map[string]bool, len(add))
	for i := range add {
		set, now := &add[i], present[add[i].Name]
		err := m.name(set.Name)
		if err == nil && seen[set.Name] {
			err = errors.New("is named twice: say all of a line at once")
		}
		seen[set.Name] = true
		var then storage.Line
		if err == nil {
			then, err = m.make(now, set)
		}
		switch {
		case err != nil:
			wrong = append(wrong, faultOf(set.Name, err))
			continue
		case now == nil:
			out[i] = console.LineEdit{Name: then.Name, Change: console.LineAdded, Warnings: m.warnings(nil, &then)}
			if n := d.leftBehind(then.Name); n > 0 {
				out[i].Warnings = append(out[i].Warnings, fmt.Sprintf(
					"a line of that name was there before, whose own lists have %d entries: they stay behind, and whom it knew; to have it back with them, remove this one and undo that one's removal (`ringfence line history %s`)",
					n, then.Name))
			}
			edits = append(edits, storage.LineEdit{Line: then})
		case sameLine(now, &then):
			out[i] = console.LineEdit{Name: then.Name, Change: console.LineUnchanged}
		default:
			return nil, console.Conflict(fmt.Sprintf("nothing was changed: there is a line %s already (%s would change): `ringfence line set %s` changes it",
				then.Name, strings.Join(lineChanges(now, &then), ", "), then.Name))
		}
	}
	if len(wrong) > 0 {
		return nil, console.Bad("nothing was changed:\n" + strings.Join(wrong, "\n"))
	}
	return d.finish(ctx, storage.KindAdd, edits, out)
}

// leftBehind is how many entries are on own lists of lines that had the name of a new one before. What is damaged was said when it was read.
func (d *Desk) leftBehind(name string) int {
	n, err := d.db.PatternsUnder(policy.NewLineKey(name, ""))
	if err != nil {
		d.o.Log.Warn("it cannot be said whether a line of the same name has left own lists behind", "line", name, "error", err)
	}
	return n
}

// SetLine changes a line: only what is said.
func (d *Desk) SetLine(ctx context.Context, set console.LineSet) (*console.LineEdit, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	present, err := d.linesOf([]string{set.Name})
	if err != nil {
		return nil, err
	}
	now := present[set.Name]
	if now == nil {
		return nil, d.noLine(set.Name)
	}
	m := newLineMaker(d.force.Rules().Policy)
	then, err := m.make(now, &set)
	if err != nil {
		return nil, console.Bad("nothing was changed:\n" + faultOf(set.Name, err))
	}
	out := []console.LineEdit{{Name: then.Name, Change: console.LineUnchanged}}
	var edits []storage.LineEdit
	if !sameLine(now, &then) {
		out[0] = console.LineEdit{Name: then.Name, Change: console.LineUpdated, What: lineChanges(now, &then), Warnings: m.warnings(now, &then)}
		edits = []storage.LineEdit{{Line: then}}
	}
	if out, err = d.finish(ctx, storage.KindAdd, edits, out); err != nil {
		return nil, err
	}
	return &out[0], nil
}

// RemoveLines takes lines away, also one that is damaged on disk. What is theirs alone stays there for an undo, and counts for nobody.
func (d *Desk) RemoveLines(ctx context.Context, names []string) ([]console.LineEdit, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	at := make(map[string]int, len(names))
	out := make([]console.LineEdit, len(names))
	present, err := d.linesOf(names)
	if err != nil && !errors.Is(err, storage.ErrCorrupt) {
		return nil, err
	}
	var edits []storage.LineEdit
	for i, name := range names {
		out[i] = console.LineEdit{Name: name, Change: console.LineAbsent}
		if d.isOwnLine(name) && present[name] == nil { // it may have the name since the policy was changed
			return nil, d.noLine(name)
		}
		if _, twice := at[name]; !twice {
			at[name] = i
			edits = append(edits, storage.LineEdit{Line: storage.Line{Name: name}, Remove: true})
		}
	}
	if len(edits) == 0 {
		return out, nil
	}
	changes, r, err := d.changeLines(ctx, storage.ChangeRecord{Kind: storage.KindRemove}, edits)
	if err != nil {
		return nil, err
	}
	for i, c := range changes {
		if c == storage.Removed {
			e := &out[at[edits[i].Name]]
			e.Change, e.ID = console.LineRemoved, r.ID
		}
	}
	return out, nil
}

// isOwnLine reports whether a name is that of a line of the policy.
func (d *Desk) isOwnLine(name string) bool {
	l, ok := d.force.Rules().Policy.LineNamed(name)
	return ok && !l.Kept
}

// linesOf gives the lines of names that there are, also if some are damaged (storage.ErrCorrupt).
func (d *Desk) linesOf(names []string) (map[string]*storage.Line, error) {
	found, err := d.db.LinesNamed(names...)
	present := make(map[string]*storage.Line, len(found))
	for i := range found {
		present[found[i].Name] = &found[i]
	}
	return present, err
}

// finish makes edits of lines, if there are any, and notes with what became of each which change that was. d.edit is held.
func (d *Desk) finish(ctx context.Context, kind string, edits []storage.LineEdit, out []console.LineEdit) ([]console.LineEdit, error) {
	if len(edits) == 0 {
		return out, nil
	}
	_, r, err := d.changeLines(ctx, storage.ChangeRecord{Kind: kind}, edits)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if out[i].Change != console.LineUnchanged && out[i].Change != console.LineAbsent {
			out[i].ID = r.ID
		}
	}
	return out, nil
}

// faultOf is what is wrong with a line, each thing on a line of its own.
func faultOf(name string, err error) string {
	name = number.InertUpTo(name, 64)
	return fmt.Sprintf("%q: %s", name, strings.ReplaceAll(err.Error(), "\n", fmt.Sprintf("\n%q: ", name)))
}

// LineHistory calls yield for each change that is kept of a line, the oldest first.
func (d *Desk) LineHistory(ctx context.Context, name string, yield func(console.LineHistory) error) error {
	return d.db.LineHistory(name, func(c storage.PatternChange) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		h := console.LineHistory{Change: changeOf(&c.ChangeRecord), Name: name}
		for _, side := range []struct {
			from *storage.Entry
			to   **console.Line
		}{{c.Before, &h.Before}, {c.After, &h.After}} {
			if side.from == nil {
				continue
			}
			l, err := storage.LineOfEntry(side.from)
			if err != nil {
				l = storage.Line{Name: name, Note: "cannot be read: " + err.Error()}
			}
			l.Source = cmp.Or(l.Source, side.from.Source)
			shown := lineShown(&l)
			*side.to = &shown
		}
		return yield(h)
	})
}
