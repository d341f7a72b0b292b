package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// serveCalls serves the journal, and what can be asked of it.
func serveCalls(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/calls", func(w http.ResponseWriter, r *http.Request) {
		q, err := journalQuery(r)
		if err != nil {
			writeError(w, err)
			return
		}
		if wantsPage(r) {
			ask(func(r *http.Request) (any, error) {
				look, err := spanOf(r.URL.Query(), "look")
				if err != nil {
					return nil, err
				}
				return d.Search(r.Context(), SearchQuery{Query: q, Look: look, Here: r.URL.Query().Get("here") == "1"})
			})(w, r)
			return
		}
		stream(w, func(yield func(any) error) error {
			return d.Journal(r.Context(), q, func(r Record) error { return yield(r) })
		})
	})
	mux.HandleFunc("DELETE /api/v1/calls", ask(func(r *http.Request) (any, error) {
		q, err := journalQuery(r)
		if err != nil {
			return nil, err
		}
		q.Limit, q.Newest = 0, false
		return d.DeleteRecords(r.Context(), q)
	}))
	mux.HandleFunc("GET /api/v1/calls/stream", func(w http.ResponseWriter, r *http.Request) { follow(d, w, r) })
	mux.HandleFunc("GET /api/v1/calls/{id}", ask(func(r *http.Request) (any, error) { return d.Call(r.Context(), r.PathValue("id")) }))
	mux.HandleFunc("POST /api/v1/calls/{id}/correct", answer(func(r *http.Request, _ struct{}) (any, error) {
		return d.Correct(r.Context(), r.PathValue("id"))
	}))
	mux.HandleFunc("GET /api/v1/activity", ask(func(r *http.Request) (any, error) {
		var q ActivityQuery
		v := r.URL.Query()
		err := timesOf(v, &q.Since, &q.Until)
		if err == nil {
			q.Step, err = spanOf(v, "step")
		}
		if err != nil {
			return nil, err
		}
		return d.Activity(r.Context(), q)
	}))
	mux.HandleFunc("GET /api/v1/ranges", ask(func(r *http.Request) (any, error) {
		v := r.URL.Query()
		q := RangeQuery{Prefix: v.Get("prefix")}
		err := timesOf(v, &q.Since, &q.Until)
		if err == nil {
			q.Look, err = spanOf(v, "look")
		}
		if err != nil {
			return nil, err
		}
		return d.Ranges(r.Context(), q)
	}))
	mux.HandleFunc("GET /api/v1/effect", ask(func(r *http.Request) (any, error) {
		v := r.URL.Query()
		return d.EffectOf(r.Context(), EffectQuery{Pattern: v.Get("pattern"), List: v.Get("list")})
	}))
}

// wantsPage reports whether somebody wants a page of calls in one piece, with a cursor, and not a line each.
func wantsPage(r *http.Request) bool {
	return r.URL.Query().Get("page") == "1" || strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

// texts are the filters that are texts, by their names in an address.
func (q *Query) texts() map[string]*string {
	return map[string]*string{
		"caller": &q.Caller, "callee": &q.Callee, "action": &q.Action, "id": &q.ID, "customer": &q.Customer, "line": &q.Line, "rule": &q.Rule,
		"trunk": &q.Trunk, "kind": &q.Kind, "would": &q.Would, "holder": &q.Holder, "list": &q.List, "detector": &q.Detector, "range": &q.Range,
		"text": &q.Text, "outcome": &q.Outcome, "cursor": &q.Cursor,
	}
}

// journalQuery reads the parameters of GET calls.
func journalQuery(r *http.Request) (Query, error) {
	v := r.URL.Query()
	q := Query{Newest: v.Get("order") != "oldest", Limit: 100}
	for name, text := range q.texts() {
		*text = v.Get(name)
	}
	if err := timesOf(v, &q.Since, &q.Until); err != nil {
		return q, err
	}
	for name, to := range map[string]*float64{"min_talk": &q.MinTalk, "max_talk": &q.MaxTalk} {
		if text := v.Get(name); text != "" {
			s, err := strconv.ParseFloat(text, 64)
			if err != nil || !(s >= 0) {
				return q, Bad(name + " is no number of seconds")
			}
			*to = s
		}
	}
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return q, Bad("limit is not a whole number")
		}
		q.Limit = n
	}
	return q, nil
}

// values are the parameters of GET calls.
func (q Query) values() url.Values {
	v := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	for name, text := range q.texts() {
		if *text != "" {
			v.Set(name, *text)
		}
	}
	setTimes(v, q.Since, q.Until)
	for name, s := range map[string]float64{"min_talk": q.MinTalk, "max_talk": q.MaxTalk} {
		if s > 0 {
			v.Set(name, strconv.FormatFloat(s, 'f', -1, 64))
		}
	}
	if !q.Newest {
		v.Set("order", "oldest")
	}
	return v
}

