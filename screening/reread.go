package screening

import (
	"context"
	"errors"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/storage"
)

// ReadAgain reads the numbers of who is known and of who passed a challenge as a plan reads them now, and says how many became
// another number. They are kept and known under the new one from then on. What was kept under the old one stays until it is
// too old: no call has that number, and where the reading turns out wrong, or the older program comes back, nothing is lost.
func (k *Keeper) ReadAgain(ctx context.Context, plan *number.Plan) (moved int, err error) {
	for _, t := range []storage.StampTable{storage.Known, storage.Passed} {
		n, err := k.readTable(ctx, t, plan)
		if moved += n; err != nil && !errors.Is(err, storage.ErrCorrupt) { // which was said when it was read first
			return moved, err
		}
	}
	return moved, nil
}

// readTable is ReadAgain of one table, some facts at a time: other writes come in between.
func (k *Keeper) readTable(ctx context.Context, t storage.StampTable, plan *number.Plan) (moved int, err error) {
	const batch = 2000
	put := make(map[string]time.Time)
	write := func() error {
		k.writing.Lock()
		defer k.writing.Unlock()
		stamps := make([]storage.Stamp, 0, len(put))
		for key, at := range put {
			if k.last(t, key).Before(at) { // else the number has called since, or this was read again before
				stamps = append(stamps, storage.Stamp{Key: key, At: at})
			}
		}
		if err := k.db.PutStamps(t, stamps, nil); err != nil {
			return err
		}
		for _, s := range stamps {
			line, caller, _ := strings.Cut(s.Key, "\x00")
			if t == storage.Known {
				k.memory.Known.Remember(line, caller, s.At)
			} else {
				k.memory.Challenges.Remember(line, caller, s.At)
			}
		}
		moved += len(stamps)
		clear(put)
		return nil
	}
	err = k.db.EachStamp(t, func(s storage.Stamp) error {
		if to := keyAgain(plan, s.Key); to != s.Key && s.At.After(put[to]) {
			put[to] = s.At
		}
		if len(put) < batch {
			return ctx.Err()
		}
		return write()
	})
	if err != nil && !errors.Is(err, storage.ErrCorrupt) {
		return moved, err
	}
	return moved, errors.Join(err, write())
}

// last is when the memory says a fact was last so, zero for never.
func (k *Keeper) last(t storage.StampTable, key string) (at time.Time) {
	line, caller, _ := strings.Cut(key, "\x00")
	if t == storage.Known {
		at, _ = k.memory.Known.To(caller, []string{line}, time.Time{})
	} else {
		at, _ = k.memory.Challenges.Of(line, "", caller, k.now())
	}
	return at
}

// keyAgain is the key of a fact as it would be kept now. The caller stands behind the NUL; before it stands a line, or a called
// number that belongs to none.
func keyAgain(plan *number.Plan, key string) string {
	line, caller, ok := strings.Cut(key, "\x00")
	if !ok {
		return key
	}
	again := func(text string) string {
		if n := plan.ParseInternal(text); n.E164 != "" {
			return n.E164
		}
		return text
	}
	if called, isNumber := strings.CutPrefix(line, "number "); isNumber {
		line = "number " + again(called)
	}
	return line + "\x00" + again(caller)
}
