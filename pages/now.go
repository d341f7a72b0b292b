package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"ringfence/console"
)

// nowData is the page "now". What who looks may not see is nil.
type nowData struct {
	Status   *console.Status
	Well     bool // nothing is wrong, and calls are screened
	Idle     bool // nothing is wrong, but no switch is there and no call has come
	Figures  []figure
	Chart    *chart
	Rows     []row
	Size     int
	NoCalls  bool   // the rows cannot be read; else there were none yet
	Filter   string // of the live rows
	Wanted   bool   // it can be looked for who was turned away
	Switches int    // that are attached
}

// figure is a count that leads to what was counted.
type figure struct {
	Key   string
	N     int
	More  bool // there are more than were counted
	Path  string
	Alarm bool
}

const (
	nowRows   = 30
	hourSteps = 60
	maxCount  = 500 // calls that are counted one by one
)

func (p *Pages) nowPages() {
	p.handle("GET /{$}", p.now)
	p.handle("GET /state", func(w http.ResponseWriter, r *http.Request) error {
		p.write(w, r, http.StatusOK, "now", "state", p.view(r, "now", nil))
		return nil
	})
	p.handle("GET /now/wanted", p.turnedAway)
}

// now is for who sees everything: who is bound to lines begins at these.
func (p *Pages) now(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if who := console.WhoOf(ctx); who != nil && who.Bound() {
		http.Redirect(w, r, pathWith(&url.URL{Path: "/lines"}, r.URL.Query()), http.StatusSeeOther)
		return nil
	}
	d := &nowData{Size: nowRows, Wanted: true}
	view := p.view(r, "now", d)
	view.Live = true
	status, err := p.status(ctx)
	if err := seen(err); err != nil {
		p.o.Log.Warn("the page Now has no status", "error", err)
	}
	d.Status = status
	if status != nil {
		for _, a := range status.Attached {
			if a.Attached {
				d.Switches++
			}
		}
		d.Well = len(view.State) == 0 && (d.Switches > 0 || status.Calls > 0)
		d.Idle = len(view.State) == 0 && !d.Well
	}
	d.Figures, d.Chart = p.counts(ctx)
	page, err := p.o.Desk.Search(ctx, console.SearchQuery{Here: true, Query: console.Query{Newest: true, Limit: nowRows}})
	if err == nil {
		d.Rows = rowsOf(page.Records, mayAct(console.WhoOf(ctx)))
	} else {
		d.NoCalls = true
		p.o.Log.Warn("the page Now has no calls", "error", err)
	}
	p.show(w, r, http.StatusOK, view)
	return nil
}

// countsCache keeps what the page Now counts, which many look at again and again, and which takes a look at all calls of the day.
type countsCache struct {
	sync.Mutex
	at      time.Time
	figures []figure
	chart   *chart
}

const countsFresh = 5 * time.Second

// counts are the figures and the chart; nil where they cannot be had, or are not for who asks.
func (p *Pages) counts(ctx context.Context) ([]figure, *chart) {
	if who := console.WhoOf(ctx); who == nil || who.Bound() { // what they get is not what others get
		return p.count(ctx)
	}
	c := &p.counted
	c.Lock()
	defer c.Unlock()
	if now := time.Now(); c.figures == nil || c.chart == nil || now.Sub(c.at) >= countsFresh {
		c.figures, c.chart = p.count(ctx)
		c.at = now
	}
	return c.figures, c.chart
}

func (p *Pages) count(ctx context.Context) (figures []figure, drawn *chart) {
	figures, err := p.figures(ctx)
	if seen(err) != nil {
		p.o.Log.Warn("the page Now has no figures", "error", err)
	}
	activity, err := p.o.Desk.Activity(ctx, console.ActivityQuery{Since: p.o.Now().Add(-time.Hour).Truncate(time.Minute).Add(time.Minute), Step: time.Minute})
	if err == nil {
		drawn = chartOf(activity, func(action string) string { return callsPath((&filter{Action: action, Since: "1h"}).Values()) })
	} else if seen(err) != nil {
		p.o.Log.Warn("the page Now has no chart", "error", err)
	}
	return figures, drawn
}

// seen drops the errors that say that something is not for who asks: it is left out then.
func seen(err error) error {
	if errors.Is(err, console.ErrNotFound) || errors.Is(err, console.ErrForbidden) {
		return nil
	}
	return err
}

// figures are today's counts, by the policy's clock.
func (p *Pages) figures(ctx context.Context) ([]figure, error) {
	midnight, _ := readTime("today", p.o.Now().In(p.zone()))
	path := func(f filter) string {
		f.Since = "today"
		return callsPath(f.Values())
	}
	counts := make(map[string]int)
	// Steps begin at their own multiples: those of a quarter of an hour at each midnight there is.
	a, err := p.o.Desk.Activity(ctx, console.ActivityQuery{Since: midnight, Step: 15 * time.Minute})
	switch {
	case err == nil:
		for action, steps := range a.Counts {
			for _, n := range steps {
				counts[action] += n
				counts["all"] += n
			}
		}
	case seen(err) == nil: // bound to lines: what came to these
		if err := p.o.Desk.Usage(ctx, console.UsageQuery{Since: midnight}, func(u console.Usage) error {
			counts["all"] += u.Calls
			counts["reject"] += u.Rejected
			counts["challenge"] += u.Challenged
			return nil
		}); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	out := []figure{
		{Key: "figure.screened", N: counts["all"], Path: path(filter{})},
		{Key: "figure.stopped", N: counts["reject"], Path: path(filter{Action: "reject"})},
		{Key: "figure.challenged", N: counts["challenge"], Path: path(filter{Action: "challenge"})},
	}
	unscreened := figure{Key: "figure.unscreened", Path: path(filter{Rule: "fail-open"})}
	for _, rule := range []string{"fail-open", "paused"} {
		page, err := p.o.Desk.Search(ctx, console.SearchQuery{Query: console.Query{Since: midnight, Rule: rule, Newest: true, Limit: maxCount}})
		if err != nil {
			return out, err
		}
		if n := len(page.Records); n > 0 {
			if unscreened.N == 0 {
				unscreened.Path = path(filter{Rule: rule})
			}
			unscreened.N += n
		}
		unscreened.More = unscreened.More || page.Cursor != "" || !page.Done
	}
	unscreened.Alarm = unscreened.N > 0
	return append(out, unscreened), nil
}
