package screening

import (
	"testing"

	"ringfence/attach"
	"ringfence/policy"
)

// endpoints has trunks that are endpoints, and phones.
const endpoints = `
country = "CN"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550100-05925550198", "8001"]
[trunks.carrier]
match = ["endpoint:telecom", "endpoint:8999"]
[trunks.desks]
match    = ["endpoint:anna"]
internal = true
`

// A phone of the house is known by what the administrator has written, and by nothing that comes with a call.
func TestPhonesOfAsterisk(t *testing.T) {
	p, faults := policy.Load("p", []byte(endpoints))
	if p == nil {
		t.Fatal(faults)
	}
	sc, _ := screenerOf(t, endpoints)
	for endpoint, want := range map[string]bool{
		"8001": true, "8002": true, // internal numbers
		"anna":    true,                 // of a trunk with internal = true
		"telecom": false, "8999": false, // of a trunk, though it is named like a phone
		"8001-acme": true, "acme_8001": true, "north-acme.8002": true, // with the tenant's name
		"sip8001": true, "80010-acme": false, "telecom-80010": false,
		"": false, "anonymous": false, "ben": false, "05925550101": false, "203.0.113.7": false, "80010": false,
	} {
		if got := sc.isPhone(p, endpoint, "phones"); got != want {
			t.Errorf("%q is a phone of the house: %v", endpoint, got)
		}
	}
}

// The daemon was started meanwhile: the journal's id on the leg is enough, and the number is not shown to anybody.
func TestAsteriskScreenedBefore(t *testing.T) {
	p, _ := policy.Load("p", []byte(endpoints))
	sc, _ := screenerOf(t, endpoints)
	s := sc.screenedBefore(p, &attach.CallEnd{Channel: "PJSIP/telecom-1", Endpoint: "telecom", RingfenceID: "01J", Caller: "13800138000", Callee: "05925550150"})
	if s.caller.E164 != "+8613800138000" || !s.withheld || s.line != "staff" {
		t.Errorf("%+v", s)
	}
}
