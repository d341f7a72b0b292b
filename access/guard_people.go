package access

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ringfence/console"
)

func (g *guard) Users(ctx context.Context) ([]console.User, error) {
	return see(g, ctx, "Users", func(*asked) ([]console.User, error) { return g.desk.Users(ctx) })
}

func (g *guard) AddUser(ctx context.Context, u console.NewUser) (*console.UserEdit, error) {
	return change(g, ctx, "AddUser", u.Name, func(a *asked) (*console.UserEdit, error) {
		a.entry.Detail = mayText(u.Role, u.Lines, u.Customer)
		return g.desk.AddUser(ctx, u)
	})
}

// mayText is what somebody may, in a line.
func mayText(role console.Role, lines []string, customer string) string {
	text := string(role)
	if len(lines) > 0 {
		text += " of " + strings.Join(lines, ", ")
	}
	if customer != "" {
		text += " of customer " + customer
	}
	return text
}

func (g *guard) SetUser(ctx context.Context, set console.UserSet) (*console.UserEdit, error) {
	return change(g, ctx, "SetUser", set.Name, func(a *asked) (*console.UserEdit, error) {
		if a.scope != nil || !a.who.Role.Covers(admin) {
			// One's own password is changed on the account's page, which asks for the one before.
			return nil, a.noAdmin()
		}
		e, err := g.desk.SetUser(ctx, set)
		if err != nil {
			return nil, err
		}
		a.quiet = e.Change == unchanged
		if a.entry.Detail = mayText(e.Role, e.Lines, e.Customer); set.Password != nil {
			a.entry.Detail += ", another password"
		}
		return e, nil
	})
}

// noAdmin is said of others to who is no administrator.
func (a *asked) noAdmin() error {
	if a.scope != nil {
		return hidden()
	}
	return console.Forbidden("your role, " + string(a.who.Role) + ", does not cover this: it is for " + plural(admin))
}

func (g *guard) RemoveUser(ctx context.Context, name string) (*console.UserEdit, error) {
	return change(g, ctx, "RemoveUser", name, func(a *asked) (*console.UserEdit, error) {
		e, err := g.desk.RemoveUser(ctx, name)
		if err == nil {
			a.quiet = e.Change == absent
			if len(e.Tokens) > 0 {
				a.entry.Detail = "with " + plenty(len(e.Tokens), "token") + ": " + strings.Join(e.Tokens, ", ")
			}
		}
		return e, err
	})
}

func (g *guard) Tokens(ctx context.Context) ([]console.Token, error) {
	return see(g, ctx, "Tokens", func(*asked) ([]console.Token, error) { return g.desk.Tokens(ctx) })
}

func (g *guard) AddToken(ctx context.Context, t console.NewToken) (*console.MadeToken, error) {
	return change(g, ctx, "AddToken", t.Name, func(a *asked) (*console.MadeToken, error) {
		m, err := g.desk.AddToken(ctx, t)
		if err == nil {
			a.entry.Detail = mayText(t.Role, t.Lines, t.Customer) + ", token " + m.ID
			if !t.Expires.IsZero() {
				a.entry.Detail += ", until " + t.Expires.Format("2006-01-02")
			}
		}
		return m, err
	})
}

func (g *guard) RevokeToken(ctx context.Context, id string) (*console.Token, error) {
	return change(g, ctx, "RevokeToken", id, func(a *asked) (*console.Token, error) {
		t, err := g.desk.RevokeToken(ctx, id)
		if err == nil {
			a.entry.Subject, a.entry.Detail = t.Name, "token "+t.ID
		}
		return t, err
	})
}

func (g *guard) Sessions(ctx context.Context) ([]console.Session, error) {
	return see(g, ctx, "Sessions", func(a *asked) ([]console.Session, error) { return g.sessions(ctx, a) })
}

// sessions are those that somebody may end: their own, or an administrator all.
func (g *guard) sessions(ctx context.Context, a *asked) ([]console.Session, error) {
	all, err := g.desk.Sessions(ctx)
	if err == nil && (a.scope != nil || !a.who.Role.Covers(admin)) {
		all = slices.DeleteFunc(all, func(s console.Session) bool {
			return a.who.Way != console.BySession || fold(s.User) != fold(a.who.Name)
		})
	}
	return all, err
}

func (g *guard) EndSession(ctx context.Context, id string) error {
	_, err := change(g, ctx, "EndSession", id, func(a *asked) (struct{}, error) {
		mine, err := g.sessions(ctx, a)
		if err != nil {
			return struct{}{}, err
		}
		i := slices.IndexFunc(mine, func(s console.Session) bool { return s.ID == id })
		if i < 0 {
			return struct{}{}, console.NotFound("there is no such session: it may have ended by itself")
		}
		a.entry.Detail = "of " + mine[i].User
		return struct{}{}, g.desk.EndSession(ctx, id)
	})
	return err
}

func (g *guard) Audit(ctx context.Context, q console.AuditQuery, yield func(console.AuditEntry) error) error {
	return each(g, ctx, "Audit", func(*asked) error {
		err := g.desk.Audit(ctx, q, yield)
		if errors.Is(err, console.ErrNotFound) {
			return nil
		}
		return err
	})
}
