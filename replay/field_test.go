package replay

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
)

// office is a policy that shows every call that came in as a change against one that lets all pass.
const office = `
country  = "CN"
timezone = "Asia/Shanghai"
[numbers]
internal = ["6??"]
[lines.main]
numbers = ["05925550100-05925550199"]
[[rule]]
name   = "known"
when   = { known_caller = "30d", known_scope = "all" }
action = "allow"
[[rule]]
name   = "withheld"
when   = { caller_kind = ["anonymous"] }
action = "challenge"
[[rule]]
name   = "all others"
action = "reject"
`

// replayed runs texts, each a file, through the office.
func replayed(t *testing.T, o SourceOptions, texts ...string) *Report {
	t.Helper()
	p := mustLoad(t, office)
	if o.Zone == nil {
		o.Zone = p.Zone()
	}
	o.Now = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	var sources []*Source
	for i, text := range texts {
		sources = append(sources, mustOpen(t, "f"+strconv.Itoa(i), text, o))
	}
	open, faults := policy.Load("open.toml", []byte("country = \"CN\"\n[lines.main]\nnumbers = [\"05925550100-05925550199\"]\n[numbers]\ninternal = [\"6??\"]\n[[rule]]\nname=\"open\"\naction=\"allow\"\n"))
	if open == nil {
		t.Fatal(faults)
	}
	r, err := Run(t.Context(), sources, Options{Judge: NewJudge(p, nil), Against: NewJudge(open, nil), Keep: 100, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	s := &r.Summary
	if sum := s.Calls - s.Repeats + s.Tests + s.Outgoing + s.Internal + s.Parts + s.Skipped + s.Bad; sum != s.Rows {
		t.Errorf("the kinds of rows add up to %d, and there are %d: %+v", sum, s.Rows, s)
	}
	return r
}

// Small files as the field has them, each for its kind.
func TestField(t *testing.T) {
	besides := map[string]func(t *testing.T, text string, r *Report){
		"fusionpbx.csv": func(t *testing.T, text string, r *Report) {
			if at := r.Changes[0].Time; !at.Equal(time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)) || r.Changes[0].TalkS != 30 || !r.Changes[0].Answered || r.Summary.Outgoing != 1 || r.Summary.Internal != 1 {
				t.Errorf("%+v, %+v", r.Changes[0], r.Summary)
			}
			// Whom 601 talked with is known from then on.
			r = replayed(t, SourceOptions{}, text+"inbound,,13900001111,05925550100,601,2026-11-21 10:07:00-05,,,0,NO_ANSWER\ninbound,,13900001111,05925550100,601,2026-11-21 10:04:00-05,,,0,NO_ANSWER\n")
			if got := rulesOf(r); !slices.Equal(got, []string{"all others", "known", "all others"}) {
				t.Errorf("%q", got)
			}
		},
		"asterisk-two-phones.csv": func(t *testing.T, text string, r *Report) {
			if c := r.Changes[0]; !c.Answered || c.TalkS != 25 || c.FileLine != 2 || c.ID != "1795000000.1" || r.Summary.Parts != 2 {
				t.Errorf("%+v, %+v", c, r.Summary)
			}
		},
		"null.csv": func(t *testing.T, text string, r *Report) {
			if got := rulesOf(r); !slices.Equal(got, []string{"all others", "withheld"}) || r.Changes[1].Caller.Raw != "" || r.Changes[1].Caller.Kind != "anonymous" {
				t.Errorf("%q, %+v", got, r.Changes[1])
			}
		},
		"spreadsheet.csv": func(t *testing.T, text string, r *Report) {
			if len(r.Notes) != 2 || !strings.HasPrefix(r.Notes[1], `a spreadsheet has rounded away who called, as "1.3E+10" in f0:3: `) {
				t.Errorf("%q", r.Notes)
			}
			if len(r.Changes) != 2 || r.Changes[1].Caller.E164 != "+8613800138001" || r.Changes[0].Time.Format(time.DateTime) != "2026-02-10 22:41:00" || r.Changes[1].Time.Format(time.DateTime) != "2026-02-10 22:43:00" {
				t.Errorf("%+v", r.Changes)
			}
		},
		"compact-time.csv": func(t *testing.T, text string, r *Report) {
			if at := r.Changes[0].Time.Format(time.DateTime); at != "2026-11-21 10:00:00" {
				t.Error(at)
			}
			r = replayed(t, SourceOptions{}, strings.Replace(text, "20261121", "20281121", 1)+"26121121100000,13800138000,05925550100,12,ANSWERED\n")
			if r.Summary.Calls != 0 || r.Summary.Bad != 2 || len(r.Faults) != 2 || !strings.Contains(r.Faults[1].Text, "would be in 2612, which is after next year") {
				t.Errorf("%+v, %v", r.Summary, r.Faults)
			}
		},
	}
	table, err := os.ReadFile("testdata/field/expected.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(table)), "\n")[1:]
	if len(rows) != len(besides) {
		t.Errorf("%d rows are expected and %d tested", len(rows), len(besides))
	}
	for _, row := range rows {
		want := strings.Split(row, "\t")
		t.Run(want[0], func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata/field", want[0]))
			if err != nil {
				t.Fatal(err)
			}
			r := replayed(t, SourceOptions{}, string(text))
			s := r.Summary
			if strconv.FormatUint(s.Calls, 10) != want[1] || strconv.FormatUint(s.Unreadable, 10) != want[2] || r.Changes[0].Callee != want[3] || s.Bad != 0 {
				t.Errorf("%+v, the first to %s; want %s", s, r.Changes[0].Callee, row)
			}
			besides[want[0]](t, string(text), r)
		})
	}
}

// rulesOf are the rules that decided, call by call.
func rulesOf(r *Report) (rules []string) {
	changes := slices.Clone(r.Changes)
	slices.SortStableFunc(changes, func(a, b Change) int { return a.FileLine - b.FileLine })
	for _, c := range changes {
		rules = append(rules, c.Is.Rule)
	}
	return rules
}

// What a spreadsheet or a database did to numbers is undone where it can be, and said where it cannot.
func TestCells(t *testing.T) {
	for cell, want := range map[string]string{
		"13800138001.0": "13800138001", "13800138001.00": "13800138001", "13800138001,0": "13800138001", `="13800138001"`: "13800138001", "'13800138001": "13800138001", "'+8613800138001": "+8613800138001", "601.0": "601",
		"13800138001": "13800138001", "+86 138 0013 8001": "+86 138 0013 8001", "": "", "anonymous": "anonymous", "0592.555.0100": "0592.555.0100", "13800138001.5": "13800138001.5", "1.0": "1.0", "=": "=", "'": "",
		"li.e@example.com": "li.e@example.com", "#31#13800138001": "#31#13800138001", "##": "##", "1E4": "1E4", "12E+10": "12E+10", "E+10": "E+10", "1.3E+100": "1.3E+100",
	} {
		if got, rounded := spreadsheetNumber(cell); got != want || rounded {
			t.Errorf("%q is %q, rounded %v", cell, got, rounded)
		}
	}
	for _, cell := range []string{"1.3E+10", "1,3E+10", "1.38001E+10", "1e10", "8.61380013800e12", "4E+11", "'1.3E+10", "########"} {
		if got, rounded := spreadsheetNumber(cell); !rounded {
			t.Errorf("%q is %q", cell, got)
		}
	}
	for _, cell := range []string{"", "NULL", "null", `\N`, "<null>", "(null)", "(NULL)", "[NULL]", "-"} {
		if !isNothing(cell) {
			t.Errorf("%q is something", cell)
		}
	}
	for _, cell := range []string{"0", "nullified", "N", "\\", "--", "nul", "Null Li"} {
		if isNothing(cell) {
			t.Errorf("%q is nothing", cell)
		}
	}
	for cell, want := range map[string]string{"李伟": "李伟", "\xc0\xee\xce\xb0": "李伟", "Li \xc0\xee": "Li 李", "Jos\xe9": "Jos\xe9", "\xff\xfe": "\xff\xfe", "": "", "\xc0": "\xc0", "M\xfcller": "M\xfcller"} {
		if got := plainText(cell); got != want {
			t.Errorf("%q is %q, want %q", cell, got, want)
		}
	}
}

// Columns are found whatever the case of their names, with spaces or points, and by what converters put before them.
func TestColumnNames(t *testing.T) {
	for _, head := range []string{
		"start_stamp,caller_id_number,destination_number", "Start Stamp,Caller ID Number,Destination Number", "START-STAMP,CALLER-ID-NUMBER,DESTINATION-NUMBER", `"start_stamp" , "caller_id_number" , "destination_number"`,
		"variables.start_stamp,variables.caller_id_number,variables.destination_number", "variable_start_stamp,variable_caller_id_number,variable_destination_number",
		"variables/start_stamp,callflow.0.caller_profile.caller_id_number,callflow.0.caller_profile.destination_number", "cdr.calldate,cdr.src,cdr.dst", "CallDate,Src,Dst", "Call Date,SRC,DST", "StartTime,CallerNumber,CalleeNumber",
		"呼叫时间,主叫号码,被叫号码", "\xba\xf4\xbd\xd0\xca\xb1\xbc\xe4,\xd6\xf7\xbd\xd0\xba\xc5\xc2\xeb,\xb1\xbb\xbd\xd0\xba\xc5\xc2\xeb", "sep=,\nstart,from,to", "\ufeffsep=,\r\nstart,from,to",
	} {
		r := replayed(t, SourceOptions{}, head+"\n2026-11-21 10:00:00,13800138000,05925550100\n")
		if s := r.Summary; s.Calls != 1 || s.Bad != 0 || r.Changes[0].Caller.E164 != "+8613800138000" || r.Changes[0].Callee != "05925550100" {
			t.Errorf("%q: %+v, %+v", head, s, r.Changes)
		}
	}
	for text, want := range map[string]string{
		"date;time;src;dst\n10.02.2026;22:41;13800138000;05925550100\n":                                               "2026-02-10 22:41:00",
		"Call Date\tCall Time\tsrc\tdst\n2026/2/10\t10:41:07 PM\t13800138000\t05925550100\n":                          "2026-02-10 22:41:07",
		"Date|Time|Caller|Callee\n20260210|224107|1|2\n20260210|22:41:07|13800138000|05925550100\n":                   "",
		"date,time,src,dst\n2026-02-10,2026-02-10 22:41:00,13800138000,05925550100\n":                                 "2026-02-10 22:41:00",
		"variables.start_stamp,variables.caller_id_number,dst\n2026-02-10%2022%3A41%3A07,%2B8613800138000,0592555100": "2026-02-10 22:41:07",
	} {
		r := replayed(t, SourceOptions{}, text)
		if want == "" {
			continue // nothing is read as what it may not be
		}
		if len(r.Changes) != 1 || r.Changes[0].Time.Format(time.DateTime) != want || r.Changes[0].Caller.E164 != "+8613800138000" {
			t.Errorf("%q: %+v, %v", text, r.Changes, r.Faults)
		}
	}
}

// A file of a spreadsheet is read in its encoding, and what is no text is told.
func TestEncodings(t *testing.T) {
	const text = "calldate\tsrc\tcnam\tdst\tbillsec\r\n2026/2/10 22:41\t13800138000\t李伟\t05925550100\t12\r\n"
	wide := func(order int, mark bool) string {
		var b []byte
		put := func(r rune) {
			pair := []byte{byte(r), byte(r >> 8)}
			b = append(b, pair[order], pair[1-order])
		}
		if mark {
			put(0xfeff)
		}
		for _, r := range text {
			put(r)
		}
		return string(b)
	}
	for name, text := range map[string]string{
		"UTF-8": text, "with a mark": "\ufeff" + text, "UTF-16 LE": wide(0, true), "UTF-16 BE": wide(1, true), "UTF-16 LE without a mark": wide(0, false), "UTF-16 BE without a mark": wide(1, false),
		"GBK": strings.Replace(text, "李伟", "\xc0\xee\xce\xb0", 1), "semicolons": strings.ReplaceAll(text, "\t", ";"), "commas": strings.ReplaceAll(text, "\t", ","), "bars": strings.ReplaceAll(text, "\t", "|"),
		"Excel's word on the separator": "sep=;\r\n" + strings.ReplaceAll(text, "\t", ";"),
	} {
		r := replayed(t, SourceOptions{}, text)
		if len(r.Changes) != 1 || r.Changes[0].Name != "李伟" || r.Changes[0].TalkS != 12 || r.Changes[0].Caller.E164 != "+8613800138000" {
			t.Errorf("%s: %+v, %+v, %v", name, r.Changes, r.Summary, r.Faults)
		}
		if line := 2 + strings.Count(name, "Excel's"); len(r.Changes) == 1 && r.Changes[0].FileLine != line {
			t.Errorf("%s: in line %d", name, r.Changes[0].FileLine)
		}
	}
}
