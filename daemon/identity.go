package daemon

import (
	"strings"

	"ringfence/eslbridge"
	"ringfence/policy"
)

// identity is who calls, by the headers that the call's trunk may say it with.
type identity struct {
	number   string // as delivered; "" or a word such as "anonymous" when withheld
	name     string
	from     string // the number in From where another header's was taken and differs, "" else
	diverted string // who forwarded the call here, by a header that the trunk may send
	verstat  string // what a signature says of the number
	withheld bool
}

// identify chooses the header that says who calls: the first of the trunk's that the call has. The switch
// itself takes P-Asserted-Identity before Remote-Party-ID before From, from any peer, so that anyone could
// forge a number that is shown and screened.
func identify(f *eslbridge.Facts, t policy.Trunk) identity {
	id := identity{withheld: f.Withheld, verstat: f.Verstat}
	var parameters string
	for _, header := range t.Identity {
		number, name := "", ""
		switch header {
		case "pai":
			if number = f.Asserted; number != "" && f.IDSource == "pid" {
				number, name = f.Number, f.Name // as the switch has read it, with its name
			}
			parameters = f.Asserted
		case "rpid":
			if f.RemoteID != "" && f.IDSource == "rpid" {
				number, name = f.Number, f.Name
			} else {
				number, name = nameAddress(f.RemoteID)
			}
			parameters = f.RemoteID
		case "from":
			if f.IDSource == "" {
				number, name = f.Number, f.Name
			} else {
				number, name = f.FromUser, f.FromName
			}
			parameters = f.FromUser
		}
		if number == "" && header != "from" {
			continue
		}
		id.number, id.name = number, name
		if header != "from" {
			id.from = f.FromUser
		}
		break
	}
	if t.Known {
		id.diverted, _ = nameAddress(f.Diversion)
	}
	if id.verstat == "" && t.Known {
		id.verstat = verstatOf(parameters) // anyone can write it: it counts from trunks that the policy names
	}
	return id
}

// nameAddress takes number and name out of `"Name" <sip:user@host>;…` (RFC 3261, name-addr).
func nameAddress(s string) (number, name string) {
	before, uri, bracketed := strings.Cut(s, "<")
	if bracketed {
		name = strings.Trim(strings.TrimSpace(before), `"`)
		uri, _, _ = strings.Cut(uri, ">")
	} else {
		uri = s
	}
	_, user, ok := strings.Cut(uri, ":")
	if !ok {
		return "", name
	}
	number, _, _ = strings.Cut(user, "@")
	return number, name
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
func showIdentity(v *eslbridge.Verdict, f *eslbridge.Facts, c *considered) {
	if c.id.number == f.Number {
		return
	}
	number, _, _ := strings.Cut(c.id.number, ";")
	name := c.id.name
	if c.call.Withheld || c.call.Caller.Kind == policy.Anonymous {
		number, name = "anonymous", ""
	}
	if v.ShowNumber = policy.Inert(number); v.ShowNumber == "" {
		v.ShowNumber = "anonymous"
	}
	if v.ShowName == "" { // else the rule's label stands before the right name already
		if v.ShowName = policy.Inert(name); v.ShowName == "" {
			v.ShowName = v.ShowNumber
		}
	}
}
