package asterisk

import (
	"strings"
	"testing"
	"testing/fstest"
)

// A line that cannot be what its writer meant is an error, with its place.
func TestReadScripts(t *testing.T) {
	for text, want := range map[string]string{
		"from 952":                              "c:1: `call NAME` comes first",
		"call a\nfrom 952":                      "c:1: a call needs `from` and `to`",
		"call a\nfrom 952 Sale\nto 1":           "c:2: from: a number, and a name in quotation marks",
		"call a\nfrom 952 \"[field0]\"\nto 1":   "c:2: from: sipp has a meaning of its own",
		"call a\nfrom 952\nto 1\nholds 3":       "c:4: time: missing unit",
		"call a\nfrom 952\nto 1\nhandset rings": "c:4: time: invalid duration",
		"call a\nfrom 952\nto 1\nheard beep":    `c:4: "heard": there are call, from, to`,
	} {
		if _, err := ReadScripts(fstest.MapFS{"c": {Data: []byte(text)}}, "c"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	got, err := ReadScripts(fstest.MapFS{"c": {Data: []byte("# x\ncall a b # y\n from 952 \"Sale 1\"\n to 1\n sees 183 200\n")}}, "c")
	if err != nil || len(got) != 1 || got[0].Name != "a b" || got[0].From != "952" || got[0].Display != "Sale 1" || len(got[0].Sees) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
