package access

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"ringfence/console"
)

// maxListLines is of how many lines Lists names the lists; each has ListsOf.
const maxListLines = 200

func (g *guard) Lists(ctx context.Context) ([]console.ListSummary, error) {
	return see(g, ctx, "Lists", func(a *asked) ([]console.ListSummary, error) {
		if a.scope == nil {
			return g.desk.Lists(ctx)
		}
		lines, err := a.scope.lines(ctx, maxListLines)
		if err != nil {
			return nil, err
		}
		var out []console.ListSummary
		for _, line := range lines {
			own, err := g.listsOf(ctx, line)
			if err != nil && !isNotFound(err) { // it is not there any more
				return nil, err
			}
			out = append(out, own...)
		}
		return out, nil
	})
}

func (g *guard) ListsOf(ctx context.Context, line string) ([]console.ListSummary, error) {
	return see(g, ctx, "ListsOf", func(a *asked) ([]console.ListSummary, error) {
		if a.scope == nil {
			return g.desk.ListsOf(ctx, line)
		}
		if mine, err := a.scope.line(ctx, line); err != nil {
			return nil, err
		} else if !mine {
			return nil, hidden()
		}
		return g.listsOf(ctx, line)
	})
}

// listsOf are those lists of a line that its customer may see.
func (g *guard) listsOf(ctx context.Context, line string) ([]console.ListSummary, error) {
	all, err := g.desk.ListsOf(ctx, line)
	return slices.DeleteFunc(all, func(l console.ListSummary) bool { return l.List != line+":"+blacklist && l.List != line+":"+allowlist }), err
}

func (g *guard) Entries(ctx context.Context, list string, yield func(console.ListEntry) error) error {
	return each(g, ctx, "Entries", func(a *asked) error {
		if a.scope == nil {
			return g.desk.Entries(ctx, list, yield)
		}
		if _, err := a.scope.ownList(ctx, list); err != nil {
			return err
		}
		give := back(yield)
		err := g.desk.Entries(ctx, list, func(e console.ListEntry) error { return give(cutEntry(e)) })
		if isNotFound(err) { // it has nothing yet
			return nil
		}
		return err
	})
}

// cutEntry is an entry of a list of theirs. The files and reports that it came by have other things in their names.
func cutEntry(e console.ListEntry) console.ListEntry {
	e.Source = ""
	e.Records = slices.Clone(e.Records)
	for i := range e.Records {
		e.Records[i].Source = ""
	}
	return e
}

func (g *guard) AddEntries(ctx context.Context, list string, add []console.NewEntry, keepGood bool) ([]console.Edit, error) {
	return change(g, ctx, "AddEntries", list, func(a *asked) ([]console.Edit, error) {
		if a.scope != nil {
			if _, err := a.scope.ownList(ctx, list); err != nil {
				return nil, err
			}
		}
		edits, err := g.desk.AddEntries(ctx, list, add, keepGood)
		if a.scope != nil && isNotFound(err) {
			err = unusedList()
		}
		a.entry.Detail, a.entry.Change = outcome(edits), changeOf(edits)
		return edits, err
	})
}

func (g *guard) RemoveEntries(ctx context.Context, list string, patterns []string, all bool) ([]console.Edit, error) {
	return change(g, ctx, "RemoveEntries", list, func(a *asked) ([]console.Edit, error) {
		if a.scope != nil {
			if _, err := a.scope.ownList(ctx, list); err != nil {
				return nil, err
			}
		}
		edits, err := g.desk.RemoveEntries(ctx, list, patterns, all)
		a.entry.Detail, a.entry.Change = outcome(edits), changeOf(edits)
		if a.scope != nil {
			for i := range edits {
				edits[i].Still = nil
			}
		}
		return edits, err
	})
}

// unusedList is said where no rule of the policy asks for the list of a line.
func unusedList() error {
	return &inOurWords{console.Conflict("this list of your line is not in use: ask who runs this telephone system")}
}

// outcome is what became of entries, in numbers.
func outcome(edits []console.Edit) string {
	of := map[string]int{}
	for i := range edits {
		of[edits[i].Change]++
	}
	text := ""
	for _, change := range []string{"added", "updated", "removed", "unchanged", "absent", console.Refused} {
		if n := of[change]; n > 0 {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%d %s", n, change)
		}
	}
	return cmp.Or(text, "nothing")
}

// changeOf is the change that an edit made, 0 if it made none.
func changeOf(edits []console.Edit) (id uint64) {
	for i := range edits {
		id = max(id, edits[i].ID)
	}
	return id
}

func (g *guard) Import(ctx context.Context, q console.ImportQuery, file io.Reader) (*console.ImportReport, error) {
	return change(g, ctx, "Import", q.List, func(a *asked) (*console.ImportReport, error) {
		r, err := g.desk.Import(ctx, q, file)
		if err == nil {
			a.quiet = q.DryRun
			a.entry.Change, a.entry.Detail = r.Change, fmt.Sprintf("%s: %d added, %d updated, %d removed, %d refused", q.File, r.Added, r.Updated, r.Removed, r.Refused)
		}
		return r, err
	})
}

