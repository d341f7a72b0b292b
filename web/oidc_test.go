package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// provider is a small server of OpenID Connect: what it says of who signs in is set by the test.
type provider struct {
	*httptest.Server
	t   testing.TB
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	claims map[string]any // of who signs in now
	codes  map[string]url.Values
	nonce  string            // instead of the one that was asked for; "": that
	signer *ecdsa.PrivateKey // who signs instead; nil: it does
	info   map[string]any    // what its address of who somebody is says
}

func startProvider(t testing.TB) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys", "userinfo_endpoint": p.URL + "/who",
			"id_token_signing_alg_values_supported": []string{"ES256"}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		point, err := key.PublicKey.ECDH()
		if err != nil {
			t.Error(err)
		}
		raw := point.Bytes()
		answer(w, map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": encode(raw[1:33]), "y": encode(raw[33:]),
		}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		begun := p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		id, secret, _ := r.BasicAuth()
		if begun == nil || encode(sum[:]) != begun.Get("code_challenge") || begun.Get("code_challenge_method") != "S256" || id != "ringfence" || secret != url.QueryEscape("their secret") ||
			r.FormValue("redirect_uri") != begun.Get("redirect_uri") {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		claims := map[string]any{"iss": p.URL, "aud": "ringfence", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": begun.Get("nonce")}
		if p.nonce != "" {
			claims["nonce"] = p.nonce
		}
		maps.Copy(claims, p.claims)
		answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": p.sign(claims)})
	})
	mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		answer(w, p.info)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a JWT.
