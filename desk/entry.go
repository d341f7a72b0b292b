package desk

import (
	"strings"

	"ringfence/listfile"
	"ringfence/number"
	"ringfence/policy"
)

// entryOf reads what is written for a new entry: every one, from wherever it comes, is read here. What is to be removed
// or looked up is read as a pattern, also what would not be taken today.
func entryOf(p *number.Plan, text string) (number.Pattern, error) { return p.Entry(text) }

// entryOfLine is entryOf for a line of a file, which may have a count before one number.
func entryOfLine(p *number.Plan, l *listfile.Line) (number.Pattern, error) {
	if l.Counted != "" && isCount(p, l) {
		return entryOf(p, l.Counted)
	}
	return entryOf(p, l.Number)
}

// isCount reports whether what stands before the last number of a line is a count: that number is one, and the line as a whole is
// none. Without blanks before it, as `uniq -c` writes them, the count could be a number itself.
func isCount(p *number.Plan, l *listfile.Line) bool {
	if !isNumber(p, l.Counted) || isNumber(p, l.Number) {
		return false
	}
	return l.Indented || !isNumber(p, strings.Fields(l.Number)[0])
}

// isNumber reports whether a text is a number that the plan knows.
func isNumber(p *number.Plan, text string) bool {
	n := p.ParseInternal(text)
	switch n.Kind {
	case number.Invalid, number.Unassigned, number.Unknown, number.Anonymous:
		return false
	}
	return true
}

// cautions are warnings about entries of a list. They go in: who added them may mean it.
type cautions struct {
	plan *number.Plan
	hit  *policy.Caution // nil: the list lets calls pass, which is no loss
}

func (d *Desk) cautionsFor(p *policy.Policy, at *place) *cautions {
	list := at.name
	if at.line != "" {
		list = at.table // as rules name it
	}
	c := &cautions{plan: p.Plan()}
	if !p.OnlyAllows(list) {
		c.hit = p.Caution()
	}
	return c
}

// of says what may not be meant by an entry, "" if there is nothing. dead reports whether it is that no call can have the number.
func (c *cautions) of(q number.Pattern) (why string, dead bool) {
	if why := c.plan.Wide(q); why != "" {
		return strings.TrimPrefix(why, "it "), false
	}
	if c.hit != nil {
		if why := c.hit.Hits(q); why != "" {
			return why, false
		}
	}
	if why := c.plan.Dead(q); why != "" {
		return strings.TrimPrefix(why, "it ") + ", and no call can have it", true
	}
	return "", false
}
