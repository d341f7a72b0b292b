package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"ringfence/conf"
	"ringfence/console"
)

// oidcSignIn lets another server say who somebody is, by the authorization code flow with PKCE, state and nonce.
type oidcSignIn struct {
	conf *conf.OIDC
	back string // where that server sends people to
	http *http.Client

	failed seldom

	mu       sync.Mutex
	provider *oidc.Provider // nil: it has not been reached yet
	reaching *reaching      // that server, at this moment; nil: nobody does
}

// reaching is one try to reach the other server, whose end all wait for who sign in meanwhile.
type reaching struct {
	done     chan struct{}
	provider *oidc.Provider
	err      error
}

const (
	oidcWait = 10 * time.Second // for each answer of that server, and twice that for all that one step of a sign-in needs
	oidcTime = 10 * time.Minute // to sign in there
	maxOIDC  = 1 << 20          // bytes of an answer
	maxClaim = 1000             // values of the claim that are looked at
)

// oidcBack is where the other server sends people to, under the console's address.
const oidcBack = "/signin/oidc/back"

func newOIDC(c *conf.Console) *oidcSignIn {
	return &oidcSignIn{conf: c.OIDC, back: c.URL + oidcBack, http: &http.Client{Timeout: oidcWait, Transport: boundedAnswers{http.DefaultTransport}}}
}

// boundedAnswers reads no more of an answer than is needed.
type boundedAnswers struct{ next http.RoundTripper }

func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxOIDC), resp.Body}
	}
	return resp, err
}

// oidcBegun is what has to come back with a browser that signs in there.
type oidcBegun struct{ State, Nonce, Verifier, Next string }

// context has what is asked of the other server go through our client. The library keeps it for as long as the provider, so that it must not end.
func (o *oidcSignIn) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, o.http)
}

// reach reaches the other server, if it was not reached before. Nobody waits for more than one try, whoever else waits for it.
func (o *oidcSignIn) reach(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	if o.provider != nil {
		defer o.mu.Unlock()
		return o.provider, nil
	}
	r := o.reaching
	if r == nil {
		r = &reaching{done: make(chan struct{})}
		o.reaching = r
		// Not for as long as who asks first: he may go, and others wait for it too. The client gives it a deadline.
		go o.try(context.WithoutCancel(ctx), r)
	}
	o.mu.Unlock()
	select {
	case <-r.done:
		return r.provider, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (o *oidcSignIn) try(ctx context.Context, r *reaching) {
	r.provider, r.err = oidc.NewProvider(o.context(ctx), o.conf.Issuer)
	if r.err != nil {
		r.err = fmt.Errorf("the server %s does not say how to sign in: %w", o.conf.Issuer, r.err)
	}
	o.mu.Lock()
	o.provider, o.reaching = r.provider, nil
	o.mu.Unlock()
	close(r.done)
}

// server is the other server, and what is needed to ask it.
func (o *oidcSignIn) server(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	provider, err := o.reach(ctx)
	if err != nil {
		return nil, nil, err
	}
	secret, err := o.conf.ReadSecret()
	if err != nil {
		return nil, nil, err
	}
	return provider, &oauth2.Config{
		ClientID: o.conf.ClientID, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: o.back,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}, nil
}

// begin gives the address of the other server to sign in at, and what has to come back.
func (o *oidcSignIn) begin(ctx context.Context, next string) (address string, b *oidcBegun, err error) {
	_, config, err := o.server(ctx)
	if err != nil {
		return "", nil, err
	}
	b = &oidcBegun{State: oauth2.GenerateVerifier(), Nonce: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier(), Next: next}
	return config.AuthCodeURL(b.State, oidc.Nonce(b.Nonce), oauth2.S256ChallengeOption(b.Verifier)), b, nil
}

// person is whom another server says somebody is.
type person struct {
	Issuer, Subject string
	Name            string
	Role            console.Role
}

// errNoRole is about somebody who is known there, and may nothing here.
var errNoRole = errors.New("no role")

// finish asks the other server who it was that came back with a code.
func (o *oidcSignIn) finish(ctx context.Context, b *oidcBegun, code string, now func() time.Time) (*person, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*oidcWait)
	defer cancel()
	provider, config, err := o.server(ctx)
	if err != nil {
		return nil, err
	}
	ctx = o.context(ctx)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(b.Verifier))
	if err != nil {
		return nil, fmt.Errorf("the code was not taken: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("it gave no ID token")
	}
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: o.conf.ClientID, Now: now}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("its ID token is not to be believed: %w", err)
	}
	if id.Nonce != b.Nonce {
		return nil, errors.New("its ID token is of another sign-in")
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return nil, fmt.Errorf("its ID token cannot be read: %w", err)
	}
	if _, has := claimOf(claims, o.conf.RoleClaim); !has && provider.UserInfoEndpoint() != "" {
		info, err := provider.UserInfo(ctx, config.TokenSource(ctx, token))
		switch {
		case err != nil:
			return nil, fmt.Errorf("it does not say who this is: %w", err)
		case info.Subject != id.Subject:
			return nil, errors.New("it says that this is another one than its ID token does")
		}
		more := map[string]any{}
		if err := info.Claims(&more); err != nil {
			return nil, fmt.Errorf("what it says of who this is cannot be read: %w", err)
		}
		for name, v := range more {
			if _, has := claims[name]; !has { // what is signed counts more
				claims[name] = v
			}
		}
	}
	p := &person{Issuer: id.Issuer, Subject: id.Subject, Name: nameIn(claims, id.Subject)}
	value, _ := claimOf(claims, o.conf.RoleClaim)
	p.Role = roleOf(value, o.conf.Roles)
	if p.Role == "" {
		return p, errNoRole
	}
	return p, nil
}

// claimOf is a claim by its name, or by the way to it within others, as in realm_access.roles.
func claimOf(claims map[string]any, name string) (v any, has bool) {
	if v, has = claims[name]; has {
		return v, true
	}
	first, rest, nested := strings.Cut(name, ".")
	if !nested {
		return nil, false
	}
	within, ok := claims[first].(map[string]any)
	if !ok {
		return nil, false
	}
	return claimOf(within, rest)
}

// roleOf is the highest role that a claim's value, or one of its values, stands for; "" for none.
func roleOf(value any, roles map[string]string) (best console.Role) {
	values, several := value.([]any)
	if !several {
		values = []any{value}
	}
	for _, v := range values[:min(len(values), maxClaim)] {
		text, ok := v.(string)
		if !ok {
			continue
		}
		if role := console.Role(roles[text]); role.Covers(console.Viewer) && (best == "" || role.Covers(best)) {
			best = role
		}
	}
	return best
}

// nameIn is what people call somebody. Two may have one name: who they are the subject says.
func nameIn(claims map[string]any, subject string) string {
	for _, claim := range []string{"preferred_username", "email", "name"} {
		if text, ok := claims[claim].(string); ok && strings.TrimSpace(text) != "" {
			return text
		}
	}
	return subject
}
