package number

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestInert(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"Sales?", "Sales?"},
		{"疑似骚扰", "疑似骚扰"},
		{"  a   b  ", "a b"},
		{"a\r\nb", "ab"},
		{"a \x00 b", "a b"},
		{"${system(touch /tmp/x)}", "system(touch /tmp/x)"},
		{`a\b%20"c"<d>`, "a b 20 c d"},
		{"`id`", "id"},
		{"it's", "it’s"},
		{"a$$$b", "a b"},
		{"$", ""},
		{"a\xffb\xc3", "ab"},
		{"a\u202eb\u200b\ufeffc\u2066", "abc"},
		{"a\u2028b\u0085c", "abc"},
		{strings.Repeat("x", 70), strings.Repeat("x", 64)},
		{strings.Repeat("号", 70), strings.Repeat("号", 64)},
		{strings.Repeat("x", 63) + " y", strings.Repeat("x", 63)},
		{strings.Repeat("x", 62) + "  y", strings.Repeat("x", 62) + " y"},
		{strings.Repeat("$", 100) + "a", "a"},
	} {
		if got := Inert(test.text); got != test.want {
			t.Errorf("Inert(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}

func TestTagName(t *testing.T) {
	for _, test := range []struct{ label, name, number, want string }{
		{"Sales?", "Li Wei", "+8695211613", "Sales? Li Wei"},
		{"Sales?", "", "+8695211613", "Sales? +8695211613"},
		{"Sales?", " \x01", "95211613", "Sales? 95211613"},
		{"Withheld", "", "", "Withheld"},
		{"Sales?", `"${x}"`, "1", "Sales? x"},
		{"Sales?", strings.Repeat("y", 80), "1", "Sales? " + strings.Repeat("y", 57)},
	} {
		if got := TagName(test.label, test.name, test.number); got != test.want {
			t.Errorf("TagName(%q, %q, %q) = %q, want %q", test.label, test.name, test.number, got, test.want)
		}
	}
}

// FuzzInert holds that nothing a switch or a terminal acts on gets through, whatever comes in.
func FuzzInert(f *testing.F) {
	for _, seed := range []string{"", "a  b", "${x}", "it's\n", "\xff\xfe", "\u202e", strings.Repeat("x ", 60), "'\"`\\%<>{}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Inert(text)
		switch {
		case !utf8.ValidString(got):
			t.Errorf("Inert(%q) = %q is not UTF-8", text, got)
		case utf8.RuneCountInString(got) > MaxInert:
			t.Errorf("Inert(%q) = %q is too long", text, got)
		case strings.ContainsAny(got, "$\\%\"<>{}`'"):
			t.Errorf("Inert(%q) = %q is not inert", text, got)
		case strings.Contains(got, "  "), strings.Trim(got, " ") != got:
			t.Errorf("Inert(%q) = %q has spaces to spare", text, got)
		case Inert(got) != got:
			t.Errorf("Inert(%q) = %q, which it would change to %q", text, got, Inert(got))
		}
		for _, r := range got {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Errorf("Inert(%q) = %q has the control character %U", text, got, r)
			}
		}
	})
}
