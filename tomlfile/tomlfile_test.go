package tomlfile

import (
	"bytes"
	"strings"
	"testing"
)

const deepText = "has more parts or brackets within brackets here than any such file needs: take out what is none of it"

func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		name string
		text []byte
		want string
	}{
		{"not UTF-8", []byte("country = \"CN\"\n# \xc4\xe3\xba\xc3\n"), "p.toml:2: file: is not UTF-8 here: save the file in the encoding UTF-8"},
		{"brackets", bytes.Repeat([]byte("["), maxBrackets+1), "p.toml:1: file: has more than 200000 brackets, more than any such file needs: take out what is none of it"},
		{"deep array", []byte("a = 1\nb = " + strings.Repeat("[", 100_000)), "p.toml:2: file: " + deepText},
		{"deep table", []byte("a = " + strings.Repeat("{a=", 50_000) + "1" + strings.Repeat("}", 50_000)), "p.toml:1: file: " + deepText},
		{"long key", []byte("\n\n" + strings.Repeat("a.", 1_000_000) + "a = 1"), "p.toml:3: file: " + deepText},
		{"long header", []byte("[" + strings.Repeat("a.", 1_000_000) + "a]"), "p.toml:1: file: " + deepText},
	} {
		values, places, bad := Decode(test.text)
		if values != nil || places != nil || bad == nil {
			t.Errorf("%s: got values %v, places %v, fault %v, want the fault alone", test.name, values != nil, places != nil, bad)
			continue
		}
		bad.File = "p.toml"
		if got := bad.String(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestNearest(t *testing.T) {
	actions := []string{"allow", "tag", "warn", "challenge", "divert", "reject"}
	for _, test := range []struct {
		got   string
		words []string
		want  string
	}{
		{"regect", actions, "reject"},
		{"Reject", actions, "reject"},
		{"rejcet", actions, "reject"},
		{"alow", actions, "allow"},
		{"block", actions, ""},
		{"x", actions, ""},
		{strings.Repeat("reject", 50), actions, ""},
	} {
		if got := Nearest(test.got, test.words); got != test.want {
			t.Errorf("Nearest(%q) = %q, want %q", test.got, got, test.want)
		}
	}
}
