package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

// Links that work once: those by which a user chooses the first password, and those of notices, which show one call.

// The paths of links, under the console's address. What follows is the link.
const (
	WelcomePath = "/welcome/"
	NoticePath  = "/l/"
)

// FirstAdmin is what the first administrator is called, until there is another.
const FirstAdmin = "admin"

// ErrLink is about a link that is none, was used, or has expired.
var ErrLink = errors.New("this link does not work any more: it works once, and for a week. Ask who sent it for another")

// secretOf is the link in a path, or what is one already.
func secretOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// FirstLink is the path of the page where the first administrator chooses a password; "" when there is one. It works until then, or until the program ends, and
// the next start makes another.
func (b *Book) FirstLink() (path string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.administered() {
		return "", nil
	}
	if b.first == "" {
		b.first = newSecret()
	}
	return WelcomePath + b.first, nil
}

// administered reports whether there is an administrator of everything. b.mu is held.
func (b *Book) administered() bool {
	for _, u := range b.users {
		if u.unbound() {
			return true
		}
	}
	return false
}

// unbound reports whether somebody is an administrator of everything.
func (u *user) unbound() bool {
	return u.Role == console.Admin && len(u.Lines) == 0 && u.Customer == ""
}

// LinkOf is the name of the user who chooses a password by a link, ErrLink if it is none.
func (b *Book) LinkOf(path string) (name string, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	key, _, err := b.linked(secretOf(path))
	if err != nil {
		return "", err
	}
	if u := b.users[key]; u != nil {
		return u.Name, nil
	}
	return FirstAdmin, nil
}

// linked finds whose link it is, and its hash, which the first administrator's has none of. b.mu is held.
func (b *Book) linked(secret string) (key string, h *hash, err error) {
	got := hashOf(secret)
	if b.first != "" && got == hashOf(b.first) {
		if b.administered() { // one was made some other way since: it makes no second one
			return "", nil, ErrLink
		}
		return FirstAdmin, nil, nil
	}
	l := b.links[got]
	if l == nil || l.Used || !b.o.Now().Before(l.Expires) || b.users[l.User] == nil {
		return "", nil, ErrLink
	}
	return l.User, &got, nil
}

// Redeem sets the password of whom a link is for, and begins a session. A password that will not do is ErrBad, and the link works once more.
func (b *Book) Redeem(ctx context.Context, path, password string, from Origin) (secret string, w *console.Who, err error) {
	name, err := b.LinkOf(path)
	if err != nil {
		b.failedSignIn(nil, byInvite, from, "no such link")
		return "", nil, err
	}
	kept, err := b.choose(ctx, name, password)
	if err != nil {
		return "", nil, err
	}
	key, h, err := b.redeem(secretOf(path), from)
	if err != nil {
		return "", nil, err
	}
	var rows []storage.AccessRow
	if h != nil {
		rows = append(rows, row(storage.AccessLinks, h.key(), nil))
	}
	// The link is gone from memory already: who has it too is late. If the disk fails the user asks for another.
	return b.begin(key, byInvite, from, func(u *user) error {
		u.Password = kept
		return nil
	}, rows...)
}

// redeem takes a link away, and makes the first administrator whom it is for.
func (b *Book) redeem(secret string, from Origin) (key string, h *hash, err error) {
	b.change.Lock()
	defer b.change.Unlock()
	b.mu.RLock()
	key, h, err = b.linked(secret)
	there := b.users[key] != nil
	b.mu.RUnlock()
	if err != nil {
		return "", nil, err
	}
	if h != nil {
		b.mu.Lock()
		delete(b.links, *h)
		b.mu.Unlock()
		return key, h, nil
	}
	if there { // a user of that name who is no administrator
		return "", nil, console.Conflict(fmt.Sprintf("there is a user %s already who is no administrator: `ringfence user add NAME --role admin` makes one", FirstAdmin))
	}
	u := &user{Name: FirstAdmin, Role: console.Admin, Added: b.o.Now(), Handle: newHandle()}
	err = b.write([]storage.AccessRow{userRow(key, u)}, func() {
		b.users[key], b.byHandle[string(u.Handle)], b.first = u, key, ""
	}, storage.AuditEntry{Who: u.Name, Way: console.BySession, Address: shownAddress(from.Address), What: "user add", Subject: u.Name, Detail: "admin, by the first one-time link"})
	return key, nil, err
}

func newHandle() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}

// invite makes a link for a user, and takes away those there were. It gives the path, and what brings it to disk and memory.
func (b *Book) invite(key string) (path string, rows []storage.AccessRow, then func(), err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.links) >= maxLinks {
		b.LinksFull.Add(1)
		return "", nil, nil, console.Conflict(fmt.Sprintf("there are %d one-time links already: wait until some have expired", maxLinks))
	}
	rows, dropped := b.uninvite(key)
	secret := newSecret()
	h, l := hashOf(secret), &link{User: key, Expires: b.o.Now().Add(inviteFor)}
	rows = append(rows, row(storage.AccessLinks, h.key(), l))
	return WelcomePath + secret, rows, func() { dropped(); b.links[h] = l }, nil
}

