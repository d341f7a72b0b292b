package policy

import (
	"strings"
	"testing"
)

// A SIP answer that Asterisk cannot give is said to be none where a trunk is Asterisk's, and only there.
func TestAnswersOnAsterisk(t *testing.T) {
	const file = `
country = "CN"
[trunks.pbx]
match = ["MATCH"]
[trunks.other]
match = ["profile:external"]
[[rule]]
name = "r"
when = { list = ["x"]TRUNK }
action = "reject"
sip = SIP
`
	for _, c := range []struct {
		match, sip, trunk, want string
	}{
		{"endpoint:pbx", "607", "", "607 cannot be had on Asterisk, which trunk pbx belongs to (endpoint:): there callers get 603"},
		{"endpoint:pbx", "608", "", "there callers get 603"},
		{"endpoint:pbx", "600", `, trunk = ["pbx"]`, "there callers get 486"},
		{"endpoint:pbx", "600", `, trunk = ["other"]`, ""},
		{"endpoint:pbx", "403", "", ""},
		{"gateway:pbx", "607", "", ""},
	} {
		_, faults := Load("p.toml", []byte(strings.NewReplacer("MATCH", c.match, "SIP", c.sip, "TRUNK", c.trunk).Replace(file)))
		var said string
		for _, f := range faults {
			if strings.Contains(f.String(), "Asterisk") {
				said += f.String()
			}
		}
		if c.want == "" && said != "" || !strings.Contains(said, c.want) {
			t.Errorf("%+v: %q", c, said)
		}
	}
}
