package pages

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"ringfence/console"
)

// staticSources are the files of this folder, where go test starts.
var staticSources = os.DirFS(".")

// pagesOf are the paths of all pages that can be looked at, for a call.
func pagesOf(p *Pages, id string) (all []string) {
	for _, route := range p.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if method != "GET" || path == "/live" {
			continue
		}
		path = strings.NewReplacer("{id}", id, "{$}", "", "{list}", "blacklist", "{line}", "staff").Replace(path)
		if path == "/ranges/breaker" {
			path += "?do=reset&detector=range+wakes&key=952116"
		}
		if !strings.Contains(path, "{") { // a mark or a version there has to be one of first: see desk_test.go
			all = append(all, path)
		}
	}
	return all
}

// TestPages holds that each page is a whole one, in each language and for each role, with nothing on it that could run, and that each link on it leads
// somewhere.
func TestPages(t *testing.T) {
	h := open(t)
	ids := h.fill(120)
	links := make(map[string]string)
	for _, lang := range Languages {
		for _, who := range []*console.Who{admin, reviewer, viewer} {
			if lang != "en" && who == viewer { // what a role sees has no language
				continue
			}
			for _, at := range pagesOf(h.pages, ids[119]) {
				what := lang + " " + string(who.Role) + " " + at
				a := h.get(who, withLanguage(at, lang))
				switch {
				case a.Code == http.StatusForbidden && who != admin && (strings.HasPrefix(at, "/ranges/breaker") || strings.HasSuffix(at, "/block") || strings.HasSuffix(at, "/allow") || strings.HasSuffix(at, "/wrong")):
				case a.Code != http.StatusOK:
					t.Errorf("%s: status %d: %.300s", what, a.Code, a.body)
				}
				if !strings.HasPrefix(a.Header().Get("Content-Type"), "text/html") {
					continue
				}
				all := elements(t, what, a.body)
				harmless(t, what, all)
				for _, e := range all {
					for _, name := range []string{"href", "action", "hx-get", "hx-post"} {
						if to := html.UnescapeString(e.at[name]); to != "" {
							links[to] = what
						}
					}
					if e.name == "html" && e.at["lang"] != lang {
						t.Errorf("%s: the page says that it is in %q", what, e.at["lang"])
					}
				}
			}
		}
	}
	for to, from := range links {
		u, err := url.Parse(to)
		if strings.HasPrefix(to, "#") {
			continue
		}
		if err != nil || !strings.HasPrefix(to, "/") {
			t.Errorf("%s: %q is no path of ours: %v", from, to, err)
			continue
		}
		section := "/" + strings.SplitN(strings.TrimPrefix(u.Path, "/"), "/", 2)[0]
		if section == "/account" || section == "/signout" || !h.has(section) && u.Path != "/" { // of package web
			continue
		}
		if a := h.get(admin, strings.TrimSuffix(to, "#ring")); a.Code == http.StatusNotFound {
			t.Errorf("%s: the link %s leads nowhere", from, to)
		}
	}
	if len(links) < 100 {
		t.Errorf("found %d links, want those of all pages", len(links))
	}
}

func withLanguage(at, lang string) string {
	if strings.Contains(at, "?") {
		return at + "&lang=" + lang
	}
	return at + "?lang=" + lang
}

// has reports whether there are pages of a section.
func (h *house) has(section string) bool {
	for _, route := range h.pages.Routes() {
		if _, path, _ := strings.Cut(route, " "); path == section || strings.HasPrefix(path, section+"/") {
			return true
		}
	}
	return section == strings.TrimSuffix(StaticPrefix, "/")
}

