package pages

import (
	"cmp"
	"context"
	"encoding/xml"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/access"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/desk"
	"ringfence/inforce"
	"ringfence/storage"
)

// house is a desk as the daemon has it, on a database of its own, with the pages before it.
type house struct {
	t       testing.TB
	db      *storage.DB
	journal *storage.Journal
	desk    console.Desk
	calls   *desk.Desk // the same, without who may use it
	pages   *Pages
	force   *inforce.State
}

// followed is how many follow the calls.
func (h *house) followed() int {
	now, _ := h.calls.Followed()
	return now
}

// front is the desk and who may use it, as package daemon puts them together.
type front struct {
	*desk.Desk
	*access.Book
}

func (f front) Status(context.Context) (*console.Status, error) {
	s := &console.Status{Version: "test", Attached: []console.AttachStatus{{Name: "pbx1", Attached: true}}}
	return s, f.Desk.Status(s)
}

// There are no feeds here.
func (f front) Feeds(context.Context) ([]console.FeedStatus, error) { return nil, nil }

func (f front) FetchFeed(context.Context, string) (*console.FeedStatus, error) {
	return nil, console.NotFound("there is no feed")
}

func (f front) AcceptFeed(context.Context, string) (*console.FeedStatus, error) {
	return nil, console.NotFound("there is no feed")
}

