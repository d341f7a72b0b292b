package pages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"ringfence/console"
)

// The live stream: one a browser, which its tabs share. It says for each new call for which of their filters it is:
//
//	event: row    {"id":"01K…","for":[0,2],"html":"<tr …"}
//	event: over   how many calls there was no time to show
//	event: gone   who looks was signed out, or may see something else now
//	event: slow   the browser did not take the calls as fast as they came, and is dropped
//
// With after=ID it begins with the calls since that one.
const (
	maxFilters = 8                      // of tabs that are looked at at once
	livePace   = 200 * time.Millisecond // between two writes, when calls come faster
	liveBatch  = 10                     // rows a write; nobody reads faster
	liveReplay = 50                     // calls since the stream broke off
	liveRest   = 15 * time.Second       // a word now and then, so that a reader who is gone is noticed
	liveWrite  = 10 * time.Second       // for one write
)

func (p *Pages) livePages() {
	p.handle("GET /live", p.live)
}

// liveRow is a call on its way to the tabs.
type liveRow struct {
	ID   string          `json:"id"`
	For  []int           `json:"for"`
	HTML json.RawMessage `json:"html"` // a string
}

// waiting is a call that is to be written.
type waiting struct {
	record console.Record
	wanted []int // the filters that want it
}

// stream is one reader.
type stream struct {
	p       *Pages
	w       http.ResponseWriter
	out     *http.ResponseController
	who     *console.Who
	lang    string
	filters []func(*console.Record) bool
	wait    []waiting // for the next write
	over    int       // that found no room in it
	last    time.Time // of the last write
	b       bytes.Buffer
}

func (p *Pages) live(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &stream{p: p, w: w, out: http.NewResponseController(w), who: console.WhoOf(ctx), lang: languageOf(r)}
	filters := r.URL.Query()["f"]
	if len(filters) > maxFilters {
		return console.Bad("too many filters for one stream")
	}
	if len(filters) == 0 {
		filters = []string{""}
	}
	for _, text := range filters {
		v, err := url.ParseQuery(text)
		if err != nil {
			return console.Bad("a filter cannot be read")
		}
		s.filters = append(s.filters, p.matcher(p.readFilter(v)))
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")                                 // a proxy before us
	records, ended := make(chan console.Record), make(chan error, 1) // unbuffered: how far behind a reader may be is the hub's to say
	joined := make(chan struct{})
	go func() {
		ended <- p.o.Desk.Follow(ctx, func() { close(joined) }, func(rec console.Record) error {
			select {
			case records <- rec:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	select { // only who misses nothing from here on is told that the stream is open: what came before is on the page, or replayed
	case <-joined:
	case <-p.stop:
		return nil
	case end := <-ended:
		s.end(end)
		return nil
	}
	fmt.Fprint(w, ": following\nretry: 3000\n\n")
	if err := s.flush(); err != nil {
		return nil
	}
	after := r.URL.Query().Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = id
	}
	if after != "" {
		s.replay(ctx, after)
	}
	s.run(ctx, records, ended)
	return nil
}

// run writes what comes until the reader or the server goes.
func (s *stream) run(ctx context.Context, records <-chan console.Record, ended <-chan error) {
	rest := time.NewTicker(liveRest)
	defer rest.Stop()
	pace := time.NewTimer(time.Hour)
	defer pace.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.p.stop:
			return
		case end := <-ended:
			s.end(end)
			return
		case rec := <-records:
			if !s.take(&rec) {
				continue
			}
			if now := time.Now(); now.Sub(s.last) < livePace {
				// All streams write at the same moments of the clock, and so the same calls: each is rendered once.
				pace.Reset(now.Truncate(livePace).Add(livePace).Sub(now))
				continue
			}
			err = s.write()
		case <-pace.C:
			err = s.write()
		case <-rest.C:
			fmt.Fprint(s.w, ": still there\n\n")
			err = s.flush()
		}
		if err != nil {
			return
		}
	}
}

// end tells the reader why the desk has let go of it.
func (s *stream) end(why error) {
	switch {
	case why == nil, errors.Is(why, context.Canceled):
		return
	case errors.Is(why, console.ErrForbidden):
		fmt.Fprint(s.w, "event: gone\ndata: \n\n")
	default:
		s.p.o.Log.Info("a live view was dropped", "error", why)
		fmt.Fprint(s.w, "event: slow\ndata: \n\n")
	}
	s.flush()
}

// take puts a call among those to write, if a filter wants it.
func (s *stream) take(r *console.Record) bool {
	var wants []int
	for i, holds := range s.filters {
		if holds(r) {
			wants = append(wants, i)
		}
	}
	if wants == nil {
		return false
	}
	if len(s.wait) == liveBatch { // the newest are what is looked at
		s.wait = append(s.wait[:0], s.wait[1:]...)
		s.over++
	}
	s.wait = append(s.wait, waiting{*r, wants})
	return true
}

// write sends what waits.
func (s *stream) write() error {
	s.last = time.Now()
	s.b.Reset()
	for i := range s.wait {
		id := s.wait[i].record.ID
		html, err := s.p.renderRow(s.lang, s.who, s.wait[i].record)
		if err != nil {
			s.p.o.Log.Error("a call cannot be rendered", "id", id, "error", err)
			continue
		}
		data, err := json.Marshal(liveRow{id, s.wait[i].wanted, html})
		if err != nil {
			return err
		}
		fmt.Fprintf(&s.b, "event: row\nid: %s\ndata: %s\n\n", id, data)
	}
	if s.over > 0 {
		fmt.Fprintf(&s.b, "event: over\ndata: %d\n\n", s.over)
	}
	s.wait, s.over = s.wait[:0], 0
	s.out.SetWriteDeadline(time.Now().Add(liveWrite))
	if _, err := s.w.Write(s.b.Bytes()); err != nil {
		return err
	}
	return s.out.Flush()
}

func (s *stream) flush() error {
	s.out.SetWriteDeadline(time.Now().Add(liveWrite))
	return s.out.Flush()
}

// replay writes the calls since one that the reader has.
func (s *stream) replay(ctx context.Context, after string) {
	page, err := s.p.o.Desk.Search(ctx, console.SearchQuery{Here: true, Query: console.Query{Cursor: after, Limit: liveReplay}})
	if err != nil { // a stream without them is better than none
		return
	}
	for i := range page.Records {
		if s.take(&page.Records[i]) && len(s.wait) == liveBatch {
			if s.write() != nil {
				return
			}
		}
	}
	if len(s.wait) > 0 {
		s.write()
	}
}
