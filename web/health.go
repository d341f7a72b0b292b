package web

import (
	"encoding/json"
	"net/http"
	"net/netip"

	"ringfence/console"
)

// State is one thing that has to be ready. Why is for everybody: no names and no numbers of calls are in it.
type State struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"` // not
}

// healthy says that the program is alive, and nothing more: whoever restarts it for another answer would make it worse.
func (s *Server) healthy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

// ready says what is ready and what is not, a line of JSON each.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	states := s.o.Ready()
	status := http.StatusOK
	for _, st := range states {
		if !st.Ready {
			status = http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, st := range states {
		enc.Encode(st)
	}
}

// metrics is for the networks that the daemon's file names, and for who may see everything.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	who := console.WhoOf(r.Context())
	switch {
	case s.o.Metrics == nil || who != nil && who.Bound():
		s.refuse(w, r, http.StatusNotFound, "not_found", "there is nothing under /metrics")
	case who != nil || s.scrapes(r):
		s.o.Metrics.ServeHTTP(w, r)
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		s.refuse(w, r, http.StatusUnauthorized, "unauthorized", "metrics of [console] does not name this address: add it, or send Authorization: Bearer and a token")
	}
}

// scrapes reports whether a request comes from a network that may read metrics. What a proxy hands on comes from anywhere.
func (s *Server) scrapes(r *http.Request) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range s.o.Conf.Metrics {
		if p.Contains(at.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}
