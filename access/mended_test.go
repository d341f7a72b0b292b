package access

import (
	"errors"
	"testing"

	"ringfence/console"
)

// TestFirstLinkAfterAnAdministrator: the first link stands in the log for all who may read it, so it counts for nothing once there is an administrator,
// however that one was made.
func TestFirstLinkAfterAnAdministrator(t *testing.T) {
	s := openBook(t, "", newClock())
	link, err := s.FirstLink()
	if err != nil || link == "" {
		t.Fatalf("got %q, %v", link, err)
	}
	s.user(t, console.NewUser{Name: "boss", Role: admin, Password: longPassword})
	if _, _, err := s.Redeem(t.Context(), link, longPassword, Origin{Address: "192.0.2.9"}); !errors.Is(err, ErrLink) {
		t.Errorf("got %v, want %v", err, ErrLink)
	}
	if _, err := s.LinkOf(link); !errors.Is(err, ErrLink) {
		t.Errorf("its page: got %v, want %v", err, ErrLink)
	}
}

// TestNoPasskeyBesideAnotherServer: the other server says at each sign-in what they may do, and a passkey here would not ask it.
func TestNoPasskeyBesideAnotherServer(t *testing.T) {
	s := openBook(t, "", newClock())
	if _, _, err := s.SignInFrom(t.Context(), OIDCUser{Issuer: "https://login.example.com", Subject: "42", Name: "mei", Role: admin}, Origin{Address: "192.0.2.9"}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddPasskey(t.Context(), "mei", Passkey{ID: []byte("k"), Data: []byte("{}")}); !errors.Is(err, console.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
}
