package marks

import (
	"fmt"
	"strings"

	"ringfence/number"
)

// Block is the hundred numbers around a caller: those that differ in the last two digits alone. One whose number is too short to have
// neighbours of the same holder is alone in his.
type Block struct {
	begin   string // of their E.164
	own     int    // the caller's place
	alone   bool
	members [100]member
}

// member is what is known of one of the numbers.
type member struct {
	calls                                     Tally
	marked, listed, allowed, known, protected bool
}

// leastDigits is how many digits a number has within its country at least, if those around it are to be of one holder: 95588 and 95589 are two
// banks.
const leastDigits = 7

// BlockOf is the block of a number, which has an E.164 of four digits at least; else it is false.
func BlockOf(n *number.Number) (*Block, bool) {
	if len(n.E164) < 5 {
		return nil, false
	}
	b := &Block{begin: n.E164[:len(n.E164)-2]}
	b.own, _ = b.place(n.E164)
	b.alone = len(n.E164) < leastDigits+2 || n.National() != "" && len(strings.TrimPrefix(n.National(), "0")) < leastDigits
	return b, true
}

// Alone reports whether the caller is alone in his block.
func (b *Block) Alone() bool { return b.alone }

// Places are those of the numbers that count.
func (b *Block) Places() (places []int) {
	for i := range b.members {
		if b.within(i, 2) {
			places = append(places, i)
		}
	}
	return places
}

// Number is the number at a place from 0 to 99.
func (b *Block) Number(i int) string { return fmt.Sprintf("%s%02d", b.begin, i) }

// Own is the caller's place.
func (b *Block) Own() int { return b.own }

func (b *Block) place(e164 string) (int, bool) {
	rest, ok := strings.CutPrefix(e164, b.begin)
	if !ok || len(rest) != 2 || rest[0] < '0' || rest[0] > '9' || rest[1] < '0' || rest[1] > '9' {
		return 0, false
	}
	return int(rest[0]-'0')*10 + int(rest[1]-'0'), true
}

// What may be known of a number besides its calls.
type Trait int

const (
	Marked    Trait = iota // a mark of it waits, or was confirmed
	Listed                 // it is on the list of callers who are refused
	Allowed                // it is on the list of callers who are trusted
	Known                  // a line deals with it
	Protected              // the policy says that it must get through
)

// Note notes something of the number at a place.
func (b *Block) Note(i int, t Trait) {
	switch m := &b.members[i]; t {
	case Marked:
		m.marked = true
	case Listed:
		m.listed = true
	case Allowed:
		m.allowed = true
	case Known:
		m.known = true
	case Protected:
		m.protected = true
	}
}

// Add counts a call of the number at a place.
func (b *Block) Add(i int, c *Call) { b.members[i].calls.Add(c) }

// Calls are what the caller himself did.
func (b *Block) Calls() *Tally { return &b.members[b.own].calls }

// Around sums up the block with so many of the last digits free, 1 or 2: all calls, how many of its numbers called and how many are marked or
// listed.
func (b *Block) Around(free int) (calls Tally, callers, bad int) {
	for i := range b.members {
		if !b.within(i, free) {
			continue
		}
		m := &b.members[i]
		calls.Merge(&m.calls)
		if m.bad() {
			bad++
		}
		if m.calls.Calls > 0 || m.bad() {
			callers++
		}
	}
	return calls, callers, bad
}

func (m *member) bad() bool { return m.marked || m.listed }

// within reports whether a place is in the part of the block around the caller that has so many digits free.
func (b *Block) within(i, free int) bool {
	return i == b.own || !b.alone && (free >= 2 || free == 1 && i/10 == b.own/10)
}

// Proposal is a range that has earned to be listed as a whole.
type Proposal struct {
	Free    int // how many of the last digits are free
	Members int // of its numbers that are marked or listed
}

// What a block must have earned.
const (
	tenMembers     = 4 // of ten
	hundredMembers = 8 // of a hundred,
	hundredTens    = 4 // in so many of its tens
)

// Propose gives the widest range around the caller that has earned it: four of ten numbers, or eight of a hundred in four tens, are marked or listed,
// and no other of them is one that somebody wants. Else why says what is in the way of one that had enough, "" if none had.
func (b *Block) Propose() (p Proposal, why string) {
	for free := 2; free > 0; free-- {
		members, tens := 0, map[int]bool{}
		for i := range b.members {
			if b.within(i, free) && b.members[i].bad() {
				members++
				tens[i/10] = true
			}
		}
		if members < tenMembers || free == 2 && (members < hundredMembers || len(tens) < hundredTens) {
			continue
		}
		if against := b.against(free); against != "" {
			if why == "" {
				why = against
			}
			continue
		}
		return Proposal{free, members}, ""
	}
	return Proposal{}, why
}

// against says which number must not be in a range, "" if there is none.
func (b *Block) against(free int) string {
	for i := range b.members {
		if !b.within(i, free) {
			continue
		}
		switch m := &b.members[i]; {
		case m.protected:
			return b.Number(i) + " is protected by the policy"
		case m.allowed:
			return b.Number(i) + " is on the allowlist"
		case m.known:
			return b.Number(i) + " is known to a line"
		case m.calls.Free && !m.bad():
			return b.Number(i) + " talked longer than a minute, without a warning"
		}
	}
	return ""
}

// Effect is what it would have done to the calls that rang, had a range been refused, in as much as they are known.
type Effect struct {
	Stops int `json:"stops"` // calls that rang
	Long  int `json:"long"`  // of them, those that were talked longer than a minute
}

// Refusing is the effect of refusing the caller, with so many of the last digits free.
func (b *Block) Refusing(free int) (e Effect) {
	for i := range b.members {
		if b.within(i, free) {
			t := &b.members[i].calls
			e.Stops, e.Long = e.Stops+t.Rang, e.Long+t.Long
		}
	}
	return e
}
