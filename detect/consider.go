package detect

import (
	"time"

	"ringfence/policy"
)

// Way is how a call is taken through a policy.
type Way struct {
	Look   bool   // nothing is counted, noted or touched: a test call, or a question
	Paused bool   // nothing is done to the call, whatever is decided: it counts all the same, and takes no room
	Leg    string // the switch's name for the call, for `concurrent`

	// Grace uses up the grace of a call that is let through for an earlier challenge. It is false if another call of the caller's
	// was quicker: then this one is asked after all. nil is never asked for.
	Grace func(c *policy.Call) bool
}

// Consider decides on a call that memory has filled in: screening and replays both come through here, so that the same calls
// get the same trips and the same decisions. It counts the call, has the policy decide, takes the room for what detectors have
// done to it, and says whether it was stopped. Count is for Ended, once the call is over.
//
// A nil set has no detectors.
func (s *Set) Consider(p *policy.Policy, c *policy.Call, lists policy.ListSource, w Way) (policy.Decision, Count) {
	var n Count
	if s != nil {
		x := SubjectOf(p, c, lists)
		if x.Leg = w.Leg; w.Look {
			n = s.Look(&x)
		} else {
			n = s.Called(&x)
		}
		s.Fill(&n, c)
	}
	takes := !w.Look && !w.Paused
	for {
		d := p.Decide(c, lists)
		switch {
		case takes && d.Rule == policy.RuleKnownGrace && w.Grace != nil && !w.Grace(c):
			c.ChallengeTried = time.Time{}
		case takes && s != nil && d.By&^n.OnTrial != 0 && d.Action != policy.Allow && !s.Touch(&n, d.By):
			n.OnTrial |= d.By
			s.Fill(&n, c)
		default:
			if s != nil && !w.Look {
				s.Decided(&n, p.Stops(&d), d.TrialBy)
			}
			return d, n
		}
	}
}
