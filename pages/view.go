package pages

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/policy"
)

//go:embed html
var htmlFiles embed.FS

// templates are the pages in one language.
type templates struct {
	*tongue
	pages map[string]*template.Template // by the name of the file, without .html
}

// parse makes the pages in a language. Each is its file, the frame and all parts.
func (p *Pages) parse(lang string) (*templates, error) {
	all, err := readTexts()
	if err != nil {
		return nil, err
	}
	set := &templates{&tongue{lang: lang, texts: all[lang], p: p}, make(map[string]*template.Template)}
	parts, err := template.New("").Option("missingkey=error").Funcs(set.funcs()).ParseFS(htmlFiles, "html/parts/*.html")
	if err != nil {
		return nil, err
	}
	files, err := htmlFiles.ReadDir("html")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		page, err := parts.Clone()
		if err == nil {
			page, err = page.ParseFS(htmlFiles, path.Join("html", f.Name()))
		}
		if err != nil {
			return nil, err
		}
		set.pages[strings.TrimSuffix(f.Name(), ".html")] = page
	}
	return set, nil
}

// View is what every page is given: who looks, the frame around it, and its own Data.
type View struct {
	*tongue
	Page   string       // its name, as "calls"
	Path   string       // with the query, without lang
	Who    *console.Who // nil on pages for everybody
	Nav    []NavItem    // what is there for them; none on pages for everybody
	State  []Banner     // what is wrong, the worst first
	Others []Language   // to change to
	Live   bool         // it wants the live stream
	Data   any
	Clock  time.Time
}

// NavItem is a page in the frame's navigation.
type NavItem struct {
	Page, Path string
	Here       bool
}

// Language is one that the page is to be had in too.
type Language struct {
	Lang, Path string
}

// navigation is all of it. Bound users have no pages about what is not theirs; a page that somebody may not see is not offered.
var navigation = []struct {
	page, path string
	least      console.Role
	unbound    bool
}{
	{"now", "/", console.Viewer, true},
	{"calls", "/calls", console.Viewer, false},
	{"lists", "/lists", console.Viewer, false},
	{"marks", "/marks", console.Viewer, false},
	{"ranges", "/ranges", console.Viewer, true},
	{"policy", "/policy", console.Viewer, true},
	{"lines", "/lines", console.Viewer, false},
	{"people", "/people", console.Admin, true},
	{"health", "/health", console.Viewer, true},
}

// May reports whether who looks has at least the role.
func (v *View) May(least string) bool { return v.Who != nil && v.Who.Role.Covers(console.Role(least)) }

// Bound reports whether who looks sees their lines alone.
func (v *View) Bound() bool { return v.Who != nil && v.Who.Bound() }

// view is the frame for a request.
func (p *Pages) view(r *http.Request, name string, data any) *View {
	set := p.sets[languageOf(r)]
	v := &View{tongue: set.tongue, Page: name, Who: console.WhoOf(r.Context()), Data: data, Path: withoutLanguage(r.URL), Clock: p.o.Now()}
	for _, lang := range Languages {
		if lang != set.lang {
			v.Others = append(v.Others, Language{lang, languagePath(r.URL, lang)})
		}
	}
	if v.Who == nil || v.Who.Way == console.ByLink {
		return v
	}
	section := "/" + strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 2)[0]
	for _, n := range navigation {
		if v.Who.Role.Covers(n.least) && !(n.unbound && v.Who.Bound()) {
			item := NavItem{n.page, n.path, section == n.path}
			if n.page == "lines" && v.Who.Bound() { // where they begin
				v.Nav = slices.Insert(v.Nav, 0, item)
				continue
			}
			v.Nav = append(v.Nav, item)
		}
	}
	v.State = p.state(r.Context(), set.tongue)
	return v
}

func withoutLanguage(u *url.URL) string {
	q := u.Query()
	q.Del("lang")
	return pathWith(u, q)
}

func languagePath(u *url.URL, lang string) string {
	q := u.Query()
	q.Set("lang", lang)
	return pathWith(u, q)
}

// pathWith is a path of this server with a query. It begins with exactly one slash: // would be another server.
func pathWith(u *url.URL, q url.Values) string {
	out := "/" + strings.TrimLeft(u.EscapedPath(), "/\\")
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	return out
}

// Show answers with a page in the frame: html/NAME.html, which is given a View with data in it. Package web shows the pages around
// signing in with it.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	p.show(w, r, status, p.view(r, name, data))
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, v *View) {
	p.write(w, r, status, v.Page, "frame", v)
}

// fragment answers with a template of a page's file without the frame, for htmx; it is given a View too.
func (p *Pages) fragment(w http.ResponseWriter, r *http.Request, status int, page, name string, data any) {
	set := p.sets[languageOf(r)]
	p.write(w, r, status, page, name, &View{tongue: set.tongue, Page: page, Who: console.WhoOf(r.Context()), Data: data, Path: withoutLanguage(r.URL), Clock: p.o.Now()})
}

// write renders before it answers, so that a fault in a template is no half page.
func (p *Pages) write(w http.ResponseWriter, r *http.Request, status int, page, name string, v *View) {
	body, err := p.render(v.lang, page, name, v)
	if err != nil {
		p.o.Log.Error("a page cannot be rendered", "page", page, "error", err)
		http.Error(w, v.T("error.render"), http.StatusInternalServerError)
		return
	}
	rememberLanguage(w, r)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Language", v.lang)
	h.Set("Vary", "Accept-Language, Accept-Encoding, Cookie, HX-Request")
	if takesGzip(r) && len(body) > 1000 {
		h.Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		z := gzip.NewWriter(w)
		z.Write(body)
		z.Close()
		return
	}
	w.WriteHeader(status)
	w.Write(body)
}

func (p *Pages) render(lang, page, name string, v any) ([]byte, error) {
	t := p.sets[lang].pages[page]
	if t == nil {
		return nil, fmt.Errorf("there is no page %s", page)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// policy is the policy in force, nil if nobody says.
func (p *Pages) policy() *policy.Policy {
	if p.o.Policy == nil {
		return nil
	}
	return p.o.Policy()
}

// zone is the clock of all times.
func (p *Pages) zone() *time.Location {
	if rules := p.policy(); rules != nil {
		return rules.Zone()
	}
	return time.UTC
}
