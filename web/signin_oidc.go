package web

import (
	"crypto/subtle"
	"errors"
	"net/http"

	"ringfence/access"
	"ringfence/console"
)

// beginOIDC sends a browser to the other server. It is a link and no form: a form of ours may lead nowhere but here (form-action).
func (s *Server) beginOIDC(w http.ResponseWriter, r *http.Request) {
	next := nextIn(r.URL.Query().Get("next"))
	address, begun, err := s.oidc.begin(r.Context(), next)
	if err != nil {
		s.failedOIDC(w, r, next, err)
		return
	}
	sealed, err := s.secret.seal("oidc", begun, oidcTime)
	if err != nil {
		s.failedOIDC(w, r, next, err)
		return
	}
	// Lax, not Strict: it is to come back with who comes from the other server.
	s.setCookie(w, r, begunCookie, sealed, http.SameSiteLaxMode, oidcTime)
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// backFromOIDC is where the other server sends a browser to, with a code or with why not.
func (s *Server) backFromOIDC(w http.ResponseWriter, r *http.Request) {
	var begun oidcBegun
	ok := false
	for _, sealed := range s.secretsOf(r, begunCookie) {
		ok = ok || s.secret.open("oidc", sealed, &begun) == nil
	}
	s.setCookie(w, r, begunCookie, "", http.SameSiteLaxMode, 0)
	q := r.URL.Query()
	if !ok || subtle.ConstantTimeCompare([]byte(begun.State), []byte(q.Get("state"))) != 1 {
		s.failedOIDC(w, r, "/", console.Bad("this sign-in was not begun in this browser, or too long ago: begin again"))
		return
	}
	if code := q.Get("error"); code != "" {
		s.failedOIDC(w, r, begun.Next, console.Bad(shorten(code+": "+q.Get("error_description"))))
		return
	}
	p, err := s.oidc.finish(r.Context(), &begun, q.Get("code"), s.o.Now)
	if err != nil {
		if errors.Is(err, errNoRole) {
			s.o.Book.Note(r.Context(), console.AuditEntry{Who: shorten(p.Name), Way: console.BySession, Address: addressIn(r), What: "sign in", Detail: "oidc", Failed: "has no role here"})
			v := s.signInView(r, begun.Next)
			v.Wrong = "role"
			s.o.Pages.Show(w, r, http.StatusForbidden, "signin", v)
			return
		}
		s.o.Book.Note(r.Context(), console.AuditEntry{Way: console.BySession, Address: addressIn(r), What: "sign in", Detail: "oidc", Failed: shorten(err.Error())})
		s.failedOIDC(w, r, begun.Next, err)
		return
	}
	secret, _, err := s.o.Book.SignInFrom(r.Context(), access.OIDCUser{Issuer: p.Issuer, Subject: p.Subject, Name: p.Name, Role: p.Role}, origin(r))
	if err != nil {
		s.notSignedIn(w, r, s.signInView(r, begun.Next), err, "oidc")
		return
	}
	s.signedIn(w, r, secret)
	// By a page of ours, with which the browser sends the new cookie: a redirect would still be the other server's.
	sendOn(w, begun.Next)
}

// shorten keeps texts of others within a line of a page. The page makes them inert.
func shorten(text string) string {
	if r := []rune(text); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return text
}

func (s *Server) failedOIDC(w http.ResponseWriter, r *http.Request, next string, err error) {
	v := s.signInView(r, next)
	v.Wrong, v.Said = "oidc", shorten(err.Error())
	status := http.StatusBadRequest
	if !errors.Is(err, console.ErrBad) {
		status = http.StatusBadGateway
		if before, say := s.oidc.failed.now(s.o.Now()); say {
			s.o.Log.Warn("somebody could not sign in by the other server", "issuer", s.oidc.conf.Issuer, "error", err, "unlogged_before", before)
		}
		v.Said = "" // insides of the other server are for the log
	}
	s.o.Pages.Show(w, r, status, "signin", v)
}
