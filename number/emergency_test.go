package number

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func TestEmergencyNumbers(t *testing.T) {
	for country, want := range map[string]string{
		"CN": "110 119 120 122 12110 95110",
		"GB": "112 999",
		"US": "112 911",
		"JP": "110 119",
		"SE": "112 90000",
	} {
		p, err := NewPlan(PlanOptions{Country: country})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.EmergencyNumbers(), " "); got != want {
			t.Errorf("%s: %s, want %s", country, got, want)
		}
	}
}

// No emergency number is longer than those that are looked for.
func TestEmergencyLengths(t *testing.T) {
	all, err := phonenumbers.ShortNumberMetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all.GetMetadata() {
		for _, n := range m.GetEmergency().GetPossibleLength() {
			if n < 2 || n > maxEmergency {
				t.Errorf("%s has emergency numbers of %d digits", m.GetId(), n)
			}
		}
	}
}

// What the expression matches is an emergency number to the plan too, in every spelling.
func TestEmergencyExpression(t *testing.T) {
	for country, c := range map[string]struct{ are, not []string }{
		"CN": {
			[]string{"110", "+86110", "86119", "0086120", "0592110", "010122", "+860592110", "8601095110", "95110", "+8612110"},
			[]string{"", "1100", "1110", "95588", "10110", "+8610110", "05925550110", "+85110", "110@x", "${x}110"},
		},
		"US": {[]string{"911", "+1911", "001911", "112"}, []string{"1911", "9110", "0911", "2025550911", "+12025550911"}},
		"GB": {[]string{"999", "+44999", "0044112"}, []string{"44999", "0999", "9999"}},
	} {
		p, err := NewPlan(PlanOptions{Country: country})
		if err != nil {
			t.Fatal(err)
		}
		expression := regexp.MustCompile(p.EmergencyExpression(p.EmergencyNumbers()))
		for _, n := range c.are {
			if !expression.MatchString(n) {
				t.Errorf("%s: %s does not match %q", country, expression, n)
			}
			if k := p.Parse(n).Kinds; !k.Has(Emergency) {
				t.Errorf("%s: %q is matched, and is %v to the plan", country, n, k.Strings())
			}
		}
		for _, n := range c.not {
			if expression.MatchString(n) {
				t.Errorf("%s: %s matches %q", country, expression, n)
			}
		}
	}
}
