package conf

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The cluster is there if its section is, and its files count from the daemon's.
func TestCluster(t *testing.T) {
	folder := withPassword(t)
	file := filepath.Join(folder, "ringfence.toml")
	const isp = "node = \"pbx1\"\n[cluster]\nname = \"isp\"\n"
	d, err := parseDaemon(file, []byte(isp+"servers = [\"nats://10.0.0.5:4222\", \"tls://nats1.example.com:4222\"]\nuser = \"pbx1\"\npassword_file = \"pw\"\ntls_ca = \"pw\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := d.Cluster
	if c.Name != "isp" || len(c.Servers) != 2 || c.User != "pbx1" || c.Password != "secret" || c.TLSCA != filepath.Join(folder, "pw") || !c.TLS() || c.SharePolicy ||
		c.Keep != 30*24*time.Hour || c.MaxChange != 0.3 {
		t.Errorf("got %+v", c)
	}
	if alone, err := parseDaemon(file, []byte("node = \"pbx1.example.com\"\n")); err != nil || alone.Cluster != nil {
		t.Errorf("without the section: %+v, %v", alone, err)
	}
	for text, want := range map[string]Cluster{
		"servers = [\"nats://127.0.0.1:4222\"]\n":                                                  {},
		"servers = [\"nats://localhost:4222\", \"nats://[::1]:4222\"]\n":                           {},
		"servers = [\"nats://[fd00::5]:4222\"]\ncredentials = \"pw\"\n":                            {Credentials: filepath.Join(folder, "pw")},
		"servers = [\"nats://192.168.1.5:4222\"]\nnkey_file = \"pw\"\n":                            {NkeyFile: filepath.Join(folder, "pw")},
		"servers = [\"tls://192.0.2.5:4222\"]\ntls_cert = \"pw\"\ntls_key = \"pw\"":                {TLSCert: filepath.Join(folder, "pw"), TLSKey: filepath.Join(folder, "pw")},
		"servers = [\"nats://192.0.2.5:4222\"]\ntls_ca = \"pw\"\nuser = \"a\"\npassword = \"b\"\n": {TLSCA: filepath.Join(folder, "pw"), User: "a", Password: "b"},
	} {
		d, err := parseDaemon(file, []byte(isp+text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		c := *d.Cluster
		if c.Credentials != want.Credentials || c.NkeyFile != want.NkeyFile || c.User != want.User || c.Password != want.Password || c.TLSCA != want.TLSCA || c.TLSCert != want.TLSCert || c.TLSKey != want.TLSKey {
			t.Errorf("%s: got %+v", text, c)
		}
	}
	// A command leaves the files alone, which may be the daemon's.
	if err := os.WriteFile(file, []byte(isp+"servers = [\"tls://n:4222\"]\nuser = \"pbx1\"\npassword_file = \"none\"\ntls_ca = \"none\"\ntls_cert = \"none\"\ntls_key = \"none\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadForCommand(file); err != nil {
		t.Error(err)
	}
	if d, err := LoadDaemon(file); err != nil || d.ClusterFault == nil || strings.Count(d.ClusterFault.Error(), "cannot be read") != 4 {
		t.Errorf("files that are not there: %+v, %v", d, err)
	}
}

// wrongClusters are sections below node = "pbx1", [cluster], name = "isp" with the beginning of each fault.
var wrongClusters = map[string]struct{ text, want string }{
	"nothing said":   {"", "f.toml:2: cluster.servers: is missing: write \"nats://10.0.0.5:4222\", or \"tls://nats1.example.com:4222\", each in quotes"},
	"no servers":     {"servers = []\n", "f.toml:4: cluster.servers: is missing"},
	"web":            {"servers = [\"https://127.0.0.1:4222\"]\n", "f.toml:4: cluster.servers: \"https://127.0.0.1:4222\" is no server of NATS with a port"},
	"no port":        {"servers = [\"nats://127.0.0.1\"]\n", "f.toml:4: cluster.servers: \"nats://127.0.0.1\" is no server of NATS with a port"},
	"no scheme":      {"servers = [\"127.0.0.1:4222\"]\n", "f.toml:4: cluster.servers: \"127.0.0.1:4222\" is no server of NATS with a port"},
	"two in one":     {"servers = [\"nats://127.0.0.1:4222,nats://127.0.0.2:4222\"]\n", "f.toml:4: cluster.servers: "},
	"a password":     {"servers = [\"nats://a:secret@127.0.0.1:4222\"]\n", "f.toml:4: cluster.servers: \"nats://a:xxxxx@127.0.0.1:4222\" has more than a host and a port"},
	"not encrypted":  {"servers = [\"nats://192.0.2.5:4222\"]\ncredentials = \"pw\"\n", "f.toml:4: cluster.servers: \"nats://192.0.2.5:4222\" is not encrypted and is no address of this machine or of a private network, so that anybody on the way could change your lists: write \"tls://192.0.2.5:4222\", or name tls_ca"},
	"of a name":      {"servers = [\"nats://n1.example.com:4222\"]\ncredentials = \"pw\"\n", "f.toml:4: cluster.servers: \"nats://n1.example.com:4222\" is not encrypted"},
	"anybody":        {"servers = [\"tls://192.0.2.5:4222\"]\n", "f.toml:4: cluster.servers: \"tls://192.0.2.5:4222\" is on another machine, and nothing says who this node is"},
	"two ways":       {"servers = [\"nats://10.0.0.5:4222\"]\ncredentials = \"pw\"\nnkey_file = \"pw\"\nuser = \"a\"\npassword = \"b\"\n", "f.toml:6: cluster.nkey_file: stands beside credentials\nf.toml:7: cluster.user: stands beside"},
	"no password":    {"servers = [\"nats://10.0.0.5:4222\"]\nuser = \"a\"\n", "f.toml:2: cluster.password: is missing: write that of this node's user"},
	"whose password": {"servers = [\"nats://10.0.0.5:4222\"]\ncredentials = \"pw\"\npassword_file = \"pw\"\n", "f.toml:6: cluster.password_file: stands without user"},
	"no user":        {"servers = [\"nats://127.0.0.1:4222\"]\nuser = \"\"\npassword = \"x\"\n", "f.toml:5: cluster.user: is empty"},
	"half a key":     {"servers = [\"tls://n:4222\"]\ncredentials = \"pw\"\ntls_key = \"pw\"\n", "f.toml:6: cluster.tls_key: stands without tls_cert"},
	"nobody's":       {"servers = [\"nats://127.0.0.1:4222\"]\nshare_policy = true\n", "f.toml:2: cluster.policy_from: names nobody whose policy would be shared"},
	"whose":          {"servers = [\"nats://127.0.0.1:4222\"]\npolicy_from = [\"pbx1\", \"pbx2.example.com\"]\n", "f.toml:5: cluster.policy_from: \"pbx2.example.com\" is no name of a node"},
	"bounds":         {"servers = [\"nats://127.0.0.1:4222\"]\nkeep = \"23h\"\nmax_change = \"0%\"\n", "f.toml:5: cluster.keep: \"23h\" is not a time from 1d to 365d\nf.toml:6: cluster.max_change: \"0%\" is no share of a list"},
	"over":           {"servers = [\"nats://127.0.0.1:4222\"]\nkeep = \"366d\"\nmax_change = \"101%\"\n", "f.toml:5: cluster.keep: \nf.toml:6: cluster.max_change: "},
	"unknown":        {"servers = [\"nats://127.0.0.1:4222\"]\nserver = \"x\"\n", "f.toml:5: cluster.server: is not known here: did you mean \"servers\"?"},
}

func TestClusterFaults(t *testing.T) {
	folder := withPassword(t)
	check := func(name, text, want string) {
		t.Helper()
		got, wanted := fileFaults(t, folder, text), strings.Split(want, "\n")
		if !slices.EqualFunc(got, wanted, func(got, want string) bool { return strings.HasPrefix(got, strings.TrimSpace(want)) }) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wrongClusters)) {
		c := wrongClusters[name]
		check(name, "node = \"pbx1\"\n[cluster]\nname = \"isp\"\n"+c.text, c.want)
	}
	const rest = "servers = [\"nats://127.0.0.1:4222\"]\n"
	check("a node with dots", "node = \"pbx1.example.com\"\n[cluster]\nname = \"isp\"\n"+rest, "f.toml:1: node: \"pbx1.example.com\" cannot be the name of a node in a cluster: set node = \"pbx1\"")
	check("a name with dots", "node = \"pbx1\"\n[cluster]\nname = \"i.sp\"\n"+rest, "f.toml:3: cluster.name: \"i.sp\" is no name of a cluster")
	check("a long name", "node = \"pbx1\"\n[cluster]\nname = \""+strings.Repeat("x", maxName+1)+"\"\n"+rest, "f.toml:3: cluster.name: ")
	check("no name", "node = \"pbx1\"\n[cluster]\n"+rest, "f.toml:2: cluster.name: ")
}

// The handbook explains each key of the section, its example is taken, and so is the section that we ship commented out.
func TestClusterPage(t *testing.T) {
	folder := withPassword(t)
	for _, name := range []string{"nats-password", "nats-ca.crt", "pbx1.crt", "pbx1.key"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	_, example, _ := strings.Cut(page, "```toml\n")
	example, _, _ = strings.Cut(example, "```")
	d, err := parseDaemon(filepath.Join(folder, "ringfence.toml"), []byte(example))
	if err != nil || d.Cluster == nil || d.Cluster.User != d.Node {
		t.Fatalf("the example reads %+v, %v", d, err)
	}
	_, table, _ := strings.Cut(page, "| key | is |\n| --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var keys []string
	for row := range strings.Lines(table) {
		for i, word := range strings.Split(strings.Split(row, "|")[1], "`") {
			if i%2 == 1 {
				keys = append(keys, word)
			}
		}
	}
	slices.Sort(keys)
	if want := slices.Sorted(slices.Values(sectionKeys["cluster"])); !slices.Equal(keys, want) {
		t.Errorf("the page explains %q, and there are %q", keys, want)
	}
	_, shipped, _ := strings.Cut(string(SampleDaemon), "\n# [cluster]\n")
	shipped = "node = \"pbx1\"\n[cluster]\n" + strings.ReplaceAll("\n"+shipped, "\n# ", "\n")
	if d, err := parseDaemon(filepath.Join(folder, "ringfence.toml"), []byte(shipped)); err != nil || d.Cluster.Keep != 30*24*time.Hour || d.Cluster.MaxChange != 0.3 || d.Cluster.SharePolicy {
		t.Errorf("the shipped section reads %v", err)
	}
}

func TestClusterNames(t *testing.T) {
	for name, want := range map[string]bool{"pbx1": true, "a-b_C": true, "": false, "a.b": false, "*": false, ">": false, "ü": false, "a b": false, fmt.Sprintf("%033d", 1): false} {
		if IsClusterName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
