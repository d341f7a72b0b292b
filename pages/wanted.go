package pages

import (
	"context"
	"net/http"
	"sync"
	"time"

	"ringfence/console"
)

// wanted is a caller who was stopped, and whom somebody may have wanted to hear.
type wanted struct {
	Row   row
	Known []string // lines that deal with him
	Talk  float64  // seconds of the longest conversation before
	Calls int      // that were stopped
}

// wantedData is who was turned away lately.
type wantedData struct {
	Days    int
	Looked  int // callers
	Stopped int // calls
	Cut     bool
	All     []wanted
	Lifted  int // marks that were taken back
}

// wantedCache keeps what was found for who sees everything: it takes a look at many calls.
type wantedCache struct {
	sync.Mutex
	at    time.Time
	seen  *wantedData
	edits uint64 // when it was found
}

// Bounds of the look.
const (
	wantedDays    = 7
	wantedCalls   = 500
	wantedCallers = 60
	wantedShown   = 20
	wantedTime    = 1500 * time.Millisecond
	wantedFresh   = time.Minute
	wantedTalk    = 30 // seconds: who was talked with that long was no nuisance
)

// turnedAway answers with the part of the page Now that says whether anyone wanted was turned away. It is asked for by itself, since it may take a moment.
func (p *Pages) turnedAway(w http.ResponseWriter, r *http.Request) error {
	d, err := p.whoWasTurnedAway(r.Context())
	if err != nil {
		return err
	}
	if r.Header.Get("HX-Request") != "" {
		p.fragment(w, r, http.StatusOK, "now", "wanted", d)
		return nil
	}
	p.Show(w, r, http.StatusOK, "wanted", d)
	return nil
}

func (p *Pages) whoWasTurnedAway(ctx context.Context) (*wantedData, error) {
	who := console.WhoOf(ctx)
	if who == nil || who.Bound() || !mayAct(who) { // what they get is not what others get
		return p.lookForWanted(ctx)
	}
	p.wanted.Lock()
	defer p.wanted.Unlock()
	if p.o.Edits != nil { // who lets a caller through, or marks one, wants to see what is left
		if edits := p.o.Edits(); edits != p.wanted.edits {
			p.wanted.edits, p.wanted.seen = edits, nil
		}
	}
	if p.wanted.seen != nil && time.Since(p.wanted.at) < wantedFresh {
		return p.wanted.seen, nil
	}
	d, err := p.lookForWanted(ctx)
	if err == nil && d.Stopped > 0 { // that nobody was is soon found out, and soon wrong: the figures beside it are newer
		p.wanted.at, p.wanted.seen = time.Now(), d
	}
	return d, err
}

// lookForWanted goes through the calls that were stopped lately, the newest first, and asks of each caller what else is known.
func (p *Pages) lookForWanted(ctx context.Context) (*wantedData, error) {
	d := &wantedData{Days: wantedDays}
	since, until := p.o.Now().AddDate(0, 0, -wantedDays), time.Now().Add(wantedTime)
	page, err := p.o.Desk.Search(ctx, console.SearchQuery{Query: console.Query{Since: since, Outcome: "stopped", Newest: true, Limit: wantedCalls}})
	if err != nil {
		return nil, err
	}
	d.Stopped, d.Cut = len(page.Records), page.Cursor != ""
	may := mayAct(console.WhoOf(ctx))
	first, calls := make(map[string]int), make(map[string]int)
	var order []string
	for i, r := range page.Records {
		key := row{Record: r}.CallerKey()
		if key == "" || r.Test {
			continue
		}
		if _, seen := first[key]; !seen {
			first[key] = i
			order = append(order, key)
		}
		calls[key] += 1 + r.Repeats
	}
	for _, key := range order {
		if d.Looked == wantedCallers || len(d.All) == wantedShown || time.Now().After(until) {
			d.Cut = true
			break
		}
		d.Looked++
		one := wanted{Row: row{page.Records[first[key]], may}, Calls: calls[key]}
		if err := p.o.Desk.Known(ctx, console.KnownQuery{Caller: key}, func(a console.Acquaintance) error {
			if len(one.Known) < 5 {
				one.Known = append(one.Known, a.Line)
			}
			return nil
		}); seen(err) != nil && ctx.Err() != nil {
			return nil, err
		}
		talks, err := p.o.Desk.Search(ctx, console.SearchQuery{Query: console.Query{Caller: key, MinTalk: wantedTalk, Newest: true, Limit: 5}, Look: 200 * time.Millisecond})
		if err != nil {
			return nil, err
		}
		for _, t := range talks.Records {
			if t.Outcome != nil {
				one.Talk = max(one.Talk, t.Outcome.TalkS)
			}
		}
		if len(one.Known) > 0 || one.Talk > 0 {
			d.All = append(d.All, one)
		}
	}
	if err := p.o.Desk.Reports(ctx, console.ReportsQuery{State: console.ReportLifted}, func(r console.Report) error {
		if r.Lifted.After(since) {
			d.Lifted++
		}
		return nil
	}); seen(err) != nil {
		return nil, err
	}
	return d, nil
}
