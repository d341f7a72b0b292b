package number

// Key packs an exact number of at most 15 digits into 55 bits, for who handles millions of them. Keys sort as the
// patterns' texts do: E.164 numbers before others, then digit by digit. ok is false of every other pattern.
func (p Pattern) Key() (key uint64, ok bool) {
	if !p.IsExact() || p.Size > 15 {
		return 0, false
	}
	return packKey(p.Lo, int(p.Size), p.Plus), true
}

func packKey(v uint64, size int, plus bool) uint64 {
	k := v*pow10[15-size]<<4 | uint64(size)
	if !plus {
		k |= 1 << 54
	}
	return k
}

// KeyPattern is the pattern that Key packed.
func KeyPattern(k uint64) Pattern {
	size := int(k & 15)
	v := (k &^ (1 << 54) >> 4) / pow10[15-size]
	return Pattern{Lo: v, Hi: v, Size: uint8(size), Plus: k&(1<<54) == 0}
}

// DigitsKey is the key of a number in one way of writing.
func DigitsKey(digits string, plus bool) (uint64, bool) {
	if digits == "" || len(digits) > 15 {
		return 0, false
	}
	return packKey(digitsValue(digits), len(digits), plus), true
}
