package daemon

import (
	"context"
	"strings"
	"testing"

	"ringfence/bridge"
	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

const ownPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "own allow"
when = { list = ["line:allowlist"] }
action = "allow"
[[rule]]
name = "own block"
when = { list = ["line:blacklist"] }
action = "reject"
`

// putLines writes lines of the database, or takes them out, and has the daemon read them.
func putLines(t *testing.T, d *Daemon, edits ...storage.LineEdit) uint64 {
	t.Helper()
	_, r, err := d.db.ChangeLines(storage.ChangeRecord{}, edits)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Desk().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r.ID
}

func lineOf(name, customer, number string) storage.LineEdit {
	return storage.LineEdit{Line: storage.Line{Name: name, Key: policy.NewLineKey(name, storage.LineOwn()), Customer: customer, Numbers: []string{number}}}
}

// The same caller is refused on one customer's line and rings on another's, by the customer's own list, from the edit on and after a restart; a line
// that is made again or given away has none of it, and the star code lets them through to the line of the phone alone.
//
// long: because one line goes through all that can become of it
func TestOwnLists(t *testing.T) {
	c := installation(t, ownPolicy)
	d := in(start(t, c))
	client := dial(t, c)
	ann, bob := lineOf("ann", "ann", "+865925550101"), lineOf("bob", "bob", "+865925550202")
	putLines(t, d.d, ann, bob)
	calls := 0
	call := func(callee string) string {
		calls++
		f := bridge.Facts{UUID: strings.Repeat("x", calls), Number: "13800138000", FromUser: "13800138000", Callee: callee}
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{})
		return v.Action
	}
	must := func(when, toAnn, toBob string) {
		t.Helper()
		if got := call("05925550101") + ", " + call("05925550202"); got != toAnn+", "+toBob {
			t.Errorf("%s: the calls get %s; want %s, %s", when, got, toAnn, toBob)
		}
	}
	must("at first", "allow", "allow")
	if _, err := client.AddEntries(t.Context(), "ann:blacklist", []console.NewEntry{{Number: "13800138000"}}, false); err != nil {
		t.Fatal(err)
	}
	must("an edit", "reject", "allow")
	if _, err := client.AddEntries(t.Context(), "bob:blacklist", []console.NewEntry{{Number: "1380013*"}}, false); err != nil {
		t.Fatal(err)
	}
	must("the other's", "reject", "reject")

	star := func(number string) bridge.Inquiry {
		return d.StarCode(&bridge.Facts{Intent: "release", Number: number, FromUser: number, Authorized: true, AuthUser: number, Callee: "*58"})
	}
	if q := star("05925550202"); q.Confirm == nil {
		t.Error("bob's phone may not let the caller through")
	} else if s := q.Confirm(context.Background()); s.Silent() {
		t.Error("nothing is heard")
	}
	must("let through by one", "reject", "allow")

	over, cancel := context.WithCancel(t.Context())
	cancel()
	d.d.writeHits(over) // as when it stops
	if err := client.Entries(t.Context(), "ann:blacklist", func(e console.ListEntry) error {
		if e.List != "ann:blacklist" || e.Number != "+8613800138000" || e.Hits != 3 {
			t.Errorf("%+v", e)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	err := d.Journal(t.Context(), console.Query{}, func(r console.Record) error {
		if r.Action == "reject" && r.List != r.Line+":blacklist" {
			t.Errorf("the journal: %+v", r)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	report, err := client.Check(t.Context(), console.CheckQuery{Caller: "13800138000", Callee: "05925550101"})
	if err != nil || len(report.Lists) != 1 || report.Lists[0].List != "ann:blacklist" {
		t.Errorf("check: %+v, %v", report, err)
	}
	if all, err := client.ListsOf(t.Context(), "bob"); err != nil || len(all) != 2 || all[0].List != "bob:allowlist" || all[1].Entries != 1 {
		t.Errorf("the lists of bob: %+v, %v", all, err)
	}
	if _, err := client.AddEntries(t.Context(), "carol:blacklist", []console.NewEntry{{Number: "13800138000"}}, false); err == nil || !strings.Contains(err.Error(), "there is no line carol") {
		t.Errorf("a line that is not there: %v", err)
	}

	halt(t, d.d)
	d = in(start(t, c))
	client = dial(t, c)
	must("a restart", "reject", "allow")
	removed := putLines(t, d.d, storage.LineEdit{Line: storage.Line{Name: "ann"}, Remove: true})
	again := putLines(t, d.d, lineOf("ann", "ann", "+865925550101"))
	must("made again", "allow", "allow")
	for _, id := range []uint64{again, removed} {
		if _, err := client.Undo(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	must("the removal undone", "reject", "allow")
	putLines(t, d.d, lineOf("ann", "somebody else", "+865925550101"))
	must("given to another customer", "allow", "allow")
	if q := star("05925550101"); q.Confirm != nil {
		t.Log("the number's last stopped call is of the customer before") // the business of the last calls, not of lists
	}
}
