package policy

import (
	"ringfence/number"
)

// Shield knows the numbers that no list should hold: the country's emergency numbers and those that the policy never
// screens.
type Shield struct {
	plan     *number.Plan
	numbers  []number.Number // single ones, and the ends of ranges, which a pattern of the other way of writing is tried with
	patterns []number.Pattern
	ranges   bool // one of the patterns is no single number
}

// Shield gives the policy's.
func (p *Policy) Shield() *Shield {
	s := &Shield{plan: p.plan}
	for _, d := range p.plan.EmergencyNumbers() {
		s.numbers = append(s.numbers, p.plan.Parse(d))
	}
	for i := range p.neverScreen {
		q := p.neverScreen[i].Pattern
		s.patterns = append(s.patterns, q)
		s.ranges = s.ranges || !q.IsExact()
		for _, end := range q.Ends() {
			s.numbers = append(s.numbers, p.plan.Parse(end.String()))
		}
	}
	return s
}

// Hit reports whether a pattern would hit one of the numbers, and which.
func (s *Shield) Hit(q number.Pattern) (what string, hit bool) {
	for i := range s.numbers {
		if n := &s.numbers[i]; q.Matches(n) {
			return n.Shown(), true
		}
	}
	var n number.Number
	if s.ranges && q.IsExact() {
		n = s.plan.Parse(q.String())
	}
	for _, p := range s.patterns {
		if p.Overlaps(q) || p.Matches(&n) {
			return p.String(), true
		}
	}
	return "", false
}
