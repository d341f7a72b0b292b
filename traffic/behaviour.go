package traffic

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// Bounds of what is remembered of callers' behaviour.
const (
	maxBehaviour = 100_000 // callers, up to 300 bytes each
	maxCallees   = 32      // called numbers of one caller that are told apart

	// The last day is seen in sub-windows: what is told of it is of 20 to 24 hours.
	subWindow  = 4 * time.Hour
	subWindows = 6

	shortTalk = 6 * time.Second // a call that was answered and over within it is short
	longTalk  = time.Minute     // a talk
)

// Behaviour is how callers have behaved within the last day, over all lines and whatever became of their calls: what the score of a
// policy adds up. It is noted only where a policy has a score.
//
// It is two halves, as Again is: callers who make up a number for each call push out each other before one who calls again.
type Behaviour struct {
	most int // callers in both halves

	mu         sync.Mutex
	newer, old map[string]*behaviour
	seed       uint64
	lost       uint64
}

// behaviour is that of one caller.
type behaviour struct {
	at         int64 // the newest sub-window, counted from 1970
	calls      [subWindows]uint16
	short      [subWindows]uint16
	unanswered [subWindows]uint16
	talks      [subWindows]uint16
	callees    []seenCallee

	last   int64 // the last call, in milliseconds since 1970
	callee uint64
}

// seenCallee is a called number, by its hash.
type seenCallee struct {
	hash  uint64
	at    uint32 // the sub-window of the last call to it
	decoy bool   // nobody has it
}

// NewBehaviour makes an empty one for so many callers.
func NewBehaviour(most int) *Behaviour {
	return &Behaviour{most: most, seed: maphash.String(maphash.MakeSeed(), "callees")}
}

// CountedCaller is the number that a caller is counted by, here and by detectors: the one that a text holds, where the text is no number
// itself. "" is nobody who can be counted.
func CountedCaller(n *number.Number) string {
	if n.E164 != "" || n.Kinds.Has(number.Internal) {
		return n.E164
	}
	for _, held := range n.Held() {
		if held.E164 != "" {
			return held.E164
		}
	}
	return ""
}

// Note remembers a call. The same caller and callee within policy.SameCall is one call.
func (b *Behaviour) Note(caller, callee string, decoy bool, at time.Time) {
	if caller == "" {
		return
	}
	to, ms := b.hash(callee), at.UnixMilli()
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.of(caller)
	if x.same(to, ms) {
		return
	}
	if x == nil {
		x = &behaviour{}
	}
	x.turn(windowOf(ms))
	x.calls[x.at%subWindows] = more(x.calls[x.at%subWindows])
	x.see(to, decoy)
	x.last, x.callee = max(x.last, ms), to
	b.put(caller, x)
}

// Ended remembers what became of a call that was noted. rang: a phone rang, or it was answered there; talk is how long people talked, 0 where
// nobody answered. What was stopped is not told of.
func (b *Behaviour) Ended(caller string, rang, answered bool, talk time.Duration, at time.Time) {
	if caller == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.of(caller)
	if x == nil {
		return // pushed out, or noted before a start that did not find it again
	}
	x.turn(windowOf(at.UnixMilli()))
	slot := x.at % subWindows
	switch {
	case answered && talk <= shortTalk:
		x.short[slot] = more(x.short[slot])
	case answered && talk >= longTalk:
		x.talks[slot] = more(x.talks[slot])
	case !answered && rang:
		x.unanswered[slot] = more(x.unanswered[slot])
	}
}

// Of is what a caller's behaviour is, with a call that comes in now, be it noted already or not. Marks are not in it.
func (b *Behaviour) Of(caller, callee string, decoy bool, at time.Time) (e policy.Evidence) {
	if caller == "" {
		return e
	}
	to, ms := b.hash(callee), at.UnixMilli()
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.of(caller)
	if x == nil {
		e.Calls, e.Callees = 1, 1
		if decoy {
			e.Decoys = 1
		}
		return e
	}
	oldest := max(windowOf(ms), x.at) - subWindows + 1
	e = x.evidence(oldest)
	if !x.same(to, ms) {
		e.Calls++
	}
	seen := slices.ContainsFunc(x.callees, func(c seenCallee) bool { return c.hash == to && int64(c.at) >= oldest })
	if !seen && e.Callees < maxCallees {
		if e.Callees++; decoy {
			e.Decoys++
		}
	}
	return e
}

