// Package access is who may use the console and the API, and what each may see and do there: users with their passwords and
// passkeys, tokens of scripts, sessions, one-time links, and the bounds on tries to sign in.
//
// Guard is the one place that enforces it: a console.Desk that asks console.WhoOf for each request, so that no page, stream,
// export or API can show what is not theirs. It also writes down who changed what.
//
// All of it is in the database, which has no secret that signs anybody in: passwords as argon2id makes them, of sessions, tokens and links a
// hash. It is in memory as well, since each request asks for it, and what an edit acknowledges is on disk.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"

	"ringfence/console"
	"ringfence/storage"
)

// Bounds of what there may be.
const (
	MaxUsers        = 10_000
	MaxTokens       = 1_000
	MaxSessions     = 10_000
	MaxUserSessions = 50 // of one user; the one seen longest ago gives way
	MaxPasskeys     = 16 // of one user
	MaxBound        = 200
	maxLinks        = 100_000 // one-time links that are open, and notices' that were used
	maxName         = 64      // characters
)

// How long things count.
const (
	sessionIdle  = 12 * time.Hour
	sessionWhole = 7 * 24 * time.Hour
	inviteFor    = 7 * 24 * time.Hour
	signedInFor  = 5 * time.Minute // after it what lets somebody in later asks to sign in again
	tidyEvery    = time.Minute     // what is only known in memory until then is when somebody was seen last
	trimEvery    = time.Hour
)

// Book is who may use the console. It may be used by many goroutines at once.
type Book struct {
	o      Options
	cost   cost
	derive deriver
	seal   sealer

	change sync.Mutex // one at a time, and the disk before memory

	mu       sync.RWMutex // of what follows; what the maps lead to is never changed, but replaced
	users    map[string]*user
	byHandle map[string]string // of passkeys: handle → key of the user
	sessions map[hash]*session
	tokens   map[hash]*token
	links    map[hash]*link
	key      []byte // signs the links of notices; nil: not made yet
	first    string // the secret of the first administrator's link; "": not asked for yet

	version atomic.Uint64 // another one after each change to what is above
	edits   atomic.Uint64 // what somebody changed by way of Guard

	hashing   chan struct{} // holds a token for each password that is being looked at
	guessing  chan struct{} // and of these, for each that may be a guess
	waiting   atomic.Int64  // for that
	addresses *tries
	accounts  *tries
	failures  failures // bounds what those put into the audit

	// Busy is how often somebody was sent away because passwords of too many were being looked at; Skipped how many failures found no room in the audit;
	// SessionsFull how many sessions gave way to others; LinksFull how many links could not be made or used; Unwritten how many entries of the audit
	// the disk did not take.
	Busy, Skipped, SessionsFull, LinksFull, Unwritten atomic.Uint64
}

// Options say what a Book works with.
type Options struct {
	DB  *storage.DB
	Log *slog.Logger
	Now func() time.Time
}

// Origin is where somebody comes from.
type Origin struct {
	Address string // IP, with or without a port
	Browser string // what it calls itself; any text
}

// hash is of a secret.
type hash [sha256.Size]byte

func hashOf(secret string) hash { return sha256.Sum256([]byte(secret)) }

// newSecret makes 256 random bits, as a text that may stand in an address.
func newSecret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// newID makes a public name of something: it signs nobody in.
func newID() string {
	b := make([]byte, 9)
	rand.Read(b)
	return strings.NewReplacer("-", "a", "_", "b").Replace(base64.RawURLEncoding.EncodeToString(b))
}

// fold is the key of a name: capitals make no other user.
func fold(name string) string { return strings.ToLower(norm.NFC.String(name)) }

// user is a person with an account, as the database has it.
type user struct {
	Name     string       `json:"name"`
	Role     console.Role `json:"role"`
	Lines    []string     `json:"lines,omitempty"`
	Customer string       `json:"customer,omitempty"`
	Added    time.Time    `json:"added"`
	Seen     time.Time    `json:"seen,omitzero"`
	Password string       `json:"password,omitempty"` // as makePassword has it; "": none
	Handle   []byte       `json:"handle"`             // random; what a passkey knows the user by
	Passkeys []Passkey    `json:"passkeys,omitempty"`
	Issuer   string       `json:"issuer,omitempty"` // of OIDC, with Subject
	Subject  string       `json:"subject,omitempty"`
	From     []string     `json:"from,omitempty"` // networks that they signed in from, the latest last
}

