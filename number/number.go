package number

// MaxRaw is how many bytes of a caller's text are kept and looked at; the rest is cut off. A SIP user
// part that is longer is not a telephone number.
const MaxRaw = 256

// Kind says what sort of number it is. Its name, as written in policies, is what String gives.
type Kind uint8

// The kinds. Foreign numbers are International first of all; what they are in their own country is
// among their Kinds.
const (
	Unknown       Kind = iota // a number of which cannot be told which it is: a local one without area code
	Mobile                    // a mobile telephone
	Fixed                     // a line with an area code
	TollFree                  // the called person pays
	Premium                   // costs more than a call
	SharedCost                // both pay
	VoIP                      // a number of Internet telephony without a place
	Service                   // a national service or short code: 95xxx, 10086, 12345; a nationwide or personal number
	Emergency                 // police, fire, ambulance and what ranks with them
	Internal                  // an extension of this PBX, from where it may be claimed
	International             // a number of another country
	Invalid                   // no number, or one that no numbering plan allows; Reason says why
	Anonymous                 // withheld by the caller or missing
	Unassigned                // well formed, but the plan knows no such prefix: a newer series, or invented
)

// kindNames are the words of the policy language, in the order in which they are documented.
var kindNames = [...]struct {
	kind Kind
	name string
}{
	{Mobile, "mobile"},
	{Fixed, "fixed"},
	{TollFree, "toll_free"},
	{Premium, "premium"},
	{SharedCost, "shared_cost"},
	{VoIP, "voip"},
	{Service, "service"},
	{Emergency, "emergency"},
	{Internal, "internal"},
	{International, "international"},
	{Unassigned, "unassigned"},
	{Invalid, "invalid"},
	{Anonymous, "anonymous"},
	{Unknown, "unknown"},
}

// String gives the kind's word in policies and on the wire.
func (k Kind) String() string {
	for _, e := range kindNames {
		if e.kind == k {
			return e.name
		}
	}
	return "unknown"
}

// ParseKind reads a kind's word, exactly as String writes it.
func ParseKind(s string) (Kind, bool) {
	for _, e := range kindNames {
		if e.name == s {
			return e.kind, true
		}
	}
	return Unknown, false
}

// KindNames lists all words for kinds, for advice and completion. The caller owns the slice.
func KindNames() []string {
	names := make([]string, len(kindNames))
	for i, e := range kindNames {
		names[i] = e.name
	}
	return names
}

// Kinds is a set of Kind, a bit each.
type Kinds uint16

// kindsOf makes a set of the kinds given.
func kindsOf(kinds ...Kind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s = s.With(k)
	}
	return s
}

// Has reports whether the kind is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// With gives the set with the kind in it.
func (s Kinds) With(k Kind) Kinds { return s | 1<<k }

// Strings lists the words of the set, in the order of KindNames.
func (s Kinds) Strings() []string {
	names := make([]string, 0, 4)
	for _, e := range kindNames {
		if s.Has(e.kind) {
			names = append(names, e.name)
		}
	}
	return names
}

// Number is a telephone number after normalising, as Plan.Parse makes it. Two numbers are the same
// caller when their E164 is the same and not empty. The zero value matches no pattern.
type Number struct {
	Raw    string // the text as it arrived, at most MaxRaw bytes
	E164   string // "+" and at most 15 digits; "" when the text is no number
	Kind   Kind   // the main kind
	Kinds  Kinds  // all kinds that hold
	Reason string // why it is Invalid or Unknown: "too short", "local number without area code" …
	Form   Form   // how it was written

	national string // digits as written inside the plan's country, trunk 0 included; "" for other countries
	digits   string // E.164 digits without "+", for patterns that start with + or 00
	cc       uint8  // how many digits of E164 are the country code

	plan *Plan // of an Invalid or Unassigned one: by which Held reads it
}

// National gives the digits as they are written inside the plan's country, the trunk 0 included:
// 05925550100, 13800138000, 95588, and an internal number as dialled. It is "" for the numbers of
// other countries and for what has no digits. Digits that are no number are given as they arrived.
func (n *Number) National() string { return n.national }

// Prefix gives the first k digits as written nationally (0592, 9521), and for a number of another
// country "+", its country code and the next k digits. A shorter number is given whole, a text that
// is no number gives "". Numbers of one range share it, whatever their last digits.
func (n *Number) Prefix(k int) string {
	switch {
	case k < 0:
		return ""
	case n.national != "":
		return n.national[:min(k, len(n.national))]
	case n.E164 != "":
		return n.E164[:min(1+int(n.cc)+k, len(n.E164))]
	}
	return ""
}

// CountryAndPrefix gives the country code and the first k digits behind it, as in +86-1380; of what is no number
// nothing.
func (n *Number) CountryAndPrefix(k int) string {
	if n.E164 == "" {
		return ""
	}
	rest := n.E164[1+n.cc:]
	return n.E164[:1+n.cc] + "-" + rest[:min(k, len(rest))]
}

// Withheld gives the same number as one that its caller withheld: Anonymous, yet with the digits
// that lists, rules and detectors look at. Shown does not give them away.
func (n Number) Withheld() Number {
	n.Kind = Anonymous
	n.Kinds = n.Kinds.With(Anonymous)
	return n
}

// Shown gives what may be put before people: the E.164 number, an internal number as dialled,
// "anonymous" for a withheld caller, otherwise the text that arrived, made inert (see Inert).
func (n *Number) Shown() string {
	switch {
	case n.Kind == Anonymous:
		return "anonymous"
	case n.E164 != "":
		return n.E164
	case n.Kind == Internal:
		return n.national
	}
	return Inert(n.Raw)
}

// Written makes a number of digits that have been read before, as written inside the plan's country and as in E.164 without
// "+"; either may be "". Nothing else is known of it: it is for looking up what patterns match.
func Written(national, e164 string) Number { return Number{national: national, digits: e164} }
