package conf

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Console is the port that browsers and scripts come to.
type Console struct {
	Listen   string
	URL      string // what browsers call it, as in https://pbx1.example.com:8085, without a path; "" if nobody said
	Cert     string // files of the certificate and its key; "" for none, both or neither
	Key      string
	Insecure bool           // it may be reached from elsewhere without TLS
	Metrics  []netip.Prefix // who may read /metrics without a token
	Proxies  []netip.Prefix // who may say for whom they ask
	OIDC     *OIDC          // nil: nobody signs in by another server
}

// TLS reports whether it is served with a certificate of its own.
func (c *Console) TLS() bool { return c.Cert != "" }

// OIDC is a server that says who somebody is, and what they may do here.
type OIDC struct {
	Issuer    string // its address
	ClientID  string
	RoleClaim string            // what of its word says the role: a text or a list of texts
	Roles     map[string]string // what that may be, to viewer, reviewer or admin; who has none of these does not get in
	secret    string            // file of the client's secret, "" for none
}

// ReadSecret gives the client's secret, "" for a client that has none. It is read each time: it may be changed while the daemon runs.
func (o *OIDC) ReadSecret() (string, error) {
	if o.secret == "" {
		return "", nil
	}
	text, err := os.ReadFile(o.secret)
	return strings.TrimSpace(string(text)), err
}

const consoleAddress = "127.0.0.1:8085"

// readConsole reads [console]. Files of secrets are read with secrets alone; folder is what paths count from.
func (d *Daemon) readConsole(top *section, folder string, secrets bool) {
	if !top.has("console") {
		return
	}
	s := top.table("console")
	c := &Console{Listen: cmp.Or(s.text("listen", ""), consoleAddress), Insecure: s.yes("insecure")}
	d.Console = c
	beyond := c.readListen(s)
	for other, listen := range map[string]string{"where FreeSWITCH connects (screen.listen)": d.Screen.Listen, "where Asterisk connects (agi.listen)": d.asteriskListen()} {
		if listen == c.Listen && !s.told("listen") && !strings.HasSuffix(listen, ":0") {
			s.fault("listen", "is %s: give the console a port of its own, as in %q", other, consoleAddress)
		}
	}
	c.readFiles(s, folder)
	if beyond && !c.TLS() && !c.Insecure && !s.told("listen", "tls_cert", "tls_key", "insecure") {
		s.fault("listen", "%q can be reached from other machines, and passwords would go over the wire for all to read: write tls_cert and tls_key, or listen on %q (insecure = true allows it nevertheless)", c.Listen, consoleAddress)
	}
	c.readURL(s)
	for _, a := range s.texts("metrics", "127.0.0.0/8", "::1/128") {
		prefix, err := parsePrefix(a)
		if err != nil {
			s.fault("metrics", "%q is no address range: write \"192.0.2.7/32\" or \"192.0.2.0/24\", or leave the list empty so that all need a token", a)
		}
		c.Metrics = append(c.Metrics, prefix)
	}
	c.readProxies(s)
	if s.has("oidc") {
		c.readOIDC(s, folder, secrets)
	}
}

// readProxies reads whom it is believed where somebody comes from.
func (c *Console) readProxies(s *section) {
	const most = 100
	all := s.texts("trusted_proxies")
	if len(all) > most {
		s.fault("trusted_proxies", "has %d addresses, at most %d: write the networks that they are in", len(all), most)
		return
	}
	for _, a := range all {
		prefix, err := parsePrefix(a)
		switch {
		case err != nil:
			s.fault("trusted_proxies", "%q is no address range: write \"127.0.0.1\" or \"10.0.0.0/8\", the proxies that pass browsers on to this console", a)
			continue
		case prefix.Bits() == 0:
			s.fault("trusted_proxies", "%q is everybody, and anybody could say to come from elsewhere: name the proxies alone", a)
			continue
		}
		c.Proxies = append(c.Proxies, prefix)
	}
}

