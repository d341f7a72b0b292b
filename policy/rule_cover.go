package policy

import (
	"ringfence/number"
)

// of is the coverage of a condition on numbers.
func (l *linter) of(c *condition) *number.Coverage {
	if l.cover[c] == nil {
		l.cover[c] = number.CoverageOf(patternsOf(c.text))
	}
	return l.cover[c]
}

// covers reports whether the patterns of one condition take all that those of another do. When in doubt they do not.
func (l *linter) covers(whole, part *condition) bool {
	cover := l.of(whole)
	for i := range part.text {
		p := &part.text[i]
		if cover.Covers(p.Pattern) {
			continue
		}
		if !p.IsExact() || !cover.OtherWay(p.Pattern) {
			return false
		}
		if n := l.p.plan.ParseInternal(p.text); !cover.Has(&n) {
			return false
		}
	}
	return len(part.text) > 0
}

// meets reports whether some number is of the condition and of the pattern. When in doubt there is one.
func (l *linter) meets(c *condition, p *numberPattern) bool {
	cover := l.of(c)
	if cover.Meets(p.Pattern) {
		return true
	}
	if !cover.OtherWay(p.Pattern) {
		return false
	}
	if !p.IsExact() {
		return l.meetsOther(c, p)
	}
	n := l.p.plan.ParseInternal(p.text)
	return cover.Has(&n)
}

// meetsOther answers for a beginning or a range against patterns in the other way of writing: only single numbers can be compared.
func (l *linter) meetsOther(c *condition, p *numberPattern) bool {
	for i := range c.text {
		q := &c.text[i]
		if q.Plus == p.Plus {
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

func patternsOf(texts []numberPattern) []number.Pattern {
	patterns := make([]number.Pattern, len(texts))
	for i := range texts {
		patterns[i] = texts[i].Pattern
	}
	return patterns
}
