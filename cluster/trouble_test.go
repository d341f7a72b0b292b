package cluster

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
)

// book is what a node's log has.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// times is how often a text is in it.
func (b *book) times(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}

func (b *book) log(o *Options) { o.Log = slog.New(slog.NewTextHandler(b, nil)) }

// says waits until a node says why it is not with its cluster, in its report and, once, in its log.
func says(t *testing.T, m *member, b *book, want string) {
	t.Helper()
	if !within(t, func() bool { return strings.Contains(m.Report().Why, want) && b.times(want) > 0 }) {
		t.Fatalf("it does not say %q, but %+v", want, m.Report())
	}
	for end := m.o.Now().Add(3 * time.Second); m.o.Now().Before(end); { // it is tried twice a second
		if r := m.Report(); !strings.Contains(r.Why, want) {
			t.Errorf("what it says instead: %s", r.Why)
			break
		}
		wait(t.Context(), 50*time.Millisecond)
	}
	if n := b.times(want); n != 1 {
		t.Errorf("the log has it %d times", n)
	}
}

// within reports whether something came to be so.
func within(t *testing.T, so func() bool) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); wait(t.Context(), 20*time.Millisecond) {
		if so() {
			return true
		}
	}
	return false
}

// A password that the server does not take is said, and may be mended at the server, however long the node has tried.
func TestPasswordIsMended(t *testing.T) {
	t.Parallel()
	users := func(password string) string {
		return fmt.Sprintf("jetstream { store_dir: %q }\nauthorization { users: [ { user: a, password: %q } ] }\n", t.TempDir(), password)
	}
	settings := users("one")
	s := startServerWith(t, settings)
	var b book
	m := join(t, s.url(), newKept("a"), func(o *Options) { b.log(o); o.User, o.Password = "a", "two" })
	says(t, m, &b, "the server does not take this node's user with this password or key")
	s.configure(strings.Replace(settings, `"one"`, `"two"`, 1))
	s.reload()
	eventually(t, "it is with its cluster", func() bool { return !m.Report().Alone })
	if why := m.Report().Why; why != "" {
		t.Errorf("it is with its cluster, and says %q", why)
	}
	s.configure(settings) // as it is when a password is changed at the server first
	s.reload()
	eventually(t, "it says why it is alone", func() bool {
		r := m.Report()
		return r.Alone && strings.Contains(r.Why, "this node's user with this password")
	})
	s.configure(strings.Replace(settings, `"one"`, `"two"`, 1))
	s.reload()
	eventually(t, "it is with its cluster again", func() bool { return !m.Report().Alone })
}

// Each mistake in [cluster] or at the server is said with what to do.
func TestTroubles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	pool := certify(t, folder)
	secured := fmt.Sprintf("tls { cert_file: %q, key_file: %q }\n", filepath.Join(folder, "crt"), filepath.Join(folder, "key"))
	store := fmt.Sprintf("jetstream { store_dir: %q }\n", t.TempDir())
	for name, c := range map[string]struct {
		settings string // "": there is no server
		change   func(*Options)
		want     string
	}{
		"nobody listens":   {"", nil, "nobody listens there: start nats-server"},
		"another's rights": {store + "authorization { users: [ { user: a, password: x, permissions: { publish: [\"ringfence.isp.*.b\"], subscribe: \"*.*.*.>\" } } ] }", func(o *Options) { o.User, o.Password = "a", "x" }, "the rights there must name the cluster and the node as ringfence.toml does"},
		"keeps nothing":    {"max_payload: 1MB\n", nil, "its configuration needs a section jetstream"},
		"no TLS":           {store, func(o *Options) { o.TLS = &tls.Config{RootCAs: pool} }, "the server has no TLS"},
		"no authority":     {store + secured, nil, "name it as tls_ca"},
		"another name": {store + secured, func(o *Options) {
			o.TLS = &tls.Config{RootCAs: pool}
			o.Servers[0] = strings.Replace(o.Servers[0], "127.0.0.1", "localhost", 1)
		}, "(subjectAltName)"},
		"a certificate": {store + strings.Replace(secured, "}", fmt.Sprintf(", ca_file: %q, verify: true }", filepath.Join(folder, "crt")), 1), func(o *Options) { o.TLS = &tls.Config{RootCAs: pool} }, "look at tls_cert and tls_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServerWith(t, c.settings)
			if c.settings == "" {
				s.kill()
			}
			var b book
			says(t, join(t, s.url(), newKept("a"), func(o *Options) {
				if b.log(o); c.change != nil {
					c.change(o)
				}
			}), &b, c.want)
		})
	}
}

