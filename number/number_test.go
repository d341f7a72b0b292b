package number

import (
	"bufio"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testPlan makes the plan of a country whose internal numbers are 8???.
func testPlan(t testing.TB, country string) *Plan {
	t.Helper()
	p, err := NewPlan(PlanOptions{Country: country, Internal: []string{"8???"}})
	if err != nil {
		t.Fatalf("plan of %s: %v", country, err)
	}
	return p
}

// spelling is a row of testdata/numbers.tsv.
type spelling struct {
	line                int
	country, text, e164 string
	kind                Kind
	kinds               Kinds
	reason              string
}

// spellings reads testdata/numbers.tsv.
func spellings(t testing.TB) []spelling {
	t.Helper()
	file, err := os.Open("testdata/numbers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var rows []spelling
	lines := bufio.NewScanner(file)
	for line := 1; lines.Scan(); line++ {
		if lines.Text() == "" || lines.Text()[0] == '#' {
			continue
		}
		f := strings.Split(lines.Text(), "\t")
		if len(f) != 5 {
			t.Fatalf("numbers.tsv:%d: %d columns, not 5", line, len(f))
		}
		row := spelling{line: line, country: f[0], e164: strings.Trim(f[2], "-"), reason: strings.Trim(f[4], "-")}
		if row.text, err = strconv.Unquote(f[1]); err != nil {
			t.Fatalf("numbers.tsv:%d: %s: %v", line, f[1], err)
		}
		for i, name := range strings.Split(f[3], ",") {
			k, ok := ParseKind(name)
			if !ok {
				t.Fatalf("numbers.tsv:%d: no kind %q", line, name)
			}
			if i == 0 {
				row.kind = k
			}
			row.kinds = row.kinds.With(k)
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestSpellings(t *testing.T) {
	rows := spellings(t)
	if len(rows) < 300 {
		t.Errorf("%d spellings, want 300 at least", len(rows))
	}
	plans := map[string]*Plan{}
	for _, row := range rows {
		p := plans[row.country]
		if p == nil {
			p = testPlan(t, row.country)
			plans[row.country] = p
		}
		n := p.Parse(row.text)
		if n.E164 != row.e164 || n.Kind != row.kind || n.Kinds != row.kinds || n.Reason != row.reason {
			t.Errorf("numbers.tsv:%d: %s %q: got %q %s %v %q, want %q %s %v %q", row.line, row.country, row.text,
				n.E164, n.Kind, n.Kinds.Strings(), n.Reason, row.e164, row.kind, row.kinds.Strings(), row.reason)
		}
		if n.Raw != row.text {
			t.Errorf("numbers.tsv:%d: raw became %q", row.line, n.Raw)
		}
		checkNumber(t, p, &n)
	}
}

// checkNumber tests what holds for every number, whatever the text.
func checkNumber(t testing.TB, p *Plan, n *Number) {
	t.Helper()
	if !n.Kinds.Has(n.Kind) {
		t.Errorf("%q: main kind %s is not among %v", n.Raw, n.Kind, n.Kinds.Strings())
	}
	if n.E164 != "" {
		if len(n.E164) > 16 || n.E164[0] != '+' || strings.Trim(n.E164[1:], "0123456789") != "" {
			t.Errorf("%q: %q is no E.164", n.Raw, n.E164)
		}
		if n.Kind == Invalid || n.Reason != "" {
			t.Errorf("%q: %q, yet %s (%s)", n.Raw, n.E164, n.Kind, n.Reason)
		}
		again := p.Parse(n.E164)
		if again.E164 != n.E164 || again.Kind != n.Kind || again.Kinds != n.Kinds || again.national != n.national {
			t.Errorf("%q: %q is read again as %q %s %v %q, was %s %v %q", n.Raw, n.E164,
				again.E164, again.Kind, again.Kinds.Strings(), again.national, n.Kind, n.Kinds.Strings(), n.national)
		}
		if n.national != "" && !p.isInternal(n.national) {
			if home := p.Parse(n.national); home.E164 != n.E164 {
				t.Errorf("%q: %q is written %q at home, and read as %q %v", n.Raw, n.E164, n.national, home.E164, home.Kinds.Strings())
			}
			spaced := n.E164[:1+n.cc] + " " + n.E164[1+n.cc:2+n.cc] + "-" + n.E164[2+n.cc:]
			if again := p.Parse(spaced); again.E164 != n.E164 {
				t.Errorf("%q: %q is read as %q", n.Raw, spaced, again.E164)
			}
		}
		if n.digits != n.E164[1:] {
			t.Errorf("%q: digits %q are not those of %q", n.Raw, n.digits, n.E164)
		}
		if foreign := n.Kind == International; foreign != (n.national == "") {
			t.Errorf("%q: kind %s with national digits %q", n.Raw, n.Kind, n.national)
		}
	}
	if (n.Kind == Invalid) != (n.Reason != "" && n.Kind != Unknown) {
		t.Errorf("%q: kind %s with reason %q", n.Raw, n.Kind, n.Reason)
	}
	if strings.Trim(n.national+n.digits, "0123456789") != "" {
		t.Errorf("%q: digits %q and %q", n.Raw, n.national, n.digits)
	}
	if len(n.Raw) > MaxRaw {
		t.Errorf("raw text of %d bytes", len(n.Raw))
	}
}

func TestInternalNumbers(t *testing.T) {
	p, err := NewPlan(PlanOptions{Country: "CN", Internal: []string{"8???", "1000-1099", "600..649", "11?", "2345"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text     string
		internal bool
		trusted  Kind
	}{
		{"8001", true, Internal},
		{"80-01", true, Internal},
		{"８００１", true, Internal},
		{"sip:8001@pbx.example.com", true, Internal},
		{`"Reception" <sip:8001@pbx.example.com>`, true, Internal},
		{"1000", true, Internal},
		{"1099", true, Internal},
		{"1100", false, Service},
		{"600", true, Internal},
		{"649", true, Internal},
		{"650", false, Invalid},
		{"2345", true, Internal},
		{"114", true, Internal},
		{"110", false, Emergency}, // stays the police, whatever is claimed
		{"119", false, Emergency},
		{"80010", false, Invalid},
		{"+8001", false, Invalid},
		{"05925550100", false, Fixed},
		{"8001234567", false, TollFree},
	} {
		n := p.ParseInternal(c.text)
		if n.Kind != c.trusted {
			t.Errorf("%q from inside: %s, want %s", c.text, n.Kind, c.trusted)
		}
		out := p.Parse(c.text)
		if !c.internal {
			if out != n {
				t.Errorf("%q: %+v from inside and %+v from outside", c.text, n, out)
			}
			continue
		}
		if n.E164 != "" || n.Shown() != n.National() || n.Reason != "" {
			t.Errorf("%q from inside: %+v", c.text, n)
		}
		if out.Kind != Invalid || out.Reason != "internal number from outside" || out.E164 != "" || out.National() != "" {
			t.Errorf("%q from outside: %+v", c.text, out)
		}
	}
}

func TestRawIsCut(t *testing.T) {
	p := testPlan(t, "CN")
	for _, long := range []string{
		strings.Repeat("9", 10_000),
		"95588" + strings.Repeat(" ", 10_000),
		strings.Repeat("工", 4_000),
		strings.Repeat("\xff", 10_000),
		`"` + strings.Repeat("x", 300) + `" <sip:95588@example.com>`,
	} {
		n := p.Parse(long)
		if n.Kind != Invalid || n.Reason != "too long" || len(n.Raw) > MaxRaw || !strings.HasPrefix(long, n.Raw) {
			t.Errorf("%.20q…: %s %q, %d bytes kept", long, n.Kind, n.Reason, len(n.Raw))
		}
	}
	if n := p.Parse(strings.Repeat("工", 4_000)); len(n.Raw) != MaxRaw-1 {
		t.Errorf("a character was split: %d bytes kept", len(n.Raw))
	}
	if n := p.Parse("95588" + strings.Repeat(" ", MaxRaw-5)); n.E164 != "+8695588" {
		t.Errorf("a text of just %d bytes: %+v", MaxRaw, n)
	}
}

func TestShown(t *testing.T) {
	p := testPlan(t, "CN")
	for text, want := range map[string]string{
		"0592 555 0100":          "+865925550100",
		"":                       "anonymous",
		"P":                      "anonymous",
		"8001":                   "8001",
		"alice":                  "alice",
		"${system(reboot)}\r\n":  "system(reboot)",
		"a\u202eb\x1b[2Jc":       "ab[2Jc",
		strings.Repeat("x", 100): strings.Repeat("x", 64),
	} {
		n := p.Parse(text)
		if got := n.Shown(); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	n := p.ParseInternal("sip:8001@pbx")
	if got := n.Shown(); got != "8001" {
		t.Errorf("internal number shown as %q", got)
	}
}

func TestWithheld(t *testing.T) {
	p := testPlan(t, "CN")
	n := p.Parse("13800138000").Withheld()
	if n.Kind != Anonymous || !n.Kinds.Has(Mobile) || !n.Kinds.Has(Anonymous) || n.E164 != "+8613800138000" {
		t.Errorf("%+v", n)
	}
	if n.Shown() != "anonymous" {
		t.Errorf("a withheld number is shown as %q", n.Shown())
	}
	q, err := p.Pattern("138*")
	if err != nil || !q.Matches(&n) {
		t.Errorf("lists do not see a withheld number (%v)", err)
	}
}

func TestPrefix(t *testing.T) {
	p := testPlan(t, "CN")
	for _, c := range []struct {
		text string
		k    int
		want string
	}{
		{"+865925550100", 4, "0592"},
		{"95211613", 4, "9521"},
		{"+8695211613", 6, "952116"},
		{"95588", 6, "95588"},
		{"+12125550100", 3, "+1212"},
		{"+85221234567", 2, "+85221"},
		{"+85221234567", 40, "+85221234567"},
		{"12125550100", 3, "121"},
		{"95588", 0, ""},
		{"95588", -1, ""},
		{"", 3, ""},
		{"alice", 3, ""},
		{"8001", 3, ""},
	} {
		n := p.Parse(c.text)
		if got := n.Prefix(c.k); got != c.want {
			t.Errorf("first %d of %q: %q, want %q", c.k, c.text, got, c.want)
		}
	}
}

func TestKinds(t *testing.T) {
	want := strings.Fields("mobile fixed toll_free premium shared_cost voip service emergency internal international unassigned invalid anonymous unknown")
	if got := KindNames(); !slices.Equal(got, want) {
		t.Errorf("kinds are %v, want %v", got, want)
	}
	var all Kinds
	for _, name := range want {
		k, ok := ParseKind(name)
		if !ok || k.String() != name {
			t.Errorf("%s is read as %v, %v", name, k, ok)
		}
		if all.Has(k) {
			t.Errorf("%s shares its place with another kind", name)
		}
		all = all.With(k)
	}
	if got := all.Strings(); !slices.Equal(got, want) {
		t.Errorf("all kinds are %v", got)
	}
	for _, name := range []string{"", "Mobile", "mobile ", "fax"} {
		if _, ok := ParseKind(name); ok {
			t.Errorf("%q is a kind", name)
		}
	}
	if got := Kind(99).String(); got != "unknown" {
		t.Errorf("a kind that does not exist is called %q", got)
	}
}
