package nats

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringfence/e2e/setup"
)

// TestPage does what docs/cluster.md says of the server, in a folder of its own: its certificates and passwords are made as it says, the configuration that
// we ship is taken, and a node signs in that knows the authority.
func TestPage(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skipf("NOT TESTED: the page's commands need openssl: %v", err)
	}
	folder := t.TempDir()
	page, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "nats"), 0o755); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("/etc/", folder+"/", "10.0.0.5", "127.0.0.1")
	run := 0
	for i, block := range strings.Split(string(page), "```") {
		text, ok := strings.CutPrefix(block, "sh\n")
		if i%2 == 0 || !ok || !strings.Contains(text, "openssl ") || strings.Contains(text, "apt-get") {
			continue
		}
		run++
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, "sh", "-ec", here.Replace(text)).CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, text, out)
		}
	}
	if run != 2 {
		t.Fatalf("%d blocks of the page were run, want that of the certificate and that of the passwords", run)
	}
	shipped, err := os.ReadFile("../../conf/nats/nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, settings, _ := strings.Cut(here.Replace(string(shipped)), "\ntls {")
	settings = regexp.MustCompile(`(?s)\njetstream \{.*?\n\}`).ReplaceAllString("tls {"+settings, "") // the test's own, as the address is
	text, err := os.ReadFile(filepath.Join(folder, "nats-passwords.conf"))
	if err != nil {
		t.Fatal(err)
	}
	n := setup.StartNATS(t, strings.Replace(settings, `include "nats-passwords.conf"`, string(text), 1))
	m := regexp.MustCompile(`(?m)^PBX1 = "([0-9a-f]{48})"$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("the passwords are %q", text)
	}
	authority, err := os.ReadFile(filepath.Join(folder, "nats", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	conn, err := net.Dial("tcp", n.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	u := &user{t: t, conn: conn, in: bufio.NewReader(conn)}
	if info := u.line(); !strings.Contains(info, `"tls_required":true`) {
		t.Fatalf("the server takes nodes without TLS: %s", info)
	}
	safe := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
	u.conn, u.in = safe, bufio.NewReader(safe)
	u.connect("pbx1", string(m[1]))
	if _, err := u.signedIn(); err != nil {
		t.Fatal(err)
	}
	if no := u.publish("ringfence.isp.here.pbx1", "", "x"); no != "" {
		t.Error(no)
	}
}
