package number

import "strconv"

// maxPatternDigits bounds the digits a pattern can hold: E.164 has 15, a trunk 0 may stand before them.
const maxPatternDigits = 16

// Pattern is what an administrator writes where a number is meant: one number, a beginning, a
// beginning with a fixed number of further digits, or a range. Plan.Pattern makes it. It is a small
// value to be compared with == and used as a map key: two patterns are equal when they match the same
// numbers in the same way of writing. The zero value matches nothing.
//
// A pattern looks either at the E.164 digits of a number or at the digits as written inside the
// plan's country, never at both; which one, its text decides (see Plan.Pattern).
type Pattern struct {
	Lo, Hi uint64 // the first and the last number matched, or the beginning in both when open
	Size   uint8  // how many digits lo and hi have, leading zeros counted
	Open   bool   // any further digits may follow
	Plus   bool   // looks at E.164 digits
}

// pow10 holds the powers of ten that fit.
var pow10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// IsExact reports whether the pattern is one single number.
func (p Pattern) IsExact() bool { return p.Size > 0 && !p.Open && p.Lo == p.Hi }

// Ends are the first and the last number of a range or the beginning of an open pattern, as patterns of one number each;
// of a single number it is that alone.
func (p Pattern) Ends() []Pattern {
	first, last := p, p
	first.Hi, first.Open = p.Lo, false
	last.Lo, last.Open = p.Hi, false
	if first == last {
		return []Pattern{first}
	}
	return []Pattern{first, last}
}

// Matches reports whether the number is one of the pattern's. It is the plain definition of matching;
// Index finds the same for many patterns at once.
func (p Pattern) Matches(n *Number) bool {
	d := n.Digits(p.Plus)
	if p.Size == 0 || len(d) < int(p.Size) || !p.Open && len(d) != int(p.Size) {
		return false
	}
	v := digitsValue(d[:p.Size])
	return p.Lo <= v && v <= p.Hi
}

// Digits gives the digits that patterns of one way of writing look at.
func (n *Number) Digits(plus bool) string {
	if plus {
		return n.digits
	}
	return n.national
}

// digitsValue is the value of at most 19 decimal digits.
func digitsValue(d string) uint64 {
	var v uint64
	for i := 0; i < len(d); i++ {
		v = v*10 + uint64(d[i]-'0')
	}
	return v
}

// String gives the canonical text, which Plan.Pattern reads back as the same pattern: an exact number
// as E.164 where it has one, a beginning as 9521*, a block as 9521????, another range with "..".
func (p Pattern) String() string {
	if p.Size == 0 {
		return ""
	}
	buf := make([]byte, 0, 2*maxPatternDigits+4)
	if p.Plus {
		buf = append(buf, '+')
	}
	if p.Open {
		return string(append(appendPadded(buf, p.Lo, int(p.Size)), '*'))
	}
	if k, ok := p.block(); ok {
		if k < int(p.Size) {
			buf = appendPadded(buf, p.Lo/pow10[k], int(p.Size)-k)
		}
		for range k {
			buf = append(buf, '?')
		}
		return string(buf)
	}
	buf = append(appendPadded(buf, p.Lo, int(p.Size)), '.', '.')
	if p.Plus {
		buf = append(buf, '+')
	}
	return string(appendPadded(buf, p.Hi, int(p.Size)))
}

// block reports whether a pattern of fixed length is a beginning and k free digits.
func (p Pattern) block() (k int, ok bool) {
	for ; k <= int(p.Size); k++ {
		if p.Hi-p.Lo == pow10[k]-1 {
			return k, p.Lo%pow10[k] == 0
		}
	}
	return 0, false
}

// appendPadded writes v with leading zeros up to size digits.
func appendPadded(buf []byte, v uint64, size int) []byte {
	var d [20]byte
	s := strconv.AppendUint(d[:0], v, 10)
	for range size - len(s) {
		buf = append(buf, '0')
	}
	return append(buf, s...)
}

// width is how many numbers as long as n the pattern matches; n must be one of them.
func (p Pattern) width(n *Number) uint64 {
	if !p.Open {
		return p.Hi - p.Lo + 1
	}
	return pow10[min(len(n.Digits(p.Plus))-int(p.Size), len(pow10)-1)]
}

// Narrower reports whether p is the narrower of two patterns that both match n: the one that matches
// fewer numbers of that length, then the one of fixed length. What is still equal is put in a fixed
// order, so that the same call is always explained by the same pattern.
func (p Pattern) Narrower(q Pattern, n *Number) bool {
	switch pw, qw := p.width(n), q.width(n); {
	case pw != qw:
		return pw < qw
	case p.Open != q.Open:
		return q.Open
	case p.Plus != q.Plus:
		return p.Plus
	}
	return p.Lo < q.Lo
}

// Overlaps reports whether there are digits that both patterns match.
func (p Pattern) Overlaps(q Pattern) bool {
	if p.Plus != q.Plus || p.Size == 0 || q.Size == 0 {
		return false
	}
	if p.Size > q.Size {
		p, q = q, p
	}
	if p.Size < q.Size && !p.Open {
		return false
	}
	k := pow10[q.Size-p.Size]
	lo, hi := p.Lo*k, p.Hi*k+k-1
	return lo <= q.Hi && q.Lo <= hi
}