// uninvite takes away the links of a user. b.mu is held.
func (b *Book) uninvite(key string) (rows []storage.AccessRow, then func()) {
	var gone []hash
	for h, l := range b.links {
		if l.User == key {
			gone = append(gone, h)
			rows = append(rows, row(storage.AccessLinks, h.key(), nil))
		}
	}
	return rows, func() {
		for _, h := range gone {
			delete(b.links, h)
		}
	}
}

// A notice's link has in it which call it is, to which line, and until when; nobody needs to keep those that are never used. Bytes of it, in base64:
// the call's ULID (16), minutes since 1970 (4), the line's key, and 16 of an HMAC-SHA-256.

const (
	noticeFixed = 16 + 4
	noticeSum   = 16
	maxNotice   = 512 // characters
)

// NoticeLink is the path of the page of a stopped call to a line, by its key; "" where none can be made.
func (b *Book) NoticeLink(call, line string, expires time.Time) string {
	id, err := ulid.ParseStrict(call)
	key, err2 := b.noticeKey()
	if err != nil || err2 != nil || line == "" || len(line) > 128 {
		return ""
	}
	body := append([]byte(nil), id[:]...)
	body = binary.BigEndian.AppendUint32(body, uint32(expires.Unix()/60))
	body = append(body, line...)
	return NoticePath + base64.RawURLEncoding.EncodeToString(append(body, sum(key, body)...))
}

func sum(key, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("notice\x00"))
	m.Write(body)
	return m.Sum(nil)[:noticeSum]
}

// noticeKey is what signs links, made when it is first asked for.
func (b *Book) noticeKey() ([]byte, error) {
	b.mu.RLock()
	key := b.key
	b.mu.RUnlock()
	if key != nil {
		return key, nil
	}
	b.change.Lock()
	defer b.change.Unlock()
	if b.key != nil { // others made it meanwhile; only they write it, with change held
		return b.key, nil
	}
	key = newHandle()
	err := b.write([]storage.AccessRow{row(storage.AccessLinks, keyRow, &link{Key: key})}, func() { b.key = key })
	if err != nil {
		b.o.Log.Error("the links of notices cannot be signed, and are left out", "error", err)
		return nil, err
	}
	return key, nil
}

// NoticeOf is who comes by the link of a notice: they see the call that Who.Call names, and may let its caller through once (Guard). ErrLink if it is
// none, was used or has expired.
func (b *Book) NoticeOf(path, address string) (*console.Who, error) {
	secret := secretOf(path)
	if len(secret) > maxNotice {
		return nil, ErrLink
	}
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	if err != nil || len(bytes) <= noticeFixed+noticeSum {
		return nil, ErrLink
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	body, mac := bytes[:len(bytes)-noticeSum], bytes[len(bytes)-noticeSum:]
	if b.key == nil || !hmac.Equal(mac, sum(b.key, body)) {
		return nil, ErrLink
	}
	expires := time.Unix(int64(binary.BigEndian.Uint32(body[16:]))*60, 0)
	// A notice that was sent again has another link to the same call: they work once together.
	of := "notice " + base64.RawURLEncoding.EncodeToString(sum(b.key, append(body[:16:16], body[noticeFixed:]...)))
	if !b.o.Now().Before(expires) || b.links[hashOf(of)] != nil {
		return nil, ErrLink
	}
	return &console.Who{
		Name: "link of a notice", Way: console.ByLink, Address: shownAddress(address), Session: of, Role: console.Reviewer,
		Lines: []string{policy.LineName(string(body[noticeFixed:]))}, Call: ulid.ULID(body[:16]).String(),
	}, nil
}

// useNotice notes on disk that a notice's link was used, before what it is used for is done; ErrLink if it was before. back takes that back.
func (b *Book) useNotice(w *console.Who) (back func(), err error) {
	h := hashOf(w.Session)
	b.change.Lock()
	defer b.change.Unlock()
	b.mu.RLock()
	_, used := b.links[h]
	full := len(b.links) >= maxLinks
	b.mu.RUnlock()
	if used {
		return nil, ErrLink
	}
	if full {
		b.LinksFull.Add(1)
		return nil, console.Conflict("too many links were used of late: try again tomorrow")
	}
	l := &link{Used: true, Expires: b.o.Now().Add(inviteFor + time.Hour)}
	if err := b.write([]storage.AccessRow{row(storage.AccessLinks, h.key(), l)}, func() { b.links[h] = l }); err != nil {
		return nil, err
	}
	return func() {
		b.change.Lock()
		defer b.change.Unlock()
		if err := b.write([]storage.AccessRow{row(storage.AccessLinks, h.key(), nil)}, func() { delete(b.links, h) }); err != nil {
			b.o.Log.Warn("a notice's link that did nothing counts as used", "error", err)
		}
	}, nil
}
