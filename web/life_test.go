package web_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serial is the number of the certificate that the console shows now.
func (h *house) serial() int64 {
	h.t.Helper()
	conn, err := tls.Dial("tcp", h.d.Console().Port(), &tls.Config{RootCAs: h.roots, ServerName: name})
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// until waits until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it does not come to pass", what)
		}
	}
}

// A new certificate counts without a restart; one that cannot be used leaves the one before, and is told of until it is mended.
func TestNewCertificate(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	if got := h.serial(); got != 1 {
		t.Fatalf("it shows certificate %d, want 1", got)
	}
	h.certify(2)
	until(t, "the new certificate", func() bool { return h.serial() == 2 })
	told := func() bool {
		s, err := h.d.Desk().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Alerts {
			if a.Kind == "console" && a.Subject == "certificate" {
				return true
			}
		}
		return false
	}
	h.write("console.key", "no key")
	until(t, "the alert", func() bool { return h.serial() == 2 && told() })
	if !strings.Contains(h.log.String(), "the one before it stays") {
		t.Errorf("it is not logged:\n%s", h.log)
	}
	h.certify(3)
	until(t, "the mended certificate", func() bool { return h.serial() == 3 })
	until(t, "the end of the alert", func() bool { return h.serial() == 3 && !told() })
}

// Who follows the calls keeps no daemon from stopping.
func TestStopWithStreams(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	admin := h.admin()
	for _, path := range []string{"/api/v1/calls/stream", "/live"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", h.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := h.browser()
		b.Jar = admin.Jar
		resp, err := b.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if line, err := bufio.NewReader(resp.Body).ReadString('\n'); resp.StatusCode != http.StatusOK || err != nil {
			t.Fatalf("%s: %d %q %v", path, resp.StatusCode, line, err)
		}
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := h.d.Stop(ctx); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("it stopped after %v: %v", time.Since(began), err)
	}
}

// Without TLS on this machine it works as well, with cookies that browsers take there.
func TestWithoutTLS(t *testing.T) {
	t.Parallel()
	h := open(t, "listen = \"127.0.0.1:0\"\n")
	if link := h.d.FirstLink(); !strings.HasPrefix(link, "http://127.0.0.1:") || !strings.Contains(h.log.String(), link) {
		t.Errorf("the first link is %q; the log says\n%s", link, h.log)
	}
	b := h.admin()
	c := b.session()
	if c == nil || c.Name != "ringfence" {
		t.Errorf("the session is %v", c)
	}
	if got := b.get("/"); got.StatusCode != http.StatusOK || !strings.Contains(got.text, "/signout") {
		t.Errorf("the first page: %d %s", got.StatusCode, got.text)
	}
	// Who follows a link from a page of another site comes with no cookie, and is let come again with it.
	got := h.browser().get("/calls?action=reject", crossSite)
	if got.StatusCode != http.StatusOK || got.Header.Get("Refresh") != "0;url=/calls?action=reject" {
		t.Errorf("from another site: %d, %q", got.StatusCode, got.Header.Get("Refresh"))
	}
	if s, err := h.d.Desk().Status(t.Context()); err != nil || s.Console != fmt.Sprint("http://", h.d.Console().Port()) {
		t.Errorf("the status says %q, %v", s.Console, err)
	}
}
