package number

import (
	"fmt"
	"math/bits"
	"strings"
)

// Dead says why no call can have a number of the pattern, as advice to who wrote it; "" where a call can. It knows what the plan
// is sure of: lengths, country codes, and how numbers begin inside the country. What is no number, 12, and an Internal number
// that is none are dead, although a caller whose text is just that would be found.
func (p *Plan) Dead(q Pattern) (why string) {
	if q.Size == 0 {
		return "it matches nothing"
	}
	if q.IsExact() {
		if d := q.String(); q.Plus && d[1] != '0' && !strings.HasPrefix(d[1:], p.code) && p.surely(d[1:]) {
			return "" // which spares what the plans of other countries say
		}
		n := p.ParseInternal(q.String())
		switch {
		case n.Kind == Invalid:
			return fmt.Sprintf("it is no number of %s: %s", p.country, n.Reason)
		case n.Kind == Unknown && p.area != "":
			return fmt.Sprintf("it is no number of %s: too short", p.country)
		}
		return ""
	}
	for i := range p.assigned {
		if p.assigned[i].pattern.Overlaps(q) {
			return ""
		}
	}
	s := shapeOf(q)
	switch {
	case q.Plus:
		return p.deadAbroad(s)
	case !q.Open && p.overlapsInternal(q):
		return ""
	case p.china:
		return p.deadInChina(s)
	}
	return p.deadHome(s)
}

// stretch is a pattern as what its numbers have in common: their first digits and how many there are, 0 for any.
type stretch struct {
	lead string
	size int
}

func shapeOf(q Pattern) stretch {
	lo, hi := string(appendPadded(nil, q.Lo, int(q.Size))), string(appendPadded(nil, q.Hi, int(q.Size)))
	same := 0
	for same < len(lo) && lo[same] == hi[same] {
		same++
	}
	s := stretch{lead: lo[:same]}
	if !q.Open {
		s.size = int(q.Size)
	}
	return s
}

// lengths are the lengths that a stretch asks for, a bit each.
func (s stretch) lengths() uint32 {
	if s.size > 0 {
		return 1 << s.size
	}
	return ^uint32(0) << len(s.lead)
}

// tail is what stands behind the first digits in the writing of the pattern.
func (s stretch) tail() string {
	if s.size > 0 {
		return strings.Repeat("?", s.size-len(s.lead))
	}
	return "*"
}

// deadAbroad is Dead of E.164 digits.
func (p *Plan) deadAbroad(s stretch) string {
	code := countryCode(s.lead)
	if code == "" {
		if len(s.lead) >= 3 {
			return fmt.Sprintf("no country has the code +%s", s.lead[:3])
		}
		return ""
	}
	rest := s.lead[len(code):]
	if rest == "" {
		return ""
	}
	behind := stretch{lead: rest, size: max(0, s.size-len(code))}
	if code == p.code && p.china {
		return p.deadInChina(behind)
	}
	c := plausible()[code]
	if c == nil || c.by[rest[0]-'0']&behind.lengths() != 0 || code == p.code && p.shortBegins(behind) {
		return ""
	}
	return p.wrongLength(c, s, "+"+s.lead, len(code), rest)
}

// wrongLength says how long the numbers are that begin so.
func (p *Plan) wrongLength(c *codeLengths, s stretch, lead string, before int, rest string) string {
	have := c.by[rest[0]-'0']
	longest, shortest := bits.Len32(have)-1, bits.TrailingZeros32(have)
	if have == 0 || longest < len(rest) {
		return fmt.Sprintf("no number that begins so has as many digits as %s", lead)
	}
	advice := lead + "*"
	if longest == shortest {
		advice = lead + strings.Repeat("?", longest-len(rest))
		return fmt.Sprintf("numbers that begin with %s have %d digits: write %s, or %s*", lead, before+longest, advice, lead)
	}
	return fmt.Sprintf("numbers that begin with %s have %d to %d digits: write %s", lead, before+shortest, before+longest, advice)
}

