package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/access"
	"ringfence/bridge"
	"ringfence/console"
)

const bounding = providing + `
[[rule]]
name = "listed"
when = { list = ["line:blacklist", "blacklist"] }
action = "reject"
`

// guarded is a desk for somebody who is bound to a customer's lines.
func guarded(d *house, customer string, lines ...string) (console.Desk, context.Context) {
	w := &console.Who{Name: "customer", Way: console.ByToken, Role: console.Reviewer, Customer: customer, Lines: lines}
	return access.Guard(d.d.Desk(), d.d.book), console.WithWho(context.Background(), w)
}

// callersOf are those of the calls that somebody sees, by whichever way.
func callersOf(t *testing.T, g console.Desk, ctx context.Context) (callers []string) {
	t.Helper()
	if err := g.Journal(ctx, console.Query{}, func(r console.Record) error { callers = append(callers, r.Caller.E164); return nil }); err != nil {
		t.Fatal(err)
	}
	page, err := g.Search(ctx, console.SearchQuery{Query: console.Query{Limit: 100}})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, r := range page.Records {
		found = append(found, r.Caller.E164)
	}
	if !slices.Equal(callers, found) {
		t.Errorf("the journal has %q, and the search %q", callers, found)
	}
	return callers
}

// A customer of a running daemon sees the calls to his own lines, by whatever way he asks, and edits their own lists: not those of others, nor of before
// a line was his.
func TestCustomerSeesHisOwn(t *testing.T) {
	policy := strings.Replace(bounding, "[[rule]]", "[[rule]]\nname = \"ours\"\nwhen = { list = [\"line:allowlist\"] }\naction = \"allow\"\n[[rule]]", 1)
	d := in(start(t, installation(t, policy)))
	provided(t, d)
	call := func(caller, callee string) string {
		t.Helper()
		f := bridge.Facts{UUID: caller + callee, Number: caller, FromUser: caller, Callee: callee}
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{Keyed: bridge.KeyedWrong})
		return v.Action
	}
	call("13800138001", "05925550100") // acme1
	call("13800138002", "05925550200") // bread, the baker's
	call("13800138003", "05925550120") // acme2
	flushed(t, d)

	g, acme := guarded(d, "acme")
	if got, want := callersOf(t, g, acme), []string{"+8613800138001", "+8613800138003"}; !slices.Equal(got, want) {
		t.Errorf("acme sees %q, want %q", got, want)
	}
	_, one := guarded(d, "", "acme2")
	if got, want := callersOf(t, g, one), []string{"+8613800138003"}; !slices.Equal(got, want) {
		t.Errorf("who is bound to acme2 sees %q, want %q", got, want)
	}
	var baker console.Record
	admin := console.WithWho(context.Background(), &console.Who{Name: "root", Way: console.BySocket, Role: console.Admin})
	g.Journal(admin, console.Query{Customer: "baker"}, func(r console.Record) error { baker = r; return nil })
	if _, err := g.Call(acme, baker.ID); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("the baker's call: got %v, want that there is none", err)
	}
	if _, err := g.Correct(acme, baker.ID); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("correcting the baker's call: got %v, want that there is none", err)
	}

	if _, err := g.AddEntries(acme, "acme1:blacklist", []console.NewEntry{{Number: "13800138009"}}, false); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"blacklist", "bread:blacklist", "line:blacklist", "acme1:other"} {
		if _, err := g.AddEntries(acme, list, []console.NewEntry{{Number: "13800138009"}}, false); !errors.Is(err, console.ErrNotFound) {
			t.Errorf("adding to %s: got %v, want that there is none", list, err)
		}
	}
	var last console.AuditEntry
	if err := g.Audit(admin, console.AuditQuery{What: "list add", Limit: 1000}, func(e console.AuditEntry) error { last = e; return nil }); err != nil || last.Change == 0 || last.Who != "customer" {
		t.Errorf("the audit has %+v (%v), want the customer's change", last, err)
	}
	if _, err := g.Undo(acme, last.Change); err != nil {
		t.Errorf("undoing it: %v", err)
	}

	// A line that another gets has nothing of before for him, and nothing any more for who had it.
	other := "baker"
	if _, err := d.SetLine(t.Context(), console.LineSet{Name: "acme1", Customer: &other}); err != nil {
		t.Fatal(err)
	}
	_, asBaker := guarded(d, "baker")
	if got, want := callersOf(t, g, asBaker), []string{"+8613800138002"}; !slices.Equal(got, want) {
		t.Errorf("the baker sees %q, want %q", got, want)
	}
	if err := g.Entries(acme, "acme1:blacklist", func(console.ListEntry) error { return nil }); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("the list of a line that is another's now: got %v, want that there is none", err)
	}
	n := 0
	if err := g.Changes(asBaker, "acme1:blacklist", func(console.ListChange) error { n++; return nil }); err != nil || n > 0 {
		t.Errorf("the baker sees %d changes of before (%v), want none", n, err)
	}
	if err := g.History(asBaker, "13800138009", func(console.ListHistory) error { n++; return nil }); err != nil || n > 0 {
		t.Errorf("the baker sees %d changes of a number of before (%v), want none", n, err)
	}
}

