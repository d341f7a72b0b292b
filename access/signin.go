package access

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
)

// ErrSignIn is all that is said of a sign-in that failed: not whether there is such a user.
var ErrSignIn = errors.New("the name or the password is wrong")

// How somebody signed in (in the audit, and with a session).
const (
	byPassword = "password"
	byPasskey  = "passkey"
	byOIDC     = "oidc"
	byInvite   = "one-time link"
)

// SignIn begins a session of a user who knows the password. The secret is for the cookie. ErrSignIn if they do not match, *TooMany if it must be tried
// again later, ErrInvalid where from says nothing.
func (b *Book) SignIn(ctx context.Context, name, password string, from Origin) (secret string, w *console.Who, err error) {
	key := fold(name)
	kept, err := b.tryPassword(ctx, key, password, from)
	if err != nil {
		return "", nil, err
	}
	// A password made with less than is usual now is kept anew, while it is known.
	return b.begin(key, byPassword, from, func(u *user) error {
		if u.Password != kept.was {
			return ErrSignIn // it was changed meanwhile
		}
		u.Password = cmp.Or(kept.anew, u.Password)
		return nil
	})
}

// CheckPassword reports whether a password is a user's, for who changes it: ErrSignIn if not. It is bounded as SignIn is.
func (b *Book) CheckPassword(ctx context.Context, name, password string, from Origin) error {
	_, err := b.tryPassword(ctx, fold(name), password, from)
	return err
}

type keptPassword struct{ was, anew string }

func (b *Book) tryPassword(ctx context.Context, key, password string, from Origin) (kept keptPassword, err error) {
	if len(password) > maxPassword || len(key) > 4*maxName {
		return kept, ErrSignIn
	}
	now := b.o.Now()
	where, loopback := network(from.Address)
	u := b.user(key)
	familiar := u != nil && slices.Contains(u.From, where)
	l, place := byAddress, where
	if loopback {
		l, place = byLoopback, where+"\x00"+key
	}
	wait := b.addresses.begin(place, l, now)
	if wait == 0 && !familiar {
		wait = b.accounts.begin(key, byAccount, now)
	}
	if wait > 0 {
		return kept, &TooMany{Wait: wait}
	}
	done, err := b.hash(ctx, familiar)
	if err != nil { // nothing was tried: who comes while others flood us is not to wait for it as well
		b.addresses.forgive(place, false)
		b.accounts.forgive(key, false)
		return kept, err
	}
	if u != nil {
		kept.was = u.Password
	}
	right, again := rightPassword(b.derive, b.cost, kept.was, password)
	if right && again {
		kept.anew = makePassword(b.cost, password)
	}
	done()
	if !right {
		b.failedSignIn(u, byPassword, from, "wrong name or password")
		return kept, ErrSignIn
	}
	b.addresses.forgive(place, false)
	b.accounts.forgive(key, true)
	return kept, nil
}

// failedSignIn notes a sign-in that failed. A name that nobody has may be a password that was typed in the wrong place, so it is not noted.
func (b *Book) failedSignIn(u *user, how string, from Origin, why string) {
	who := ""
	if u != nil {
		who = u.Name
	}
	b.failure(storage.AuditEntry{Who: who, Way: console.BySession, Address: shownAddress(from.Address), What: "sign in", Detail: how, Failed: why})
}

