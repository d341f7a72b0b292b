package policy

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTrunk(t *testing.T) {
	p := mustLoad(t, `
country = "CN"
[trunks.telecom]
match    = ["gateway:telecom", "203.0.113.0/24", "profile:external"]
identity = ["pai", "from"]
media    = "answer"
max_held = 5
[trunks.mobile]
match    = ["endpoint:mobile", "203.0.113.7", "2001:db8::/32"]
[trunks.phones]
match    = ["profile:internal", "0.0.0.0/0"]
internal = true
[trunks.named]
`)
	for _, test := range []struct {
		facts TrunkFacts
		want  string
	}{
		{TrunkFacts{}, ""},
		{TrunkFacts{Named: "named", Gateway: "telecom"}, "named"},
		{TrunkFacts{Named: "unheard-of", Gateway: "telecom"}, "unheard-of"},
		{TrunkFacts{Gateway: "telecom", Profile: "internal", Address: netip.MustParseAddr("203.0.113.7")}, "telecom"},
		{TrunkFacts{Endpoint: "mobile", Profile: "internal"}, "mobile"},
		{TrunkFacts{Gateway: "mobile", Profile: "external"}, "telecom"},
		{TrunkFacts{Address: netip.MustParseAddr("203.0.113.7"), Profile: "internal"}, "mobile"},
		{TrunkFacts{Address: netip.MustParseAddr("203.0.113.8"), Profile: "internal"}, "telecom"},
		{TrunkFacts{Address: netip.MustParseAddr("::ffff:203.0.113.8")}, "telecom"},
		{TrunkFacts{Address: netip.MustParseAddr("2001:db8::1%eth0")}, "mobile"},
		{TrunkFacts{Address: netip.MustParseAddr("192.0.2.1"), Profile: "external"}, "phones"},
		{TrunkFacts{Address: netip.MustParseAddr("2001:db9::1"), Profile: "external"}, "telecom"},
		{TrunkFacts{Profile: "unheard-of"}, ""},
	} {
		if got := p.Trunk(test.facts).Name; got != test.want {
			t.Errorf("%+v: trunk %q, want %q", test.facts, got, test.want)
		}
	}
	for name, want := range map[string]Trunk{
		"telecom":    {Name: "telecom", Known: true, Identity: []string{"pai", "from"}, Media: "answer", MaxHeld: 5},
		"mobile":     {Name: "mobile", Known: true, Identity: []string{"from"}, Media: "early", MaxHeld: 20},
		"phones":     {Name: "phones", Known: true, Identity: []string{"from"}, Media: "early", MaxHeld: 20, Internal: true},
		"unheard-of": {Name: "unheard-of", Identity: []string{"from"}, Media: "early", MaxHeld: 20},
	} {
		if diff := cmp.Diff(want, p.TrunkNamed(name)); diff != "" {
			t.Error(diff)
		}
	}
}
