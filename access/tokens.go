package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
)

// Tokens of scripts. One that a user of the console made goes with the user, and may never more than they do at that moment: who was shown the
// door, or is to see less, must not have kept a key.

// tokenMark begins the secret of each token, so that one that lies about is known for what it is.
const tokenMark = "rf_"

// Token is whose token a secret is, nil if it is none, or has expired. address is where it comes from.
func (b *Book) Token(secret, address string) *console.Who {
	if !strings.HasPrefix(secret, tokenMark) {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	t := b.tokens[hashOf(secret)]
	now := b.o.Now()
	if t == nil || expired(t, now) {
		return nil
	}
	if minute := now.Truncate(time.Minute).Unix(); minute > t.used.Load() {
		t.used.Store(minute)
	}
	return b.whoOfToken(t, shownAddress(address))
}

func expired(t *token, now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// whoOfToken is who comes with a token, nil if it is good for nothing now. b.mu is held.
func (b *Book) whoOfToken(t *token, address string) *console.Who {
	role, lines, customer := b.rights(t)
	if role == nobody {
		return nil
	}
	return &console.Who{Name: t.Name, Way: console.ByToken, Address: address, Session: t.ID, Role: role, Lines: lines, Customer: customer}
}

// rights are what a token is good for now: what it was made for, as far as the user who made it may do that as well. b.mu is held.
func (b *Book) rights(t *token) (role console.Role, lines []string, customer string) {
	role, lines, customer = t.Role, slices.Clone(t.Lines), t.Customer
	if t.User == "" {
		return role, lines, customer
	}
	u := b.users[fold(t.User)]
	if u == nil {
		return nobody, nil, ""
	}
	if !u.Role.Covers(role) {
		role = u.Role
	}
	switch {
	case len(u.Lines) == 0 && u.Customer == "":
		return role, lines, customer
	case len(lines) == 0 && customer == "":
		return role, slices.Clone(u.Lines), u.Customer
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return !slices.Contains(u.Lines, l) })
	if customer != u.Customer {
		customer = ""
	}
	if len(lines) == 0 && customer == "" { // it would see everything
		return nobody, nil, ""
	}
	return role, lines, customer
}

// Tokens are all of them, those that were made first before.
func (b *Book) Tokens(ctx context.Context) ([]console.Token, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []console.Token
	for _, t := range b.tokens {
		out = append(out, b.shownToken(t))
	}
	slices.SortFunc(out, func(x, y console.Token) int { return cmp.Or(x.Added.Compare(y.Added), cmp.Compare(x.ID, y.ID)) })
	return out, nil
}

// shownToken is a token as it is listed: with what it is good for now. b.mu is held.
func (b *Book) shownToken(t *token) console.Token {
	out := t.Token
	if role, lines, customer := b.rights(t); role == nobody {
		out.Lines, out.Nothing = slices.Clone(t.Lines), true
	} else {
		out.Role, out.Lines, out.Customer = role, lines, customer
	}
	if at := t.used.Load(); at > out.LastUsed.Unix() {
		out.LastUsed = time.Unix(at, 0).UTC()
	}
	return out
}

// AddToken makes a token. Its secret is kept nowhere.
func (b *Book) AddToken(ctx context.Context, n console.NewToken) (*console.MadeToken, error) {
	if err := errors.Join(checkName(n.Name), checkBound(n.Role, n.Lines, n.Customer)); err != nil {
		return nil, err
	}
	now := b.o.Now().UTC()
	if !n.Expires.IsZero() && !n.Expires.After(now) {
		return nil, console.Bad("the token would have expired already: give a time to come")
	}
	b.change.Lock()
	defer b.change.Unlock()
	b.mu.RLock()
	many, same := len(b.tokens), false
	for _, t := range b.tokens {
		same = same || fold(t.Name) == fold(n.Name)
	}
	maker, known := b.makerOf(console.WhoOf(ctx))
	b.mu.RUnlock()
	switch {
	case !known:
		return nil, console.Forbidden("you were signed out, or your token was revoked: sign in again")
	case same:
		return nil, console.Conflict(fmt.Sprintf("there is a token %s already: choose another name, or revoke it first", n.Name))
	case many >= MaxTokens:
		return nil, console.Conflict(fmt.Sprintf("there are %d tokens, the most there may be: revoke some that nobody uses", MaxTokens))
	}
	secret := tokenMark + newSecret()
	t := &token{used: &atomic.Int64{}, Token: console.Token{
		ID: newID(), Name: n.Name, Role: n.Role, Lines: n.Lines, Customer: n.Customer, Added: now, Who: number.InertUpTo(console.ByOf(ctx).Who, maxName), User: maker, Expires: n.Expires,
	}}
	t.used.Store(t.LastUsed.Unix())
	h := hashOf(secret)
	if err := b.write([]storage.AccessRow{row(storage.AccessTokens, h.key(), &t.Token)}, func() { b.tokens[h] = t }); err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return &console.MadeToken{Token: b.shownToken(t), Secret: secret}, nil
}

// makerOf is the user on whose behalf a token is made, "" for who is at the machine itself; one that a token makes is of the same user as that. false: of
// who asks nothing is known any more. b.mu is held.
func (b *Book) makerOf(w *console.Who) (user string, known bool) {
	switch {
	case w == nil || w.Way == console.BySocket:
		return "", true
	case w.Way == console.ByToken:
		for _, t := range b.tokens {
			if t.ID == w.Session {
				return t.User, true
			}
		}
		return "", false
	}
	return w.Name, b.users[fold(w.Name)] != nil
}

// tokensOf are the tokens that a user made. b.mu is held.
func (b *Book) tokensOf(key string) (all []hash, names []string) {
	for h, t := range b.tokens {
		if t.User != "" && fold(t.User) == key {
			all, names = append(all, h), append(names, t.Name)
		}
	}
	slices.Sort(names)
	return all, names
}

// RevokeToken takes a token away, by its ID or its name.
func (b *Book) RevokeToken(ctx context.Context, id string) (*console.Token, error) {
	b.change.Lock()
	defer b.change.Unlock()
	var h hash
	var found *token
	b.mu.RLock()
	for at, t := range b.tokens {
		if t.ID == id || found == nil && fold(t.Name) == fold(id) {
			h, found = at, t
		}
		if t.ID == id {
			break
		}
	}
	b.mu.RUnlock()
	if found == nil {
		return nil, console.NotFound(fmt.Sprintf("there is no token %s: `ringfence token ls` names those there are", number.InertUpTo(id, maxName)))
	}
	if err := b.write([]storage.AccessRow{row(storage.AccessTokens, h.key(), nil)}, func() { delete(b.tokens, h) }); err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	t := b.shownToken(found)
	return &t, nil
}
