package desk

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/storage"
)

// country is a policy of a country with lines, extensions and a list.
func country(code string) string {
	return `
country = "` + code + `"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550100..05925550199"]
[[rule]]
name = "ours"
when = { list = ["allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
`
}

func importText(t *testing.T, d *running, q console.ImportQuery, text string) *console.ImportReport {
	t.Helper()
	if q.List == "" {
		q.List = "blacklist"
	}
	r, err := d.Import(t.Context(), q, strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", q.File, err)
	}
	return r
}

// entryOn is an entry of a list as it is shown, nil if it is not there.
func entryOn(t *testing.T, d *running, list, number string) *console.ListEntry {
	t.Helper()
	p, err := entryOf(d.force.Rules().Policy.Plan(), number)
	if err != nil {
		t.Fatal(err)
	}
	var found *console.ListEntry
	if err := d.Entries(t.Context(), list, func(e console.ListEntry) error {
		if e.Number == p.String() {
			found = &e
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// Files as the field writes them: what goes in, what is refused, and that importing one again changes nothing.
func TestFieldLists(t *testing.T) {
	const folder = "testdata/lists"
	table, err := os.ReadFile(filepath.Join(folder, "expected.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		cells := append(strings.Split(row, "\t"), "")
		file, code, added, refused, probe, listed, reason, expires := cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7]
		t.Run(file, func(t *testing.T) {
			d, _ := startLogging(t, installation(t, country(code)))
			keeps := reason == "keeps"
			until := time.Now().AddDate(0, 0, 90)
			if keeps {
				if _, err := d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: probe, Reason: "mine", Expires: until}}, false); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			r := importText(t, d, console.ImportQuery{File: file}, string(text))
			if fmt.Sprint(r.Added) != added || fmt.Sprint(r.Refused) != refused || len(r.Refusals) != r.Refused || r.Updated != 0 {
				t.Errorf("%+v", r)
			}
			e := entryOn(t, d, "blacklist", probe)
			check, err := d.Check(t.Context(), console.CheckQuery{Caller: probe})
			if err != nil || (e != nil) != (listed == "yes") || (check.Action == "reject") != (listed == "yes") {
				t.Fatalf("listed: %v, a call: %+v, %v", e, check, err)
			}
			if e != nil {
				want := strings.TrimPrefix(reason, "-")
				if keeps {
					want = "mine"
				}
				if e.Reason != want {
					t.Errorf("reason %q, want %q", e.Reason, want)
				}
				for _, r := range append(e.Records, console.ListRecord{Expires: e.Expires}) {
					days, _ := strconv.Atoi(expires)
					switch {
					case expires == "none" && !r.Expires.IsZero(), keeps && r.Expires.Sub(until).Abs() > time.Second,
						days > 0 && r.Expires.Sub(began.AddDate(0, 0, days)).Abs() > time.Minute:
						t.Errorf("expires %s, want %s", r.Expires, expires)
					}
				}
			}
			changes := changesOf(t, d)
			if again := importText(t, d, console.ImportQuery{File: file}, string(text)); again.Added+again.Updated+again.Removed != 0 || again.Change != 0 || changesOf(t, d) != changes {
				t.Errorf("again: %+v", again)
			}
		})
	}
}

func changesOf(t *testing.T, d *running) (n int) {
	t.Helper()
	if err := d.Changes(t.Context(), "", func(console.ListChange) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// An import, a feed and PhoneBlock's update take away their own record and nothing of a person's, and what a file does not say
// of reason and expiry stays.
func TestNothingGoesAway(t *testing.T) {
	d, _ := startLogging(t, installation(t, country("CN")))
	until := time.Now().AddDate(0, 0, 90).Truncate(time.Millisecond)
	if _, err := d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613", Reason: "mine", Expires: until}}, false); err != nil {
		t.Fatal(err)
	}
	feed := func(text string) {
		t.Helper()
		if _, err := d.ImportWhole(t.Context(), console.ImportQuery{List: "blacklist", File: "https://example.com"}, strings.NewReader(text), "feed blacklist",
			func(int, int, int) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	said := func(what, want string) {
		t.Helper()
		got := ""
		if e := entryOn(t, d, "blacklist", "95211613"); e != nil {
			records := e.Records
			if len(records) == 0 {
				records = []console.ListRecord{{From: e.From, Reason: e.Reason, Expires: e.Expires}}
			}
			for _, r := range records {
				got += fmt.Sprintf("%s %q %v, ", r.From, r.Reason, r.Expires.IsZero())
			}
			if e.Reason != records[0].Reason || e.From != records[0].From {
				t.Errorf("%s: %+v", what, e)
			}
		}
		if got != want {
			t.Errorf("%s: got %s want %s", what, got, want)
		}
	}
	feed("95211613\n95200101\n")
	said("a feed names it", `person "mine" false, feed "" true, `)
	feed("number,reason\n95211613,theirs\n95200101,\n")
	said("and gives a reason", `person "mine" false, feed "theirs" true, `)
	feed("95211613\n95200101\n")
	said("and no more", `person "mine" false, feed "theirs" true, `)
	feed("95200101\n")
	said("the feed drops it", `person "mine" false, `)
	feed(`{"numbers":[{"phone":"+8695211613","rating":"G_FRAUD","votes":7},{"phone":"+8695200101","votes":3}]}`)
	said("PhoneBlock names it", `person "mine" false, feed "PhoneBlock: G_FRAUD, 7 votes" true, `)
	feed(`{"numbers":[{"phone":"+8695211613","votes":0},{"phone":"+8695200101","votes":3}]}`)
	said("PhoneBlock has no votes", `person "mine" false, `)

	block := `{"numbers":[{"phone":"+8695211613","rating":"G_FRAUD","votes":7}]}`
	importText(t, d, console.ImportQuery{File: "block.json"}, block)
	importText(t, d, console.ImportQuery{File: "numbers.txt"}, "95211613\n")
	said("files name it", `person "mine" false, import "mine" false, import "PhoneBlock: G_FRAUD, 7 votes" false, `)
	importText(t, d, console.ImportQuery{File: "block.json"}, strings.Replace(block, "7", "0", 1))
	said("the file has no votes", `person "mine" false, import "mine" false, `)
	importText(t, d, console.ImportQuery{File: "numbers.txt", Replace: true}, "95200101\n")
	said("the file is replaced", `person "mine" false, `)
	if _, err := d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613", Expires: until}}, false); err != nil {
		t.Fatal(err)
	}
	said("a person adds it again", `person "mine" false, `)
	if _, err := d.RemoveEntries(t.Context(), "blacklist", []string{"95211613"}, false); err != nil {
		t.Fatal(err)
	}
	said("a person takes it back", "")
}

// A list that is written as CSV and imported again is as it was.
func TestExportIsImported(t *testing.T) {
	d, _ := startLogging(t, installation(t, country("CN")))
	reasons := []string{"=1+1", "+49 30", "-", "@x", "'=quoted", "''", "a;=b", "two, \"words\"", "＝1", "骗子", "NULL", ""}
	var add []console.NewEntry
	for i, r := range reasons {
		add = append(add, console.NewEntry{Number: fmt.Sprintf("9521161%d?", i%10), Reason: r}, console.NewEntry{Number: fmt.Sprintf("+86138001380%02d", i), Reason: r, Expires: time.Now().AddDate(0, 0, i+1).Truncate(time.Second)})
	}
	if _, err := d.AddEntries(t.Context(), "blacklist", add[:20], false); err != nil {
		t.Fatal(err)
	}
	var all []storage.Entry
	if err := d.db.Entries("blacklist", func(e storage.Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	file := exported(t, all)
	if strings.Contains(file, "\n=") || strings.Contains(file, ",=") || strings.Contains(file, ";=") || strings.Contains(file, ",@") {
		t.Errorf("a formula: %s", file)
	}
	r := importText(t, d, console.ImportQuery{File: "again.csv"}, file)
	if r.Added != 0 || r.Updated != 0 || r.Unchanged != len(all) || r.Refused != 0 {
		t.Errorf("%+v of\n%s", r, file)
	}
	importText(t, d, console.ImportQuery{File: "again.csv", List: "copy"}, file)
	for _, e := range all {
		c := entryOn(t, d, "copy", e.Pattern)
		if c == nil || c.Reason != e.Reason || !c.Expires.Equal(e.Expires) {
			t.Errorf("%+v became %+v", e, c)
		}
	}
}

func exported(t *testing.T, all []storage.Entry) string {
	t.Helper()
	var file bytes.Buffer
	w := listfile.NewWriter(&file)
	for _, e := range all {
		if err := w.Write(e.Pattern, e.Reason, e.Expires); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

// What is hardly meant goes in with a warning, by hand and from a file; a list that lets calls pass is no reason for one.
func TestCautions(t *testing.T) {
	d, _ := startLogging(t, installation(t, country("CN")))
	for number, want := range map[string]string{
		"95588": "is a service number", "955*": "also takes short service numbers such as 95588", "955??": "takes short service numbers", "110": "hits +86110, which is an emergency number",
		"05925550123": "is a number of your own lines", "+865925550123": "is a number of your own lines", "059255501??": "takes numbers of your own lines", "8001": "is an extension of this PBX",
		"0*": "takes all numbers", "+1*": "takes all numbers", "??????????": "takes ", "1234567": "is no number of CN",
		"95211613": "", "13800138000": "", "+12125550123": "", "9521????": "", "05925551234": "",
	} {
		edits, err := d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: number}}, false)
		if err != nil {
			t.Errorf("%s: %v", number, err)
			continue
		}
		if got := edits[0].Warning; want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
		warnings := importText(t, d, console.ImportQuery{File: "x.txt", Force: true, DryRun: true}, "# one\n"+number+"\n").Warnings
		switch {
		case want == "" && len(warnings) == 0:
		case want == "is no number of CN" && len(warnings) == 1 && strings.HasPrefix(warnings[0], "1 of 1 entries are no numbers of CN: line 2. "):
		case want != "" && len(warnings) == 1 && strings.HasPrefix(warnings[0], "line 2: ") && strings.Contains(warnings[0], " "+want):
		default:
			t.Errorf("%s from a file: %q", number, warnings)
		}
	}
	if err := d.db.PutStamps(storage.Known, []storage.Stamp{{Key: "staff\x00+8613800138555", At: time.Now()}}, nil); err != nil {
		t.Fatal(err)
	}
	for list, want := range map[string]int{"allowlist": 0, "blacklist": 1} { // to let an acquaintance pass is no mistake
		if r := importText(t, d, console.ImportQuery{List: list, File: "x.txt", DryRun: true}, "13800138555\n"); len(r.Warnings) != want {
			t.Errorf("%s: %q", list, r.Warnings)
		}
	}
	edits, err := d.AddEntries(t.Context(), "allowlist", []console.NewEntry{{Number: "95588"}, {Number: "8001"}, {Number: "0*"}}, false)
	if err != nil || edits[0].Warning+edits[1].Warning != "" || edits[2].Warning == "" {
		t.Errorf("%+v, %v", edits, err)
	}
	var file bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&file, "13800138%03d\n%d\n", i, 1000000+i)
	}
	r := importText(t, d, console.ImportQuery{File: "many.txt"}, file.String())
	if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], "100 of 200 entries are no numbers of CN: line 2, 4, 6,") || !strings.Contains(r.Warnings[0], " 40 and 80 more. ") || r.Added < 199 {
		t.Errorf("%+v", r.Warnings)
	}
}

// Counts before a number, and numbers that look like a count with a number.
func TestCounts(t *testing.T) {
	d, _ := startLogging(t, installation(t, country("CN")))
	r := importText(t, d, console.ImportQuery{}, "     12 13800138000\n      3 95211613\n  10086 95588\n    138 00138001\n12 13900139000\n      2 +1 212 555 0123\n")
	if r.Refused != 0 {
		t.Errorf("%+v", r)
	}
	for _, number := range []string{"13800138000", "95211613", "95588", "13800138001", "13900139000"} {
		if entryOn(t, d, "blacklist", number) == nil {
			t.Errorf("%s is not there", number)
		}
	}
}

// What a file is, and what is to be done, is said when nothing of it can be used.
func TestNoListAtAll(t *testing.T) {
	d, _ := startLogging(t, installation(t, country("CN")))
	for text, want := range map[string]string{
		"\xff\xfe9\x005\x005\x008\x008\x00\n":    "claims to be UTF-16 and is not",
		"PK\x03\x04rest":                         "save the sheet as CSV",
		"<html><body>":                           "it is a web page",
		"BEGIN:VCARD\nTEL:95588\n":               "the file is cut short",
		"<phonebooks><phonebook>":                "its XML cannot be read",
		"number;reason\n95588;x\n\xff\xfe\x00\n": "",
	} {
		r, err := d.Import(t.Context(), console.ImportQuery{List: "blacklist"}, strings.NewReader(text))
		if want == "" {
			if err != nil || r.Added != 1 || r.Refused != 1 {
				t.Errorf("%q: %+v, %v", text, r, err)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), "nothing was changed: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := d.Import(t.Context(), console.ImportQuery{List: "x", Columns: []string{"phone=1"}}, strings.NewReader("")); err == nil {
		t.Error("a wrong column is taken")
	}
}
