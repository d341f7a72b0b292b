package number

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// Reasons for Number.Reason that the numbering plans give.
const (
	reasonShort    = "too short"
	reasonLong     = "too long"
	reasonLength   = "wrong length"
	reasonPrefix   = "unassigned prefix"
	reasonCode     = "unknown country code"
	reasonLocal    = "local number without area code"
	reasonInternal = "internal number from outside"
)

// maxDialled is how many digits can be dialled for one number: an international prefix and 15 digits.
// What is longer is not looked up in any plan.
const maxDialled = 22

// PlanOptions says how numbers are read.
type PlanOptions struct {
	Country  string   // ISO 3166-1 alpha-2: how national numbers are read
	Internal []string // patterns of internal numbers, as dialled: "8???", "1000-1099"
}

// PlanError is a fault in PlanOptions. NewPlan joins one for every fault there is.
type PlanError struct {
	Internal int    // the place in PlanOptions.Internal, -1 for Country
	Advice   string // what is wrong and what to write instead
}

func (e *PlanError) Error() string { return e.Advice }

// Plan reads telephone numbers as a PBX in one country does. It is immutable and safe for concurrent
// use. Every text that may be a number, be it a caller's, a pattern, a list entry or a row of an
// import, is read by one, so that the same number is the same everywhere.
//
// A number of the plan's country is written nationally or behind an international prefix; one of
// another country needs + or the international prefix (00 counts everywhere, 011, 010, 0011 or 8~10
// where it is dialled). Countries that share a country code (the United States, Canada and others
// under 1) count as one.
type Plan struct {
	country  string
	code     string         // the country code, without +
	trunk    string         // dialled before an area code: 0, in some countries 1, 8 or 06; "" if nothing is
	written  bool           // the trunk prefix stands in numbers as they are written
	idd      *regexp.Regexp // the international prefix, where it is more than 00
	china    bool
	internal []Pattern
	short    *phonenumbers.PhoneMetadata
}

