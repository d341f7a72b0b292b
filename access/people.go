package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
)

// What console.People asks. Who may do it is for Guard to say.

// What became of a user (console.UserEdit.Change).
const (
	added     = "added"
	updated   = "updated"
	unchanged = "unchanged"
	removed   = "removed"
	absent    = "absent"
)

func noUser(name string) error {
	return console.NotFound(fmt.Sprintf("there is no user %s: `ringfence user ls` names those there are", number.InertUpTo(name, maxName)))
}

// checkName says what is wrong with the name of a user or a token.
func checkName(name string) error {
	switch {
	case name == "":
		return console.Bad("the name is missing")
	case utf8.RuneCountInString(name) > maxName, number.InertUpTo(name, maxName) != name, strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '/' }):
		return console.Bad(fmt.Sprintf("%s is no name here: write at most %d letters and digits, and such as . - _ @", number.InertUpTo(name, maxName), maxName))
	}
	return nil
}

// checkBound says what is wrong with what somebody shall be.
func checkBound(role console.Role, lines []string, customer string) error {
	if !role.Covers(console.Viewer) {
		return console.Bad(fmt.Sprintf("%.40q is no role: write viewer, reviewer or admin", role))
	}
	if len(lines) > MaxBound {
		return console.Bad(fmt.Sprintf("%d lines are too many to bind somebody to, at most %d: name their customer", len(lines), MaxBound))
	}
	for _, l := range append(slices.Clone(lines), customer) {
		if len(l) > 200 || number.InertUpTo(l, 200) != l {
			return console.Bad(fmt.Sprintf("%s is no name of a line or a customer", number.InertUpTo(l, maxName)))
		}
	}
	if slices.Contains(lines, "") {
		return console.Bad("the name of a line is empty: leave it out, or nobody is bound by it")
	}
	return nil
}

func (b *Book) shown(key string, u *user, now time.Time) console.User {
	out := console.User{
		Name: u.Name, Role: u.Role, Lines: slices.Clone(u.Lines), Customer: u.Customer, Added: u.Added, LastSeen: u.Seen.Truncate(time.Minute),
		Password: u.Password != "", OIDC: u.Issuer != "",
	}
	for _, k := range u.Passkeys {
		out.Passkeys = append(out.Passkeys, k.Name)
	}
	for _, l := range b.links {
		if l.User == key && now.Before(l.Expires) {
			out.Invited = l.Expires
		}
	}
	for _, s := range b.sessions {
		if s.User != key || b.over(s, now) {
			continue
		}
		out.Sessions++
		if seen := time.Unix(s.seen.Load(), 0).UTC().Truncate(time.Minute); seen.After(out.LastSeen) {
			out.LastSeen = seen
		}
	}
	return out
}

// Users are all of them, by their names.
func (b *Book) Users(ctx context.Context) ([]console.User, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := b.o.Now()
	invited, sessions := map[string]time.Time{}, map[string][]*session{}
	for _, l := range b.links {
		if l.User != "" && now.Before(l.Expires) {
			invited[l.User] = l.Expires
		}
	}
	for _, s := range b.sessions {
		if !b.over(s, now) {
			sessions[s.User] = append(sessions[s.User], s)
		}
	}
	few := Book{} // what shown looks through is of one user each
	var out []console.User
	for key, u := range b.users {
		few.sessions, few.links = map[hash]*session{}, map[hash]*link{}
		for i, s := range sessions[key] {
			few.sessions[hash{byte(i), byte(i >> 8)}] = s
		}
		if at, ok := invited[key]; ok {
			few.links[hash{}] = &link{User: key, Expires: at}
		}
		out = append(out, few.shown(key, u, now))
	}
	slices.SortFunc(out, func(x, y console.User) int { return cmp.Compare(fold(x.Name), fold(y.Name)) })
	return out, nil
}