// begin begins a session of a user, after what edit makes of the user.
func (b *Book) begin(key, how string, from Origin, edit func(*user) error, rows ...storage.AccessRow) (secret string, w *console.Who, err error) {
	b.change.Lock()
	defer b.change.Unlock()
	had := b.user(key)
	if had == nil {
		return "", nil, ErrSignIn
	}
	now := b.o.Now()
	u := *had
	if edit != nil {
		if err := edit(&u); err != nil {
			return "", nil, err
		}
	}
	u.Seen = now
	where, _ := network(from.Address)
	u.From = append(slices.DeleteFunc(slices.Clone(u.From), func(n string) bool { return n == where }), where)
	if len(u.From) > 8 {
		u.From = u.From[len(u.From)-8:]
	}
	secret = newSecret()
	s := &session{
		ID: newID(), User: key, How: how, Began: now, Seen: now.Truncate(time.Second), Address: shownAddress(from.Address),
		Browser: number.InertUpTo(from.Browser, 200), seen: &atomic.Int64{},
	}
	s.seen.Store(now.Unix())
	h := hashOf(secret)
	gone := b.crowded(key, how == byInvite)
	rows = append(rows, userRow(key, &u), row(storage.AccessSessions, h.key(), s))
	for _, o := range gone {
		rows = append(rows, row(storage.AccessSessions, o.key(), nil))
	}
	err = b.write(rows, func() {
		b.users[key], b.sessions[h] = &u, s
		for _, o := range gone {
			delete(b.sessions, o)
		}
	}, storage.AuditEntry{Who: u.Name, Way: console.BySession, Address: s.Address, What: "sign in", Subject: u.Name, Detail: how + ", session " + s.ID})
	if err != nil {
		return "", nil, err
	}
	return secret, b.whoOf(&u, s, s.Address), nil
}

// crowded are the sessions that give way to a new one of a user, of all of the user's with all.
func (b *Book) crowded(key string, all bool) (gone []hash) {
	type aged struct {
		hash
		seen int64
	}
	var own, others []aged
	b.mu.RLock()
	for h, s := range b.sessions {
		if s.User == key {
			own = append(own, aged{h, s.seen.Load()})
		} else {
			others = append(others, aged{h, s.seen.Load()})
		}
	}
	b.mu.RUnlock()
	byAge := func(x, y aged) int { return cmp.Compare(x.seen, y.seen) }
	slices.SortFunc(own, byAge)
	for i := range own {
		if all || len(own)-i >= MaxUserSessions {
			gone = append(gone, own[i].hash)
		}
	}
	if len(own)-len(gone)+len(others) >= MaxSessions && len(others) > 0 {
		gone = append(gone, slices.MinFunc(others, byAge).hash)
		b.SessionsFull.Add(1)
	}
	return gone
}

// over reports whether a session has ended by itself.
func (b *Book) over(s *session, now time.Time) bool {
	return now.Sub(s.Began) >= sessionWhole || now.Sub(time.Unix(s.seen.Load(), 0)) >= sessionIdle
}

func (b *Book) whoOf(u *user, s *session, address string) *console.Who {
	return &console.Who{
		Name: u.Name, Way: console.BySession, Address: address, Session: s.ID, Role: u.Role, Lines: slices.Clone(u.Lines), Customer: u.Customer,
	}
}

// Session is whose session a secret is of, as they are now; nil if it is none, or over. That it was asked for keeps it from being idle.
func (b *Book) Session(secret string) *console.Who {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := b.sessions[hashOf(secret)]
	now := b.o.Now()
	if s == nil || b.over(s, now) {
		return nil
	}
	u := b.users[s.User]
	if u == nil {
		return nil
	}
	if minute := now.Truncate(time.Minute).Unix(); minute > s.seen.Load() {
		s.seen.Store(minute)
	}
	return b.whoOf(u, s, s.Address)
}

// AgainPath is the sign-in for who is signed in.
const AgainPath = "/signin?again=1"

