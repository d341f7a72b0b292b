package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"ringfence/console"
	"ringfence/storage"
)

// stateOf is the state of a list as console.ListTag has it, "" if there is no such list. That of a line's own list is made of its entries: the stamp of the
// table would tell one customer that another edits his.
func (d *Desk) stateOf(at *place) (string, error) {
	if at.line == "" {
		infos, err := d.db.Lists()
		if err != nil {
			return "", err
		}
		for i := range infos {
			if infos[i].Name == at.table {
				// The time as well: an older version changes a list without leaving a stamp.
				return tagOf([]byte(infos[i].Stamp + infos[i].Changed.UTC().String())), nil
			}
		}
		return "", nil
	}
	sum := sha256.New()
	enc := json.NewEncoder(sum)
	found := false
	err := d.db.LineEntries(at.table, at.line, true, func(es []storage.Entry) error {
		for _, e := range es {
			found = true
			if err := enc.Encode([]any{e.Pattern, e.Reason, e.Origin, e.Source, e.Who, e.Added, e.Updated, e.Expires}); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, storage.ErrNoList), err == nil && !found: // nothing was ever on it, or is any more
		return tagOf([]byte("empty")), nil
	case err != nil:
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// tagOf is a text that may be shown.
func tagOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// isStill refuses an edit of a list that is not in the state that the edit was made for. d.edit is held.
func (d *Desk) isStill(ctx context.Context, at *place) error {
	tag := console.ListTagOf(ctx)
	if tag == nil || tag.Match == nil {
		return nil
	}
	now, err := d.stateOf(at)
	if err == nil && !tag.Allows(now) {
		err = console.Changed(fmt.Sprintf("the list %s was changed since it was looked at: nothing was done; read it again, and decide anew", at.name))
	}
	return err
}

// noteState says in which state an edit has left a list, to who wants to know. What cannot be read leaves no state: the edit is on disk.
func (d *Desk) noteState(ctx context.Context, at *place) {
	if tag := console.ListTagOf(ctx); tag != nil {
		tag.Now, _ = d.stateOf(at)
	}
}
