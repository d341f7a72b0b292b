package number

import (
	"regexp"
	"strings"
)

// renumberings are changes of countries' plans that old notes and switches have not followed: an old number, behind the country
// code, and what it has become. A row is asked of a number that the plan does not know, and what comes out counts only if the
// plan knows that. There is room for more.
var renumberings = []struct {
	code string // country code
	old  *regexp.Regexp
	now  string
}{
	// Mexico, 2019: no 1 before mobile numbers.
	{"52", regexp.MustCompile(`^1(\d{10})$`), "$1"},
	// Brazil, 2012 to 2016: a 9 before mobile numbers. Those that begin with 7 are of a network that keeps eight digits.
	{"55", regexp.MustCompile(`^(\d\d)([689]\d{7})$`), "${1}9$2"},
	// Ivory Coast, 2021: two digits of the operator, told by the second digit, before mobile numbers; 27 before lines of Orange.
	{"225", regexp.MustCompile(`^([04-9][0-3]\d{6})$`), "01$1"},
	{"225", regexp.MustCompile(`^([04-9][4-6]\d{6})$`), "05$1"},
	{"225", regexp.MustCompile(`^([04-9][7-9]\d{6})$`), "07$1"},
	{"225", regexp.MustCompile(`^([23]\d[1-7]\d{5})$`), "27$1"},
	// Benin, 2024: 01 before all numbers.
	{"229", regexp.MustCompile(`^(\d{8})$`), "01$1"},
	// Colombia, 2021: 60 before area codes.
	{"57", regexp.MustCompile(`^([124-8]\d{7})$`), "60$1"},
	// Vietnam, 2018: mobile numbers of eleven digits got ten.
	{"84", regexp.MustCompile(`^120(\d{7})$`), "70$1"},
	{"84", regexp.MustCompile(`^121(\d{7})$`), "79$1"},
	{"84", regexp.MustCompile(`^122(\d{7})$`), "77$1"},
	{"84", regexp.MustCompile(`^12([68]\d{7})$`), "7$1"},
	{"84", regexp.MustCompile(`^12([345]\d{7})$`), "8$1"},
	{"84", regexp.MustCompile(`^127(\d{7})$`), "81$1"},
	{"84", regexp.MustCompile(`^129(\d{7})$`), "82$1"},
	{"84", regexp.MustCompile(`^16([2-9]\d{7})$`), "3$1"},
	{"84", regexp.MustCompile(`^186(\d{7})$`), "56$1"},
	{"84", regexp.MustCompile(`^188(\d{7})$`), "58$1"},
	{"84", regexp.MustCompile(`^199(\d{7})$`), "59$1"},
}

// isRenumbered reports whether a row is about a country code.
func isRenumbered(code string) bool {
	for i := range renumberings {
		if renumberings[i].code == code {
			return true
		}
	}
	return false
}

// renumbered gives what an old number, behind its country code, has become; "" if no row is about it.
func renumbered(code, nsn string) string {
	for i := range renumberings {
		if r := &renumberings[i]; r.code == code && r.old.MatchString(nsn) {
			return r.old.ReplaceAllString(nsn, r.now)
		}
	}
	return ""
}

// dialPrefixes is what is dialled before a number to choose who carries the call, by country: a caller's own number comes
// with it where the exchange or a phone put it there. It is taken off only where the text is no number with it, and a
// whole number as it is dialled inside the country stands behind it.
//
// China's are chinaDialPrefix; Brazil's, Korea's and Colombia's are in the metadata.
var dialPrefixes = map[string]*regexp.Regexp{
	"US": nanpCarrier, "CA": nanpCarrier,
	"AT": regexp.MustCompile(`^10\d\d`),
	"CH": regexp.MustCompile(`^10[78]\d\d`),
	"DE": regexp.MustCompile(`^010(?:0\d\d|[1-9]\d)`),
	"MX": regexp.MustCompile(`^(?:01|04[45])`), // until 2019: long distance, and mobile from lines
	"NL": regexp.MustCompile(`^16\d\d`),
}

var nanpCarrier = regexp.MustCompile(`^101\d{4}`)

// withoutDialPrefix takes a dial prefix off digits, "" if there is none or nothing behind it.
func (p *Plan) withoutDialPrefix(d string) string {
	if p.china {
		if size := chinaDialPrefix(d); size > 0 {
			return d[size:]
		}
		return ""
	}
	prefix := dialPrefixes[p.country]
	if prefix == nil {
		return ""
	}
	rest := d[len(prefix.FindString(d)):]
	switch {
	case rest == d:
		return ""
	case p.written && !strings.HasPrefix(rest, p.trunk), p.code == "1" && (len(rest) != 11 || rest[0] != '1'), p.country == "MX" && len(rest) != 10:
		return "" // a number of the country is dialled so
	}
	return rest
}
