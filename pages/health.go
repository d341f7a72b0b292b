package pages

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/policy"
)

// healthData is the page "health".
type healthData struct {
	Status    *console.Status
	Wrong     int // how many things are wrong
	FailOpen  []counter
	Held      []counter
	Counters  []counter
	Detectors []console.Detector
	Feeds     []console.FeedStatus
	Pauses    []pauseFor
	Lines     int // of the database and of the policy
}

// counter is a count with its name.
type counter struct {
	Name string
	N    uint64
}

func countersOf[N int | uint64](m map[string]N) []counter {
	var out []counter
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, counter{name, uint64(m[name])})
	}
	return out
}

// pauseFor is how long screening may be paused from here; 0 is until somebody resumes.
type pauseFor struct {
	Value string
	Span  time.Duration
}

var pauses = []pauseFor{{"10m", 10 * time.Minute}, {"1h", time.Hour}, {"8h", 8 * time.Hour}, {"", 0}}

func (p *Pages) healthPages() {
	p.handle("GET /health", p.health)
	p.handle("POST /health/pause", p.pause)
	p.handle("POST /health/resume", p.resume)
	p.handle("POST /health/reload", p.reload)
	p.handle("POST /health/backup", p.backup)
}

func (p *Pages) health(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if who := console.WhoOf(ctx); who != nil && who.Bound() { // how the daemon is is not about their lines
		return console.NotFound("")
	}
	s, err := p.o.Desk.Status(ctx)
	if err != nil {
		return err
	}
	d := &healthData{Status: s, FailOpen: countersOf(s.FailOpen), Held: countersOf(s.Held), Counters: countersOf(s.Counters), Pauses: pauses, Lines: s.Lines}
	d.Counters = slices.DeleteFunc(d.Counters, func(c counter) bool { return strings.HasSuffix(c.Name, ".accepted") }) // nothing was lost there
	if rules := p.policy(); rules != nil {
		d.Lines += len(rules.Lines())
	}
	if d.Detectors, err = p.o.Desk.Detectors(ctx); seen(err) != nil {
		return err
	}
	if d.Feeds, err = p.o.Desk.Feeds(ctx); seen(err) != nil {
		return err
	}
	view := p.view(r, "health", d)
	d.Wrong = len(view.State)
	p.show(w, r, http.StatusOK, view)
	return nil
}

func (p *Pages) pause(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	text := r.PostFormValue("for")
	span, err := policy.ParseSpan(text)
	if text != "" && (err != nil || span <= 0) {
		return console.Bad("a pause lasts a span such as 10m or 1h")
	}
	s, err := p.o.Desk.Pause(r.Context(), span)
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	d := Done{Level: "good", Text: t.T("health.paused"), Back: "/health"}
	if !s.Until.IsZero() {
		d.Text = t.T("health.paused.until", s.Until)
	}
	p.Done(w, r, d)
	return nil
}

func (p *Pages) resume(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.o.Desk.Resume(r.Context()); err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	p.Done(w, r, Done{Level: "good", Text: t.T("health.resumed"), Back: "/health"})
	return nil
}

// reload reads the policy file again.
func (p *Pages) reload(w http.ResponseWriter, r *http.Request) error {
	report, err := p.o.Desk.Reload(r.Context())
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	var said []string
	for _, f := range report.Faults[:min(len(report.Faults), 3)] {
		said = append(said, f.Text)
	}
	d := Done{Level: "good", Text: t.T("health.reloaded", report.Rules), Said: shown(strings.Join(said, "; ")), Back: "/health"}
	if !report.Loaded {
		d.Level, d.Text, d.Back = "bad", t.T("health.reload.refused"), "/policy"
	}
	p.Done(w, r, d)
	return nil
}

// backup sends a copy of the database.
func (p *Pages) backup(w http.ResponseWriter, r *http.Request) error {
	out := &begunWriter{w: w, begin: func() {
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Disposition", `attachment; filename="ringfence-`+p.o.Now().In(p.zone()).Format("20060102-150405")+`.db"`)
	}}
	err := p.o.Desk.Backup(r.Context(), out)
	if err != nil && out.begun {
		panic(http.ErrAbortHandler) // half a copy must not look whole
	}
	return err
}

// begunWriter is a writer that does something before the first byte, and knows whether there was one.
type begunWriter struct {
	w     io.Writer
	begin func()
	begun bool
}

func (b *begunWriter) Write(text []byte) (int, error) {
	if !b.begun {
		b.begun = true
		b.begin()
	}
	return b.w.Write(text)
}
