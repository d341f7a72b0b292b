package conf

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Cluster is the servers of NATS by which several nodes have one set of lists.
type Cluster struct {
	Name    string
	Servers []string // as nats://HOST:PORT or tls://HOST:PORT, one at least

	// How the node signs in: one of a file of credentials, a file of an nkey's seed, a user with a password. None of them: by its certificate, or
	// to a server on this machine that asks nobody.
	Credentials string
	NkeyFile    string
	User        string
	Password    string // "" if it lies in a file that was not read

	TLSCA   string // file of the certificates that the servers' are held against; "" for those of the system
	TLSCert string // files of the node's own certificate and its key; "" for none, both or neither
	TLSKey  string

	SharePolicy bool
	PolicyFrom  []string      // nodes whose policy, pause and mass deletions count
	Keep        time.Duration // how long a node may be away and still give its changes
	MaxChange   float64       // share of a list that a change of a peer may touch before somebody has to look; 0.3 is three in ten
}

// TLS reports whether all connections to the servers are encrypted, whatever their addresses begin with.
func (c *Cluster) TLS() bool { return c.TLSCA != "" || c.TLSCert != "" }

// maxKeep is the longest that a node may be away and still give its changes.
const maxKeep = 365 * 24 * time.Hour

// maxName is how long the name of a cluster or of a node in it may be: it is part of subjects.
const maxName = 32

// IsClusterName reports whether a text can be the name of a cluster or of a node in one, which is part of a subject, of a stream's name and of a user's
// rights: 1 to 32 letters, digits, - and _.
func IsClusterName(s string) bool {
	return s != "" && len(s) <= maxName && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == ""
}

// readCluster reads [cluster]. Files of secrets are read with secrets alone; folder is what paths count from.
func (d *Daemon) readCluster(top *section, folder string, secrets bool) {
	if !top.has("cluster") {
		return
	}
	s := top.table("cluster")
	c := &Cluster{Keep: maxKeep}
	d.Cluster = c
	if top.told("cluster") {
		return
	}
	c.Name, c.SharePolicy, c.PolicyFrom = s.text("name", ""), s.yes("share_policy"), s.texts("policy_from")
	if !IsClusterName(c.Name) {
		s.fault("name", "%q is no name of a cluster: write 1 to %d letters, digits, - or _, the same on each node, as in \"isp\"", c.Name, maxName)
	}
	if !IsClusterName(d.Node) && !top.told("node") {
		top.fault("node", "%q cannot be the name of a node in a cluster: set node = \"pbx1\", 1 to %d letters, digits, - or _, another one on each node", d.Node, maxName)
	}
	c.readFiles(s, folder, secrets)
	c.readSignIn(s, folder, secrets)
	c.readServers(s)
	c.readBounds(s)
}

// readServers reads where the servers are. How the node signs in is known.
func (c *Cluster) readServers(s *section) {
	c.Servers = s.texts("servers")
	const write = "write \"nats://10.0.0.5:4222\", or \"tls://nats1.example.com:4222\""
	if len(c.Servers) == 0 {
		s.fault("servers", "is missing: %s, each in quotes", write)
	}
	anybody := c.Credentials == "" && c.NkeyFile == "" && c.User == "" && c.TLSCert == "" && !s.told("credentials", "nkey_file", "user", "tls_cert", "tls_key")
	for _, server := range c.Servers {
		u, err := url.Parse(server)
		switch {
		case err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Port() == "" || !validPort(u.Port()) ||
			strings.ContainsFunc(server, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }):
			s.fault("servers", "%q is no server of NATS with a port: %s", server, write)
		case u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
			s.fault("servers", "%q has more than a host and a port: %s; who signs in is credentials, nkey_file, or user and password_file", u.Redacted(), write)
		case u.Scheme == "nats" && !c.TLS() && !nearby(u.Hostname()) && !s.told("tls_ca", "tls_cert", "tls_key"):
			s.fault("servers", "%q is not encrypted and is no address of this machine or of a private network, so that anybody on the way could change your lists: write \"tls://%s\", or name tls_ca", server, net.JoinHostPort(u.Hostname(), u.Port()))
		case anybody && !loopbackName(u.Hostname()):
			s.fault("servers", "%q is on another machine, and nothing says who this node is, so that anybody who reaches the server could change your lists: write credentials, nkey_file, or user and password_file", server)
		}
	}
}