// Passkey is a key that a device of a user keeps.
type Passkey struct {
	ID    []byte          `json:"id"`
	Name  string          `json:"name"`
	Data  json.RawMessage `json:"data"` // the credential, as who checks it has it
	Added time.Time       `json:"added"`
	Used  time.Time       `json:"used,omitzero"`
}

type session struct {
	ID      string    `json:"id"`
	User    string    `json:"user"` // its key
	How     string    `json:"how"`  // password, passkey, oidc, link
	Began   time.Time `json:"began"`
	Seen    time.Time `json:"seen"` // as it is on disk
	Address string    `json:"address"`
	Browser string    `json:"browser,omitempty"`

	seen *atomic.Int64 // seconds since 1970, as it is
}

type token struct {
	console.Token
	used *atomic.Int64
}

// link is a link that works once: of a user who has yet to choose a password, or one of a notice, that was used.
type link struct {
	User    string    `json:"user,omitempty"`
	Used    bool      `json:"used,omitempty"`
	Expires time.Time `json:"expires"`
	Key     []byte    `json:"key,omitempty"` // no link: what signs those of notices
}

// keyRow is where the key of the notices' links is.
const keyRow = "key"

// Open reads who may use the console. What is damaged is left out and logged.
func Open(o Options) (*Book, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	seal, err := newSealer()
	if err != nil {
		return nil, err
	}
	b := &Book{
		o: o, cost: usual, derive: derive, seal: seal,
		users: map[string]*user{}, byHandle: map[string]string{}, sessions: map[hash]*session{}, tokens: map[hash]*token{}, links: map[hash]*link{},
		hashing:   make(chan struct{}, hashesAtOnce),
		guessing:  make(chan struct{}, hashesAtOnce-1),
		addresses: newTries(maxTries), accounts: newTries(maxTries),
	}
	for t, take := range map[storage.AccessTable]func(storage.AccessRow) error{
		storage.AccessUsers: b.takeUser, storage.AccessSessions: b.takeSession, storage.AccessTokens: b.takeToken, storage.AccessLinks: b.takeLink,
	} {
		err := o.DB.EachAccess(t, func(r storage.AccessRow) error {
			if err := take(r); err != nil {
				b.o.Log.Error("what is kept of who may use the console is damaged in part, and that part does not count", "key", fmt.Sprintf("%.40q", r.Key), "error", err)
			}
			return nil
		})
		if errors.Is(err, storage.ErrCorrupt) {
			b.o.Log.Error("what is kept of who may use the console is damaged in part: `ringfence storage verify` says where", "error", err)
		} else if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *Book) takeUser(r storage.AccessRow) error {
	u := &user{}
	if err := json.Unmarshal(r.Value, u); err != nil {
		return err
	}
	if !u.Role.Covers(console.Viewer) {
		return fmt.Errorf("the role is %.40q", u.Role)
	}
	b.users[r.Key] = u
	b.byHandle[string(u.Handle)] = r.Key
	return nil
}

func (b *Book) takeSession(r storage.AccessRow) error {
	s := &session{seen: &atomic.Int64{}}
	if err := json.Unmarshal(r.Value, s); err != nil {
		return err
	}
	h, err := hashIn(r.Key)
	if err != nil {
		return err
	}
	s.seen.Store(s.Seen.Unix())
	b.sessions[h] = s
	return nil
}

func (b *Book) takeToken(r storage.AccessRow) error {
	t := &token{used: &atomic.Int64{}}
	if err := json.Unmarshal(r.Value, &t.Token); err != nil {
		return err
	}
	if !t.Role.Covers(console.Viewer) {
		return fmt.Errorf("the role is %.40q", t.Role)
	}
	h, err := hashIn(r.Key)
	if err != nil {
		return err
	}
	t.used.Store(t.LastUsed.Unix())
	b.tokens[h] = t
	return nil
}

func (b *Book) takeLink(r storage.AccessRow) error {
	l := &link{}
	if err := json.Unmarshal(r.Value, l); err != nil {
		return err
	}
	if r.Key == keyRow {
		b.key = l.Key
		return nil
	}
	h, err := hashIn(r.Key)
	if err != nil {
		return err
	}
	b.links[h] = l
	return nil
}

func hashIn(key string) (h hash, err error) {
	if len(key) != len(h) {
		return h, fmt.Errorf("it has %d bytes where a hash has %d", len(key), len(h))
	}
	return hash([]byte(key)), nil
}

// row is something as it is written; nil takes it away.
func row(t storage.AccessTable, key string, v any) storage.AccessRow {
	r := storage.AccessRow{Table: t, Key: key}
	if v != nil {
		r.Value, _ = json.Marshal(v) // of these it cannot fail
	}
	return r
}

func userRow(key string, u *user) storage.AccessRow { return row(storage.AccessUsers, key, u) }

func (h hash) key() string { return string(h[:]) }

// Run keeps the book tidy until ctx ends: what has expired goes, and when somebody was seen last comes to the disk.
func (b *Book) Run(ctx context.Context) {
	tidy, trim := time.NewTicker(tidyEvery), time.NewTicker(trimEvery)
	defer tidy.Stop()
	defer trim.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			b.noteLeftOut(b.failures.end(b.o.Now(), true))
			if err := b.tidy(); err != nil && !errors.Is(err, storage.ErrClosed) {
				b.o.Log.Warn("when users of the console were seen last could not be written", "error", err)
			}
			return
		case <-tidy.C:
			b.noteLeftOut(b.failures.end(b.o.Now(), false))
			err = b.tidy()
		case <-trim.C:
			err = b.o.DB.TrimAudit()
		}
		if err != nil && !errors.Is(err, storage.ErrClosed) {
			b.o.Log.Warn("who uses the console could not be brought up to date on disk; it is tried again", "error", err)
		}
	}
}

