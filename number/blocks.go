package number

import "math/bits"

// Blocks calls yield for the key of each block of the pattern: one for a number, a beginning or a beginning with free
// digits, at most 18 for each digit for a range. It is for an index of one's own; see BlockLengths. A pattern that is not Valid has none.
func (p Pattern) Blocks(yield func(key uint64) bool) {
	if !p.Valid() {
		return
	}
	more := true
	p.blocks(func(b block) { more = more && yield(b.key()) })
}

// Valid reports whether the pattern is one that Plan.Pattern may make, for who reads it from elsewhere: of at most 16 digits,
// with ends that have so many, in order, and equal if it is open.
func (p Pattern) Valid() bool {
	return p.Size > 0 && p.Size <= maxPatternDigits && p.Lo <= p.Hi && p.Hi < pow10[p.Size] && (!p.Open || p.Lo == p.Hi)
}

// HasBlock reports whether the pattern matches every number of the block with this key, as it does those of Blocks. The pattern is
// Valid, and the key is one that BlockLengths takes.
func (p Pattern) HasBlock(key uint64) bool {
	lead, size, plus := key>>6, int(key>>1&31), key&1 == 1
	leads := 0
	for lead >= pow10[leads+1] {
		leads++
	}
	lead -= pow10[leads]
	switch {
	case p.Plus != plus:
		return false
	case p.Open:
		return size == 0 && leads == int(p.Size) && lead == p.Lo
	}
	rest := pow10[max(0, size-leads)]
	return size == int(p.Size) && p.Lo <= lead*rest && lead*rest+rest-1 <= p.Hi
}

// BlockLengths says which blocks a set of patterns has, by way of writing, total length (0 is any) and number of leading
// digits, so that a number is looked up only where an answer is possible. The zero value is that of no patterns.
type BlockLengths [2][maxPatternDigits + 1]uint32

// Add takes a block in and reports whether its key is one that Pattern.Blocks gives.
func (l *BlockLengths) Add(key uint64) bool {
	lead, size := key>>6, int(key>>1&31)
	leads := 0
	for leads < maxPatternDigits && lead >= pow10[leads+1] {
		leads++
	}
	if lead < pow10[leads] || lead >= 2*pow10[leads] || size > maxPatternDigits || size > 0 && leads > size {
		return false
	}
	l[key&1][size] |= 1 << leads
	return true
}

// Keys calls yield for the keys of all blocks that the number may be in. An Index goes through its own in the same way, without
// the calls, which would make it a sixth slower.
func (l *BlockLengths) Keys(n *Number, yield func(key uint64)) {
	if n.national != "" {
		l.form(n.national, 0, yield)
	}
	if n.digits != "" {
		l.form(n.digits, 1, yield)
	}
}

// form is Keys for one way of writing.
func (l *BlockLengths) form(d string, form uint64, yield func(key uint64)) {
	anyLength, thisLength := l[form][0], uint32(0)
	if len(d) <= maxPatternDigits {
		thisLength = l[form][len(d)]
	}
	lead, leads := uint64(1), 0 // the 1 is that of block.key
	for todo := anyLength | thisLength; todo != 0; todo &= todo - 1 {
		want := bits.TrailingZeros32(todo)
		if want > len(d) {
			break
		}
		for ; leads < want; leads++ {
			lead = lead*10 + uint64(d[leads]-'0')
		}
		if anyLength&(1<<want) != 0 {
			yield(lead<<6 | form)
		}
		if thisLength&(1<<want) != 0 {
			yield(lead<<6 | uint64(len(d))<<1 | form)
		}
	}
}
