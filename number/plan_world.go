package number

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// ordinary is what is known of an ordinary number of whatever country.
type ordinary struct {
	num       *phonenumbers.PhoneNumber // nil if the plan does not know it
	code, nsn string                    // the country code and the digits behind it
	kinds     Kinds                     // 0 if it is no number
	reason    string                    // then: why
}

// askMetadata asks about digits as they are dialled in a region, or about E.164 digits with "+" in front. There are no kinds
// unless the plan knows the number.
func askMetadata(text, region string) ordinary {
	num, err := phonenumbers.Parse(text, region)
	if err != nil {
		return ordinary{}
	}
	o := ordinary{code: strconv.Itoa(int(num.GetCountryCode())), nsn: phonenumbers.GetNationalSignificantNumber(num)}
	if typ := phonenumbers.GetNumberType(num); typ != phonenumbers.UNKNOWN {
		o.num, o.kinds = num, kindsOfType(typ)
	}
	return o
}

// readOrdinary reads the digits behind a country code, where a trunk prefix is left out (and tolerated). Which number it is,
// is a question of its length; that the plan does not know it makes it Unassigned, not another one.
func readOrdinary(code, rest string) ordinary {
	o := askMetadata("+"+code+rest, "")
	if o.kinds != 0 {
		return o
	}
	return readUnknown(code, rest, o.nsn)
}

// readUnknown is readOrdinary of what the metadata do not know. stripped is what they made of it: they know prefixes that choose
// a carrier.
func readUnknown(code, rest, stripped string) ordinary {
	c := plausible()[code]
	switch {
	case c == nil:
		return ordinary{reason: reasonCode}
	case rest == "":
		return ordinary{reason: reasonShort}
	}
	nsn := withoutTrunk(c.trunk, rest, c)
	for _, d := range []string{renumbered(code, nsn), renumbered(code, rest), renumbered(code, stripped), nsn} {
		if d == "" || d == rest {
			continue
		}
		if o := askMetadata("+"+code+d, ""); o.kinds != 0 {
			return o
		}
	}
	switch {
	case !c.has(nsn) && stripped != "" && len(stripped) < len(nsn):
		return readOrdinary(code, stripped)
	case !c.has(nsn):
		return ordinary{reason: c.fault(nsn)}
	case nsn[0] == '0' && strings.HasPrefix(c.trunk, "0"):
		return ordinary{reason: reasonPrefix}
	}
	return ordinary{code: code, nsn: nsn, kinds: kindsOf(Unassigned)}
}

// nationalDigits gives a number of the plan's country as it is written there, with the trunk prefix
// where that is written. Formats that rearrange the digits are not followed: patterns are about how
// numbers begin.
func (p *Plan) nationalDigits(num *phonenumbers.PhoneNumber) string {
	nsn := phonenumbers.GetNationalSignificantNumber(num)
	if d := onlyDigits(phonenumbers.Format(num, phonenumbers.NATIONAL)); strings.HasSuffix(d, nsn) {
		return d
	}
	if p.written {
		return p.trunk + nsn
	}
	return nsn
}

// kindsOfType translates the metadata's sorts. What is bound to no place and is none of the others is a service: nationwide
// numbers of firms and offices (UAN), personal numbers, pagers, voice mail.
func kindsOfType(typ phonenumbers.PhoneNumberType) Kinds {
	switch typ {
	case phonenumbers.FIXED_LINE:
		return kindsOf(Fixed)
	case phonenumbers.MOBILE:
		return kindsOf(Mobile)
	case phonenumbers.FIXED_LINE_OR_MOBILE:
		return kindsOf(Fixed, Mobile)
	case phonenumbers.TOLL_FREE:
		return kindsOf(TollFree)
	case phonenumbers.PREMIUM_RATE:
		return kindsOf(Premium)
	case phonenumbers.SHARED_COST:
		return kindsOf(SharedCost)
	case phonenumbers.VOIP:
		return kindsOf(VoIP)
	}
	return kindsOf(Service)
}

// mainKind is the one kind of several: where fixed and mobile numbers cannot be told apart, as in
// North America, it is Fixed.
func mainKind(kinds Kinds) Kind {
	for _, k := range []Kind{Fixed, Mobile, TollFree, Premium, SharedCost, VoIP, Service} {
		if kinds.Has(k) {
			return k
		}
	}
	return Unassigned
}

// onlyDigits drops everything but ASCII digits.
func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// shortCodes gives the metadata of a region's short numbers, nil if there are none.
func shortCodes(region string) (*phonenumbers.PhoneMetadata, error) {
	all, err := phonenumbers.ShortNumberMetadataCollection()
	if err != nil {
		return nil, err
	}
	for _, m := range all.GetMetadata() {
		if m.GetId() == region {
			return m, nil
		}
	}
	return nil, nil
}

// territory gives the metadata of a region's ordinary numbers, nil if there is no such region.
func territory(region string) (*phonenumbers.PhoneMetadata, error) {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil, err
	}
	for _, m := range all.GetMetadata() {
		if m.GetId() == region {
			return m, nil
		}
	}
	return nil, nil
}

// shortKinds gives the kinds of a short number of the plan's country, 0 if it is none. China's are
// read by readChina.
func (p *Plan) shortKinds(d string) Kinds {
	if p.short == nil || len(d) > 10 {
		return 0
	}
	var kinds Kinds
	if matchesDesc(d, p.short.GetEmergency()) {
		kinds = kindsOf(Emergency, Service)
	}
	if matchesDesc(d, p.short.GetShortCode()) {
		kinds = kinds.With(Service)
	}
	if kinds != 0 && matchesDesc(d, p.short.GetPremiumRate()) {
		kinds = kinds.With(Premium)
	}
	return kinds
}

// matchesDesc reports whether digits have a length and a form that the metadata allow.
func matchesDesc(d string, desc *phonenumbers.PhoneNumberDesc) bool {
	if desc == nil {
		return false
	}
	if lengths := desc.GetPossibleLength(); len(lengths) > 0 {
		possible := false
		for _, n := range lengths {
			possible = possible || int(n) == len(d)
		}
		if !possible {
			return false
		}
	}
	return phonenumbers.MatchNationalNumber(d, desc, false)
}

// countryCode gives the country code that E.164 digits begin with, "" if it is not in use.
func countryCode(d string) string {
	code := 0
	for i := 0; i < len(d) && i < 3; i++ {
		code = code*10 + int(d[i]-'0')
		if code == 0 {
			return ""
		}
		if len(phonenumbers.GetRegionCodesForCountryCode(code)) > 0 {
			return d[:i+1]
		}
	}
	return ""
}
