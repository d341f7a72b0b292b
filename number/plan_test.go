package number

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

func TestNewPlan(t *testing.T) {
	for given, want := range map[string]string{"CN": "CN", "us": "US", " gb ": "GB"} {
		p, err := NewPlan(PlanOptions{Country: given})
		if err != nil || p.Country() != want {
			t.Errorf("country %q: %v, want %s", given, err, want)
		}
	}
	for region := range phonenumbers.GetSupportedRegions() {
		if _, err := NewPlan(PlanOptions{Country: region}); err != nil {
			t.Errorf("%s: %v", region, err)
		}
	}
}

func TestNewPlanFaults(t *testing.T) {
	_, err := NewPlan(PlanOptions{Country: "UK", Internal: []string{"8???", "", "9*", "80a", "*97", "1000-99", "+8001", "*", "86#"}})
	var got []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var fault *PlanError
		if !errors.As(e, &fault) {
			t.Fatalf("%v is no PlanError", e)
		}
		got = append(got, fmt.Sprintf("%d %d %s", fault.Option, fault.At, fault.Advice))
	}
	want := []string{
		`0 0 "UK" is no country with telephone numbers: write its two letters of ISO 3166-1, GB`,
		`1 1 it is empty: write a number such as 95588, or a beginning such as 9521*`,
		`1 2 internal numbers need a length, or numbers from outside would count as internal: write 9???`,
		`1 3 letters are no part of a number: write digits, with + in front for another country`,
		`1 4 internal numbers are digits, perhaps with ? behind them, or a range: write 8??? or 1000-1099`,
		`1 5 the ends of a range have 3 digits at least, 99 has 2: write each number on its own`,
		`1 6 internal numbers are written as they are dialled: leave the + out`,
		`1 7 * alone would make every number internal: write 8??? or 1000-1099`,
		`1 8 feature codes are no internal numbers: write digits, such as 8??? or 1000-1099`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for country, want := range map[string]string{
		"":      `"" is no country with telephone numbers: write its two letters of ISO 3166-1, such as CN, US or GB`,
		"86":    `"86" is no country with telephone numbers: write its two letters of ISO 3166-1, CN`,
		"China": `"CHINA" is no country with telephone numbers: write its two letters of ISO 3166-1, such as CN, US or GB`,
		"999":   `"999" is no country with telephone numbers: write its two letters of ISO 3166-1, such as CN, US or GB`,
		"+44":   `"+44" is no country with telephone numbers: write its two letters of ISO 3166-1, GB`,
	} {
		if _, err := NewPlan(PlanOptions{Country: country}); err == nil || err.Error() != want {
			t.Errorf("country %q: %v, want %s", country, err, want)
		}
	}
}

