package daemon

import (
	"crypto/rand"
	"math/big"
	"sync"
	"time"

	"ringfence/conf"
	"ringfence/eslbridge"
	"ringfence/policy"
	"ringfence/storage"
)

// maxChallenged bounds how many callers are remembered from challenges.
const maxChallenged = 100_000

// challenged remembers callers who were asked for digits: when they passed, and when they left without having
// keyed in a wrong one. Callers without a number are not in it.
type challenged struct {
	mu      sync.Mutex
	callers map[string]asked // by E.164
	dropped uint64           // callers not remembered, because there were too many
}

type asked struct{ passed, tried time.Time }

// of is what is known of a caller.
func (m *challenged) of(n *policy.Number) asked {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.callers[n.E164]
}

// note remembers how a caller met a challenge. Wrong digits end the grace of an earlier try. It is false if
// nothing new is remembered.
func (m *challenged) note(e164 string, keyed eslbridge.Keyed, at time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, known := m.callers[e164]
	switch keyed {
	case eslbridge.KeyedRight:
		a = asked{passed: at}
	case eslbridge.KeyedNothing:
		a.tried = at
	case eslbridge.KeyedWrong:
		a.tried = time.Time{}
	default:
		return false
	}
	if e164 == "" {
		return false
	}
	if !known && len(m.callers) >= maxChallenged {
		m.dropped++
		return false
	}
	if m.callers == nil {
		m.callers = make(map[string]asked)
	}
	m.callers[e164] = a
	return true
}

// takeGrace uses up the grace that a decision was made by. It is false if another call of the same caller has
// just used it.
func (m *challenged) takeGrace(n *policy.Number) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.callers[n.E164]
	if a.tried.IsZero() {
		return false
	}
	a.tried = time.Time{}
	m.callers[n.E164] = a
	return true
}

// forget drops callers of whom nothing counts any more, so that the bound is one of those who matter.
func (m *challenged) forget(passedBefore, triedBefore time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e164, a := range m.callers {
		if a.passed.Before(passedBefore) && a.tried.Before(triedBefore) {
			delete(m.callers, e164)
		}
	}
}

// challengeMet remembers how the caller of a call met its challenge; who passed is kept on disk.
func (d *Desk) challengeMet(c *policy.Call, keyed eslbridge.Keyed) {
	if e164 := c.Caller.E164; d.learnt.challenged.note(e164, keyed, c.Time) && keyed == eslbridge.KeyedRight {
		d.learnt.toDisk(storage.Passed, e164, c.Time.UnixMilli())
	}
}

// challengeOf prepares the prompts of a challenge, with digits of its own for each try. The error names a
// recording that is missing.
func challengeOf(d *policy.Decision, sounds *conf.Sounds) (*eslbridge.Challenge, error) {
	find := func(name string) (eslbridge.Sound, error) {
		s, err := sounds.Find(name)
		return eslbridge.Sound(s), err
	}
	ch := &eslbridge.Challenge{}
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
		parts := []eslbridge.Sound{prompt}
		for _, s := range spoken {
			parts = append(parts, eslbridge.Sound(s))
		}
		ch.Tries = append(ch.Tries, eslbridge.Question{Prompt: eslbridge.Sounds(parts...), Want: digits})
	}
	return ch, nil
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