func (p *provider) sign(claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	body := encode([]byte(`{"alg":"ES256","kid":"1"}`)) + "." + encode(text)
	sum := sha256.Sum256([]byte(body))
	key := p.key
	if p.signer != nil {
		key = p.signer
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return body + "." + encode(signature)
}

// set changes what the provider says from now on.
func (p *provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// authorize is the person who signs in there: it gives the address that the browser is sent back to.
func (p *provider) authorize(address string) string {
	p.t.Helper()
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, p.URL+"/authorize?") {
		p.t.Fatalf("the browser is sent to %q, %v", address, err)
	}
	q := u.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != "ringfence" || q.Get("redirect_uri") != "https://"+name+":8085/signin/oidc/back" ||
		len(q.Get("state")) < 40 || len(q.Get("nonce")) < 40 || q.Get("code_challenge_method") != "S256" || !strings.Contains(q.Get("scope"), "openid") {
		p.t.Fatalf("it is asked %v", q)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code := "code" + strconv.FormatInt(time.Now().UnixNano(), 36)
	p.codes[code] = q
	return "/signin/oidc/back?code=" + code + "&state=" + q.Get("state")
}

// crossSite is what a browser says that comes back from the other server.
func crossSite(r *http.Request) {
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
}

// openWithOIDC starts a console with a provider.
func openWithOIDC(t testing.TB) (*house, *provider) {
	t.Helper()
	p := startProvider(t)
	return open(t, withTLS+fmt.Sprintf("[console.oidc]\nissuer = %q\nclient_id = \"ringfence\"\nclient_secret_file = \"ringfence.secret\"\nroles = { \"pbx-admins\" = \"admin\", \"pbx-staff\" = \"viewer\", \"pbx-review\" = \"reviewer\" }\n", p.URL)), p
}

// Who signs in by the other server gets the role that one of his groups has, and nobody gets in without.
//
// long: because it is one table of what the other server says
func TestOIDC(t *testing.T) {
	t.Parallel()
	h, p := openWithOIDC(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signIn := func(b *browser) *answer {
		t.Helper()
		to := b.get("/signin/oidc?next=%2Fcalls")
		if to.StatusCode != http.StatusSeeOther {
			t.Fatalf("beginning: %d %s", to.StatusCode, to.text)
		}
		return b.get(p.authorize(to.Header.Get("Location")), crossSite)
	}
	for _, c := range []struct {
		what   string
		claims map[string]any
		info   map[string]any
		harm   func()
		status int
		role   string
	}{
		{what: "an administrator", claims: map[string]any{"sub": "1", "preferred_username": "anna", "groups": []string{"other", "pbx-admins", "pbx-staff"}}, status: 200, role: "Administrator"},
		{what: "the same, who is less now", claims: map[string]any{"sub": "1", "preferred_username": "anna", "groups": []string{"pbx-review"}}, status: 200, role: "Reviewer"},
		{what: "a claim that is a text", claims: map[string]any{"sub": "2", "email": "ben@example.com", "groups": "pbx-staff"}, status: 200, role: "Viewer"},
		{what: "a claim that another address tells", claims: map[string]any{"sub": "3", "name": "Cleo"}, info: map[string]any{"sub": "3", "groups": []string{"pbx-staff"}}, status: 200, role: "Viewer"},
		{what: "another address tells of another one", claims: map[string]any{"sub": "3", "name": "Cleo"}, info: map[string]any{"sub": "1", "groups": []string{"pbx-admins"}}, status: 502},
		{what: "no group of ours", claims: map[string]any{"sub": "4", "preferred_username": "dora", "groups": []string{"admin", "pbx-admins2", ""}}, status: 403},
		{what: "a role of ours, but no group", claims: map[string]any{"sub": "4", "preferred_username": "dora", "groups": "admin"}, status: 403},
		{what: "numbers for groups", claims: map[string]any{"sub": "4", "preferred_username": "dora", "groups": []any{1, nil, map[string]any{}}}, status: 403},
		{what: "a name that is there, of another", claims: map[string]any{"sub": "5", "preferred_username": "Anna", "groups": "pbx-admins"}, status: 401},
		{what: "the first administrator's name", claims: map[string]any{"sub": "6", "preferred_username": "root\r\nX: y", "groups": "pbx-admins"}, status: 401},
		{what: "an ID token of another sign-in", claims: map[string]any{"sub": "1", "groups": "pbx-admins"}, harm: func() { p.nonce = "another" }, status: 502},
		{what: "an ID token that another has signed", claims: map[string]any{"sub": "1", "groups": "pbx-admins"}, harm: func() { p.signer = other }, status: 502},
		{what: "an ID token for another client", claims: map[string]any{"sub": "1", "groups": "pbx-admins", "aud": "another"}, status: 502},
		{what: "an ID token of another server", claims: map[string]any{"sub": "1", "groups": "pbx-admins", "iss": "https://evil.example"}, status: 502},
		{what: "an ID token that has expired", claims: map[string]any{"sub": "1", "groups": "pbx-admins", "exp": time.Now().Add(-time.Hour).Unix()}, status: 502},
	} {
		p.set(func() {
			p.claims, p.info, p.nonce, p.signer = c.claims, c.info, "", nil
			if c.harm != nil {
				c.harm()
			}
		})
		b := h.browser()
		got := signIn(b)
		if got.StatusCode != c.status {
			t.Errorf("%s: got %d, want %d: %s", c.what, got.StatusCode, c.status, h.log)
			continue
		}
		if c.status != 200 {
			if b.session() != nil {
				t.Errorf("%s: there is a session", c.what)
			}
			continue
		}
		if to := got.Header.Get("Refresh"); to != "0;url=/calls" || b.session() == nil {
			t.Errorf("%s: it goes on at %q, with the session %v", c.what, to, b.session())
		}
		if page := b.get("/account"); page.StatusCode != 200 || !strings.Contains(page.text, c.role) {
			t.Errorf("%s: the account does not say %s: %d %s", c.what, c.role, page.StatusCode, page.text)
		}
	}
}

// A sign-in counts in the browser in which it was begun, once.
func TestOIDCState(t *testing.T) {
	t.Parallel()
	h, p := openWithOIDC(t)
	p.set(func() { p.claims = map[string]any{"sub": "1", "preferred_username": "anna", "groups": "pbx-admins"} })
	b := h.browser()
	back := p.authorize(b.get("/signin/oidc").Header.Get("Location"))
	if got := h.browser().get(back, crossSite); got.StatusCode != http.StatusBadRequest {
		t.Errorf("in another browser: got %d", got.StatusCode)
	}
	if got := b.get(strings.Replace(back, "&state=", "&state=x", 1), crossSite); got.StatusCode != http.StatusBadRequest {
		t.Errorf("with another state: got %d", got.StatusCode)
	}
	if got := b.get(back, crossSite); got.StatusCode != http.StatusBadRequest {
		t.Errorf("after a try with another state: got %d", got.StatusCode)
	}
	back = p.authorize(b.get("/signin/oidc").Header.Get("Location"))
	if got := b.get(back, crossSite); got.StatusCode != http.StatusOK || b.session() == nil {
		t.Errorf("got %d, the session is %v", got.StatusCode, b.session())
	}
	if got := b.get(back, crossSite); got.StatusCode != http.StatusBadRequest {
		t.Errorf("once more: got %d", got.StatusCode)
	}
	// What the other server says of a failure is shown as text.
	b = h.browser()
	to, err := url.Parse(b.get("/signin/oidc").Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	got := b.get("/signin/oidc/back?error=access_denied&error_description="+url.QueryEscape("<script>alert(1)</script>")+"&state="+to.Query().Get("state"), crossSite)
	if got.StatusCode != http.StatusBadRequest || strings.Contains(got.text, "<script>alert") || !strings.Contains(got.text, "access_denied") {
		t.Errorf("got %d: %s", got.StatusCode, got.text)
	}
	// Where the other server is away, passwords still sign in.
	p.Close()
	if got := h.browser().get("/signin"); got.StatusCode != http.StatusOK || !strings.Contains(got.text, "127.0.0.1") {
		t.Errorf("the page to sign in: %d", got.StatusCode)
	}
}
