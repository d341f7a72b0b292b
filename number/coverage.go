package number

import "sort"

// Coverage is what the patterns match together, to be asked whether another pattern lies within. Patterns
// of one way of writing and one length become intervals that do not touch.
type Coverage struct {
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

// CoverageOf gives the coverage of patterns, which may lie over one another.
func CoverageOf(patterns []Pattern) *Coverage {
	c := &Coverage{spans: make(map[shape][]span)}
	for i := range patterns {
		p := &patterns[i]
		s := shape{p.Size, p.Open, p.Plus}
		c.spans[s] = append(c.spans[s], span{p.Lo, p.Hi})
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
func (c *Coverage) overlap(s shape, lo, hi uint64) (span, bool) {
	spans := c.spans[s]
	i := sort.Search(len(spans), func(i int) bool { return spans[i].hi >= lo })
	if i == len(spans) || spans[i].lo > hi {
		return span{}, false
	}
	return spans[i], true
}

// Covers reports whether every number of p is among the coverage. It looks at one way of writing, so a "no" may be wrong.
func (c *Coverage) Covers(p Pattern) bool {
	for _, s := range c.shapes {
		if s.plus != p.Plus || s.size > p.Size || !s.open && (p.Open || s.size != p.Size) {
			continue
		}
		scale := pow10[p.Size-s.size]
		if in, ok := c.overlap(s, p.Lo/scale, p.Hi/scale); ok && in.lo <= p.Lo/scale && p.Hi/scale <= in.hi {
			return true
		}
	}
	return false
}

// Meets reports whether some number is of p and among the coverage, by the same way of writing.
func (c *Coverage) Meets(p Pattern) bool {
	for _, s := range c.shapes {
		if s.plus != p.Plus || s.size > p.Size && !p.Open || s.size < p.Size && !s.open {
			continue
		}
		lo, hi := p.Lo, p.Hi
		if s.size < p.Size {
			scale := pow10[p.Size-s.size]
			lo, hi = lo/scale, hi/scale
		} else {
			scale := pow10[s.size-p.Size]
			lo, hi = lo*scale, hi*scale+scale-1
		}
		if _, ok := c.overlap(s, lo, hi); ok {
			return true
		}
	}
	return false
}

// OtherWay reports whether there is a pattern in the other way of writing than p's that is not a single number; how
// those two lie to each other cannot be told from their digits.
func (c *Coverage) OtherWay(p Pattern) bool {
	for _, s := range c.shapes {
		if s.plus != p.Plus {
			return true
		}
	}
	return false
}

// point is a number as a pattern of one way of writing.
func point(digits string, plus bool) Pattern {
	v := digitsValue(digits)
	return Pattern{Lo: v, Hi: v, Size: uint8(len(digits)), Plus: plus}
}

// Has reports whether a number is among the coverage.
func (c *Coverage) Has(n *Number) bool {
	return n.national != "" && len(n.national) <= maxPatternDigits && c.Covers(point(n.national, false)) ||
		n.digits != "" && len(n.digits) <= maxPatternDigits && c.Covers(point(n.digits, true))
}
