package number

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// readOrdinary asks the metadata of all countries about digits as they are dialled in a region, or
// about E.164 digits with "+" in front. If they are no number it says why: kind is Unknown for a local
// number without area code, else Invalid, and there is a reason.
func readOrdinary(text, region string) (_ *phonenumbers.PhoneNumber, kinds Kinds, kind Kind, reason string) {
	num, err := phonenumbers.Parse(text, region)
	switch err {
	case nil:
	case phonenumbers.ErrInvalidCountryCode:
		return nil, 0, Invalid, reasonCode
	case phonenumbers.ErrNumTooLong:
		return nil, 0, Invalid, reasonLong
	default:
		return nil, 0, Invalid, reasonShort
	}
	if typ := phonenumbers.GetNumberType(num); typ != phonenumbers.UNKNOWN {
		kinds = kindsOfType(typ)
		return num, kinds, mainKind(kinds), ""
	}
	switch phonenumbers.IsPossibleNumberWithReason(num) {
	case phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		if strings.HasPrefix(text, "+") {
			return nil, 0, Invalid, reasonShort
		}
		return nil, 0, Unknown, reasonLocal
	case phonenumbers.TOO_SHORT:
		return nil, 0, Invalid, reasonShort
	case phonenumbers.TOO_LONG:
		return nil, 0, Invalid, reasonLong
	case phonenumbers.INVALID_LENGTH:
		return nil, 0, Invalid, reasonLength
	case phonenumbers.INVALID_COUNTRY_CODE:
		return nil, 0, Invalid, reasonCode
	}
	return nil, 0, Invalid, reasonPrefix
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

// kindsOfType translates the metadata's sorts. Pagers, personal numbers and company-wide access
// numbers are none of the kinds that policies know.
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
	return kindsOf(Unknown)
}

// mainKind is the one kind of several: where fixed and mobile numbers cannot be told apart, as in
// North America, it is Fixed.
func mainKind(kinds Kinds) Kind {
	for _, k := range []Kind{Fixed, Mobile, TollFree, Premium, SharedCost, VoIP} {
		if kinds.Has(k) {
			return k
		}
	}
	return Unknown
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
