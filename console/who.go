package console

import (
	"context"
	"errors"
	"slices"
)

// Role is what somebody may do; each may do what the ones before it may.
type Role string

const (
	Viewer   Role = "viewer"   // sees
	Reviewer Role = "reviewer" // decides marks, edits lists
	Admin    Role = "admin"    // everything
)

// Roles are all of them, the least first.
var Roles = []Role{Viewer, Reviewer, Admin}

// Covers reports whether it may do what a role may. What is no role may nothing.
func (r Role) Covers(least Role) bool {
	has, needs := slices.Index(Roles, r), slices.Index(Roles, least)
	return has >= 0 && needs >= 0 && has >= needs
}

// The ways by which somebody comes (Who.Way).
const (
	BySocket  = "socket"  // through the unix socket: a login name of this machine
	BySession = "session" // signed in at the console
	ByToken   = "token"   // a script
	ByLink    = "link"    // a customer with the link of a notice
)

// Who is on whose behalf something is asked. It travels in the context (WithWho), from the port where it was found out to
// the one place that says what is theirs to see (package access).
type Who struct {
	Name    string // a user's name, a token's, a login name
	Way     string // BySocket and so on
	Address string // where from; "" for the unix socket
	Session string // the public id of the session, or of the token; of ByLink what its links to this call have in common; "" for none
	Role    Role
	Call    string // of ByLink: the one call that they see

	// Lines and Customer bind them to the lines named, and to all lines of a customer. With neither they see everything that their role may.
	Lines    []string
	Customer string
}

// Bound reports whether they see their lines alone.
func (w *Who) Bound() bool { return len(w.Lines) > 0 || w.Customer != "" }

type whoKey struct{}

// WithWho says in a context who asks, for those too who ask it by ByOf.
func WithWho(ctx context.Context, w *Who) context.Context {
	from := FromAPI
	if w.Way == BySession || w.Way == ByLink {
		from = FromConsole
	}
	if by := ByOf(ctx); by.From != "" && w.Way == BySocket {
		from = by.From
	}
	return WithBy(context.WithValue(ctx, whoKey{}, w), By{Who: w.Name, From: from})
}

// WhoOf is what WithWho said; nil if nobody did, who may nothing.
func WhoOf(ctx context.Context) *Who {
	w, _ := ctx.Value(whoKey{}).(*Who)
	return w
}

// ErrForbidden is about what is there, but not for who asks. What a bound user must not even know of is ErrNotFound.
var ErrForbidden = errors.New("forbidden")

// Forbidden is an error about something that the role of who asks does not cover.
func Forbidden(text string) error { return &problem{ErrForbidden, text} }