// The link of a notice shows the call, lets its caller through to that line, once, and nothing else.
func TestNoticeLinkLetsThrough(t *testing.T) {
	policy := strings.Replace(bounding, "[[rule]]", "[[rule]]\nname = \"ours\"\nwhen = { list = [\"line:allowlist\"] }\naction = \"allow\"\n[[rule]]", 1)
	d := in(start(t, installation(t, policy)))
	provided(t, d)
	screened := func(callee string) string {
		f := bridge.Facts{UUID: callee, Number: "13800138001", FromUser: "13800138001", Callee: callee}
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{Keyed: bridge.KeyedWrong})
		return v.Action
	}
	if got := screened("05925550100"); got != "challenge" {
		t.Fatalf("got %s, want a challenge", got)
	}
	flushed(t, d)
	var stopped console.Record
	if err := d.Journal(t.Context(), console.Query{}, func(r console.Record) error { stopped = r; return nil }); err != nil {
		t.Fatal(err)
	}
	r := d.d.force.Rules()
	line, ok := r.Policy.LineNamed("acme1")
	if !ok {
		t.Fatal("there is no line acme1")
	}
	w, err := d.d.book.NoticeOf(d.d.book.NoticeLink(stopped.ID, line.Key, time.Now().Add(time.Hour)), "192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	g, ctx := access.Guard(d.d.Desk(), d.d.book), console.WithWho(context.Background(), w)
	if c, err := g.Call(ctx, w.Call); err != nil || c.Caller.E164 != "+8613800138001" {
		t.Fatalf("got %+v, %v", c, err)
	}
	done, err := g.Correct(ctx, w.Call)
	if err != nil || done.List != "acme1:allowlist" || done.Until.Before(time.Now().Add(29*24*time.Hour)) {
		t.Fatalf("got %+v, %v, want the line's allowlist for a month", done, err)
	}
	for callee, want := range map[string]string{"05925550100": "allow", "05925550120": "challenge", "05925550200": "challenge"} {
		if got := screened(callee); got != want {
			t.Errorf("a call to %s: got %s, want %s", callee, got, want)
		}
	}
	if _, err := g.Correct(ctx, w.Call); !errors.Is(err, access.ErrLink) {
		t.Errorf("once more: got %v, want %v", err, access.ErrLink)
	}
}

// Who comes by the socket is an administrator, by the login name that the kernel tells.
func TestSocketIsGuarded(t *testing.T) {
	d := start(t, installation(t, bounding))
	client, err := console.Dial(t.Context(), d.conf.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	made, err := client.AddUser(t.Context(), console.NewUser{Name: "ann", Role: console.Viewer, Lines: []string{"acme1"}})
	if err != nil || !strings.HasPrefix(made.Link, access.WelcomePath) {
		t.Fatalf("got %+v, %v", made, err)
	}
	if _, err := client.Pause(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	var who []string
	if err := client.Audit(t.Context(), console.AuditQuery{}, func(e console.AuditEntry) error { who = append(who, e.What+" by "+e.Who+" "+e.Way); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(who) != 2 || !strings.HasPrefix(who[0], "pause by ") || !strings.HasSuffix(who[1], " socket") || strings.Contains(who[0], "by  ") {
		t.Errorf("got %q, want the pause and the user, by who runs this test", who)
	}
	if all, err := client.Users(t.Context()); err != nil || len(all) != 1 || all[0].Name != "ann" {
		t.Errorf("got %+v, %v", all, err)
	}
}

// flushed waits until all records are on disk.
func flushed(t *testing.T, d *house) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := d.d.journal.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}