// open makes a house. Its lists are read when it returns.
func open(t testing.TB) *house {
	t.Helper()
	folder := t.TempDir()
	c := &conf.Daemon{Policy: filepath.Join(folder, "policy.toml"), Data: folder, Node: "pbx1"}
	if err := os.WriteFile(c.Policy, []byte(samplePolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db, journal: db.StartJournal(storage.JournalOptions{}), force: &inforce.State{}}
	d := desk.New(c, db, h.force, desk.Options{Journal: h.journal, Log: slog.New(slog.DiscardHandler)})
	if err := d.Load(); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	d.ReadLists(ctx)
	var work sync.WaitGroup
	work.Go(func() { d.KeepPieces(ctx) })
	book, err := access.Open(access.Options{DB: db, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h.desk, h.calls = front{d, book}, d
	if h.pages, err = New(Options{Desk: h.desk, Policy: samplePolicyOf, Log: slog.New(slog.NewTextHandler(testLog{t}, nil))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.pages.Close()
		end()
		work.Wait()
		if err := h.journal.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// testLog writes what pages log into the test's.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

// add puts a call into the journal, and gives its id.
func (h *house) add(r console.Record) string {
	h.t.Helper()
	s := storage.Record{
		ID: storage.NewID(r.Time), Time: r.Time, Node: r.Node, Trunk: r.Trunk, Caller: storage.Caller(r.Caller), Name: r.Name, Callee: r.Callee, Line: r.Line,
		Customer: r.Customer, Action: r.Action, Would: r.Would, Mode: r.Mode, Rule: r.Rule, Reason: r.Reason, List: r.List, Passed: r.Passed,
		Tripped: r.Tripped, Holder: r.Holder, Score: r.Score, Terms: r.Terms,
	}
	if r.Outcome != nil {
		o := storage.Outcome(*r.Outcome)
		s.Outcome = &o
	}
	if !h.journal.Add(s) {
		h.t.Fatal("the journal takes no more")
	}
	return s.ID
}

// fill puts n of the sample's calls into the journal, the last of them a minute ago.
func (h *house) fill(n int) (ids []string) {
	h.t.Helper()
	begin := time.Now().Add(-time.Minute - time.Duration(n)*time.Second)
	for i := range n {
		ids = append(ids, h.add(sampleCall(i, begin.Add(time.Duration(i)*time.Second).Truncate(time.Millisecond))))
	}
	if err := h.journal.Flush(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	return ids
}

var (
	admin    = &console.Who{Name: "Ann", Way: console.BySession, Role: console.Admin}
	reviewer = &console.Who{Name: "Rob", Way: console.BySession, Role: console.Reviewer}
	viewer   = &console.Who{Name: "Vic", Way: console.BySession, Role: console.Viewer}
)

// answer is what came of a request.
type answer struct {
	*httptest.ResponseRecorder
	body string
}

// get asks for a page, with headers "Name: value".
func (h *house) get(who *console.Who, path string, headers ...string) answer {
	return h.ask(who, httptest.NewRequest("GET", path, nil), headers)
}

// post sends a form.
func (h *house) post(who *console.Who, path string, v url.Values, headers ...string) answer {
	r := httptest.NewRequest("POST", path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return h.ask(who, r, headers)
}

func (h *house) ask(who *console.Who, r *http.Request, headers []string) answer {
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	served(h.pages, who).ServeHTTP(w, r)
	return answer{w, w.Body.String()}
}

const byHtmx = "HX-Request: true"

// element is a tag of a page with its attributes.
type element struct {
	name string
	at   map[string]string
}

// voids are the elements that have no end.
var voids = strings.Fields("meta link input br hr img")

// elements reads a page, and fails where a tag is not ended, ended twice or crossed with another, or an id is there twice.
func elements(t testing.TB, what, page string) []element {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(page))
	dec.Strict = false
	dec.Entity = xml.HTMLEntity
	var open []string
	var all []element
	ids := make(map[string]bool)
	for {
		token, err := dec.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return all
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, make(map[string]string)}
			for _, a := range token.Attr {
				if _, twice := e.at[a.Name.Local]; twice {
					t.Errorf("%s: <%s> has %s twice", what, e.name, a.Name.Local)
				}
				e.at[a.Name.Local] = a.Value
			}
			if id := e.at["id"]; id != "" {
				if ids[id] {
					t.Errorf("%s: the id %s is there twice", what, id)
				}
				ids[id] = true
			}
			all = append(all, e)
			if !slices.Contains(voids, e.name) {
				open = append(open, e.name)
			}
		case xml.EndElement:
			if slices.Contains(voids, token.Name.Local) { // RawToken makes one of />
				continue
			}
			if len(open) == 0 || open[len(open)-1] != token.Name.Local {
				t.Errorf("%s: </%s> ends what is not open: %v", what, token.Name.Local, open)
				return all
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%s: not ended: %v", what, open)
	}
	return all
}

// harmless fails where something on a page could run, or would reach for another server.
func harmless(t testing.TB, what string, all []element) {
	t.Helper()
	for _, e := range all {
		for name, value := range e.at {
			low := strings.ToLower(strings.TrimSpace(value))
			switch {
			case strings.HasPrefix(name, "on"), name == "style", name == "srcdoc", strings.HasPrefix(name, "hx-on"):
				t.Errorf("%s: <%s> has %s=%q", what, e.name, name, value)
			case slices.Contains([]string{"href", "src", "action", "formaction", "hx-get", "hx-post", "data"}, name) && (!strings.HasPrefix(low, "/") && !strings.HasPrefix(low, "#") || strings.HasPrefix(low, "//")):
				t.Errorf("%s: <%s %s=%q> leads elsewhere", what, e.name, name, value)
			}
		}
		switch e.name {
		case "script":
			if !strings.HasPrefix(e.at["src"], StaticPrefix) {
				t.Errorf("%s: a script of src %q", what, e.at["src"])
			}
		case "iframe", "object", "embed", "base", "img", "style", "template":
			t.Errorf("%s: <%s>", what, e.name)
		}
	}
}

// tags are the tags of a page; what is left without them is what people read.
var tags = regexp.MustCompile(`(?s)<[^>]*>`)

// plain fails where something that people read holds characters that hide or turn it.
func plain(t testing.TB, what string, a answer) {
	t.Helper()
	if text := tags.ReplaceAllString(a.body, " "); strings.ContainsAny(text, "\u202e\u2028\u2066\x00") {
		t.Errorf("%s: a character that turns or hides text is on the page", what)
	}
}

// wantStatus fails on another status.
func wantStatus(t testing.TB, what string, a answer, status int) {
	t.Helper()
	if a.Code != status {
		t.Errorf("%s: status %d, want %d: %.300s", what, a.Code, status, a.body)
	}
}

// wantHas fails where a text is not on a page.
func wantHas(t testing.TB, what string, a answer, texts ...string) {
	t.Helper()
	page := html.UnescapeString(a.body) // a + is written as a reference
	for _, text := range texts {
		if !strings.Contains(page, text) {
			_, main, _ := strings.Cut(page, "<main")
			t.Errorf("%s: %q is not on the page:\n%.1500s", what, text, cmp.Or(main, page))
		}
	}
}
