package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

func TestLinksWorkOnce(t *testing.T) {
	s := openBook(t, "", newClock())
	first, err := s.FirstLink()
	if err != nil || !strings.HasPrefix(first, WelcomePath) {
		t.Fatalf("got the first link %q, %v", first, err)
	}
	if again, _ := s.FirstLink(); again != first {
		t.Errorf("it is another when it is asked for again: %q and %q", first, again)
	}
	if _, _, err := s.Redeem(context.Background(), first, "short", home("192.0.2.7")); !errors.Is(err, console.ErrBad) {
		t.Fatalf("a bad password: got %v, want ErrBad", err)
	}
	secret, w, err := s.Redeem(context.Background(), first, longPassword, home("192.0.2.7"))
	if err != nil || w.Role != admin || s.Session(secret) == nil {
		t.Fatalf("got %+v, %v, want an administrator who is signed in", w, err)
	}
	if _, _, err := s.Redeem(context.Background(), first, longPassword, home("192.0.2.7")); err != ErrLink {
		t.Errorf("the link once more: got %v, want %v", err, ErrLink)
	}
	if path, _ := s.FirstLink(); path != "" {
		t.Errorf("there is a link %q where there is an administrator", path)
	}
	s.signIn(t, FirstAdmin, longPassword, "192.0.2.7")

	link := s.user(t, console.NewUser{Name: "ann", Role: viewer}).Link
	late := s.user(t, console.NewUser{Name: "bob", Role: viewer}).Link
	s = s.again(t)
	if name, err := s.LinkOf(link); err != nil || name != "ann" {
		t.Errorf("got %q, %v after a restart, want ann", name, err)
	}
	if _, w, err = s.Redeem(context.Background(), link, longPassword, home("192.0.2.7")); err != nil || w.Name != "ann" {
		t.Fatalf("got %+v, %v", w, err)
	}
	s = s.again(t)
	if _, _, err := s.Redeem(context.Background(), link, longPassword, home("192.0.2.7")); err != ErrLink {
		t.Errorf("the link once more: got %v, want %v", err, ErrLink)
	}
	s.add(inviteFor)
	if _, _, err := s.Redeem(context.Background(), late, longPassword, home("192.0.2.7")); err != ErrLink {
		t.Errorf("a link of a week ago: got %v, want %v", err, ErrLink)
	}
	none := ""
	edit, err := s.SetUser(asAdmin(), console.UserSet{Name: "ann", Password: &none})
	if err != nil || edit.Link == "" || edit.Password {
		t.Errorf("got %+v, %v, want no password and a link", edit, err)
	}
	if _, _, err := s.Redeem(context.Background(), late, longPassword, home("192.0.2.7")); err != ErrLink {
		t.Errorf("another's link: got %v, want %v", err, ErrLink)
	}
}

// TestLinkAtOnce: of several who use a link at the same moment one gets in.
func TestLinkAtOnce(t *testing.T) {
	s := openBook(t, "", newClock())
	first, _ := s.FirstLink()
	invited := s.user(t, console.NewUser{Name: "ann", Role: viewer}).Link
	for _, link := range []string{first, invited} {
		var in atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, _, err := s.Redeem(context.Background(), link, longPassword, home("192.0.2.7")); err == nil {
					in.Add(1)
				}
			})
		}
		all.Wait()
		if n := in.Load(); n != 1 {
			t.Errorf("%d got in by one link, want 1", n)
		}
	}
}

func TestNoticeLinks(t *testing.T) {
	s := openBook(t, "", newClock())
	call := storage.NewID(s.now())
	link := s.NoticeLink(call, "bakery~ab12", s.now().Add(7*24*time.Hour))
	w, err := s.NoticeOf(link, "192.0.2.7")
	if err != nil || w.Call != call || !slices.Equal(w.Lines, []string{"bakery"}) || w.Way != console.ByLink {
		t.Fatalf("got %+v, %v", w, err)
	}
	for i := range len(link) - len(NoticePath) {
		at := len(NoticePath) + i
		other := link[:at] + string('A'+(link[at]+1)%26) + link[at+1:]
		if other == link {
			continue
		}
		if got, err := s.NoticeOf(other, ""); err == nil {
			t.Fatalf("a link whose character %d is another: got %+v", i, got)
		}
	}
	s = s.again(t)
	back, err := s.useNotice(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.NoticeOf(link, ""); err != ErrLink {
		t.Errorf("a used link: got %v", err)
	}
	if _, err := s.useNotice(w); err != ErrLink {
		t.Errorf("used once more: got %v", err)
	}
	back()
	if _, err := s.NoticeOf(link, ""); err != nil {
		t.Errorf("one that did nothing: got %v", err)
	}
	if _, err := s.useNotice(w); err != nil {
		t.Fatal(err)
	}
	s = s.again(t)
	for name, used := range map[string]string{"a used link after a restart": link, "another to the same call": s.NoticeLink(call, "bakery~ab12", s.now().Add(time.Hour))} {
		if _, err := s.NoticeOf(used, ""); err != ErrLink {
			t.Errorf("%s: got %v", name, err)
		}
	}
	other := s.NoticeLink(storage.NewID(s.now()), "bakery~ab12", s.now().Add(time.Hour))
	if _, err := s.NoticeOf(other, ""); err != nil {
		t.Errorf("one of another call: got %v", err)
	}
	s.add(time.Hour)
	if _, err := s.NoticeOf(other, ""); err != ErrLink {
		t.Errorf("a link that has expired: got %v", err)
	}
	if got := s.NoticeLink("no ulid", "x", s.now()); got != "" {
		t.Errorf("got %q for no call", got)
	}
}
