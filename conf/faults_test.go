package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wholeFile has every key of the daemon's file, each right, a line each.
const wholeFile = `policy = "p.toml"
data = "/srv/data"
node = "pbx1"
socket = "/run/s"
[screen]
listen = "127.0.0.1:4573"
allow = ["127.0.0.0/8"]
deadline = "700ms"
[agi]
listen = "127.0.0.1:8084"
allow = ["127.0.0.0/8"]
deadline = "700ms"
[journal]
keep = "30d"
max_size = "1GiB"
private = true
[console]
listen = "192.0.2.1:8085"
url = "https://pbx1.example.com:8085"
tls_cert = "c.crt"
tls_key = "c.key"
insecure = true
metrics = ["192.0.2.0/24"]
trusted_proxies = ["192.0.2.0/24"]
[console.oidc]
issuer = "https://login.example.com"
client_id = "ringfence"
client_secret_file = "pw"
role_claim = "groups"
roles = { "pbx-admins" = "admin" }
[notify]
command = "/bin/true"
[reject]
redress = "https://example.com/r.jws"
analytics = "https://example.com/b"
[cluster]
name = "isp"
servers = ["nats://10.0.0.5:4222", "tls://nats1.example.com:4222"]
credentials = "pw"
tls_ca = "pw"
tls_cert = "pw"
tls_key = "pw"
share_policy = true
policy_from = ["pbx1"]
keep = "60d"
max_change = "10%"
[[attach]]
kind = "freeswitch"
name = "127.0.0.1:5038"
address = "192.0.2.1:8021"
password = "secret"
[[attach]]
kind = "asterisk"
name = "127.0.0.1:8021"
address = "192.0.2.2:5038"
user = "ringfence"
password_file = "pw"
[[attach]]
kind = "freeswitch"
password = "secret"
address = "192.0.2.3:8021"
[[feed]]
list = "a"
source = "a.csv"
format = "csv"
every = "1h"
max_change = "10%"
[[feed]]
list = "b"
source = "https://example.com/b.txt"
`

// fileFaults reads a text beside a password's file, and gives its faults without the folder.
func fileFaults(t *testing.T, folder, text string) []string {
	t.Helper()
	_, err := parseDaemon(filepath.Join(folder, "f.toml"), []byte(text))
	if err == nil {
		return nil
	}
	return strings.Split(strings.ReplaceAll(err.Error(), folder+"/", ""), "\n")
}

