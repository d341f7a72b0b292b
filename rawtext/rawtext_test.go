package rawtext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCut(t *testing.T) {
	tests := []struct {
		in   string
		want int
	}{
		{strings.Repeat("x", 256), 256},
		{strings.Repeat("x", 300), 256},
		{strings.Repeat("京", 100), 255},
		{"x" + strings.Repeat("京", 100), 256},
		{"xx" + strings.Repeat("京", 100), 254},
		{strings.Repeat("é", 200), 256},
		{strings.Repeat("x", 253) + "😀", 253},
		{strings.Repeat("\xe9", 300), 256},
		{strings.Repeat("\x80", 300), 256},
	}
	for _, test := range tests {
		if got := Cut(test.in, 256); len(got) != test.want || !strings.HasPrefix(test.in, got) {
			t.Errorf("%q is cut to %d bytes, want %d", test.in, len(got), test.want)
		}
	}
}

func FuzzBytes(f *testing.F) {
	for _, s := range []string{"", "Jos\xe9", `\xE9`, `\x5CxE9`, "\\\xe9", `\\\x`, "京东"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		esc := Escape(s)
		if !utf8.ValidString(esc) {
			t.Errorf("%q becomes %q", s, esc)
		}
		if got := Unescape(esc); got != s {
			t.Errorf("%q becomes %q becomes %q", s, esc, got)
		}
		if got := Cut(s, 16); len(got) > 16 || len(s) > 16 && len(got) < 13 || !strings.HasPrefix(s, got) {
			t.Errorf("%q is cut to %q", s, got)
		}
	})
}
