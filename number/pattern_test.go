package number

import (
	"fmt"
	"strings"
	"testing"
)

// mustPattern reads a pattern that is right.
func mustPattern(t testing.TB, p *Plan, text string) Pattern {
	t.Helper()
	q, err := p.Pattern(text)
	if err != nil {
		t.Fatalf("pattern %q: %v", text, err)
	}
	return q
}

// long: because it is one table, of what is written and what is read
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		country, text, canonical string
		yes, no                  string
	}{
		// One number, in any spelling, never a beginning.
		{"CN", "95588", "+8695588", "95588|+8695588|8695588|008695588|01095588|059295588|９５５８８", "955880|9558|955889|0955880|+195588"},
		{"CN", "01095588", "+8695588", "95588|+8695588", "01095589"},
		{"CN", "+8695211613", "+8695211613", "95211613|8695211613|01095211613", "9521161|952116130"},
		{"CN", "95235", "+8695235", "95235", "95235001|952350"},
		{"CN", "0592-5550100", "+865925550100", "05925550100|+865925550100|5925550100", "5550100|05925550101"},
		{"CN", "0592 555-0100", "+865925550100", "05925550100", ""},
		{"CN", "0592–5550100", "+865925550100", "05925550100", ""},
		{"CN", "13800138000", "+8613800138000", "13800138000|+8613800138000|013800138000", "1380013800"},
		{"CN", "+1 305 555 0100", "+13055550100", "+13055550100|0013055550100", "13055550100"},
		{"CN", "13055550100", "+8613055550100", "13055550100|+8613055550100", "+13055550100"},
		{"US", "13055550100", "+13055550100", "+13055550100|13055550100|3055550100|(305)555-0100", "13055550101"},
		{"CN", "tel:+86-592-555-0100", "+865925550100", "05925550100", ""},
		{"CN", `"Bank" <sip:95588@example.com>`, "+8695588", "95588", ""},
		{"CN", "sip:95588@pbx-1.example.com", "+8695588", "95588", ""},
		{"CN", "（０５９２）５５５０１００", "+865925550100", "05925550100", ""},
		{"CN", "110", "+86110", "110|+86110|0592110", "1100"},
		{"CN", "1010-9777", "+8610109777", "10109777", ""},
		// What is no number can be listed as it is written.
		{"CN", "12", "12", "12", "120|+8612|0012"},
		{"CN", "0000000000", "0000000000", "0000000000", "000000000"},
		{"CN", "+999123", "+999123", "+999123|00999123", "999123"},
		{"CN", "5550100", "5550100", "5550100|555-0100", "05925550100"},
		{"CN", "555-0100", "5550100", "5550100", ""},
		{"CN", "1234567890123456", "1234567890123456", "1234567890123456", "123456789012345"},
		// Internal numbers as dialled.
		{"CN", "8001", "8001", "@8001", "8001|80010"},
		{"CN", "869?", "869?", "@8695", "8695588|869"},
		{"CN", "8???", "8???", "@8001|@8999", "8001|80010|8008100000"},
		{"CN", "80-01", "8001", "@8001", "8001"},
		{"CN", "8001-8099", "8001..8099", "@8001|@8050|@8099", "@8000|@8100|8050"},
		// Beginnings.
		{"CN", "9521*", "9521*", "95211613|9521161|+8695211613|01095211613|9521|9521234567|952112345678901", "09521234567|95588|+9521161300|955211"},
		{"CN", "0952*", "0952*", "09521234567|+869521234567", "95211613"},
		{"CN", "1*", "1*", "13800138000|110|12345", "01081234567|+12125550100"},
		{"CN", "010*", "010*", "01081234567|1081234567|+861081234567", "10086|01095588"},
		{"CN", "95*", "95*", "95588|95211613", "09525012345"},
		{"CN", "+1*", "+1*", "+12125550100|0012125550100|+18765550100", "12125550100|13800138000|+862125550100"},
		{"CN", "001*", "+1*", "+12125550100", ""},
		{"CN", "00 1 305*", "+1305*", "+13055550100", "+13065550100"},
		{"CN", "+86*", "+86*", "95588|05925550100|13800138000", "+85221234567|5550100"},
		{"CN", "+8695*", "+8695*", "95588|95211613|09525012345", "0592|5550100"},
		{"CN", "+86 (0)592*", "+86592*", "05925550100", "0591 5550100"},
		{"CN", "0592 555*", "0592555*", "05925550100", "05925560100"},
		{"CN", "９５２１＊", "9521*", "95211613", ""},
		{"CN", "+852*", "+852*", "+85221234567", "0852 2123456"},
		{"CN", "0852*", "0852*", "0852 2123456", "+85221234567"},
		{"CN", "000*", "000*", "0000000000|0001", "001"},
		{"US", "305*", "305*", "+13055550100|13055550100", "+443055550100|011443055550100"},
		{"US", "1305*", "305*", "+13055550100|3055550100", ""},
		{"US", "+1305*", "+1305*", "3055550100", ""},
		{"BR", "011*", "11*", "11 96123-4567|+55 11 96123-4567", "21 96123-4567"},
		{"DE", "030*", "030*", "+49 30 123456|030123456", "+33 1 23 45 67 89"},
		{"DE", "+49 (0)30*", "+4930*", "030123456", ""},
		{"IT", "06*", "06*", "+39 06 6982 1234", "312 345 6789"},
		{"IT", "+39 (0)6*", "+3906*", "06 6982 1234", ""},
		{"IT", "39*", "39*", "392 345 6789", ""},
		{"RU", "8495*", "8495*", "+7 495 123-45-67|8 495 123-45-67", "+7 496 123-45-67"},
		{"SG", "65*", "65*", "6523 4567", ""},
		// A fixed number of further digits.
		{"CN", "9521????", "9521????", "95211613|01095211613", "9521161|952116130|95588"},
		{"CN", "9521？？？？", "9521????", "95211613", ""},
		{"CN", "955??", "955??", "95588|95533", "955881|955"},
		{"CN", "0592555????", "0592555????", "05925550100|05925559999", "05925540000"},
		{"CN", "+852????????", "+852????????", "+85221234567", ""},
		{"CN", "????", "????", "@8001|1000", "95588|8001"},
		// Ranges.
		{"CN", "05925550000-05925550999", "05925550???", "05925550000|05925550999|+865925550500", "05925551000|05925549999"},
		{"CN", "05925550000..05925550999", "05925550???", "05925550999", ""},
		{"CN", "0592-5550000..0592-5550999", "05925550???", "05925550999", ""},
		{"CN", "0592-5550100 .. 0592-5550149", "05925550100..05925550149", "05925550100|05925550149", "05925550099|05925550150"},
		{"CN", "+865925550100-+865925550149", "+865925550100..+865925550149", "05925550100|05925550149", "05925550150"},
		{"CN", "13800138000–13800138001", "13800138000..13800138001", "13800138001|+8613800138000", "13800138002"},
		{"CN", "8613800138000-8613800138001", "13800138000..13800138001", "13800138001", ""},
		{"CN", "95211000-95211999", "95211???", "95211613", ""},
		{"CN", "001 305 555 0100..001 305 555 0199", "+130555501??", "+1 305 555 0150", ""},
		{"CN", "23456-23499", "+862345623499", "02345623499|2345623499", "23456|23499"},
		{"CN", "23456..23499", "23456..23499", "23456|23499", "02345623499"},
		{"US", "2000-2099", "20??", "2050", "2100|20002099"},
		{"CN", "06012340000-06012349999", "0601234????", "06012345678|+866012345678", "06012350000"},
		{"CN", "021-61234567", "+862161234567", "02161234567", ""},
		{"CN", "95595-95598", "95595..95598", "95595|95598", "95594|95599"},
		{"US", "305-555-0100..305-555-0199", "30555501??", "+1 305 555 0150", ""},
		{"US", "305-5550100", "+13055550100", "+1 305 555 0100", ""},
	} {
		p := testPlan(t, c.country)
		q, err := p.Pattern(c.text)
		if err != nil {
			t.Errorf("%s %q: %v", c.country, c.text, err)
			continue
		}
		if q.String() != c.canonical {
			t.Errorf("%s %q: canonical %q, want %q", c.country, c.text, q, c.canonical)
		}
		checkPattern(t, p, q)
		for i, texts := range []string{c.yes, c.no} {
			for _, text := range strings.Split(texts, "|") {
				if texts == "" {
					break
				}
				n := p.Parse(text)
				if strings.HasPrefix(text, "@") {
					n = p.ParseInternal(text[1:])
				}
				if got := q.Matches(&n); got != (i == 0) {
					t.Errorf("%s %q matches %q: %v (%s %q, national %q)", c.country, c.text, text, got, n.Kind, n.E164, n.national)
				}
			}
		}
	}
}

