package number

// InE164 gives patterns of E.164 numbers that, together, match every number of this country that q matches and that has an E.164 form; q looks at
// digits as written inside the country. They may match others as well, where q is open or its ends are no numbers: whoever must know asks
// of a number whether q matches it. Of a pattern of E.164 numbers it is that pattern alone.
func (p *Plan) InE164(q Pattern) []Pattern {
	if q.Plus || q.Size == 0 {
		return []Pattern{q}
	}
	for _, in := range p.internal {
		if in.Size == q.Size && in.Lo <= q.Lo && q.Hi <= in.Hi && !q.Open {
			return nil // they have none
		}
	}
	if r, ok := p.SameInE164(q); ok {
		return []Pattern{r}
	}
	// After the country code the number stands as it is written, or without its trunk prefix: some countries keep that.
	out := p.behindCode(nil, q)
	if p.trunk == "" {
		return out
	}
	with := Pattern{Lo: digitsValue(p.trunk), Hi: digitsValue(p.trunk), Size: uint8(len(p.trunk)), Open: true}
	switch {
	case !q.Overlaps(with):
	case q.Size <= with.Size: // as 0*: all that is dialled with the trunk prefix
		out = p.behindCode(out, Pattern{Size: 0, Open: true})
	default:
		k := pow10[q.Size-with.Size]
		from := with.Lo * k
		out = p.behindCode(out, Pattern{Lo: max(q.Lo, from) - from, Hi: min(q.Hi, from+k-1) - from, Size: q.Size - with.Size, Open: q.Open})
	}
	return out
}

// behindCode appends the country code with the digits of q behind it, where E.164 has room for so many.
func (p *Plan) behindCode(to []Pattern, q Pattern) []Pattern {
	size := len(p.code) + int(q.Size)
	if size > maxPatternDigits {
		return to
	}
	code := digitsValue(p.code) * pow10[q.Size]
	return append(to, Pattern{Lo: code + q.Lo, Hi: code + q.Hi, Size: uint8(size), Open: q.Open, Plus: true})
}

// SameInE164 is a pattern of numbers as written inside the country as one of E.164 numbers, if it is the same numbers in both. ok is false
// of a pattern that looks at E.164 digits already.
func (p *Plan) SameInE164(q Pattern) (same Pattern, ok bool) {
	if q.Plus || q.Open {
		return q, false
	}
	var read []Pattern
	for _, e := range q.Ends() {
		n := p.ParseInternal(e.String())
		if n.E164 == "" {
			return q, false
		}
		made, err := p.KeptPattern(n.E164)
		if err != nil {
			return q, false
		}
		read = append(read, made)
	}
	first, last := read[0], read[len(read)-1]
	first.Hi = last.Hi
	return first, first.Size == last.Size && first.Hi-first.Lo == q.Hi-q.Lo
}
