package conf

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDaemonFile(t *testing.T) {
	d, err := parseDaemon("/etc/ringfence/ringfence.toml", SampleDaemon)
	if err != nil {
		t.Fatal(err)
	}
	if d.Policy != "/var/lib/ringfence/policy.toml" || d.Database() != "/var/lib/ringfence/ringfence.db" || d.Socket != "/run/ringfence/ringfence.sock" ||
		d.Screen.Listen != "127.0.0.1:8084" || d.Screen.Deadline != 800*time.Millisecond || len(d.Screen.Allow) != 2 ||
		d.Journal.Keep != 90*24*time.Hour || d.Journal.MaxSize != 2<<30 || d.Node == "" {
		t.Errorf("the sample reads %+v", d)
	}
	empty, err := parseDaemon("/etc/ringfence/ringfence.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if empty.Screen.Listen != d.Screen.Listen || empty.Policy != "/etc/ringfence/policy.toml" || empty.Journal != d.Journal || empty.Screen.Deadline != d.Screen.Deadline {
		t.Errorf("the sample shows other defaults than an empty file has: %+v", empty)
	}
}

// Asterisk's port is there if its section is.
func TestAGI(t *testing.T) {
	for text, want := range map[string]*Screen{"": nil, "[agi]\n": {Listen: "127.0.0.1:4573", Deadline: 800 * time.Millisecond}, "[agi]\nlisten = \"192.0.2.1:4573\"\ndeadline = \"500ms\"": {Listen: "192.0.2.1:4573", Deadline: 500 * time.Millisecond}} {
		d, err := parseDaemon("/f.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if (d.AGI == nil) != (want == nil) || d.AGI != nil && (d.AGI.Listen != want.Listen || d.AGI.Deadline != want.Deadline || len(d.AGI.Allow) != 2) {
			t.Errorf("%q: %+v", text, d.AGI)
		}
	}
}

