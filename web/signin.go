package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ringfence/access"
	"ringfence/console"
)

// maxForm is how large a form of this room may be, in bytes.
const maxForm = 64 << 10

// form reads a form. The error is for who sent it.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, console.Bad(fmt.Sprintf("the form is larger than %d bytes", maxForm))
		}
		return nil, console.Bad("the form cannot be read")
	}
	return r.PostForm, nil
}

// SignInView is what the page "signin" shows.
type SignInView struct {
	Next     string
	Name     string
	Wrong    string // what came of a try, by the key of its text: "" for nothing, "password", "wait", "oidc", "role"
	Wait     int    // seconds, of "wait"
	Said     string // what another server says of it
	Passkeys bool   // they can be used here
	OIDC     string // the other server's name; "" for none
	First    bool   // nobody has an account yet
	Open     bool   // what is typed goes over the wire for all to read
}

// WelcomeView is what the page "welcome" shows: who has a link chooses a password.
type WelcomeView struct {
	Name  string
	First bool // the first administrator
	Gone  bool // the link does not work any more
	Wrong string
	Said  string
}

// signInView is the page as it is before a try.
func (s *Server) signInView(r *http.Request, next string) SignInView {
	v := SignInView{Next: next, Passkeys: s.passkeysHere(r), Open: !s.hosts.secure(r) && !local(addressOf(r.RemoteAddr))}
	if s.oidc != nil {
		if u, err := url.Parse(s.oidc.conf.Issuer); err == nil {
			v.OIDC = u.Hostname()
		}
	}
	if path, err := s.o.Book.FirstLink(); err == nil && path != "" {
		v.First = true
	}
	return v
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request) {
	next := nextIn(r.URL.Query().Get("next"))
	v := s.signInView(r, next)
	if who := console.WhoOf(r.Context()); who != nil {
		if who.Way != console.BySession || !r.URL.Query().Has("again") {
			http.Redirect(w, r, next, http.StatusSeeOther)
			return
		}
		v.Name = who.Name
	}
	s.o.Pages.Show(w, r, http.StatusOK, "signin", v)
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	f, err := form(w, r)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, "bad_request", err.Error())
		return
	}
	next := nextIn(f.Get("next"))
	secret, _, err := s.o.Book.SignIn(r.Context(), f.Get("name"), f.Get("password"), origin(r))
	if err != nil {
		v := s.signInView(r, next)
		v.Name = f.Get("name")
		s.notSignedIn(w, r, v, err, "password")
		return
	}
	s.signedIn(w, r, secret)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// signedIn gives a browser its session, and ends those that it came with: one that somebody else has slipped it is of no use then.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, secret string) {
	for _, old := range s.secretsOf(r, sessionCookie) {
		if err := s.o.Book.SignOut(old); err != nil {
			s.o.Log.Warn("a session that was left for another could not be ended", "error", err)
		}
	}
	s.setCookie(w, r, sessionCookie, secret, http.SameSiteStrictMode, sessionLasts)
}

// notSignedIn shows the page again with what came of a try, wrong saying what that was.
func (s *Server) notSignedIn(w http.ResponseWriter, r *http.Request, v SignInView, err error, wrong string) {
	status := http.StatusUnauthorized
	var wait *access.TooMany
	switch {
	case errors.As(err, &wait):
		status, wrong = http.StatusTooManyRequests, "wait"
		v.Wait = seconds(wait.Wait)
		w.Header().Set("Retry-After", strconv.Itoa(v.Wait))
	case errors.Is(err, access.ErrSignIn):
	case errors.Is(err, console.ErrBad), errors.Is(err, console.ErrConflict):
		v.Said = err.Error()
	default:
		if r.Context().Err() != nil {
			return
		}
		s.o.Log.Error("somebody could not sign in", "error", err)
		s.refuse(w, r, http.StatusInternalServerError, "failed", "nobody can sign in now: the log of the daemon says why")
		return
	}
	v.Wrong = wrong
	s.o.Pages.Show(w, r, status, "signin", v)
}

func seconds(d time.Duration) int { return max(int(math.Ceil(d.Seconds())), 1) }

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	for _, secret := range s.secretsOf(r, sessionCookie) {
		if err := s.o.Book.SignOut(secret); err != nil {
			s.o.Log.Error("a session could not be ended", "error", err)
			s.refuse(w, r, http.StatusInternalServerError, "failed", "the session could not be ended: the log of the daemon says why")
			return
		}
	}
	s.setCookie(w, r, sessionCookie, "", http.SameSiteStrictMode, 0)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

// welcomePage is where who has a one-time link chooses a password. To look at it does not use the link up: programs that look at links in mail do.
func (s *Server) welcomePage(w http.ResponseWriter, r *http.Request) {
	name, err := s.o.Book.LinkOf(r.URL.Path)
	if err != nil {
		s.o.Pages.Show(w, r, http.StatusGone, "welcome", WelcomeView{Gone: true})
		return
	}
	s.o.Pages.Show(w, r, http.StatusOK, "welcome", WelcomeView{Name: name, First: s.isFirst(r)})
}

func (s *Server) isFirst(r *http.Request) bool {
	path, err := s.o.Book.FirstLink()
	return err == nil && path != "" && path == r.URL.Path
}

func (s *Server) welcome(w http.ResponseWriter, r *http.Request) {
	f, err := form(w, r)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, "bad_request", err.Error())
		return
	}
	v := WelcomeView{First: s.isFirst(r)}
	if v.Name, err = s.o.Book.LinkOf(r.URL.Path); err != nil {
		s.o.Pages.Show(w, r, http.StatusGone, "welcome", WelcomeView{Gone: true})
		return
	}
	if f.Get("password") != f.Get("again") {
		v.Wrong = "differ"
		s.o.Pages.Show(w, r, http.StatusBadRequest, "welcome", v)
		return
	}
	secret, _, err := s.o.Book.Redeem(r.Context(), r.URL.Path, f.Get("password"), origin(r))
	var wait *access.TooMany
	switch {
	case err == nil:
		s.signedIn(w, r, secret)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case errors.Is(err, access.ErrLink):
		s.o.Pages.Show(w, r, http.StatusGone, "welcome", WelcomeView{Gone: true})
	case errors.As(err, &wait):
		v.Wrong = "busy"
		w.Header().Set("Retry-After", strconv.Itoa(seconds(wait.Wait)))
		s.o.Pages.Show(w, r, http.StatusTooManyRequests, "welcome", v)
	case errors.Is(err, console.ErrBad), errors.Is(err, console.ErrConflict):
		v.Wrong, v.Said = "said", err.Error()
		s.o.Pages.Show(w, r, http.StatusBadRequest, "welcome", v)
	default:
		s.o.Log.Error("a one-time link could not be used", "error", err)
		s.refuse(w, r, http.StatusInternalServerError, "failed", "the password could not be kept: the log of the daemon says why")
	}
}
