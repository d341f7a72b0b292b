package screening

import (
	"strings"

	"ringfence/bridge"
	"ringfence/number"
	"ringfence/policy"
)

// identity is who calls, by the headers that the call's trunk may say it with.
type identity struct {
	number   string // as delivered; "" or a word such as "anonymous" when withheld
	name     string
	from     string // the number in From where another header's was taken and differs, "" else
	other    string // the other of From and what is asserted, whichever of them number is from; "" if the call has but one
	diverted string // who forwarded the call here, as it says; "unknown" if it does not say who
	verstat  string // what a signature says of the number
	withheld bool
}

// identify chooses the header that says who calls: the first of the trunk's that the call has. The switch
// itself takes P-Preferred-Identity, which is a caller's wish, before P-Asserted-Identity before Remote-Party-ID before
// From, from any peer, so that anyone could forge a number that is shown and screened. A header that is there and cannot
// be read counts as well, as no number: else a caller would choose which one counts.
func identify(f *bridge.Facts, t policy.Trunk) identity {
	id := identity{withheld: f.Withheld, verstat: f.Verstat}
	var parameters string
	for _, header := range t.Identity {
		number, name := "", ""
		switch header {
		case "pai":
			number, name = asserted(f)
			parameters = f.Asserted
		case "rpid":
			number, name = remoteParty(f)
			parameters = f.RemoteID
		case "from":
			number, name = from(f)
			parameters = f.FromUser
		}
		if number == "" && header != "from" {
			continue
		}
		id.number, id.name = number, name
		if id.other = f.FromUser; header == "from" {
			id.other, _ = asserted(f)
			if id.other == "" {
				id.other, _ = remoteParty(f)
			}
		} else {
			id.from = f.FromUser
		}
		break
	}
	if id.verstat == "" && t.Known {
		id.verstat = verstatOf(parameters) // anyone can write it: it counts from trunks that the policy names
	}
	return id
}

// asserted is the number in P-Asserted-Identity, "" without that header. FreeSWITCH gives its user part, with its host or
// the whole header if the profile's caller-id-type says so. Where it cannot be told which of them, what the switch itself
// has read counts, unless that is P-Preferred-Identity.
func asserted(f *bridge.Facts) (number, name string) {
	if f.Asserted == "" {
		return "", ""
	}
	own := f.IDSource == "pid" && f.Preferred == ""
	if own {
		name = f.Name
	}
	switch {
	case !strings.ContainsAny(f.Asserted, `<>"`):
		number, _, _ = strings.Cut(f.Asserted, "@")
		number, _, _ = strings.Cut(number, ";")
	case own:
		number = f.Number
	}
	if number == "" {
		number = f.Asserted
	}
	return number, name
}

// remoteParty is the number in Remote-Party-ID, "" without that header.
func remoteParty(f *bridge.Facts) (number, name string) {
	switch {
	case f.RemoteID == "":
		return "", ""
	case f.IDSource == "rpid":
		return f.Number, f.Name
	}
	name, number, _, ok := bridge.NameAddr(f.RemoteID)
	if !ok {
		return f.RemoteID, ""
	}
	number, _, _ = strings.Cut(number, ";")
	return number, name
}

// from is the number in From.
func from(f *bridge.Facts) (number, name string) {
	switch {
	case f.Unreadable: // what it holds must not let them pass, but may refuse them
		return f.Number + " (From cannot be read)", f.Name
	case f.IDSource == "":
		return f.Number, f.Name
	}
	return f.FromUser, f.FromName
}

// bare is a number as a header had it, without what would make a whole address of it: a list may hold
// `"Name" <sip:number@host>`, but in the user part of a header that is a caller's trick.
func bare(number string) string {
	if !strings.ContainsAny(number, `<>"`) {
		return number
	}
	return strings.NewReplacer("<", " ", ">", " ", `"`, " ").Replace(number)
}

// verstatOf finds the parameter that carriers put into From or P-Asserted-Identity (3GPP TS 24.229, verstat).
func verstatOf(s string) string {
	_, v, ok := strings.Cut(strings.ToLower(s), ";verstat=")
	if !ok {
		return ""
	}
	end := strings.IndexAny(v, ";>@")
	if end < 0 {
		end = len(v)
	}
	return v[:end]
}

// attestationOf reads sip_verstat_detailed (TN-Validation-Passed-A), sip_verstat or a carrier's verstat
// (TN-Validation-Passed, which FreeSWITCH says for A alone).
func attestationOf(verstat string) string {
	v := strings.ToLower(verstat)
	switch {
	case strings.HasPrefix(v, "tn-validation-failed"):
		return "failed"
	case v == "tn-validation-passed", v == "tn-validation-passed-a":
		return "A"
	case v == "tn-validation-passed-b":
		return "B"
	case v == "tn-validation-passed-c":
		return "C"
	}
	return "none"
}

// showIdentity has the handset show the number that was screened, where the switch would show another one. A
// withheld number is never shown.
func showIdentity(v *bridge.Verdict, f *bridge.Facts, c *considered) {
	if c.id.number == f.Number {
		return
	}
	shown, _, _ := strings.Cut(c.id.number, ";")
	name := c.id.name
	if c.call.Withheld || c.call.Caller.Kind == number.Anonymous {
		shown, name = "anonymous", ""
	}
	if v.ShowNumber = number.Inert(shown); v.ShowNumber == "" {
		v.ShowNumber = "anonymous"
	}
	if v.ShowName == "" { // else the rule's label stands before the right name already
		if v.ShowName = number.Inert(name); v.ShowName == "" {
			v.ShowName = v.ShowNumber
		}
	}
}
