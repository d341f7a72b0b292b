package policy

import (
	"testing"
)

// What would hit an emergency number or one that is never screened is told, however it is written.
func TestShield(t *testing.T) {
	p, faults := Load("policy.toml", []byte("country = \"CN\"\ntimezone = \"Asia/Shanghai\"\n[numbers]\nnever_screen = [\"110\", \"95110\", \"96???\", \"+4930*\"]\n"))
	if p == nil {
		t.Fatal(faults)
	}
	s := p.Shield()
	for text, want := range map[string]string{
		"110": "+86110", "+86110": "+86110", "0592110": "+86110", "+8696*": "+8696000", "1*": "+86110", "11?": "+86110", "120": "+86120", "12110": "+8612110", "95110": "+8695110",
		"9511*": "+8695110", "95588": "", "9*": "+8695110", "96123": "96???", "+49301234567": "+4930*", "+49*": "+4930", "+4989*": "", "13800138000": "",
		"95109..95111": "+8695110", "+86*": "+86110", "+1911": "",
	} {
		q, err := p.Plan().Pattern(text)
		if err != nil {
			if want != "" || text == "95588" {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if got, _ := s.Hit(q); got != want {
			t.Errorf("%s hits %q, want %q", text, got, want)
		}
	}
}
