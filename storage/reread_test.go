package storage

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Entries that mean another pattern now move there with all that was said of them, as one change that an undo takes back.
func TestReadAgain(t *testing.T) {
	for name, most := range map[string]int{"few": MaxEdit, "staged": 3} {
		t.Run(name, func(t *testing.T) {
			d := open(t, Options{})
			d.maxEdit = most
			readAgain(t, d)
		})
	}
}

// long: because one list is read again, undone, and read beside edits
func readAgain(t *testing.T, d *DB) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	say := func(pattern, reason string, origin Origin, source string) Entry {
		return Entry{Pattern: pattern, Reason: reason, Origin: origin, Source: source, Who: "anna", Added: at, Expires: at.AddDate(10, 0, 0)}
	}
	for _, e := range []Entry{
		say("5551234567", "by hand", FromPerson, "cli"),
		say("5551234567", "a feed", FromFeed, "feed ftc"),
		say("15551234567", "a feed too", FromFeed, "feed ftc"), // the same number, the same source
		say("15551234567", "a file", FromImport, "import a.csv"),
		say("+15557654321", "there already", FromPerson, "cli"),
		say("5557654321", "and again", FromPerson, "cli"),
		say("9521*", "stays", FromPerson, "cli"),
		say("00*", "other", FromPerson, "cli"),
		say("+13055550100", "stays too", FromPerson, "cli"),
	} {
		if _, err := d.AddEntries("l", []Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	before := wholeText(t, d)
	asked := map[string]int{}
	read := func(pattern string) string {
		asked[pattern]++
		switch {
		case strings.HasPrefix(pattern, "555"):
			return "+1" + pattern
		case strings.HasPrefix(pattern, "1555"):
			return "+" + pattern
		case pattern == "00*":
			return "+*"
		case pattern == "9521*":
			return ""
		}
		return pattern
	}
	alone := func(do func() error) error { return do() }
	r, err := d.ReadAgain("l", read, alone, ImportOptions{By: By{From: "re-read"}, Source: "numbers"})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`+* 0  other`,
		`+13055550100 0  stays too`,
		`+15551234567 0  by hand`,
		`+15551234567 2 import a.csv a file`,
		`+15551234567 3 feed ftc a feed too`,
		`+15557654321 0  there already`,
		`9521* 0  stays`,
	}, "\n")
	if got := wholeText(t, d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for pattern, n := range asked {
		if n > 1 {
			t.Errorf("%s was read %d times", pattern, n)
		}
	}
	if r.ID == 0 || r.By.From != "re-read" || r.Source != "numbers" {
		t.Errorf("the change is %+v", r)
	}
	if es := readList(t, d, "l"); !es[2].Added.Equal(at) || es[2].Who != "anna" || !es[2].Expires.Equal(at.AddDate(10, 0, 0)) {
		t.Errorf("moved as %+v", es[2])
	}
	if again, err := d.ReadAgain("l", read, alone, ImportOptions{}); err != nil || again.ID != 0 {
		t.Errorf("read once more: %+v (%v)", again, err)
	}
	if _, err := d.Undo(r.ID, By{From: "cli"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := wholeText(t, d); got != before {
		t.Errorf("undone, got\n%s\nwant\n%s", got, before)
	}
	// What is taken away after it was read does not come back, and what comes stays where it is.
	_, err = d.ReadAgain("l", read, func(do func() error) error {
		if _, err := d.RemoveAll("l", []string{"5551234567", "15551234567"}, By{}); err != nil {
			return err
		}
		if _, err := d.AddEntries("l", []Entry{say("5550000001", "new", FromPerson, "cli")}); err != nil {
			return err
		}
		return do()
	}, ImportOptions{})
	if err != nil || d.HasEntry("l", "+15551234567") || !d.HasEntry("l", "5550000001") || !d.HasEntry("l", "+15557654321") || d.HasEntry("l", "5557654321") {
		t.Errorf("beside edits (%v), got\n%s", err, wholeText(t, d))
	}
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v (%v)", report, err)
	}
	if _, err := d.ReadAgain("none", read, alone, ImportOptions{}); err == nil {
		t.Error("a list that is not there was read again")
	}
}

// wholeText is all that is said of a list, a record a line.
func wholeText(t *testing.T, d *DB) string {
	t.Helper()
	var lines []string
	for _, e := range readList(t, d, "l") {
		source := e.Source
		if e.Origin == FromPerson {
			source = ""
		}
		lines = append(lines, fmt.Sprintf("%s %d %s %s", e.Pattern, e.Origin, source, e.Reason))
	}
	return strings.Join(lines, "\n")
}
