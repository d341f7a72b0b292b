package number

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

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
		if p.china && (c.kind == Invalid || c.kind == Unassigned) && p.newer(n, d[len(code):]) {
			return
		}
		if c.kind == Invalid {
			n.invalid(c.reason)
			n.digits = d
			return
		}
		p.setChina(n, c)
		return
	}
	rest := d[len(code):]
	o := readOrdinary(code, rest)
	if code == p.code && o.num == nil {
		if kinds := p.shortKinds(rest); kinds != 0 {
			p.setShort(n, rest, kinds)
			return
		}
		if p.newer(n, rest) {
			return
		}
	}
	if o.kinds == 0 {
		n.invalid(o.reason)
		n.digits = d
		return
	}
	p.setOrdinary(n, o)
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
	if c.reason != "" || c.kind == Unassigned {
		// The country code without + or 00 before it, with a trunk 0 at most. No number of the country
		// begins so, except a local one without area code.
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(d, "0"), chinaCode); ok && rest != "" {
			switch behind := readChina(rest, true); {
			case behind.reason == "" && behind.kind != Unassigned:
				c, n.Form = behind, FormInternational
			case p.newer(n, rest):
				n.Form = FormInternational
				return
			case behind.reason == "" && c.reason != "":
				c, n.Form = behind, FormInternational
			}
		}
	}
	if (c.reason != "" || c.kind == Unassigned) && p.newer(n, d) {
		return
	}
	switch {
	case c.kind == Unknown && p.area != "":
		if local := readChina(p.area+d, true); local.kind == Fixed {
			c, n.Form = local, FormLocal
		}
	case c.kind == Invalid:
		if rest := p.withoutDialPrefix(d); rest != "" {
			p.behindDialPrefix(n, rest)
			if n.E164 != "" {
				return
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

// behindDialPrefix reads what stands behind a dial prefix: a mobile number, one with its area code, or one of another country.
func (p *Plan) behindDialPrefix(n *Number, rest string) {
	behind := Number{Raw: n.Raw}
	if p.china {
		if len(rest) > 2 && rest[:2] == "00" {
			behind.Form = FormInternational
			p.international(&behind, rest[2:], 0)
		} else if c := readChina(rest, false); c.kind == Mobile || c.kind == Fixed && rest[0] == '0' {
			behind.Form = FormNational
			p.setChina(&behind, c)
		}
	} else if o := readOrdinary(p.code, rest); o.num != nil {
		behind.Form = FormNational
		p.setOrdinary(&behind, o)
	}
	if behind.E164 != "" && !behind.Kinds.Has(Unassigned) {
		*n = behind
	}
}

// home reads digits written inside another country than China. What the plan knows goes first, then what is plausible.
//
// long: because the order of the readings is what matters, and is read as one.
func (p *Plan) home(n *Number, d string, zero int) {
	short := p.shortKinds(d)
	if short.Has(Emergency) {
		p.setShort(n, d, short)
		return
	}
	if p.code == "1" && len(d) == 11 && d[0] == '1' {
		d = d[1:] // once, whatever follows
		short = p.shortKinds(d)
	}
	// International prefixes before the metadata's reading: the one of this country, and 00, which
	// carriers put before foreign numbers also where nobody dials it.
	for _, prefix := range []string{p.prefixOf(d), "00"} {
		if rest, ok := strings.CutPrefix(d, prefix); ok && prefix != "" {
			abroad := Number{Raw: n.Raw, Form: FormInternational}
			p.international(&abroad, rest, zero-len(prefix))
			if abroad.E164 != "" && !abroad.Kinds.Has(Unassigned) {
				*n = abroad
				return
			}
		}
	}
	o := askMetadata(d, p.country)
	asked := o.code == p.code && o.nsn == d // and so would be as an E.164 number
	if o.code != p.code || o.kinds == 0 {
		o = ordinary{} // a foreign number for the metadata only, such as China's without its own plan
	}
	if p.area != "" && short == 0 && (p.mayBeLocal(d, o) || o.kinds == 0 && p.trunk != "" && len(d) >= 5 && len(d) <= maxLocal) && p.inArea(n, d) {
		return
	}
	if o.num != nil && o.nsn == d && strings.HasPrefix(d, p.code) && p.areaDialled() && p.nationalDigits(o.num) != d {
		// 491797330031 is rather +49 179 7330031 than a number of the area 04917 that lacks its 0.
		if abroad := askMetadata("+"+d, ""); abroad.num != nil {
			o = abroad
		}
	}
	if o.kinds != 0 {
		p.setOrdinary(n, o)
		if d == n.digits && p.trunk != p.code {
			n.Form = FormInternational // the country code with nothing before it
		}
		return
	}
	if short != 0 {
		p.setShort(n, d, short)
		return
	}
	// The country code with nothing before it; before ordinary numbers the metadata know it.
	behind, hasCode := strings.CutPrefix(d, p.code)
	if hasCode {
		if kinds := p.shortKinds(behind); kinds != 0 {
			n.Form = FormInternational
			p.setShort(n, behind, kinds)
			return
		}
	}
	if p.newer(n, d) {
		return
	}
	if hasCode && p.newer(n, behind) {
		n.Form = FormInternational
		return
	}
	if rest := p.withoutDialPrefix(d); rest != "" {
		p.behindDialPrefix(n, rest)
		if n.E164 != "" {
			return
		}
	}
	for _, prefix := range []string{p.prefixOf(d), "00"} {
		if rest, ok := strings.CutPrefix(d, prefix); ok && prefix != "" && countryCode(rest) != "" {
			n.Form = FormInternational
			p.international(n, rest, zero-len(prefix))
			return
		}
	}
	if p.mayBeLocal(d, o) {
		n.none(Unknown, reasonLocal)
		n.national = d
		return
	}
	if hasCode && p.codeStands(d, behind) {
		if o = readOrdinary(p.code, behind); o.kinds != 0 {
			n.Form = FormInternational
			p.setOrdinary(n, o)
			return
		}
	}
	if asked {
		o = readUnknown(p.code, d, d)
	} else {
		o = readOrdinary(p.code, d)
	}
	if o.kinds == 0 {
		n.invalid(o.reason)
		n.national = d
		return
	}
	p.setOrdinary(n, o)
}

// areaDialled reports whether a trunk 0 is written before area codes, so that digits without it lack something.
func (p *Plan) areaDialled() bool { return p.written && p.trunk[0] == '0' }

// maxLocal is how many digits a number without area code has at most.
const maxLocal = 8

// mayBeLocal reports whether digits that are no short number may be a local number that lacks its area code, when o is what the metadata
// take them for.
func (p *Plan) mayBeLocal(d string, o ordinary) bool {
	areaDialled := p.areaDialled()
	if areaDialled && d[0] == '0' {
		return false
	}
	if o.kinds != 0 { // a number of the whole country, or one whose trunk 0 was lost
		return areaDialled && len(d) >= 5 && len(d) <= maxLocal && o.num != nil && p.nationalDigits(o.num) != d
	}
	for _, length := range p.local {
		if int(length) == len(d) {
			return true
		}
	}
	return areaDialled && len(d) >= 5 && len(d) <= maxLocal
}

// inArea reads a local number as one of the plan's own area code.
func (p *Plan) inArea(n *Number, d string) bool {
	o := readOrdinary(p.code, p.area+d)
	if o.num == nil || !strings.HasPrefix(o.nsn, p.area) {
		return false
	}
	p.setOrdinary(n, o)
	n.Form = FormLocal
	return true
}

// codeStands reports whether digits that the plan does not know rather begin with the country code, with the digits behind it,
// than with those of a number.
func (p *Plan) codeStands(d, behind string) bool {
	c := plausible()[p.code]
	switch {
	case behind == "", p.trunk == p.code:
		return false
	case renumbered(p.code, behind) != "":
		return !c.has(d)
	case !c.has(withoutTrunk(p.trunk, behind, c)):
		return false
	}
	if p.areaDialled() {
		return true // numbers are written with it
	}
	return !c.has(d) || !phonenumbers.MatchNationalNumber(d, p.general, false)
}

// newer finds, among what the plan was told besides, the number that stands behind the country code, with its trunk prefix or
// without it.
func (p *Plan) newer(n *Number, d string) bool {
	if len(p.assigned) == 0 {
		return false
	}
	nsn := d
	if rest, ok := strings.CutPrefix(d, p.trunk); ok && p.trunk != "" && rest != "" && p.trunk[0] == '0' {
		nsn = rest
	}
	e164 := "+" + p.code + nsn
	if len(e164) > 16 {
		return false
	}
	forms := []string{nsn}
	if p.written {
		forms = []string{p.trunk + nsn, nsn}
	}
	for _, national := range forms {
		found := Number{Raw: n.Raw, E164: e164, Form: n.Form, national: national, digits: e164[1:], cc: uint8(len(p.code))}
		if k := p.assignedKind(&found); k != Unknown {
			found.Kind, found.Kinds = k, kindsOf(k)
			*n = found
			return true
		}
	}
	return false
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

// setOrdinary stores an ordinary number of whatever country.
func (p *Plan) setOrdinary(n *Number, o ordinary) {
	if len(o.code)+len(o.nsn) > 15 {
		n.invalid(reasonLong)
		n.digits = o.code + o.nsn
		return
	}
	if o.code == p.code && o.num == nil {
		// A short number, with a trunk prefix that does not belong before it.
		switch kinds := p.shortKinds(o.nsn); {
		case kinds.Has(Emergency):
			n.invalid(reasonPrefix)
			n.keep(o.code+o.nsn, true)
			return
		case kinds != 0:
			p.setShort(n, o.nsn, kinds)
			return
		}
		home := o.nsn
		if p.written {
			home = p.trunk + o.nsn
		}
		if p.withoutDialPrefix(home) != "" || p.prefixOf(home) != "" || strings.HasPrefix(home, "00") || p.anotherHome(home) {
			// Written at home it would be another: 8 10… is how Russia dials other countries.
			n.invalid(reasonPrefix)
			n.keep(o.code+o.nsn, true)
			return
		}
	}
	n.E164 = "+" + o.code + o.nsn
	n.digits = n.E164[1:]
	n.cc = uint8(len(o.code))
	switch {
	case o.code != p.code:
		if k := p.assignedKind(n); k != Unknown && o.num == nil {
			o.kinds = kindsOf(k)
		}
		n.foreign(o.kinds)
		return
	case o.num != nil:
		n.national = p.nationalDigits(o.num)
	case p.written:
		n.national = p.trunk + o.nsn
	default:
		n.national = n.digits[len(o.code):]
	}
	n.Kind, n.Kinds = mainKind(o.kinds), o.kinds
}

// anotherHome reports whether digits that begin with the country code are read as what stands behind it when they are dialled.
func (p *Plan) anotherHome(d string) bool {
	behind, hasCode := strings.CutPrefix(d, p.code)
	return hasCode && !p.written && p.trunk != p.code && (p.codeStands(d, behind) || askMetadata(d, p.country).kinds != 0)
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
