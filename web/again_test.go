package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"ringfence/access"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/storage"
)

// TestPasskeyAsksAgain: with a session that was left open nobody gives himself a passkey, nor takes the owner's away.
func TestPasskeyAsksAgain(t *testing.T) {
	late := time.Duration(0)
	start := time.Now()
	now := func() time.Time { return start.Add(late) }
	db, err := storage.Open(filepath.Join(t.TempDir(), "ringfence.db"), storage.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	book, err := access.Open(access.Options{DB: db, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	const password = "a line of three birds"
	ctx := context.Background()
	if _, err := book.AddUser(ctx, console.NewUser{Name: "ann", Role: console.Viewer, Password: password}); err != nil {
		t.Fatal(err)
	}
	c := &conf.Console{Listen: "127.0.0.1:8085", URL: "https://pbx1.example.com"}
	s := &Server{o: Options{Book: book, Conf: c, Log: slog.New(slog.DiscardHandler), Now: now}, secret: newSealer(now), hosts: hostsOf(c, "")}
	if s.passkeys, err = newPasskeys(c, now); err != nil {
		t.Fatal(err)
	}
	secret, _, err := book.SignIn(ctx, "ann", password, access.Origin{Address: "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(do http.HandlerFunc) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "https://pbx1.example.com/account/passkeys", nil)
		w := httptest.NewRecorder()
		do(w, r.WithContext(console.WithWho(r.Context(), book.Session(secret))))
		return w
	}
	if got := ask(s.beginNewPasskey); got.Code != http.StatusOK {
		t.Errorf("at once: got %d: %s", got.Code, got.Body)
	}
	if err := book.AddPasskey(ctx, "ann", access.Passkey{ID: []byte("one"), Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	late = 6 * time.Minute
	if got := ask(s.beginNewPasskey); got.Code != http.StatusConflict {
		t.Errorf("after six minutes: got %d, want to be asked to sign in again: %s", got.Code, got.Body)
	}
	got := ask(func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("id", "b25l")
		s.removePasskey(w, r)
	})
	if _, keys, _ := book.PasskeysOf("ann"); len(keys) != 1 || got.Header().Get("Location") != access.AgainPath+"&next=/account" {
		t.Errorf("removing one after six minutes: %d to %q, %d are left", got.Code, got.Header().Get("Location"), len(keys))
	}
}
