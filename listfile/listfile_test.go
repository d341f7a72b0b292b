package listfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringfence/textfile"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func options() Options {
	return Options{Now: now, Expiry: func(text string, now time.Time) (time.Time, error) {
		if days, ok := strings.CutSuffix(text, "d"); ok {
			n, err := strconv.Atoi(days)
			return now.AddDate(0, 0, n), err
		}
		return time.Parse("2006-01-02", text)
	}}
}

// show is a file as Read sees it, a line an entry.
func show(text string, o Options) string {
	out := ""
	info, err := Read(strings.NewReader(text), o, func(l Line) error {
		out += fmt.Sprintf("%d %s", l.No, l.Number)
		if l.Reason != "" {
			out += " (" + l.Reason + ")"
		}
		if !l.Expires.IsZero() {
			out += " until " + l.Expires.Format("2006-01-02")
		}
		if l.Counted != "" {
			out += " or " + l.Counted
		}
		if l.Remove {
			out += " remove"
		}
		if l.Fault != nil {
			out += " WRONG: " + l.Fault.Error()
		}
		out += "\n"
		return nil
	})
	if err != nil {
		out += "ERROR: " + err.Error() + "\n"
	}
	return string(info.Format) + "\n" + out
}

func TestRead(t *testing.T) {
	long := strings.Repeat("1", textfile.MaxLine+10)
	const ftcHead = "Company_Phone_Number,Created_Date,Violation_Date,Consumer_City\n"
	tests := []struct{ name, file, want string }{
		{"empty", "", "text\n"},
		{"text", "\ufeff# ours\r\n95588 # bank\r\n\r\n 9521* \n+1*", "text\n2 95588\n4 9521*\n5 +1*\n"},
		{"a long line", "1\n" + long + "\n2\n" + long, "text\n1 1\n2  WRONG: the line has more than 65536 bytes\n3 2\n4  WRONG: the line has more than 65536 bytes\n"},
		{"csv", "Reason, \"Number\",expires\nfake,95588,2027-01-01\n\"two\nlines\",1,\nx,2,soon\n", "csv\n2 95588 (fake) until 2027-01-01\n3 1 (two\nlines)\n5 2 (x) WRONG: \"soon\" is no time to come: write a date such as 2026-12-31, or a span such as 30d or 12h\n"},
		{"csv, bad lines", "number,reason\n1\n2,\"b\n3\n", "csv\n2 1\n3  WRONG: it has a quote that is not closed: take it out, or write \"\" for a quote within a cell\n4 3\n"},
		{"csv, short rows", "number,reason\n1\n2,x,y\n", "csv\n2 1\n3 2 (x, y)\n"},
		{
			"phoneblock", ` {"version":3,"numbers":[{"phone":"+491","rating":"C_PING","votes":4},{"phone":"+492","votes":0},{"votes":1},7,{"phone":"+493"}],"x":{"y":[]}}`,
			"phoneblock\n1 +491 (PhoneBlock: C_PING, 4 votes)\n2 +492 (PhoneBlock, 0 votes) remove\n3  WRONG: it has no \"phone\"\n" +
				"4  WRONG: it is not {\"phone\":\"…\",\"rating\":\"…\",\"votes\":1}\n5 +493 (PhoneBlock)\n",
		},
		{"phoneblock, cut short", `{"numbers":[{"phone":"+491","votes":4},{"pho`, "phoneblock\n1 +491 (PhoneBlock, 4 votes)\nERROR: its JSON cannot be read at byte 39: unexpected EOF\n"},
		{"phoneblock, other JSON", `{"lists":[]}`, "phoneblock\nERROR: it is not a list of PhoneBlock: {\"numbers\":[…]} is expected\n"},
		{"phoneblock, not a list", `{"numbers":7}`, "phoneblock\nERROR: it is not a list of PhoneBlock: {\"numbers\":[…]} is expected\n"},
		{
			"ftc", ftcHead +
				"3055550100,2026-11-01 10:00:00,,Miami\n3055550100,2026-11-02 10:00:00,,Miami\n(305) 555-0100,11/20/2026,,Tampa\n" + // three in all
				"2125550100,2026-11-01 10:00:00,,A\n2125550100,2026-11-01 10:00:00,,A\n2125550100,2026-11-01 10:00:00,,B\n" + // two, one twice
				"4155550100,2026-01-01,,A\n4155550100,2026-01-01,,B\n4155550100,2026-11-20,,C\n" + // two are too old
				"12,2026-11-20,,C\nabc,2026-11-20,,C\n7145550100,lately,,C\n,2026-11-20,,C\n",
			"ftc\n11 12 WRONG: 2 digits are no number of the USA\n12 abc WRONG: it is not a telephone number\n" +
				"13 7145550100 WRONG: Created_Date \"lately\" is no date such as 2026-11-24 08:00:00\n2 +13055550100 (3 complaints to the FTC, the last on 2026-11-20)\n",
		},
		{"ftc, another table", "Company_Phone_Number,Date\n1,2\n", "ftc\nERROR: its first line names no column Created_Date\n"},
	}
	for _, test := range tests {
		if got := show(test.file, options()); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.name, got, test.want)
		}
	}
	o := options()
	o.Format, o.Threshold, o.Window = FTC, 1, time.Hour
	if got, want := show(ftcHead+"3055550100,2026-11-01 10:00:00,,\n2125550100,2026-11-01 08:59:59,,\n", o), "ftc\n2 +13055550100 (1 complaints to the FTC, the last on 2026-11-01)\n"; got != want {
		t.Errorf("threshold and window: %s", got)
	}
	o.Format = "xml"
	if got := show("", o); !strings.Contains(got, `no format "xml": use one of text, csv`) {
		t.Errorf("%s", got)
	}
	o.Format = CSV
	if got := show("reason\nx\n", o); !strings.Contains(got, "no column of it is known to hold numbers") {
		t.Errorf("%s", got)
	}
	stop := errors.New("stop")
	for _, text := range []string{"1\n2\n", "number\n1\n2\n", `{"numbers":[{"phone":"1"},{"phone":"2"}]}`} {
		n := 0
		if _, err := Read(strings.NewReader(text), options(), func(Line) error { n++; return stop }); err != stop || n != 1 {
			t.Errorf("%s: after %d lines %v", text, n, err)
		}
	}
}