// Ordinary numbers of China must be the same for the plan written here and for the metadata that all
// other countries are read by.
//
// long: because it goes through the whole plan by one measure
func TestChinaAgreesWithMetadata(t *testing.T) {
	p := testPlan(t, "CN")
	ask := func(text string) (string, bool) {
		num, err := phonenumbers.Parse(text, "CN")
		if err != nil || !phonenumbers.IsValidNumber(num) {
			return "", false
		}
		return phonenumbers.Format(num, phonenumbers.E164), true
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	digits := func(k int) string {
		b := make([]byte, k)
		for i := range b {
			b[i] = byte('0' + rnd.IntN(10))
		}
		return string(b)
	}
	// Every area code with local numbers of every length. Where no trunk 0 tells that it is one, 400,
	// 800, 95 and 96 are something else.
	befores := []string{"0", "+860", "+86", "0086", "86"}
	for area := 300; area < 1000; area++ {
		for length := 6; length <= 9; length++ {
			local := fmt.Sprintf("%c%s", "2345678"[rnd.IntN(7)], digits(length-1))
			before := befores[rnd.IntN(len(befores))]
			switch {
			case area == 400, area == 800, area == 950, area/10 == 86:
				continue
			case area >= 950 && area < 970:
				before = befores[rnd.IntN(2)]
			}
			text := fmt.Sprintf("%s%d%s", before, area, local)
			want, ok := ask(text)
			n := p.Parse(text)
			if ok != (n.Kind == Fixed) || n.E164 != want && (ok || n.Kind != Unassigned) {
				t.Errorf("%s: %s %q (%s), the metadata say %q", text, n.Kind, n.E164, n.Reason, want)
			}
		}
	}
	for range 200 {
		for _, text := range []string{
			"1" + "3589"[rnd.IntN(4):][:1] + "012356789"[rnd.IntN(9):][:1] + digits(8),
			"400" + digits(7),
			"800" + digits(7),
			"02" + "012345789"[rnd.IntN(9):][:1] + "2345678"[rnd.IntN(7):][:1] + digits(7),
			"010" + "2345678"[rnd.IntN(7):][:1] + digits(7),
		} {
			if strings.HasPrefix(text, "154") || strings.HasPrefix(text, "194") {
				continue // not in use, but no caller is refused when they will be
			}
			want, ok := ask(text)
			if !ok {
				continue
			}
			for _, before := range []string{"", "+86", "0086", "86"} {
				if n := p.Parse(before + strings.TrimPrefix(text, "0")); before != "" && n.E164 != want {
					t.Errorf("%s%s: %s %q (%s), the metadata say %q", before, text, n.Kind, n.E164, n.Reason, want)
				}
			}
			if n := p.Parse(text); n.E164 != want {
				t.Errorf("%s: %s %q (%s), the metadata say %q", text, n.Kind, n.E164, n.Reason, want)
			}
		}
	}
	// Every short number that the metadata know is one here too.
	short, err := shortCodes("CN")
	if err != nil {
		t.Fatal(err)
	}
	for length := 3; length <= 6; length++ {
		step := 1 + pow10[length]/30_000 // all short ones, and some of the many long ones
		for v := uint64(0); v < pow10[length]; v += step {
			d := string(appendPadded(nil, v, length))
			if d[0] != '1' && d[0] != '9' || !matchesDesc(d, short.GetShortCode()) && !matchesDesc(d, short.GetEmergency()) {
				continue
			}
			n := p.Parse(d)
			if !n.Kinds.Has(Service) || n.E164 != "+86"+d {
				t.Fatalf("%s: %s %q, the metadata know a short number", d, n.Kind, n.E164)
			}
			if matchesDesc(d, short.GetEmergency()) != n.Kinds.Has(Emergency) && !strings.Contains("122 95110 12110", d) {
				t.Errorf("%s: emergency is %v", d, n.Kinds.Has(Emergency))
			}
		}
	}
}

// A number is the same number when it is written by the conventions of any country.
func TestWorldRoundTrip(t *testing.T) {
	china := testPlan(t, "CN")
	for region := range phonenumbers.GetSupportedRegions() {
		p, err := NewPlan(PlanOptions{Country: region})
		if err != nil {
			t.Fatal(err)
		}
		for typ := phonenumbers.FIXED_LINE; typ <= phonenumbers.VOIP; typ++ {
			num := phonenumbers.GetExampleNumberForType(region, typ)
			if num == nil {
				continue
			}
			want := phonenumbers.Format(num, phonenumbers.E164)
			texts := []string{want, phonenumbers.Format(num, phonenumbers.INTERNATIONAL), phonenumbers.Format(num, phonenumbers.RFC3966)}
			if region != "AR" && region != "CN" { // Argentina's mobile numbers are rearranged, China's have a test of their own
				texts = append(texts, phonenumbers.Format(num, phonenumbers.NATIONAL))
			}
			for _, text := range texts {
				if n := p.Parse(text); n.E164 != want && region != "CN" {
					t.Errorf("%s: %q: %s %q (%s), want %q", region, text, n.Kind, n.E164, n.Reason, want)
				} else {
					checkNumber(t, p, &n)
				}
			}
			if region == "CN" {
				continue
			}
			n := china.Parse(want)
			if n.E164 != want || n.Kind != International {
				t.Errorf("%s from China: %q: %s %q (%s)", region, want, n.Kind, n.E164, n.Reason)
			}
		}
	}
}

// The value of a digit is told by its place in the table of digits, which holds only as long as every
// run of that table is whole scripts.
func TestDigitTable(t *testing.T) {
	for _, run := range unicode.Nd.R16 {
		if run.Stride != 1 || (run.Hi-run.Lo+1)%10 != 0 {
			t.Errorf("digits %U to %U", run.Lo, run.Hi)
		}
	}
	for _, run := range unicode.Nd.R32 {
		if run.Stride != 1 || (run.Hi-run.Lo+1)%10 != 0 {
			t.Errorf("digits %U to %U", run.Lo, run.Hi)
		}
	}
	for text, want := range map[string]string{"٠١٢٣٤٥٦٧٨٩": "0123456789", "𝟘𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠𝟡": "0123456789", "๐๑๒๓๔๕๖๗๘๙": "0123456789"} {
		if w := scanNumber(text, false); w.digits != want {
			t.Errorf("%s is read as %s", text, w.digits)
		}
	}
}

// What a number costs to read. Junk must cost no more than a number does, however long it is.
func BenchmarkParse(b *testing.B) {
	china, us := testPlan(b, "CN"), testPlan(b, "US")
	for _, c := range []struct {
		name string
		plan *Plan
		text string
	}{
		{"mobile", china, "13800138000"},
		{"mobile-e164", china, "+8613800138000"},
		{"fixed", china, "05925550100"},
		{"fixed-separated", china, "+86 592-555-0100"},
		{"service", china, "95211613"},
		{"service-area", china, "01095588"},
		{"sip-uri", china, `"Bank" <sip:+8695588@example.com;user=phone>`},
		{"foreign", china, "+442079460018"},
		{"us", us, "13055550100"},
		{"us-unassigned", us, "5551234567"},
		{"withheld", china, "anonymous"},
		{"junk", china, "95588'; DROP TABLE calls;--"},
		{"junk-10KB-digits", china, strings.Repeat("9", 10_000)},
		{"junk-10KB-words", china, strings.Repeat("anonymous ", 1000)},
		{"junk-256B-digits", china, strings.Repeat("9", MaxRaw)},
		{"junk-256B-separators", china, strings.Repeat("-", MaxRaw-5) + "95588"},
		{"junk-256B-parameters", china, "sip:" + strings.Repeat(";", MaxRaw-4)},
		{"junk-256B-foreign-digits", us, "+" + strings.Repeat("1", 22)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.plan.Parse(c.text)
			}
		})
	}
}

func TestParseAllocates(t *testing.T) {
	p := testPlan(t, "CN")
	for text, want := range map[string]float64{
		"13800138000":      1,
		"+8613800138000":   1,
		"05925550100":      1,
		"0592 555 0100":    2,
		"95588":            1,
		"+86 592-555-0100": 2,
		"anonymous":        0,
		"8001":             0,
		"12345678901234":   0,
	} {
		if got := testing.AllocsPerRun(100, func() { p.Parse(text) }); got > want {
			t.Errorf("%q: %v allocations, want %v at most", text, got, want)
		}
	}
}
