package detect

import (
	"ringfence/number"
	"ringfence/policy"
)

// mostText bounds what a caller can write for a called number, in bytes.
const mostText = 64

// strangerTo is to how many lines of different customers a caller has to be known to be no stranger to the others: one accomplice must
// not make a dialler known.
const strangerTo = 3

// SubjectOf is a call as detectors see it, by what memory has filled in of who is known. lists may be nil.
func SubjectOf(p *policy.Policy, c *policy.Call, lists policy.ListSource) Subject {
	x := Subject{Time: c.Time, Trunk: c.Trunk, Caller: countedAs(c), Callee: calleeText(&c.Callee)}
	if len(p.Detectors()) == 0 {
		return x
	}
	if c.Caller.Kind == number.Internal || p.NeverScreened(&c.Caller) {
		x.Protected = ^policy.DetectorSet(0)
	} else {
		x.Protected = p.Protected(c, lists)
	}
	if line, ok := p.LineCalled(&c.Callee); ok {
		x.Customer = line.Customer
	}
	if x.Decoy = p.IsDecoy(&c.Callee); x.Decoy {
		x.Customer = "" // a decoy is nobody's
	}
	if x.Caller != nil {
		x.Holder = p.HolderOf(x.Caller)
		x.Stranger = c.KnownToLine.IsZero() && c.KnownLines < strangerTo
	}
	return x
}

// countedAs is the number that a caller is counted by: that of a withheld one where it is known, and the one that a spoilt text holds.
func countedAs(c *policy.Call) *number.Number {
	if c.Caller.E164 != "" {
		return &c.Caller
	}
	if !c.Caller.MayHold() {
		return nil
	}
	held := c.Caller.Held()
	for i := range held {
		if held[i].E164 != "" {
			return &held[i]
		}
	}
	return nil
}

// calleeText is a called number in one spelling.
func calleeText(n *number.Number) string {
	text := n.E164
	if text == "" {
		text = n.National()
	}
	if text == "" {
		text = n.Raw
	}
	return text[:min(len(text), mostText)]
}
