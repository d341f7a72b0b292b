package desk

import (
	"context"
	"errors"
	"io"

	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
)

// History calls yield for each change that is kept of a pattern, the oldest first.
func (d *Desk) History(ctx context.Context, text string, yield func(console.ListHistory) error) error {
	key := text
	if p, err := d.force.Rules().Policy.Plan().Pattern(text); err == nil {
		key = p.String()
	}
	return d.db.History(key, func(c storage.PatternChange) error {
		if err := ctx.Err(); err != nil || c.IsLines() { // a line may have the name of a number
			return err
		}
		h := console.ListHistory{Change: changeOf(&c.ChangeRecord), Number: key}
		for _, side := range []struct {
			from *storage.Entry
			to   **console.ListEntry
		}{{c.Before, &h.Before}, {c.After, &h.After}} {
			if side.from != nil {
				e := listEntryOf(listName(c.List, c.Line), side.from)
				*side.to = &e
			}
		}
		return yield(h)
	})
}

// Changes calls yield for each change to a list that is kept, the oldest first; of all lists if none is named, or of lines (console.LineTable).
//
// Of an own list of a line of the database those are left out that were of an earlier line of the name, unless there is none now.
func (d *Desk) Changes(ctx context.Context, list string, yield func(console.ListChange) error) error {
	of := func(r *storage.ChangeRecord) bool {
		return list == "" || list == r.List || list == listName(r.List, r.Line)
	}
	if at, err := d.named(list)(d.force.Rules()); err == nil && at.line != "" {
		of = func(r *storage.ChangeRecord) bool { return r.List == at.table && r.Line == at.line }
	}
	return d.db.Changes(func(r storage.ChangeRecord) error {
		if err := ctx.Err(); err != nil || r.IsLines() != (list == console.LineTable) || !of(&r) {
			return err
		}
		return yield(changeOf(&r))
	})
}

func changeOf(r *storage.ChangeRecord) console.ListChange {
	return console.ListChange{
		ID: r.ID, Time: r.Time, Who: r.Who, From: r.From, Kind: r.Kind, List: listName(r.List, r.Line), Source: r.Source,
		Added: r.Added, Updated: r.Updated, Removed: r.Removed, Joined: r.Joined, Undoes: r.Undoes, Undone: r.Undone, Skipped: r.Skipped,
		Node: r.Node, Made: r.Made,
	}
}

// Undo makes a change undone, as a whole, be it of a list or of lines.
func (d *Desk) Undo(ctx context.Context, id uint64) (*console.ListChange, error) {
	r, err := d.db.ChangeOf(id)
	switch {
	case err != nil:
	case r.IsLines():
		r, err = d.undoLines(ctx, id)
	default:
		r, err = d.db.Undo(id, byOf(ctx), func(do func() (storage.ChangeRecord, error)) error {
			return d.commitIf(func() error { return d.ownRoomToUndo(id) }, do)
		})
	}
	switch {
	case errors.Is(err, storage.ErrNoChange):
		return nil, console.NotFound(err.Error())
	case err != nil:
		return nil, refused(err)
	}
	c := changeOf(&r)
	return &c, nil
}

func byOf(ctx context.Context) storage.By {
	by := console.ByOf(ctx)
	return storage.By{Who: number.InertUpTo(by.Who, maxName), From: number.InertUpTo(by.From, maxName)}
}

// Backup writes a consistent copy of the database to w.
func (d *Desk) Backup(ctx context.Context, w io.Writer) error {
	return d.db.BackupTo(contextWriter{ctx, w})
}

// Verify reads all of the database and says what is wrong with it.
func (d *Desk) Verify(context.Context) (*console.VerifyReport, error) {
	r, err := d.db.Verify()
	return (*console.VerifyReport)(r), err
}

// contextWriter ends when its context does.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}
