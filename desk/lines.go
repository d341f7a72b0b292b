package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ringfence/console"
	"ringfence/lines"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// readLines reads the lines of the database as a policy's country reads their numbers. What cannot be read is left out and logged.
func (d *Desk) readLines(plan *number.Plan) (*lines.Lines, error) {
	kept := lines.New()
	var all []lines.Change
	err := d.db.Lines(func(l storage.Line) error {
		line, err := lineInMemory(plan, &l)
		if err != nil {
			d.o.Log.Warn("a line has what cannot be read; calls to it are as to no line, until it is set right (ringfence line set)", "line", l.Name, "error", err)
			return nil
		}
		all = append(all, lines.Change{Line: line})
		return nil
	})
	if errors.Is(err, storage.ErrCorrupt) {
		d.o.Log.Error("some lines are damaged on disk and are left out: `ringfence storage verify` says which", "error", err)
	} else if err != nil {
		return nil, err
	}
	kept.Apply(all)
	return kept, nil
}

// lineInMemory is a line as calls need it.
func lineInMemory(plan *number.Plan, l *storage.Line) (lines.Line, error) {
	out := lines.Line{Name: l.Name, Key: l.Key, Customer: l.Customer, Profile: l.Profile}
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
		zone, err := time.LoadLocation(l.Timezone)
		if err != nil {
			return out, err
		}
		out.Zone = zone
	}
	return out, nil
}

// changeLines makes edits of lines, which are checked: on disk, and then in memory. d.edit is held.
func (d *Desk) changeLines(ctx context.Context, r storage.ChangeRecord, edits []storage.LineEdit) ([]storage.Change, storage.ChangeRecord, error) {
	rules := d.force.Rules()
	memory := make([]lines.Change, len(edits))
	for i := range edits {
		e := &edits[i]
		if memory[i].Name, memory[i].Remove = e.Name, e.Remove; e.Remove {
			continue
		}
		var err error
		if memory[i].Line, err = lineInMemory(rules.Policy.Plan(), &e.Line); err != nil {
			return nil, r, console.Bad(fmt.Sprintf("the line %s: %s", e.Name, err))
		}
	}
	if taken := rules.Lines.Check(memory, 1); len(taken) > 0 {
		return nil, r, console.Conflict("nothing was changed: " + taken[0].Error())
	}
	r.By = byOf(ctx)
	changes, r, err := d.db.ChangeLines(r, edits)
	if err != nil {
		return nil, r, refused(err)
	}
	return changes, r, d.applyLines(rules, memory)
}
