package policy

import (
	"regexp"
	"strings"
	"testing"
)

func TestWildcard(t *testing.T) {
	for expression, want := range map[string]string{
		"Firm?": "[m]?", "Firm*": `"Firm"`, "(?i)Firm*": `"(?i)Firm"`, "F*rm": "[F]*", "95?": "[5]?", "firm.com": `\.`, "95.11": `\.`, "贷款?": "[款]?", "colou?r": "[u]?",
		`\d+ab?`: "[b]?", "[a-z]ab*": "[b]*", `\x{41}a?`: "[a]?", "(?P<x>a?)": "[a]?",
		"Firm": "", "Firm.*": "", "Firm.": "", "Firm.?": "", "Firm +": "", "(?i)loan|credit": "", `^\d{4}$`: "", `firm\.com`: "", `Firm\?`: "", "colo[u]?r": "", "(ab)?": "", "[a?.*b]": "",
		"[]a?]b": "", "[^]a?]b": "", `[\]a?]`: "", "[[:alpha:]?]": "", `\Qa.b?\E`: "", `\Qa?`: "", `\pL?`: "", `\x41?`: "", `\p{Han}?`: "", "a{2}?": "", "a(.)b": "", "(?:a)*": "", "Dr. Li": "", "a+?": "",
	} {
		if _, err := regexp.Compile(expression); err != nil {
			t.Errorf("%q: %v", expression, err)
		}
		if got := wildcard(expression); got == "" != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q in it", expression, got, want)
		}
	}
}

func FuzzWildcard(f *testing.F) {
	for _, s := range []string{"Firm?", `\`, `\p{`, "[[:", "(?", "a{", `\Q`, "[^]", "\xff?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { wildcard(s) })
}