// deadHome is Dead of digits as written inside another country than China.
func (p *Plan) deadHome(s stretch) string {
	if s.lead == "" || p.shortBegins(s) {
		return ""
	}
	c := plausible()[p.code]
	if p.trunk == "" || !p.written {
		if c.by[s.lead[0]-'0']&s.lengths() != 0 {
			return ""
		}
		return p.wrongLength(c, s, s.lead, 0, s.lead)
	}
	if rest, ok := strings.CutPrefix(s.lead, p.trunk); ok || strings.HasPrefix(p.trunk, s.lead) {
		if rest == "" || !ok {
			return ""
		}
		if c.by[rest[0]-'0']&(s.lengths()>>len(p.trunk)) != 0 {
			return ""
		}
		return p.wrongLength(c, s, s.lead, len(p.trunk), rest)
	}
	if p.bare(s, c) {
		return ""
	}
	rest := s.lead + s.tail()
	return fmt.Sprintf("no number of %s is written so there: write %s%s or +%s%s", p.country, p.trunk, rest, p.code, rest)
}

// shortBegins reports whether a short number of the country begins so.
func (p *Plan) shortBegins(s stretch) bool {
	if p.short == nil {
		return false
	}
	for _, expression := range []string{p.short.GetShortCode().GetNationalNumberPattern(), p.short.GetEmergency().GetNationalNumberPattern()} {
		if newDigitForms(expression).lengths(s.lead)&s.lengths() != 0 {
			return true
		}
	}
	return false
}

// bare reports whether some number is written without the trunk prefix that others have, and begins so: 131450 in Australia,
// 1544 7000 in Korea. It is how the country writes its numbers that tells.
func (p *Plan) bare(s stretch, c *codeLengths) bool {
	meta, err := territory(p.country)
	if err != nil || meta == nil {
		return true
	}
	for _, f := range meta.GetNumberFormat() {
		if strings.HasPrefix(onlyDigits(f.GetNationalPrefixFormattingRule()), p.trunk) {
			continue
		}
		long := newDigitForms(f.GetPattern()).lengths(s.lead) & s.lengths() & c.by[s.lead[0]-'0']
		if long == 0 {
			continue
		}
		begins := f.GetLeadingDigitsPattern()
		if len(begins) == 0 || newDigitForms("(?:"+begins[len(begins)-1]+")[0-9]*").lengths(s.lead) != 0 {
			return true
		}
	}
	return false
}

// deadInChina is Dead of digits in China, with the trunk 0 or behind the country code. Its plan is fast enough to be tried.
func (p *Plan) deadInChina(s stretch) string {
	for size := max(3, len(s.lead)); size <= 12; size++ {
		if s.lengths()&(1<<size) == 0 {
			continue
		}
		for _, fill := range []string{"2", "5", "0", "1", "8", "9"} {
			n := p.Parse(s.lead + strings.Repeat(fill, size-len(s.lead)))
			if n.E164 != "" && (strings.HasPrefix(n.national, s.lead) || strings.HasPrefix(n.digits[n.cc:], s.lead)) {
				return ""
			}
			if n.Kind == Unknown && p.area == "" {
				return ""
			}
		}
	}
	return fmt.Sprintf("no number of %s begins so and has so many digits", p.country)
}

// wideFree is how many digits a pattern may leave open at most that fixes less than two of a country's digits.
const wideFree = 5

// Wide says why a pattern is wider than a list that came from elsewhere should be, "" if it is not: a whole country, or as good
// as a whole country's numbers, such as 0*, ?????????? and +1*.
func (p *Plan) Wide(q Pattern) (why string) {
	if q.IsExact() || q.Size == 0 {
		return ""
	}
	s := shapeOf(q)
	if s.size > 0 && s.size-len(s.lead) < wideFree || !q.Plus && !q.Open && p.overlapsInternal(q) {
		return ""
	}
	if q.Plus {
		switch code := countryCode(s.lead); {
		case code == "":
			return "it takes several whole countries"
		case code == s.lead:
			return fmt.Sprintf("it takes all numbers with +%s", code)
		case len(s.lead) == len(code)+1:
			return fmt.Sprintf("it takes a large part of all numbers with +%s", code)
		}
		return ""
	}
	lead := s.lead
	if rest, ok := strings.CutPrefix(lead, p.trunk); ok && p.written {
		lead = rest
	}
	switch len(lead) {
	case 0:
		return fmt.Sprintf("it takes all numbers of %s, or all with an area code", p.country)
	case 1:
		return fmt.Sprintf("it takes a large part of all numbers of %s", p.country)
	}
	return ""
}
