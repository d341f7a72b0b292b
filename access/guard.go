package access

import (
	"context"
	"errors"

	"ringfence/console"
	"ringfence/storage"
)

// Guard is a desk that does for each who asks what is theirs alone. Who asks is console.WhoOf of the context; nobody may nothing.
//
// Each method of console.Desk is here by name, so that none is there before somebody has said who may use it: the role in rules, what somebody
// who is bound to lines gets of it in the method. What they must not see is absent, as if it did not exist.
func Guard(d console.Desk, b *Book) console.Desk { return &guard{d, b} }

type guard struct {
	desk console.Desk
	book *Book
}

var _ console.Desk = (*guard)(nil)

// asked is one request of somebody.
type asked struct {
	who   *console.Who
	scope *scope // nil: they see everything
	entry storage.AuditEntry
	quiet bool // nothing changed, as of a dry run: the audit has nothing to say
}

// hidden is all that is said of what is not there for who asks.
func hidden() error { return console.NotFound("there is no such thing here") }

// enter says whether who asks may use a method.
func (g *guard) enter(ctx context.Context, method string) (*asked, error) {
	w := console.WhoOf(ctx)
	r, known := rules[method]
	a := &asked{who: w, entry: entryOf(w)}
	a.entry.What = r.what
	switch {
	case w == nil || !known || !w.Role.Covers(viewer):
		return a, console.Forbidden("sign in first")
	case w.Way == console.ByLink:
		if !byLink[method] || w.Call == "" || !w.Bound() {
			return a, hidden()
		}
	}
	least := r.least
	if w.Bound() {
		if least = r.bound; least == nobody {
			return a, hidden()
		}
		a.scope = &scope{who: w, desk: g.desk}
	}
	if !w.Role.Covers(least) {
		return a, console.Forbidden("your role, " + string(w.Role) + ", does not cover this: it is for " + plural(least))
	}
	if asksAgain[method] && w.Role.Covers(admin) {
		return a, g.book.Again(w)
	}
	return a, nil
}

func plural(r console.Role) string {
	switch r {
	case admin:
		return "administrators"
	case reviewer:
		return "reviewers and administrators"
	}
	return "users"
}

// see does what changes nothing.
func see[T any](g *guard, ctx context.Context, method string, do func(a *asked) (T, error)) (T, error) {
	a, err := g.enter(ctx, method)
	if err != nil {
		var none T
		return none, err
	}
	v, err := do(a)
	return v, a.told(err)
}

// each is see for what calls a function with each of many.
func each(g *guard, ctx context.Context, method string, do func(a *asked) error) error {
	_, err := see(g, ctx, method, func(a *asked) (struct{}, error) { return struct{}{}, do(a) })
	return err
}

// change does what changes something, and notes in the audit that somebody did, or tried to. do says in a.entry what it was about. When it returns
// without an error the change is on disk, and so is the entry, unless the disk failed in between, which is logged and counted.
func change[T any](g *guard, ctx context.Context, method, subject string, do func(a *asked) (T, error)) (T, error) {
	a, err := g.enter(ctx, method)
	a.entry.Subject = subject
	var v T
	if err == nil {
		if v, err = do(a); err != nil {
			var none T
			v, err = none, a.told(err)
		}
	}
	switch {
	case err != nil && a.who != nil:
		a.entry.Failed = failure(err)
		a.entry.Change = 0
		g.book.failure(a.entry)
	case err == nil && !a.quiet:
		g.book.edits.Add(1)
		g.book.note(a.entry)
	}
	return v, err
}

// failure is why something was not done, in words that have nothing of what it was about: an error may name a caller.
func failure(err error) string {
	switch {
	case errors.Is(err, console.ErrForbidden):
		return "not for this role"
	case errors.Is(err, console.ErrNotFound):
		return "not there"
	case errors.Is(err, console.ErrBad):
		return "wrong request"
	case errors.Is(err, console.ErrConflict):
		return "conflict"
	case errors.Is(err, console.ErrNotRunning):
		return "the daemon is not running"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "broken off"
	case errors.Is(err, ErrLink):
		return "the link does not count any more"
	}
	return "failed"
}

// told is an error as who asks may read it. What a desk says of why something cannot be done may name lists and lines of others.
func (a *asked) told(err error) error {
	var theirs *yielded
	switch {
	case err == nil || a.scope == nil || errors.As(err, new(*inOurWords)):
		return err
	case errors.As(err, &theirs):
		return theirs.error
	case errors.Is(err, console.ErrBad): // about what they wrote
		return err
	case errors.Is(err, console.ErrNotFound):
		return hidden()
	case errors.Is(err, console.ErrConflict):
		return console.Conflict("this cannot be done as things are: ask who runs this telephone system")
	case errors.Is(err, console.ErrForbidden), errors.Is(err, ErrLink), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return errors.New("it could not be done: try again, or tell who runs this telephone system")
}

// inOurWords is an error that was written here, for who is bound.
type inOurWords struct{ error }

func (e *inOurWords) Unwrap() error { return e.error }

// yielded is an error of the function that was called with something, as of a connection that is gone: it goes back as it was.
type yielded struct{ error }

func (e *yielded) Unwrap() error { return e.error }

// back marks what a function that is called with each of many returns.
func back[T any](yield func(T) error) func(T) error {
	return func(v T) error {
		if err := yield(v); err != nil {
			return &yielded{err}
		}
		return nil
	}
}