// last is what a caller's behaviour was with their last call, and when that was; false where nothing is remembered.
func (b *Behaviour) last(caller string) (e policy.Evidence, at time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.of(caller)
	if x == nil {
		return e, at, false
	}
	return x.evidence(x.at - subWindows + 1), moment(x.last), true
}

func windowOf(ms int64) int64 { return max(ms, 0) / subWindow.Milliseconds() }

// more is one more, as far as that goes.
func more(n uint16) uint16 {
	if n == 1<<16-1 {
		return n
	}
	return n + 1
}

// hash tells called numbers apart, in this program and in what it wrote: FNV-1a from a start of its own.
func (b *Behaviour) hash(callee string) uint64 {
	h := b.seed
	for i := 0; i < len(callee); i++ {
		h = (h ^ uint64(callee[i])) * 1099511628211
	}
	return h
}

// of is what is remembered of a caller, nil for nothing. b is locked.
func (b *Behaviour) of(caller string) *behaviour {
	if x, ok := b.newer[caller]; ok {
		return x
	}
	return b.old[caller]
}

// put has a caller among the newer ones. b is locked.
func (b *Behaviour) put(caller string, x *behaviour) {
	if b.newer == nil {
		b.newer = make(map[string]*behaviour)
	}
	if _, there := b.newer[caller]; there {
		return
	}
	delete(b.old, caller)
	if len(b.newer) >= b.most/2 {
		for _, gone := range b.old {
			if gone.at+subWindows > x.at {
				b.lost++
			}
		}
		b.old, b.newer = b.newer, make(map[string]*behaviour)
	}
	b.newer[string(append([]byte(nil), caller...))] = x // not a part of a larger text
}

// evidence is what was from a sub-window on.
func (x *behaviour) evidence(oldest int64) (e policy.Evidence) {
	for w := max(oldest, x.at-subWindows+1, 0); w <= x.at; w++ {
		slot := w % subWindows
		e.Calls += int(x.calls[slot])
		e.Short += int(x.short[slot])
		e.Unanswered += int(x.unanswered[slot])
		e.Talks += int(x.talks[slot])
	}
	for _, c := range x.callees {
		if int64(c.at) < oldest {
			continue
		}
		if e.Callees++; c.decoy {
			e.Decoys++
		}
	}
	return e
}

// same: a call at that time to that callee is the one that was noted last.
func (x *behaviour) same(callee uint64, ms int64) bool {
	span := policy.SameCall.Milliseconds()
	return x != nil && x.last != 0 && callee == x.callee && ms-x.last < span && x.last-ms < span
}

// turn brings a caller to a sub-window; an earlier one counts as the newest.
func (x *behaviour) turn(window int64) {
	for gone := max(x.at, window-subWindows); gone < window; {
		gone++
		slot := gone % subWindows
		x.calls[slot], x.short[slot], x.unanswered[slot], x.talks[slot] = 0, 0, 0, 0
	}
	x.at = max(x.at, window)
}

// see notes a called number. Where there is no room, one of more than a day ago gives way, or it is not told from the others.
func (x *behaviour) see(callee uint64, decoy bool) {
	room := -1
	for i := range x.callees {
		switch c := &x.callees[i]; {
		case c.hash == callee:
			c.at, c.decoy = uint32(x.at), decoy
			return
		case int64(c.at) <= x.at-subWindows:
			room = i
		}
	}
	c := seenCallee{hash: callee, at: uint32(x.at), decoy: decoy}
	switch {
	case room >= 0:
		x.callees[room] = c
	case len(x.callees) < maxCallees:
		x.callees = append(x.callees, c)
	}
}

// Forget drops callers who have not called since a moment.
func (b *Behaviour) Forget(before time.Time) {
	ms := before.UnixMilli()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, half := range []map[string]*behaviour{b.newer, b.old} {
		for caller, x := range half {
			if x.last < ms {
				delete(half, caller)
			}
		}
	}
}

// forgetNumber drops a caller, and says whether there was something.
func (b *Behaviour) forgetNumber(caller string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of(caller) != nil {
		n = 1
	}
	delete(b.newer, caller)
	delete(b.old, caller)
	return n
}

// Len is of how many callers something is remembered.
func (b *Behaviour) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.newer) + len(b.old)
}

// Lost is how many were forgotten within their day, for want of room.
func (b *Behaviour) Lost() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}
