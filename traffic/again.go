package traffic

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// maxAgain bounds how many pairs of a called line and a caller are remembered.
const maxAgain = 100_000

// Again is who called which line last, whatever became of the calls. It is kept until the next start.
//
// It is two halves: when the newer is full it becomes the older one, and what was older and nobody called since is forgotten. So
// callers who make up a number for each call push out each other before one who calls again and again.
type Again struct {
	most int // pairs in both halves

	mu         sync.Mutex
	newer, old map[pair]called
	seed       maphash.Seed
	lost       uint64
}

// called are a caller's last two calls to a line, in milliseconds since 1970; 0 is none.
type called struct {
	last, before int64
	callee       uint64 // of the last one
}

// NewAgain makes an empty one for so many pairs of a line and a caller.
func NewAgain(most int) *Again { return &Again{most: most, seed: maphash.MakeSeed()} }

// Note remembers a call and gives when its caller called that line last before it, zero for never, as Last does. Without a
// caller's number nothing is remembered. line is a PassKey, callee tells numbers apart that are called.
func (a *Again) Note(line, callee, caller string, at time.Time) time.Time {
	if caller == "" {
		return time.Time{}
	}
	key, to, ms := pair{line, caller}, maphash.String(a.seed, callee), at.UnixMilli()
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.of(key)
	was := c.previous(to, ms)
	switch {
	case c.same(to, ms):
	case ms >= c.last:
		c = called{last: ms, before: c.last, callee: to}
	default: // one that is told of later
		c.before = max(c.before, ms)
	}
	if a.newer == nil {
		a.newer = make(map[pair]called)
	}
	if _, there := a.newer[key]; !there {
		if len(a.newer) >= a.most/2 {
			a.turn(ms)
		}
		key.line = strings.Clone(key.line) // it may be a part of the text of all lines
	}
	a.newer[key] = c
	delete(a.old, key)
	return moment(was)
}

// Last is when a caller called a line last before the call that comes in at that time, which may have been noted already.
func (a *Again) Last(line, callee, caller string, at time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.of(pair{line, caller})
	return moment(c.previous(maphash.String(a.seed, callee), at.UnixMilli()))
}

func (a *Again) of(key pair) called {
	if c, ok := a.newer[key]; ok {
		return c
	}
	return a.old[key]
}

// same: a call at that time to that callee is the one that was noted last.
func (c *called) same(callee uint64, ms int64) bool {
	span := policy.SameCall.Milliseconds()
	return c.last != 0 && callee == c.callee && ms-c.last < span && c.last-ms < span
}

// previous is the last call before one at that time, in milliseconds since 1970.
func (c *called) previous(callee uint64, ms int64) int64 {
	switch {
	case c.same(callee, ms), ms < c.last:
		if c.before <= ms {
			return c.before
		}
		return 0
	}
	return c.last
}

// turn makes room, and counts what is forgotten by it before its time.
func (a *Again) turn(ms int64) {
	oldest := ms - policy.MaxAgain.Milliseconds()
	for _, c := range a.old {
		if c.last > oldest {
			a.lost++
		}
	}
	a.old, a.newer = a.newer, make(map[pair]called)
}

// Forget drops calls of before a moment.
func (a *Again) Forget(before time.Time) {
	ms := before.UnixMilli()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, half := range []map[pair]called{a.newer, a.old} {
		for key, c := range half {
			if c.last < ms {
				delete(half, key)
			}
		}
	}
}

// forgetNumber drops a number, and says of how many lines.
func (a *Again) forgetNumber(e164 string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, half := range []map[pair]called{a.newer, a.old} {
		for key := range half {
			if key.number == e164 {
				delete(half, key)
				n++
			}
		}
	}
	return n
}

// Len is how many pairs of a line and a caller are remembered.
func (a *Again) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.newer) + len(a.old)
}

// Lost is how many were forgotten before their time, for want of room.
func (a *Again) Lost() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}

// Called notes a call by what a policy reads of it, and tells the call when its caller called the line last. Where no rule asks,
// nothing is noted.
func (a *Again) Called(p *policy.Policy, c *policy.Call) {
	if p.AgainWindow() > 0 {
		c.CalledBefore = a.Note(PassKey(p, &c.Callee), calleeText(&c.Callee), c.Caller.E164, c.Time)
	}
}

// recall is Called without the noting.
func (a *Again) recall(p *policy.Policy, c *policy.Call) {
	if p.AgainWindow() > 0 && c.Caller.E164 != "" {
		c.CalledBefore = a.Last(PassKey(p, &c.Callee), calleeText(&c.Callee), c.Caller.E164, c.Time)
	}
}

// calleeText is a called number, to be told from others.
func calleeText(n *number.Number) string { return Cut(NumberKey(n)) }
