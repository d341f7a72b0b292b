package traffic

import (
	"time"

	"ringfence/policy"
)

// keepAtLeast is how long facts are kept of which no rule asks: long enough for a rule that is yet to be written.
const keepAtLeast = 30 * 24 * time.Hour

// KeepKnown is how long callers are known: as long as a rule may ask, and 30 days at least.
func KeepKnown(p *policy.Policy) time.Duration {
	return min(max(p.KnownWindow(), keepAtLeast), policy.MaxKnown)
}

// KeepPassed is how long it is kept who passed a challenge, by the same measure.
func KeepPassed(p *policy.Policy) time.Duration { return max(p.RememberWindow(), keepAtLeast) }

// Meeting says that a number was known to a line, by its key, at a moment. Number is under what it is known, see Memory.Name.
type Meeting struct {
	Line, Number string
	At           time.Time
}

// Met is what became of a Meeting that somebody told of.
type Met uint8

const (
	Unchanged Met = iota // it was known by as much already
	Added                // it was not known to the line
	Newer                // it was, by something older
	NoRoom               // the table is full
)

// Look says what would become of a meeting. room is how many pairs there is room for; it is one less where this takes one.
func (k *Known) Look(m *Meeting, room *int) Met {
	at, _ := k.To(m.Number, []string{m.Line}, time.Time{})
	switch {
	case at.IsZero() && *room <= 0:
		return NoRoom
	case at.IsZero():
		*room--
		return Added
	case at.UnixMilli() < m.At.UnixMilli():
		return Newer
	}
	return Unchanged
}

// Room is how many pairs there is room for.
func (k *Known) Room() int { return max(0, int(k.most-k.pairs.Load())) }

// Refuse counts a pair that found no room, and has the sink make some.
func (k *Known) Refuse() {
	k.full.Add(1)
	k.sink.NoRoom(KnownFacts)
}
