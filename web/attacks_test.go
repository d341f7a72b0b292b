package web_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ringfence/console"
)

// What pages of other sites have a browser send does nothing: each of these would add a list entry, or sign somebody in or out, if it were let through.
//
// long: because it is one table of ways
func TestCrossSite(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	b := h.admin()
	const entry = `[{"number":"95211613","reason":"theirs"}]`
	const entries = "/api/v1/lists/blacklist/entries"
	const json, form = "application/json", "application/x-www-form-urlencoded"
	script, _ := h.script(b, console.NewToken{Name: "importer", Role: console.Admin})
	for _, c := range []struct {
		way                         string
		who                         *browser
		path, body                  string
		contentType, origin, fetchs string // "-": not sent
		want                        int
	}{
		{"their script, as JSON", b, entries, entry, json, "https://evil.example", "cross-site", 403},
		{"their form, as text that is JSON", b, entries, entry, "text/plain", "https://evil.example", "cross-site", 403},
		{"their form, of an old browser", b, entries, entry, "text/plain", "https://evil.example", "-", 403},
		{"their form, of a browser that hides from where", b, entries, entry, "text/plain", "null", "-", 403},
		{"text that is JSON, of who says nothing", b, entries, entry, "text/plain", "-", "-", 415},
		{"no type at all", b, entries, entry, "-", "-", "-", 415},
		{"a form to the API from our own page", b, entries, entry, form, "https://" + name + ":8085", "same-origin", 415},
		{"from a neighbour of the same site", b, entries, entry, json, "https://other.example.com", "same-site", 403},
		{"from another port of this machine", b, entries, entry, json, "https://" + name + ":9", "-", 403},
		{"a form to a page, of who says nothing", b, "/signout", "", form, "-", "-", 415},
		{"a form to a page, as if typed", b, "/signout", "", form, "-", "none", 415},
		{"a form to a page, from elsewhere", b, "/signout", "", form, "https://evil.example", "cross-site", 403},
		{"their form that signs in as them", h.browser(), "/signin", "name=evil&password=x", form, "https://evil.example", "cross-site", 403},
		{"the same, of a browser that says nothing", h.browser(), "/signin", "name=evil&password=x", form, "-", "-", 415},
		{"their form that changes a password", b, "/account/password", "current=x&password=y&again=y", form, "https://evil.example", "-", 403},
		{"a script with a token", script, entries, `[{"number":"95211614"}]`, json, "-", "-", 200},
		{"our own page", b, entries, `[{"number":"95211615"}]`, json, "https://" + name + ":8085", "same-origin", 200},
		{"our own page, of a browser that says nothing of fetching", b, entries, `[{"number":"95211616"}]`, json, "https://" + name + ":8085", "-", 200},
	} {
		value := func(text string) string { return strings.TrimPrefix(text, "-") }
		got := c.who.ask("POST", c.path, strings.NewReader(c.body), header("Content-Type", value(c.contentType)), header("Origin", value(c.origin)), header("Sec-Fetch-Site", value(c.fetchs)))
		if got.StatusCode != c.want {
			t.Errorf("%s: got %d, want %d: %.200s", c.way, got.StatusCode, c.want, got.text)
		}
		for key := range got.Header {
			if strings.HasPrefix(key, "Access-Control-") {
				t.Errorf("%s: another site is let in by %s", c.way, key)
			}
		}
	}
	if got := b.get(entries); strings.Contains(got.text, "theirs") || strings.Count(got.text, "\n") != 3 {
		t.Errorf("on the list is\n%s", got.text)
	}
	if got := b.get("/account"); got.StatusCode != http.StatusOK {
		t.Errorf("the session has ended: %d", got.StatusCode)
	}
}

// A session that somebody else has slipped a browser is not the one in which its user is signed in, and is over then.
func TestFixation(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	admin := h.admin()
	if c := admin.session(); c == nil {
		t.Fatal("the administrator has no session")
	}
	theirs := admin.session().Value
	h.user(admin, console.NewUser{Name: "anna", Role: console.Viewer})
	for _, planted := range []string{theirs, "a session of my own making", strings.Repeat("x", 2000)} {
		b := h.browser()
		u, _ := url.Parse(h.base)
		b.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-ringfence", Value: planted, Path: "/", Secure: true}})
		a := b.signIn("anna", password, http.StatusSeeOther)
		c := b.session()
		if c == nil || c.Value == planted || len(c.Value) < 40 {
			t.Fatalf("planted %.20q: the session is %v", planted, c)
		}
		set := a.Header.Get("Set-Cookie")
		for _, part := range []string{"__Host-ringfence=", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Strict"} {
			if !strings.Contains(set, part) {
				t.Errorf("the cookie %q has no %q", set, part)
			}
		}
		if strings.Contains(set, "Domain") {
			t.Errorf("the cookie goes to neighbours: %q", set)
		}
	}
	if got := admin.get("/account"); got.StatusCode != http.StatusSeeOther {
		t.Errorf("the session that was planted still counts: %d", got.StatusCode)
	}
	// A cookie of the name that is used without TLS is nobody's over TLS.
	b := h.browser()
	b.signIn("anna", password, http.StatusSeeOther)
	secret := b.session().Value
	if got := h.browser().get("/account", header("Cookie", "ringfence="+secret)); got.StatusCode != http.StatusSeeOther {
		t.Errorf("a cookie that any neighbour can set signs in: %d", got.StatusCode)
	}
	// Signing out ends it for good.
	if got := b.form("/signout", url.Values{}); got.StatusCode != http.StatusSeeOther || b.session() != nil {
		t.Errorf("signing out: %d, the session is %v", got.StatusCode, b.session())
	}
	if got := h.browser().get("/account", header("Cookie", "__Host-ringfence="+secret)); got.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out the session still counts: %d", got.StatusCode)
	}
}