// nearby reports whether a host is this machine or an address of a private network. Of a name nobody knows that.
func nearby(host string) bool {
	ip, err := netip.ParseAddr(host)
	return loopbackName(host) || err == nil && (ip.Unmap().IsPrivate() || ip.Unmap().IsLinkLocalUnicast())
}

// readFiles reads which certificates there are.
func (c *Cluster) readFiles(s *section, folder string, secrets bool) {
	for _, file := range []struct {
		key, with string
		to        *string
	}{{"tls_ca", "", &c.TLSCA}, {"tls_cert", "tls_key", &c.TLSCert}, {"tls_key", "tls_cert", &c.TLSKey}} {
		if file.with != "" && s.has(file.key) && !s.has(file.with) {
			s.fault(file.key, "stands without %s: a certificate needs its key, and the other way round", file.with)
			s.wrong = append(s.wrong, file.key)
		}
		*file.to = readable(s, file.key, folder, secrets)
	}
}

// readSignIn reads how the node signs in.
func (c *Cluster) readSignIn(s *section, folder string, secrets bool) {
	c.Credentials, c.NkeyFile = readable(s, "credentials", folder, secrets), readable(s, "nkey_file", folder, secrets)
	c.User = s.text("user", "")
	if s.has("credentials") && s.has("nkey_file") {
		s.fault("nkey_file", "stands beside credentials: a node signs in in one way; keep one of the two")
	}
	switch {
	case s.has("user") && (s.has("credentials") || s.has("nkey_file")):
		s.fault("user", "stands beside credentials or nkey_file: a node signs in in one way; keep one of them")
	case s.has("user") && c.User == "" && !s.told("user"):
		s.fault("user", "is empty: write the name of this node's user in the servers' configuration, or leave it out")
		s.wrong = append(s.wrong, "user")
	}
	if password := s.text("password", ""); s.has("user") {
		a := Attach{}
		a.readPassword(s, folder, "that of this node's user in the servers' configuration", secrets)
		c.Password = a.Password
	} else if password != "" || s.text("password_file", "") != "" {
		key := "password"
		if s.has("password_file") {
			key = "password_file"
		}
		s.fault(key, "stands without user: write who it is of, as in user = \"pbx1\"")
	}
}

// readable reads the name of a file and, with secrets, whether the daemon may read it; "" for none. What is in it is for the client of NATS, which reads
// it at each connection.
func readable(s *section, key, folder string, secrets bool) string {
	name := s.text(key, "")
	switch {
	case s.told(key) || !s.has(key):
		return ""
	case name == "":
		s.fault(key, "is empty: name a file, or leave the key out")
		s.wrong = append(s.wrong, key)
		return ""
	}
	file := beside(folder, name)
	if secrets {
		if f, err := os.Open(file); err != nil {
			s.fault(key, "%s cannot be read: put the file there, readable for the daemon (%v)", file, err)
		} else {
			f.Close()
		}
	}
	return file
}

// readBounds reads whose word counts, for how long and for how much.
func (c *Cluster) readBounds(s *section) {
	for _, node := range c.PolicyFrom {
		if !IsClusterName(node) {
			s.fault("policy_from", "%q is no name of a node: write what its file says as node, as in \"pbx1\"", node)
		}
	}
	if c.SharePolicy && len(c.PolicyFrom) == 0 && !s.told("policy_from") {
		s.fault("policy_from", "names nobody whose policy would be shared: write the nodes on which you change it, as in [\"pbx1\"]")
	}
	const day = 24 * time.Hour
	keep, share := s.text("keep", "30d"), s.text("max_change", "30%")
	var err error
	if c.Keep, err = parseSpan(keep); err != nil || c.Keep < day || c.Keep > maxKeep {
		c.Keep = maxKeep // where the daemon goes on without its cluster, what was taken off lists is not forgotten
		s.fault("keep", "%q is not a time from 1d to 365d: write \"30d\", longer than any node is ever away", keep)
	}
	if c.MaxChange, err = parseShare(share); err != nil || c.MaxChange == 0 || c.MaxChange > 1 {
		s.fault("max_change", "%q is no share of a list: write \"30%%\", from \"1%%\" to \"100%%\"", share)
	}
}
