package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/console"
)

func TestPasswordsThatWillNotDo(t *testing.T) {
	for password, want := range map[string]string{
		"short": "needs 12", "aaaaaaaaaaaaaa": "different", "annabel-annabel": "name in it", strings.Repeat("long ", 60): "longer", "abcdefgh\xffijklmnop": "UTF-8",
		"三十功名尘与土八千里路": "needs 12", "三十功名尘与土八千里路云": "", longPassword: "",
	} {
		if got := badPassword("annabel", password); got == "" != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%.30q: got %q, want %q", password, got, want)
		}
	}
}

func TestPasswordsAreKept(t *testing.T) {
	kept := makePassword(cheap, longPassword)
	if right, again := rightPassword(derive, cheap, kept, longPassword); !right || again {
		t.Errorf("got %v, %v for the right one", right, again)
	}
	if right, again := rightPassword(derive, usual, kept, longPassword); !right || !again {
		t.Errorf("got %v, %v, want it made again with more", right, again)
	}
	for _, bad := range []string{"", "x", strings.Replace(kept, "m=64", "m=99999999", 1), strings.Replace(kept, "t=1", "t=4000000", 1), strings.Replace(kept, "argon2id", "argon2i", 1)} {
		if right, _ := rightPassword(derive, cheap, bad, longPassword); right {
			t.Errorf("%q counts", bad)
		}
	}
	if usual.memory < 19<<10 || usual.passes < 2 {
		t.Errorf("%+v is below what OWASP asks", usual)
	}

	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	s.cost = cost{memory: 128, passes: 1, threads: 1}
	s.signIn(t, "ann", longPassword, "192.0.2.7")
	if got := s.users["ann"].Password; !strings.Contains(got, "m=128") {
		t.Errorf("got %q, want it made anew with the cost of today", got)
	}
	s.signIn(t, "ann", longPassword, "192.0.2.7")
}

// TestUnknownNamesTakeAsLong: what takes the time of a sign-in is asked for once, whoever signs in.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	s.user(t, console.NewUser{Name: "guest", Role: viewer}) // without a password
	var asked []cost
	s.derive = func(c cost, password string, salt []byte) []byte {
		asked = append(asked, c)
		return derive(c, password, salt)
	}
	for _, name := range []string{"ann", "guest", "nobody", "a name\x00", ""} {
		asked = nil
		if _, _, err := s.SignIn(context.Background(), name, "not this one, surely", home("192.0.2.1")); err != ErrSignIn {
			t.Errorf("%q: got %v, want %v", name, err, ErrSignIn)
		}
		if len(asked) != 1 || asked[0] != cheap {
			t.Errorf("%q: %v was asked for, want %v once: time tells who has an account", name, asked, cheap)
		}
		s.add(time.Hour)
	}
}

