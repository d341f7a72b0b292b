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
// another number. They are kept and known under the new one from then on.
//
// Acquaintances stay under the old one as well, until they are too old: no call has that number, and where the reading turns out
// wrong, or the older program comes back, nothing is lost. Passes do not: what a report ended must not be read again.
func (k *Keeper) ReadAgain(ctx context.Context, plan *number.Plan) (moved int, err error) {
	for _, t := range []storage.StampTable{storage.Known, storage.Passed} {
		n, err := k.readTable(ctx, t, plan)
		if moved += n; err != nil && !errors.Is(err, storage.ErrCorrupt) { // which was said when it was read first
			return moved, err
		}
	}
	return moved, nil
}

// readTable is ReadAgain of one table, some facts at a time. Other writes of acquaintances come in between; nobody is forgotten
// meanwhile, see desk.ReadAgain.
func (k *Keeper) readTable(ctx context.Context, t storage.StampTable, plan *number.Plan) (moved int, err error) {
	const batch = 2000
	put := make(map[string]time.Time)
	var drop []string
	write := func() error {
		stamps := make([]storage.Stamp, 0, len(put))
		for key, at := range put {
			if k.last(t, key).Before(at) { // else the number has called since, or this was read again before
				stamps = append(stamps, storage.Stamp{Key: key, At: at})
			}
		}
		if err := k.db.PutStamps(t, stamps, drop); err != nil {
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
		moved, drop = moved+len(stamps), drop[:0]
		clear(put)
		return nil
	}
	if t == storage.Passed { // a pass that is ended meanwhile would come back
		k.writing.Lock()
		defer k.writing.Unlock()
	} else {
		unlocked := write
		write = func() error {
			k.writing.Lock()
			defer k.writing.Unlock()
			return unlocked()
		}
	}
	err = k.db.EachStamp(t, func(s storage.Stamp) error {
		to, ok := k.keyAgain(plan, s.Key)
		if ok && to != s.Key && s.At.After(put[to]) {
			put[to] = s.At
		}
		if ok && to != s.Key && t == storage.Passed {
			drop = append(drop, s.Key)
		}
		if len(put)+len(drop) < batch {
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

// keyAgain is the key of a fact as it would be kept now, under the caller's name where numbers are hidden. The caller stands behind the NUL;
// before it stands a line, or a called number that belongs to none. It is false for what cannot be read.
func (k *Keeper) keyAgain(plan *number.Plan, key string) (string, bool) {
	line, caller, ok := strings.Cut(key, "\x00")
	if !ok || strings.HasPrefix(caller, storage.PrivateMark) {
		return key, false
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
	if to := line + "\x00" + again(caller); to == key {
		return key, true // HideFacts sees to it
	}
	return line + "\x00" + k.memory.Name(again(caller)), true
}
