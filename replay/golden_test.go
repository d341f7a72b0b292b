package replay

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden compares with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (write again with -update):\n%s", file, diff)
	}
}

// readAll reads all calls of a source.
func readAll(t testing.TB, s *Source) (calls []Call, faults []Fault, bad int) {
	t.Helper()
	if err := s.chunks(func(c chunk) bool {
		var r reading
		c.read(&r)
		calls = append(calls, r.calls...)
		faults = append(faults, r.faults...)
		bad += r.bad
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return calls, faults, bad
}

// dump is what was read of each call.
func dump(s *Source, calls []Call, faults []Fault, bad int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", s.Format)
	for _, c := range calls {
		o := c.origin
		fmt.Fprintf(&b, "%d: %s %q name=%q to=%q id=%s", c.Line, c.Facts.Time.Format(time.RFC3339Nano), c.Facts.Caller, c.Facts.Name, c.Facts.Callee, c.ID)
		for _, f := range []struct{ name, text string }{
			{"trunk", o.any}, {"named", o.switching.Named}, {"gateway", o.switching.Gateway}, {"endpoint", o.switching.Endpoint}, {"profile", o.switching.Profile},
		} {
			if f.text != "" {
				fmt.Fprintf(&b, " %s=%s", f.name, f.text)
			}
		}
		if o.switching.Address.IsValid() {
			fmt.Fprintf(&b, " address=%s", o.switching.Address)
		}
		if c.Facts.Withheld {
			b.WriteString(" withheld")
		}
		if c.unreadable {
			b.WriteString(" unreadable")
		}
		if c.out != directionUnknown {
			b.WriteString([]string{"", " in", " out", " local"}[c.out])
		}
		if c.part.key != 0 {
			fmt.Fprintf(&b, " part %04x of rank %d", c.part.key>>48, c.part.rank)
		}
		switch {
		case !c.Ended:
		case c.Answered:
			fmt.Fprintf(&b, " answered, %g s", c.Talk)
		default:
			b.WriteString(" not answered")
		}
		switch {
		case c.undecided:
			b.WriteString(" undecided")
		case c.recorded:
			fmt.Fprintf(&b, " was %s by %q %s", c.was.Action, c.was.Rule, c.was.Mode())
		}
		b.WriteByte('\n')
	}
	for _, f := range faults {
		fmt.Fprintf(&b, "%s:%d: %s\n", f.File, f.Line, f.Text)
	}
	if bad > 0 {
		fmt.Fprintf(&b, "%d bad\n", bad)
	}
	return b.String()
}

// Each file is read as its golden file says; what is read is the same, whatever its size (here: with thousands of
// lines before it).
func TestFormats(t *testing.T) {
	shanghai := mustLoad(t, sample).Zone()
	options := map[string]SourceOptions{
		"named.tsv":             {NoHeader: true, Columns: Columns{Caller: "1", Callee: "2", Time: "3", Talk: "4", Name: "5", Trunk: "6"}},
		"freeswitch-header.csv": {Contexts: []string{"public"}},
	}
	files, err := filepath.Glob("testdata/calls/*.[ct]sv")
	if err != nil || len(files) < 16 {
		t.Fatalf("%q %v", files, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			o := options[name]
			o.Zone = shanghai
			s := mustOpen(t, name, string(text), o)
			calls, faults, bad := readAll(t, s)
			golden(t, filepath.Join("calls", name+".golden"), dump(s, calls, faults, bad))

			again := mustOpen(t, name, string(text), o)
			again.in.Reset(oneByte{strings.NewReader(strings.TrimPrefix(strings.TrimPrefix(string(text), "\ufeff"), "sep=;\n"))})
			calls2, faults2, bad2 := readAll(t, again)
			if diff := cmp.Diff(dump(s, calls, faults, bad), dump(again, calls2, faults2, bad2)); diff != "" {
				t.Errorf("read a byte at a time:\n%s", diff)
			}
		})
	}
}

// oneByte gives a byte at a time.
type oneByte struct{ r *strings.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(len(b), 1)]) }