func TestTriesAreBounded(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: admin, Password: longPassword})
	s.signIn(t, "ann", longPassword, "192.0.2.7")
	try := func(name, address string) error {
		_, _, err := s.SignIn(context.Background(), name, "wrong wrong wrong", home(address))
		return err
	}
	var busy *TooMany
	for i := range byAddress.free {
		if err := try(fmt.Sprint("name", i), "192.0.2.66"); err != ErrSignIn {
			t.Fatalf("try %d: got %v, want %v", i, err, ErrSignIn)
		}
	}
	if err := try("ann", "192.0.2.66"); !errors.As(err, &busy) || busy.Wait != time.Second {
		t.Errorf("got %v, want a wait of a second", err)
	}
	longest := time.Duration(0)
	for range 40 {
		if err := try("ann", "192.0.2.66"); errors.As(err, &busy) {
			longest = max(longest, busy.Wait)
			s.add(busy.Wait)
		}
	}
	if longest != byAddress.most {
		t.Errorf("the longest wait is %v, want %v", longest, byAddress.most)
	}
	s.signIn(t, "ann", longPassword, "192.0.2.7") // from elsewhere nobody waits

	// From as many networks as one likes, the account is tried no faster; its owner comes in from where she was before.
	refused := 0
	for i := range 200 {
		if err := try("ann", fmt.Sprintf("2001:db8:%x::1", i)); errors.As(err, &busy) {
			refused++
		}
	}
	if refused != 200-byAccount.free {
		t.Errorf("%d of 200 tries were refused, want %d", refused, 200-byAccount.free)
	}
	if _, _, err := s.SignIn(context.Background(), "ann", longPassword, home("198.51.100.3")); !errors.As(err, &busy) || busy.Wait > byAccount.most {
		t.Errorf("got %v from a new network, want a wait of %v at most", err, byAccount.most)
	}
	s.signIn(t, "ann", longPassword, "192.0.2.7")
	s.add(byAccount.most)
	s.signIn(t, "ann", longPassword, "198.51.100.3")

	// One network of IPv6 is one, whatever address somebody takes in it.
	refused = 0
	for i := range 100 {
		if err := try(fmt.Sprint("other", i), fmt.Sprintf("2001:db8:ffff:1::%x", i)); errors.As(err, &busy) {
			refused++
		}
	}
	if refused != 100-byAddress.free {
		t.Errorf("%d of 100 tries from one /64 were refused, want %d", refused, 100-byAddress.free)
	}
	if got := s.Session(s.signIn(t, "ann", longPassword, "192.0.2.7")); got == nil {
		t.Error("ann cannot sign in any more")
	}
}

// TestNobodyIsLockedOutBehindAProxy: all come from one address, and one who guesses must keep no other out.
func TestNobodyIsLockedOutBehindAProxy(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: admin, Password: longPassword})
	s.user(t, console.NewUser{Name: "bob", Role: admin, Password: longPassword})
	for range 50 {
		s.SignIn(context.Background(), "ann", "wrong wrong wrong", home("127.0.0.1"))
	}
	s.signIn(t, "bob", longPassword, "127.0.0.1")
	s.add(byLoopback.most)
	s.signIn(t, "ann", longPassword, "127.0.0.1")
}

func TestTriesTableIsBounded(t *testing.T) {
	tries := newTries(100)
	now := newClock().now()
	for range 20 {
		tries.begin("guesser", byAddress, now)
	}
	for i := range 100_000 {
		tries.begin(fmt.Sprint(i), byAddress, now)
	}
	if len(tries.of) > 100 || tries.full.Load() == 0 {
		t.Errorf("got %d in a table of 100, and %d that gave way", len(tries.of), tries.full.Load())
	}
}

// TestFloodOfPasswords: many at once take the memory of two, who guesses is told to come again, and who comes from where she was before gets in.
func TestFloodOfPasswords(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "ann", Role: admin, Password: longPassword})
	s.signIn(t, "ann", longPassword, "192.0.2.7")
	s.guessing <- struct{}{} // the one place for guesses is taken
	ctx, cancel := context.WithCancel(context.Background())
	var guesses sync.WaitGroup
	for i := range maxWaiting - keptWaiting {
		guesses.Go(func() { s.SignIn(ctx, fmt.Sprint("name", i), longPassword, home(fmt.Sprintf("10.0.%d.1", i))) })
	}
	for s.waiting.Load() < maxWaiting-keptWaiting {
		time.Sleep(time.Millisecond)
	}
	var busy *TooMany
	if _, _, err := s.SignIn(context.Background(), "ann", longPassword, home("198.51.100.1")); !errors.As(err, &busy) || s.Busy.Load() != 1 {
		t.Errorf("got %v, %d, want to be told to come again", err, s.Busy.Load())
	}
	s.signIn(t, "ann", longPassword, "192.0.2.7")
	cancel()
	guesses.Wait()
	<-s.guessing
	s.signIn(t, "ann", longPassword, "198.51.100.1")
	if n := s.waiting.Load(); n != 0 {
		t.Errorf("%d wait, want nobody", n)
	}
}
