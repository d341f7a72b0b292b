package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
)

// The audit has no numbers of callers: what an edit was of is in the history of lists and lines, by the change that the entry names, and is
// forgotten and hidden there.

const maxDetail = 500 // characters of an entry

// Note writes an entry of the audit of who comes by a way that no console.Desk knows of, as a sign-in. Its ID and Time are set here.
func (b *Book) Note(ctx context.Context, e console.AuditEntry) {
	s := storage.AuditEntry{Who: e.Who, Way: e.Way, Address: e.Address, What: e.What, Subject: e.Subject, Detail: e.Detail, Change: e.Change, Failed: e.Failed}
	if e.Failed != "" {
		b.failure(s)
		return
	}
	b.note(s)
}

// Edits is another number after each change that somebody made, of whatever: what was found out before may not be so any more.
func (b *Book) Edits() uint64 { return b.edits.Load() }

// entryOf is an entry about what somebody does.
func entryOf(w *console.Who) storage.AuditEntry {
	if w == nil {
		return storage.AuditEntry{}
	}
	return storage.AuditEntry{Who: w.Name, Way: w.Way, Address: w.Address}
}

func (b *Book) note(e storage.AuditEntry) {
	for _, text := range [...]*string{&e.Who, &e.Subject, &e.Failed} {
		*text = number.InertUpTo(*text, 200)
	}
	e.Detail = number.InertUpTo(e.Detail, maxDetail)
	e.Time = b.o.Now()
	// A file that was opened for reading only takes no entry: nothing was changed in it, and a copy that its owner makes of it could as well be cp's.
	if err := b.o.DB.PutAccess(nil, e); err != nil && !errors.Is(err, storage.ErrReadOnly) {
		b.Unwritten.Add(1)
		b.o.Log.Error("what somebody did could not be written to the audit", "who", e.Who, "what", e.What, "subject", e.Subject, "change", e.Change, "error", err)
	}
}

// failure notes what was tried in vain, as far as there is room for what comes from there.
func (b *Book) failure(e storage.AuditEntry) {
	from, _ := network(cmp.Or(e.Address, e.Who))
	room, gone := b.failures.take(from, b.o.Now())
	b.noteLeftOut(gone)
	if !room {
		b.Skipped.Add(1)
		return
	}
	b.note(e)
}

// noteLeftOut says in the audit what of an hour it has not.
func (b *Book) noteLeftOut(gone *leftOut) {
	if gone == nil {
		return
	}
	b.note(storage.AuditEntry{
		What: "audit skip", Failed: "too many",
		Detail: fmt.Sprintf("%d refused tries since %s, of %s, are left out here; %d of them came from %s", gone.tries, gone.since.UTC().Format("2006-01-02 15:04 MST"), plentyOf(gone.addresses, "address", "addresses"), gone.most, gone.loudest),
	})
}

// Audit calls yield for each thing that somebody changed or tried to, the newest first.
func (b *Book) Audit(ctx context.Context, q console.AuditQuery, yield func(console.AuditEntry) error) error {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	who := fold(q.Who)
	err := b.o.DB.Audit(storage.AuditQuery{Since: q.Since, Until: q.Until, Cursor: q.Cursor}, func(e storage.AuditEntry) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case who != "" && fold(e.Who) != who, !strings.HasPrefix(e.What, q.What):
			return nil
		}
		err := yield(console.AuditEntry{
			ID: e.ID, Time: e.Time, Who: e.Who, Way: e.Way, Address: e.Address, What: e.What, Subject: e.Subject, Detail: e.Detail, Change: e.Change, Failed: e.Failed,
		})
		if limit--; err == nil && limit == 0 {
			return errEnough
		}
		return err
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case errors.Is(err, storage.ErrInvalid):
		return console.Bad(err.Error())
	}
	return err
}

// errEnough ends a read.
var errEnough = errors.New("enough")
