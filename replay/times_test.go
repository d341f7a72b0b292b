package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var eight = time.FixedZone("", 8*3600)

func testClock() *clock { return &clock{zone: eight, latest: 2027} }

// A time is read the same in all the ways that switches, databases and spreadsheets write it.
func TestTimes(t *testing.T) {
	minute, zoned := time.Date(2026, 2, 10, 22, 41, 0, 0, eight), time.Date(2026, 2, 10, 22, 41, 0, 0, eight).UTC().Format
	second, half := minute.Add(7*time.Second), minute.Add(7*time.Second+500*time.Millisecond)
	for want, texts := range map[time.Time][]string{
		minute: {
			"2026-02-10 22:41:00", "2026-02-10T22:41:00", "2026-02-10 22:41", "2026-02-10T14:41Z", "2026-2-10 22:41", "2026/2/10 22:41", "2026/02/10 22:41:00", "2026.02.10 22:41",
			"2026-02-10 14:41:00Z", "2026-02-10 14:41:00+00", "2026-02-10 15:41:00+01:00", "2026-02-10 15:41:00 +0100", "2026-02-10T15:41:00+0100", "2026-02-10 09:41:00-05", "2026-02-10 20:11:00+0530",
			"2026-02-10 09:41:00 -05:00", "2026-02-10 14:41:00 UTC", "2026-02-10T14:41:00.000Z", "2026-02-10 22:41:00.000000", "2026-02-10 22:41:00,000",
			"10.02.2026 22:41", "10.2.2026 22:41:00", "10.02.26 22:41", "10.02.2026, 22:41", "10.2.2026 22.41.00", "10.2.2026 22.41",
			"2026-02-10 10:41 PM", "2026/2/10 10:41:00 pm", "2026-02-10 10:41 p.m.", "2026-02-10 10:41PM", "2026-02-10 10:41\u202fPM",
			"10 Feb 2026 22:41", "10-Feb-2026 22:41:00", "10/Feb/2026:22:41:00 +0800", "Feb 10 2026 22:41", "Feb 10, 2026 10:41 PM", "10 February 2026 22:41", "Tue, 10 Feb 2026 14:41:00 GMT",
			"Tuesday, 10 Feb 2026 22:41:00", "2026年2月10日 22:41", "2026年02月10日22:41:00",
			"20260210224100", "202602102241", "20260210224100.000", "20260210224100000", "20260210T224100", "20260210T144100Z", "20260210T2241", "20260210 224100", "20260210-224100", "20260210 22:41:00",
			"20260210224100+0800", "20260210_224100",
			fmt.Sprint(minute.Unix()), fmt.Sprint(minute.Unix()) + ".0", fmt.Sprint(minute.UnixMilli()), fmt.Sprint(minute.UnixMicro()), fmt.Sprint(minute.UnixNano()), zoned(time.RFC3339), zoned(time.RFC1123Z),
		},
		second: {"2026-02-10 22:41:07", "2026/2/10 10:41:07 PM", "10.02.2026 22:41:07", "20260210224107", "2026-02-10T22:41:07+08", "10.2.2026 22.41.07"},
		half:   {"2026-02-10 22:41:07.5", "2026-02-10T22:41:07,500+08:00", "2026-02-10 10:41:07.500000000123 PM", "20260210224107500", fmt.Sprint(half.UnixMilli()), fmt.Sprint(half.UnixMicro())},
		time.Date(2026, 2, 10, 0, 5, 0, 0, eight):  {"2026-02-10 12:05 AM", "2026-02-10 0:05", "2026-02-10 00:05", "10.02.2026 0:05"},
		time.Date(2026, 2, 10, 12, 5, 0, 0, eight): {"2026-02-10 12:05 PM", "10.02.2026 12:05"},
		time.Date(2024, 2, 29, 1, 2, 3, 0, eight):  {"2024-02-29 01:02:03", "29.02.2024 01:02:03", "20240229010203"},
	} {
		for _, text := range texts {
			if got, ok := testClock().read(text); !ok || !got.Equal(want) {
				t.Errorf("%q is %v, %v; want %v", text, got, ok, want)
			}
		}
	}
}

