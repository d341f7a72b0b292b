package policy

import "sort"

// coverage is what the patterns of one condition match together, to be asked whether another pattern lies within. Patterns
// of one way of writing and one length become intervals that do not touch.
type coverage struct {
	shapes []shape
	spans  map[shape][]span
}

// shape is what patterns have in common whose digits can be compared as numbers.
type shape struct {
	size uint8
	open bool
	plus bool
}

// span runs from one run of digits to another, both included.
type span struct{ lo, hi uint64 }

func coverageOf(patterns []numberPattern) *coverage {
	c := &coverage{spans: make(map[shape][]span)}
	for i := range patterns {
		p := &patterns[i].Pattern
		s := shape{p.size, p.open, p.plus}
		c.spans[s] = append(c.spans[s], span{p.lo, p.hi})
	}
	for s, spans := range c.spans {
		c.shapes = append(c.shapes, s)
		sort.Slice(spans, func(i, j int) bool { return spans[i].lo < spans[j].lo })
		joined := spans[:1]
		for _, next := range spans[1:] {
			if last := &joined[len(joined)-1]; next.lo <= last.hi+1 {
				last.hi = max(last.hi, next.hi)
			} else {
				joined = append(joined, next)
			}
		}
		c.spans[s] = joined
	}
	return c
}

// overlap finds the interval of a shape that meets lo to hi.
func (c *coverage) overlap(s shape, lo, hi uint64) (span, bool) {
	spans := c.spans[s]
	i := sort.Search(len(spans), func(i int) bool { return spans[i].hi >= lo })
	if i == len(spans) || spans[i].lo > hi {
		return span{}, false
	}
	return spans[i], true
}

// covers says whether every number of p is among the coverage. It looks at one way of writing, so a "no" may be wrong.
func (c *coverage) covers(p Pattern) bool {
	for _, s := range c.shapes {
		if s.plus != p.plus || s.size > p.size || !s.open && (p.open || s.size != p.size) {
			continue
		}
		scale := pow10[p.size-s.size]
		if in, ok := c.overlap(s, p.lo/scale, p.hi/scale); ok && in.lo <= p.lo/scale && p.hi/scale <= in.hi {
			return true
		}
	}
	return false
}

// meets says whether some number is of p and among the coverage, by the same way of writing.
func (c *coverage) meets(p Pattern) bool {
	for _, s := range c.shapes {
		if s.plus != p.plus || s.size > p.size && !p.open || s.size < p.size && !s.open {
			continue
		}
		lo, hi := p.lo, p.hi
		if s.size < p.size {
			scale := pow10[p.size-s.size]
			lo, hi = lo/scale, hi/scale
		} else {
			scale := pow10[s.size-p.size]
			lo, hi = lo*scale, hi*scale+scale-1
		}
		if _, ok := c.overlap(s, lo, hi); ok {
			return true
		}
	}
	return false
}

// otherWay says whether there is a pattern in the other way of writing than p's that is not a single number; how
// those two lie to each other cannot be told from their digits.
func (c *coverage) otherWay(p Pattern) bool {
	for _, s := range c.shapes {
		if s.plus != p.plus {
			return true
		}
	}
	return false
}

// of is the coverage of a condition on numbers.
func (l *linter) of(c *condition) *coverage {
	if l.cover[c] == nil {
		l.cover[c] = coverageOf(c.text)
	}
	return l.cover[c]
}

// point is a number as a pattern of one way of writing.
func point(digits string, plus bool) Pattern {
	v := digitsValue(digits)
	return Pattern{lo: v, hi: v, size: uint8(len(digits)), plus: plus}
}

// has says whether a number matches a condition.
func (l *linter) has(c *condition, n *Number) bool {
	cover := l.of(c)
	return n.national != "" && len(n.national) <= maxPatternDigits && cover.covers(point(n.national, false)) ||
		n.digits != "" && len(n.digits) <= maxPatternDigits && cover.covers(point(n.digits, true))
}

// covers says whether the patterns of one condition take all that those of another do. When in doubt they do not.
func (l *linter) covers(whole, part *condition) bool {
	cover := l.of(whole)
	for i := range part.text {
		p := &part.text[i]
		if cover.covers(p.Pattern) {
			continue
		}
		if !p.IsExact() || !cover.otherWay(p.Pattern) {
			return false
		}
		if n := l.p.plan.ParseInternal(p.text); !l.has(whole, &n) {
			return false
		}
	}
	return len(part.text) > 0
}

// meets says whether some number is of the condition and of the pattern. When in doubt there is one.
func (l *linter) meets(c *condition, p *numberPattern) bool {
	cover := l.of(c)
	if cover.meets(p.Pattern) {
		return true
	}
	if !cover.otherWay(p.Pattern) {
		return false
	}
	if !p.IsExact() {
		return l.meetsOther(c, p)
	}
	n := l.p.plan.ParseInternal(p.text)
	return l.has(c, &n)
}

// meetsOther answers for a beginning or a range against patterns in the other way of writing: only single numbers can be compared.
func (l *linter) meetsOther(c *condition, p *numberPattern) bool {
	for i := range c.text {
		q := &c.text[i]
		if q.plus == p.plus {
			continue
		}
		if !q.IsExact() {
			return true
		}
		if n := l.p.plan.ParseInternal(q.text); p.Matches(&n) {
			return true
		}
	}
	return false
}
