package access

import (
	"context"
	"slices"
	"testing"

	"ringfence/console"
	"ringfence/storage"
)

func (s *shelf) token(t testing.TB, ctx context.Context, n console.NewToken) (secret string) {
	t.Helper()
	made, err := s.AddToken(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return made.Secret
}

// TestTokensGoWithTheirMaker: what somebody keeps of the time when they might more is worth what they may now.
func TestTokensGoWithTheirMaker(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "root", Role: admin, Password: longPassword})
	s.user(t, console.NewUser{Name: "Ann", Role: admin, Password: longPassword})
	ann := asWho(s.Session(s.signIn(t, "Ann", longPassword, "192.0.2.7")))
	all := s.token(t, ann, console.NewToken{Name: "all", Role: admin})
	li := s.token(t, ann, console.NewToken{Name: "li", Role: reviewer, Customer: "Li"})
	staff := s.token(t, ann, console.NewToken{Name: "staff", Role: viewer, Lines: []string{"staff", "hotline"}})
	second := s.token(t, asWho(s.Token(all, "")), console.NewToken{Name: "second", Role: admin}) // what the token makes is hers too
	machine := s.token(t, asAdmin(), console.NewToken{Name: "machine", Role: admin})

	set := func(role console.Role, lines []string, customer string) {
		t.Helper()
		if _, err := s.SetUser(asAdmin(), console.UserSet{Name: "ann", Role: &role, Lines: &lines, Customer: &customer}); err != nil {
			t.Fatal(err)
		}
	}
	type may struct {
		role     console.Role
		lines    []string
		customer string
	}
	none := may{}
	check := func(when string, want map[string]may) {
		t.Helper()
		for _, k := range []struct{ name, secret string }{{"all", all}, {"li", li}, {"staff", staff}, {"second", second}, {"machine", machine}} {
			got := may{}
			if w := s.Token(k.secret, ""); w != nil {
				got = may{w.Role, w.Lines, w.Customer}
				if f := s.fresh(w); f == nil || f.Role != w.Role {
					t.Errorf("%s: who follows with the token %s is now %+v, want %+v", when, k.name, f, w)
				}
			}
			if w := want[k.name]; got.role != w.role || !slices.Equal(got.lines, w.lines) || got.customer != w.customer {
				t.Errorf("%s: the token %s is good for %+v, want %+v", when, k.name, got, w)
			}
		}
	}
	everything := may{role: admin}
	check("as they were made", map[string]may{
		"all": everything, "second": everything, "machine": everything, "li": {reviewer, nil, "Li"}, "staff": {viewer, []string{"staff", "hotline"}, ""},
	})
	watching := s.Token(all, "")
	set(viewer, nil, "")
	if f := s.fresh(watching); f == nil || f.Role != viewer {
		t.Errorf("who follows with a token of hers is now %+v, want a viewer", f)
	}
	check("a viewer", map[string]may{
		"all": {role: viewer}, "second": {role: viewer}, "machine": everything, "li": {viewer, nil, "Li"}, "staff": {viewer, []string{"staff", "hotline"}, ""},
	})
	set(reviewer, []string{"staff"}, "")
	bound := may{reviewer, []string{"staff"}, ""}
	check("bound to a line", map[string]may{"all": bound, "second": bound, "machine": everything, "li": none, "staff": {viewer, []string{"staff"}, ""}})
	listed, _ := s.Tokens(asAdmin())
	for _, k := range listed {
		if k.Nothing != (k.Name == "li") {
			t.Errorf("the list has %+v, want it to say of li alone that it is good for nothing", k)
		}
	}
	set(reviewer, nil, "Li")
	bound = may{reviewer, nil, "Li"}
	check("bound to a customer", map[string]may{"all": bound, "second": bound, "machine": everything, "li": bound, "staff": none})
	set(admin, nil, "")
	if s = s.again(t); s.Token(all, "") == nil {
		t.Error("after a restart the token of an administrator does not count")
	}
}

// TestTokensOfTheRemoved: they are gone for good, and whoever gets the name next has none of them.
func TestTokensOfTheRemoved(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "root", Role: admin, Password: longPassword})
	s.user(t, console.NewUser{Name: "Ann", Role: admin, Password: longPassword})
	all := s.token(t, asWho(s.Session(s.signIn(t, "Ann", longPassword, "192.0.2.7"))), console.NewToken{Name: "all", Role: admin})
	watching := s.Token(all, "")
	s.token(t, asWho(watching), console.NewToken{Name: "second", Role: viewer, Customer: "Li"})
	machine := s.token(t, asAdmin(), console.NewToken{Name: "machine", Role: admin})
	desk := Guard(&together{everybody: newEverybody(1), Book: s.Book}, s.Book)
	edit, err := desk.RemoveUser(asAdmin(), "ann")
	if err != nil || !slices.Equal(edit.Tokens, []string{"all", "second"}) {
		t.Fatalf("removed: %+v, %v; want her two tokens named", edit, err)
	}
	s.user(t, console.NewUser{Name: "Ann", Role: admin, Password: longPassword}) // another of that name
	for _, when := range []string{"at once", "after a restart"} {
		if s.Token(all, "") != nil || s.Token(machine, "") == nil {
			t.Errorf("%s: her token counts, or that of the machine does not", when)
		}
		s = s.again(t)
	}
	n := 0
	if err := s.db.EachAccess(storage.AccessTokens, func(storage.AccessRow) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("there are %d tokens on disk (%v), want that of the machine", n, err)
	}
	if _, err := s.AddToken(asWho(watching), console.NewToken{Name: "late", Role: viewer}); err == nil {
		t.Error("a token that is gone makes another")
	}
}