// Two nodes of one name hear themselves, and are not alone: both say it.
func TestTwins(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var one, two book
	a, b := join(t, s.url(), newKept("a"), one.log), join(t, s.url(), newKept("a"), two.log)
	says(t, a, &one, "another node calls itself a too")
	says(t, b, &two, "another node calls itself a too")
	b.stop()
	eventually(t, "one that is by itself again says nothing", func() bool { return a.Report().Why == "" })
}

// certify writes a certificate of 127.0.0.1 and its key, as crt and key, and gives who knows it.
func certify(t *testing.T, folder string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	crt, err := x509.CreateCertificate(rand.Reader, from, from, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"crt": {Type: "CERTIFICATE", Bytes: crt}, "key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(crt)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

// Where something else answers than a server of NATS the client gives up: the node says so, and is with its cluster when a server is there.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	var log book
	one := join(t, s.url(), a, func(o *Options) { log.log(o); o.Again = 100 * time.Millisecond })
	eventually(t, "it is with its cluster", func() bool { return !one.Report().Alone })
	s.kill()
	stop := strange(t, s.port)
	eventually(t, "it says why", func() bool {
		return strings.Contains(one.Report().Why, "whether nats-server answers there (nats: what is this)")
	})
	wait(t.Context(), 2*time.Second) // it is tried ten times a second
	if n := log.times("what is this"); n == 0 || n > 2 {
		t.Errorf("the log has it %d times, and not once, and with that it is alone", n)
	}
	a.edit("blacklist", number(1))
	stop()
	s.start()
	two := join(t, s.url(), b, nil)
	eventually(t, "it is with its cluster again", func() bool { r := one.Report(); return !r.Alone && r.Why == "" })
	level(t, "what was changed meanwhile", one, two)
	b.edit("blacklist", number(2))
	level(t, "what is changed on the other", one, two)
}

// strange listens where a server was, speaks as one at first, and then as none does. The end of it is when what it returns has returned.
func strange(t *testing.T, port int) (stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				fmt.Fprint(conn, `INFO {"server_id":"x","version":"2.9.10","proto":1,"max_payload":1048576,"headers":true}`+"\r\n")
				for r := bufio.NewReader(conn); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "PING") {
						fmt.Fprint(conn, "PONG\r\n-ERR 'what is this'\r\n")
					}
				}
			})
		}
	})
	stop = sync.OnceFunc(func() { l.Close(); work.Wait() })
	t.Cleanup(stop)
	return stop
}

// A file that cannot be read when the node starts is read again.
func TestKeyComesLater(t *testing.T) {
	t.Parallel()
	s := startServerWith(t, fmt.Sprintf("jetstream { store_dir: %q }\n", t.TempDir()))
	file := filepath.Join(t.TempDir(), "a.creds")
	var log book
	m := join(t, s.url(), newKept("a"), func(o *Options) { log.log(o); o.NkeyFile, o.Again = file, 100*time.Millisecond })
	says(t, m, &log, "the key of nkey_file cannot be read")
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	s.configure(fmt.Sprintf("jetstream { store_dir: %q }\nauthorization { users: [ { nkey: %s } ] }\n", t.TempDir(), public))
	s.kill()
	s.start()
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is with its cluster", func() bool { return !m.Report().Alone })
}
