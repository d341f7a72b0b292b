package number

import (
	"errors"
	"fmt"
	"strings"
)

// Pattern reads what an administrator writes for numbers:
//
//	95588                     that number only, in any of its spellings, never a beginning
//	9521*                     every number that begins so, of any length
//	9521????                  begins so and has exactly four more digits
//	05925550000-05925550999   a range with both ends, also with ..
//	+1*                       a whole country
//
// What begins with + or 00 looks at E.164 digits. All else looks at digits as written inside the
// plan's country, trunk 0 included, and only at numbers of that country and internal ones. Digits,
// separators, * and ? may be those of any script. One hyphen is a separator (0592-5550100), and makes a range only
// between two internal numbers, or where the text is no number and both ends are.
//
// The error is advice to the administrator: what is wrong and what to write instead.
func (p *Plan) Pattern(text string) (Pattern, error) { return p.readPattern(text, false) }

// KeptPattern reads a canonical text, as Pattern.String gave it. It takes a tenth of the time of Pattern for an
// E.164 number, of which lists have millions: what a plan of another country would say of it is not asked.
func (p *Plan) KeptPattern(text string) (Pattern, error) {
	if n := len(text) - 1; n < 1 || n > 15 || text[0] != '+' {
		return p.Pattern(text)
	}
	var v uint64
	for i := 1; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			return p.Pattern(text)
		}
		v = v*10 + uint64(text[i]-'0')
	}
	return Pattern{Lo: v, Hi: v, Size: uint8(len(text) - 1), Plus: true}, nil
}

// Again reads a canonical text that an earlier normaliser may have written. It is Pattern, but spares E.164 numbers, of which lists
// have millions, the plans of their countries where these could not make another number of them.
func (p *Plan) Again(text string) (Pattern, error) {
	q, err := p.KeptPattern(text)
	if err != nil || !q.Plus || !q.IsExact() || q.String() != text {
		return p.Pattern(text)
	}
	if p.surely(text[1:]) {
		return q, nil
	}
	return p.Pattern(text)
}

// surely reports whether E.164 digits are the number that they are written as, whatever its country's plan says of it.
func (p *Plan) surely(d string) bool {
	code := countryCode(d)
	c := plausible()[code]
	if c == nil || code == chinaCode || len(d) <= len(code) || isRenumbered(code) {
		return false
	}
	nsn := d[len(code):]
	return (c.trunk == "" || !strings.HasPrefix(nsn, c.trunk)) && c.has(nsn)
}

// internalPattern reads a pattern of internal numbers, as dialled: no plan is asked, a hyphen always
// makes a range, and the length is fixed, because a beginning of any length would claim the numbers of
// outside callers.
func (p *Plan) internalPattern(text string) (Pattern, error) { return p.readPattern(text, true) }

func (p *Plan) readPattern(text string, internal bool) (Pattern, error) {
	if !internal && len(text) <= MaxRaw && isPlain(text) { // as most of what lists of millions have: there is nothing to look for in it
		number := p.ParseInternal(text)
		return p.exact(text, &number, 0)
	}
	text = trimInvisible(text)
	switch {
	case text == "":
		return Pattern{}, errors.New("it is empty: write a number such as 95588, or a beginning such as 9521*")
	case len(text) > MaxRaw:
		return Pattern{}, errors.New("too long: a number has at most 15 digits")
	}
	if left, right, ok := strings.Cut(text, ".."); ok {
		return p.readRange(left, right, internal)
	}
	if strings.ContainsAny(text, "*?＊？") {
		return p.readBeginning(text, internal)
	}
	left, right, hyphens := cutHyphen(text)
	if internal {
		if hyphens == 1 {
			return p.readRange(left, right, true)
		}
		return p.readInternal(text)
	}
	number := p.ParseInternal(text)
	if hyphens == 1 {
		switch isRange, err := p.weighHyphen(left, right, &number); {
		case err != nil:
			return Pattern{}, err
		case isRange:
			return p.readRange(left, right, false)
		}
	}
	return p.exact(text, &number, hyphens)
}

