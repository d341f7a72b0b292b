package policy

import (
	"time"

	"ringfence/number"
)

// What makes a caller known (the condition known_caller). Whoever watches the calls keeps to these, so that it is the same
// for live calls and for replays.
const (
	// DialledTalk is how long a number that a line called must have been talked with.
	DialledTalk = 10 * time.Second
	// CalledTalk is how long a caller must have been talked with who called a line.
	CalledTalk = time.Minute
	// MaxKnown is the longest window of known_caller: what is older need not be kept.
	MaxKnown = 400 * day
	// minKnown is the shortest one.
	minKnown = time.Minute
)

// readKnown reads known_caller with known_scope; ok is false when the rule does not have it.
func (r *reader) readKnown(s *section) (condition, bool) {
	key := onKnown.String()
	window := s.duration(key, 30*day, minKnown, MaxKnown)
	scope := s.oneOf(scopeKey, "line", "all")
	if !s.has(key) {
		if scope != "" {
			s.fault(scopeKey, "does nothing without %s: write %s = %q beside it, or take it out", key, key, conditionExamples[onKnown])
		}
		return condition{}, false
	}
	r.policy.knownWindow = max(r.policy.knownWindow, window)
	r.policy.knownToLine = r.policy.knownToLine || scope != "all"
	return condition{on: onKnown, terms: &terms{window: window, anyLine: scope == "all", words: []string{spanText(window)}}}, true
}

// known is when the call's caller was last known to the lines that a condition is about, zero if never.
func (s *scan) known(c *condition) time.Time {
	line, all := s.c.KnownToLine, s.c.KnownToAll
	if c.anyLine && all.After(line) && (line.IsZero() || !all.After(s.c.Time)) {
		return all
	}
	return line
}

// isKnown tests known_caller, and keeps when the caller was known. What will be known only after the call is not known to it.
func (s *scan) isKnown(c *condition) bool {
	s.knownAt = s.known(c)
	return !s.knownAt.IsZero() && !s.knownAt.After(s.c.Time) && s.c.Time.Sub(s.knownAt) <= c.window
}

// toWhom are the lines that a condition is about, in words.
func (c *condition) toWhom() string {
	if c.anyLine {
		return "a line"
	}
	return "the called line"
}

// knownText says how known_caller held.
func (d *Decision) knownText(c *condition, who string) string {
	return who + " is known to " + c.toWhom() + ", last on " + d.evidence.known.Format(time.DateOnly)
}

// whyUnknown says why known_caller does not hold.
func (s *scan) whyUnknown(c *condition) string {
	at := s.known(c)
	switch {
	case !c.anyLine && s.called.Name == "":
		return "called number " + s.c.Callee.Shown() + " belongs to no line"
	case at.IsZero():
		return s.who() + " is not known to " + c.toWhom()
	case at.After(s.c.Time):
		return s.who() + " was not known to " + c.toWhom() + " yet"
	}
	return s.who() + " was known to " + c.toWhom() + " last on " + s.day(at) + ", longer ago than " + spanText(c.window)
}

// day is a date by the policy's clock.
func (s *scan) day(at time.Time) string { return at.In(s.p.calendar.zone).Format(time.DateOnly) }

// KnownWindow is the longest known_caller of the policy's rules, 0 if none has one.
func (p *Policy) KnownWindow() time.Duration { return p.knownWindow }

// NeverScreened reports whether a caller's number passes before any rule is asked: an emergency number, or one under
// never_screen.
func (p *Policy) NeverScreened(n *number.Number) bool {
	var m met
	p.callers.find(&m, n)
	return n.Kinds.Has(number.Emergency) || m.has(neverScreenBit)
}