// TestNavigation holds that a role is offered what it may see.
func TestNavigation(t *testing.T) {
	h := open(t)
	bound := &console.Who{Name: "Bea", Way: console.BySession, Role: console.Reviewer, Lines: []string{"staff"}}
	for _, test := range []struct {
		who  *console.Who
		want string
	}{
		{admin, "now calls lists marks ranges policy lines people health"},
		{viewer, "now calls lists marks ranges policy lines health"},
		{bound, "lines calls lists marks"},
		{&console.Who{Name: "link", Way: console.ByLink, Role: console.Viewer}, ""},
	} {
		var got []string
		for _, e := range elements(t, test.who.Name, h.get(test.who, "/calls").body) {
			if e.at["data-page"] != "" {
				got = append(got, e.at["data-page"])
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s is offered %q, want %q", test.who.Name, got, test.want)
		}
	}
	if a := h.get(bound, "/?lang=zh"); a.Code != http.StatusSeeOther || a.Header().Get("Location") != "/lines?lang=zh" {
		t.Errorf("who is bound to lines begins at %d %q, want to be led to the lines", a.Code, a.Header().Get("Location"))
	}
	if a := h.get(viewer, "/calls"); strings.Contains(a.body, "/block") {
		t.Error("a viewer is offered to block callers")
	}
}

// TestLanguage holds by what a page's language is chosen.
func TestLanguage(t *testing.T) {
	h := open(t)
	for _, test := range []struct {
		path, accept, cookie, want string
	}{
		{"/", "", "", "en"},
		{"/", "zh-CN,zh;q=0.9,en;q=0.8", "", "zh"},
		{"/", "zh-TW", "", "zh"},
		{"/", "en-GB,zh;q=0.5", "", "en"},
		{"/", "fr,zh;q=0.5", "", "zh"},
		{"/", "fr", "", "en"},
		{"/", "en", "zh", "zh"},
		{"/?lang=en", "zh", "zh", "en"},
		{"/?lang=xx", "zh", "", "zh"},
		{"/", ";;;", "xx", "en"},
	} {
		var headers []string
		if test.accept != "" {
			headers = append(headers, "Accept-Language: "+test.accept)
		}
		if test.cookie != "" {
			headers = append(headers, "Cookie: "+languageCookie+"="+test.cookie)
		}
		a := h.get(admin, test.path, headers...)
		if got := a.Header().Get("Content-Language"); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
		if set := a.Header().Get("Set-Cookie"); (set != "") != strings.Contains(test.path, "lang=en") {
			t.Errorf("%+v: the cookie set is %q", test, set)
		}
	}
	// The way to the other language stays on the page, with its filter.
	wantHas(t, "calls", h.get(admin, "/calls?caller=95211613"), `href="/calls?caller=95211613&lang=zh"`)
}

// hostile are texts that try to be more than text.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</td></tr></table><iframe src=//evil.example>`,
	`{{.}}{{t "x"}}`, `javascript:alert(1)`, "\u202egnp.exe", "a\x00b\r\nevent: row\ndata: {}\n\n", `=cmd|' /C calc'!A0`, "@SUM(1)", "+1+1", "Jos\xe9",
	`</title><svg/onload=alert(1)>`, `"]}</script><script>`, "\u2028\u2029", "//evil.example/x",
}

// TestHostile holds that what callers, customers and peers write is text on every page, in the stream and in exports, and nothing else.
func TestHostile(t *testing.T) {
	h := open(t)
	var ids []string
	for i, s := range hostile {
		r := sampleCall(7*i, time.Now().Add(-time.Hour).Add(time.Duration(i)*time.Second))
		r.Name, r.Reason, r.Rule, r.Line, r.Customer, r.List, r.Trunk, r.Node, r.Holder = s, s, s, s, s, s, s, s, s
		r.Caller = console.Caller{Raw: s, Kind: s, From: s, Diverted: s}
		if i%2 == 0 { // one that can be acted on
			r.Caller.E164, r.Caller.Raw = "+8695211613", "95211613"
		}
		r.Callee, r.Tripped, r.Terms = s, []string{s}, []string{s}
		r.Outcome = &console.Outcome{Cause: s, By: s}
		ids = append(ids, h.add(r))
	}
	if err := h.journal.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, s := range hostile {
		for _, at := range []string{"/calls?text=" + url.QueryEscape(s), "/calls?caller=" + url.QueryEscape(s), "/calls?line=" + url.QueryEscape(s) + "&since=" + url.QueryEscape(s), "/" + url.PathEscape(s), "/calls/" + url.PathEscape(s)} {
			a := h.get(admin, at)
			harmless(t, at, elements(t, at, a.body))
			plain(t, at, a)
		}
	}
	for i, id := range ids {
		for _, at := range append(pagesOf(h.pages, id), "/calls?lang=zh") {
			if i > 0 && !strings.Contains(at, id) { // the same page again
				continue
			}
			a := h.get(admin, at)
			if !strings.HasPrefix(a.Header().Get("Content-Type"), "text/html") {
				continue
			}
			harmless(t, at, elements(t, at, a.body))
			plain(t, at, a)
		}
	}
	h.exports(t)
}

// exports holds that a table of hostile texts begins no formula, and that nothing is lost in JSON.
func (h *house) exports(t *testing.T) {
	t.Helper()
	a := h.get(admin, "/calls/export.csv")
	if got := a.Header().Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="calls-`) {
		t.Errorf("the export is offered as %q", got)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.body, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != len(hostile)+1 {
		t.Fatalf("the export has %d rows, want %d: %v", len(rows), len(hostile)+1, err)
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=@\t\r", rune(cell[0])) || strings.HasPrefix(cell, "+1+") || strings.ContainsAny(cell, "\x00\n") {
				t.Errorf("%s is %q, which a spreadsheet would run", rows[0][i], cell)
			}
		}
	}
	var records []console.Record
	if err := json.Unmarshal([]byte(h.get(admin, "/calls/export.json").body), &records); err != nil || len(records) != len(hostile) {
		t.Fatalf("the export has %d calls, want %d: %v", len(records), len(hostile), err)
	}
	for i, r := range records { // the newest first
		if want := hostile[len(hostile)-1-i]; r.Name != want {
			t.Errorf("a name comes out as %q, want %q", r.Name, want)
		}
	}
}