// isPlain reports whether a text is digits of ASCII, with or without + in front.
func isPlain(text string) bool {
	digits := strings.TrimPrefix(text, "+")
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return digits != ""
}

// weighHyphen decides what a text with one hyphen is, given the number that it would be as a whole. People group numbers so in
// every country (70123-98765, 1544-7000), and to block a range that nobody meant is the worst that a list can do: a range is
// only what is no number, with two whole numbers as its ends, or what lies between two internal numbers. The error says that
// it may be either.
func (p *Plan) weighHyphen(left, right string, number *Number) (isRange bool, err error) {
	lo, hi := scanNumber(left, false), scanNumber(right, false)
	if lo.fault != noFault || hi.fault != noFault || len(lo.digits) < 3 || len(hi.digits) < 3 {
		return false, nil
	}
	switch {
	case p.isInternal(lo.digits) && p.isInternal(hi.digits):
		return true, nil
	case number.Kind == Internal, number.E164 != "" && !number.Kinds.Has(Unassigned):
		return false, nil
	}
	sameLength := len(lo.digits) == len(hi.digits)
	rises := sameLength && lo.digits < hi.digits
	first, last := p.ParseInternal(left), p.ParseInternal(right)
	if number.E164 != "" || number.Kind == Unknown {
		if rises && (first.known() || last.known()) {
			return false, fmt.Errorf("%s-%s may be one number or a range: write %s..%s for the range, or %s for the number",
				lo.text(), hi.text(), lo.text(), hi.text(), lo.text()+hi.digits)
		}
		return false, nil
	}
	extensions := len(lo.digits) <= maxExtension && first.Kind == Invalid && last.Kind == Invalid // that are not under internal
	if sameLength && (first.E164 != "" && last.E164 != "" || extensions) {
		return true, nil
	}
	if _, err := p.readRange(left, right, false); err != nil {
		return false, err
	}
	return false, fmt.Errorf("%s-%s is no number of %s: write %s..%s for a range", lo.text(), hi.text(), p.country, lo.text(), hi.text())
}

// maxExtension is how many digits an extension has at most that is taken for one without being told.
const maxExtension = 5

// known reports whether it is a number that the plan knows.
func (n *Number) known() bool {
	return n.Kind == Internal || n.E164 != "" && !n.Kinds.Has(Unassigned)
}

// text is the number as digits.
func (w written) text() string {
	if w.plus {
		return "+" + w.digits
	}
	return w.digits
}

// exact makes the pattern of one number.
func (p *Plan) exact(text string, n *Number, hyphens int) (Pattern, error) {
	d, plus := n.digits, true
	if n.E164 == "" && n.national != "" {
		d, plus = n.national, false
	}
	switch {
	case n.Kind == Anonymous && d == "":
		return Pattern{}, errors.New(`withheld callers have no number: write caller_kind = ["anonymous"]`)
	case d == "" && n.Reason == reasonShort:
		return Pattern{}, errors.New("there is nothing behind the international prefix: write the number, or +86* for a whole country")
	case d == "":
		return Pattern{}, p.fault(text)
	case len(d) > 15 && hyphens > 1:
		return Pattern{}, fmt.Errorf("%d digits are no number: write .. between the two ends of a range", len(d))
	case len(d) > maxPatternDigits:
		return Pattern{}, fmt.Errorf("too long: a number has at most 15 digits, this has %d", len(d))
	}
	v := digitsValue(d)
	return Pattern{Lo: v, Hi: v, Size: uint8(len(d)), Plus: plus}, nil
}

// fault explains a text without usable digits.
func (p *Plan) fault(text string) error {
	return faultAdvice(readWritten(text).fault)
}

