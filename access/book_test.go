package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// cheap makes passwords cost next to nothing, where it is not they that are tested.
var cheap = cost{memory: 64, passes: 1, threads: 1}

const longPassword = "four geese on a frozen pond"

// clock is a time that tests set.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time      { return time.UnixMilli(c.at.Load()).UTC() }
func (c *clock) add(d time.Duration) { c.at.Add(d.Milliseconds()) }
func newClock() *clock               { c := &clock{}; c.at.Store(1_764_400_000_000); return c }
func home(address string) Origin     { return Origin{Address: address, Browser: "a browser"} }
func asAdmin() context.Context {
	return asWho(&console.Who{Name: "root", Way: console.BySocket, Role: admin})
}
func asWho(w *console.Who) context.Context { return console.WithWho(context.Background(), w) }

type shelf struct {
	*Book
	*clock
	db   *storage.DB
	file string
}

// openBook opens the book of a database file; "" for a new one.
func openBook(t testing.TB, file string, c *clock) *shelf {
	t.Helper()
	if file == "" {
		file = filepath.Join(t.TempDir(), "ringfence.db")
	}
	db, err := storage.Open(file, storage.Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(Options{DB: db, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	b.cost = cheap
	s := &shelf{b, c, db, file}
	t.Cleanup(func() { db.Close() })
	return s
}

func (s *shelf) again(t testing.TB) *shelf {
	t.Helper()
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	return openBook(t, s.file, s.clock)
}

func (s *shelf) user(t testing.TB, n console.NewUser) *console.UserEdit {
	t.Helper()
	e, err := s.AddUser(asAdmin(), n)
	if err != nil {
		t.Fatalf("adding %s: %v", n.Name, err)
	}
	return e
}

func (s *shelf) signIn(t testing.TB, name, password, address string) string {
	t.Helper()
	secret, w, err := s.SignIn(context.Background(), name, password, home(address))
	if err != nil || w == nil {
		t.Fatalf("%s signs in from %s: got %v, %v", name, address, w, err)
	}
	return secret
}

func (s *shelf) audit(t testing.TB) (lines []string) {
	t.Helper()
	err := s.Audit(context.Background(), console.AuditQuery{Limit: 10_000}, func(e console.AuditEntry) error {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s: %s %s %s %s", e.Who, e.What, e.Subject, e.Address, e.Failed)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// newest is the ID of the last entry of the audit.
func (s *shelf) newest(t testing.TB) (id string) {
	t.Helper()
	err := s.Audit(context.Background(), console.AuditQuery{Limit: 1}, func(e console.AuditEntry) error { id = e.ID; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSignInAndSessions(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "Ann", Role: viewer, Lines: []string{"bakery"}, Password: longPassword})
	secret := s.signIn(t, "aNN", longPassword, "192.0.2.7:4711")
	w := s.Session(secret)
	if w == nil || w.Name != "Ann" || w.Role != viewer || !slices.Equal(w.Lines, []string{"bakery"}) || w.Address != "192.0.2.7" || w.Way != console.BySession {
		t.Fatalf("got %+v, want Ann, a viewer of bakery from 192.0.2.7", w)
	}
	if strings.Contains(secret, w.Session) {
		t.Error("the public id is in the secret")
	}
	for _, other := range []string{"", secret + "x", secret[1:], w.Session} {
		if got := s.Session(other); got != nil {
			t.Errorf("the secret %q: got %+v, want nobody", other, got)
		}
	}
	for _, wrong := range [][2]string{{"Ann", longPassword + "x"}, {"Bob", longPassword}, {"", ""}, {"Ann", ""}, {"Ann", strings.Repeat("x", 300)}} {
		if _, _, err := s.SignIn(context.Background(), wrong[0], wrong[1], home("192.0.2.9")); err != ErrSignIn {
			t.Errorf("%q signs in with %.20q: got %v, want %v", wrong[0], wrong[1], err, ErrSignIn)
		}
	}

	s = s.again(t)
	if s.Session(secret) == nil {
		t.Error("the session did not outlive a restart")
	}
	role := admin
	if _, err := s.SetUser(asAdmin(), console.UserSet{Name: "ann", Role: &role}); err != nil {
		t.Fatal(err)
	}
	if w := s.Session(secret); w == nil || w.Role != admin {
		t.Errorf("after the role changed: got %+v, want an administrator", w)
	}
	if err := s.SignOut(secret); err != nil || s.Session(secret) != nil {
		t.Errorf("after signing out: got %v, %v, want nobody", s.Session(secret), err)
	}
	if s = s.again(t); s.Session(secret) != nil {
		t.Error("a session that was ended is there after a restart")
	}
}

func TestSessionsEnd(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	busy, idle := s.signIn(t, "ann", longPassword, "192.0.2.7"), s.signIn(t, "ann", longPassword, "192.0.2.7")
	for range 7*2 - 1 {
		s.add(11*time.Hour + 59*time.Minute)
		if s.Session(busy) == nil {
			t.Fatal("a session that is used has ended before its time")
		}
	}
	if s.Session(idle) != nil {
		t.Error("a session that nobody used for 12 hours counts")
	}
	if err := s.tidy(); err != nil {
		t.Fatal(err)
	}
	s.add(8 * time.Hour)
	s = s.again(t)
	if w := s.Session(busy); w == nil {
		t.Error("when a session was seen last did not come to the disk")
	}
	s.add(7 * time.Hour)
	if s.Session(busy) != nil {
		t.Error("a session lasts longer than 7 days")
	}
	if all, err := s.Sessions(asAdmin()); err != nil || len(all) != 0 {
		t.Errorf("got the sessions %v, %v, want none", all, err)
	}
	if err := s.tidy(); err != nil || len(s.sessions) != 0 {
		t.Errorf("what has expired is kept: %d, %v", len(s.sessions), err)
	}
}

func TestPasswordChangeEndsSessions(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	mine, other := s.signIn(t, "ann", longPassword, "192.0.2.7"), s.signIn(t, "ann", longPassword, "192.0.2.8")
	next := "another set of five words"
	if _, err := s.SetUser(asWho(s.Session(mine)), console.UserSet{Name: "ann", Password: &next}); err != nil {
		t.Fatal(err)
	}
	if s.Session(mine) == nil || s.Session(other) != nil {
		t.Errorf("got the own session %v and the other %v, want the own alone", s.Session(mine), s.Session(other))
	}
	if _, _, err := s.SignIn(context.Background(), "ann", longPassword, home("192.0.2.7")); err != ErrSignIn {
		t.Errorf("the old password: got %v, want %v", err, ErrSignIn)
	}
	s.signIn(t, "ann", next, "192.0.2.7")
	if _, err := s.RemoveUser(asAdmin(), "ann"); err != nil {
		t.Fatal(err)
	}
	if s.Session(mine) != nil {
		t.Error("the session of a user who was removed counts")
	}
}

func TestLastAdministratorStays(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: admin, Password: longPassword})
	s.user(t, console.NewUser{Name: "bound", Role: admin, Lines: []string{"bakery"}, Password: longPassword})
	s.user(t, console.NewUser{Name: "invited", Role: admin})
	less, lines, customer := viewer, []string{"bakery"}, "Li"
	for name, set := range map[string]console.UserSet{"role": {Name: "ann", Role: &less}, "lines": {Name: "ann", Lines: &lines}, "customer": {Name: "ann", Customer: &customer}} {
		if _, err := s.SetUser(asAdmin(), set); !errors.Is(err, console.ErrConflict) {
			t.Errorf("the last administrator with less by %s: got %v, want a conflict", name, err)
		}
	}
	if _, err := s.RemoveUser(asAdmin(), "ann"); !errors.Is(err, console.ErrConflict) {
		t.Errorf("removing the last administrator: got %v, want a conflict", err)
	}
	if _, err := s.RemoveUser(asAdmin(), "invited"); err != nil {
		t.Errorf("removing one who never signed in: %v", err)
	}
	s.user(t, console.NewUser{Name: "eve", Role: admin, Password: longPassword})
	if _, err := s.RemoveUser(asAdmin(), "ann"); err != nil {
		t.Errorf("removing one of two administrators: %v", err)
	}
}

func TestTokens(t *testing.T) {
	s := openBook(t, "", newClock())
	made, err := s.AddToken(asAdmin(), console.NewToken{Name: "export", Role: viewer, Customer: "Li", Expires: s.now().Add(time.Hour)})
	if err != nil || !strings.HasPrefix(made.Secret, tokenMark) || made.Who != "root" {
		t.Fatalf("got %+v, %v", made, err)
	}
	s.add(time.Minute)
	if w := s.Token(made.Secret, "192.0.2.7"); w == nil || w.Customer != "Li" || w.Way != console.ByToken || w.Session != made.ID {
		t.Fatalf("got %+v, want a viewer of Li’s", w)
	}
	if s.Token(strings.TrimPrefix(made.Secret, tokenMark), "") != nil || s.Session(made.Secret) != nil || s.Token(made.ID, "") != nil {
		t.Error("what is no token counts")
	}
	if err := s.tidy(); err != nil {
		t.Fatal(err)
	}
	s = s.again(t)
	if all, _ := s.Tokens(asAdmin()); len(all) != 1 || !all[0].LastUsed.Equal(s.now().Truncate(time.Minute)) {
		t.Errorf("got %+v, want one used at %v", all, s.now().Truncate(time.Minute))
	}
	if _, err := s.AddToken(asAdmin(), console.NewToken{Name: "Export", Role: viewer}); !errors.Is(err, console.ErrConflict) {
		t.Errorf("a second of the name: got %v", err)
	}
	s.add(time.Hour)
	if s.Token(made.Secret, "") != nil {
		t.Error("a token counts that has expired")
	}
	forever, err := s.AddToken(asAdmin(), console.NewToken{Name: "forever", Role: reviewer})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeToken(asAdmin(), "forever"); err != nil || s.Token(forever.Secret, "") != nil {
		t.Errorf("a token counts that was revoked (%v)", err)
	}
	if s = s.again(t); s.Token(forever.Secret, "") != nil {
		t.Error("it counts after a restart")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	oldest := s.signIn(t, "ann", longPassword, "192.0.2.7")
	for range MaxUserSessions {
		s.add(time.Second)
		s.signIn(t, "ann", longPassword, "192.0.2.7")
	}
	if all, _ := s.Sessions(asAdmin()); len(all) != MaxUserSessions || s.Session(oldest) != nil {
		t.Errorf("got %d sessions, and the oldest %v; want %d without it", len(all), s.Session(oldest), MaxUserSessions)
	}
}

func TestOIDC(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	them := OIDCUser{Issuer: "https://id.example", Subject: "1", Name: "li", Role: reviewer, Customer: "Li"}
	_, w, err := s.SignInFrom(context.Background(), them, home("192.0.2.7"))
	if err != nil || w.Name != "li" || w.Role != reviewer || w.Customer != "Li" {
		t.Fatalf("got %+v, %v", w, err)
	}
	them.Role, them.Name = viewer, "li again"
	if _, w, err = s.SignInFrom(context.Background(), them, home("192.0.2.7")); err != nil || w.Name != "li" || w.Role != viewer {
		t.Errorf("got %+v, %v, want li with the role of today", w, err)
	}
	for _, bad := range []OIDCUser{
		{Issuer: "https://id.example", Subject: "2", Name: "Ann", Role: admin}, // not who has the name here
		{Issuer: "https://id.example", Subject: "3", Name: "li", Role: admin},
		{Issuer: "https://id.example", Subject: "4", Name: "x", Role: "owner"},
		{Issuer: "https://id.example", Name: "x", Role: admin},
		{Issuer: "https://id.example", Subject: "5", Name: "a\nb", Role: admin},
	} {
		if _, w, err := s.SignInFrom(context.Background(), bad, home("192.0.2.7")); err == nil {
			t.Errorf("%+v signed in as %+v", bad, w)
		}
	}
	if _, _, err := s.SignIn(context.Background(), "li", "", home("192.0.2.7")); err != ErrSignIn {
		t.Errorf("without a password: got %v, want %v", err, ErrSignIn)
	}
}

func TestPasskeys(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer})
	ctx := context.Background()
	if err := s.AddPasskey(ctx, "ann", Passkey{ID: []byte{1}, Name: "phone", Data: []byte(`{"n":1}`)}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddPasskey(ctx, "ann", Passkey{ID: []byte{1}, Data: []byte(`{}`)}); !errors.Is(err, console.ErrConflict) {
		t.Errorf("the same once more: got %v", err)
	}
	handle, _, err := s.PasskeysOf("ann")
	if err != nil || s.UserByHandle(handle) != "ann" || s.UserByHandle([]byte("x")) != "" {
		t.Errorf("got %q by the handle, %v", s.UserByHandle(handle), err)
	}
	s = s.again(t)
	if _, w, err := s.UsedPasskey(ctx, "ann", Passkey{ID: []byte{1}, Data: []byte(`{"n":2}`)}, home("192.0.2.7")); err != nil || w.Name != "ann" {
		t.Errorf("got %+v, %v", w, err)
	}
	if _, keys, _ := s.PasskeysOf("ann"); len(keys) != 1 || string(keys[0].Data) != `{"n":2}` || keys[0].Used.IsZero() {
		t.Errorf("got %+v, want one that was used", keys)
	}
	if _, _, err := s.UsedPasskey(ctx, "ann", Passkey{ID: []byte{2}}, home("192.0.2.7")); err != ErrSignIn {
		t.Errorf("one that she has not: got %v", err)
	}
	if err := s.RemovePasskey(ctx, "ann", []byte{1}); err != nil {
		t.Error(err)
	}
	if _, _, err := s.UsedPasskey(ctx, "ann", Passkey{ID: []byte{1}}, home("192.0.2.7")); err != ErrSignIn {
		t.Errorf("one that was removed: got %v", err)
	}
}

func TestAuditOfSignIns(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	s.signIn(t, "ann", longPassword, "192.0.2.7")
	s.SignIn(context.Background(), "ann", "wrong wrong wrong", home("192.0.2.8"))
	s.SignIn(context.Background(), longPassword, "", home("192.0.2.9")) // in the wrong place
	got := s.audit(t)
	want := []string{": sign in  192.0.2.9 wrong name or password", "ann: sign in  192.0.2.8 wrong name or password", "ann: sign in ann 192.0.2.7"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for i := range 2 * maxFailed {
		s.SignIn(context.Background(), "eve", "wrong wrong wrong", home(fmt.Sprintf("10.%d.%d.1", i/200, i%200)))
		s.add(31 * time.Millisecond)
	}
	if n := len(s.audit(t)); n > maxFailed+3 || n < fewFailedOf || s.accounts.refused.Load() == 0 {
		t.Errorf("a flood put %d entries into the audit", n)
	}
}

// TestBackupHasNoSessions: a backup that is put back must not sign in whose session was ended meanwhile, nor make a used link work again.
func TestBackupHasNoSessions(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	link := s.user(t, console.NewUser{Name: "bob", Role: viewer}).Link
	secret := s.signIn(t, "ann", longPassword, "192.0.2.7")
	made, err := s.AddToken(asAdmin(), console.NewToken{Name: "x", Role: viewer})
	if err != nil {
		t.Fatal(err)
	}
	notice := s.NoticeLink(storage.NewID(s.now()), "bakery~1", s.now().Add(time.Hour))
	if notice == "" {
		t.Fatal("no link of a notice")
	}
	var copied bytes.Buffer
	if err := s.db.BackupTo(&copied); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(copied.Bytes(), []byte(secret)) || bytes.Contains(copied.Bytes(), []byte(made.Secret)) {
		t.Error("a secret is in the backup")
	}
	file := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(file, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := openBook(t, file, s.clock)
	if c.Session(secret) != nil {
		t.Error("the session is in the backup")
	}
	if _, err := c.LinkOf(link); err != ErrLink {
		t.Errorf("the link is in the backup: %v", err)
	}
	if _, err := c.NoticeOf(notice, ""); err != ErrLink {
		t.Errorf("the notice's link works with the backup: %v", err)
	}
	if c.Token(made.Secret, "") == nil {
		t.Error("the token is not in the backup")
	}
	c.signIn(t, "ann", longPassword, "192.0.2.7")
	if r, err := c.db.Verify(); err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v, %v", r, err)
	}
}
