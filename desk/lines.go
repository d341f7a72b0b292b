package desk

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/lines"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// readLines reads the lines of the database as a policy's country reads their numbers. What cannot be read is left out and logged.
func (d *Desk) readLines(plan *number.Plan) (*lines.Lines, error) {
	kept := lines.New(plan)
	return kept, d.loadLines(plan, kept)
}

// loadLines puts the lines of the database in the place of those that there are.
func (d *Desk) loadLines(plan *number.Plan, kept *lines.Lines) error {
	var all []lines.Line
	unread := 0
	err := d.db.Lines(func(l storage.Line) error {
		line, err := lineInMemory(plan, &l)
		if err != nil {
			if unread++; unread <= strayLogs {
				d.o.Log.Warn("a line has what cannot be read; calls to it are as to no line, until it is set right (ringfence line set)", "line", l.Name, "error", err)
			}
			return nil
		}
		line.Written = l.Stamp.Order()
		all = append(all, line)
		return nil
	})
	if errors.Is(err, storage.ErrCorrupt) {
		d.o.Log.Error("some lines are damaged on disk and are left out: `ringfence storage verify` says which", "error", err)
	} else if err != nil {
		return err
	}
	if unread > strayLogs {
		d.o.Log.Warn("more lines have what cannot be read", "lines", unread)
	}
	taken := kept.Load(all)
	for _, t := range taken[:min(len(taken), strayLogs)] {
		d.o.Log.Warn("a number is on two lines, by edits on two nodes or as this policy reads it; calls to it are to that which was written later, until it is taken off one of them (ringfence line set)",
			"number", t.Number.String(), "line", t.Other, "not", t.Line)
	}
	if len(taken) > strayLogs {
		d.o.Log.Warn("more numbers are on two lines", "numbers", len(taken))
	}
	if len(all) > manyLines {
		all = nil
		debug.FreeOSMemory()
	}
	return nil
}

// manyLines is how many lines are worth giving memory back for that reading them took.
const manyLines = 10_000

// clocks are the time zones that lines name, each read once.
type clocks struct {
	mu sync.Mutex
	of map[string]*time.Location
}

var zones clocks

// maxClocks is more than there are; names that are none are not kept.
const maxClocks = 1000