// faultAdvice is a fault in the writing, as advice to who wrote a pattern.
func faultAdvice(f textFault) error {
	switch f {
	case faultLetters:
		return errors.New("letters are no part of a number: write digits, with + in front for another country")
	case faultFeature:
		return errors.New("# is no part of a number: feature codes of the PBX are not screened")
	case faultPlus:
		return errors.New("a + stands only before the first digit: write +8659255501*")
	case faultAddress:
		return errors.New("that is an address and no number: addresses belong to match of a trunk")
	case faultNoDigits:
		return errors.New("there is no digit in it: write a number such as 95588, or a beginning such as 9521*")
	case faultAfterStar:
		return errors.New("* stands only at the end, for any further digits: write 9521*, or a range as 95210000..95219999")
	case faultAfterMark:
		return errors.New("? stands only at the end, for one further digit each: write 9521????, or a range as 95210000..95219999")
	case faultMarkStar:
		return errors.New("? and * do not go together: 9521* takes any length, 9521???? exactly four more digits")
	}
	return errors.New("it has characters that no number has: write digits, with + in front for another country")
}

// readBeginning reads a pattern with * or ?.
func (p *Plan) readBeginning(text string, internal bool) (Pattern, error) {
	w := scanNumber(text, true)
	switch {
	case w.fault == noFault:
	case internal && w.fault != faultLetters && w.fault != faultJunk:
		return Pattern{}, errors.New("internal numbers are digits, perhaps with ? behind them, or a range: write 8??? or 1000-1099")
	default:
		return Pattern{}, faultAdvice(w.fault)
	}
	d, plus := w.digits, w.plus
	if !internal && !plus && strings.HasPrefix(d, "00") && !strings.HasPrefix(d, "000") {
		d, plus, w.zero = d[2:], true, w.zero-2
	}
	switch {
	case internal && plus:
		return Pattern{}, errors.New("internal numbers are written as they are dialled: leave the + out")
	case internal && w.open && d == "":
		return Pattern{}, errors.New("* alone would make every number internal: write 8??? or 1000-1099")
	case internal && w.open:
		return Pattern{}, fmt.Errorf("internal numbers need a length, or numbers from outside would count as internal: write %s???", d)
	case d == "" && w.open:
		return Pattern{}, errors.New("* alone would take every number: write how the numbers begin, such as 9521* or +1*, or leave a condition of a rule out")
	case len(d)+w.free > maxPatternDigits:
		return Pattern{}, fmt.Errorf("too long: a number has at most 15 digits, this asks for %d", len(d)+w.free)
	}
	if internal {
		return newBeginning(d, w.free, false, false), nil
	}
	if code := countryCode(d); plus && w.zero > 0 && w.zero == len(code) && code != "39" {
		d = d[:w.zero] + d[w.zero+1:]
	}
	return p.beginning(d, w.free, w.open, plus)
}

// newBeginning makes the pattern of leading digits and either free digits behind them or any.
func newBeginning(d string, free int, open, plus bool) Pattern {
	lo := digitsValue(d) * pow10[free]
	return Pattern{Lo: lo, Hi: lo + pow10[free] - 1, Size: uint8(len(d) + free), Open: open, Plus: plus}
}

// beginning is newBeginning for what a rule or list may hold: beginnings that no number can have are
// refused where another way of writing is likely meant.
func (p *Plan) beginning(d string, free int, open, plus bool) (Pattern, error) {
	tail := strings.Repeat("?", free)
	if open {
		tail = "*"
	}
	made := newBeginning(d, free, open, plus)
	if plus {
		if err := p.checkAbroad(d, tail); err != nil {
			return Pattern{}, err
		}
		return made, nil
	}
	if !open && p.overlapsInternal(made) {
		return made, nil
	}
	if p.trunk != "" && !p.written {
		// A trunk prefix that is dialled but not written is left out: 1305* is 305* in the United States.
		if rest, ok := strings.CutPrefix(d, p.trunk); ok && rest != "" && !strings.HasPrefix(rest, p.trunk) {
			d = rest
		}
	}
	if err := p.checkHome(d, tail); err != nil {
		return Pattern{}, err
	}
	return newBeginning(d, free, open, plus), nil
}