// checkPattern tests what holds for every pattern.
func checkPattern(t testing.TB, p *Plan, q Pattern) {
	t.Helper()
	if again, err := p.Pattern(q.String()); err != nil || again != q {
		t.Errorf("%q is read again as %q (%v)", q, again, err)
	}
	if kept, err := p.KeptPattern(q.String()); err != nil || kept != q {
		t.Errorf("%q is kept as %q (%v)", q, kept, err)
	}
	if again, err := p.Again(q.String()); err != nil || again != q {
		t.Errorf("%q is read again, for another normaliser, as %q (%v)", q, again, err)
	}
	if key, ok := q.Key(); ok && KeyPattern(key) != q {
		t.Errorf("%q becomes %q by its key", q, KeyPattern(key))
	}
}

// The messages are the administrator's only help, so they are fixed here word by word.
//
// long: because it is one table, of faults and the advice on each
func TestPatternFaults(t *testing.T) {
	const (
		empty   = "it is empty: write a number such as 95588, or a beginning such as 9521*"
		bare    = "* alone would take every number: write how the numbers begin, such as 9521* or +1*, or leave a condition of a rule out"
		letters = "letters are no part of a number: write digits, with + in front for another country"
		junk    = "it has characters that no number has: write digits, with + in front for another country"
		mark    = "? stands only at the end, for one further digit each: write 9521????, or a range as 95210000..95219999"
		star    = "* stands only at the end, for any further digits: write 9521*, or a range as 95210000..95219999"
		both    = "? and * do not go together: 9521* takes any length, 9521???? exactly four more digits"
		feature = "# is no part of a number: feature codes of the PBX are not screened"
		plus    = "a + stands only before the first digit: write +8659255501*"
		hidden  = `withheld callers have no number: write caller_kind = ["anonymous"]`
		digit   = "there is no digit in it: write a number such as 95588, or a beginning such as 9521*"
		ends    = "a range has two ends: write a number on both sides of it"
		wild    = "a range goes from one number to another: write it without * and ?"
	)
	for _, c := range []struct{ country, text, want string }{
		{"CN", "", empty},
		{"CN", " \t ", empty},
		{"CN", "\u200b", empty},
		{"CN", strings.Repeat("9", 300), "too long: a number has at most 15 digits"},
		{"CN", "12345678901234567", "too long: a number has at most 15 digits, this has 17"},
		{"CN", "1234567890123456*?", both},
		{"CN", "12345678901234567*", "too long: a number has at most 15 digits, this asks for 17"},
		{"CN", "9521?????????????", "too long: a number has at most 15 digits, this asks for 17"},
		{"CN", "*", bare},
		{"CN", "+*", bare},
		{"CN", "00*", bare},
		{"CN", "＊", bare},
		{"CN", "**", star},
		{"CN", "9521**", star},
		{"CN", "*9521", star},
		{"CN", "95*88", star},
		{"CN", "*97", star},
		{"CN", "9521*#", feature},
		{"CN", "#31#", feature},
		{"CN", "95?88", mark},
		{"CN", "?521", mark},
		{"CN", "9521?*", both},
		{"CN", "9521*?", both},
		{"CN", "86+95*", plus},
		{"CN", "++1*", plus},
		{"CN", "95+588", plus},
		{"CN", "abc", letters},
		{"CN", "9521x*", letters},
		{"CN", "95588O", letters},
		{"CN", "1-800-FLOWERS", letters},
		{"CN", "客服", letters},
		{"CN", "9521%", junk},
		{"CN", "95588,95533", junk},
		{"CN", "^9521", junk},
		{"CN", "9521\x00*", junk},
		{"CN", "10.0.0.1", "that is an address and no number: addresses belong to match of a trunk"},
		{"CN", "-", digit},
		{"CN", "+", digit},
		{"CN", "anonymous", hidden},
		{"CN", "Private Number", hidden},
		{"CN", "<>", hidden},
		// A country code without + looks like a beginning inside the country, which no number has.
		{"CN", "8695*", "no number of CN is written so inside the country: write +8695* for the country code and 95, or 95*"},
		{"CN", "86*", "no number of CN is written so inside the country: write +86* for the country code"},
		{"CN", "8659255501??", "no number of CN is written so inside the country: write +8659255501?? for the country code and 59255501, or 059255501??"},
		{"CN", "08695*", "no number of CN is written so inside the country: write +8695* for the country code and 95, or 95*"},
		{"DE", "4930*", "no number of DE is written so inside the country: write +4930* for the country code and 30, or 030*"},
		{"CN", "+0592*", "no country code begins with 0: write 0592* for numbers of CN, or + and the country code"},
		{"CN", "+860592*", "the trunk 0 is not written behind the country code: write +86592* or 0592*"},
		{"CN", "00860592555????", "the trunk 0 is not written behind the country code: write +86592555???? or 0592555????"},
		{"CN", "0138*", "mobile numbers are written without 0: write 138*"},
		{"CN", "010955*", "service codes are written without area code: write 955*"},
		{"CN", "0592-9521????", "service codes are written without area code: write 9521????"},
		{"US", "01186*", "011 is how other countries are dialled: write +86*"},
		{"JP", "01086*", "010 is how other countries are dialled: write +86*"},
		// Ranges.
		{"CN", "05925550000-5550999", "the ends of the range have 11 and 7 digits: write both in full, with the same length"},
		{"CN", "05925550000..0592555099", "the ends of the range have 11 and 10 digits: write both in full, with the same length"},
		{"CN", "0592-55501", "the ends of the range have 4 and 5 digits: write both in full, with the same length"},
		{"CN", "05925550999-05925550000", "the left end of the range is above the right one: write 05925550000..05925550999"},
		{"CN", "+865925550999..+865925550000", "the left end of the range is above the right one: write +865925550000..+865925550999"},
		{"CN", "05925550000..05925550000", "both ends of the range are the same: write 05925550000 alone"},
		{"CN", "10..19", "the ends of a range have 3 digits at least, 10 has 2: write each number on its own"},
		{"CN", "05925550000..13800138000", "the ends of the range differ in kind, 05925550000 is fixed and 13800138000 is mobile: write one range for each kind"},
		{"CN", "10000-19999", "10000-19999 may be one number or a range: write 10000..19999 for the range, or 1000019999 for the number"},
		{"CN", "10000..19999", "the ends of the range differ in kind, 10000 is service and 19999 is invalid (too short): write one range for each kind"},
		{"CN", "7999-8000", "7999-8000 may be one number or a range: write 7999..8000 for the range, or 79998000 for the number"},
		{"CN", "7999..8000", "the ends of the range differ in kind, 7999 is invalid (too short) and 8000 is internal: write one range for each kind"},
		{"CN", "10010-10086", "10010-10086 may be one number or a range: write 10010..10086 for the range, or 1001010086 for the number"},
		{"IN", "701234-987654", "701234-987654 is no number of IN: write 701234..987654 for a range"},
		{"CN", "+865925550000-05925550999", "only one end of the range has a country code: write + before both or before neither"},
		{"CN", "+13055550100..+4420794600", "the ends of the range have 11 and 10 digits: write both in full, with the same length"},
		{"CN", "+12125550100..+44207946001", "the ends of the range differ in kind, +12125550100 is international and +44207946001 is invalid (too short): write one range for each kind"},
		{"CN", "+442079460018..+493012345678", "the ends of the range are in different countries: write one range for each"},
		{"CN", "0592-5550000-0592-5550999", "22 digits are no number: write .. between the two ends of a range"},
		{"CN", "..", ends},
		{"CN", "05925550000..", ends},
		{"CN", "..05925550000", ends},
		{"CN", "05925550000..05925550100..05925550200", "a range has two ends: write one .. between two numbers"},
		{"CN", "9521*..9522*", wild},
		{"CN", "9521????..9522????", wild},
		{"CN", "9521????-9522????", mark},
		{"CN", "abc..abd", letters},
		{"CN", "12345678901234567..12345678901234568", "too long: a number has at most 15 digits, this has 17"},
	} {
		p := testPlan(t, c.country)
		q, err := p.Pattern(c.text)
		if err == nil {
			t.Errorf("%s %q is taken as %q, want the fault %q", c.country, c.text, q, c.want)
			continue
		}
		if err.Error() != c.want {
			t.Errorf("%s %q: %s\nwant: %s", c.country, c.text, err, c.want)
		}
		if q != (Pattern{}) {
			t.Errorf("%s %q: a fault and the pattern %q", c.country, c.text, q)
		}
	}
}

