package policy

// Shield knows the numbers that no list should hold: the country's emergency numbers and those that the policy never
// screens.
type Shield struct {
	plan     *Plan
	numbers  []Number // single ones, and the ends of ranges, which a pattern of the other way of writing is tried with
	patterns []Pattern
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
		for _, end := range [...]uint64{q.lo, q.hi} {
			s.numbers = append(s.numbers, p.plan.Parse(Pattern{lo: end, hi: end, size: q.size, plus: q.plus}.String()))
			if q.IsExact() {
				break
			}
		}
	}
	return s
}

// Hit says whether a pattern would hit one of the numbers, and which.
func (s *Shield) Hit(q Pattern) (what string, hit bool) {
	for i := range s.numbers {
		if n := &s.numbers[i]; q.Matches(n) {
			return n.Shown(), true
		}
	}
	var n Number
	if s.ranges && q.IsExact() {
		n = s.plan.Parse(q.String())
	}
	for _, p := range s.patterns {
		if p.overlaps(q) || p.Matches(&n) {
			return p.String(), true
		}
	}
	return "", false
}

// overlaps says whether there are digits that both patterns match.
func (p Pattern) overlaps(q Pattern) bool {
	if p.plus != q.plus || p.size == 0 || q.size == 0 {
		return false
	}
	if p.size > q.size {
		p, q = q, p
	}
	if p.size < q.size && !p.open {
		return false
	}
	k := pow10[q.size-p.size]
	lo, hi := p.lo*k, p.hi*k+k-1
	return lo <= q.hi && q.lo <= hi
}
