package desk

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ringfence/console"
)

// TestForgetPolicies: whoever is forgotten may be named by policies that were in force; they are told, and go if that is asked for.
func TestForgetPolicies(t *testing.T) {
	c := installation(t, smallPolicy)
	d, _ := startLogging(t, c)
	ctx := console.WithWho(t.Context(), &console.Who{Name: "ada", Way: console.BySession, Role: console.Admin})
	naming := strictPolicy + "# for 138-0013 8000, who complained\n"
	put := func(text, note string) string {
		t.Helper()
		now, err := d.Policy(ctx)
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.PutPolicy(ctx, console.PolicyEdit{Text: text, ETag: now.ETag, Note: note})
		if err != nil || !p.Loaded {
			t.Fatalf("%+v, %v", p, err)
		}
		return p.Version
	}
	byText, byNote := put(naming, ""), put(strictPolicy, "not +8613800138000 any more")
	last := put(smallPolicy+"# nobody\n", "")
	forget := func(q console.ForgetQuery) (named, removed []string) {
		t.Helper()
		q.Number = "13800138000"
		r, err := d.Forget(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Policies {
			if named = append(named, p.ID); p.Removed {
				removed = append(removed, p.ID)
			}
		}
		return named, removed
	}
	both := []string{byNote, byText}
	for _, q := range []console.ForgetQuery{{DryRun: true, Policies: true}, {}} {
		if named, removed := forget(q); !slices.Equal(named, both) || q.DryRun != (len(removed) == 2) {
			t.Errorf("%+v names %q and takes away %q, want %q", q, named, removed, both)
		}
	}
	if named, removed := forget(console.ForgetQuery{Policies: true}); !slices.Equal(removed, both) || len(named) != 2 {
		t.Errorf("it names %q and takes away %q, want %q", named, removed, both)
	}
	if named, _ := forget(console.ForgetQuery{}); len(named) > 0 {
		t.Errorf("afterwards it is named by %q", named)
	}
	for _, v := range versionsOf(t, d) {
		if v.ID == byText || v.ID == byNote {
			t.Errorf("the version %s is still there", v.ID)
		}
	}
	if v, err := d.PolicyVersion(ctx, last); err != nil || !v.InForce {
		t.Errorf("what is in force: %+v, %v", v, err)
	}

	now := put(naming, "")
	r, err := d.Forget(ctx, console.ForgetQuery{Number: "13800138000", Policies: true})
	if err != nil || len(r.Policies) != 1 || r.Policies[0].Removed || !strings.Contains(strings.Join(r.Notes, " "), "edit "+c.Policy) {
		t.Errorf("named by what is in force: %+v, %v", r, err)
	}
	if v, err := d.PolicyVersion(context.Background(), now); err != nil || v.Text != naming {
		t.Errorf("what is in force is gone: %v", err)
	}
}

func TestSpeaksOf(t *testing.T) {
	spelt := []string{"8613800138000", "008613800138000", "13800138000", "013800138000"}
	for text, want := range map[string]bool{
		`caller = ["13800138000"]`: true, "138 0013 8000": true, "+86 138-0013-8000": true, "0086 (138) 0013.8000": true, "10 13800138000": true, "13800138000 10": true,
		"1380013800": false, "138001380001": false, "113800138000": false, "138 0013 8001": false, "": false, "1380013800?": false,
	} {
		if got := speaksOf(text, spelt); got != want {
			t.Errorf("%q names the number: %v", text, got)
		}
	}
}