func TestPatternIsExact(t *testing.T) {
	p := testPlan(t, "CN")
	for text, want := range map[string]bool{
		"95588": true, "+8695588": true, "8001": true, "12": true,
		"9521*": false, "955??": false, "05925550000..05925550001": false,
	} {
		if got := mustPattern(t, p, text).IsExact(); got != want {
			t.Errorf("%q is exact: %v", text, got)
		}
	}
	if (Pattern{}).IsExact() || (Pattern{}).String() != "" {
		t.Error("the zero pattern is something")
	}
	for _, text := range []string{"95588", "", "8001"} {
		if n := p.ParseInternal(text); (Pattern{}).Matches(&n) {
			t.Errorf("the zero pattern matches %q", text)
		}
	}
}

// Each spelling of a number is also a pattern for just that number.
func TestPatternOfEverySpelling(t *testing.T) {
	plans := map[string]*Plan{}
	for _, row := range spellings(t) {
		p := plans[row.country]
		if p == nil {
			p = testPlan(t, row.country)
			plans[row.country] = p
		}
		q, err := p.Pattern(row.text)
		if row.e164 == "" {
			continue // refused, or what is no number
		}
		if err != nil {
			t.Errorf("numbers.tsv:%d: %q: %v", row.line, row.text, err)
			continue
		}
		if !q.IsExact() || q.String() != row.e164 {
			t.Errorf("numbers.tsv:%d: %q is the pattern %q, want %q", row.line, row.text, q, row.e164)
		}
		n := p.Parse(row.text)
		if !q.Matches(&n) {
			t.Errorf("numbers.tsv:%d: the pattern %q does not match its own text %q", row.line, q, row.text)
		}
	}
}