// Again refuses who is signed in for longer than some minutes what lets somebody in later, such as another passkey.
func (b *Book) Again(w *console.Who) error {
	if w.Way != console.BySession {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := b.o.Now()
	for _, s := range b.sessions {
		if age := now.Sub(s.Began); s.ID == w.Session && age < signedInFor && age > -signedInFor {
			return nil
		}
	}
	return console.Conflict("this lets somebody in later, and you signed in more than five minutes ago: sign in once more at " + AgainPath + " and do it again")
}

// SignOut ends the session of a secret. One that is over already is no error.
func (b *Book) SignOut(secret string) error {
	h := hashOf(secret)
	b.change.Lock()
	defer b.change.Unlock()
	b.mu.RLock()
	s := b.sessions[h]
	b.mu.RUnlock()
	if s == nil {
		return nil
	}
	return b.write([]storage.AccessRow{row(storage.AccessSessions, h.key(), nil)}, func() { delete(b.sessions, h) },
		storage.AuditEntry{Who: b.nameOf(s.User), Way: console.BySession, Address: s.Address, What: "sign out", Detail: "session " + s.ID})
}

func (b *Book) nameOf(key string) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if u := b.users[key]; u != nil {
		return u.Name
	}
	return key
}

// fresh is who somebody is now, whose session or token may have ended since; nil if they may nothing any more.
func (b *Book) fresh(w *console.Who) *console.Who {
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := b.o.Now()
	switch w.Way {
	case console.BySession:
		for _, s := range b.sessions {
			if u := b.users[s.User]; s.ID == w.Session && u != nil && !b.over(s, now) {
				return b.whoOf(u, s, w.Address)
			}
		}
		return nil
	case console.ByToken:
		for _, t := range b.tokens {
			if t.ID == w.Session && !expired(t, now) {
				return b.whoOfToken(t, w.Address)
			}
		}
		return nil
	}
	return w
}

// OIDCUser is what another server says of somebody who signed in there.
type OIDCUser struct {
	Issuer, Subject string // who it is, whatever else changes
	Name            string
	Role            console.Role
	Lines           []string
	Customer        string
}

// SignInFrom begins a session of somebody whom another server vouches for. The account is made the first time, and is what that server says each time. A name
// that an account of this console has already is not taken over: ErrConflict.
func (b *Book) SignInFrom(ctx context.Context, o OIDCUser, from Origin) (secret string, w *console.Who, err error) {
	if o.Issuer == "" || o.Subject == "" {
		return "", nil, console.Bad("the other server does not say who signed in")
	}
	if err := checkBound(o.Role, o.Lines, o.Customer); err != nil {
		return "", nil, err
	}
	b.change.Lock()
	key, add := b.oidcKey(&o)
	err = b.nameOIDC(&o, key, add)
	if err == nil && add {
		u := &user{Name: o.Name, Role: o.Role, Added: b.o.Now(), Handle: newHandle(), Issuer: o.Issuer, Subject: o.Subject}
		err = b.write([]storage.AccessRow{userRow(key, u)}, func() { b.users[key], b.byHandle[string(u.Handle)] = u, key },
			storage.AuditEntry{Who: o.Name, Way: console.BySession, Address: shownAddress(from.Address), What: "user add", Subject: o.Name, Detail: "by the sign-in of " + number.InertUpTo(o.Issuer, 200)})
	}
	b.change.Unlock()
	if err != nil {
		b.failure(storage.AuditEntry{Way: console.BySession, Address: shownAddress(from.Address), What: "sign in", Detail: byOIDC, Failed: "the account cannot be made"})
		return "", nil, err
	}
	return b.begin(key, byOIDC, from, func(u *user) error {
		u.Role, u.Lines, u.Customer = o.Role, o.Lines, o.Customer
		return nil
	})
}

// oidcKey is the key of the account of somebody, and whether it is yet to be made.
func (b *Book) oidcKey(o *OIDCUser) (key string, add bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for key, u := range b.users {
		if u.Issuer == o.Issuer && u.Subject == o.Subject {
			return key, false
		}
	}
	return fold(o.Name), true
}