// tidy takes away what has expired, and writes when sessions and tokens were used last.
func (b *Book) tidy() error {
	b.change.Lock()
	defer b.change.Unlock()
	now := b.o.Now()
	var rows []storage.AccessRow
	var after []func()
	b.mu.RLock()
	for h, s := range b.sessions {
		switch at := s.seen.Load(); {
		case b.over(s, now):
			rows = append(rows, row(storage.AccessSessions, h.key(), nil))
			after = append(after, func() { delete(b.sessions, h) })
		case at != s.Seen.Unix():
			next := *s
			next.Seen = time.Unix(at, 0).UTC()
			rows = append(rows, row(storage.AccessSessions, h.key(), &next))
			after = append(after, func() { b.sessions[h] = &next })
			if u := b.users[s.User]; u != nil && u.Seen.Before(next.Seen) {
				seen := *u
				seen.Seen = next.Seen
				rows = append(rows, userRow(s.User, &seen))
				after = append(after, func() { b.users[s.User] = &seen })
			}
		}
	}
	for h, t := range b.tokens {
		if at := t.used.Load(); at != t.LastUsed.Unix() {
			next := *t
			next.LastUsed = time.Unix(at, 0).UTC()
			rows = append(rows, row(storage.AccessTokens, h.key(), &next.Token))
			after = append(after, func() { b.tokens[h] = &next })
		}
	}
	for h, l := range b.links {
		if !now.Before(l.Expires) {
			rows = append(rows, row(storage.AccessLinks, h.key(), nil))
			after = append(after, func() { delete(b.links, h) })
		}
	}
	b.mu.RUnlock()
	return b.write(rows, func() {
		for _, do := range after {
			do()
		}
	})
}

// write brings rows to the disk, with entries of the audit, and then what they say to memory. b.change is held.
func (b *Book) write(rows []storage.AccessRow, then func(), audit ...storage.AuditEntry) error {
	if err := b.o.DB.PutAccess(rows, audit...); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	then()
	b.version.Add(1)
	return nil
}

// Count calls yield for each counter of what found no room, or was refused.
func (b *Book) Count(yield func(name string, n uint64)) {
	yield("busy", b.Busy.Load())
	yield("audit_skipped", b.Skipped.Load())
	yield("audit_unwritten", b.Unwritten.Load())
	yield("audit_dropped", b.o.DB.AuditDropped())
	yield("sessions_full", b.SessionsFull.Load())
	yield("links_full", b.LinksFull.Load())
	yield("tries_full", b.addresses.full.Load()+b.accounts.full.Load())
	yield("tries_refused", b.addresses.refused.Load()+b.accounts.refused.Load())
}