// TestFirstView holds what a browser takes to show the first page.
func TestFirstView(t *testing.T) {
	const most = 60 << 10
	h := open(t)
	h.fill(60)
	sum := 0
	take := func(path string) string {
		a := h.get(admin, path, "Accept-Encoding: gzip")
		if a.Code != http.StatusOK || a.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: status %d, encoding %q", path, a.Code, a.Header().Get("Content-Encoding"))
		}
		sum += a.Body.Len()
		z, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	page := take("/")
	n := 0
	for _, e := range elements(t, "/", page) {
		for _, name := range []string{"src", "href"} {
			if (e.name == "script" || e.name == "link") && e.at[name] != "" {
				take(e.at[name])
				n++
			}
		}
	}
	t.Logf("the first view is %d bytes in %d files", sum, n+1)
	if sum > most || n != 4 {
		t.Errorf("the first view is %d bytes in %d files, want %d in 5 at most", sum, n+1, most)
	}
}

// TestStatic holds that what browsers keep for ever has another name when it is another thing.
func TestStatic(t *testing.T) {
	h := open(t)
	for file, one := range h.pages.static.byFile {
		a := h.get(nil, StaticPrefix+one.name)
		if a.Code != http.StatusOK || !strings.Contains(a.Header().Get("Cache-Control"), "immutable") || !bytes.Equal(a.Body.Bytes(), one.text) {
			t.Errorf("%s: status %d, %q", file, a.Code, a.Header().Get("Cache-Control"))
		}
		for _, wrong := range []string{StaticPrefix + file, StaticPrefix + "../static.go", StaticPrefix + "..%2fpages.go"} {
			if a := h.get(nil, wrong); a.Code != http.StatusNotFound {
				t.Errorf("%s: status %d, want none there", wrong, a.Code)
			}
		}
	}
}

// TestErrors holds that whatever goes wrong is said, without the insides of the machine.
func TestErrors(t *testing.T) {
	h := open(t)
	id := h.fill(8)[7]
	for at, want := range map[string]int{
		"/nothing": 404, "/calls/nothing": 400, "/calls/01ARZ3NDEKTSV4RRFFQ69G5FAV": 404, "/calls/" + id + "/nothing": 404, "/undo": 405,
	} {
		a := h.get(admin, at)
		wantStatus(t, at, a, want)
		harmless(t, at, elements(t, at, a.body))
		if !strings.Contains(a.body, "<main") {
			t.Errorf("%s: the error is no page: %.200s", at, a.body)
		}
	}
	s := fullSample()
	s.err = errors.New("open /var/lib/secret: the disk is gone")
	p, err := New(Options{Desk: s, Policy: samplePolicyOf})
	if err != nil {
		t.Fatal(err)
	}
	broken := &house{t: t, pages: p}
	for _, at := range pagesOf(p, "01KB0000000000000000000399") {
		for _, headers := range [][]string{nil, {byHtmx}} {
			a := broken.get(admin, at, headers...)
			if strings.Contains(a.body, "secret") {
				t.Errorf("%s: the page tells what is inside: %.300s", at, a.body)
			}
			if at == "/" {
				wantHas(t, at, a, "It cannot be told how the daemon is", "These calls cannot be shown")
			} else if at != "/state" && !strings.HasSuffix(at, "/import") && !strings.HasPrefix(at, "/ranges/breaker") && // which ask nothing yet
				a.Code != http.StatusInternalServerError {
				t.Errorf("%s: status %d, want 500", at, a.Code)
			}
		}
	}
}

