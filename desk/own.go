package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/lines"
	"ringfence/lists"
	"ringfence/policy"
	"ringfence/storage"
)

// A line of the database has lists of its own, which people name as they name those of a line of the policy: NAME:blacklist. They are kept by the
// line's key, so that who gets the name, or the numbers, later has nothing of them.

// place is where a list is that somebody names.
type place struct {
	name  string // as people say it
	table string // of the database
	line  string // the key of the line of the database whose own list it is, else ""
	own   string // what that is called without the line
}

// text is a pattern as the table has it.
func (at *place) text(pattern string) string {
	if at.line == "" {
		return pattern
	}
	return storage.OwnText(at.line, pattern)
}

// pattern is what text was given.
func (at *place) pattern(text string) string {
	if at.line != "" {
		_, text, _ = storage.CutOwn(text)
	}
	return text
}

// strip has entries of the table be of their patterns.
func (at *place) strip(es []storage.Entry) {
	if at.line == "" {
		return
	}
	for i := range es {
		es[i].Pattern = at.pattern(es[i].Pattern)
	}
}

// found is for who knows the place already, be its line there or not.
func (at place) found(*inforce.Rules) (place, error) { return at, nil }

// removeAll takes what every source says of some patterns off one list, or off own lists of one name, of whatever lines.
func (d *Desk) removeAll(ctx context.Context, table string, found []foundAt) error {
	if !storage.IsOwn(table) {
		patterns := make([]string, len(found))
		for i := range found {
			patterns[i] = found[i].pattern
		}
		_, err := d.removeEntries(ctx, found[0].found, patterns, storage.TakeAll)
		return err
	}
	d.edit.Lock()
	defer d.edit.Unlock()
	r := d.force.Rules()
	for len(found) > 0 {
		mine := found[:min(len(found), storage.MaxEdit)]
		texts := make([]string, len(mine))
		var changes []lists.OwnChange
		for i := range mine {
			texts[i] = mine[i].text(mine[i].pattern)
			if p, err := r.Policy.Plan().KeptPattern(mine[i].pattern); err == nil {
				changes = append(changes, lists.OwnChange{Key: mine[i].line, Change: lists.Change{ListEntry: policy.ListEntry{Pattern: p}, Remove: true}})
			}
		}
		_, err := d.db.RemoveAll(table, texts, byOf(ctx))
		if d.pieces.edited(err); err != nil {
			return refused(err)
		}
		if d.inMemory() {
			r.Lists.ApplyOwn(mine[0].own, changes)
		}
		found = found[len(mine):]
	}
	return nil
}

// foundAt is a place that has a pattern.
type foundAt struct {
	place
	pattern string
}

// listName is a list as people say it; line is the key of the line whose own list it is, or "" for a table of own lists of several.
func listName(list, line string) string {
	if own, ok := lists.OwnTable(list); ok && line != "" {
		return policy.LineName(line) + ":" + own
	}
	return list
}

// placeAt is a place in the database.
func placeAt(at storage.Place) place {
	if !storage.IsOwn(at.List) {
		return place{name: at.List, table: at.List}
	}
	line, _, _ := storage.CutOwn(at.Text)
	own, _ := lists.OwnTable(at.List)
	return place{name: listName(at.List, line), table: at.List, line: line, own: own}
}

// named finds the list that somebody names. A line of the policy goes before one of the database, as it does for calls; a list that was made for a
// line which the policy has no more can still be seen to.
func (d *Desk) named(list string) func(*inforce.Rules) (place, error) {
	return func(r *inforce.Rules) (at place, err error) {
		if _, ok := lists.OwnTable(list); ok {
			return at, console.Bad(fmt.Sprintf("%s is what rules call the list that each line has of its own: name the line, as in LINE:%s", list, strings.TrimPrefix(list, lists.OwnPrefix)))
		}
		at = place{name: list, table: list}
		name, own, ok := strings.Cut(list, ":")
		if !ok || slices.Contains(r.Policy.Lists(), list) || slices.Contains(r.Policy.Lines(), name) {
			return at, nil
		}
		if r.Lines != nil && policy.BadLineName(name) == "" {
			if line, ok := r.Lines.LineNamed(name); ok {
				return d.ownOf(line.Key, own)(r)
			}
		}
		if there, err := d.hasList(list); err != nil || there {
			return at, err
		}
		return at, noLineNamed(name)
	}
}