// No way leads out of the folders that are served, or around the sign-in.
func TestPathTraversal(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	for _, path := range []string{
		"/static/../account", "/static/..%2faccount", "/static/%2e%2e/account", "/static/....//account", "/static/..\\account", "/static/%5c..%5caccount",
		"/static//etc/passwd", "/static/../../../../etc/passwd", "/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/static/console.css/../../account", "/static/",
		"//account", "///account", "/./account", "/signin/../account", "/signin/..;/account", "/healthz/../api/v1/lists", "/healthz%2f..%2faccount", "/signin//../account",
		"/l/../account", "/welcome/../api/v1/status", "/API/v1/status", "/api/v1/../v1/status", "/api//v1/status", "/account%00", "/%61ccount", "/account/", "/account;x", "/metrics/../account",
	} {
		conn := h.raw()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nConnection: close\r\n\r\n", path, name)
		raw, err := io.ReadAll(conn)
		if err != nil && len(raw) == 0 {
			t.Errorf("%s: %v", path, err)
			continue
		}
		status, _, _ := strings.Cut(string(raw), "\r\n")
		code := strings.Fields(status + " - -")[1]
		// Either it is refused, or sent on to where it is refused.
		if code != "401" && code != "404" && code != "400" && code != "301" && code != "307" {
			t.Errorf("%s: %s", path, status)
		}
		if strings.Contains(string(raw), "root:") || strings.Contains(string(raw), "Version\"") {
			t.Errorf("%s gives %s", path, raw)
		}
		if at := strings.Index(string(raw), "\r\nLocation: "); at >= 0 {
			to, _, _ := strings.Cut(string(raw)[at+len("\r\nLocation: "):], "\r\n")
			if strings.HasPrefix(to, "//") || !strings.HasPrefix(to, "/") {
				t.Errorf("%s sends to %q", path, to)
			}
		}
	}
}

// Whoever calls the console by a name that is not its own, as a page whose name was bent to this machine, gets nothing.
func TestRebinding(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	b := h.admin()
	for host, want := range map[string]int{
		name: 200, name + ":8085": 200, "PBX1.example.com": 200, name + ".": 200, "localhost": 200, "localhost:1": 200, "127.0.0.1": 200, "[::1]": 200, "pbx1": 200,
		"evil.example": 421, "127.0.0.1.evil.example": 421, "0.0.0.0": 421, "192.0.2.1": 421, "evil" + name: 421, name + ".evil.example": 421, "localhost.evil.example": 421, "x:y:z": 421,
	} {
		for _, path := range []string{"/healthz", "/api/v1/lists", "/signin"} {
			got := b.get(path, func(r *http.Request) {
				r.Host = host
				r.Header.Set("Cookie", "__Host-ringfence="+b.session().Value)
			})
			if path == "/signin" && want == 200 {
				if got.StatusCode != http.StatusSeeOther { // signed in already
					t.Errorf("%s%s: got %d", host, path, got.StatusCode)
				}
			} else if got.StatusCode != want {
				t.Errorf("%s%s: got %d, want %d", host, path, got.StatusCode, want)
			}
		}
	}
}

// A token or a password in an address is refused whatever is asked, loudly, and does not sign in.
func TestTokenInAddress(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	_, made := h.script(h.admin(), console.NewToken{Name: "importer", Role: console.Admin})
	for _, path := range []string{
		"/api/v1/lists?token=" + made.Secret, "/api/v1/lists?access_token=" + made.Secret, "/api/v1/lists?Token=x", "/api/v1/lists?x=1&api_key=x", "/api/v1/lists?x=" + made.Secret,
		"/" + made.Secret, "/healthz?token=x", "/signin?password=x", "/signin?next=/x%3F" + made.Secret, "/api/v1/lists?x;bearer=y",
	} {
		got := h.browser().get(path, header("Accept", "*/*"))
		if got.StatusCode != http.StatusBadRequest || got.code() != "token_in_address" || !strings.Contains(got.text, "revoke") {
			t.Errorf("%s: got %d: %s", path, got.StatusCode, got.text)
		}
		if strings.Contains(got.text, made.Secret) || strings.Contains(h.log.String(), made.Secret) {
			t.Errorf("%s: the token is repeated", path)
		}
	}
	if !strings.Contains(h.log.String(), "a token or password came in an address") {
		t.Errorf("it is not logged:\n%s", h.log)
	}
}