// readListen checks the address, and reports whether other machines can reach it.
func (c *Console) readListen(s *section) (beyond bool) {
	host, port, err := net.SplitHostPort(c.Listen)
	switch {
	case err != nil || !validPort(port):
		s.fault("listen", "%q is no address with a port: write %q", c.Listen, consoleAddress)
		s.wrong = append(s.wrong, "listen")
		return false
	case host == "localhost":
		return false
	case host != "" && !validIP(host):
		s.fault("listen", "%q is no address: write an IP address of this machine, as in %q; what browsers call it is url", host, consoleAddress)
		s.wrong = append(s.wrong, "listen")
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.Unmap().IsLoopback()
}

// readFiles reads which certificate it has. What is in the files is seen when they are opened: they may change while the daemon runs.
func (c *Console) readFiles(s *section, folder string) {
	for _, file := range []struct {
		key, other string
		to         *string
	}{{"tls_cert", "tls_key", &c.Cert}, {"tls_key", "tls_cert", &c.Key}} {
		name := s.text(file.key, "")
		switch {
		case s.has(file.key) && name == "":
			s.fault(file.key, "is empty: name a file, or leave tls_cert and tls_key out")
			s.wrong = append(s.wrong, file.key)
		case s.has(file.key) && !s.has(file.other):
			s.fault(file.key, "stands without %s: a certificate needs its key, and the other way round", file.other)
			s.wrong = append(s.wrong, file.key)
		case name != "":
			*file.to = beside(folder, name)
		}
	}
}

// readURL reads what browsers call it.
func (c *Console) readURL(s *section) {
	text := s.text("url", "")
	if s.told("url") || !s.has("url") {
		return
	}
	u, err := url.Parse(text)
	const write = "write what browsers have in their address, as in \"https://pbx1.example.com:8085\""
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.ContainsFunc(u.Host, func(c rune) bool { return c <= ' ' || c > '~' }):
		s.fault("url", "%q is no web address: %s", text, write)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		s.fault("url", "%q has more than a name and a port: %s", text, write)
	case u.Scheme == "http" && c.TLS():
		s.fault("url", "%q says http, but there is a certificate: write \"https://%s\"", text, u.Host)
	default:
		c.URL = u.Scheme + "://" + strings.ToLower(u.Host)
		return
	}
	s.wrong = append(s.wrong, "url")
}

// consoleRoles are the roles that there are; package console says what each may.
var consoleRoles = []string{"viewer", "reviewer", "admin"}

// readOIDC reads [console.oidc].
func (c *Console) readOIDC(console *section, folder string, secrets bool) {
	s := console.table("oidc")
	if console.told("oidc") {
		return
	}
	o := &OIDC{Issuer: s.text("issuer", ""), ClientID: s.text("client_id", ""), RoleClaim: s.text("role_claim", "groups"), Roles: s.textsByName("roles")}
	c.OIDC = o
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		s.fault("issuer", "%q is no web address: write that of the server that says who people are, as in \"https://login.example.com/realms/office\"", o.Issuer)
	case u.Scheme == "http" && !loopbackName(u.Hostname()):
		s.fault("issuer", "%q is not encrypted, so that anybody on the way could say who signs in: write https://", o.Issuer)
	}
	if o.ClientID == "" {
		s.fault("client_id", "is missing: write what that server calls this console")
	}
	if s.has("role_claim") && o.RoleClaim == "" {
		s.fault("role_claim", "is empty: write which claim says what somebody may do, as in \"groups\"")
	}
	if len(o.Roles) == 0 {
		s.fault("roles", "names nobody, so that nobody could sign in: write roles = { \"pbx-admins\" = \"admin\" }, values of the claim and what each may do")
	}
	for _, value := range slices.Sorted(maps.Keys(o.Roles)) {
		if !slices.Contains(consoleRoles, o.Roles[value]) {
			s.fault("roles", "%q gets %q, which is no role: write \"viewer\", \"reviewer\" or \"admin\"", value, o.Roles[value])
		}
	}
	if file := s.text("client_secret_file", ""); file != "" {
		o.secret = beside(folder, file)
	} else if s.has("client_secret_file") {
		s.fault("client_secret_file", "is empty: name the file that holds the client's secret, or leave the key out if it has none")
	}
	if c.URL == "" && !console.told("url") {
		console.fault("oidc", "needs url: the server sends people back to it; write url = \"https://pbx1.example.com:8085\" above it")
	}
}

// loopbackName reports whether a host is this machine.
func loopbackName(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// asteriskListen is where Asterisk connects, "" for nowhere.
func (d *Daemon) asteriskListen() string {
	if d.AGI == nil {
		return ""
	}
	return d.AGI.Listen
}

// Address is how people reach the console: what browsers call it, else what it listens on.
func (c *Console) Address() string {
	switch {
	case c.URL != "":
		return strings.TrimSuffix(c.URL, "/")
	case c.TLS():
		return "https://" + c.Listen
	}
	return "http://" + c.Listen
}
