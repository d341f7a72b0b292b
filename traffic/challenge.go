package traffic

import (
	"container/list"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what is remembered from challenges. A dialler who hangs up on them can fill the table of tries, and so it is
// one of its own: the oldest try goes for a new one, and nobody is asked again for it who has passed.
const (
	maxPasses = 100_000
	maxTries  = 100_000
)

// graceEvery is how seldom the same caller is let through for having keyed nothing, on calls to the same number.
const graceEvery = 24 * time.Hour

// Challenges remembers callers who were asked for digits: on which line they passed, and on calls to which number they
// heard a whole prompt without keying in a wrong one. Callers without a number are not in it.
type Challenges struct {
	sink Sink
	some atomic.Bool // somebody was asked since the start, or passed before: else calls need no lock

	mu     sync.Mutex
	passes moments // by PassKey and caller
	tries  moments // by OwnKey and caller
}

// Asked is a call that was challenged.
type Asked struct {
	Line, Callee string // PassKey and OwnKey
	Caller       string // Memory.Name of the E.164 number, "" for none
	At           time.Time
}

func newChallenges(sink Sink) *Challenges { return &Challenges{sink: sink} }

// moments are times by two names, the oldest first.
type moments struct {
	of    map[pair]*list.Element
	order list.List // of *met
	full  uint64    // times that the oldest gave way
}

// met is one of them.
type met struct {
	key    pair
	at     time.Time // zero once the grace was taken
	graced time.Time // when that was; zero is long ago
}

func (m *moments) get(key pair) *met {
	if e := m.of[key]; e != nil {
		return e.Value.(*met)
	}
	return nil
}

// put makes an entry the newest, and makes room for it.
func (m *moments) put(key pair, most int) *met {
	if e := m.of[key]; e != nil {
		m.order.MoveToBack(e)
		return e.Value.(*met)
	}
	if m.of == nil {
		m.of = make(map[pair]*list.Element)
	}
	if len(m.of) >= most {
		m.drop(m.order.Front())
		m.full++
	}
	x := &met{key: pair{strings.Clone(key.line), strings.Clone(key.number)}}
	m.of[x.key] = m.order.PushBack(x)
	return x
}

func (m *moments) drop(e *list.Element) {
	if e != nil {
		delete(m.of, e.Value.(*met).key)
		m.order.Remove(e)
	}
}

// dropIf drops those that a function names.
func (m *moments) dropIf(old func(*met) bool) {
	for e := m.order.Front(); e != nil; {
		next := e.Next()
		if old(e.Value.(*met)) {
			m.drop(e)
		}
		e = next
	}
}

// Of is what is known of a caller on calls to a line and a number: when they last passed, and when they last tried in a way
// that lets them through, zero where that never was or does not count.
func (c *Challenges) Of(line, callee, e164 string, now time.Time) (passed, tried time.Time) {
	if e164 == "" {
		return passed, tried
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.passes.get(pair{line, e164}); x != nil {
		passed = x.at
	}
	if x := c.tries.get(pair{callee, e164}); x != nil && now.Sub(x.graced) >= graceEvery {
		tried = x.at
	}
	return passed, tried
}

// Passed remembers a caller who keyed in the right digits, and tells the sink.
func (c *Challenges) Passed(a Asked) {
	if a.Caller == "" {
		return
	}
	c.Remember(a.Line, a.Caller, a.At)
	c.mu.Lock()
	c.tries.drop(c.tries.of[pair{a.Callee, a.Caller}])
	c.mu.Unlock()
	c.sink.Keep(PassedFacts, a.Line+"\x00"+a.Caller, a.At.UnixMilli())
}

// Remember notes a pass that the sink, or another node, has kept. A later one counts; it is false if that is known already.
func (c *Challenges) Remember(line, e164 string, at time.Time) bool {
	c.some.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.passes.get(pair{line, e164}); x != nil && !x.at.Before(at) {
		return false
	}
	c.passes.put(pair{line, e164}, maxPasses).at = at
	return true
}

// HasRoomForOthers reports whether a pass may be remembered of which another node tells: a quarter of the room is left to who passes here, and nobody gives way
// to what others say.
func (c *Challenges) HasRoomForOthers(line, e164 string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.passes.of) < maxPasses-maxPasses/4 || c.passes.get(pair{line, e164}) != nil
}

// KeyedNothing remembers a caller who heard a whole prompt and pressed no key.
func (c *Challenges) KeyedNothing(a Asked) {
	if a.Caller == "" {
		return
	}
	c.some.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries.put(pair{a.Callee, a.Caller}, maxTries).at = a.At
}

// Failed ends the grace of an earlier try: the caller keyed in wrong digits or hung up before they had heard what they are
// asked. Neither is a person who cannot press keys.
func (c *Challenges) Failed(a Asked) {
	if a.Caller == "" {
		return
	}
	c.some.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.tries.get(pair{a.Callee, a.Caller}); x != nil {
		x.at = time.Time{}
	}
}

// TakeGrace uses up the grace that a decision was made by. It is false if another call of the same caller has
// just used it.
func (c *Challenges) TakeGrace(callee, e164 string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.tries.get(pair{callee, e164})
	if x == nil || x.at.IsZero() || now.Sub(x.graced) < graceEvery {
		return false
	}
	x.at, x.graced = time.Time{}, now
	return true
}

// Forget drops what counts no more.
func (c *Challenges) Forget(passedBefore, triedBefore time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passes.dropIf(func(x *met) bool { return x.at.Before(passedBefore) })
	c.tries.dropIf(func(x *met) bool { return x.at.Before(triedBefore) && x.graced.Before(triedBefore) })
}

// End drops the passes of a caller on lines that a function names (by PassKey); a nil one all.
func (c *Challenges) End(e164 string, ends func(line string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passes.dropIf(func(x *met) bool {
		return x.key.number == e164 && (ends == nil || ends(x.key.line))
	})
}

// forgetNumber drops passes and tries of a caller, and says how many.
func (c *Challenges) forgetNumber(caller string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.passes.of) + len(c.tries.of)
	c.passes.dropIf(func(x *met) bool { return x.key.number == caller })
	c.tries.dropIf(func(x *met) bool { return x.key.number == caller })
	return before - len(c.passes.of) - len(c.tries.of)
}

// Any reports whether there is somebody to ask for.
func (c *Challenges) Any() bool { return c.some.Load() }

// ChallengeCount is how many passes and tries are remembered, and how often a table was full.
type ChallengeCount struct {
	Passes, Tries         int
	PassesFull, TriesFull uint64
}

// Count counts them.
func (c *Challenges) Count() ChallengeCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ChallengeCount{Passes: len(c.passes.of), Tries: len(c.tries.of), PassesFull: c.passes.full, TriesFull: c.tries.full}
}
