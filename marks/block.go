package marks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ringfence/number"
)

// Block is the hundred numbers around a caller: those that differ in the last two digits alone. One whose number is too short to have
// neighbours of the same holder is alone.
type Block struct {
	begin   string // of their E.164
	own     int    // the caller's place
	alone   bool
	members [100]member
}

// member is what is known of one of the numbers.
type member struct {
	calls                             Tally
	by                                map[string]bool // customers who marked them
	talked                            map[string]bool // who talked with them for longer than Long, without a warning; maxCallees of them
	listed, allowed, known, protected bool
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

// Alone reports whether the caller is alone in their block.
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
	Listed    Trait = iota // a person put it on the list of callers who are refused
	Allowed                // it is on the list of callers who are trusted
	Known                  // a line deals with it
	Protected              // the policy says that it must get through
)

// Note notes something of the number at a place.
func (b *Block) Note(i int, t Trait) {
	switch m := &b.members[i]; t {
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

// Mark notes a mark of the number at a place, by a customer, that waits or was confirmed.
func (b *Block) Mark(i int, customer string) {
	m := &b.members[i]
	if m.by == nil {
		m.by = make(map[string]bool)
	}
	m.by[customer] = true
}

// Add counts a call of the number at a place.
func (b *Block) Add(i int, c *Call) {
	m := &b.members[i]
	m.calls.Add(c)
	if c.Rang && c.Answered && c.Talk > Long && !c.Warned && len(m.talked) < maxCallees {
		if m.talked == nil {
			m.talked = make(map[string]bool)
		}
		m.talked[c.Customer] = true
	}
}

// Calls are what the caller did.
func (b *Block) Calls() *Tally { return &b.members[b.own].calls }

// Around sums up the block with so many of the last digits free, 1 or 2: all calls, how many of its numbers called, how many are marked or
// listed, and how many of these count.
func (b *Block) Around(free int) (calls Tally, callers, bad, count int) {
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
	members, _ := b.earned(free)
	return calls, callers, bad, members
}

func (m *member) bad() bool { return len(m.by) > 0 || m.listed }

// earned is how many numbers count against a range, and in how many of its tens: those that are listed, and of those that are marked one for each
// customer who did, so that nobody brings a range together alone.
func (b *Block) earned(free int) (members, tens int) {
	var counts [100]bool
	for _, i := range b.pairs(free) {
		counts[i] = true
	}
	in := map[int]bool{}
	for i := range b.members {
		if b.within(i, free) && (counts[i] || b.members[i].listed) {
			members++
			in[i/10] = true
		}
	}
	return members, len(in)
}

// pairs gives as many customers as can have a number each that they marked and that is not listed, with its place.
func (b *Block) pairs(free int) map[string]int {
	has := make(map[string]int)
	var tried map[string]bool
	var find func(i int) bool
	find = func(i int) bool { // a customer for a number, if need be one who can have another
		for _, customer := range slices.Sorted(maps.Keys(b.members[i].by)) {
			if tried[customer] {
				continue
			}
			tried[customer] = true
			if before, taken := has[customer]; !taken || find(before) {
				has[customer] = i
				return true
			}
		}
		return false
	}
	for i := range b.members {
		if m := &b.members[i]; b.within(i, free) && !m.listed && len(m.by) > 0 {
			tried = make(map[string]bool)
			find(i)
		}
	}
	return has
}

// within reports whether a place is in the part of the block around the caller that has so many digits free.
func (b *Block) within(i, free int) bool {
	return i == b.own || !b.alone && (free >= 2 || free == 1 && i/10 == b.own/10)
}

// Proposal is a range that has earned to be listed as a whole.
type Proposal struct {
	Free    int // how many of the last digits are free
	Members int // of its numbers that count: listed, or marked, one for each customer
}

// What a block must have earned.
const (
	tenMembers     = 4 // of ten
	hundredMembers = 8 // of a hundred,
	hundredTens    = 4 // in so many of its tens
)

// Propose gives the widest range around the caller that has earned it: four of ten numbers, or eight of a hundred in four tens, are listed or marked
// by different customers, and no other of them is one that somebody wants. Else why says what is in the way of one that had enough, "" if none had.
func (b *Block) Propose() (p Proposal, why string) {
	for free := 2; free > 0; free-- {
		members, tens := b.earned(free)
		if members < tenMembers || free == 2 && (members < hundredMembers || tens < hundredTens) {
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
		case i != b.own && !m.listed && m.wanted(): // of the caller a person decides
			return b.Number(i) + " talked longer than a minute, without a warning"
		}
	}
	return ""
}

// wanted reports whether somebody talked with the number for long who has not marked it.
func (m *member) wanted() bool {
	for customer := range m.talked {
		if !m.by[customer] {
			return true
		}
	}
	return false
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
