package policy

import "time"

// What makes an acquaintance, whom detectors leave alone: somebody who is known to the called line, or to several lines of different
// customers. One accomplice does not make a dialler known to all.
const (
	// MinKnownLines is how many lines of different customers vouch for a caller to all others.
	MinKnownLines = 3
	// AcquaintedFor is how long ago a caller was known at most, where no rule asks for known_caller over a longer time.
	AcquaintedFor = 30 * day
)

// IsAcquaintance reports whether the caller is known to the called line, or to three lines of different customers. Who is not is a stranger.
func (p *Policy) IsAcquaintance(c *Call) bool {
	return p.isKnownAt(c, c.KnownToLine) || c.KnownLines >= MinKnownLines
}

func (p *Policy) isKnownAt(c *Call, at time.Time) bool {
	return !at.IsZero() && !at.After(c.Time) && c.Time.Sub(at) <= max(p.knownWindow, AcquaintedFor)
}

// AsksKnown reports whether memory has to tell to whom callers are known: a rule asks for known_caller or for the score, or there are
// detectors, which count strangers and spare the others.
func (p *Policy) AsksKnown() bool {
	return p.knownWindow > 0 || p.asks(onScore) || len(p.detectors) > 0
}

// AsksScore reports whether a rule asks for the score, so that a call needs its Evidence.
func (p *Policy) AsksScore() bool { return p.asks(onScore) }