// AddUser makes a user; without a password there is a link to choose one.
func (b *Book) AddUser(ctx context.Context, n console.NewUser) (*console.UserEdit, error) {
	if err := errors.Join(checkName(n.Name), checkBound(n.Role, n.Lines, n.Customer)); err != nil {
		return nil, err
	}
	u := &user{Name: n.Name, Role: n.Role, Lines: n.Lines, Customer: n.Customer, Added: b.o.Now().UTC(), Handle: newHandle()}
	if n.Password != "" {
		var err error
		if u.Password, err = b.choose(ctx, n.Name, n.Password); err != nil {
			return nil, err
		}
	}
	key := fold(n.Name)
	b.change.Lock()
	defer b.change.Unlock()
	b.mu.RLock()
	_, there := b.users[key]
	many := len(b.users)
	b.mu.RUnlock()
	switch {
	case there:
		return nil, console.Conflict(fmt.Sprintf("there is a user %s already: change it, or remove it first", n.Name))
	case many >= MaxUsers:
		return nil, console.Conflict(fmt.Sprintf("there are %d users, the most there may be", MaxUsers))
	}
	return b.putUser(key, u, added, u.Password == "")
}

// putUser writes a user, with a link if they are invited. b.change is held.
func (b *Book) putUser(key string, u *user, change string, invited bool, gone ...hash) (*console.UserEdit, error) {
	rows := []storage.AccessRow{userRow(key, u)}
	edit, then := &console.UserEdit{Change: change}, func() {}
	if invited {
		path, more, do, err := b.invite(key)
		if err != nil {
			return nil, err
		}
		rows, edit.Link, then = append(rows, more...), path, do
	}
	for _, h := range gone {
		rows = append(rows, row(storage.AccessSessions, h.key(), nil))
	}
	err := b.write(rows, func() {
		b.users[key], b.byHandle[string(u.Handle)] = u, key
		for _, h := range gone {
			delete(b.sessions, h)
		}
		then()
		edit.User = b.shown(key, u, b.o.Now())
	})
	if err != nil {
		return nil, err
	}
	return edit, nil
}

// SetUser changes a user. A new password ends all sessions but that in which it was chosen; with another role or other lines those that there are go on
// with these.
func (b *Book) SetUser(ctx context.Context, set console.UserSet) (*console.UserEdit, error) {
	key := fold(set.Name)
	had := b.user(key)
	if had == nil {
		return nil, noUser(set.Name)
	}
	if had.Issuer != "" && (set.Password != nil || set.Role != nil || set.Lines != nil || set.Customer != nil) {
		return nil, console.Conflict(fmt.Sprintf("%s signs in by %s, which says what they may: change it there", had.Name, number.InertUpTo(had.Issuer, 200)))
	}
	kept := ""
	if set.Password != nil && *set.Password != "" {
		var err error
		if kept, err = b.choose(ctx, had.Name, *set.Password); err != nil {
			return nil, err
		}
	}
	b.change.Lock()
	defer b.change.Unlock()
	had = b.user(key)
	if had == nil {
		return nil, noUser(set.Name)
	}
	u := *had
	if set.Role != nil {
		u.Role = *set.Role
	}
	if set.Lines != nil {
		u.Lines = *set.Lines
	}
	if set.Customer != nil {
		u.Customer = *set.Customer
	}
	if err := checkBound(u.Role, u.Lines, u.Customer); err != nil {
		return nil, err
	}
	if had.unbound() && !u.unbound() {
		if err := b.keepLast(key, "nothing was changed"); err != nil {
			return nil, err
		}
	}
	change := updated
	if set.Password == nil && u.Role == had.Role && slices.Equal(u.Lines, had.Lines) && u.Customer == had.Customer {
		change = unchanged
	}
	var gone []hash
	if set.Password != nil {
		u.Password = kept
		gone = b.sessionsOf(key, console.WhoOf(ctx))
	}
	return b.putUser(key, &u, change, set.Password != nil && kept == "", gone...)
}

// sessionsOf are all sessions of a user, but that of who asks.
func (b *Book) sessionsOf(key string, but *console.Who) (all []hash) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for h, s := range b.sessions {
		if s.User == key && (but == nil || s.ID != but.Session) {
			all = append(all, h)
		}
	}
	return all
}

