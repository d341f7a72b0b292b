package number

import (
	"fmt"
	"slices"
	"strings"
)

// EmergencyNumbers lists the emergency numbers of the plan's country as they are dialled, the short ones
// first. A country whose numbers are not known has none. They are looked for once: that takes some ten milliseconds.
func (p *Plan) EmergencyNumbers() []string { return slices.Clone(p.emergencies()) }

func (p *Plan) findEmergencies() []string {
	is := p.isEmergency
	if !p.china {
		is = func(d string) bool { return p.short != nil && matchesDesc(d, p.short.GetEmergency()) } // the same, sooner
	}
	var found []string
	for length, end := 2, 100; length <= maxEmergency; length, end = length+1, end*10 {
		for n := range end {
			if d := fmt.Sprintf("%0*d", length, n); is(d) {
				found = append(found, d)
			}
		}
	}
	return found
}

// maxEmergency is how many digits an emergency number has at most, in any country.
const maxEmergency = 5

// EmergencyExpression is a regular expression, the same to RE2 and to PCRE, that matches emergency numbers
// as they stand in a call: as they are dialled, behind the country code, and in China behind an area code
// (0592 110). The numbers are digits: those of EmergencyNumbers, or an administrator's own.
func (p *Plan) EmergencyExpression(numbers []string) string {
	before := `(?:\+|00)` + p.code
	if p.china { // its code comes without + as well, which elsewhere could be an extension: 1911, 44112
		before = `(?:\+|00)?86|(?:(?:\+|00)?86)?0[1-9][0-9]{1,2}`
	}
	return "^(?:" + before + ")?(?:" + strings.Join(numbers, "|") + ")$"
}