// What is no time is a fault that says what to do; nothing is read as a time that it is not.
func TestNoTimes(t *testing.T) {
	for text, want := range map[string]string{
		"": notTime, " ": notTime, "x": notTime, "yesterday": notTime, "0": notTime, "2026-02-29 09:30:00": notTime, "2026-13-01 09:30:00": notTime, "2026-00-01 09:30:00": notTime,
		"2026-03-02 24:00:00": notTime, "2026-03-02 09:60:00": notTime, "2026-03-02 09:30:60": notTime, "1970-01-01 08:00:00": notTime, "1970-01-01T00:00:00Z": notTime, "1979-12-31 23:59:59": notTime,
		"2026-03-02 09:3x:00": notTime, "-1": notTime, "1.2.3": notTime, ".": notTime, "2026-03-02": notTime, "10.02.2026": notTime, "2026-03-02 9": notTime, "2026-03-02 9:3": notTime, "22:41": notTime,
		"2026-03-02 09:30:00 CST": notTime, "2026-03-02 09:30:00+8": notTime, "2026-03-02 09:30:00+": notTime, "2026-03-02 09:30:00+08:": notTime, "2026-03-02 09:30:00+08:0": notTime, "2026-03-02 09:30:00+99:00": notTime,
		"2026-03-02 13:30 PM": notTime, "2026-03-02 00:30 AM": notTime, "2026-02-3109:30": notTime, "32.01.2026 09:30": notTime, "2026-03/02 09:30": notTime, "10.13.2026 22:41": notTime, "Feb 30 2026 22:41": notTime,
		"46063.9": notTime, "17724150000000000000": notTime, "9999999999999999999999": notTime, "20261321100000": "would be in 2612, which is after next year", "2028-01-01 00:00:00": "would be in 2028, which is after next year",
		"20281121100000": "would be in 2028, which is after next year", "4102444800000": "would be in 2100, which is after next year",
		"2/10/2026 22:41": notOrder, "2-10-2026 22:41": notOrder, "13/10/2026 22:41": notOrder, "1.79527E+09": notNumber, "2,02611E+13": notNumber,
		strings.Repeat("1", 1000): notTime, strings.Repeat("2026-03-02 09:30:00", 100): notTime, "2026-03-02 09:30:00.": notTime, "10 Feb 26 22:41": notTime, "2/10/26 22:41": notTime,
	} {
		c := testClock()
		if got, ok := c.read(text); ok {
			t.Errorf("%.60q is %v", text, got)
		} else if fault := c.fault(text); !strings.HasPrefix(fault, fmt.Sprintf("%.40q %s", text, want)) {
			t.Errorf("%.60q: %s", text, fault)
		}
	}
}

func TestTalk(t *testing.T) {
	for text, want := range map[string]float64{"": 0, "0": 0, "12": 12, "12.5": 12.5, "1:02": 62, "1:02:03": 3723} {
		for _, comma := range []bool{false, true} {
			if got, err := parseTalk(text, comma); err != nil || got != want {
				t.Errorf("%q is %g, %v", text, got, err)
			}
		}
	}
	if got, err := parseTalk("12,5", true); err != nil || got != 12.5 {
		t.Errorf("%g, %v", got, err)
	}
	for _, text := range []string{"x", "-1", "NaN", "Inf", "1e300", ":", "1:x", "12,5", strings.Repeat("1:", 100) + "1"} {
		if got, err := parseTalk(text, false); err == nil {
			t.Errorf("%q is %g", text, got)
		}
	}
}

