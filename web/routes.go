package web

import (
	"net/http"
	"slices"

	"ringfence/console"
	"ringfence/pages"
)

// routes is a ServeMux that knows what it serves, and which of it is for nobody in particular. What is not said to be open is for who has signed in.
type routes struct {
	mux  *http.ServeMux
	list []Route
	free map[string]bool // patterns that are open
}

// Route is something that is served.
type Route struct {
	Pattern string // "POST /signin"
	Open    bool   // also to who has not signed in
}

func (m *routes) add(pattern string, open bool, h http.HandlerFunc) {
	m.list = append(m.list, Route{pattern, open})
	m.free[pattern] = open
	m.mux.HandleFunc(pattern, h)
}

// pattern is what a request is served by, "" for nothing.
func (m *routes) pattern(r *http.Request) string {
	_, pattern := m.mux.Handler(r)
	return pattern
}

// open reports whether a request is for who has not signed in as well.
func (m *routes) open(r *http.Request) bool { return m.free[m.pattern(r)] }

func (m *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// serve makes the routes of this room, and puts those of the others below them.
func (s *Server) serve() *routes {
	m := &routes{mux: http.NewServeMux(), free: map[string]bool{}}
	const open, signedIn = true, false
	m.add("GET /healthz", open, s.healthy)
	m.add("GET /readyz", open, s.ready)
	m.add("GET /metrics", open, s.metrics) // which looks itself who may
	m.add("GET "+pages.StaticPrefix, open, s.o.Pages.Static)

	m.add("GET /signin", open, s.signInPage)
	m.add("POST /signin", open, s.signIn)
	m.add("POST /signout", open, s.signOut) // also of a session that has ended
	m.add("GET /welcome/{link}", open, s.welcomePage)
	m.add("POST /welcome/{link}", open, s.welcome)
	if s.passkeys != nil {
		m.add("POST /signin/passkey/begin", open, s.beginPasskey)
		m.add("POST /signin/passkey", open, s.signInByPasskey)
		m.add("POST /account/passkeys/begin", signedIn, s.beginNewPasskey)
		m.add("POST /account/passkeys", signedIn, s.addPasskey)
	}
	if s.oidc != nil {
		m.add("GET /signin/oidc", open, s.beginOIDC)
		m.add("GET "+oidcBack, open, s.backFromOIDC)
	}
	m.add("GET /l/{link}", open, s.noticePage)
	m.add("POST /l/{link}", open, s.noticeAct)

	m.add("GET /account", signedIn, s.accountPage)
	m.add("POST /account/password", signedIn, s.changePassword)
	m.add("POST /account/passkeys/{id}/remove", signedIn, s.removePasskey)
	m.add("POST /account/sessions/{id}/end", signedIn, s.endSession)

	m.add("/api/v1/", signedIn, console.Handler(s.o.Desk).ServeHTTP)
	m.add("/", signedIn, s.o.Pages.ServeHTTP)
	return m
}

// Routes are all that is served: those of the API and of the pages each by itself.
func (s *Server) Routes() []Route {
	all := slices.DeleteFunc(slices.Clone(s.routes.list), func(r Route) bool { return r.Pattern == "/" || r.Pattern == "/api/v1/" })
	for _, pattern := range slices.Concat(console.Routes(), s.o.Pages.Routes()) {
		all = append(all, Route{Pattern: pattern})
	}
	return all
}