// keepLast refuses that an administrator goes, or becomes less, if nobody else could do what administrators do. Of those who are left one must be able to
// sign in, if the one who goes is.
func (b *Book) keepLast(key, nothing string) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	others, able := 0, 0
	for k, u := range b.users {
		if k == key || !u.unbound() {
			continue
		}
		if others++; u.able() {
			able++
		}
	}
	if others == 0 || able == 0 && b.users[key].able() {
		return console.Conflict(fmt.Sprintf("%s: %s is the last administrator who can sign in: make another first (ringfence user add NAME --role admin)", nothing, b.users[key].Name))
	}
	return nil
}

// user is the user of a key, nil if there is none. Users never change: an edit puts another in the place of one.
func (b *Book) user(key string) *user {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.users[key]
}

// able reports whether a user can sign in.
func (u *user) able() bool { return u.Password != "" || len(u.Passkeys) > 0 || u.Issuer != "" }

// RemoveUser takes a user away, with the sessions, the links, and the tokens that they made.
func (b *Book) RemoveUser(ctx context.Context, name string) (*console.UserEdit, error) {
	key := fold(name)
	b.change.Lock()
	defer b.change.Unlock()
	u := b.user(key)
	if u == nil {
		return &console.UserEdit{User: console.User{Name: name}, Change: absent}, nil
	}
	if u.unbound() {
		if err := b.keepLast(key, "nobody was removed"); err != nil {
			return nil, err
		}
	}
	gone := b.sessionsOf(key, nil)
	b.mu.RLock()
	edit := &console.UserEdit{User: b.shown(key, u, b.o.Now()), Change: removed}
	rows, then := b.uninvite(key)
	tokens, names := b.tokensOf(key)
	b.mu.RUnlock()
	edit.Tokens = names
	for _, h := range tokens {
		rows = append(rows, row(storage.AccessTokens, h.key(), nil))
	}
	rows = append(rows, row(storage.AccessUsers, key, nil))
	for _, h := range gone {
		rows = append(rows, row(storage.AccessSessions, h.key(), nil))
	}
	err := b.write(rows, func() {
		delete(b.users, key)
		delete(b.byHandle, string(u.Handle))
		for _, h := range gone {
			delete(b.sessions, h)
		}
		for _, h := range tokens {
			delete(b.tokens, h)
		}
		then()
	})
	if err != nil {
		return nil, err
	}
	return edit, nil
}

// Sessions are those signed in now, the latest first.
func (b *Book) Sessions(ctx context.Context) ([]console.Session, error) {
	own := console.WhoOf(ctx)
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := b.o.Now()
	var out []console.Session
	for _, s := range b.sessions {
		u := b.users[s.User]
		if u == nil || b.over(s, now) {
			continue
		}
		out = append(out, console.Session{
			ID: s.ID, User: u.Name, Role: u.Role, Began: s.Began, Seen: time.Unix(s.seen.Load(), 0).UTC().Truncate(time.Minute), Address: s.Address, Browser: s.Browser,
			Own: own != nil && own.Way == console.BySession && own.Session == s.ID,
		})
	}
	slices.SortFunc(out, func(x, y console.Session) int { return cmp.Or(y.Seen.Compare(x.Seen), cmp.Compare(x.ID, y.ID)) })
	return out, nil
}

// EndSession ends a session, by its public ID.
func (b *Book) EndSession(ctx context.Context, id string) error {
	b.change.Lock()
	defer b.change.Unlock()
	b.mu.RLock()
	var h hash
	found := false
	for at, s := range b.sessions {
		if s.ID == id {
			h, found = at, true
		}
	}
	b.mu.RUnlock()
	if !found {
		return console.NotFound("there is no such session: it may have ended by itself")
	}
	return b.write([]storage.AccessRow{row(storage.AccessSessions, h.key(), nil)}, func() { delete(b.sessions, h) })
}
