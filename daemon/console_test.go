package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
)

const twoLines = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.theirs]
numbers = ["4008001234"]
[[rule]]
name = "listed"
when = { list = ["blacklist", "line:blacklist"], list_not = ["line:allowlist"] }
action = "reject"
`

// visitor is somebody who asks the console, over real TCP.
type visitor struct {
	t       *testing.T
	base    string
	cookie  string
	token   string
	browser bool // it asks for pages; else it is a program
}

// ask sends a request and gives the status, where it is sent on to, and what it was told. Of what streams only the begin is read.
func (v *visitor) ask(method, path, contentType, body string) (status int, location, text string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if v.browser {
		r.Header.Set("Accept", "text/html")
	}
	if v.cookie != "" {
		r.Header.Set("Cookie", "ringfence="+v.cookie)
	}
	if v.token != "" {
		r.Header.Set("Authorization", "Bearer "+v.token)
	}
	client := http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		if c.Name == "ringfence" {
			v.cookie = c.Value
		}
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return resp.StatusCode, "", ""
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(b)
}

const consolePassword = "a line of three birds"

// withConsole starts a daemon with a console without TLS on this machine, and gives its first administrator.
func withConsole(t *testing.T, policy string) (*Daemon, *visitor) {
	t.Helper()
	c := installation(t, policy)
	c.Console = &conf.Console{Listen: "127.0.0.1:0", Metrics: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	d := start(t, c)
	admin := &visitor{t: t, base: d.ConsoleAddress(), browser: true}
	form := url.Values{"password": {consolePassword}, "again": {consolePassword}}.Encode()
	path := strings.TrimPrefix(d.FirstLink(), d.ConsoleAddress())
	if status, _, text := admin.ask("POST", path, "application/x-www-form-urlencoded", form); status != http.StatusSeeOther || admin.cookie == "" {
		t.Fatalf("the first link answers %d: %s", status, text)
	}
	if d.FirstLink() != "" {
		t.Error("there is still a link for the first administrator")
	}
	return d, admin
}

// user makes a user who signs in.
func (v *visitor) user(u console.NewUser) *visitor {
	v.t.Helper()
	u.Password = consolePassword
	text, err := json.Marshal(u)
	if err != nil {
		v.t.Fatal(err)
	}
	if status, _, said := v.ask("POST", "/api/v1/users", "application/json", string(text)); status != http.StatusOK {
		v.t.Fatalf("making %s: %d %s", u.Name, status, said)
	}
	other := &visitor{t: v.t, base: v.base, browser: true}
	form := url.Values{"name": {u.Name}, "password": {consolePassword}}.Encode()
	if status, _, said := other.ask("POST", "/signin", "application/x-www-form-urlencoded", form); status != http.StatusSeeOther {
		v.t.Fatalf("%s signs in: %d %s", u.Name, status, said)
	}
	return other
}

// routePath is a path that a pattern takes.
func routePath(pattern string) (method, path string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "GET", pattern
	}
	for name, value := range map[string]string{"{list}": "blacklist", "{id}": "01J00000000000000000000000", "{name}": "theirs", "{line}": "theirs", "{number}": "95211613", "{$}": ""} {
		path = strings.ReplaceAll(path, name, value)
	}
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + "x" + after
	}
	return method, path
}

// TestRoutes goes over all that is served, and each who may come: nobody gets more than the sign-in and health, whoever may only see changes nothing, and
// nobody who is bound to a line sees anything of another.
//
// long: because each route is tried by each who may come
func TestRoutes(t *testing.T) {
	d, admin := withConsole(t, twoLines)
	const secret = "marker-of-others" // in whatever is not of the line staff
	in := in(d)
	for _, number := range []string{"95211613", "95211614"} {
		if _, err := in.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: number, Reason: secret}}, false); err != nil {
			t.Fatal(err)
		}
	}
	f := &bridge.Facts{Number: "95211613", Name: secret, Callee: "4008001234", UUID: "u"}
	verdict := in.Screen(f)
	in.Record(f, &verdict, bridge.Result{})

	visitors := map[string]*visitor{
		"nobody": {t: t, base: admin.base, browser: true}, "a program of nobody": {t: t, base: admin.base}, "an ended session": {t: t, base: admin.base, browser: true},
		"viewer":         admin.user(console.NewUser{Name: "vera", Role: console.Viewer}),
		"reviewer":       admin.user(console.NewUser{Name: "rita", Role: console.Reviewer}),
		"admin":          admin,
		"bound viewer":   admin.user(console.NewUser{Name: "bert", Role: console.Viewer, Lines: []string{"staff"}}),
		"bound reviewer": admin.user(console.NewUser{Name: "bina", Role: console.Reviewer, Lines: []string{"staff"}}),
	}
	ended := admin.user(console.NewUser{Name: "enno", Role: console.Admin})
	visitors["an ended session"].cookie = ended.cookie
	if status, _, said := ended.ask("POST", "/signout", "application/x-www-form-urlencoded", ""); status != http.StatusSeeOther {
		t.Fatalf("signing out: %d %s", status, said)
	}
	token := func(n console.NewToken, revoked bool) *visitor {
		text, _ := json.Marshal(n)
		_, _, said := admin.ask("POST", "/api/v1/tokens", "application/json", string(text))
		var made console.MadeToken
		if err := json.Unmarshal([]byte(said), &made); err != nil || made.Secret == "" {
			t.Fatalf("making a token: %v %s", err, said)
		}
		if revoked {
			if status, _, said := admin.ask("DELETE", "/api/v1/tokens/"+made.ID, "", ""); status != http.StatusOK {
				t.Fatalf("revoking: %d %s", status, said)
			}
		}
		return &visitor{t: t, base: admin.base, token: made.Secret}
	}
	visitors["a revoked token"] = token(console.NewToken{Name: "old", Role: console.Admin}, true)
	visitors["a token that only sees"] = token(console.NewToken{Name: "graphs", Role: console.Viewer}, false)
	visitors["a token of a line"] = token(console.NewToken{Name: "phonebook", Role: console.Reviewer, Lines: []string{"staff"}}, false)

	state := func() string {
		var b strings.Builder
		for _, path := range []string{"/api/v1/lists/blacklist/entries", "/api/v1/users", "/api/v1/tokens", "/api/v1/lines", "/api/v1/reports", "/api/v1/changes"} {
			_, _, said := admin.ask("GET", path, "", "")
			for line := range strings.Lines(said) { // an answer is one line, or a line for each thing
				var v any
				if json.Unmarshal([]byte(line), &v) == nil {
					forgetTimes(v)
					text, _ := json.Marshal(v)
					line = string(text)
				}
				fmt.Fprintln(&b, path, line)
			}
		}
		return b.String()
	}
	routes := d.Console().Routes()
	if len(routes) < 60 {
		t.Fatalf("only %d routes are known", len(routes))
	}
	mayWrite := []string{"POST /signin", "POST /api/v1/check", "POST /api/v1/policy/check", "POST /policy/check", "POST /policy/try", "POST /account/password"} // which change nothing, or what is one's own
	onlySees := []string{"viewer", "bound viewer", "a token that only sees"}
	before := state()
	for _, route := range routes {
		method, path := routePath(route.Pattern)
		isAPI := strings.HasPrefix(path, "/api/")
		contentType, body := "", ""
		if method != "GET" {
			if contentType, body = "application/json", "{}"; !isAPI {
				contentType, body = "application/x-www-form-urlencoded", ""
			}
			if strings.Contains(path, "import") {
				contentType = "application/octet-stream"
			}
			if strings.HasSuffix(path, "/entries") {
				body = `[]`
			}
		}
		for who, v := range visitors {
			if who == "admin" || strings.HasSuffix(path, "/end") || path == "/signout" {
				continue // who may do all of it; and what would end the visit
			}
			status, to, said := v.ask(method, path, contentType, body)
			nobody := slices.Contains([]string{"nobody", "a program of nobody", "an ended session", "a revoked token"}, who)
			switch {
			case who == "a revoked token":
				if status != http.StatusUnauthorized {
					t.Errorf("%s: %s: got %d, want 401", route.Pattern, who, status)
				}
			case nobody && !route.Open:
				signIn := status == http.StatusSeeOther && strings.HasPrefix(to, "/signin")
				if status != http.StatusUnauthorized && !signIn || isAPI && signIn {
					t.Errorf("%s: %s: got %d to %q: %.100s", route.Pattern, who, status, to, said)
				}
			case nobody && path != "/metrics":
				if status == http.StatusUnauthorized && method == "GET" {
					t.Errorf("%s: %s is kept out: %.100s", route.Pattern, who, said)
				}
			case status >= 500 && status != http.StatusServiceUnavailable:
				t.Errorf("%s: %s: got %d: %.200s", route.Pattern, who, status, said)
			case method != "GET" && slices.Contains(onlySees, who) && status < 300 && !slices.Contains(mayWrite, route.Pattern) && !strings.Contains(path, "passkey"):
				t.Errorf("%s: %s may do it: %d %.100s", route.Pattern, who, status, said)
			}
			if who != "viewer" && who != "reviewer" && who != "a token that only sees" && strings.Contains(said, secret) {
				t.Errorf("%s: %s is told of others: %s", route.Pattern, who, said)
			}
			if isAPI && status >= 400 && !strings.Contains(said, `{"error":{"code":`) {
				t.Errorf("%s: %s: the error is not in the form of the API: %d %.100s", route.Pattern, who, status, said)
			}
		}
	}
	if after := state(); after != before {
		t.Errorf("something was changed:\n%s\nwas\n%s", after, before)
	}

	// Half a day later nobody is signed in any more.
	d.stopClock(time.Now().Add(13 * time.Hour))
	for _, route := range routes {
		if method, path := routePath(route.Pattern); method == "GET" && !route.Open {
			if status, to, said := admin.ask(method, path, "", ""); status != http.StatusUnauthorized && !(status == http.StatusSeeOther && strings.HasPrefix(to, "/signin")) {
				t.Errorf("%s: an expired session: got %d: %.100s", route.Pattern, status, said)
			}
		}
	}
}

// forgetTimes takes out of JSON what changes by itself: when somebody was seen last, and how often an entry decided, which is written after a while.
func forgetTimes(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"last_seen", "last_used", "sessions", "hits", "last_hit"} {
			delete(v, key)
		}
		for _, within := range v {
			forgetTimes(within)
		}
	case []any:
		for _, within := range v {
			forgetTimes(within)
		}
	}
}

// Whoever reads metrics is in one of the networks that may, or shows who he is; a line's customer sees none.
func TestMetricsAndReadiness(t *testing.T) {
	d, admin := withConsole(t, twoLines)
	nobody := &visitor{t: t, base: admin.base}
	if status, _, said := nobody.ask("GET", "/metrics", "", ""); status != http.StatusUnauthorized {
		t.Errorf("nobody: got %d %.100s", status, said)
	}
	if status, _, said := admin.ask("GET", "/metrics", "", ""); status != http.StatusOK || !strings.Contains(said, "ringfence_") {
		t.Errorf("the administrator: got %d %.100s", status, said)
	}
	bound := admin.user(console.NewUser{Name: "bert", Role: console.Viewer, Lines: []string{"staff"}})
	if status, _, said := bound.ask("GET", "/metrics", "", ""); status != http.StatusNotFound || strings.Contains(said, "ringfence_") {
		t.Errorf("a customer: got %d %.100s", status, said)
	}
	<-d.desk.ListsRead()
	status, _, said := nobody.ask("GET", "/readyz", "", "")
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if status != http.StatusOK || len(lines) < 4 {
		t.Errorf("ready: got %d %s", status, said)
	}
	for _, line := range lines {
		var s struct {
			Name  string
			Ready bool
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil || s.Name == "" || !s.Ready {
			t.Errorf("%s: %v", line, err)
		}
	}
	if status, _, said := nobody.ask("GET", "/healthz", "", ""); status != http.StatusOK || said != "ok\n" {
		t.Errorf("health: got %d %q", status, said)
	}
}

// A console that cannot be opened keeps no call from being screened; it is said, and tried again.
func TestConsoleInTheWay(t *testing.T) {
	c := installation(t, twoLines)
	c.Console = &conf.Console{Listen: "127.0.0.1:0", Cert: "/no/such/file", Key: "/no/such/file"}
	d := start(t, c)
	v := in(d).Screen(&bridge.Facts{Number: "95211613", Callee: "05925550100", UUID: "u"})
	if v.Action == "" || d.Console() != nil {
		t.Errorf("the verdict is %+v, the console %v", v, d.Console())
	}
	if open := d.alerts.Open(); len(open) != 1 || open[0].Kind != "console" || !strings.Contains(open[0].Text, "certificate") {
		t.Errorf("the alerts are %+v", open)
	}
	if s, err := in(d).Status(t.Context()); err != nil || s.Console != "" {
		t.Errorf("the status says %q, %v", s.Console, err)
	}
}

// A notice's link shows its call to whoever has it, lets the caller through once when asked to, and nothing else.
func TestNoticeLinkPage(t *testing.T) {
	d, admin := withConsole(t, twoLines)
	in := in(d)
	if _, err := in.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613", Reason: "sales"}}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := in.AddLines(t.Context(), []console.LineSet{{Name: "kunde", Numbers: &[]string{"05925560001"}}}); err != nil {
		t.Fatal(err)
	}
	f := &bridge.Facts{Number: "95211613", Callee: "05925560001", UUID: "u"}
	v := in.Screen(f)
	in.Record(f, &v, bridge.Result{})
	if v.Action != "reject" {
		t.Fatalf("the call got %s", v.Action)
	}
	waitFor(t, func() bool { _, err := in.Call(t.Context(), v.ID); return err == nil })
	call, err := in.Call(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	link := d.book.NoticeLink(v.ID, "kunde~ab12", time.Now().Add(time.Hour))
	if link == "" {
		t.Fatalf("there is no link for %+v", call)
	}
	nobody := &visitor{t: t, base: admin.base, browser: true}
	for range 2 { // to look at it uses nothing up
		if status, _, said := nobody.ask("GET", link, "", ""); status != http.StatusOK || !strings.Contains(said, "95211613") {
			t.Fatalf("the page: %d %s", status, said)
		}
	}
	const form = "application/x-www-form-urlencoded"
	forged := link[:len(link)-4] + "AAAA"
	for _, path := range []string{forged, "/l/x", "/l/" + strings.Repeat("A", 600)} {
		for _, method := range []string{"GET", "POST"} {
			if status, _, said := nobody.ask(method, path, form, ""); status != http.StatusGone || strings.Contains(said, "95211613") {
				t.Errorf("%s %.40s: %d %.100s", method, path, status, said)
			}
		}
	}
	if status, _, said := nobody.ask("POST", link, form, ""); status != http.StatusOK {
		t.Fatalf("letting through: %d %s", status, said)
	}
	if v := in.Screen(f); v.Action == "reject" {
		t.Errorf("the next call got %s by %s", v.Action, v.Rule)
	}
	if status, _, _ := nobody.ask("POST", link, form, ""); status != http.StatusGone {
		t.Errorf("once more: %d", status)
	}
	if status, to, _ := nobody.ask("GET", "/calls", "", ""); status != http.StatusSeeOther || !strings.HasPrefix(to, "/signin") {
		t.Errorf("the link signs in: %d", status)
	}
}