// NewPlan makes the plan of a country. The error joins a *PlanError for each fault.
func NewPlan(o PlanOptions) (*Plan, error) {
	p := &Plan{country: strings.ToUpper(strings.TrimSpace(o.Country))}
	var faults []error
	if err := p.load(); err != nil {
		faults = append(faults, err)
	}
	for i, text := range o.Internal {
		pattern, err := p.internalPattern(text)
		if err != nil {
			faults = append(faults, &PlanError{Internal: i, Advice: err.Error()})
			continue
		}
		p.internal = append(p.internal, pattern)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return p, nil
}

// load fills in what is known of the country.
func (p *Plan) load() error {
	meta, err := territory(p.country)
	if err != nil {
		return fmt.Errorf("the numbering plans cannot be read: %w", err)
	}
	if meta == nil || len(p.country) != 2 { // the metadata have numbers of no country as well
		return &PlanError{Internal: -1, Advice: fmt.Sprintf("%q is no country with telephone numbers: write its two letters of ISO 3166-1, %s", p.country, likelyCountry(p.country))}
	}
	if p.short, err = shortCodes(p.country); err != nil {
		return fmt.Errorf("the numbering plans cannot be read: %w", err)
	}
	p.code = strconv.Itoa(int(meta.GetCountryCode()))
	p.trunk = meta.GetNationalPrefix()
	p.china = p.country == "CN"
	if example := phonenumbers.GetExampleNumber(p.country); example != nil && p.trunk != "" {
		p.written = strings.HasPrefix(onlyDigits(phonenumbers.Format(example, phonenumbers.NATIONAL)), p.trunk)
	}
	if prefix := meta.GetInternationalPrefix(); prefix != "" && prefix != "00" && !p.china {
		if p.idd, err = regexp.Compile("^(?:" + prefix + ")"); err != nil {
			return fmt.Errorf("the numbering plans cannot be read: %w", err)
		}
	}
	return nil
}

// likelyCountry guesses what was meant by a text that is no country's letters.
func likelyCountry(text string) string {
	if text == "UK" {
		return "GB"
	}
	if code, err := strconv.Atoi(strings.TrimPrefix(text, "+")); err == nil {
		if region := phonenumbers.GetRegionCodeForCountryCode(code); len(region) == 2 && region != "ZZ" {
			return region
		}
	}
	return "such as CN, US or GB"
}

// Country gives the country, as ISO 3166-1 alpha-2 in capitals.
func (p *Plan) Country() string { return p.country }

// Parse reads a number that comes from outside: internal numbers cannot be claimed and are Invalid.
// The text may be a bare number with or without separators, in digits of any script, a tel: or sip:
// URI, or one with a display name. It never fails: what is no number says so by its Kind and Reason.
//
// An Invalid or Unknown number that consists of digits keeps them, so that a pattern written the same
// way matches it.
func (p *Plan) Parse(raw string) Number { return p.read(raw, false) }

// ParseInternal reads a number that may be an internal one: a callee, or the caller on a trunk or from
// a user that the PBX trusts with internal numbers. In all else it is Parse.
func (p *Plan) ParseInternal(raw string) Number { return p.read(raw, true) }

func (p *Plan) read(raw string, mayClaim bool) Number {
	if len(raw) > MaxRaw {
		n := Number{Raw: strings.Clone(Cut(raw))}
		n.invalid(reasonLong)
		n.plan = p
		return n
	}
	n := Number{Raw: raw}
	w := readWritten(raw)
	switch {
	case w.fault == faultWithheld:
		n.Kind, n.Kinds = Anonymous, kindsOf(Anonymous)
	case w.fault != noFault:
		n.invalid(w.fault.reason())
	default:
		p.resolve(&n, w, mayClaim)
	}
	if n.Kind == Invalid {
		n.plan = p
	}
	return n
}

// Cut shortens a text to MaxRaw bytes without splitting a character.
func Cut(raw string) string {
	end := MaxRaw
	for end > MaxRaw-utf8.UTFMax && !utf8.RuneStart(raw[end]) {
		end--
	}
	return raw[:end]
}

// invalid marks a number as none.
func (n *Number) invalid(reason string) { n.none(Invalid, reason) }

func (n *Number) none(k Kind, reason string) {
	n.Kind, n.Kinds, n.Reason = k, kindsOf(k), reason
}

// resolve finds the number that digits stand for.
func (p *Plan) resolve(n *Number, w written, mayClaim bool) {
	d := w.digits
	plus := w.plus
	if plus && d[0] == '0' {
		plus = false // no country code begins with 0: gateways put a + before anything
	}
	if len(d) > maxDialled {
		n.invalid(reasonLong)
		n.keep(d, plus)
		return
	}
	if !plus && p.isInternal(d) {
		if mayClaim {
			n.Kind, n.Kinds, n.national = Internal, kindsOf(Internal), d
		} else {
			n.invalid(reasonInternal) // without digits, so that no pattern for internal numbers takes it
		}
		return
	}
	n.Form = FormNational // until it turns out otherwise
	switch {
	case plus:
		n.Form = FormPlus
		p.international(n, d, w.zero)
	case p.china && len(d) > 2 && d[:2] == "00" && d[2] != '0':
		n.Form = FormInternational
		p.international(n, d[2:], w.zero-2)
	case p.china:
		p.chinaHome(n, d, mayClaim)
	default:
		p.home(n, d, w.zero)
	}
	if n.Kind == Unknown && n.Reason == reasonLocal {
		n.Form = FormLocal
	}
}

// keep stores the digits of what is no number, as written.
func (n *Number) keep(d string, plus bool) {
	if plus {
		n.digits = d
	} else {
		n.national = d
	}
}

// isInternal reports whether digits are an internal number. Emergency numbers never are.
func (p *Plan) isInternal(d string) bool {
	if len(p.internal) == 0 {
		return false
	}
	n := Number{national: d}
	for _, pattern := range p.internal {
		if pattern.Matches(&n) {
			return !p.isEmergency(d)
		}
	}
	return false
}

// isEmergency reports whether digits, as dialled, are an emergency number of the country.
func (p *Plan) isEmergency(d string) bool {
	if p.china {
		k, _ := chinaService(d)
		return k == Emergency
	}
	return p.shortKinds(d).Has(Emergency)
}

// international reads digits behind + or an international prefix; zero is the place of a (0) among
// them, if above 0.
func (p *Plan) international(n *Number, d string, zero int) {
	code := countryCode(d)
	if code == "" {
		n.invalid(reasonCode)
		n.digits = d
		return
	}
	if zero == len(code) && zero < len(d) && code != "39" {
		// +49 (0)30: the 0 is for callers inside the country. Only Italy's belongs to the number.
		d = d[:zero] + d[zero+1:]
	}
	if code == chinaCode {
		c := readChina(d[len(code):], true)
		if c.kind == Invalid {
			n.invalid(c.reason)
			n.digits = d
			return
		}
		p.setChina(n, c)
		return
	}
	num, kinds, kind, reason := readOrdinary("+"+d, "")
	if reason == "" {
		p.setOrdinary(n, num, kinds)
		return
	}
	if code == p.code {
		if kinds := p.shortKinds(d[len(code):]); kinds != 0 {
			p.setShort(n, d[len(code):], kinds)
			return
		}
	}
	n.none(kind, reason)
	n.digits = d
}

// chinaHome reads digits written inside China, without an international prefix.
func (p *Plan) chinaHome(n *Number, d string, dialled bool) {
	c := readChina(d, false)
	if dialled && len(d) > 4 && d[0] == '0' && chinaArea(d[1:]) == 3 {
		// Who dials the police of another town means them, although 0952110 could be a caller's 952110.
		if k, ks := chinaService(d[4:]); k == Emergency {
			c = chinese{nsn: d[4:], kind: k, kinds: ks}
		}
	}
	if c.reason != "" {
		// The country code without + or 00 before it, with a trunk 0 at most. No number of the country
		// begins so, except a local one without area code.
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(d, "0"), chinaCode); ok && rest != "" {
			if behind := readChina(rest, true); behind.reason == "" {
				c = behind
				n.Form = FormInternational
			}
		}
	}
	if c.reason != "" {
		n.none(c.kind, c.reason)
		n.national = d
		return
	}
	p.setChina(n, c)
}