// TestState holds that what is wrong is said first, in both languages.
func TestState(t *testing.T) {
	s := fullSample()
	p, err := New(Options{Desk: s, Policy: samplePolicyOf})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, pages: p}
	for name, test := range map[string]struct {
		set    func(*console.Status)
		en, zh string
		bad    bool
	}{
		"paused":  {func(s *console.Status) { s.Pause.Paused = true }, "Screening is paused: every call passes", "筛查已暂停", true},
		"until":   {func(s *console.Status) { s.Pause = console.PauseState{Paused: true, Until: time.Now().Add(time.Hour)} }, "It goes on by itself at", "自动恢复", true},
		"observe": {func(s *console.Status) { s.Mode = "observe" }, "The policy only observes", "观察模式", false},
		"fail open": {func(s *console.Status) {
			s.Alerts = []console.AlertStatus{{Kind: "fail-open", Text: "12 calls a minute"}}
		}, "Calls pass unscreened", "未经筛查", true},
		"policy": {func(s *console.Status) {
			s.PolicyRefused = &console.PolicyRefused{Faults: []string{"policy.toml:3: <b>"}}
		}, "The policy file was refused", "策略文件被拒绝", true},
		"unread": {func(s *console.Status) { s.Lists.Unread = []string{"blacklist"} }, "Lists are still being read", "名单仍在读取", true},
		"switch": {func(s *console.Status) { s.Attached = []console.AttachStatus{{Name: "pbx9", Trouble: "refused"}} }, "The switch pbx9 is not attached", "交换机 pbx9", true},
		"trouble": {func(s *console.Status) {
			s.Attached = []console.AttachStatus{{Name: "pbx9", Attached: true, Trouble: "old"}}
		}, "Something is wrong with the switch pbx9", "交换机 pbx9 有异常", false},
		"journal": {func(s *console.Status) { s.Journal.Error = "no space left" }, "The journal cannot be written", "无法写入", true},
		"feed": {func(s *console.Status) {
			s.Alerts = []console.AlertStatus{{Kind: "feed", Subject: "ftc", Text: "held"}}
		}, "the list ftc waits for review", "等待审核", false},
		"over": {func(s *console.Status) {
			s.Detectors.Over = []console.OverMaxShare{{Trunk: "telecom", Touched: 3, Calls: 10}}
		}, "On trunk telecom detectors only record", "只作记录", false},
		"cluster": {func(s *console.Status) {
			s.Alerts = []console.AlertStatus{{Kind: "cluster", Text: "since 12:00"}}
		}, "This node is alone", "本节点独立运行", false},
		"new kind": {func(s *console.Status) { s.Alerts = []console.AlertStatus{{Kind: "new", Text: "something"}} }, "Something is wrong", "有异常", false},
	} {
		s.status = &console.Status{Mode: "enforce", Attached: []console.AttachStatus{{Name: "pbx1", Attached: true}}, Calls: 9}
		p.stateChanged()
		if a := h.get(admin, "/"); !strings.Contains(a.body, "The phones are protected") {
			t.Fatalf("all is well, and the page does not say so: %.1500s", a.body)
		}
		test.set(s.status)
		p.stateChanged()
		for lang, want := range map[string]string{"en": test.en, "zh": test.zh} {
			a := h.get(admin, "/?lang="+lang)
			at := strings.Index(a.body, want)
			if at < 0 || at > strings.Index(a.body, "<nav") {
				t.Errorf("%s: %q is not said before all else: %.1500s", name, want, a.body)
			}
			if strings.Contains(a.body, "The phones are protected") || strings.Contains(a.body, "电话受到保护") {
				t.Errorf("%s: the phones are said to be protected", name)
			}
			if got := strings.Contains(a.body, `class="banner bad"`); got != test.bad {
				t.Errorf("%s: it is said loudly: %v, want %v", name, got, test.bad)
			}
			harmless(t, name, elements(t, name, a.body))
		}
	}
}

// TestClusterShown holds that Now and Health say how the other nodes are, and what a peer calls itself is text.
func TestClusterShown(t *testing.T) {
	s := fullSample()
	p, err := New(Options{Desk: s, Policy: samplePolicyOf})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, pages: p}
	for at, wants := range map[string][]string{
		"/":               {"Other nodes", "pbx2", "same lists", "not heard since", "reads numbers otherwise", "1 min 1 s behind", "it was &lt;b&gt;away&lt;/b&gt; for too long"},
		"/health?lang=zh": {"其他节点", "pbx2", "名单一致", "号码读法不同", "1a2b3c4d", "本机时钟有误", "black&lt;b&gt;list 的 9000 条更改"},
	} {
		a := h.get(admin, at)
		for _, want := range wants {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s does not say %q", at, want)
			}
		}
		harmless(t, at, elements(t, at, a.body))
	}
	s.status.Cluster = nil
	p.stateChanged()
	if a := h.get(admin, "/health"); strings.Contains(a.body, "Other nodes") {
		t.Error("a node without a cluster shows others")
	}
}

// TestKeysApart holds that no two pages have the same key.
func TestKeysApart(t *testing.T) {
	all, err := readTexts()
	if err != nil {
		t.Fatal(err)
	}
	for lang, texts := range all {
		of := make(map[string]string)
		for _, n := range navigation {
			key := texts["keys.of."+n.page]
			if of[key] != "" || len(key) != 1 {
				t.Errorf("%s: %s and %s have the key %q", lang, of[key], n.page, key)
			}
			of[key] = n.page
		}
	}
}