func (b *Book) nameOIDC(o *OIDCUser, key string, add bool) error {
	if !add {
		return nil
	}
	if err := checkName(o.Name); err != nil {
		return err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch {
	case b.users[key] != nil:
		return console.Conflict(fmt.Sprintf("there is another account of the name %s here: an administrator has to remove it first", o.Name))
	case len(b.users) >= MaxUsers:
		return console.Conflict(fmt.Sprintf("there are %d users, the most there may be", MaxUsers))
	}
	return nil
}

// PasskeysOf are the passkeys of a user, and the handle that their devices know the user by. ErrNotFound if there is no such user.
func (b *Book) PasskeysOf(name string) (handle []byte, keys []Passkey, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	u := b.users[fold(name)]
	if u == nil {
		return nil, nil, noUser(name)
	}
	return bytes.Clone(u.Handle), slices.Clone(u.Passkeys), nil
}

// UserByHandle is the name of the user with a handle, "" if there is none.
func (b *Book) UserByHandle(handle []byte) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if u := b.users[b.byHandle[string(handle)]]; u != nil {
		return u.Name
	}
	return ""
}

// AddPasskey gives a user a passkey, whose Added is set here.
func (b *Book) AddPasskey(ctx context.Context, name string, k Passkey) error {
	if len(k.ID) == 0 || len(k.ID) > 1024 || len(k.Data) > 4096 || !json.Valid(k.Data) {
		return console.Bad("this passkey cannot be kept: it is larger than those of other devices")
	}
	k.Name, k.Added = cmp.Or(number.InertUpTo(k.Name, maxName), "passkey"), b.o.Now()
	return b.editPasskeys(ctx, name, "passkey add", k.Name, func(u *user) error {
		if u.Issuer != "" { // the other server says at each sign-in what they may do, and a passkey would not ask it
			return console.Conflict("who signs in by another server has no passkey here: that server has them")
		}
		if slices.ContainsFunc(u.Passkeys, func(o Passkey) bool { return bytes.Equal(o.ID, k.ID) }) {
			return console.Conflict("this device has a passkey here already")
		}
		if len(u.Passkeys) >= MaxPasskeys {
			return console.Conflict(fmt.Sprintf("there are %d passkeys, the most that one user may have: remove one first", MaxPasskeys))
		}
		u.Passkeys = append(slices.Clone(u.Passkeys), k)
		return nil
	})
}

// RemovePasskey takes a passkey from a user. ErrNotFound if there is none of that ID.
func (b *Book) RemovePasskey(ctx context.Context, name string, id []byte) error {
	return b.editPasskeys(ctx, name, "passkey remove", "", func(u *user) error {
		keys := slices.DeleteFunc(slices.Clone(u.Passkeys), func(o Passkey) bool { return bytes.Equal(o.ID, id) })
		if len(keys) == len(u.Passkeys) {
			return console.NotFound("there is no such passkey")
		}
		u.Passkeys = keys
		return nil
	})
}

func (b *Book) editPasskeys(ctx context.Context, name, what, detail string, edit func(*user) error) error {
	key := fold(name)
	b.change.Lock()
	defer b.change.Unlock()
	had := b.user(key)
	if had == nil {
		return noUser(name)
	}
	u := *had
	if err := edit(&u); err != nil {
		return err
	}
	e := entryOf(console.WhoOf(ctx))
	e.What, e.Subject, e.Detail = what, u.Name, detail
	return b.write([]storage.AccessRow{userRow(key, &u)}, func() { b.users[key] = &u }, e)
}

// UsedPasskey begins a session of a user who showed a passkey, which was checked; what is kept of it becomes what k says.
func (b *Book) UsedPasskey(ctx context.Context, name string, k Passkey, from Origin) (secret string, w *console.Who, err error) {
	return b.begin(fold(name), byPasskey, from, func(u *user) error {
		i := slices.IndexFunc(u.Passkeys, func(o Passkey) bool { return bytes.Equal(o.ID, k.ID) })
		if i < 0 || u.Issuer != "" {
			return ErrSignIn
		}
		u.Passkeys = slices.Clone(u.Passkeys)
		u.Passkeys[i].Used = b.o.Now()
		if len(k.Data) > 0 && len(k.Data) <= 4096 && json.Valid(k.Data) {
			u.Passkeys[i].Data = k.Data
		}
		return nil
	})
}