// Digits alone, which are not searched for anything else, are read as they are where something invisible has them searched: with the same fault, too.
func TestPatternOfDigitsAlone(t *testing.T) {
	plans := map[string]*Plan{}
	for _, row := range spellings(t) {
		p := plans[row.country]
		if p == nil {
			p = testPlan(t, row.country)
			plans[row.country] = p
		}
		if !isPlain(row.text) {
			continue
		}
		for end := range row.text {
			text := row.text[:end+1]
			q, err := p.Pattern(text)
			same, fault := p.Pattern(text + "\u200b")
			if q != same || fmt.Sprint(err) != fmt.Sprint(fault) {
				t.Errorf("%s: %q is %v, %v, and searched %v, %v", row.country, text, q, err, same, fault)
			}
		}
	}
}

// What an earlier normaliser wrote becomes what this one makes of the text.
func TestAgain(t *testing.T) {
	for _, c := range []struct{ country, text, want string }{
		{"US", "5551234567", "+15551234567"},
		{"US", "15551234567", "+15551234567"},
		{"US", "+15551234567", "+15551234567"},
		{"US", "+442079460018", "+442079460018"},
		{"US", "+5215512345678", "+525512345678"},
		{"BR", "+551187654321", "+5511987654321"},
		{"GB", "+44 02079460018", "+442079460018"},
		{"GB", "+4402079460018", "+442079460018"},
		{"CN", "17951", "+8617951"},
		{"CN", "+8695588", "+8695588"},
		{"CN", "0000000000", "0000000000"},
		{"CN", "9521*", "9521*"},
		{"CN", "12", "12"},
		{"CN", "5550100", "5550100"},
	} {
		if q, err := testPlan(t, c.country).Again(c.text); err != nil || q.String() != c.want {
			t.Errorf("%s %q: %q (%v), want %q", c.country, c.text, q, err, c.want)
		}
	}
}