// withPassword is a folder that has a password's file.
func withPassword(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "pw"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// A command needs neither the passwords nor a file without faults to find the daemon that runs.
func TestForCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ringfence.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const attach = "socket = \"/run/s\"\n[[attach]]\nkind = \"freeswitch\"\npassword_file = \"not-mine\"\n"
	write(attach)
	if _, err := LoadDaemon(file); err == nil || !strings.Contains(err.Error(), ":4: attach.password_file: ") {
		t.Errorf("the daemon starts without the password: %v", err)
	}
	d, err := LoadForCommand(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Attach[0].ReadPassword(); err == nil || !strings.Contains(err.Error(), "not-mine") {
		t.Errorf("reading the password said %v", err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "not-mine"), []byte("secret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := d.Attach[0].ReadPassword(); err != nil || p != "secret" {
		t.Errorf("the password is %q, %v", p, err)
	}
	for text, want := range map[string]string{
		attach:                           "/run/s",
		attach + "[journal]\nkeep = 7\n": "/run/s",
		"socket = 7\n":                   "",
		"socket = \"\"\n":                "",
		"socket = \"/run/s\"\nsyntax\n":  "",
		"socket = \"/" + strings.Repeat("x", 120) + "\"\n": "",
	} {
		write(text)
		got, err := FindSocket(file)
		if got != want || (err != nil) != (text != attach) {
			t.Errorf("%q: the socket is %q, %v, want %q", text, got, err, want)
		}
	}
}

// One fault is told once, on its line, and makes nothing else look faulty: not the key that its standard would collide with,
// nor a table that is right.
func TestOneFaultIsOne(t *testing.T) {
	folder := withPassword(t)
	if got := fileFaults(t, folder, wholeFile); got != nil {
		t.Fatalf("the file that is right has the faults %q", got)
	}
	lines := strings.Split(strings.TrimSuffix(wholeFile, "\n"), "\n")
	check := func(line int, instead string) {
		t.Helper()
		changed := slices.Clone(lines)
		changed[line] = instead
		got := fileFaults(t, folder, strings.Join(changed, "\n")+"\n")
		if len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprintf("f.toml:%d: ", line+1)) {
			t.Errorf("line %d, %s: got %d faults, want one on that line:\n%s", line+1, instead, len(got), strings.Join(got, "\n"))
		}
	}
	for i, line := range lines {
		key, _, isKey := strings.Cut(line, " = ")
		if !isKey {
			continue
		}
		for _, wrong := range []string{`7`, `1.5`, `[1]`, `2026-10-01`, `{}`, `{ a = 1 }`, `[{}]`, `[["x"]]`} {
			check(i, key+" = "+wrong)
		}
		if key != "private" && key != "insecure" && key != "share_policy" {
			check(i, key+" = true")
		}
		if key == "metrics" || key == "trusted_proxies" {
			continue // [] is right: all need a token, there are none
		}
		if key != "allow" {
			check(i, key+" = []")
		}
	}
}

// A table that is none is one fault as well, wherever it stands, and the tables around it stay right.
func TestOneWrongTable(t *testing.T) {
	folder := withPassword(t)
	const right = "[notify]\ncommand = \"/bin/true\"\n[reject]\nredress = \"https://example.com/r.jws\"\n[journal]\nkeep = \"30d\"\n"
	for _, wrong := range []string{
		"screen = 8084", "screen = \"127.0.0.1:8084\"", "agi = true", "agi = \"127.0.0.1:4573\"", "attach = \"pbx1\"", "attach = [1]", "attach = { kind = \"freeswitch\" }",
		"feed = {}", "feed = 1.5", "screen = []", "agi = [{}]", "console = true", "console = []", "console = { oidc = 1 }", "cluster = true", "cluster = []",
	} {
		if got := fileFaults(t, folder, "\n"+wrong+"\n"+right); len(got) != 1 || !strings.HasPrefix(got[0], "f.toml:2: ") {
			t.Errorf("%s: got %q, want one fault on line 2", wrong, got)
		}
		table, _, _ := strings.Cut(wrong, " ")
		for _, header := range []string{"[[screen]]", "[[agi]]", "[[console]]", "[[cluster]]", "[attach]", "[feed]"} {
			if strings.Trim(header, "[]") != table {
				continue
			}
			got := fileFaults(t, folder, right+header+"\n")
			if len(got) != 1 || !strings.HasPrefix(got[0], "f.toml:7: ") {
				t.Errorf("%s: got %q, want one fault on line 7", header, got)
			}
		}
	}
}

// What is wrong with one of several [[attach]] or [[feed]] is told on its line, however they are written and whatever stands
// above.
func TestLinesOfTables(t *testing.T) {
	folder := withPassword(t)
	for _, c := range []struct{ text, want string }{
		{"[[attach]]\nkind = \"freeswitch\"\npassword = \"x\"\n\n[[attach]] # two\nkind = \"freeswitch\"\nname = \"b\"\n", "f.toml:5: attach.password: is missing"},
		{"[ [attach] ]\n", "f.toml:1: syntax: "},
		{"[[ attach ]]\nkind = \"cisco\"\npassword = \"x\"\n", "f.toml:2: attach.kind: "},
		{"\n[[\"feed\"]]\nlist = \"a\"\n", "f.toml:2: feed.source: is missing"},
		{"\nfeed = [\n  { list = \"a\", source = \"x\" },\n  { list = \"b\" },\n]\n", "f.toml:4: feed.source: is missing"},
		{"node = '''\n[[feed]]\n'''\n[[feed]]\nsource = \"x\"\n", "f.toml:4: feed.list: "},
		{"[[feed]]\nlist = \"a\"\nsource = \"x\"\n[[feed]]\nlist = \"a\"\nsource = \"y\"\n", "f.toml:5: feed.list: \"a\" is filled by two feeds"},
		{"[[attach]]\nkind = \"freeswitch\"\npassword = \"x\"\n[[attach]]\nkind = \"freeswitch\"\npassword = \"x\"\n", "f.toml:4: attach.name: "},
	} {
		for _, above := range []string{"", "# above\r\n\r\n", "\ufeff"} {
			want := c.want
			if n := strings.Count(above, "\n"); n > 0 {
				var line int
				fmt.Sscanf(want, "f.toml:%d:", &line)
				want = strings.Replace(want, fmt.Sprintf(":%d:", line), fmt.Sprintf(":%d:", line+n), 1)
			}
			if got := fileFaults(t, folder, above+c.text); len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("%q: got %q, want %q", above+c.text, got, want)
			}
		}
	}
}