// home reads digits written inside another country than China.
func (p *Plan) home(n *Number, d string, zero int) {
	if kinds := p.shortKinds(d); kinds.Has(Emergency) {
		p.setShort(n, d, kinds)
		return
	}
	// International prefixes before the metadata's reading: the one of this country, and 00, which
	// carriers put before foreign numbers also where nobody dials it.
	for _, prefix := range []string{p.prefixOf(d), "00"} {
		if rest, ok := strings.CutPrefix(d, prefix); ok && prefix != "" {
			abroad := Number{Raw: n.Raw, Form: FormInternational}
			p.international(&abroad, rest, zero-len(prefix))
			if abroad.E164 != "" {
				*n = abroad
				return
			}
		}
	}
	num, kinds, kind, reason := readOrdinary(d, p.country)
	if reason == "" && strconv.Itoa(int(num.GetCountryCode())) == p.code {
		p.setOrdinary(n, num, kinds)
		if d == n.digits && p.trunk != p.code {
			n.Form = FormInternational // the country code with nothing before it
		}
		return
	}
	if kinds := p.shortKinds(d); kinds != 0 {
		p.setShort(n, d, kinds)
		return
	}
	// The country code with nothing before it; before ordinary numbers the metadata know it.
	if rest, ok := strings.CutPrefix(d, p.code); ok {
		if kinds := p.shortKinds(rest); kinds != 0 {
			n.Form = FormInternational
			p.setShort(n, rest, kinds)
			return
		}
	}
	for _, prefix := range []string{p.prefixOf(d), "00"} {
		if rest, ok := strings.CutPrefix(d, prefix); ok && prefix != "" && countryCode(rest) != "" {
			n.Form = FormInternational
			p.international(n, rest, zero-len(prefix)) // only for the reason why it is none
			return
		}
	}
	if reason == "" { // a foreign number for the metadata only, such as China's without its own plan
		kind, reason = Invalid, reasonPrefix
	}
	n.none(kind, reason)
	n.national = d
}

// prefixOf gives the international prefix of the country that digits begin with, "" for none or 00.
func (p *Plan) prefixOf(d string) string {
	if p.idd == nil {
		return ""
	}
	return p.idd.FindString(d)
}

// setChina stores a number of China, in one allocation.
func (p *Plan) setChina(n *Number, c chinese) {
	n.cc = uint8(len(chinaCode))
	if !p.china {
		n.E164 = "+" + chinaCode + c.nsn
		n.digits = n.E164[1:]
		n.foreign(c.kinds)
		return
	}
	const head = len("+" + chinaCode)
	if end := head + len(c.nsn); c.trunk {
		both := "+" + chinaCode + c.nsn + "0" + c.nsn
		n.E164, n.national = both[:end], both[end:]
	} else {
		n.E164 = "+" + chinaCode + c.nsn
		n.national = n.E164[head:]
	}
	n.digits = n.E164[1:]
	n.Kind, n.Kinds = c.kind, c.kinds
}

// setOrdinary stores what the metadata know.
func (p *Plan) setOrdinary(n *Number, num *phonenumbers.PhoneNumber, kinds Kinds) {
	e164 := phonenumbers.Format(num, phonenumbers.E164)
	if len(e164) > 16 {
		n.invalid(reasonLong)
		n.digits = e164[1:]
		return
	}
	n.E164, n.digits = e164, e164[1:]
	code := strconv.Itoa(int(num.GetCountryCode()))
	n.cc = uint8(len(code))
	if code != p.code {
		n.foreign(kinds)
		return
	}
	n.national = p.nationalDigits(num)
	n.Kind, n.Kinds = mainKind(kinds), kinds
}

// setShort stores a short number of the plan's country.
func (p *Plan) setShort(n *Number, d string, kinds Kinds) {
	n.E164 = "+" + p.code + d
	n.digits = n.E164[1:]
	n.national = n.digits[len(p.code):]
	n.cc = uint8(len(p.code))
	n.Kind, n.Kinds = Service, kinds
	if kinds.Has(Emergency) {
		n.Kind = Emergency
	}
}

// foreign gives a number of another country its kinds. An emergency number of elsewhere is none here.
func (n *Number) foreign(kinds Kinds) {
	kinds &^= kindsOf(Emergency, Unknown)
	n.Kind, n.Kinds = International, kinds.With(International)
}
