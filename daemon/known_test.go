package daemon

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

const acquainted = `
country = "CN"
timezone = "Asia/Shanghai"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550100-05925550198", "8001"]
[lines.hotline]
numbers = ["4008001234"]
[lines.unused]
numbers = ["05925550800-05925550899"]
decoy = true
[[rule]]
name = "listed"
when = { list = ["blacklist", "line:blacklist"] }
action = "reject"
[[rule]]
name = "known"
when = { known_caller = "30d" }
action = "tag"
label = "here"
`

// pairs are whom lines deal with, as known ls shows them without the time.
func pairs(t *testing.T, d *house, q console.KnownQuery) string {
	t.Helper()
	var all []string
	err := d.Known(t.Context(), q, func(a console.Acquaintance) error {
		all = append(all, a.Line+" "+a.Number)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func importKnown(t *testing.T, d *house, q console.KnownImport, text string) *console.KnownReport {
	t.Helper()
	r, err := d.ImportKnown(t.Context(), q, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A journal teaches what its calls taught: nothing by one that was stopped, or would have been; and no call of before a mark makes the caller known again
// to who made it.
func TestKnownFromStoppedCalls(t *testing.T) {
	c := installation(t, acquainted)
	first := start(t, c)
	d, at := in(first), time.Now().Add(-24*time.Hour).UTC().Format(time.RFC3339)
	text := ""
	row := func(last, callee, action, would, mode, by string, more ...string) {
		text += fmt.Sprintf(`{"id":"01","time":%q,"caller":{"raw":"138000000%s"},"callee":%q,"action":%q,"would":%q,"mode":%q,"rule":"x","outcome":{"answered":true,"ring_s":1,"talk_s":70,"by":%q}%s}`+"\n",
			at, last, callee, action, would, mode, by, strings.Join(more, ""))
	}
	row("01", "05925550100", "allow", "allow", "enforce", "")
	row("02", "05925550100", "challenge", "challenge", "enforce", "ringfence")
	row("03", "05925550100", "challenge", "challenge", "enforce", "", `,"passed":true`)
	row("04", "05925550100", "allow", "challenge", "observe", "")
	row("05", "05925550100", "divert", "divert", "enforce", "")
	row("06", "05925550100", "allow", "reject", "observe", "")
	row("07", "05925550100", "warn", "warn", "enforce", "ringfence")
	row("08", "05925550100", "warn", "warn", "enforce", "caller")
	row("09", "05925550100", "allow", "allow", "enforce", "")                                                                                      // who will be marked
	row("10", "05925550100", "challenge", "challenge", "enforce", "caller", `,"reason":"on blacklist: says he is the bank; passed the challenge"`) // as a list has it
	row("09", "4008001234", "allow", "allow", "enforce", "")
	mark(t, d, "13800000009", "05925550100")
	want := "hotline +8613800000009\nstaff +8613800000001\nstaff +8613800000003\nstaff +8613800000008"
	look := func(when string) {
		t.Helper()
		r := importKnown(t, d, console.KnownImport{}, text)
		if got := pairs(t, d, console.KnownQuery{}); got != want || r.Calls != 11 || len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], "calls with numbers that the line has reported since teach nothing: 1 of them") {
			t.Errorf("%s: %+v\n%s\nwant\n%s", when, r, got, want)
		}
	}
	look("while it runs")
	halt(t, first)
	d = in(start(t, c))
	look("after a restart")
}

// Whom call records make known, as the daemon would have learnt it from the calls.
func TestKnownFromCalls(t *testing.T) {
	now := time.Now()
	at := func(ago time.Duration) string { return now.Add(-ago).UTC().Format(time.DateTime) }
	day := 24 * time.Hour
	row := func(ago time.Duration, from, to string, talk int, id, linked string) string {
		return fmt.Sprintf("%s,%s,%s,%d,ANSWERED,%s,%s\n", at(ago), from, to, talk, id, linked)
	}
	text := "calldate,src,dst,billsec,disposition,uniqueid,linkedid\n" +
		row(2*day, "13800000001", "05925550100", 60, "1795000000.1", "1795000000.1") +
		row(2*day, "13800000002", "05925550100", 59, "1795000000.2", "1795000000.2") +
		row(2*day, "05925550101", "13800000003", 10, "1795000000.3", "1795000000.3") +
		row(2*day, "05925550101", "13800000004", 9, "1795000000.4", "1795000000.4") +
		row(2*day, "8005", "13800000005", 10, "1795000000.5", "1795000000.5") + // a phone on no line
		row(40*day, "13800000006", "05925550100", 60, "1795000000.6", "1795000000.6") +
		row(-day, "13800000007", "4008001234", 60, "1795000000.7", "1795000000.7") + // a clock that is ahead
		row(2*day, "05925550102", "05925550100", 60, "1795000000.8", "1795000000.8") + // our own number
		row(2*day, "13800000009", "05925550800", 60, "1795000000.9", "1795000000.9") + // nobody has that
		row(2*day, "13800000010", "05925550100", 30, "1795000000.10", "1795000000.10") + // one call in two pieces
		row(2*day-time.Minute, "13800000010", "05925550100", 40, "1795000000.10", "1795000000.10")
	staff := "staff +8613800000001\nstaff +8613800000003\nstaff +8613800000010"
	for name, c := range map[string]struct {
		lines  []string
		want   string
		noLine int
	}{
		"all lines":      {want: "hotline +8613800000007\n" + staff, noLine: 1},
		"one":            {lines: []string{"staff"}, want: "staff +8613800000001\nstaff +8613800000003\nstaff +8613800000005\nstaff +8613800000010"},
		"another":        {lines: []string{"hotline"}, want: "hotline +8613800000005\nhotline +8613800000007"},
		"all, by a word": {lines: []string{"all"}, want: "hotline +8613800000005\nhotline +8613800000007\nstaff +8613800000001\nstaff +8613800000003\nstaff +8613800000005\nstaff +8613800000010"},
	} {
		t.Run(name, func(t *testing.T) {
			d := in(start(t, installation(t, acquainted)))
			q := console.KnownImport{File: "Master.csv", Lines: c.lines, Zone: "UTC", DryRun: true}
			would := importKnown(t, d, q, text)
			if got := pairs(t, d, console.KnownQuery{}); got != "" {
				t.Errorf("a dry run made known:\n%s", got)
			}
			q.DryRun = false
			r := importKnown(t, d, q, text)
			if got := pairs(t, d, console.KnownQuery{}); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if r.Added != strings.Count(c.want, "\n")+1 || would.Added != r.Added || len(would.Would) != r.Added || r.Refused != 0 || r.NoLine != c.noLine || len(r.Warnings) != min(c.noLine, 1) {
				t.Errorf("%+v\nwould be %+v", r, would)
			}
			if again := importKnown(t, d, q, text); again.Added+again.Newer > 1 || again.Unchanged < r.Added-1 { // what is ahead of the clock is as of now
				t.Errorf("the second time: %+v", again)
			}
		})
	}
}

// What is acknowledged is on disk and counts for the next call, and who is forgotten comes back from nowhere.
func TestKnownOutlivesTheDaemon(t *testing.T) {
	c := installation(t, acquainted)
	daemon := start(t, c)
	d := in(daemon)
	book := "BEGIN:VCARD\nFN:A\nTEL:13800000001\nTEL:13800000002\nTEL:13800000003\nEND:VCARD\n"
	if r := importKnown(t, d, console.KnownImport{File: "a.vcf", Lines: []string{"staff", "hotline", "staff"}}, book); r.Added != 6 {
		t.Fatalf("%+v", r)
	}
	if rule := ruleFor(t, d, "13800000001", "05925550100"); rule != "known" {
		t.Errorf("the next call got %s", rule)
	}
	onDisk := 0
	if err := daemon.db.EachStamp(storage.Known, func(storage.Stamp) error { onDisk++; return nil }); err != nil || onDisk != 6 {
		t.Errorf("%d pairs are on disk, %v", onDisk, err)
	}
	daemon.memory.Meet("staff", "+8613800000009", time.Now()) // as a call teaches it: it may wait for the disk
	if got := pairs(t, d, console.KnownQuery{Caller: "138 0000 0009"}); got != "staff +8613800000009" {
		t.Errorf("what a call has just taught is not there: %q", got)
	}
	daemon.memory.Meet("staff", "+8613800000002", time.Now())
	for _, q := range []console.KnownForget{{Number: "13800000001", Line: "staff"}, {Number: "008613800000002"}} {
		if r, err := d.ForgetKnown(t.Context(), q); err != nil || len(r.Lines) == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if r, err := d.ForgetKnown(t.Context(), q); err != nil || len(r.Lines) != 0 {
			t.Errorf("the second time: %+v, %v", r, err)
		}
	}
	if rule := ruleFor(t, d, "13800000001", "05925550100"); rule == "known" {
		t.Error("who was forgotten is known")
	}
	want := "hotline +8613800000001\nhotline +8613800000003\nstaff +8613800000003\nstaff +8613800000009"
	if got := pairs(t, d, console.KnownQuery{}); got != want {
		t.Errorf("got\n%s", got)
	}
	halt(t, daemon)
	d = in(start(t, c))
	if got := pairs(t, d, console.KnownQuery{}); got != want {
		t.Errorf("after a restart\n%s", got)
	}
	if rule := ruleFor(t, d, "13800000001", "4008001234"); rule != "known" {
		t.Errorf("after a restart a call got %s", rule)
	}
	if got := pairs(t, d, console.KnownQuery{Line: "hotline"}); strings.Count(got, "hotline") != 2 || strings.Contains(got, "staff") {
		t.Errorf("of the hotline alone:\n%s", got)
	}
}

// What is listed is said, and what cannot be taken.
func TestKnownImportTells(t *testing.T) {
	daemon := start(t, installation(t, acquainted))
	d := in(daemon)
	for _, e := range []struct{ list, number string }{{"blacklist", "1380000000*"}, {"hotline:blacklist", "13900000001"}} {
		if _, err := d.AddEntries(t.Context(), e.list, []console.NewEntry{{Number: e.number}}, false); err != nil {
			t.Fatal(err)
		}
	}
	r := importKnown(t, d, console.KnownImport{Lines: []string{"staff"}}, "13800000001\n13900000001\n13900000002\n13900000003\n13900000004\n9521*\n")
	if r.Added != 5 || r.NoRoom != 0 || r.Refused != 1 || !strings.Contains(r.Refusals[0].Why, "range of numbers") {
		t.Errorf("%+v", r)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "+8613800000001 is on list blacklist, by 1380000000*") {
		t.Errorf("warned of %q", r.Warnings)
	}
	for _, c := range []struct {
		q    console.KnownImport
		text string
		want string
	}{
		{console.KnownImport{}, "13800000001\n", "whose address book is it? Write --line and one of staff, hotline, or all"},
		{console.KnownImport{Lines: []string{"unused"}}, "", "which is a decoy: write one of staff, hotline"},
		{console.KnownImport{Lines: []string{"staf"}}, "", `there is no line "staf"`},
		{console.KnownImport{Lines: []string{"staff"}}, `{"phone": "+4930123", "votes": 3}`, "PhoneBlock"},
		{console.KnownImport{Lines: []string{"staff"}, Columns: []string{"number=2", "talk=3"}}, "", "write one kind"},
		{console.KnownImport{Lines: []string{"staff"}, Format: "vcard", Columns: []string{"talk=3"}}, "", "has no columns of calls"},
		{console.KnownImport{Format: "calls", Zone: "Mars"}, "", "there is no time zone"},
		{console.KnownImport{Format: "calls"}, "start,src,dst,billsec\nnever,1,2,3\n", "no call could be read"},
	} {
		_, err := d.ImportKnown(t.Context(), c.q, strings.NewReader(c.text))
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) {
			t.Errorf("%+v: %v, want %q", c.q, err, c.want)
		}
	}
}

// A private installation keeps and shows no number of them.
func TestKnownIsPrivate(t *testing.T) {
	c := installation(t, acquainted)
	c.Journal.Private = true
	daemon := start(t, c)
	d := in(daemon)
	importKnown(t, d, console.KnownImport{Lines: []string{"staff"}}, "13800000001\n13800000002\n")
	shown := pairs(t, d, console.KnownQuery{})
	if strings.Count(shown, "staff "+console.PrivateMark) != 2 || strings.Contains(shown, "1380") {
		t.Errorf("shown are\n%s", shown)
	}
	if rule := ruleFor(t, d, "13800000001", "05925550100"); rule != "known" {
		t.Errorf("a call got %s", rule)
	}
	of := pairs(t, d, console.KnownQuery{Caller: "138 0000 0001"})
	name := strings.TrimPrefix(of, "staff ")
	if strings.Count(of, "staff ") != 1 {
		t.Fatalf("the number is not found by what it is: %q", of)
	}
	var copied bytes.Buffer
	if err := d.Backup(t.Context(), &copied); err != nil || bytes.Contains(copied.Bytes(), []byte("13800000001")) {
		t.Errorf("the number is in %s, %v", filepath.Base(c.Database()), err)
	}
	if r, err := d.ForgetKnown(t.Context(), console.KnownForget{Number: name}); err != nil || len(r.Lines) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if rule := ruleFor(t, d, "13800000001", "05925550100"); rule == "known" {
		t.Error("who was forgotten by name is known")
	}
	if r, err := d.ForgetKnown(t.Context(), console.KnownForget{Number: "13800000002"}); err != nil || len(r.Lines) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