// ownOf is the own list of a line of the database, by its key, if the line is there.
func (d *Desk) ownOf(line, own string) func(*inforce.Rules) (place, error) {
	return func(r *inforce.Rules) (place, error) {
		name := policy.LineName(line)
		if r.Lines == nil {
			return place{}, goneLine(name)
		}
		if l, ok := r.Lines.LineNamed(line); !ok || l.Key != line {
			return place{}, goneLine(name)
		}
		if advice := policy.BadLineName(own); advice != "" {
			return place{}, console.Bad("what a line's own list is called: " + advice)
		}
		at := place{name: name + ":" + own, table: storage.OwnTable(own), line: line, own: own}
		if slices.Contains(r.Policy.OwnLists(), own) {
			return at, nil
		}
		// What rules asked once can be seen to; other names are slips, and there may not be any number of tables.
		there, err := d.hasList(at.table)
		if err == nil && !there {
			err = console.NotFound(fmt.Sprintf("no rule of the policy asks for the list line:%s, so that %s would count for nothing: %s", own, at.name, askedOwn(r.Policy, own)))
		}
		return at, err
	}
}

// askedOwn says which own lists rules ask for, and how another would be asked for.
func askedOwn(p *policy.Policy, own string) string {
	write := fmt.Sprintf("write one with list = [\"line:%s\"] first", own)
	if len(p.OwnLists()) == 0 {
		return write
	}
	return "they ask for line:" + strings.Join(p.OwnLists(), ", line:") + "; if it is meant, " + write
}

// hasList reports whether there is a list, or a table of own lists.
func (d *Desk) hasList(name string) (bool, error) {
	infos, err := d.db.Lists()
	return slices.ContainsFunc(infos, func(l storage.ListInfo) bool { return l.Name == name }), err
}

func goneLine(name string) error {
	return console.NotFound(fmt.Sprintf("the line %s is not there any more, or is another customer's now", name))
}

// ownRoom refuses an edit that would leave the line, or all together, with too many entries on own lists. more is how many come.
func (d *Desk) ownRoom(line string, more int) error {
	if more <= 0 {
		return nil
	}
	n, err := d.db.LinePatterns(line)
	if err != nil {
		return err
	}
	if n+more > lists.MaxOwnLine {
		d.ownRefused.Add(1)
		return console.Conflict(fmt.Sprintf("nothing was changed: the line %s would have %d entries on its own lists, and %d is the most that one line may have: remove some, or write patterns such as 9521* for many",
			policy.LineName(line), n+more, lists.MaxOwnLine))
	}
	all, err := d.db.OwnPatterns()
	if err != nil {
		return err
	}
	if all+more > lists.MaxOwn {
		d.ownRefused.Add(1)
		return console.Conflict(fmt.Sprintf("nothing was changed: the own lists of all lines would have %d entries, and %d is the most there may be (those of lines that were removed count for %s): put what is the same for many on a list of all",
			all+more, lists.MaxOwn, policy.SpanText(d.db.KeptDeleted())))
	}
	return nil
}

// ownRoomFor is ownRoom for entries of a place that are to be added, as the table has them.
func (d *Desk) ownRoomFor(at *place, entries []storage.Entry) error {
	if at.line == "" || len(entries) == 0 {
		return nil
	}
	texts := keysOf(entries)
	slices.Sort(texts)
	texts = slices.Compact(texts)
	records, err := d.db.Lookup(at.table, texts...)
	if err != nil {
		return err
	}
	more := 0
	for i := range records {
		if len(records[i]) == 0 {
			more++
		}
	}
	return d.ownRoom(at.line, more)
}

