package policy

import (
	"fmt"

	"ringfence/number"
)

// Caution knows the numbers that an entry of a list which refuses calls is hardly meant to hit: emergency numbers and those that
// are never screened, short service numbers such as a bank's, and the PBX's own.
type Caution struct {
	p      *Policy
	lint   linter
	shield *Shield
	own    *number.Coverage // of the lines, by E.164 where that can be told
	lines  bool
}

// Caution gives the policy's.
func (p *Policy) Caution() *Caution {
	c := &Caution{p: p, lint: linter{p: p}, shield: p.Shield()}
	var own []number.Pattern
	for i := range p.lines {
		for _, q := range p.lines[i].numbers {
			own = append(own, q.Pattern)
			if whole, ok := p.plan.SameInE164(q.Pattern); ok {
				own = append(own, whole)
			}
		}
	}
	c.own, c.lines = number.CoverageOf(own), len(own) > 0
	return c
}

// Hits says what a pattern would hit, as the rest of a sentence that begins with the pattern; "" if it is nothing of the kind.
func (c *Caution) Hits(q number.Pattern) string {
	if what, hit := c.shield.Hit(q); hit {
		return "hits " + what + ", which is an emergency number or in never_screen: such calls pass whatever a list says"
	}
	if c.lines && c.own.Meets(q) {
		if q.IsExact() {
			return "is a number of your own lines"
		}
		return "takes numbers of your own lines"
	}
	if q.Open {
		if number := c.lint.service(&numberPattern{Pattern: q}, nil); number != "" {
			return fmt.Sprintf("also takes short service numbers such as %s", number)
		}
		return ""
	}
	if q.Size > maxShort {
		return ""
	}
	for _, end := range q.Ends() {
		n := c.p.plan.ParseInternal(end.String())
		switch {
		case n.Kind == number.Internal && q.IsExact():
			return "is an extension of this PBX"
		case n.Kind == number.Internal:
			return "takes extensions of this PBX"
		case n.Kinds.Has(number.Service) && len(n.National()) <= max(c.lint.longestService(), 5) && q.IsExact():
			return "is a service number, as of a bank, a carrier or an authority: their calls would be hit too"
		case n.Kinds.Has(number.Service) && len(n.National()) <= c.lint.longestService():
			return fmt.Sprintf("takes short service numbers such as %s", n.National())
		}
	}
	return ""
}

// maxShort is how many digits a short number has at most, with a country code before it.
const maxShort = 9

// OnlyAllows reports whether all rules that ask a list let calls pass, or whether it protects from detectors and no other rule asks it; not of a
// list that nothing asks.
func (p *Policy) OnlyAllows(list string) bool {
	asked := false
	for i := range p.protecting {
		asked = asked || p.protecting[i].list.is(list)
	}
	for i := range p.rules {
		for j := range p.rules[i].conditions {
			c := &p.rules[i].conditions[j]
			if c.on != onList {
				continue
			}
			for k := range c.lists {
				if !c.lists[k].is(list) {
					continue
				}
				if asked = true; p.rules[i].do.action != Allow {
					return false
				}
			}
		}
	}
	return asked
}

func (l *listName) is(list string) bool {
	if l.name == list {
		return true
	}
	for _, own := range l.own {
		if own == list {
			return true
		}
	}
	return false
}
