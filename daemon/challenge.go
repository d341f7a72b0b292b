package daemon

import (
	"container/list"
	"crypto/rand"
	"errors"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// Bounds of what is remembered from challenges. A dialler who hangs up on them can fill the table of tries, and so it is
// one of its own: the oldest try goes for a new one, and nobody is asked again for it who has passed.
const (
	maxPasses = 100_000
	maxTries  = 100_000
)

// graceEvery is how seldom the same caller is let through for having keyed nothing, on calls to the same number.
const graceEvery = 24 * time.Hour

// challenged remembers callers who were asked for digits: on which line they passed, and on calls to which number they
// heard a whole prompt without keying in a wrong one. Callers without a number are not in it.
type challenged struct {
	some   atomic.Bool // somebody was asked since the start, or passed before: else calls need no lock
	mu     sync.Mutex
	passes moments // by line and caller
	tries  moments // by called number and caller
}

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

// of is what is known of a caller on calls to a line and a number: when he last passed, and when he last tried in a way
// that lets him through, zero where that never was or does not count.
func (m *challenged) of(line, callee, e164 string, now time.Time) (passed, tried time.Time) {
	if e164 == "" {
		return passed, tried
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if x := m.passes.get(pair{line, e164}); x != nil {
		passed = x.at
	}
	if x := m.tries.get(pair{callee, e164}); x != nil && now.Sub(x.graced) >= graceEvery {
		tried = x.at
	}
	return passed, tried
}

// note remembers how a caller met a challenge. Wrong digits end the grace of an earlier try, and so does who hangs up
// before he has heard what he is asked: neither is a person who cannot press keys.
func (m *challenged) note(line, callee, e164 string, keyed bridge.Keyed, at time.Time) {
	if e164 == "" {
		return
	}
	m.some.Store(true)
	m.mu.Lock()
	defer m.mu.Unlock()
	key := pair{callee, e164}
	switch keyed {
	case bridge.KeyedRight:
		m.passes.put(pair{line, e164}, maxPasses).at = at
		m.tries.drop(m.tries.of[key])
	case bridge.KeyedNothing:
		m.tries.put(key, maxTries).at = at
	case bridge.KeyedWrong, bridge.KeyedLeft:
		if x := m.tries.get(key); x != nil {
			x.at = time.Time{}
		}
	}
}

// takeGrace uses up the grace that a decision was made by. It is false if another call of the same caller has
// just used it.
func (m *challenged) takeGrace(callee, e164 string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.tries.get(pair{callee, e164})
	if x == nil || x.at.IsZero() || now.Sub(x.graced) < graceEvery {
		return false
	}
	x.at, x.graced = time.Time{}, now
	return true
}

// forget drops what counts no more.
func (m *challenged) forget(passedBefore, triedBefore time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passes.dropIf(func(x *met) bool { return x.at.Before(passedBefore) })
	m.tries.dropIf(func(x *met) bool { return x.at.Before(triedBefore) && x.graced.Before(triedBefore) })
}

// end drops all passes of a caller.
func (m *challenged) end(e164 string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passes.dropIf(func(x *met) bool { return x.key.number == e164 })
}

// any: there is somebody to ask for.
func (m *challenged) any() bool { return m.some.Load() }

// count is how many passes and tries are remembered, and how often a table was full.
func (m *challenged) count() console.ChallengedStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return console.ChallengedStatus{Passes: len(m.passes.of), Tries: len(m.tries.of), PassesFull: m.passes.full, TriesFull: m.tries.full}
}

// passKey is under what it is kept that somebody passed on a call: the line, or the number where it belongs to none.
func passKey(p *policy.Policy, callee *number.Number) string {
	if line := p.LineOf(callee); line != "" {
		return line
	}
	return calleeKey(callee)
}

// calleeKey is a called number as a key. Lines have no space in their names.
func calleeKey(callee *number.Number) string { return "number " + cutKey(numberKey(callee)) }

// cutKey bounds what a caller can make up for a number.
func cutKey(key string) string { return key[:min(len(key), maxOwnNumber)] }

// challengeMet remembers how the caller of a call met its challenge; who passed is kept on disk.
func (d *Desk) challengeMet(c *policy.Call, keyed bridge.Keyed) {
	line, e164 := passKey(d.rules.Load().policy, &c.Callee), c.Caller.E164
	d.learnt.challenged.note(line, calleeKey(&c.Callee), e164, keyed, c.Time)
	if keyed == bridge.KeyedRight && e164 != "" {
		d.learnt.toDisk(storage.Passed, line+"\x00"+e164, c.Time.UnixMilli())
	}
}

// endPasses lets a caller be asked again everywhere: somebody has reported him.
func (d *Desk) endPasses(e164 string) error {
	if e164 == "" {
		return nil
	}
	d.learnt.challenged.end(e164)
	d.learnt.writing.Lock() // a pass that is on its way to the disk would come back from there at the next start
	defer d.learnt.writing.Unlock()
	d.learnt.unwritten.Lock()
	for key := range d.learnt.unwritten.facts[storage.Passed] {
		if strings.HasSuffix(key, "\x00"+e164) {
			delete(d.learnt.unwritten.facts[storage.Passed], key)
		}
	}
	d.learnt.unwritten.Unlock()
	var keys []string
	err := d.db.EachStamp(storage.Passed, func(s storage.Stamp) error {
		if strings.HasSuffix(s.Key, "\x00"+e164) {
			keys = append(keys, s.Key)
		}
		return nil
	})
	return errors.Join(err, d.db.PutStamps(storage.Passed, nil, keys))
}

// challengeOf prepares the prompts of a challenge, with digits of its own for each try. The error names a
// recording that is missing.
func challengeOf(d *policy.Decision, sounds *conf.Sounds) (*bridge.Challenge, error) {
	find := func(name string) (bridge.Sound, error) {
		s, err := sounds.Find(name)
		return soundOf(s), err
	}
	ch := &bridge.Challenge{}
	var err error
	if ch.Passed, err = find("challenge-passed"); err != nil {
		return nil, err
	}
	if d.Otherwise != "allow" {
		ch.Refuse = d.SIP
		if ch.Failed, err = find("challenge-failed"); err != nil {
			return nil, err
		}
	}
	for try := range d.Tries {
		name := "challenge-intro"
		if try > 0 {
			name = "challenge-again"
		}
		prompt, err := find(name)
		if err != nil {
			return nil, err
		}
		digits := randomDigits(d.Digits)
		spoken, err := sounds.Digits(digits)
		if err != nil {
			return nil, err
		}
		parts := []bridge.Sound{prompt}
		for _, s := range spoken {
			parts = append(parts, soundOf(s))
		}
		ch.Tries = append(ch.Tries, bridge.Question{Prompt: bridge.Sounds(parts...), Want: digits})
	}
	return ch, nil
}

// soundOf is an announcement as the bridges take it.
func soundOf(s conf.Sound) bridge.Sound {
	if s.File == "" {
		return bridge.Sound{}
	}
	return bridge.Sound{Files: []string{s.File}, Length: s.Length}
}

// randomDigits cannot be guessed by a machine that has heard others.
func randomDigits(n int) string {
	ten := big.NewInt(10)
	out := make([]byte, n)
	for i := range out {
		d, _ := rand.Int(rand.Reader, ten) // never fails
		out[i] = '0' + byte(d.Int64())
	}
	return string(out)
}