// ownRoomToUndo is ownRoom for what undoing a change may put back.
func (d *Desk) ownRoomToUndo(id uint64) error {
	r, err := d.db.ChangeOf(id)
	if err != nil || !storage.IsOwn(r.List) || r.Line == "" { // one of several lines moved entries, which makes them no more
		return err
	}
	more := 0
	err = d.db.ChangedBy(id, func(listed []storage.Listed) error {
		for i := range listed {
			if len(listed[i].Records) == 0 {
				more++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.ownRoom(r.Line, min(more, r.Removed))
}

// presence tells which entries of own lists are of lines that are there, of entries line by line.
type presence struct {
	line  string // of the last entry
	there bool
}

// pattern is what an entry of own lists is of; false if its line is not there. Who asks may not keep the line beyond the page that it reads.
func (p *presence) pattern(r *inforce.Rules, text string) (string, bool) {
	line, pattern, ok := storage.CutOwn(text)
	if !ok {
		return "", false
	}
	if line != p.line {
		p.line, p.there = strings.Clone(line), false
		if r.Lines != nil {
			l, ok := r.Lines.LineNamed(line)
			p.there = ok && l.Key == line
		}
	}
	return pattern, p.there
}

// applyLines makes changes of lines count, which are on disk. The own lists of a line that comes back are there before a call can find the line, and
// those of one that goes take no room any more. With clash a number is on two of them, and all are read again, which settles that. d.edit is held.
func (d *Desk) applyLines(r *inforce.Rules, changes []lines.Change, clash bool) error {
	var gone, come []string
	if d.inMemory() {
		for i := range changes {
			c := &changes[i]
			was, there := r.Lines.LineNamed(c.Name)
			if there && (c.Remove || was.Key != c.Key) {
				gone = append(gone, was.Key)
			}
			if !c.Remove && (!there || was.Key != c.Key) {
				come = append(come, c.Key)
			}
		}
	}
	err := d.readOwn(r, come)
	if !clash {
		r.Lines.Apply(changes)
	}
	if clash || r.Lines.Lost() { // a number that was on two may be on one by now
		err = errors.Join(err, d.loadLines(r.Policy.Plan(), r.Lines))
	}
	r.Lists.DropOwn(gone)
	if err != nil {
		return fmt.Errorf("the lines are on disk and count, but not their own lists until these are read again (ringfence policy reload): %w", err)
	}
	return nil
}

// readOwn reads the own lists of lines that come, by their keys.
func (d *Desk) readOwn(r *inforce.Rules, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	infos, err := d.db.Lists()
	if err != nil {
		return err
	}
	var wanted map[string]bool
	for i := range infos {
		table := &infos[i]
		own, ok := lists.OwnTable(table.Name)
		if !ok || table.Entries == 0 {
			continue
		}
		if len(keys) < table.Entries/ownProbe {
			for _, key := range keys {
				err = errors.Join(err, d.db.LineEntries(table.Name, key, false, func(es []storage.Entry) error {
					r.Lists.ApplyOwn(own, ownChanges(r, es, func(string) bool { return true }))
					return nil
				}))
			}
			continue
		}
		if wanted == nil {
			wanted = make(map[string]bool, len(keys))
			for _, key := range keys {
				wanted[key] = true
			}
		}
		err = errors.Join(err, d.db.EntryPages(table.Name, false, func(es []storage.Entry) error {
			r.Lists.ApplyOwn(own, ownChanges(r, es, func(line string) bool { return wanted[line] }))
			return nil
		}))
	}
	return err
}

// ownProbe is as how many entries it costs to look for those of one line, when all are read instead.
const ownProbe = 256

// ownChanges are entries of own lists as changes to those in memory, of the lines that are wanted.
func ownChanges(r *inforce.Rules, es []storage.Entry, wanted func(line string) bool) (changes []lists.OwnChange) {
	for i, end := 0, 0; i < len(es); i = end {
		for end = i + 1; end < len(es) && es[end].Pattern == es[i].Pattern; {
			end++
		}
		line, text, ok := storage.CutOwn(es[i].Pattern)
		if !ok || !wanted(line) {
			continue
		}
		pattern, err := r.Policy.Plan().KeptPattern(text)
		if err != nil {
			continue // a stray
		}
		changes = append(changes, lists.OwnChange{Key: strings.Clone(line), Change: lists.Change{ListEntry: policy.ListEntry{Pattern: pattern}, Records: sourcesOf(es[i:end])}})
	}
	return changes
}

// apply makes changes of one list in memory. An own list of a line that is not there has none.
func (d *Desk) apply(r *inforce.Rules, at *place, changes []lists.Change) {
	if at.line == "" {
		r.Lists.Apply(at.table, changes) // it exists from now on, be it empty
		return
	}
	if r.Lines == nil {
		return
	}
	if l, ok := r.Lines.LineNamed(at.line); !ok || l.Key != at.line {
		return
	}
	own := make([]lists.OwnChange, len(changes))
	for i := range changes {
		own[i] = lists.OwnChange{Key: at.line, Change: changes[i]}
	}
	r.Lists.ApplyOwn(at.own, own)
}

// ListsOf describes the lists that a line has of its own.
func (d *Desk) ListsOf(ctx context.Context, line string) ([]console.ListSummary, error) {
	r := d.force.Rules()
	infos, err := d.db.Lists()
	if err != nil {
		return nil, err
	}
	of, ok := r.Policy.LineNamed(line)
	if !ok || of.Name != line {
		return nil, noLineNamed(line)
	}
	var out []console.ListSummary
	for i := range infos {
		own, isOwn := lists.OwnTable(infos[i].Name)
		switch {
		case !of.Kept && strings.HasPrefix(infos[i].Name, line+":"):
			out = append(out, summaryOf(&infos[i]))
		case of.Kept && isOwn:
			s, err := d.ownSummary(ctx, infos[i].Name, of.Key)
			if err != nil {
				return nil, err
			}
			if s.List = line + ":" + own; s.Entries > 0 {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// ownSummary describes the own list of one line.
func (d *Desk) ownSummary(ctx context.Context, table, line string) (s console.ListSummary, err error) {
	err = d.db.LineEntries(table, line, false, func(es []storage.Entry) error {
		for i := range es {
			e := &es[i]
			if s.Records++; i == 0 || e.Pattern != es[i-1].Pattern {
				s.Entries++
			}
			if s.Created.IsZero() || e.Added.Before(s.Created) {
				s.Created = e.Added
			}
			if e.Updated.After(s.Changed) {
				s.Changed = e.Updated
			}
		}
		return ctx.Err()
	})
	return s, err
}

// ownEntries is Entries for a table of own lists, of those lines that are there.
func (d *Desk) ownEntries(ctx context.Context, r *inforce.Rules, table string, yield func(console.ListEntry) error) error {
	var whose presence
	now := d.o.Now()
	err := d.db.EntryPages(table, true, func(es []storage.Entry) error {
		for i, end := 0, 0; i < len(es); i = end {
			for end = i + 1; end < len(es) && es[end].Pattern == es[i].Pattern; {
				end++
			}
			pattern, ok := whose.pattern(r, es[i].Pattern)
			if !ok {
				continue
			}
			e := unionOf(listName(table, whose.line), es[i:end], now)
			e.Number = pattern
			if err := errors.Join(ctx.Err(), yield(e)); err != nil {
				return err
			}
		}
		return nil
	})
	return noList(table, err)
}

// countOwn says of a table of own lists how many lines have entries, and how many entries are of lines that are not there.
func (d *Desk) countOwn(ctx context.Context, r *inforce.Rules, s *console.ListSummary) error {
	var whose presence
	return d.db.EntryPages(s.List, false, func(es []storage.Entry) error {
		for i := range es {
			before := whose.line
			_, ok := whose.pattern(r, es[i].Pattern)
			switch {
			case ok && whose.line != before:
				s.Lines++
			case !ok && (i == 0 || es[i].Pattern != es[i-1].Pattern):
				s.Gone++
			}
		}
		return ctx.Err()
	})
}
