package cmd

import (
	"strings"
	"time"

	"ringfence/console"
	"ringfence/lines"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/replay"
)

// loadLines gives a policy the lines of the database as they are now, as it reads their numbers. In a replay a line's key is its name.
func (a *app) loadLines(d *desk, j *replay.Judge) error {
	kept := lines.New(j.Policy.Plan())
	var all []lines.Line
	err := d.Lines(a.ctx, console.LineQuery{}, func(l console.Line) error {
		line := lines.Line{Name: l.Name, Key: l.Name, Customer: l.Customer, Profile: l.Profile}
		line.Mode, _ = policy.ParseLineMode(l.Mode)
		if l.Timezone != "" {
			zone, err := time.LoadLocation(l.Timezone)
			if err != nil {
				return err
			}
			line.Zone = zone
		}
		for _, text := range l.Numbers {
			if p, err := j.Policy.Plan().KeptPattern(text); err == nil { // else no number of this policy's country, and no call can be to it
				line.Numbers = append(line.Numbers, p)
			}
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		return err
	}
	kept.Load(all)
	j.Policy = j.Policy.WithLines(kept)
	return nil
}

// loadOwn reads the lists that lines of the database have of their own, of one name; it is false of another list.
func (a *app) loadOwn(d *desk, into *lists.Lists, plan *number.Plan, table string) (bool, error) {
	own, ok := lists.OwnTable(table)
	if !ok {
		return false, nil
	}
	load := into.LoadOwn(own)
	defer load.Done()
	return true, d.Entries(a.ctx, table, func(e console.ListEntry) error {
		line, _, _ := strings.Cut(e.List, ":")
		if p, err := plan.KeptPattern(e.Number); err == nil {
			load.Add(line, p, sourcesOf(&e))
		}
		return nil
	})
}
