package policy

import "ringfence/number"

// Numbers that a text which is no number plainly holds, as they count for rules that refuse.

// heldNumber is a number that a caller's text holds, and what it met.
type heldNumber struct {
	number number.Number
	met
}

// numbersIn gives the numbers that a caller's text holds, and what they meet.
func (p *Policy) numbersIn(n *number.Number) []heldNumber {
	numbers := n.Held()
	if len(numbers) == 0 {
		return nil
	}
	held := make([]heldNumber, len(numbers))
	for i := range held {
		held[i].number = numbers[i]
		p.callers.find(&held[i].met, &held[i].number)
	}
	return held
}

// holdsOne: a number that the caller's text holds is one of a condition's, and the rule one that refuses.
func (s *scan) holdsOne(r *rule, bit uint16) bool {
	if !r.refuses() {
		return false
	}
	for i := range s.held {
		if s.held[i].has(bit) {
			s.heldBy = &s.held[i]
			return true
		}
	}
	return false
}

// exceptsHeld: a number that the caller's text holds is excepted from a rule that lets calls pass. From one that refuses it is not:
// to spoil one's number is no way to be spared either.
func (s *scan) exceptsHeld(r *rule, bit uint16) bool {
	if r.refuses() {
		return false
	}
	for i := range s.held {
		if s.held[i].has(bit) {
			s.heldBy = &s.held[i]
			return true
		}
	}
	return false
}

// The calls that no rule is asked about are decided by these.
var (
	passNeverScreen = &rule{name: RuleNeverScreen}
	passInternal    = &rule{name: RuleInternal}
)
