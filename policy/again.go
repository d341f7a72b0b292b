package policy

import (
	"time"
)

// What makes a call the same caller's again (the condition again). Whoever watches the calls keeps to these, so that it is the
// same for live calls and for replays.
const (
	// SameCall is how soon a second call of a caller to the same number is still the first one: switches and trunks try twice.
	SameCall = 5 * time.Second
	// MaxAgain is the longest span of again: what is older need not be kept.
	MaxAgain = day
	// minAgain is the shortest one.
	minAgain = 2 * SameCall
)

// readAgain reads again; ok is false when the rule does not have it.
func (r *reader) readAgain(s *section) (condition, bool) {
	key := onAgain.String()
	window := s.duration(key, 10*time.Minute, minAgain, MaxAgain)
	if !s.has(key) {
		return condition{}, false
	}
	r.policy.againWindow = max(r.policy.againWindow, window)
	return condition{on: onAgain, terms: &terms{window: window, words: []string{spanText(window)}}}, true
}

// AgainWindow is the longest again of the policy's rules, 0 if none has one: then nobody need note who calls.
func (p *Policy) AgainWindow() time.Duration { return p.againWindow }

// calledWithin tests again. What comes later than the call is not before it.
func (s *scan) calledWithin(window time.Duration) bool {
	at := s.c.CalledBefore
	return s.c.Caller.E164 != "" && !at.IsZero() && !at.After(s.c.Time) && s.c.Time.Sub(at) <= window
}

// againText says how again held.
func againText(at time.Time, who string) string {
	return who + " called here before at " + at.Format("15:04:05")
}

// whyNotAgain says why again does not hold.
func (s *scan) whyNotAgain(c *condition) string {
	at := s.c.CalledBefore
	switch {
	case s.c.Caller.E164 == "":
		return "a caller without a number is never the same again"
	case at.IsZero() || at.After(s.c.Time):
		return s.who() + " did not call here before, as far as is remembered"
	}
	return s.who() + " called here last at " + at.In(s.p.calendar.zone).Format("2006-01-02 15:04:05") + ", longer ago than " + spanText(c.window)
}
