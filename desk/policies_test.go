package desk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/storage"
)

const strictPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "sales"
when = { caller = ["9521????"] }
action = "reject"
`

func versionsOf(t *testing.T, d console.Policies) (all []console.PolicyVersion) {
	t.Helper()
	if err := d.PolicyVersions(t.Context(), func(v console.PolicyVersion) error { all = append(all, v); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPutPolicy takes a policy through its life: refused with faults, put in force, lost a race, taken back.
func TestPutPolicy(t *testing.T) {
	c := installation(t, smallPolicy)
	d, _ := startLogging(t, c)
	ctx := console.WithWho(t.Context(), &console.Who{Name: "ada", Way: console.BySession, Role: console.Admin})
	first, err := d.Policy(ctx)
	if err != nil || first.Text != smallPolicy || !first.InForce || first.ReadOnly != "" || first.Version == "" {
		t.Fatalf("got %+v, %v", first, err)
	}

	put, err := d.PutPolicy(ctx, console.PolicyEdit{Text: strictPolicy + "nonsense = 1\n", ETag: first.ETag})
	if err != nil || put.Loaded || len(put.Faults) == 0 || !strings.Contains(put.Faults[0].Text, "policy.toml:") {
		t.Fatalf("a text with a fault: got %+v, %v", put, err)
	}
	if text, _ := os.ReadFile(c.Policy); string(text) != smallPolicy {
		t.Fatalf("a text with a fault was written:\n%s", text)
	}

	put, err = d.PutPolicy(ctx, console.PolicyEdit{Text: strictPolicy, ETag: first.ETag, Note: "sales calls"})
	if err != nil || !put.Loaded || put.Rules != 2 {
		t.Fatalf("got %+v, %v", put, err)
	}
	if text, _ := os.ReadFile(c.Policy); string(text) != strictPolicy {
		t.Fatalf("the file has\n%s", text)
	}
	if r := d.force.Rules(); len(r.Policy.Rules()) != 2 || r.Version != put.Version {
		t.Errorf("in force are %d rules of version %s, want 2 of %s", len(r.Policy.Rules()), r.Version, put.Version)
	}
	if _, err := d.PutPolicy(ctx, console.PolicyEdit{Text: smallPolicy, ETag: first.ETag}); !errors.Is(err, console.ErrConflict) {
		t.Errorf("a text made from an earlier one: got %v, want a conflict", err)
	}

	all := versionsOf(t, d)
	if len(all) != 2 || all[0].ID != put.Version || !all[0].InForce || all[0].Who != "ada" || all[0].From != console.FromConsole || all[0].Note != "sales calls" || all[1].ID != first.Version || all[1].InForce {
		t.Fatalf("got the versions %+v", all)
	}
	before, err := d.PolicyVersion(ctx, all[1].ID)
	if err != nil || before.Text != smallPolicy {
		t.Fatalf("got %+v, %v", before, err)
	}
	if put, err = d.PutPolicy(ctx, console.PolicyEdit{Text: before.Text, ETag: put.ETag}); err != nil || !put.Loaded {
		t.Fatalf("taking it back: got %+v, %v", put, err)
	}
	if all = versionsOf(t, d); len(all) != 3 || all[0].ID != first.Version || !all[0].InForce || all[2].InForce {
		t.Errorf("got the versions %+v", all)
	}
	if _, err := d.PolicyVersion(ctx, "000000000000"); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("a version that was not: got %v", err)
	}

	// A restart with the same text is no new version, and a change to the file is one of nobody.
	d.stop(t)
	d, _ = startLogging(t, c)
	if all = versionsOf(t, d); len(all) != 3 {
		t.Errorf("after a restart there are %d versions, want 3", len(all))
	}
	if err := os.WriteFile(c.Policy, []byte(strictPolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	if now, err := d.Policy(ctx); err != nil || now.InForce || now.Text != strictPolicy {
		t.Errorf("a file that was changed: got %+v, %v", now, err)
	}
	if _, err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all = versionsOf(t, d); len(all) != 4 || all[0].Who != "" {
		t.Errorf("got the versions %+v", all)
	}
}

// TestPolicyNotWritable: a policy in a folder that the daemon may not write to is shown, and why it cannot be changed.
func TestPolicyNotWritable(t *testing.T) {
	c := installation(t, smallPolicy)
	d, _ := startLogging(t, c)
	c.Policy = filepath.Join("/proc/self", "policy.toml") // nobody may make a file there, root included
	if why := d.policyReadOnly(); !strings.Contains(why, "may not write") || !strings.Contains(why, "ringfence policy reload") {
		t.Errorf("got %q", why)
	}
	_, err := d.PutPolicy(t.Context(), console.PolicyEdit{Text: strictPolicy, ETag: etagOf(nil)}) // there is none yet
	if !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "may not write") {
		t.Errorf("written to a place that cannot be written to: got %v", err)
	}
	if got := len(d.force.Rules().Policy.Rules()); got != 1 {
		t.Errorf("%d rules are in force, want the 1 of before", got)
	}
}

// TestPolicyOfOthers: a node whose policy is another's does not take an edit, and says of what is read that it is changed back.
func TestPolicyOfOthers(t *testing.T) {
	c := installation(t, smallPolicy)
	c.Node, c.Cluster = "b", &conf.Cluster{SharePolicy: true, PolicyFrom: []string{"a"}}
	d, _ := startLogging(t, c)
	r, err := d.Reload(t.Context())
	if err != nil || !r.Loaded || len(r.Faults) == 0 || !strings.Contains(r.Faults[len(r.Faults)-1].Text, "changed back") || !r.Faults[len(r.Faults)-1].Warning {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := d.PutPolicy(t.Context(), console.PolicyEdit{Text: strictPolicy, ETag: etagOf([]byte(smallPolicy))}); !errors.Is(err, console.ErrConflict) {
		t.Errorf("it is changed here: %v", err)
	}
	c.Node = "a"
	if r, err := d.Reload(t.Context()); err != nil || slices.ContainsFunc(r.Faults, func(f console.Fault) bool { return strings.Contains(f.Text, "changed back") }) {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestPutPolicyThroughLink: a link to the policy stays one.
func TestPutPolicyThroughLink(t *testing.T) {
	c := installation(t, smallPolicy)
	real := filepath.Join(t.TempDir(), "real.toml")
	if err := errors.Join(os.Rename(c.Policy, real), os.Symlink(real, c.Policy), os.Chmod(real, 0o640)); err != nil {
		t.Fatal(err)
	}
	d, _ := startLogging(t, c)
	p, err := d.Policy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if put, err := d.PutPolicy(t.Context(), console.PolicyEdit{Text: strictPolicy, ETag: p.ETag}); err != nil || !put.Loaded {
		t.Fatalf("got %+v, %v", put, err)
	}
	info, err := os.Lstat(c.Policy)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file has the mode %v, %v, want 0640", info.Mode(), err)
	}
}

// TestTryPolicy runs a journal through a policy that is not in force.
func TestTryPolicy(t *testing.T) {
	d, _ := startLogging(t, installation(t, smallPolicy))
	now := time.Now()
	for i, caller := range []string{"95211613", "95211614", "13800138000", "95211615"} {
		rec := storage.Record{
			Time: now.Add(-time.Duration(10-i) * time.Hour), Caller: storage.Caller{Raw: caller, Kind: "service"}, Callee: "05925550100",
			Action: "allow", Would: "allow", Mode: "enforce", Rule: "default",
		}
		if i == 3 {
			rec.Time = now.AddDate(0, 0, -9) // before the week that is tried
		}
		if i == 1 {
			rec.Outcome = &storage.Outcome{Answered: true, TalkS: 75}
		}
		d.journal.Add(rec)
	}
	if err := d.journal.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := d.TryPolicy(t.Context(), console.TryQuery{Text: strictPolicy})
	if err != nil {
		t.Fatal(err)
	}
	if got.Calls != 3 || got.Changed != 2 || got.Cut || len(got.Moves) != 1 {
		t.Fatalf("got %+v", got)
	}
	if m := got.Moves[0]; m.From != "allow" || m.To != "reject" || m.Rule != "sales" || m.Calls != 2 || m.Long != 1 || len(m.Examples) != 2 || m.Examples[0].Caller.Raw != "95211613" {
		t.Errorf("got the move %+v", m)
	}
	if got := len(d.force.Rules().Policy.Rules()); got != 1 {
		t.Errorf("%d rules are in force after a try, want 1", got)
	}
	if got, err := d.TryPolicy(t.Context(), console.TryQuery{Text: "country = 1"}); err != nil || len(got.Faults) == 0 || got.Calls != 0 {
		t.Errorf("a text with a fault: got %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.TryPolicy(ctx, console.TryQuery{Text: strictPolicy}); err == nil {
		t.Error("who asked is gone, and it was tried nevertheless")
	}
}