func timesOf(v url.Values, since, until *time.Time) error {
	for name, at := range map[string]*time.Time{"since": since, "until": until} {
		if text := v.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return Bad(name + " is not a time like 2026-11-24T08:00:00Z")
			}
			*at = t
		}
	}
	return nil
}

func setTimes(v url.Values, since, until time.Time) {
	for name, t := range map[string]time.Time{"since": since, "until": until} {
		if !t.IsZero() {
			v.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
}

// spanOf reads a length of time, 0 if there is none.
func spanOf(v url.Values, name string) (time.Duration, error) {
	text := v.Get(name)
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, Bad(fmt.Sprintf("%s is %.40q, and no length of time like 5m or 2s", name, text))
	}
	return d, nil
}

// How server-sent events go: a comment now and then lets a dead reader be noticed, and records that come close together go in one piece, so that many
// readers cost few writes.
const (
	followPing    = 15 * time.Second
	followGather  = 40 * time.Millisecond
	followTimeout = 10 * time.Second
)

// follow sends records as server-sent events.
func follow(d Desk, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &events{w: w, flusher: http.NewResponseController(w), cancel: cancel}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stop := make(chan struct{})
	var pinging sync.WaitGroup
	pinging.Go(func() { s.keep(stop) })
	err := d.Follow(ctx, func() { s.write(": following\n\n", true) }, func(rec Record) error {
		line, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		return s.write(fmt.Sprintf("data: %s\n\n", line), false)
	})
	close(stop)
	pinging.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		text, _ := json.Marshal(err.Error()) // a text: no error
		s.write(fmt.Sprintf("event: error\ndata: %s\n\n", text), true)
	}
}

// events is a stream of server-sent events.
type events struct {
	cancel  context.CancelFunc
	flusher *http.ResponseController

	mu    sync.Mutex
	w     io.Writer
	waits bool      // something is written that is not sent
	last  time.Time // when something was sent
	err   error
}

// write writes an event, and sends it now or soon.
func (s *events) write(text string, now bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	at := time.Now()
	s.flusher.SetWriteDeadline(at.Add(followTimeout))
	if _, s.err = io.WriteString(s.w, text); s.err != nil {
		return s.err
	}
	s.waits = true
	if now || at.Sub(s.last) >= followGather {
		s.send(at)
	}
	return s.err
}

func (s *events) send(at time.Time) {
	s.flusher.SetWriteDeadline(at.Add(followTimeout))
	s.err, s.waits, s.last = s.flusher.Flush(), false, at
}

// keep sends what waits, and a comment when nothing has come for long, until stop.
func (s *events) keep(stop <-chan struct{}) {
	tick := time.NewTicker(followGather)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		at := time.Now()
		if s.err == nil && !s.waits && at.Sub(s.last) >= followPing {
			_, s.err = io.WriteString(s.w, ": still here\n\n")
			s.waits = true
		}
		if s.err == nil && s.waits {
			s.send(at)
		}
		if s.err != nil {
			s.cancel() // nobody reads any more
		}
		s.mu.Unlock()
	}
}

func (c *Client) Search(ctx context.Context, q SearchQuery) (*SearchPage, error) {
	v := q.values()
	v.Set("page", "1")
	if q.Look > 0 {
		v.Set("look", q.Look.String())
	}
	if q.Here {
		v.Set("here", "1")
	}
	return call[*SearchPage](ctx, c, "GET", "calls?"+v.Encode(), nil)
}

func (c *Client) Call(ctx context.Context, id string) (*CallDetail, error) {
	return call[*CallDetail](ctx, c, "GET", "calls/"+url.PathEscape(id), nil)
}

func (c *Client) Activity(ctx context.Context, q ActivityQuery) (*Activity, error) {
	v := url.Values{}
	setTimes(v, q.Since, q.Until)
	if q.Step > 0 {
		v.Set("step", q.Step.String())
	}
	return call[*Activity](ctx, c, "GET", "activity?"+v.Encode(), nil)
}

func (c *Client) Ranges(ctx context.Context, q RangeQuery) (*RangeReport, error) {
	v := url.Values{"prefix": {q.Prefix}}
	setTimes(v, q.Since, q.Until)
	if q.Look > 0 {
		v.Set("look", q.Look.String())
	}
	return call[*RangeReport](ctx, c, "GET", "ranges?"+v.Encode(), nil)
}

func (c *Client) EffectOf(ctx context.Context, q EffectQuery) (*EntryEffect, error) {
	return call[*EntryEffect](ctx, c, "GET", "effect?"+url.Values{"pattern": {q.Pattern}, "list": {q.List}}.Encode(), nil)
}

func (c *Client) Correct(ctx context.Context, id string) (*Corrected, error) {
	return call[*Corrected](ctx, c, "POST", "calls/"+url.PathEscape(id)+"/correct", struct{}{})
}
