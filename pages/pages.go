// Package pages is the console as people see it: pages rendered here, from what a console.Desk says to who asks, in their language.
// Nothing on them comes from another place, and nothing is built before: templates, styles and scripts lie in this folder.
//
//	html/         a file a page: it defines "title" and "main"; what htmx asks for by itself are further templates in it
//	html/parts/   the frame, and what several pages show
//	texts/        every string that a person reads, in both languages
//	static/       style, script and htmx, served under a name that has their hash
//
// Each page works without JavaScript as well. What calls bring is shown by shown alone (show.go), which makes it inert.
package pages

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/policy"
)

// Options say what Pages work with.
type Options struct {
	// Desk answers for who is in the request's context (console.WhoOf), and for nobody else: package access guards it.
	Desk console.Desk
	// Policy is the one in force: its clock is that of all times on the pages, its plan reads numbers. Nil: UTC, and numbers as they are written.
	Policy func() *policy.Policy
	// Edits is another number after each change that somebody made; nil: it is not known.
	Edits func() uint64
	Log   *slog.Logger
	Now   func() time.Time
}

// Pages is the http.Handler of all pages. It expects that somebody has put a console.Who into the request's context, and that what
// is sent comes from its own pages (net/http.CrossOriginProtection). It may be used by many goroutines at once.
type Pages struct {
	o      Options
	static *assets
	sets   map[string]*templates // by language
	mux    *http.ServeMux
	routes []string

	rows    rowCache
	stated  stateCache
	wanted  wantedCache
	counted countsCache

	stop    chan struct{} // closed: live streams end
	stopped sync.Once
}

// New reads the templates. An error is a fault of the program.
func New(o Options) (*Pages, error) {
	if o.Desk == nil {
		return nil, errors.New("pages need a desk")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pages{o: o, mux: http.NewServeMux(), sets: make(map[string]*templates), stop: make(chan struct{})}
	var err error
	if p.static, err = newAssets(); err != nil {
		return nil, err
	}
	for _, lang := range Languages {
		if p.sets[lang], err = p.parse(lang); err != nil {
			return nil, err
		}
	}
	for _, page := range []func(){
		p.nowPages, p.callPages, p.actPages, p.livePages,
		p.listPages, p.markPages, p.rangePages, p.policyPages, p.linePages, p.peoplePages, p.healthPages,
	} {
		page()
	}
	return p, nil
}

// Close ends the live streams, which a server that shuts down would wait for.
func (p *Pages) Close() { p.stopped.Do(func() { close(p.stop) }) }

// handle adds a route: a method and a path, as http.ServeMux takes them. What h returns as an error becomes a page that says it.
func (p *Pages) handle(pattern string, h func(w http.ResponseWriter, r *http.Request) error) {
	p.routes = append(p.routes, pattern)
	p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			p.Fail(w, r, err)
		}
	})
}

// Routes are the patterns of all pages, "GET /calls/{id}" and so on, for a test that tries each of them.
func (p *Pages) Routes() []string { return append([]string(nil), p.routes...) }

// ServeHTTP serves a page.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := p.mux.Handler(r); pattern == "" {
		p.nothingThere(w, r)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// nothingThere says that there is no such page, or not with this method.
func (p *Pages) nothingThere(w http.ResponseWriter, r *http.Request) {
	if allow := console.OtherMethods(p.mux, r); allow != "" {
		w.Header().Set("Allow", allow)
		p.Show(w, r, http.StatusMethodNotAllowed, "error", Problem{Status: http.StatusMethodNotAllowed})
		return
	}
	p.Fail(w, r, console.NotFound(""))
}

// Problem is what the page "error" tells.
type Problem struct {
	Status int
	Text   string // what the daemon says of it, in English; "" for nothing
	Read   bool   // it failed when nothing was to be done but to show something
	Number string // to find it in the log by; "" where it is not there
}

// Fail answers with a page that says what is wrong, and with htmx with a note of it.
func (p *Pages) Fail(w http.ResponseWriter, r *http.Request, err error) {
	b := Problem{Status: http.StatusInternalServerError, Text: err.Error()}
	switch {
	case errors.Is(err, console.ErrBad):
		b.Status = http.StatusBadRequest
	case errors.Is(err, console.ErrNotFound):
		if b.Status = http.StatusNotFound; b.Text == console.NotFound("").Error() {
			b.Text = "" // the page says no less
		}
	case errors.Is(err, console.ErrConflict):
		b.Status = http.StatusConflict
	case errors.Is(err, console.ErrForbidden):
		b.Status = http.StatusForbidden
	case r.Context().Err() != nil: // who asked is gone
		return
	default: // nothing of the machine's insides on a page
		b.Number, b.Read = rand.Text()[:8], r.Method == http.MethodGet
		b.Text = ""
		p.o.Log.Error("a page failed", "page", r.URL.Path, "number", b.Number, "error", err)
	}
	if r.Header.Get("HX-Request") != "" {
		p.fragment(w, r, b.Status, "error", "problem", b)
		return
	}
	p.Show(w, r, b.Status, "error", b)
}
