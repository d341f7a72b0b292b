package desk

import (
	"bytes"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
)

const invalidPolicy = `
country = "US"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "nonsense"
when = { caller_kind = ["invalid"] }
action = "reject"
`

// What an earlier version kept of numbers is read by this one at its first start: as one change, which can be undone.
//
// long: because one list is read again, undone, and read under other policies
func TestReadAgain(t *testing.T) {
	c := installation(t, invalidPolicy)
	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"5551234567", "15551234568", "+13055550100", "305*", "not"} {
		if _, err := db.AddEntries("blacklist", []storage.Entry{{Pattern: pattern, Reason: "kept", Source: "cli"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d, err := run(c, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop(t)
	read := func() {
		t.Helper()
		if err := d.readAgain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const caller = "+15551234567"
	read()
	if got := patterns(t, d.Desk); got != "+13055550100 +15551234567 +15551234568 305* not" {
		t.Errorf("after the first start: %s", got)
	}
	if got := ruleFor(t, d.Desk, caller); got != "listed" {
		t.Errorf("%s meets %s", caller, got)
	}
	for _, want := range []string{`asks for callers of the kind invalid`, `entries=2`, `ringfence list undo 6`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, log.String())
		}
	}
	if text, err := d.db.Setting(readingSetting); err != nil || string(text) != d.force.Rules().Policy.Plan().Reading() {
		t.Errorf("read by %q (%v)", text, err)
	}
	log.Reset()
	read()
	if log.Len() > 0 {
		t.Errorf("the second time:\n%s", log.String())
	}
	if _, err := d.Undo(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	if got := patterns(t, d.Desk); got != "+13055550100 15551234568 305* 5551234567 not" {
		t.Errorf("undone: %s", got)
	}
	if read(); !strings.Contains(patterns(t, d.Desk), " 5551234567") || ruleFor(t, d.Desk, caller) != "listed" {
		t.Errorf("what was undone is done again, or does not count: %s", patterns(t, d.Desk))
	}
	rewrite := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.Policy, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := d.Reload(t.Context()); err != nil || !r.Loaded {
			t.Fatalf("%+v (%v)", r, err)
		}
	}
	// Another country reads what was written for this one as numbers of its own.
	rewrite(strings.Replace(invalidPolicy, `"US"`, `"CN"`, 1))
	before := patterns(t, d.Desk)
	if read(); patterns(t, d.Desk) != before {
		t.Errorf("in another country: %s, was %s", patterns(t, d.Desk), before)
	}
	rewrite(invalidPolicy)
	read()
	// An area code makes numbers of local ones, and is read as soon as the policy has it.
	if _, err := d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "5550100"}}, false); err != nil {
		t.Fatal(err)
	}
	rewrite(strings.Replace(invalidPolicy, `"US"`, "\"US\"\n[numbers]\narea = \"212\"", 1))
	if len(d.rules) != 1 {
		t.Error("who reads numbers again is not told of another policy")
	}
	if read(); !strings.Contains(patterns(t, d.Desk), "+12125550100") {
		t.Errorf("with an area code: %s", patterns(t, d.Desk))
	}
	if got := ruleFor(t, d.Desk, "2125550100"); got != "listed" {
		t.Errorf("the local number meets %s", got)
	}
}

// A new installation has nothing to read again, and nothing to be warned of.
func TestReadAgainOfNothing(t *testing.T) {
	var log bytes.Buffer
	d, err := run(installation(t, invalidPolicy), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop(t)
	log.Reset()
	if err := d.readAgain(t.Context()); err != nil || log.Len() > 0 {
		t.Errorf("%v\n%s", err, log.String())
	}
	if text, err := d.db.Setting(readingSetting); err != nil || readingOf(string(text)) != (readingParts{number.Version, "US"}) {
		t.Errorf("read by %q (%v)", text, err)
	}
}

// patterns are the entries of the blacklist, in order.
func patterns(t *testing.T, d *Desk) string {
	t.Helper()
	var all []string
	if err := d.db.Entries("blacklist", func(e storage.Entry) error { all = append(all, e.Pattern); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// ruleFor is which rule decides a call.
func ruleFor(t *testing.T, d *Desk, caller string) string {
	t.Helper()
	report, err := d.Check(t.Context(), console.CheckQuery{Caller: caller})
	if err != nil {
		t.Fatal(err)
	}
	return report.Rule
}
