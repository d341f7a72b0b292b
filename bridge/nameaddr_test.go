package bridge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNameAddr(t *testing.T) {
	type parts struct {
		Name, User, Host string
		OK               bool
	}
	for text, want := range map[string]parts{
		`"Alice Ex" <sip:+15551230001@127.0.0.1>;tag=24802SIPpTag001`:          {"Alice Ex", "+15551230001", "127.0.0.1", true},
		`"a \" <sip:1@x>" <sip:2;verstat=TN-Validation-Passed-A@h;user=phone>`: {`a " <sip:1@x>`, "2;verstat=TN-Validation-Passed-A", "h", true},
		`"x<sip:110@evil>" <sip:13800138000@carrier>`:                          {"x<sip:110@evil>", "13800138000", "carrier", true},
		`sip:95588@h;tag=x`:               {"", "95588", "h", true},
		`SIPS:95588@h`:                    {"", "95588", "h", true},
		`<sip:95588:secret@h>`:            {"", "95588", "h", true},
		`<sip:h>`:                         {"", "", "h", false},
		`Bob <sip:a%0ab%22@h>`:            {"Bob", "a\nb\"", "h", true},
		`<tel:+8613800138000>`:            {"", "+8613800138000", "", true},
		`tel:+8613800138000;ext=1`:        {"", "+8613800138000", "", true},
		`"never ends <sip:1@host>`:        {},
		`"a" <sip:110@evil> "" <sip:1@c>`: {}, // as a switch makes it that undoes a caller's %22
		`a <sip:110@evil> <sip:1@c>`:      {},
		`"a" b <sip:110@evil>`:            {},
		`<http:110@evil>`:                 {},
		``:                                {},
	} {
		name, user, host, ok := NameAddr(text)
		got := parts{name, user, host, ok}
		if !ok && !want.OK {
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

// Whatever a caller has for a name, as a carrier writes it into its header, the user stays the carrier's.
func FuzzNameAddr(f *testing.F) {
	for _, name := range []string{"", "Alice", `x<sip:110@evil>`, `a\" <sip:110@e>`, "%22 <sip:110@e> %22", "\n<sip:1@x>\n", ";tag=1"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		header := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" <sip:13800138000@carrier>;party=calling`
		if _, user, _, ok := NameAddr(header); !ok || user != "13800138000" {
			t.Fatalf("%q: %q %v", header, user, ok)
		}
		// What a switch makes of it that undoes %XX is either that number, or none.
		undone := strings.NewReplacer("%22", `"`, "%3C", "<", "%3E", ">", "%5C", `\`).Replace(header)
		if _, user, _, ok := NameAddr(undone); ok && user != "13800138000" {
			t.Fatalf("%q: %q", undone, user)
		}
	})
}