// records are a journal with something of everything.
func records() []console.Record {
	at := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	next := func() time.Time { at = at.Add(time.Minute); return at }
	return []console.Record{
		{
			ID: "01JNA5M5Q00000000000000001", Time: next(), Node: "pbx1", Trunk: "telecom", Caller: console.Caller{Raw: "95211613", E164: "+8695211613", Kind: "service"}, Callee: "05925550100", Line: "staff",
			Action: "allow", Would: "allow", Mode: "enforce", Rule: "default", Outcome: &console.Outcome{Answered: true, RingS: 4, TalkS: 754, Cause: "NORMAL_CLEARING", By: "callee"},
		},
		{
			ID: "01JNA5M5Q00000000000000002", Time: next(), Node: "pbx1", Trunk: "telecom", Caller: console.Caller{Raw: "13800138000", E164: "+8613800138000", Kind: "mobile"}, Name: "Jos\xe9 =1+1", Callee: "05925550100", Line: "staff",
			Action: "reject", Would: "reject", Mode: "enforce", Rule: "blacklist", List: "blacklist", Outcome: &console.Outcome{Cause: "CALL_REJECTED"},
		},
		{
			ID: "01JNA5M5Q00000000000000003", Time: next(), Node: "pbx1", Trunk: "branch", Caller: console.Caller{Raw: "8001", Kind: "internal"}, Callee: "8002",
			Action: "allow", Would: "allow", Mode: "enforce", Rule: "internal",
		},
		{
			ID: "01JNA5M5Q00000000000000004", Time: next(), Node: "pbx1", Caller: console.Caller{Raw: "8003", Kind: "internal"}, Callee: "8002",
			Action: "allow", Would: "allow", Mode: "enforce", Rule: "internal",
		}, // an authenticated user
		{
			ID: "01JNA5M5Q00000000000000005", Time: next(), Node: "pbx1", Trunk: "telecom", Caller: console.Caller{Raw: "+8613900139000", E164: "+8613900139000", Kind: "anonymous", Withheld: true}, Callee: "4008001234", Line: "hotline",
			Action: "allow", Would: "allow", Mode: "enforce", Rule: "paused", Reason: "screening is paused",
		},
		{
			ID: "01JNA5M5Q00000000000000006", Time: next(), Node: "pbx1", Trunk: "telecom", Caller: console.Caller{Raw: "952301", E164: "+86952301", Kind: "service"}, Callee: "05925550100", Line: "staff",
			Action: "allow", Would: "reject", Mode: "observe", Rule: "on trial",
		},
		{
			ID: "01JNA5M5Q00000000000000007", Time: next(), Node: "pbx1", Caller: console.Caller{Raw: "95521234", E164: "+8695521234", Kind: "service"}, Name: "\x1b[2J\u202egnp.exe", Callee: "05925550100", Line: "staff",
			Action: "tag", Would: "tag", Mode: "enforce", Rule: "rented 95 numbers", Outcome: &console.Outcome{Answered: true, TalkS: 3},
		},
	}
}

func TestJournals(t *testing.T) {
	var lines, table []byte
	table = console.AppendCSVHeader(table)
	for _, r := range records() {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), "\r\n"...)
		table = r.AppendCSV(table)
	}
	a, b := mustOpen(t, "journal.jsonl", string(lines), SourceOptions{}), mustOpen(t, "journal.csv", string(table), SourceOptions{})
	if a.Format != "journal, JSON lines" || b.Format != "journal, CSV" {
		t.Fatalf("%s, %s", a.Format, b.Format)
	}
	callsA, faults, bad := readAll(t, a)
	golden(t, "journal.golden", dump(a, callsA, faults, bad))
	callsB, faults, bad := readAll(t, b)
	if len(faults)+bad > 0 || len(callsA) != len(records()) {
		t.Errorf("%d calls, %v", len(callsA), faults)
	}
	for i := range callsB {
		callsA[i].Line, callsB[i].Line = 0, 0
	}
	if diff := cmp.Diff(fmt.Sprintf("%+v", callsA), fmt.Sprintf("%+v", callsB)); diff != "" {
		t.Errorf("CSV reads otherwise than JSON:\n%s", diff)
	}

	// The whole report, from both.
	for _, s := range []*Source{mustOpen(t, "journal", string(lines), SourceOptions{}), mustOpen(t, "journal", string(table), SourceOptions{})} {
		r, err := Run(t.Context(), []*Source{s}, Options{Judge: mustJudge(t, sample), Keep: 20})
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Changes {
			r.Changes[i].FileLine = 0
		}
		for i := range r.Mistakes {
			r.Mistakes[i].FileLine = 0
		}
		golden(t, "journal-report.golden", reportText(t, r))
	}
}

// reportText is a report as JSON.
func reportText(t testing.TB, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is wrong with lines of a journal is said in plain words.
func TestJournalFaults(t *testing.T) {
	good, err := json.Marshal(records()[0])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join([]string{
		string(good), `{"id":1}`, `{"time":"yesterday"}`, `{"caller":"13800138000","time":"2026-03-02T01:00:00Z"}`, "", `{"time":"2026-03-02T01:00:00Z"`, `[]`, `null`, `{}`,
		`{"time":"2026-03-02T01:00:00Z","caller":{"raw":"1"},"would":"kill","rule":"x"}`, `{"time":"2026-03-02T01:00:00Z","caller":{"raw":"95588"},"callee":"1"}`, `not json`,
		"{" + strings.Repeat(" ", maxRow) + "}", string(good),
	}, "\n")
	s := mustOpen(t, "journal.jsonl", text, SourceOptions{})
	calls, faults, bad := readAll(t, s)
	if len(calls) != 3 || bad != 10 || len(faults) != maxFaults {
		t.Errorf("%d calls, %d bad, %v", len(calls), bad, faults)
	}
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		s := mustOpen(t, "j", line, SourceOptions{Format: FormatJSONL})
		_, faults, _ := readAll(t, s)
		for _, f := range faults {
			all = append(all, f.Text)
			for _, word := range []string{"Go ", "struct", "storage", "[]", "interface", "Record"} {
				if strings.Contains(f.Text, word) {
					t.Errorf("the message shows %q: %s", word, f.Text)
				}
			}
		}
	}
	golden(t, "journal-faults.golden", strings.Join(all, "\n")+"\n")
}

