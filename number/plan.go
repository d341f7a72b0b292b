package number

import (
	"regexp"
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
	area     string // of local numbers, without trunk prefix; "" leaves them Unknown
	assigned []assigned
	short    *phonenumbers.PhoneMetadata
	general  *phonenumbers.PhoneNumberDesc
	local    []int32 // lengths of numbers without area code, as far as the metadata tell

	emergencies func() []string // see EmergencyNumbers
}

// Country gives the country, as ISO 3166-1 alpha-2 in capitals.
func (p *Plan) Country() string { return p.country }

// Code gives the country code, without +.
func (p *Plan) Code() string { return p.code }

// Parse reads a number that comes from outside: internal numbers cannot be claimed and are Invalid.
// The text may be a bare number with or without separators, in digits of any script, a tel: or sip:
// URI, or one with a display name. It never fails: what is no number says so by its Kind and Reason.
//
// Which number it is, the country code, the trunk prefix and a plausible length tell, whether or not the plan knows it: one that
// it does not is Unassigned. An Invalid or Unknown number that consists of digits keeps them, so that a pattern written the
// same way matches it.
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
		if n.stands(w.digits) {
			n = Number{Raw: raw, Kind: Anonymous, Kinds: kindsOf(Anonymous)}
			n.keep(w.digits, w.plus) // lists had them before
		}
	}
	if n.Kinds&kindsOf(Invalid, Unassigned) != 0 {
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