// After signing in one is on a page of this console, whatever an address says.
func TestOpenRedirects(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	admin := h.admin()
	for next, want := range map[string]string{
		"/calls?action=reject": "/calls?action=reject", "/calls/01J?x=%2f%2fevil.example": "/calls/01J?x=%2f%2fevil.example", "": "/", "/": "/",
		"https://evil.example": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", "/\t/evil.example": "/", "/\n/evil.example": "/", " //evil.example": "/",
		"javascript:alert(1)": "/", "evil.example": "/", "/%09/evil.example": "/%09/evil.example", "/%2f%2fevil.example": "/", "/%5cevil.example": "/", "http:evil.example": "/", "/\r\nSet-Cookie: x=y": "/", "/x\u2028y": "/",
		"/signin?next=/": "/", "/welcome/x": "/", "@evil.example": "/", ".//evil.example": "/", strings.Repeat("/x", 2000): "/",
	} {
		if got := admin.get("/signin?next=" + url.QueryEscape(next)).Header.Get("Location"); got != want {
			t.Errorf("%.60q leads to %q, want %q", next, got, want)
		}
	}
	b := h.browser()
	got := b.form("/signin", url.Values{"name": {"admin"}, "password": {password}, "next": {"//evil.example/x"}})
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/" {
		t.Errorf("got %d to %q, want / ", got.StatusCode, got.Header.Get("Location"))
	}
	// Who is nobody is led back to where he wanted to go.
	if got := h.browser().get("/calls?action=reject").Header.Get("Location"); got != "/signin?next=%2Fcalls%3Faction%3Dreject" {
		t.Errorf("nobody is sent to %q", got)
	}
}

// Nothing that somebody sends becomes a header of the answer.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	b := h.browser()
	const evil = "x\r\nX-Evil: 1"
	check := func(way string, a *answer) {
		t.Helper()
		if a.Header.Get("X-Evil") != "" {
			t.Errorf("%s: the answer has a header of theirs", way)
		}
		for key, values := range a.Header {
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n") {
					t.Errorf("%s: %s is %q", way, key, v)
				}
			}
		}
	}
	check("next", b.get("/signin?next="+url.QueryEscape("/"+evil)))
	check("a page", b.get("/"+url.PathEscape(evil)))
	check("a name", b.form("/signin", url.Values{"name": {evil}, "password": {evil}, "next": {"/" + evil}}))
	check("a language", b.get("/signin?lang="+url.QueryEscape(evil)))
	check("a link", b.get("/welcome/"+url.PathEscape(evil)))
	for _, raw := range []string{
		"GET / HTTP/1.1\r\nHost: " + name + "\r\nX: a\rX-Evil: 1\r\n\r\n", "GET / HTTP/1.1\r\nHost: " + name + "\r\n Folded: x\r\n\r\n", "GET /\x01 HTTP/1.1\r\nHost: " + name + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: " + name + "\r\n\r\n", "POST /signin HTTP/1.1\r\nHost: " + name + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
	} {
		conn := h.raw()
		io.WriteString(conn, raw)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%.60q: %v", raw, err)
		} else if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%.60q: got %s, want 400", raw, resp.Status)
		}
	}
}

// What is said over an old version of TLS, or without it, is not listened to.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", h.d.Console().Port(), &tls.Config{RootCAs: h.roots, ServerName: name, MinVersion: version, MaxVersion: version})
		if err == nil {
			conn.Close()
		}
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	conn, err := net.Dial("tcp", h.d.Console().Port())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, "GET /signin HTTP/1.1\r\nHost: "+name+"\r\n\r\n")
	if got, _ := io.ReadAll(conn); strings.Contains(string(got), "<form") {
		t.Errorf("without TLS it answers %s", got)
	}
}

// A page of the console is framed by nobody, runs nothing of others, and is kept nowhere; and so is each refusal.
func TestHeaders(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	admin := h.admin()
	for _, a := range []*answer{
		admin.get("/account"), admin.get("/api/v1/lists"), admin.get("/nothing"), h.browser().get("/signin"), h.browser().get("/account"), h.browser().get("/api/v1/lists"),
		h.browser().get("/healthz"), h.browser().get("/healthz", func(r *http.Request) { r.Host = "evil.example" }), h.browser().get("/signin?token=x"), h.browser().get("/welcome/x"),
		h.browser().get("/l/x"), h.browser().ask("POST", "/signin", nil, header("Sec-Fetch-Site", "cross-site")),
	} {
		for key, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Strict-Transport-Security": "max-age=604800",
		} {
			if a.Request.Host != "" && a.Request.Host != name+":8085" && key == "Strict-Transport-Security" {
				continue
			}
			if got := a.Header.Get(key); got != want {
				t.Errorf("%s: %s is %q, want %q", a.Request.URL.Path, key, got, want)
			}
		}
	}
	plain := open(t, "listen = \"127.0.0.1:0\"\n")
	if got := plain.browser().get("/signin").Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("without https browsers are told to use it: %q", got)
	}
}