func TestAttach(t *testing.T) {
	folder := t.TempDir()
	password := filepath.Join(folder, "esl-password")
	if err := os.WriteFile(password, []byte("secret word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := parseDaemon(filepath.Join(folder, "ringfence.toml"), []byte("[[attach]]\nkind = \"freeswitch\"\npassword_file = \"esl-password\"\n[[attach]]\nkind = \"freeswitch\"\nname = \"pbx2\"\naddress = \"192.0.2.7:8021\"\npassword = \"x\"\n"+
		"[[attach]]\nkind = \"asterisk\"\nuser = \"ringfence\"\npassword_file = \"esl-password\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Attach{
		{"freeswitch", "127.0.0.1:8021", "127.0.0.1:8021", "", "secret word", password},
		{"freeswitch", "pbx2", "192.0.2.7:8021", "", "x", ""},
		{"asterisk", "127.0.0.1:5038", "127.0.0.1:5038", "ringfence", "secret word", password},
	}
	if !slices.Equal(d.Attach, want) {
		t.Errorf("%+v", d.Attach)
	}
}

func TestReject(t *testing.T) {
	for analytics, want := range map[string]string{
		"": "", "https://example.com/b?x=1": "url=https://example.com/b?x=1", "+865925550100": "tel=+865925550100", "redress@example.com": "email=redress@example.com",
	} {
		d, err := parseDaemon("/f.toml", []byte("[reject]\nredress = \"https://example.com/r.jws\"\nanalytics = \""+analytics+"\"\n[notify]\ncommand = \"/bin/true\"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if d.Reject != (Reject{"https://example.com/r.jws", want}) || d.Notify.Command != "/bin/true" {
			t.Errorf("%+v %+v", d.Reject, d.Notify)
		}
	}
}

// The console is there if its section is, and its files count from the daemon's.
func TestConsole(t *testing.T) {
	folder := withPassword(t)
	d, err := parseDaemon(filepath.Join(folder, "ringfence.toml"), []byte(`[console]
listen = "0.0.0.0:8085"
url = "https://PBX1.example.com:8085/"
tls_cert = "c.crt"
tls_key = "/k.key"
trusted_proxies = ["127.0.0.1", "10.1.2.3/8"]
[console.oidc]
issuer = "https://login.example.com/"
client_id = "ringfence"
client_secret_file = "pw"
roles = { "pbx-admins" = "admin" }
`))
	if err != nil {
		t.Fatal(err)
	}
	c := d.Console
	if c == nil || c.URL != "https://pbx1.example.com:8085" || c.Cert != filepath.Join(folder, "c.crt") || c.Key != "/k.key" || !c.TLS() || len(c.Metrics) != 2 || fmt.Sprint(c.Proxies) != "[127.0.0.1/32 10.0.0.0/8]" ||
		c.OIDC.RoleClaim != "groups" || c.OIDC.Roles["pbx-admins"] != "admin" {
		t.Errorf("got %+v, %+v", c, c.OIDC)
	}
	if secret, err := c.OIDC.ReadSecret(); err != nil || secret != "secret" {
		t.Errorf("the secret is %q, %v", secret, err)
	}
	for text, want := range map[string]string{"": "", "[console]\n": "127.0.0.1:8085", "[console]\nlisten = \"[::1]:1\"\n": "[::1]:1", "[console]\nlisten = \":1\"\ninsecure = true\n": ":1"} {
		d, err := parseDaemon("/f.toml", []byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if (d.Console == nil) != (want == "") || d.Console != nil && d.Console.Listen != want {
			t.Errorf("%q: got %+v, want %q", text, d.Console, want)
		}
	}
}

// wrongFiles are texts with the beginning of each fault that they must give, in the order of the lines.
var wrongFiles = map[string]struct{ text, want string }{
	"unknown keys": {
		"polcy = \"x\"\n[screen]\n# listen\nlisen = \"x\"\n",
		"f.toml:1: polcy: is not known here: did you mean \"policy\"?\nf.toml:4: screen.lisen: is not known here: did you mean \"listen\"?",
	},
	"nothing near": {"[notify]\nshout = true\n", "f.toml:2: notify.shout: is not known here: write one of command, remind, fail_open_calls, fail_open_share, sendmail, from, webhook_private, star_code"},
	"keys of another section": {
		"[journal]\ndata = \"/srv\"\nkeep = \"90d\"\n[notify]\nallow = []\n[screen]\nkind = \"asterisk\"\n",
		"f.toml:2: journal.data: does not belong here: write it at the top of the file, before the first [section]\nf.toml:5: notify.allow: does not belong here: write it under [agi] or under [screen]\nf.toml:7: screen.kind: does not belong here: write it under a [[attach]]",
	},
	"other writings of TOML": {
		"screen.\"listen\" = \"x\"\nfeed = [\n  { list = \"a\", source = \"x\" },\n  { list = \"a b\", source = \"x\" },\n]\njournal = { keep = \"1s\" }\n",
		"f.toml:1: screen.listen: \"x\" is no address\nf.toml:4: feed.list: \"a b\" is no name\nf.toml:6: journal.keep: \"1s\" is not a time",
	},
	"sections that are none": {
		"screen = 1\nattach = \"pbx1\"\nfeed = [1]\n",
		"f.toml:1: screen: is a number: write a table, [screen] on a line of its own\nf.toml:2: attach: is a text in quotes: write [[attach]], with two brackets\nf.toml:3: feed: is an array: write [[feed]] on a line of its own",
	},
	"not UTF-8": {"# \xc4\n", "f.toml:1: file: is not UTF-8 here"},
	"all at once": {
		"data = \"\"\n[screen]\nlisten = \"nowhere\"\nallow = [\"10.0.0.0/33\"]\ndeadline = \"2s\"\n[journal]\nkeep = \"0d\"\nmax_size = \"2\"\n",
		"f.toml:1: data: is empty\nf.toml:3: screen.listen: \"nowhere\" is no address\nf.toml:4: screen.allow: \"10.0.0.0/33\" is no address range\nf.toml:5: screen.deadline: \"2s\" is not a time from 10ms to 900ms\nf.toml:7: journal.keep: \"0d\" is not a time\nf.toml:8: journal.max_size: \"2\" is not a size",
	},
	"agi": {
		"[agi]\nlisten = \"127.0.0.1:8084\"\nallow = [\"x\"]\ndeadline = \"1s\"\n",
		"f.toml:2: agi.listen: is where FreeSWITCH connects\nf.toml:3: agi.allow: \"x\" is no address range\nf.toml:4: agi.deadline: \"1s\" is not a time",
	},
	"agi, wrong types": {"[agi]\nallow = \"127.0.0.1\"\nlisten = 4573\n", "f.toml:2: agi.allow: is a text in quotes: write a list of texts in quotes, as in allow = [\"127.0.0.0/8\", \"::1/128\"]\nf.toml:3: agi.listen: is a number: write a text in quotes"},
	"wrong types": {
		"policy = 7\n[screen]\nallow = \"127.0.0.1\"\ndeadline = 800\n",
		"f.toml:1: policy: is a number: write a text in quotes\nf.toml:3: screen.allow: is a text in quotes: write a list\nf.toml:4: screen.deadline: is a number: write a text in quotes",
	},
	"syntax":             {"policy = \"x\"\ndata = /var\n", "f.toml:2: syntax: expected value but found '/' instead: write a text in quotes"},
	"syntax of a header": {"[screen]\n[[attach]\nkind = \"asterisk\"\n", "f.toml:2: syntax: expected end of table array name ']'"},
	"an open list":       {"[screen]\nallow = [\"::1\",\n[agi]\n", "f.toml:2: syntax: the bracket [ that is opened on this line is not closed: write ] where it ends"},
	"console beyond this machine": {
		"[console]\nlisten = \":8085\"\n",
		"f.toml:2: console.listen: \":8085\" can be reached from other machines, and passwords would go over the wire for all to read: write tls_cert and tls_key, or listen on \"127.0.0.1:8085\" (insecure = true allows it nevertheless)",
	},
	"console, a port of another":  {"[console]\nlisten = \"127.0.0.1:8084\"\n", "f.toml:2: console.listen: is where FreeSWITCH connects (screen.listen): give the console a port of its own"},
	"console, half a certificate": {"[console]\nlisten = \"[2001:db8::1]:8085\"\ntls_key = \"k\"\n", "f.toml:3: console.tls_key: stands without tls_cert"},
	"console, address": {
		"[console]\nlisten = \"pbx1:8085\"\nurl = \"pbx1:8085\"\nmetrics = [\"all\"]\ntls_cert = \"\"\n",
		"f.toml:2: console.listen: \"pbx1\" is no address: write an IP address of this machine, as in \"127.0.0.1:8085\"; what browsers call it is url\nf.toml:3: console.url: \"pbx1:8085\" is no web address\nf.toml:4: console.metrics: \"all\" is no address range\nf.toml:5: console.tls_cert: is empty: name a file",
	},
	"console, everybody a proxy": {
		"[console]\ntrusted_proxies = [\"proxy1\", \"0.0.0.0/0\", \"::/0\"]\n",
		"f.toml:2: console.trusted_proxies: \"0.0.0.0/0\" is everybody\nf.toml:2: console.trusted_proxies: \"::/0\" is everybody\nf.toml:2: console.trusted_proxies: \"proxy1\" is no address range",
	},
	"console, a path":          {"[console]\nurl = \"https://pbx1/console\"\n", "f.toml:2: console.url: \"https://pbx1/console\" has more than a name and a port"},
	"console, http with a key": {"[console]\nurl = \"http://pbx1\"\ntls_cert = \"c\"\ntls_key = \"k\"\n", "f.toml:2: console.url: \"http://pbx1\" says http, but there is a certificate: write \"https://pbx1\""},
	"oidc, nothing said": {
		"[console.oidc]\n",
		"f.toml:1: console.oidc: needs url\nf.toml:1: console.oidc.client_id: is missing\nf.toml:1: console.oidc.issuer: \"\" is no web address\nf.toml:1: console.oidc.roles: names nobody",
	},
	"oidc, wrong": {
		"[console]\nurl = \"https://pbx1\"\n[console.oidc]\nissuer = \"http://login.example.com\"\nclient_id = \"x\"\nclient_secret_file = \"/no/such/file\"\nrole_claim = \"\"\nroles = { a = \"root\" }\n",
		"f.toml:4: console.oidc.issuer: \"http://login.example.com\" is not encrypted\nf.toml:7: console.oidc.role_claim: is empty\nf.toml:8: console.oidc.roles: \"a\" gets \"root\", which is no role: write \"viewer\", \"reviewer\" or \"admin\"",
	},
	"too much":   {strings.Repeat("#\n", 3<<20), "f.toml:1: file: is larger than 4 MiB"},
	"host name":  {"[screen]\nlisten = \"pbx:8084\"\n", "f.toml:2: screen.listen: \"pbx\" is no address"},
	"a long way": {"socket = \"/" + strings.Repeat("x", 120) + "\"\n", "f.toml:1: socket: is longer"},
	"attach": {
		"[[attach]]\nkind = \"freeswitch\"\npassword = \"x\"\n[[attach]]\nkind = \"cisco\"\nname = \"127.0.0.1:8021\"\naddress = \"pbx\"\npassword = \"x\"\npassword_file = \"y\"\n",
		"f.toml:5: attach.kind: \"cisco\" cannot be attached to\nf.toml:6: attach.name: \"127.0.0.1:8021\" is the name of two switches\nf.toml:7: attach.address: \"pbx\" is no address\nf.toml:8: attach.password: stands beside password_file",
	},
	"attach, users": {
		"[[attach]]\nkind = \"freeswitch\"\nuser = \"x\"\npassword = \"x\"\n[[attach]]\nkind = \"asterisk\"\naddress = \"pbx\"\n",
		"f.toml:3: attach.user: is for Asterisk\nf.toml:5: attach.password: is missing: write the secret of that user\nf.toml:5: attach.user: \"\" is no user: write the name of a section\nf.toml:7: attach.address: \"pbx\" is no address with a port: write \"127.0.0.1:5038\"",
	},
	"attach, passwords": {
		"[[attach]]\nkind = \"freeswitch\"\n[[attach]]\nkind = \"freeswitch\"\nname = \"b\"\npassword_file = \"/no/such/file\"\n",
		"f.toml:1: attach.password: is missing\nf.toml:6: attach.password_file: /no/such/file cannot be read",
	},
	"attach, wrong types": {"[[attach]]\nkind = 7\n", "f.toml:1: attach.password: is missing\nf.toml:2: attach.kind: is a number: write a text in quotes"},
	"reject":              {"[reject]\nredress = \"ftp://x\"\nanalytics = \"${x}\"\n", "f.toml:2: reject.redress: \"ftp://x\" is no web address\nf.toml:3: reject.analytics: \"${x}\" is no address to turn to"},
	"notify":              {"[notify]\ncommand = \"page-me\"\n", "f.toml:2: notify.command: \"page-me\" has no absolute path"},
	"notices": {
		"[notify]\nsendmail = \"sendmail\"\nfrom = \"-f@b\"\nstar_code = \"58 0\"\nwebhook_private = \"yes\"\n",
		"f.toml:2: notify.sendmail: \"sendmail\" has no absolute path: write \"/usr/sbin/sendmail\", a program without arguments of its own\nf.toml:3: notify.from: \"-f@b\" is no e-mail address: write \"ringfence@example.com\"\nf.toml:4: notify.star_code: \"58 0\" cannot be dialled: write \"*58\", the code of your dialplan, or \"\" for none\nf.toml:5: notify.webhook_private: is a text in quotes: write true or false, without quotes",
	},
	"notify, bounds": {
		"[notify]\nremind = \"1s\"\nfail_open_calls = 0\nfail_open_share = \"101%\"\n",
		"f.toml:2: notify.remind: \"1s\" is not a time\nf.toml:3: notify.fail_open_calls: is 0: write a number from 1 to 1000000\nf.toml:4: notify.fail_open_share: \"101%\" is no share",
	},
	"notify, wrong types": {
		"[notify]\nfail_open_calls = \"5\"\nfail_open_share = 1\nremind = 24\n",
		"f.toml:2: notify.fail_open_calls: is a text in quotes: write a whole number without quotes, as in fail_open_calls = 5\nf.toml:3: notify.fail_open_share: is a number: write a text in quotes\nf.toml:4: notify.remind: is a number: write a text in quotes",
	},
	"reports":          {"[reports]\nauto_confirm = 1.0\n", "f.toml:2: reports.auto_confirm: is 1, and nothing is so sure or so unsure that it could be confirmed without a person: write a number from 0.5 to 0.99 without quotes"},
	"reports, too low": {"[reports]\nauto_confirm = 0.2\n", "f.toml:2: reports.auto_confirm: is 0.2, and nothing is so sure"},
	"reports, a text":  {"[reports]\nauto_confirm = \"0.9\"\n", "f.toml:2: reports.auto_confirm: is a text in quotes: write a number without quotes, as in auto_confirm = 0.9"},
	"reports, unknown": {"[reports]\nauto = 0.9\n", "f.toml:2: reports.auto: is not known here: write auto_confirm"},
	"a data folder that the switch would split": {"data = \"/srv/my data\"\n", "f.toml:1: data: \"/srv/my data\" has a character at \" data\""},
	"feeds": {
		"[[feed]]\nlist = \"a b\"\nsource = \"ftp://x\"\nformat = \"xml\"\nevery = \"1s\"\nmax_change = \"half\"\n[[feed]]\nlist = \"c\"\n[[feed]]\nlist = \"c\"\nsource = \"x.txt\"\n",
		"f.toml:2: feed.list: \"a b\" is no name of a list\nf.toml:3: feed.source: \"ftp://x\" is neither\nf.toml:4: feed.format: \"xml\" is no format\nf.toml:5: feed.every: \"1s\" is not a time\nf.toml:6: feed.max_change: \"half\" is no share\nf.toml:7: feed.source: is missing\nf.toml:10: feed.list: \"c\" is filled by two feeds",
	},
	"private":            {"[journal]\nprivate = \"yes\"\n", "f.toml:2: journal.private: is a text in quotes: write true or false, without quotes"},
	"feeds, wrong types": {"[[feed]]\nevery = 24\n", "f.toml:1: feed.list: \"\" is no name of a list\nf.toml:1: feed.source: is missing\nf.toml:2: feed.every: is a number: write a text in quotes"},
	"nobody":             {"[screen]\nallow = []\n", "f.toml:2: screen.allow: is empty"},
}

func TestDaemonFileFaults(t *testing.T) {
	for name, c := range wrongFiles {
		t.Run(name, func(t *testing.T) {
			_, err := parseDaemon("f.toml", []byte(c.text))
			if err == nil {
				t.Fatal("no fault was found")
			}
			lines, wanted := strings.Split(err.Error(), "\n"), strings.Split(c.want, "\n")
			if len(lines) != len(wanted) {
				t.Errorf("got %d faults, want %d:\n%s", len(lines), len(wanted), err)
			}
			for i, want := range wanted {
				if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
					t.Errorf("fault %d: want %q\nin %s", i, want, err)
				}
			}
			for _, word := range []string{"map[", "interface", "int64", "[]", "struct", " toml: "} {
				if strings.Contains(err.Error(), word) {
					t.Errorf("the message shows %s: %s", word, err)
				}
			}
		})
	}
	if _, err := LoadDaemon(filepath.Join(t.TempDir(), "none.toml")); err == nil || !strings.Contains(err.Error(), "there is no") {
		t.Errorf("a missing file: %v", err)
	}
}

// FuzzDaemonFile holds that any text gives either a file with nothing left open or faults that say where, in plain words.
func FuzzDaemonFile(f *testing.F) {
	f.Add(SampleDaemon)
	f.Add([]byte("[agi]\n[[attach]]\nkind = 7\n[[feed]]\nmax_change = \"nan%\"\n"))
	f.Add([]byte("[cluster]\nname = \"isp\"\nservers = [\"nats://[::1]:4222\"]\nmax_change = \"nan%\"\n"))
	f.Add([]byte("screen = { allow = [1] }\nfeed = [{}, 2]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, key := range []string{"password_file", "credentials", "nkey_file", "tls_"} {
			if bytes.Contains(text, []byte(key)) {
				t.Skip("it would read a file of this machine")
			}
		}
		d, err := parseDaemon("f.toml", text)
		if err == nil {
			if d.Policy == "" || d.Data == "" || d.Screen.Listen == "" || len(d.Screen.Allow) == 0 || d.Screen.Deadline > 900*time.Millisecond || d.Journal.Keep < time.Hour {
				t.Fatalf("taken, but not whole: %+v", d)
			}
			for _, feed := range d.Feeds {
				if feed.List == "" || feed.Source == "" || feed.Every < time.Minute || !(feed.MaxChange > 0) {
					t.Fatalf("taken, but not whole: %+v", feed)
				}
			}
			if c := d.Cluster; c != nil && (!IsClusterName(c.Name) || !IsClusterName(d.Node) || len(c.Servers) == 0 || c.Keep < 24*time.Hour || !(c.MaxChange > 0 && c.MaxChange <= 1)) {
				t.Fatalf("taken, but not whole: %+v", c)
			}
			return
		}
		last := bytes.Count(text, []byte("\n")) + 1
		for _, fault := range strings.Split(err.Error(), "\n") {
			var line int
			if n, _ := fmt.Sscanf(fault, "f.toml:%d: ", &line); n != 1 || line < 1 || line > last || strings.Contains(fault, "%!") {
				t.Fatalf("%q is not f.toml:LINE: key: text with a line up to %d", fault, last)
			}
		}
	})
}
