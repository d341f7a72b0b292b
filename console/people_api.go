package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// servePeople serves who may use the console.
func servePeople(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/users", ask(func(r *http.Request) (any, error) {
		all, err := d.Users(r.Context())
		return nonNil(all), err
	}))
	mux.HandleFunc("POST /api/v1/users", answer(func(r *http.Request, u NewUser) (any, error) { return d.AddUser(r.Context(), u) }))
	mux.HandleFunc("PATCH /api/v1/users/{name}", answer(func(r *http.Request, set UserSet) (any, error) {
		if set.Name != "" && set.Name != r.PathValue("name") {
			return nil, Bad("a user keeps the name: leave name out, or add a user of the new name and remove this one")
		}
		set.Name = r.PathValue("name")
		return d.SetUser(r.Context(), set)
	}))
	mux.HandleFunc("DELETE /api/v1/users/{name}", ask(func(r *http.Request) (any, error) { return d.RemoveUser(r.Context(), r.PathValue("name")) }))
	mux.HandleFunc("GET /api/v1/tokens", ask(func(r *http.Request) (any, error) {
		all, err := d.Tokens(r.Context())
		return nonNil(all), err
	}))
	mux.HandleFunc("POST /api/v1/tokens", answer(func(r *http.Request, t NewToken) (any, error) { return d.AddToken(r.Context(), t) }))
	mux.HandleFunc("DELETE /api/v1/tokens/{id}", ask(func(r *http.Request) (any, error) { return d.RevokeToken(r.Context(), r.PathValue("id")) }))
	mux.HandleFunc("GET /api/v1/sessions", ask(func(r *http.Request) (any, error) {
		all, err := d.Sessions(r.Context())
		return nonNil(all), err
	}))
	mux.HandleFunc("DELETE /api/v1/sessions/{id}", ask(func(r *http.Request) (any, error) {
		return SessionEnded{r.PathValue("id")}, d.EndSession(r.Context(), r.PathValue("id"))
	}))
	mux.HandleFunc("GET /api/v1/audit", func(w http.ResponseWriter, r *http.Request) {
		q, err := auditQuery(r.URL.Query())
		if err != nil {
			writeError(w, err)
			return
		}
		stream(w, func(yield func(any) error) error {
			return d.Audit(r.Context(), q, func(e AuditEntry) error { return yield(e) })
		})
	})
}

// SessionEnded is a session that was ended.
type SessionEnded struct {
	ID string `json:"id"`
}

// maxAudit is how many entries of the audit one answer has at most.
const maxAudit = 10_000

func auditQuery(v url.Values) (AuditQuery, error) {
	q := AuditQuery{Who: v.Get("who"), What: v.Get("what"), Cursor: v.Get("cursor")}
	for name, at := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := v.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return q, Bad(name + " is not a time like 2026-11-24T08:00:00Z")
			}
			*at = t
		}
	}
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxAudit {
			return q, Bad("limit is a whole number, " + strconv.Itoa(maxAudit) + " at most")
		}
		q.Limit = n
	}
	return q, nil
}

func (c *Client) Users(ctx context.Context) ([]User, error) {
	return call[[]User](ctx, c, "GET", "users", nil)
}

func (c *Client) AddUser(ctx context.Context, u NewUser) (*UserEdit, error) {
	return call[*UserEdit](ctx, c, "POST", "users", u)
}

func (c *Client) SetUser(ctx context.Context, set UserSet) (*UserEdit, error) {
	return call[*UserEdit](ctx, c, "PATCH", "users/"+url.PathEscape(set.Name), set)
}

func (c *Client) RemoveUser(ctx context.Context, name string) (*UserEdit, error) {
	return call[*UserEdit](ctx, c, "DELETE", "users/"+url.PathEscape(name), nil)
}

func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return call[[]Token](ctx, c, "GET", "tokens", nil)
}

func (c *Client) AddToken(ctx context.Context, t NewToken) (*MadeToken, error) {
	return call[*MadeToken](ctx, c, "POST", "tokens", t)
}

func (c *Client) RevokeToken(ctx context.Context, id string) (*Token, error) {
	return call[*Token](ctx, c, "DELETE", "tokens/"+url.PathEscape(id), nil)
}

func (c *Client) Sessions(ctx context.Context) ([]Session, error) {
	return call[[]Session](ctx, c, "GET", "sessions", nil)
}

func (c *Client) EndSession(ctx context.Context, id string) error {
	_, err := call[SessionEnded](ctx, c, "DELETE", "sessions/"+url.PathEscape(id), nil)
	return err
}

func (c *Client) Audit(ctx context.Context, q AuditQuery, yield func(AuditEntry) error) error {
	v := url.Values{"who": {q.Who}, "what": {q.What}, "cursor": {q.Cursor}, "limit": {strconv.Itoa(q.Limit)}}
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			v.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	return lines(ctx, c, "audit?"+v.Encode(), yield)
}