// Times that need the whole column to be read are read by it, or not at all.
func TestWholeColumn(t *testing.T) {
	const head = "src;dst;start;billsec\n"
	row := func(times ...string) (text string) {
		for _, at := range times {
			text += "13800138000;05925550100;" + at + ";5\n"
		}
		return text
	}
	many := strings.Repeat(row("2/10/2026 22:41"), 5000) // more than what is looked at first
	at := func(month time.Month, day, hour, minute, second int) time.Time {
		return time.Date(2026, month, day, hour, minute, second, 0, eight)
	}
	const ask = `x: line 2: "2/10/2026 22:41": no row shows whether the day or the month comes first: say so with --time-format '%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'`
	for name, c := range map[string]struct {
		text  string
		first time.Time // of the first call
		want  string    // the format, or the error
	}{
		"day first":            {row("2/10/2026 22:41", "13/10/2026 0:00"), at(10, 2, 22, 41, 0), "call detail records, dates with the day first (line 3 shows it)"},
		"month first":          {row("2/10/2026 10:41 PM", "2/13/2026 1:00 AM"), at(2, 10, 22, 41, 0), "call detail records, dates with the month first (line 3 shows it)"},
		"with hyphens":         {row("02-10-2026 22:41:07", "2026-10-13 00:00:00", "31-10-2026 00:00:00"), at(10, 2, 22, 41, 7), "call detail records, dates with the day first (line 4 shows it)"},
		"far down":             {many + row("13/10/2026 0:00"), at(10, 2, 22, 41, 0), "call detail records, dates with the day first (line 5002 shows it)"},
		"no row shows":         {row("2/10/2026 22:41", "2/11/2026 22:41"), time.Time{}, ask},
		"no row of many shows": {many, time.Time{}, ask},
		"both":                 {many + row("13/10/2026 0:00", "2/13/2026 0:00"), time.Time{}, `x: the times of the lines 5002 ("13/10/2026 0:00") and 5003 ("2/13/2026 0:00") have day and month in different places`},
		"with AM and PM":       {row("2-10-2026 10:41:07 PM"), time.Time{}, `x: line 2: "2-10-2026 10:41:07 PM": no row shows whether the day or the month comes first: say so with --time-format '%d-%m-%Y %I:%M:%S %p' or '%m-%d-%Y %I:%M:%S %p'`},
		"days":                 {row("46063.945138889", "46064"), at(2, 10, 22, 41, 0), "call detail records, times as a spreadsheet's days"},
		"days with commas":     {row("46063,9", "46064,25"), at(2, 10, 21, 36, 0), "call detail records, times as a spreadsheet's days"},
		"days and others":      {row("2026-02-10 22:41:00", "46063.9"), at(2, 10, 22, 41, 0), "call detail records"},
		"whole days alone":     {row("46063", "2026-02-10 22:41:00"), at(2, 10, 22, 41, 0), "call detail records"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(file, []byte(head+c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			s, err := Open("x", in, 0, SourceOptions{Zone: eight, Now: at(11, 28, 0, 0, 0)})
			if c.first.IsZero() {
				if err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("%v\nwant %s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			calls, _, _ := readAll(t, s)
			if s.Format != c.want || !calls[0].Facts.Time.Equal(c.first) {
				t.Errorf("%s, %v; want %s, %v", s.Format, calls[0].Facts.Time, c.want, c.first)
			}
		})
	}

	// What cannot be read twice is decided by its beginning, and ended by what contradicts that.
	in := strings.NewReader(head + row("13/10/2026 22:41") + many + row("2/13/2026 22:41"))
	s, err := Open("x", struct{ *onlyReader }{&onlyReader{in}}, 0, SourceOptions{Zone: eight, Now: at(11, 28, 0, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), []*Source{s}, Options{Judge: mustJudge(t, sample)})
	if want := `x:5003: "2/13/2026 22:41" has day and month in another place than the times before`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nwant %s", err, want)
	}
}

type onlyReader struct{ r *strings.Reader }

func (o *onlyReader) Read(b []byte) (int, error) { return o.r.Read(b) }

// --time-format is that of strftime. A day that the month has not is a fault.
func TestTimeFormat(t *testing.T) {
	for _, c := range []struct{ format, text, want string }{
		{"%d.%m.%Y %H:%M", "10.02.2026 22:41", "2026-02-10 22:41:00 +0800"},
		{"%d/%m/%Y %H:%M", "2/10/2026 22:41", "2026-10-02 22:41:00 +0800"},
		{"%m/%d/%Y %I:%M %p", "2/10/2026 10:41 PM", "2026-02-10 22:41:00 +0800"},
		{"%m/%d/%y %I:%M:%S %p", "02/10/26 12:41:07 am", "2026-02-10 00:41:07 +0800"},
		{"%Y%m%d%H%M%S", "20260210224107", "2026-02-10 22:41:07 +0800"},
		{"%Y-%m-%d %T%z", "2026-02-10 22:41:07-05", "2026-02-10 22:41:07 -0500"},
		{"%Y-%m-%d %T%z", "2026-02-10 22:41:07+05:30", "2026-02-10 22:41:07 +0530"},
		{"%Y-%m-%d %T%z", "2026-02-10 22:41:07Z", "2026-02-10 22:41:07 +0000"},
		{"%d %b %Y %H.%M", "10 feb 2026 22.41", "2026-02-10 22:41:00 +0800"},
		{"%e/%m/%Y %k:%M", " 2/10/2026  9:41", "2026-10-02 09:41:00 +0800"},
		{"%s", "1770734460", "2026-02-10 22:41:00 +0800"},
		{"%Y-%m-%d %H:%M:%S.%f", "2026-02-10 22:41:07.500", "2026-02-10 22:41:07.5 +0800"},
		{"%d/%m/%Y %H:%M", "30/2/2026 22:41", ""},
		{"%d/%m/%Y %H:%M", "31/4/2026 22:41", ""},
		{"%d/%m/%Y %H:%M", "2026-02-10 22:41:00", ""},
		{"%d/%m/%Y %H:%M", "1/2/2026 22:41:00", ""},
		{"%d/%m/%Y %H:%M", "1/2/2029 22:41", ""},
	} {
		if err := CheckTimeFormat(c.format); err != nil {
			t.Error(err)
		}
		cl := &clock{zone: eight, format: c.format, latest: 2027}
		got, ok := cl.read(c.text)
		if text := got.Format("2006-01-02 15:04:05.999 -0700"); ok != (c.want != "") || ok && text != c.want {
			t.Errorf("%q as %s is %s, %v; want %q", c.text, c.format, text, ok, c.want)
		}
		if !ok && !strings.Contains(cl.fault(c.text), "after next year") && !strings.HasSuffix(cl.fault(c.text), fmt.Sprintf(" is not written as --time-format %q says", c.format)) {
			t.Error(cl.fault(c.text))
		}
	}
}

// FuzzTimes holds that no text makes reading a time fail but with a fault, that a time lies in the years that calls may
// be of, and that what is read is read the same when it is printed as switches print it.
func FuzzTimes(f *testing.F) {
	for _, text := range []string{
		"2026-02-10 22:41:00", "2/10/2026 10:41 PM", "13/2/2026 22:41", "10.02.26 22.41", "20260210224107123", "46063.9", "1795273200000", "Tue, 10 Feb 2026 22:41:00 +0100", "2026年2月10日 22:41", "1.3E+10",
		"2026-02-10T22:41:07,5-05", "9999999999999999999", "10/Feb/2026:22:41:00 +0800", "a..m", "1:1 a.m.",
	} {
		f.Add(text, uint8(0), false, false)
	}
	f.Fuzz(func(t *testing.T, text string, known uint8, serial, comma bool) {
		c := &clock{zone: eight, latest: 2027, order: order(known % 3), serial: serial, comma: comma}
		at, ok := c.read(text)
		c.contradicted(text)
		(&survey{}).see(c, 1, text)
		if !ok {
			if fault := c.fault(text); fault == "" || strings.ContainsAny(fault, "\x00\x1b\n") {
				t.Fatalf("%q: fault %q", text, fault)
			}
			return
		}
		if at.Year() < earliest-1 || at.Year() > 2028 { // by its own zone, not by UTC
			t.Fatalf("%q is %v", text, at)
		}
		printed := at.In(eight).Truncate(time.Second).Format(time.DateTime)
		if again, ok := c.read(printed); at.In(eight).Year() >= earliest && at.In(eight).Year() <= 2027 && (!ok || !again.Equal(at.Truncate(time.Second))) {
			t.Fatalf("%q is %v, printed %q is %v, %v", text, at, printed, again, ok)
		}
		if survey := (&survey{}); known%3 == 0 {
			if survey.see(c, 1, text); survey.question.line > 0 {
				t.Fatalf("%q is read as %v, and may be another day", text, at)
			}
		}
	})
}
