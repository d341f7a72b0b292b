package web

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"time"

	"ringfence/access"
	"ringfence/console"
)

// AccountView is what the page "account" shows: what is somebody's own, whatever their role.
type AccountView struct {
	User     console.User // without what an administrator alone has to know
	Token    bool         // a token asks, which has no account
	Passkeys []PasskeyView
	CanAdd   bool // passkeys can be used here
	Sessions []console.Session
	Wrong    string // what came of a try, by the key of its text
	Said     string
	Wait     int
	Done     string // what was done
}

// PasskeyView is a passkey of an account.
type PasskeyView struct {
	ID          string // base64url
	Name        string
	Added, Used time.Time
}

func (s *Server) accountView(r *http.Request, who *console.Who) (AccountView, error) {
	v := AccountView{CanAdd: s.passkeysHere(r), Done: doneIn(r.URL.Query().Get("done"))}
	users, err := s.o.Book.Users(r.Context())
	if err != nil {
		return v, err
	}
	for _, u := range users {
		if u.Name == who.Name {
			v.User = u
		}
	}
	_, keys, err := s.o.Book.PasskeysOf(who.Name)
	if err != nil {
		return v, err
	}
	for _, k := range keys {
		v.Passkeys = append(v.Passkeys, PasskeyView{base64.RawURLEncoding.EncodeToString(k.ID), k.Name, k.Added, k.Used})
	}
	sessions, err := s.o.Desk.Sessions(r.Context())
	for _, session := range sessions {
		if session.User == who.Name { // an administrator sees those of others as well, among people
			v.Sessions = append(v.Sessions, session)
		}
	}
	return v, err
}

// doneIn is what an address says was done, if it is one of the things that can be.
func doneIn(text string) string {
	switch text {
	case "password", "passkey", "session":
		return text
	}
	return ""
}

func (s *Server) accountPage(w http.ResponseWriter, r *http.Request) {
	who, ok := s.ownAccount(w, r)
	if !ok {
		return
	}
	s.showAccount(w, r, who, http.StatusOK, func(*AccountView) {})
}

func (s *Server) showAccount(w http.ResponseWriter, r *http.Request, who *console.Who, status int, with func(*AccountView)) {
	v, err := s.accountView(r, who)
	if err != nil {
		s.o.Pages.Fail(w, r, err)
		return
	}
	with(&v)
	s.o.Pages.Show(w, r, status, "account", v)
}

// changePassword wants the one before, since a session may be somebody's who only sat down at an open one. It ends all other sessions.
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request) {
	who, ok := s.ownAccount(w, r)
	if !ok {
		return
	}
	f, err := form(w, r)
	if err != nil {
		s.o.Pages.Fail(w, r, err)
		return
	}
	wrong := func(status int, key string, err error) {
		s.showAccount(w, r, who, status, func(v *AccountView) {
			v.Wrong = key
			var wait *access.TooMany
			if errors.As(err, &wait) {
				v.Wrong, v.Wait = "wait", seconds(wait.Wait)
			} else if err != nil {
				v.Said = err.Error()
			}
		})
	}
	if f.Get("password") != f.Get("again") {
		wrong(http.StatusBadRequest, "differ", nil)
		return
	}
	err = s.o.Book.CheckPassword(r.Context(), who.Name, f.Get("current"), origin(r))
	var wait *access.TooMany
	switch {
	case errors.Is(err, access.ErrSignIn):
		wrong(http.StatusForbidden, "current", nil)
		return
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", strconv.Itoa(seconds(wait.Wait)))
		wrong(http.StatusTooManyRequests, "wait", err)
		return
	case err != nil:
		s.o.Pages.Fail(w, r, err)
		return
	}
	password := f.Get("password")
	if password == "" {
		wrong(http.StatusBadRequest, "empty", nil)
		return
	}
	// Not through the desk: there only administrators change users.
	_, err = s.o.Book.SetUser(r.Context(), console.UserSet{Name: who.Name, Password: &password})
	switch {
	case errors.Is(err, console.ErrBad), errors.Is(err, console.ErrConflict):
		wrong(http.StatusBadRequest, "said", err)
	case errors.As(err, &wait):
		wrong(http.StatusTooManyRequests, "wait", err)
	case err != nil:
		s.o.Pages.Fail(w, r, err)
	default:
		s.o.Book.Note(r.Context(), console.AuditEntry{Who: who.Name, Way: who.Way, Address: who.Address, What: "user set", Subject: who.Name, Detail: "own password"})
		http.Redirect(w, r, "/account?done=password", http.StatusSeeOther)
	}
}

func (s *Server) removePasskey(w http.ResponseWriter, r *http.Request) {
	who, ok := s.ownAccount(w, r)
	if !ok {
		return
	}
	if s.o.Book.Again(who) != nil {
		http.Redirect(w, r, access.AgainPath+"&next=/account", http.StatusSeeOther)
		return
	}
	id, err := base64.RawURLEncoding.DecodeString(r.PathValue("id"))
	if err != nil {
		s.o.Pages.Fail(w, r, console.NotFound("there is no such passkey"))
		return
	}
	if err := s.o.Book.RemovePasskey(r.Context(), who.Name, id); err != nil {
		s.o.Pages.Fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/account?done=passkey", http.StatusSeeOther)
}

// endSession ends a session of one's own; those of others an administrator ends among people.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request) {
	who, ok := s.ownAccount(w, r)
	if !ok {
		return
	}
	id := r.PathValue("id")
	if err := s.o.Desk.EndSession(r.Context(), id); err != nil {
		s.o.Pages.Fail(w, r, err)
		return
	}
	if id == who.Session {
		s.setCookie(w, r, sessionCookie, "", http.SameSiteStrictMode, 0)
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, "/account?done=session", http.StatusSeeOther)
}
