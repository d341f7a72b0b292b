package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"ringfence/conf"
)

// passkeys are sign-ins by a key that a phone, a computer or a stick holds, and that is asked for by a finger, a face or a PIN.
type passkeys struct {
	*webauthn.WebAuthn
	now func() time.Time

	mu   sync.Mutex
	used map[string]time.Time // challenges that somebody signed in with, until when they would count
}

const (
	passkeyTime = 5 * time.Minute // to find the key
	maxUsed     = 10000           // sign-ins by passkeys within that time
)

// newPasskeys makes them; nil where there is no url, or one that is an address: a passkey is for a name.
func newPasskeys(c *conf.Console, now func() time.Time) (*passkeys, error) {
	u, err := url.Parse(c.URL)
	if c.URL == "" || err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil || u.Scheme != "https" && u.Hostname() != "localhost" {
		return nil, nil //nolint: browsers have none there
	}
	w, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Ringfence", RPOrigins: []string{c.URL},
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: protocol.ResidentKeyRequired(), ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Enforce: true, Timeout: passkeyTime, TimeoutUVD: passkeyTime},
			Registration: webauthn.TimeoutConfig{Enforce: true, Timeout: passkeyTime, TimeoutUVD: passkeyTime},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("url %s cannot have passkeys: %w", c.URL, err)
	}
	return &passkeys{WebAuthn: w, now: now, used: map[string]time.Time{}}, nil
}

// passkeysHere reports whether a browser can use passkeys: they are for the name in url alone, whatever else the console is called.
func (s *Server) passkeysHere(r *http.Request) bool {
	return s.passkeys != nil && hostname(r.Host) == strings.ToLower(s.hosts.url.Hostname())
}

// once reports whether a challenge was not used before. What a browser brings back of a sign-in that was begun is sealed, and counts for a time: who
// reads it on the way shall not sign in with it again.
func (p *passkeys) once(challenge string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for c, until := range p.used {
		if now.After(until) {
			delete(p.used, c)
		}
	}
	if _, there := p.used[challenge]; there || len(p.used) >= maxUsed {
		return false
	}
	p.used[challenge] = now.Add(2 * passkeyTime)
	return true
}

// keyHolder is a user as the library wants one.
type keyHolder struct {
	handle []byte
	name   string
	keys   []webauthn.Credential
}

func (h *keyHolder) WebAuthnID() []byte                         { return h.handle }
func (h *keyHolder) WebAuthnName() string                       { return h.name }
func (h *keyHolder) WebAuthnDisplayName() string                { return h.name }
func (h *keyHolder) WebAuthnCredentials() []webauthn.Credential { return h.keys }