// What a file cannot be read as is said with what to do.
func TestOpenFaults(t *testing.T) {
	journal := string(console.AppendCSVHeader(nil))
	const asterisk = `"","1","2","x","","PJSIP/telecom-1","","Dial","","2026-03-02 09:00:00",,"2026-03-02 09:00:05",5,0,"BUSY","DOCUMENTATION"` + "\n"
	for _, c := range []struct {
		text string
		o    SourceOptions
		want string
	}{
		{"a,b,c\n1,2,3\n", SourceOptions{}, `x: the columns are not known: name them with --caller COLUMN, --callee COLUMN, --time COLUMN, by the header or by number from 1; there are "a", "b", "c"`},
		{"src,dst,x\n1,2,3\n", SourceOptions{}, `x: the columns are not known: name them with --time COLUMN, by the header or by number from 1; there are "src", "dst", "x"`},
		{"src,dst,start\n1,2,3\n", SourceOptions{Columns: Columns{Talk: "seconds"}}, `x: --talk "seconds": there is no such column among "src", "dst", "start"`},
		{"src,dst,start\n1,2,3\n", SourceOptions{Columns: Columns{Talk: "4"}}, `x: --talk 4: there are 3 columns`},
		{"src,dst,start\n1,2,3\n", SourceOptions{NoHeader: true}, `x: the columns are not known: name them with --caller COLUMN, --callee COLUMN, --time COLUMN, by the header or by number from 1; there are "src", "dst", "start"`},
		{"src,dst,start\n1,2,3\n", SourceOptions{Contexts: []string{"public"}}, `x: --context: the file has no column named context or dcontext`},
		{strings.Repeat("x,", 19) + "x\n" + asterisk, SourceOptions{Columns: Columns{Name: "18"}}, `x: --name 18: there are 16 columns`},
		{"{}\n", SourceOptions{Columns: Columns{Caller: "raw"}}, `x: --caller is for call detail records, and this is a journal: take it out`},
		{journal, SourceOptions{NoHeader: true, Columns: Columns{Trunk: "trunk"}}, `x: --trunk "trunk": there is no such column among`},
		{journal, SourceOptions{Contexts: []string{"public"}}, `x: --context is for call detail records, and this is a journal: take it out`},
		{"\"a,b\n", SourceOptions{}, `x:1: the first row has a quote that is not closed: is this a CSV file?`},
		{"PK\x03\x04", SourceOptions{}, `x is a spreadsheet's own file (xlsx, ods, xls): save it as CSV`},
		{"src,dst,start\n", SourceOptions{TimeFormat: "d.m.Y"}, `--time-format "d.m.Y": write it with %d for the day, %m for the month and so on, such as '%d.%m.%Y %H:%M'`},
		{"src,dst,start\n", SourceOptions{TimeFormat: "%d.%m. %H:%M"}, `--time-format "%d.%m. %H:%M": it needs a year, a month, a day, an hour and a minute, such as`},
		{"src,dst,start\n", SourceOptions{TimeFormat: "%Q"}, `--time-format "%Q": there is something in it that cannot be read: write it with`},
		{"src,dst,start\n", SourceOptions{TimeFormat: "%c %Z"}, `--time-format "%c %Z": the letters of a zone do not say which it is: write %z`},
		{journal, SourceOptions{TimeFormat: "%c"}, `x: --time-format is for call detail records, and this is a journal: take it out`},
		{"\x1f\x8b\x08", SourceOptions{}, "x is compressed: write `zcat x | ringfence policy replay - …`"},
	} {
		if _, err := Open("x", strings.NewReader(c.text), 0, c.o); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.40q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	if _, err := Open("x", failing{}, 0, SourceOptions{}); err == nil || err.Error() != "x cannot be read: is a directory" {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"", "\ufeff", "\n\n  \n"} {
		s := mustOpen(t, "x", text, SourceOptions{})
		if calls, faults, _ := readAll(t, s); len(calls)+len(faults) > 0 {
			t.Errorf("%q: %v %v", text, calls, faults)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) {
	return 0, &os.PathError{Op: "read", Path: "x", Err: fmt.Errorf("is a directory")}
}