// checkAbroad refuses beginnings that no E.164 number can have.
func (p *Plan) checkAbroad(d, tail string) error {
	if strings.HasPrefix(d, "0") {
		return fmt.Errorf("no country code begins with 0: write %s%s for numbers of %s, or + and the country code", d, tail, p.country)
	}
	rest, ok := strings.CutPrefix(d, p.code)
	if ok && p.trunk == "0" && strings.HasPrefix(rest, "0") {
		return fmt.Errorf("the trunk 0 is not written behind the country code: write +%s%s%s or %s%s", p.code, rest[1:], tail, rest, tail)
	}
	return nil
}

// checkHome refuses beginnings that no number of the country has as it is written there.
func (p *Plan) checkHome(d, tail string) error {
	if prefix := p.prefixOf(d); prefix != "" && len(d) > len(prefix) {
		return fmt.Errorf("%s is how other countries are dialled: write +%s%s", prefix, d[len(prefix):], tail)
	}
	behind, hasCode := strings.CutPrefix(d, p.code)
	if !hasCode && p.trunk == "0" {
		behind, hasCode = strings.CutPrefix(d, "0"+p.code)
		hasCode = hasCode && p.china
	}
	// Only where area codes begin with 0 can the country code not be the beginning of a number. Short
	// codes may begin like it, but they are short.
	if hasCode && (p.china || p.trunk == "0" && p.written && (tail == "*" || len(d)+len(tail) > 7)) {
		if behind == "" {
			return fmt.Errorf("no number of %s is written so inside the country: write +%s%s for the country code", p.country, p.code, tail)
		}
		inside := behind
		if !p.china || chinaArea(behind) > 0 && !strings.HasPrefix(behind, "95") {
			inside = "0" + behind
		}
		return fmt.Errorf("no number of %s is written so inside the country: write +%s%s%s for the country code and %s, or %s%s",
			p.country, p.code, behind, tail, behind, inside, tail)
	}
	if p.china && len(d) >= 3 && d[:2] == "01" && d[2] >= '3' {
		return fmt.Errorf("mobile numbers are written without 0: write %s%s", d[1:], tail)
	}
	if p.china && strings.HasPrefix(d, "0") {
		if area := chinaArea(d[1:]); area > 0 {
			if local := d[1+area:]; strings.HasPrefix(local, "95") || strings.HasPrefix(local, "96") {
				return fmt.Errorf("service codes are written without area code: write %s%s", local, tail)
			}
		}
	}
	return nil
}

// overlapsInternal reports whether some internal number is among those of a pattern of fixed length.
func (p *Plan) overlapsInternal(q Pattern) bool {
	for _, in := range p.internal {
		if in.Size == q.Size && in.Lo <= q.Hi && q.Lo <= in.Hi {
			return true
		}
	}
	return false
}

// readInternal reads one internal number.
func (p *Plan) readInternal(text string) (Pattern, error) {
	w := scanNumber(text, false)
	switch {
	case w.fault == faultFeature:
		return Pattern{}, errors.New("feature codes are no internal numbers: write digits, such as 8??? or 1000-1099")
	case w.fault != noFault:
		return Pattern{}, faultAdvice(w.fault)
	case w.plus:
		return Pattern{}, errors.New("internal numbers are written as they are dialled: leave the + out")
	case len(w.digits) > maxPatternDigits:
		return Pattern{}, fmt.Errorf("too long: a number has at most 15 digits, this has %d", len(w.digits))
	}
	v := digitsValue(w.digits)
	return Pattern{Lo: v, Hi: v, Size: uint8(len(w.digits))}, nil
}

// cutHyphen splits a text at its only hyphen, of whatever kind, and counts the hyphens.
func cutHyphen(text string) (left, right string, hyphens int) {
	for at, r := range text {
		if class, _ := classify(r); class == charHyphen {
			if hyphens++; hyphens == 1 {
				left, right = text[:at], text[at+len(string(r)):]
			}
		}
	}
	return left, right, hyphens
}