func (g *guard) Feeds(ctx context.Context) ([]console.FeedStatus, error) {
	return see(g, ctx, "Feeds", func(*asked) ([]console.FeedStatus, error) { return g.desk.Feeds(ctx) })
}

func (g *guard) FetchFeed(ctx context.Context, list string) (*console.FeedStatus, error) {
	return change(g, ctx, "FetchFeed", list, func(*asked) (*console.FeedStatus, error) { return g.desk.FetchFeed(ctx, list) })
}

func (g *guard) AcceptFeed(ctx context.Context, list string) (*console.FeedStatus, error) {
	return change(g, ctx, "AcceptFeed", list, func(*asked) (*console.FeedStatus, error) { return g.desk.AcceptFeed(ctx, list) })
}

func (g *guard) Changes(ctx context.Context, list string, yield func(console.ListChange) error) error {
	return each(g, ctx, "Changes", func(a *asked) error {
		if a.scope == nil {
			return g.desk.Changes(ctx, list, yield)
		}
		if list == "" {
			return console.Bad("name the list, as in LINE:blacklist")
		}
		if _, err := a.scope.ownList(ctx, list); err != nil {
			return err
		}
		give := back(yield)
		return g.desk.Changes(ctx, list, func(c console.ListChange) error { return give(cutChange(c)) })
	})
}

func cutChange(c console.ListChange) console.ListChange {
	c.Source = ""
	return c
}

// theirs are the changes to a list of theirs: of an own list those since the line is who it is now.
func (g *guard) theirs(ctx context.Context, a *asked, list string) (ids map[uint64]bool, err error) {
	if own, err := a.scope.isOwn(ctx, list); err != nil || !own {
		return nil, err
	}
	ids = map[uint64]bool{}
	err = g.desk.Changes(ctx, list, func(c console.ListChange) error {
		ids[c.ID] = true
		return nil
	})
	if isNotFound(err) {
		return nil, nil
	}
	return ids, err
}

func (g *guard) History(ctx context.Context, pattern string, yield func(console.ListHistory) error) error {
	return each(g, ctx, "History", func(a *asked) error {
		if a.scope == nil {
			return g.desk.History(ctx, pattern, yield)
		}
		of := map[string]map[uint64]bool{}
		give := back(yield)
		var found []console.ListHistory
		err := g.desk.History(ctx, pattern, func(h console.ListHistory) error {
			if own, err := a.scope.isOwn(ctx, h.Change.List); err != nil || !own {
				return err
			}
			found = append(found, h)
			return nil
		})
		for i := 0; i < len(found) && err == nil; i++ {
			h := &found[i]
			ids, known := of[h.Change.List]
			if !known {
				if ids, err = g.theirs(ctx, a, h.Change.List); err != nil {
					return err
				}
				of[h.Change.List] = ids
			}
			if !ids[h.Change.ID] {
				continue
			}
			h.Change = cutChange(h.Change)
			for _, e := range []**console.ListEntry{&h.Before, &h.After} {
				if *e != nil {
					shown := cutEntry(**e)
					*e = &shown
				}
			}
			err = give(*h)
		}
		return err
	})
}

func (g *guard) Undo(ctx context.Context, id uint64) (*console.ListChange, error) {
	return change(g, ctx, "Undo", fmt.Sprintf("change %d", id), func(a *asked) (*console.ListChange, error) {
		if err := g.mayUndo(ctx, a, id); err != nil {
			return nil, err
		}
		c, err := g.desk.Undo(ctx, id)
		if err != nil {
			return nil, err
		}
		a.entry.Change, a.entry.Detail = c.ID, c.List
		if a.scope != nil {
			out := cutChange(*c)
			return &out, nil
		}
		return c, nil
	})
}

// mayUndo says why somebody may not undo a change: of lines only administrators may, and who is bound of their own lists alone.
func (g *guard) mayUndo(ctx context.Context, a *asked, id uint64) error {
	if a.scope == nil && a.who.Role.Covers(admin) {
		return nil
	}
	if a.scope == nil {
		err := g.desk.Changes(ctx, console.LineTable, func(c console.ListChange) error {
			if c.ID == id {
				return console.Forbidden("a change of lines is for administrators to undo")
			}
			return nil
		})
		if isNotFound(err) {
			return nil
		}
		return err
	}
	list := ""
	err := g.desk.Changes(ctx, "", func(c console.ListChange) error {
		if c.ID == id {
			list = c.List
		}
		return nil
	})
	if err != nil {
		return err
	}
	ids, err := g.theirs(ctx, a, list)
	if err == nil && !ids[id] {
		err = hidden()
	}
	return err
}
