package policy

import (
	"strconv"

	"ringfence/number"
)

// The conditions on what a call says of itself besides its caller's number: how that is written, what other number there is,
// and whether it was forwarded.

// readYesNo reads a condition that is true or false; ok is false when the rule does not have it or when it is neither.
func readYesNo(s *section, on subject) (condition, bool) {
	key := on.String()
	yes := s.flag(key)
	if _, ok := s.values[key].(bool); !ok {
		return condition{}, false
	}
	return condition{on: on, terms: &terms{yes: yes, words: []string{strconv.FormatBool(yes)}}}, true
}

// asks reports whether some rule has a condition on a subject.
func (p *Policy) asks(on subject) bool { return p.asked&(1<<on) != 0 }

// AsksIdentity reports whether a rule asks whether From and the asserted identity differ, so that both must be known.
func (p *Policy) AsksIdentity() bool { return p.asks(onIdentityDiffers) }

// AsksDiverted reports whether a rule asks whether calls were forwarded.
func (p *Policy) AsksDiverted() bool { return p.asks(onDiverted) }

// identityDiffers: the call names its caller by two numbers, and they are not one.
func (s *scan) identityDiffers() bool {
	c := s.c
	return c.OtherIdentity != "" && c.Caller.E164 != "" && c.OtherIdentity != c.Caller.E164
}

// identityText says how identity_differs held. Numbers of a caller who does not want to be shown are not told.
func (d *Decision) identityText(c *condition) string {
	e := &d.evidence
	switch {
	case !c.yes:
		return "From and the asserted identity do not differ"
	case e.who.Kinds.Has(number.Anonymous):
		return "From and the asserted identity differ"
	}
	return "From and the asserted identity differ (" + e.who.E164 + " and " + e.other + ")"
}

// whyNotDiffers says what identity_differs found, where it does not hold.
func (s *scan) whyNotDiffers() string {
	switch {
	case s.identityDiffers():
		return "From and the asserted identity differ"
	case s.c.OtherIdentity == "" || s.c.Caller.E164 == "":
		return "the call does not have two numbers of its caller to compare"
	}
	return "From and the asserted identity are the same number"
}

func divertedText(yes bool) string {
	if yes {
		return "the call was forwarded here"
	}
	return "no header says that the call was forwarded"
}

// whyNotWritten says how the caller's number is written.
func (s *scan) whyNotWritten(c *condition) string {
	if form := s.c.Caller.Form; form != number.FormNone {
		return s.who() + " is written " + form.String() + ", not " + some(c.words)
	}
	return s.who() + " has no number that is written in some way"
}
