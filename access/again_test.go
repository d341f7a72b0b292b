package access

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ringfence/console"
)

// TestAskedAgain: with a session that was left open nobody makes himself a way in that outlasts it.
func TestAskedAgain(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: admin, Password: longPassword})
	g := Guard(&together{everybody: newEverybody(1), Book: s.Book}, s.Book)
	secret := s.signIn(t, "ann", longPassword, "192.0.2.7")
	role := admin
	lasting := map[string]func(w *console.Who, name string) error{
		"a token": func(w *console.Who, name string) error {
			_, err := g.AddToken(asWho(w), console.NewToken{Name: name, Role: admin})
			return err
		},
		"a user": func(w *console.Who, name string) error {
			_, err := g.AddUser(asWho(w), console.NewUser{Name: name, Role: admin})
			return err
		},
		"another role": func(w *console.Who, _ string) error {
			_, err := g.SetUser(asWho(w), console.UserSet{Name: "ann", Role: &role})
			return err
		},
	}
	for what, do := range lasting {
		if err := do(s.Session(secret), "early"); err != nil {
			t.Errorf("%s, at once: %v", what, err)
		}
	}
	s.add(signedInFor)
	for what, do := range lasting {
		if err := do(s.Session(secret), "late"); !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), AgainPath) {
			t.Errorf("%s, after five minutes: %v, want to be asked to sign in again", what, err)
		}
	}
	again := s.Session(s.signIn(t, "ann", longPassword, "192.0.2.7"))
	for what, do := range lasting {
		if err := do(again, "later"); err != nil {
			t.Errorf("%s, signed in again: %v", what, err)
		}
		if err := do(&console.Who{Name: "root", Way: console.BySocket, Role: admin}, "socket"); err != nil {
			t.Errorf("%s, at the machine: %v", what, err)
		}
	}
	s.add(time.Hour)
	if _, err := g.RevokeToken(asWho(s.Session(secret)), "early"); err != nil {
		t.Errorf("what takes away asks nobody again: %v", err)
	}
}
