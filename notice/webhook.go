package notice

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"ringfence/storage"
)

// A webhook gets a POST of JSON with a signature over the time and the body, by a secret that this customer alone shares with us.

const (
	keyFile       = "notice.key" // in the data folder
	signHeader    = "Ringfence-Signature"
	hookTimeout   = 10 * time.Second
	maxHookAnswer = 4 << 10 // bytes of an answer that are read
)

// secret makes the customers' secrets. Each has one of their own, so that none can sign what another believes.
type secret struct{ text string }

// openSecret reads the file of the installation's secret, and makes it where there is none.
func openSecret(folder string) (secret, error) {
	file := filepath.Join(folder, keyFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeSecret(file)
	}
	if err != nil {
		return secret{}, fmt.Errorf("the secret of webhooks cannot be read: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if raw, err := hex.DecodeString(key); err != nil || len(raw) != sha256.Size {
		return secret{}, fmt.Errorf("the secret of webhooks in %s is damaged: it should be %d hexadecimal digits; move it away to begin with a new one, and tell those who check signatures", file, 2*sha256.Size)
	}
	return secret{key}, nil
}

// makeSecret puts the file there whole, or not at all: a machine that stops in between must not leave half of one.
func makeSecret(file string) (secret, error) {
	raw := make([]byte, sha256.Size)
	rand.Read(raw) // never fails
	s := secret{hex.EncodeToString(raw)}
	if err := storage.ReplaceFile(file, 0o600, []byte(s.text+"\n")); err != nil {
		return secret{}, fmt.Errorf("the secret of webhooks cannot be made: %w", err)
	}
	return s, nil
}

// of is the secret of a customer.
func (s secret) of(customer string) string { return sign(s.text, customer) }

// sign is the HMAC-SHA-256 of a text, in hexadecimal digits.
func sign(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// hooks posts to webhooks.
type hooks struct {
	folder  string // of the secret
	private bool   // to this machine and private networks too
	now     func() time.Time
	client  *http.Client
	making  sync.Mutex // held while the secret is read or made
}

func newHooks(folder string, private bool, now func() time.Time) *hooks {
	h := &hooks{folder: folder, private: private, now: now}
	dialer := &net.Dialer{Timeout: hookTimeout, Control: h.control}
	h.client = &http.Client{
		Timeout: hookTimeout,
		Transport: &http.Transport{
			Proxy:       nil, // it would be the proxy's address that is looked at
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: hookTimeout,
			DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10, ResponseHeaderTimeout: hookTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h
}

// control looks at the very address that is connected to, after the name was resolved: a name may lead anywhere, and elsewhere the next time.
func (h *hooks) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	switch {
	case err != nil || never(at.Addr()):
		return errors.New("it leads to an address that no webhook may go to")
	case near(at.Addr()) && !h.private:
		return errors.New("it leads to this machine or a private network, which webhook_private of [notify] in ringfence.toml would allow")
	}
	return nil
}

// post sends a notice. The error names no address: a customer's may have a secret in it, and logs are others' to read.
func (h *hooks) post(ctx context.Context, to *url.URL, customer string, m *message) error {
	if to.Scheme == "http" && !h.private {
		return errors.New("http:// is for this machine and private networks, which webhook_private of [notify] in ringfence.toml would allow")
	}
	h.making.Lock()
	key, err := openSecret(h.folder)
	h.making.Unlock()
	if err != nil {
		return err
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(true)
	if err := enc.Encode(m); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body.Bytes()))
	if err != nil {
		return errors.New("the webhook is no address that can be asked")
	}
	at := strconv.FormatInt(h.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ringfence")
	req.Header.Set(signHeader, "t="+at+",v1="+sign(key.of(customer), at+"."+body.String()))
	answer, err := h.client.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err
		}
		return fmt.Errorf("the webhook cannot be reached: %w", err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, maxHookAnswer))
	switch {
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return fmt.Errorf("the webhook answers %d, that it is elsewhere, which is not followed: set its new address", answer.StatusCode)
	case answer.StatusCode < 200 || answer.StatusCode >= 300:
		return fmt.Errorf("the webhook answers %d", answer.StatusCode)
	}
	return nil
}
