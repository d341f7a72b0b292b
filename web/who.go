package web

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ringfence/access"
	"ringfence/console"
	"ringfence/pages"
)

// Names of cookies. A browser takes one with __Host- only over TLS, from this very name, so that no neighbour can slip us one.
const (
	sessionCookie = "ringfence"
	begunCookie   = "ringfence-begun" // a sign-in by another server or a passkey that has begun
	hostPrefix    = "__Host-"
	sessionLasts  = 7 * 24 * time.Hour // at most; package access ends it earlier
)

// cookieName is a cookie's name on the way that a request came.
func (s *Server) cookieName(r *http.Request, name string) string {
	if s.hosts.secure(r) {
		return hostPrefix + name
	}
	return name
}

func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, name, value string, same http.SameSite, lasts time.Duration) {
	age := int(lasts.Seconds())
	if lasts <= 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(r, name), Value: value, Path: "/", HttpOnly: true, SameSite: same, Secure: s.hosts.secure(r), MaxAge: age})
}

// secretsOf are the values of a cookie: a neighbour under http may have added one of his.
func (s *Server) secretsOf(r *http.Request, name string) []string {
	var all []string
	for _, c := range r.CookiesNamed(s.cookieName(r, name)) {
		if len(all) < 4 {
			all = append(all, c.Value)
		}
	}
	return all
}

// addressIn is where a request comes from, without the port.
func addressIn(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// origin is where somebody comes from, for the list of sessions and the audit.
func origin(r *http.Request) access.Origin {
	return access.Origin{Address: addressIn(r), Browser: r.UserAgent()}
}

// findOut puts who asks into the request's context. Nobody is let through as nobody; but a token that is none is refused, whatever is asked: it is not
// to look as if it were of no use here.
func (s *Server) findOut(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var who *console.Who
		if console.WhoOf(r.Context()) != nil {
			panic("somebody said who asks before it was found out") // and everybody would be them
		}
		if header := r.Header.Get("Authorization"); header != "" {
			scheme, token, _ := strings.Cut(header, " ")
			if strings.EqualFold(scheme, "Bearer") {
				who = s.o.Book.Token(strings.TrimSpace(token), addressIn(r))
			}
			if who == nil {
				s.Counters.Credentials.Add(1)
				if _, ok := s.rates.allow(ofAddress + addressOf(r.RemoteAddr)); !ok {
					s.refuse(w, r, http.StatusTooManyRequests, "too_often", "too many tokens that are none: wait a moment")
					return
				}
				w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
				s.refuse(w, r, http.StatusUnauthorized, "unauthorized", "this is no token, or one that was revoked or has expired: send Authorization: Bearer and a token that `ringfence token ls` shows")
				return
			}
		} else {
			for _, secret := range s.secretsOf(r, sessionCookie) {
				if who = s.o.Book.Session(secret); who != nil {
					break
				}
			}
			if who == nil && s.comeAgain(w, r) {
				return
			}
		}
		if who != nil {
			copied := *who
			copied.Address = addressIn(r)
			r = r.WithContext(console.WithWho(r.Context(), &copied))
		}
		next.ServeHTTP(w, r)
	})
}

// comeAgain answers who follows a link from another site to a page here: with it a browser sends no cookie of ours (SameSite=Strict), but when a page of
// ours sends it on, to where it is already.
func (s *Server) comeAgain(w http.ResponseWriter, r *http.Request) bool {
	h := r.Header
	if r.Method != http.MethodGet || h.Get("Sec-Fetch-Site") != "cross-site" || h.Get("Sec-Fetch-Mode") != "navigate" || h.Get("Sec-Fetch-Dest") != "document" || isAPI(r) || s.routes.open(r) {
		return false
	}
	sendOn(w, nextIn(r.RequestURI))
	return true
}

// sendOn answers with an empty page that leads to another one of ours. A redirect would be of the site that the browser comes from.
func sendOn(w http.ResponseWriter, path string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Refresh", "0;url="+path)
	fmt.Fprintf(w, "<!doctype html><meta charset=\"utf-8\"><title>Ringfence</title><a href=\"%s\">→</a>\n", html.EscapeString(path))
}

// nextIn is where to go after signing in: a path of ours, "/" where it could be anything else.
func nextIn(text string) string {
	if len(text) > 2000 || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }) {
		return "/"
	}
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, "/signin") || strings.HasPrefix(u.Path, "/welcome") || strings.Contains(u.Path, "\\") {
		return "/"
	}
	u.Fragment = ""
	return u.String()
}

// isAPI reports whether a program asks, who is answered in JSON.
func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// wantsPage reports whether a person asks.
func wantsPage(r *http.Request) bool {
	return !isAPI(r) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// refuse says why a request is not served, in the form that who asks can read.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	if wantsPage(r) {
		s.o.Pages.Show(w, r, status, "error", pages.Problem{Status: status, Text: message})
		return
	}
	console.Refuse(w, status, code, message)
}

// askToSignIn answers nobody who wants what is somebody's.
func (s *Server) askToSignIn(w http.ResponseWriter, r *http.Request) {
	next := "/signin"
	if to := nextIn(r.RequestURI); to != "/" && safe(r.Method) {
		next += "?next=" + url.QueryEscape(to)
	}
	switch {
	case isAPI(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		console.Refuse(w, http.StatusUnauthorized, "unauthorized", "sign in, or send Authorization: Bearer and a token (`ringfence token add` makes one)")
	case r.Header.Get("HX-Request") != "":
		w.Header().Set("HX-Redirect", "/signin")
		w.WriteHeader(http.StatusUnauthorized)
	case safe(r.Method) && wantsPage(r):
		http.Redirect(w, r, next, http.StatusSeeOther)
	default:
		console.Refuse(w, http.StatusUnauthorized, "unauthorized", "sign in first")
	}
}