// rangeEnd is one end of a range: its digits and how they are written.
type rangeEnd struct {
	digits string
	plus   bool
	kind   Kind
	cc     string
	reason string
}

// readRange reads a range from its two ends.
func (p *Plan) readRange(left, right string, internal bool) (Pattern, error) {
	if strings.Contains(right, "..") {
		return Pattern{}, errors.New("a range has two ends: write one .. between two numbers")
	}
	lo, err := p.readEnd(left, internal)
	if err != nil {
		return Pattern{}, err
	}
	hi, err := p.readEnd(right, internal)
	if err != nil {
		return Pattern{}, err
	}
	loValue, hiValue := digitsValue(lo.digits), digitsValue(hi.digits)
	switch {
	case lo.plus != hi.plus:
		return Pattern{}, errors.New("only one end of the range has a country code: write + before both or before neither")
	case len(lo.digits) != len(hi.digits):
		return Pattern{}, fmt.Errorf("the ends of the range have %d and %d digits: write both in full, with the same length", len(lo.digits), len(hi.digits))
	case lo.kind != hi.kind:
		return Pattern{}, fmt.Errorf("the ends of the range differ in kind, %s is %s and %s is %s: write one range for each kind",
			lo.text(), lo.sort(), hi.text(), hi.sort())
	case lo.cc != hi.cc:
		return Pattern{}, fmt.Errorf("the ends of the range are in different countries: write one range for each")
	case loValue == hiValue:
		return Pattern{}, fmt.Errorf("both ends of the range are the same: write %s alone", lo.text())
	case loValue > hiValue:
		return Pattern{}, fmt.Errorf("the left end of the range is above the right one: write %s..%s", hi.text(), lo.text())
	}
	made := Pattern{Lo: loValue, Hi: hiValue, Size: uint8(len(lo.digits)), Plus: lo.plus}
	if free, ok := made.block(); ok && !internal {
		return p.beginning(lo.digits[:len(lo.digits)-free], free, false, lo.plus) // as if written with ?
	}
	return made, nil
}

func (e rangeEnd) text() string {
	if e.plus {
		return "+" + e.digits
	}
	return e.digits
}

// sort describes an end for the message about kinds.
func (e rangeEnd) sort() string {
	if e.reason != "" {
		return fmt.Sprintf("%s (%s)", e.kind, e.reason)
	}
	return e.kind.String()
}

// readEnd reads one end of a range.
func (p *Plan) readEnd(text string, internal bool) (rangeEnd, error) {
	text = trimInvisible(text)
	switch {
	case text == "":
		return rangeEnd{}, errors.New("a range has two ends: write a number on both sides of it")
	case strings.ContainsAny(text, "*?＊？"):
		return rangeEnd{}, errors.New("a range goes from one number to another: write it without * and ?")
	}
	w := scanNumber(text, false)
	switch {
	case w.fault != noFault:
		return rangeEnd{}, faultAdvice(w.fault)
	case internal && w.plus:
		return rangeEnd{}, errors.New("internal numbers are written as they are dialled: leave the + out")
	case len(w.digits) < 3:
		return rangeEnd{}, fmt.Errorf("the ends of a range have 3 digits at least, %s has %d: write each number on its own", w.digits, len(w.digits))
	}
	end := rangeEnd{digits: w.digits, kind: Internal}
	if !internal {
		n := p.ParseInternal(text)
		end = rangeEnd{digits: n.national, kind: n.Kind, reason: n.Reason}
		if n.national == "" || n.E164 != "" && (w.plus && w.digits[0] != '0' || strings.HasPrefix(w.digits, "00")) {
			end.digits, end.plus = n.digits, true
		}
		if n.E164 != "" {
			end.cc = n.E164[:1+n.cc]
		}
	}
	if len(end.digits) > maxPatternDigits {
		return rangeEnd{}, fmt.Errorf("too long: a number has at most 15 digits, this has %d", len(end.digits))
	}
	return end, nil
}
