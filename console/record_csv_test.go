package console

import (
	"encoding/csv"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"ringfence/rawtext"

	"github.com/google/go-cmp/cmp"
)

// readCSV reads a journal as CSV by the reader of the standard library.
func readCSV(t testing.TB, text string) (*CSVLayout, [][]string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	l, ok := ReadCSVHeader(rows[0])
	if !ok {
		t.Fatalf("the header is not recognised: %q", rows[0])
	}
	return l, rows[1:]
}

func TestRecordCSV(t *testing.T) {
	r := Record{
		ID: "01KGYZTR700000000000000001", Time: time.Date(2026, 3, 2, 9, 30, 0, 5e6, time.UTC), Node: "pbx1", Trunk: "telecom",
		Caller: Caller{Raw: "008695211613", E164: "+8695211613", Kind: "service", Withheld: true, From: "1000", Diverted: "+8610777"},
		Name:   "=HYPERLINK(\"http://x\",\"bank\")", Callee: "05925550100", Line: "staff", Customer: "firm",
		Action: "allow", Would: "reject", Mode: "observe", Rule: "952 sales calls", Reason: "a, b; \"c\"\r\nd", List: "blacklist",
		Outcome: &Outcome{Answered: true, RingS: 4.25, TalkS: 61, Cause: "NORMAL_CLEARING", By: "caller"},
		Test:    true, Passed: true,
		Tripped: []string{"range wakes: 952116", "many lines: 952116 (on trial)"}, TrippedBy: []string{"range wakes"}, Holder: "firm A", Score: 4.2, Terms: []string{"decoys +6", "first_time +0.5", "prior -4"},
		Repeats: 36, Last: time.Date(2026, 3, 2, 9, 30, 52, 250e6, time.UTC),
	}
	const want = `id,time,node,trunk,caller,e164,kind,withheld,name,callee,line,action,would,mode,rule,reason,list,answered,ring_s,talk_s,cause,by,from,diverted,repeats,last,test,tripped,holder,score,terms,tripped_by,passed,customer
01KGYZTR700000000000000001,2026-03-02T09:30:00.005Z,pbx1,telecom,008695211613,+8695211613,service,true,"\x3DHYPERLINK(""http://x"",""bank"")",05925550100,staff,allow,reject,observe,"952 sales calls","a, b; ""c""\x0D\x0Ad",blacklist,true,4.25,61,NORMAL_CLEARING,caller,1000,+8610777,36,2026-03-02T09:30:52.250Z,true,"range wakes: 952116 | many lines: 952116 (on trial)","firm A",4.2,"decoys +6 | first_time +0.5 | prior -4","range wakes",true,firm
`
	got := string(r.AppendCSV(AppendCSVHeader(nil)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	l, rows := readCSV(t, got)
	back, err := l.Record(rows[0])
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, back) {
		t.Errorf("%+v\nis read back as %+v", r, back)
	}
	r.Outcome = nil
	l, rows = readCSV(t, string(r.AppendCSV(AppendCSVHeader(nil))))
	if back, err = l.Record(rows[0]); err != nil || back.Outcome != nil {
		t.Errorf("%+v, %v", back.Outcome, err)
	}
}

func TestRecordCSVFaults(t *testing.T) {
	l, ok := ReadCSVHeader([]string{"Time", "caller", " callee", "action", "rule", "withheld", "talk_s", "repeats"})
	if !ok {
		t.Fatal("not recognised")
	}
	for want, row := range map[string][]string{
		`time: "yesterday" is no time such as 2006-01-02T15:04:05.000Z`: {"yesterday", "1", "2", "allow", "x"},
		`withheld: "maybe" is neither true nor false`:                   {"2026-03-02T09:30:00Z", "1", "2", "allow", "x", "maybe"},
		`repeats: "-1" is no number of calls`:                           {"2026-03-02T09:30:00Z", "1", "2", "allow", "x", "", "", "-1"},
		`talk_s: "NaN" is no number of seconds`:                         {"2026-03-02T09:30:00Z", "1", "2", "allow", "x", "TRUE", "NaN"},
	} {
		if _, err := l.Record(row); err == nil || err.Error() != want {
			t.Errorf("%q: %v", row, err)
		}
	}
	if r, err := l.Record([]string{"2026-03-02T09:30:00+08:00", "1"}); err != nil || r.Time.Hour() != 1 || r.Outcome != nil {
		t.Errorf("a short line: %+v, %v", r, err)
	}
	for _, header := range [][]string{nil, {"id", "time"}, {"caller_id_name", "caller_id_number", "destination_number"}} {
		if _, ok := ReadCSVHeader(header); ok {
			t.Errorf("%q passes for a journal", header)
		}
	}
}

// checkCell holds that a cell is read back, is one line without control characters, and starts no formula in
// a spreadsheet, whichever of , ; and tab separates its cells.
func checkCell(t testing.TB, s string) {
	t.Helper()
	s = rawtext.Cut(s, maxRecordText)
	r := Record{Time: time.Unix(0, 0), Name: s}
	text := string(r.AppendCSV(AppendCSVHeader(nil)))
	if strings.Count(text, "\n") != 2 || strings.ContainsAny(text, "\r\t\x00") {
		t.Fatalf("%q is written %q", s, text)
	}
	l, rows := readCSV(t, text)
	back, err := l.Record(rows[0])
	if err != nil || back.Name != s {
		t.Fatalf("%q is read back as %q, %v", s, back.Name, err)
	}
	_, line, _ := strings.Cut(text, "\n")
	cells := append(rows[0], strings.Split(line, ";")...)
	for _, cell := range cells {
		cell = strings.Trim(cell, " \"")
		if strings.IndexAny(cell, "=+-@") == 0 && !isPlusNumber(cell) || strings.HasPrefix(cell, "＝") {
			t.Fatalf("%q gives the cell %q", s, cell)
		}
	}
}

func TestRecordCSVCells(t *testing.T) {
	for _, s := range []string{
		"", "Li Wei", "=1+1", "+1+1", "+8613800138000", "-2", "@x", "＝1", "\t=1", " =1", "x;=1", "x; =1", ";;@", "'", "'=1", "a\nb", "\x1b[2J", "\u009b2J",
		`\x3D`, `\x3d`, `\\x3D`, "Jos\xe9", "\xff", "\"", "\"\"", "a,b", "外呼", "+", "+12\n",
	} {
		checkCell(t, s)
	}
	r := rand.New(rand.NewPCG(3, 3))
	parts := []string{"=", "+", "-", "@", ";", ",", " ", "\"", "\\x3D", "\\", "x", "7", "\n", "\r", "\t", "\xe9", "＝", "外", "'"}
	for range 20_000 {
		s := ""
		for range r.IntN(8) {
			s += parts[r.IntN(len(parts))]
		}
		checkCell(t, s)
	}
}

func FuzzRecordCSV(f *testing.F) {
	f.Add("=1+1")
	f.Add("a;\"=\xe9\\x3D")
	f.Fuzz(func(t *testing.T, s string) { checkCell(t, s) })
}
