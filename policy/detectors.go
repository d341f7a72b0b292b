package policy

import (
	"ringfence/number"
)

// protecting is a list that protects callers from detectors.
type protecting struct {
	list listName
	set  DetectorSet
}

// protect notes that a list protects from a detector.
func (p *Policy) protect(l listName, detector int) {
	for i := range p.protecting {
		if p.protecting[i].list.name == l.name {
			p.protecting[i].set = p.protecting[i].set.With(detector)
			return
		}
	}
	p.protecting = append(p.protecting, protecting{l, DetectorSet(0).With(detector)})
}

// Detectors are the policy's, in the order of the file. The caller must not change them.
func (p *Policy) Detectors() []Detector { return p.detectors }

// DetectorNamed is the number of a detector, as DetectorSet counts them; ok is false if there is none of that name.
func (p *Policy) DetectorNamed(name string) (i int, ok bool) {
	for i := range p.detectors {
		if p.detectors[i].Name == name {
			return i, true
		}
	}
	return 0, false
}

// Protected are the detectors that neither count a call nor touch it, for its caller's sake. Only the number that calls
// protects, not one that its text holds besides: to write a bank's number behind one's own is no way to be left alone. A list that has not been read yet
// protects everybody. lists may be nil: then nobody is on any list. It does not allocate, and asks each list once.
func (p *Policy) Protected(c *Call, lists ListSource) DetectorSet {
	var set DetectorSet
	if len(p.detectors) == 0 {
		return set
	}
	var caller met
	p.callers.find(&caller, &c.Caller)
	for i := range p.detectors {
		if caller.has(p.detectors[i].protect.bit) {
			set = set.With(i)
		}
	}
	if lists == nil || len(p.protecting) == 0 {
		return set
	}
	s := scan{p: p, c: c, lists: lists}
	p.callees.find(&s.callee, &c.Callee)
	for i := range p.protecting {
		if at := &p.protecting[i]; set&at.set != at.set && s.isProtectedBy(&at.list) {
			set |= at.set
		}
	}
	return set
}

// isProtectedBy reports whether the caller is on a list, or may be.
func (s *scan) isProtectedBy(l *listName) bool {
	on := func(name string) bool {
		if !s.lists.Loaded(name) {
			return true
		}
		_, ok := s.lists.Lookup(name, &s.c.Caller, s.c.Time)
		return ok
	}
	if l.own == nil {
		return on(l.name)
	}
	for line, name := range l.own {
		if s.callee.has(uint16(line)) && on(name) {
			return true
		}
	}
	return false
}

// HolderOf is who holds a number by [ranges], the narrowest pattern first; "" if nobody is named. It does not allocate.
func (p *Policy) HolderOf(n *number.Number) string {
	holder, _ := p.holder(n)
	return holder
}

// holder is HolderOf with the pattern that says so.
func (p *Policy) holder(n *number.Number) (string, number.Pattern) {
	if p.ranges.index == nil {
		return "", number.Pattern{}
	}
	var room [16]*number.Match
	found := p.ranges.index.AppendMatches(room[:0], n)
	if len(found) == 0 {
		return "", number.Pattern{}
	}
	return p.ranges.holders[found[0].Set], found[0].Pattern
}

// Holders are those that [ranges] names, each once, in the order of the file.
func (p *Policy) Holders() []string {
	var names []string
	seen := make(map[string]bool)
	for _, h := range p.ranges.holders {
		if !seen[h] {
			seen[h] = true
			names = append(names, h)
		}
	}
	return names
}

// IsDecoy reports whether nobody has a called number: the narrowest line that it belongs to is a decoy.
func (p *Policy) IsDecoy(callee *number.Number) bool {
	if !p.hasDecoys() {
		return false
	}
	s := scan{p: p}
	p.callees.find(&s.callee, callee)
	l := s.lineOfPolicy()
	return l != nil && l.decoy
}

// IsDecoyLine reports whether nobody has the numbers of a line.
func (p *Policy) IsDecoyLine(name string) bool {
	for i := range p.lines {
		if p.lines[i].name == name {
			return p.lines[i].decoy
		}
	}
	return false
}

func (p *Policy) hasDecoys() bool {
	for i := range p.lines {
		if p.lines[i].decoy {
			return true
		}
	}
	return false
}

// DecoyNumbers are the first number of each pattern of the decoy lines, as it is written in the file: what to try whether calls to them come here.
func (p *Policy) DecoyNumbers() (numbers []string) {
	for i := range p.lines {
		if !p.lines[i].decoy {
			continue
		}
		for j := range p.lines[i].numbers {
			if q := &p.lines[i].numbers[j]; !q.Open {
				numbers = append(numbers, q.Ends()[0].String())
			}
		}
	}
	return numbers
}
