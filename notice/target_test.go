package notice

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		daily         bool
		address, hook string
	}{
		"":                                     {},
		"a@b":                                  {address: "a@b"},
		"mailto:a.b+c@example.com":             {address: "a.b+c@example.com"},
		"hourly a@b":                           {address: "a@b"},
		" daily  a_b@example.com ":             {daily: true, address: "a_b@example.com"},
		"https://example.com/hook?key=1":       {hook: "https://example.com/hook?key=1"},
		"daily https://example.com:8443/":      {daily: true, hook: "https://example.com:8443/"},
		"http://127.0.0.1:9/x":                 {hook: "http://127.0.0.1:9/x"},
		"http://[::1]:9/x":                     {hook: "http://[::1]:9/x"},
		"http://10.1.2.3/x":                    {hook: "http://10.1.2.3/x"},
		"http://localhost/x":                   {hook: "http://localhost/x"},
		"https://xn--fiqs8s.example/%E4%B8%AD": {hook: "https://xn--fiqs8s.example/%E4%B8%AD"},
	} {
		got, err := Parse(text)
		hook := ""
		if got.Hook != nil {
			hook = got.Hook.String()
		}
		if err != nil || got.Daily != want.daily || got.Address != want.address || hook != want.hook {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"weekly a@b", "hourly", "daily daily a@b", "a@b c@d", "a@b,c@d", "a@b;c@d", "@b", "a@", "a@b@c", "-oQ/tmp@b", "-f@b", "mailto:-f@b", "a@-b", "a@b-", "a@b..c",
		".a@b", "a.@b", "a..b@c", `"a b"@c`, "a b@c", "<a@b>", "a@b\nBcc: c@d", "a\r@b", "a@b\x00", "a|b@c", "|/bin/sh", "a'@b", "$(id)@b", "ä@b", "a@ä", "a@[127.0.0.1]",
		"mailto:a@b?bcc=c@d", strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b.", 130) + "c",
		"ftp://a/b", "file:///etc/passwd", "http://example.com/", "http://8.8.8.8/", "https://", "https:///x", "https://u:p@example.com/", "https://u@example.com/", "https://example.com/#x",
		"https://example.com/\r\nX: y", "https://example.com/a b", "https://exämple.com/", "https://169.254.169.254/latest/meta-data/", "http://169.254.169.254/", "https://[fe80::1]/",
		"https://[fe80::1%25eth0]/", "https://0.0.0.0/", "http://0.0.0.0/", "https://[::]/", "https://[::ffff:169.254.169.254]/", "https://100.100.100.200/", "https://[fd00:ec2::254]/",
		"https://224.0.0.1/", "https://255.255.255.255/", "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:a9fe:a9fe::1]/", "https://example.com:0/", "https://example.com:99999/",
		"https://exa_mple.com/", `https://example.com\@evil/`, "https://example.com/" + strings.Repeat("x", 500),
	} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q was taken, as %+v", text, got)
		} else if strings.ContainsAny(err.Error(), "\r\n\x00") || len(err.Error()) > 400 {
			t.Errorf("%q: the error is not one plain line: %q", text, err)
		}
	}
}

// FuzzParse holds that what is taken can be no option, no second address and no header.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@b", "daily a@b", "https://example.com/x", "http://127.0.0.1/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		to, err := Parse(text)
		if err != nil {
			return
		}
		if to.Address != "" && (strings.HasPrefix(to.Address, "-") || strings.Count(to.Address, "@") != 1 || strings.ContainsAny(to.Address, " ,;<>\"'|\r\n\\()[]:")) {
			t.Errorf("%q gives the address %q", text, to.Address)
		}
		if to.Hook != nil && (to.Hook.User != nil || to.Hook.Host == "" || to.Hook.Scheme != "https" && to.Hook.Scheme != "http" || strings.ContainsAny(to.Hook.String(), " \r\n")) {
			t.Errorf("%q gives the webhook %q", text, to.Hook)
		}
	})
}

// TestControl holds what a webhook may connect to, whatever its name is resolved to.
func TestControl(t *testing.T) {
	for address, want := range map[string]string{
		"93.184.215.14:443": "both", "[2606:2800:21f:cb07::1]:443": "both",
		"127.0.0.1:80": "private", "[::1]:80": "private", "10.0.0.1:443": "private", "192.168.1.1:443": "private", "172.16.0.1:443": "private", "100.64.0.1:443": "private",
		"[fd12::1]:443": "private", "[::ffff:127.0.0.1]:80": "private", "[::ffff:10.0.0.1]:80": "private",
		"169.254.169.254:80": "", "[::ffff:169.254.169.254]:80": "", "[fe80::1]:80": "", "[fe80::1%lo]:80": "", "0.0.0.0:80": "", "0.1.2.3:80": "", "[::]:80": "", "100.100.100.200:80": "",
		"[fd00:ec2::254]:80": "", "192.0.0.192:80": "", "224.0.0.1:80": "", "[ff02::1]:80": "", "240.0.0.1:80": "", "255.255.255.255:80": "", "[64:ff9b::7f00:1]:80": "",
		"[2002:7f00:1::]:80": "", "[2001:0:1::1]:80": "", "[::127.0.0.1]:80": "", "nonsense": "",
	} {
		for _, private := range []bool{false, true} {
			err := (&hooks{private: private}).control("tcp", address, nil)
			if may := want == "both" || want == "private" && private; may != (err == nil) {
				t.Errorf("%s, private %v: %v", address, private, err)
			}
		}
	}
	if never(netip.Addr{}) != true {
		t.Error("no address at all is an address that may be asked")
	}
}