func (c *clocks) zone(name string) (*time.Location, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if zone := c.of[name]; zone != nil {
		return zone, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	if c.of == nil || len(c.of) > maxClocks {
		c.of = make(map[string]*time.Location)
	}
	c.of[strings.Clone(name)] = zone
	return zone, nil
}

// maxLineKey is more than the key of any line has, in bytes.
const maxLineKey = 128

// lineInMemory is a line as calls need it.
func lineInMemory(plan *number.Plan, l *storage.Line) (lines.Line, error) {
	out := lines.Line{Name: l.Name, Key: l.Key, Customer: l.Customer, Profile: l.Profile}
	switch advice := policy.BadLineName(l.Name); {
	case advice != "":
		return out, errors.New(advice)
	case policy.LineName(l.Key) != l.Name || len(l.Key) > maxLineKey:
		return out, fmt.Errorf("its key %.80q is not one of a line of that name", l.Key)
	case len(l.Customer) > storage.MaxLineText:
		return out, fmt.Errorf("its customer has %d bytes: make it %d at most", len(l.Customer), storage.MaxLineText)
	case len(l.Numbers) > storage.MaxLineNumbers:
		return out, fmt.Errorf("it has %d numbers, and may have %d: write ranges, or make several lines", len(l.Numbers), storage.MaxLineNumbers)
	}
	out.Numbers = make([]number.Pattern, 0, len(l.Numbers))
	for _, text := range l.Numbers {
		p, err := plan.KeptPattern(text)
		if err != nil {
			return out, err
		}
		out.Numbers = append(out.Numbers, p)
	}
	mode, ok := policy.ParseLineMode(l.Mode)
	if !ok {
		return out, fmt.Errorf("mode %q is none", l.Mode)
	}
	if out.Mode = mode; l.Timezone != "" {
		zone, err := zones.zone(l.Timezone)
		if err != nil {
			return out, err
		}
		out.Zone = zone
	}
	return out, nil
}

// linesInMemory are edits of lines as changes of those in memory, and have been held against them: no number comes to be on two lines.
func (d *Desk) linesInMemory(edits []storage.LineEdit) ([]lines.Change, error) {
	rules := d.force.Rules()
	memory := make([]lines.Change, len(edits))
	for i := range edits {
		e := &edits[i]
		if memory[i].Name, memory[i].Remove = e.Name, e.Remove; e.Remove {
			continue
		}
		var err error
		if memory[i].Line, err = lineInMemory(rules.Policy.Plan(), &e.Line); err != nil {
			return nil, console.Bad(fmt.Sprintf("nothing was changed: the line %s: %s", e.Name, err))
		}
	}
	if taken := rules.Lines.Check(memory, 1); len(taken) > 0 {
		return nil, console.Conflict("nothing was changed: " + taken[0].Error())
	}
	if err := rules.Lines.Room(memory); err != nil {
		return nil, console.Bad("nothing was changed: " + err.Error())
	}
	return memory, nil
}

// changeLines makes edits of lines, which are checked: on disk, and then in memory. d.edit is held.
func (d *Desk) changeLines(ctx context.Context, r storage.ChangeRecord, edits []storage.LineEdit) ([]storage.Change, storage.ChangeRecord, error) {
	return d.changeLinesBy(ctx, d.db.ChangeLines, r, edits)
}

// changeLinesBy is changeLines by what changes them on disk.
func (d *Desk) changeLinesBy(
	ctx context.Context, change func(storage.ChangeRecord, []storage.LineEdit) ([]storage.Change, storage.ChangeRecord, error), r storage.ChangeRecord, edits []storage.LineEdit,
) ([]storage.Change, storage.ChangeRecord, error) {
	memory, err := d.linesInMemory(edits)
	if err != nil {
		return nil, r, err
	}
	r.By = byOf(ctx)
	changes, r, err := change(r, edits)
	if err != nil {
		return nil, r, d.linesFailed(err, namesOf(edits))
	}
	err = d.applyLines(d.force.Rules(), memory, false)
	if len(edits) > manyLines {
		debug.FreeOSMemory()
	}
	return changes, r, err
}

// linesFailed is what to tell of a change of lines that failed. Where the disk cannot say whether it was written, memory follows what is there.
func (d *Desk) linesFailed(err error, names []string) error {
	if errors.Is(err, storage.ErrWrite) {
		if err := d.followLines(names); err != nil {
			d.o.Log.Error("lines in memory may not be those on disk", "error", err)
		}
	}
	if errors.Is(err, storage.ErrBusy) {
		return console.Conflict(err.Error())
	}
	return refused(err)
}

func namesOf(edits []storage.LineEdit) []string {
	names := make([]string, len(edits))
	for i := range edits {
		names[i] = edits[i].Name
	}
	return names
}

// followLines makes lines in memory what they are on disk. d.edit is held.
func (d *Desk) followLines(names []string) error {
	rules := d.force.Rules()
	found, damaged := d.db.LinesNamed(names...)
	if damaged != nil && !errors.Is(damaged, storage.ErrCorrupt) {
		return fmt.Errorf("the change of lines is on disk, but calls do not know of it until the policy is read again (ringfence policy reload): %w", damaged)
	}
	there := make(map[string]lines.Line, len(found))
	for i := range found {
		line, err := lineInMemory(rules.Policy.Plan(), &found[i])
		if err != nil {
			d.o.Log.Warn("a line has what cannot be read; calls to it are as to no line, until it is set right (ringfence line set)", "line", found[i].Name, "error", err)
			continue
		}
		there[line.Name] = line
	}
	changes := make([]lines.Change, len(names))
	for i, name := range names {
		line, ok := there[name]
		if changes[i] = (lines.Change{Line: line, Remove: !ok}); !ok {
			changes[i].Name = name
		}
	}
	// What came from another node may have a number of a line that was edited here meanwhile.
	clash := len(rules.Lines.Check(changes, 1)) > 0
	return errors.Join(d.applyLines(rules, changes, clash), damaged)
}

// undoLines undoes a change of lines, if no number comes to be on two lines by that.
func (d *Desk) undoLines(ctx context.Context, id uint64) (storage.ChangeRecord, error) {
	return d.db.Undo(id, byOf(ctx), func(do func() (storage.ChangeRecord, error)) error {
		d.edit.Lock()
		defer d.edit.Unlock()
		edits, err := d.db.LinesUndone(id)
		if err != nil {
			return err
		}
		if _, err := d.linesInMemory(edits); err != nil {
			return err
		}
		if _, err := do(); err != nil {
			return d.linesFailed(err, namesOf(edits))
		}
		return d.followLines(namesOf(edits))
	})
}

// readLinesAgain writes the numbers of lines anew that are read otherwise now than when they were written, as one change that can be undone.
func (d *Desk) readLinesAgain(ctx context.Context, p *policy.Policy) error {
	d.edit.Lock()
	defer d.edit.Unlock()
	var edits []storage.LineEdit
	err := d.db.Lines(func(l storage.Line) error {
		changed := false
		for i, text := range l.Numbers {
			if q, err := p.Plan().Again(text); err == nil && q.String() != text {
				l.Numbers[i], changed = q.String(), true
			}
		}
		if changed {
			slices.Sort(l.Numbers)
			l.Numbers = slices.Compact(l.Numbers)
			edits = append(edits, storage.LineEdit{Line: l})
		}
		return ctx.Err()
	})
	if err != nil && !errors.Is(err, storage.ErrCorrupt) || len(edits) == 0 {
		return ignore(err, storage.ErrCorrupt)
	}
	_, r, err := d.changeLines(ctx, storage.ChangeRecord{Source: "numbers"}, edits)
	if err != nil {
		return fmt.Errorf("numbers of lines: %w", err)
	}
	d.o.Log.Info("numbers of lines are read otherwise now, and were put right", "lines", len(edits), "change", r.ID, "undo", fmt.Sprintf("ringfence line undo %d", r.ID))
	return nil
}
