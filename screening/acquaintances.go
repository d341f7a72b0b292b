package screening

import (
	"context"
	"strings"

	"ringfence/storage"
	"ringfence/traffic"
)

// Acquaintances are whom the lines deal with, as people look at them and change them: in the memory and on disk at once.
type Acquaintances struct {
	DB     *storage.DB
	Memory *traffic.Memory
	Keeper *Keeper      // of the running daemon; nil where a command works on the files
	Load   func() error // has the memory know what is on disk; nil: it does
}

// Settle has what calls have taught be on disk.
func (a *Acquaintances) Settle() error {
	if a.Keeper == nil {
		return nil
	}
	return a.Keeper.write()
}

// meetBatch is how many facts one transaction writes.
const meetBatch = 5000

// Meet makes numbers known as they say, and says what became of each; with dry it only says. When it returns without an error all of it is
// on disk and known. After an error those at the beginning may be: to do it again does no harm.
func (a *Acquaintances) Meet(ctx context.Context, meetings []traffic.Meeting, dry bool) ([]traffic.Met, error) {
	if a.Load != nil {
		if err := a.Load(); err != nil {
			return nil, err
		}
	}
	met := make([]traffic.Met, len(meetings))
	if dry {
		room := a.Memory.Known.Room()
		for i := range meetings {
			met[i] = a.Memory.Known.Look(&meetings[i], &room)
		}
		return met, ctx.Err()
	}
	for from := 0; from < len(meetings); from += meetBatch {
		to := min(from+meetBatch, len(meetings))
		if err := a.meet(meetings[from:to], met[from:to]); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return met, nil
}

// meet is Meet of a batch: to the disk first, so that what is known does not go with a crash.
func (a *Acquaintances) meet(meetings []traffic.Meeting, met []traffic.Met) error {
	if a.Keeper != nil { // nobody is forgotten in between, see Keeper.Forget
		a.Keeper.writing.Lock()
		defer a.Keeper.writing.Unlock()
	}
	known, room := a.Memory.Known, a.Memory.Known.Room()
	var put []storage.Stamp
	for i := range meetings {
		m := &meetings[i]
		switch met[i] = known.Look(m, &room); met[i] {
		case traffic.Added, traffic.Newer:
			put = append(put, storage.Stamp{Key: m.Line + "\x00" + m.Number, At: m.At})
		case traffic.NoRoom:
			known.Refuse()
		}
	}
	if err := a.DB.PutStamps(storage.Known, put, nil); err != nil {
		return err
	}
	if a.Keeper != nil {
		a.Keeper.raise(traffic.KnownFacts, put)
	}
	for i := range meetings {
		if m := &meetings[i]; met[i] == traffic.Added || met[i] == traffic.Newer {
			known.Remember(m.Line, m.Number, m.At)
		}
	}
	return nil
}

// Lines are those that a number is known to. What cannot be read is known to nobody.
func (a *Acquaintances) Lines(number string) []string {
	if a.Load != nil && a.Load() != nil {
		return nil
	}
	return a.Memory.Known.Lines(a.Memory.Name(number))
}

// Part makes a number, or who is known under a name, unknown to a line or with "" to all, in the memory and among what waits for the disk:
// nothing of before comes to the disk any more. What is there already stays there.
func (a *Acquaintances) Part(number, line string) {
	name := a.Memory.Name(number)
	if a.Keeper == nil {
		a.Memory.Known.Part(name, line)
		return
	}
	a.Keeper.writing.Lock() // what is on its way there arrives, and is met there
	defer a.Keeper.writing.Unlock()
	a.Memory.Known.Part(name, line)
	a.Keeper.drop(traffic.KnownFacts, func(key string) bool {
		return isOf(key, number, name) && (line == "" || strings.HasPrefix(key, line+"\x00"))
	})
}
