package web_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
)

const testPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.hotline]
numbers = ["4008001234"]
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
`

// name is what browsers call the console of these tests: where it really listens the client knows.
const name = "pbx1.example.com"

// house is a running daemon with its console, over TLS unless it is said otherwise.
type house struct {
	t      testing.TB
	d      *daemon.Daemon
	folder string
	base   string // what browsers write: https://pbx1.example.com:8085
	roots  *x509.CertPool
	log    *lockedText
}

// lockedText is what the daemon has logged.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const withTLS = "listen = \"127.0.0.1:0\"\nurl = \"https://" + name + ":8085\"\ntls_cert = \"console.crt\"\ntls_key = \"console.key\"\n"

// open starts a daemon with a [console] section.
func open(t testing.TB, section string) *house {
	t.Helper()
	folder, err := os.MkdirTemp("", "rf-") // short: a socket lives in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	h := &house{t: t, folder: folder, base: "https://" + name + ":8085", roots: x509.NewCertPool(), log: &lockedText{}}
	h.certify(1)
	h.write("policy.toml", testPolicy)
	h.write("ringfence.secret", "their secret\n")
	h.write("ringfence.toml", "data = \"data\"\nsocket = \"s\"\nnode = \"pbx1\"\n[screen]\nlisten = \"127.0.0.1:0\"\n[console]\n"+section)
	c, err := conf.LoadDaemon(filepath.Join(folder, "ringfence.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Console.TLS() {
		h.base = "http://localhost:8085"
	}
	// As `ringfence run` does, which says that whoever starts it asks: nobody who comes to the port must be taken for them.
	started := console.WithWho(context.Background(), &console.Who{Name: "root", Way: console.BySocket, Role: console.Admin})
	if h.d, err = daemon.Start(started, c, "test", slog.New(slog.NewTextHandler(h.log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := h.d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if h.d.Console() == nil {
		t.Fatalf("there is no console: %s", h.log)
	}
	return h
}

func (h *house) write(file, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.folder, file), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// certify writes a certificate with a serial number, which clients believe.
func (h *house) certify(serial int64) {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{name, "localhost", "pbx1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		h.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		h.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		h.t.Fatal(err)
	}
	h.roots.AddCert(made)
	h.write("console.key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})))
	h.write("console.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
}

// browser is a client that keeps cookies and says of itself what browsers say. It follows no redirects.
type browser struct {
	*http.Client
	h     *house
	token string // sent with each request, where there is one
	from  net.IP // the address that it comes from; nil: the machine's choice
}

// browser makes one that nobody has signed in with.
func (h *house) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	port := h.d.Console().Port()
	b := &browser{h: h}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: b.from}}).DialContext(ctx, "tcp", port)
		},
		TLSClientConfig: &tls.Config{RootCAs: h.roots}, ForceAttemptHTTP2: true,
	}
	h.t.Cleanup(transport.CloseIdleConnections)
	b.Client = &http.Client{
		Jar: jar, Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b
}

// answer is what came back.
type answer struct {
	*http.Response
	text string
}

// ask sends a request. with changes it before.
func (b *browser) ask(method, path string, body io.Reader, with ...func(*http.Request)) *answer {
	b.h.t.Helper()
	r, err := http.NewRequestWithContext(b.h.t.Context(), method, b.h.base+path, body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if b.token != "" {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	for _, change := range with {
		change(r)
	}
	resp, err := b.Do(r)
	if err != nil {
		b.h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return &answer{resp, string(text)}
}

func (b *browser) get(path string, with ...func(*http.Request)) *answer {
	b.h.t.Helper()
	return b.ask("GET", path, nil, with...)
}

// form sends a form as a page of ours does.
func (b *browser) form(path string, values url.Values, with ...func(*http.Request)) *answer {
	b.h.t.Helper()
	return b.ask("POST", path, strings.NewReader(values.Encode()), append([]func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded"), header("Origin", b.h.base)}, with...)...)
}

// json sends JSON as a script of ours does.
func (b *browser) json(method, path string, v any, with ...func(*http.Request)) *answer {
	b.h.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		b.h.t.Fatal(err)
	}
	return b.ask(method, path, strings.NewReader(string(text)), append([]func(*http.Request){header("Content-Type", "application/json"), header("Origin", b.h.base)}, with...)...)
}

// header sets a header; one that is empty is not sent.
func header(key, value string) func(*http.Request) {
	return func(r *http.Request) {
		if value == "" {
			r.Header.Del(key)
			return
		}
		r.Header.Set(key, value)
	}
}

// session is the cookie of the session that a browser has, nil if it has none.
func (b *browser) session() *http.Cookie {
	u, err := url.Parse(b.h.base)
	if err != nil {
		b.h.t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(u) {
		if strings.TrimPrefix(c.Name, "__Host-") == "ringfence" {
			return c
		}
	}
	return nil
}

const password = "a line of three birds"

// admin is a browser in which the first administrator has signed in, by the link that the daemon logs.
func (h *house) admin() *browser {
	h.t.Helper()
	b := h.browser()
	link := h.d.FirstLink()
	if link == "" {
		h.t.Fatal("there is no link for the first administrator")
	}
	path := link[strings.Index(link, "/welcome/"):]
	if a := b.get(path); a.StatusCode != http.StatusOK || !strings.Contains(a.text, "administrator") {
		h.t.Fatalf("the first link shows %d: %s", a.StatusCode, a.text)
	}
	if a := b.form(path, url.Values{"password": {password}, "again": {password}}); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/" {
		h.t.Fatalf("the first link answers %d: %s", a.StatusCode, a.text)
	}
	return b
}

// user makes a user by the API and gives a browser in which they have signed in.
func (h *house) user(admin *browser, u console.NewUser) *browser {
	h.t.Helper()
	u.Password = password
	if a := admin.json("POST", "/api/v1/users", u); a.StatusCode != http.StatusOK {
		h.t.Fatalf("making %s: %d %s", u.Name, a.StatusCode, a.text)
	}
	b := h.browser()
	b.signIn(u.Name, password, http.StatusSeeOther)
	return b
}

func (b *browser) signIn(user, with string, want int) *answer {
	b.h.t.Helper()
	a := b.form("/signin", url.Values{"name": {user}, "password": {with}})
	if a.StatusCode != want {
		b.h.t.Fatalf("signing in as %s: got %d, want %d: %s", user, a.StatusCode, want, a.text)
	}
	return a
}

// script is a client with a token, made by the API.
func (h *house) script(admin *browser, n console.NewToken) (*browser, console.MadeToken) {
	h.t.Helper()
	a := admin.json("POST", "/api/v1/tokens", n)
	var made console.MadeToken
	if err := json.Unmarshal([]byte(a.text), &made); a.StatusCode != http.StatusOK || err != nil || made.Secret == "" {
		h.t.Fatalf("making the token %s: %d %s, %v", n.Name, a.StatusCode, a.text, err)
	}
	b := h.browser()
	b.token = made.Secret
	return b, made
}

// raw opens a connection without a client of HTTP, over TLS where the console has it.
func (h *house) raw() net.Conn {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.d.Console().Port())
	if err != nil {
		h.t.Fatal(err)
	}
	if strings.HasPrefix(h.base, "https:") {
		conn = tls.Client(conn, &tls.Config{RootCAs: h.roots, ServerName: name})
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(40 * time.Second))
	return conn
}

// code is the code of an error in the form of the API.
func (a *answer) code() string {
	var e struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.text), &e); err != nil {
		return fmt.Sprintf("no JSON: %.100q", a.text)
	}
	return e.Error.Code
}
