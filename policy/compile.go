package policy

import (
	"sort"

	"ringfence/number"
)

// maxHits bounds the bits of one matcher: two conditions a rule, and the lines, or never_screen and whom detectors spare.
const maxHits = 2*MaxRules + MaxLines + MaxDetectors + 64

// hits says, a bit each, which conditions on a number hold for one call.
type hits [(maxHits + 63) / 64]uint64

func (h *hits) set(bit uint16)      { h[bit>>6] |= 1 << (bit & 63) }
func (h *hits) unset(bit uint16)    { h[bit>>6] &^= 1 << (bit & 63) }
func (h *hits) has(bit uint16) bool { return h[bit>>6]&(1<<(bit&63)) != 0 }

// matcher holds the patterns of all conditions on one number of a call, the caller's or the callee's. The index knows each
// pattern once, whatever the number of conditions it serves, so that one look-up finds few matches.
type matcher struct {
	index *number.Index
	from  []uint32 // pattern number → its first place in bits; the next pattern's first place ends it
	bits  []uint16
}

// met are the patterns that matched one number of a call, and the conditions that hold by them.
type met struct {
	hits
	n    int
	room [32]*number.Match
	more []*number.Match // all of them, when they are more than there is room for
}

// all gives the patterns, the narrowest first.
func (f *met) all() []*number.Match {
	if f.more != nil {
		return f.more
	}
	return f.room[:f.n]
}

// find looks a number up. It allocates only for a number that more patterns match than there is room for.
func (m *matcher) find(f *met, n *number.Number) {
	found := m.index.AppendMatches(f.room[:0], n)
	if f.n = len(found); f.n > len(f.room) {
		f.more = append([]*number.Match(nil), found...) // a copy, so that the compiler can tell that the room itself is not kept
	}
	for i := range found {
		for _, bit := range m.of(found[i].Set) {
			f.set(bit)
		}
	}
}

// of gives the bits of a pattern.
func (m *matcher) of(pattern uint32) []uint16 { return m.bits[m.from[pattern]:m.from[pattern+1]] }

// narrowest is the narrowest pattern of a condition that matched.
func (m *matcher) narrowest(matches []*number.Match, bit uint16) number.Pattern {
	for i := range matches {
		for _, b := range m.of(matches[i].Set) {
			if b == bit {
				return matches[i].Pattern
			}
		}
	}
	return number.Pattern{}
}

// matcherBuilder gathers patterns for a matcher.
type matcherBuilder struct {
	numbers map[number.Pattern]uint32
	order   []number.Pattern
	bitsOf  [][]uint16
	next    uint16
}

// bit gives a condition the next bit and notes its patterns.
func (b *matcherBuilder) bit(patterns []numberPattern) uint16 {
	bit := b.next
	b.next++
	b.note(bit, patterns)
	return bit
}

// note notes the patterns of a condition that has a bit.
func (b *matcherBuilder) note(bit uint16, patterns []numberPattern) {
	if b.numbers == nil {
		b.numbers = make(map[number.Pattern]uint32)
	}
	for i := range patterns {
		p := patterns[i].Pattern
		n, ok := b.numbers[p]
		if !ok {
			n = uint32(len(b.order))
			b.numbers[p] = n
			b.order = append(b.order, p)
			b.bitsOf = append(b.bitsOf, nil)
		}
		b.bitsOf[n] = append(b.bitsOf[n], bit)
	}
}

func (b *matcherBuilder) matcher() matcher {
	m := matcher{index: number.NewIndex(), from: make([]uint32, 0, len(b.order)+1)}
	for n, p := range b.order {
		m.index.Add(p, uint32(n))
		m.from = append(m.from, uint32(len(m.bits)))
		m.bits = append(m.bits, b.bitsOf[n]...)
	}
	m.from = append(m.from, uint32(len(m.bits)))
	return m
}

// The first bits of callers are those of rules, by their places: of a rule with a condition `caller` it is that one's, and of any other rule every
// caller has it. So a call passes over most rules by 64 at once. never_screen has the bit behind. A line's bit among the callees' is its number.
const (
	ruleBits       = (MaxRules + 63) / 64 * 64
	neverScreenBit = ruleBits
)

// compile builds the two matchers and gives the conditions their bits.
func (p *Policy) compile() {
	var callers, callees matcherBuilder
	callers.next = neverScreenBit
	callers.bit(p.neverScreen)
	for i := range p.detectors {
		p.detectors[i].protect.bit = callers.bit(p.detectors[i].protect.text)
	}
	for i := range p.lines {
		callees.bit(p.lines[i].numbers)
	}
	for i := range p.rules {
		p.anyCaller.set(uint16(i))
		for j := range p.rules[i].conditions {
			c := &p.rules[i].conditions[j]
			switch c.on {
			case onCaller:
				c.bit = uint16(i)
				p.anyCaller.unset(c.bit)
				callers.note(c.bit, c.text)
			case onCallerNot:
				c.bit = callers.bit(c.text)
			case onCallee, onCalleeNot:
				c.bit = callees.bit(c.text)
			}
		}
		// The cheap conditions first, the ones that ask a list last; what a rule says does not depend on it.
		sort.SliceStable(p.rules[i].conditions, func(a, b int) bool {
			return costOf[p.rules[i].conditions[a].on] < costOf[p.rules[i].conditions[b].on]
		})
	}
	p.callers, p.callees = callers.matcher(), callees.matcher()
	p.giveListBits()
	for i := range p.rules {
		if c := p.rules[i].find(onList); c != nil && p.rules[i].refuses() {
			p.refusing = append(p.refusing, c)
		}
	}
}

// giveListBits gives the lists that rules ask for their bits, as far as there are some.
func (p *Policy) giveListBits() {
	bits := make(map[string]uint64)
	for i := range p.rules {
		for j := range p.rules[i].conditions {
			c := &p.rules[i].conditions[j]
			if c.on != onList && c.on != onListNot {
				continue
			}
			for k := range c.lists {
				l := &c.lists[k]
				if _, had := bits[l.name]; !had {
					bits[l.name] = 1 << len(bits) // 0 from the 65th on
				}
				l.bit = bits[l.name]
			}
		}
	}
}

// costOf ranks the conditions by what testing one costs.
var costOf = [...]int{
	onCaller: 1, onCallerNot: 2, onLine: 0, onCallee: 1, onCalleeNot: 2, onCallerKind: 1,
	onTrunk: 3, onAttestation: 3, onKnown: 3, onHours: 4, onCallerName: 5, onList: 6, onListNot: 6,
	onWritten: 1, onIdentityDiffers: 1, onDiverted: 0, onAgain: 1, onCallerText: 3,
	onTripped: 0, onHolder: 3, onScore: 4,
}

// sortRanges puts the narrowest address ranges first.
func sortRanges(ranges []trunkRange) {
	sort.SliceStable(ranges, func(i, j int) bool { return ranges[i].prefix.Bits() > ranges[j].prefix.Bits() })
}
