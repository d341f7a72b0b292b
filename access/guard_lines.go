package access

import (
	"context"
	"errors"
	"fmt"
	"io"

	"ringfence/console"
)

func isNotFound(err error) bool { return errors.Is(err, console.ErrNotFound) }

func (g *guard) Lines(ctx context.Context, q console.LineQuery, yield func(console.Line) error) error {
	return each(g, ctx, "Lines", func(a *asked) error {
		if a.scope == nil {
			return g.desk.Lines(ctx, q, yield)
		}
		give := back(yield)
		of := func(q console.LineQuery) error {
			return g.desk.Lines(ctx, q, func(l console.Line) error {
				if mine, err := a.scope.line(ctx, l.Name); err != nil || !mine {
					return err
				}
				return give(cutLine(l))
			})
		}
		switch {
		case q.Name != "":
			if mine, err := a.scope.line(ctx, q.Name); err != nil || !mine {
				return errors.Join(err, hidden())
			}
			return of(q)
		case len(a.who.Lines) == 0:
			if q.Customer != "" && q.Customer != a.who.Customer {
				return nil
			}
			q.Customer = a.who.Customer
			return of(q)
		}
		names, err := a.scope.lines(ctx, maxScopeLines)
		for i := 0; i < len(names) && err == nil; i++ {
			err = g.desk.Lines(ctx, console.LineQuery{Name: names[i]}, func(l console.Line) error {
				if l.Name != names[i] || q.Customer != "" && l.Customer != q.Customer || q.Profile != "" && l.Profile != q.Profile {
					return nil
				}
				return give(cutLine(l))
			})
			if isNotFound(err) { // the policy's, or gone
				err = nil
			}
		}
		return err
	})
}

// cutLine is a line as its customer may see it: without what people here write about it.
func cutLine(l console.Line) console.Line {
	l.Note, l.Source, l.Who, l.From = "", "", "", ""
	return l
}

func (g *guard) SetLine(ctx context.Context, set console.LineSet) (*console.LineEdit, error) {
	return change(g, ctx, "SetLine", set.Name, func(a *asked) (*console.LineEdit, error) {
		if a.scope != nil {
			if mine, err := a.scope.line(ctx, set.Name); err != nil {
				return nil, err
			} else if !mine {
				return nil, hidden()
			}
			if set.Numbers != nil || len(set.Add)+len(set.Drop) > 0 || set.Customer != nil || set.Profile != nil || set.Timezone != nil || set.Language != nil || set.Note != nil {
				return nil, console.Forbidden("of a line of yours you may change mode and notify: ask who runs this telephone system for the rest")
			}
		}
		e, err := g.desk.SetLine(ctx, set)
		if err != nil {
			return nil, err
		}
		a.quiet = e.Change == console.LineUnchanged
		a.entry.Change, a.entry.Detail = e.ID, settingsOf(&set)
		if a.scope != nil {
			out := *e
			out.Warnings = nil // of other lines
			return &out, nil
		}
		return e, nil
	})
}

// settingsOf names what of a line was said; what is a number of somebody is not in it.
func settingsOf(s *console.LineSet) string {
	text := ""
	for _, f := range [...]struct {
		name string
		said bool
	}{
		{"numbers", s.Numbers != nil || len(s.Add)+len(s.Drop) > 0},
		{"customer", s.Customer != nil},
		{"profile", s.Profile != nil},
		{"mode", s.Mode != nil},
		{"timezone", s.Timezone != nil},
		{"language", s.Language != nil},
		{"notify", s.Notify != nil},
		{"note", s.Note != nil},
	} {
		if f.said {
			text += " " + f.name
			if f.name == "mode" {
				text += " " + *s.Mode
			}
		}
	}
	if text == "" {
		return ""
	}
	return text[1:]
}

func (g *guard) AddLines(ctx context.Context, add []console.LineSet) ([]console.LineEdit, error) {
	return change(g, ctx, "AddLines", first(add, func(l console.LineSet) string { return l.Name }), func(a *asked) ([]console.LineEdit, error) {
		e, err := g.desk.AddLines(ctx, add)
		a.entry.Change, a.entry.Detail = lastChange(e), plenty(len(add), "line")
		return e, err
	})
}

func (g *guard) RemoveLines(ctx context.Context, names []string) ([]console.LineEdit, error) {
	return change(g, ctx, "RemoveLines", first(names, func(n string) string { return n }), func(a *asked) ([]console.LineEdit, error) {
		e, err := g.desk.RemoveLines(ctx, names)
		a.entry.Change, a.entry.Detail = lastChange(e), plenty(len(names), "line")
		return e, err
	})
}

// first names what an edit of several was about.
func first[T any](all []T, name func(T) string) string {
	switch len(all) {
	case 0:
		return ""
	case 1:
		return name(all[0])
	}
	return fmt.Sprintf("%s and %d more", name(all[0]), len(all)-1)
}

func lastChange(edits []console.LineEdit) (id uint64) {
	for i := range edits {
		id = max(id, edits[i].ID)
	}
	return id
}

func (g *guard) ImportLines(ctx context.Context, q console.LineImport, file io.Reader) (*console.LineReport, error) {
	return change(g, ctx, "ImportLines", q.File, func(a *asked) (*console.LineReport, error) {
		r, err := g.desk.ImportLines(ctx, q, file)
		if err == nil {
			a.quiet = q.DryRun
			a.entry.Change, a.entry.Detail = r.Change, fmt.Sprintf("%d added, %d updated, %d removed, %d refused", r.Added, r.Updated, r.Removed, r.Refused)
		}
		return r, err
	})
}

func (g *guard) LineHistory(ctx context.Context, name string, yield func(console.LineHistory) error) error {
	return each(g, ctx, "LineHistory", func(*asked) error { return g.desk.LineHistory(ctx, name, yield) })
}
