package policy

import (
	"strings"
	"testing"
)

func ruleNames(p *Policy) (names []string) {
	for _, r := range p.Rules() {
		names = append(names, r.Name)
	}
	return names
}

func TestNames(t *testing.T) {
	p := mustLoad(t, office)
	for name, got := range map[string][]string{
		"ours listed on trial 952 sales calls loans forged withheld, after hours fax": ruleNames(p),
		"staff boss hotline": p.Lines(),
		"allowlist blacklist staff:blacklist boss:blacklist hotline:blacklist couriers": p.Lists(),
		"known suspected-nuisance refused":                                              p.Announcements(),
	} {
		if strings.Join(got, " ") != name {
			t.Errorf("got %q, want %q", got, name)
		}
	}
	n := p.Plan().ParseInternal("05925550001")
	if p.Country() != "CN" || p.Mode() != Enforce || p.Zone().String() != "Asia/Shanghai" || p.LineOf(&n) != "boss" {
		t.Error(p.Country(), p.Mode(), p.Zone(), p.LineOf(&n))
	}
	for _, a := range ActionNames() {
		if got, ok := ParseAction(a); !ok || got.String() != a {
			t.Errorf("ParseAction(%q) = %s, %v", a, got, ok)
		}
	}
}
