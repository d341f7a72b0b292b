package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/tomlfile"
)

// part is what stands below a heading, up to the next of its rank.
func part(t *testing.T, text, heading string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^(#+) ` + regexp.QuoteMeta(heading) + `$`).FindStringSubmatchIndex(text)
	if m == nil {
		t.Fatalf("there is no heading %q", heading)
	}
	rest := text[m[1]:]
	if end := regexp.MustCompile(fmt.Sprintf(`(?m)^#{1,%d} `, m[3]-m[2])).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return rest
}

// table gives the cells of the rows of the table with that header.
func table(t *testing.T, header string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(page(t), "\n"+header+"\n")
	if !ok {
		t.Fatalf("there is no table %s", header)
	}
	var rows [][]string
	for i, l := range strings.Split(rest, "\n") {
		if i == 0 {
			continue // | --- |
		}
		if !strings.HasPrefix(l, "|") {
			break
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(l, "|"), "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		rows = append(rows, cells)
	}
	return rows
}

// quoted are the words of a cell that stand between backticks.
func quoted(cell string) []string {
	var words []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	return words
}

func column(rows [][]string, i int) []string {
	var words []string
	for _, r := range rows {
		words = append(words, strings.Trim(r[i], "`"))
	}
	return words
}

func plan(t *testing.T) *number.Plan {
	t.Helper()
	p, err := number.NewPlan(number.PlanOptions{Country: "CN", Internal: []string{"8???"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPatternTables(t *testing.T) {
	plan := plan(t)
	for _, row := range table(t, "| pattern | takes | leaves alone |") {
		p, err := plan.Pattern(quoted(row[0])[0])
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		for i, takes := range []bool{true, false} {
			for _, number := range quoted(row[i+1]) {
				if n := plan.ParseInternal(number); p.Matches(&n) != takes {
					t.Errorf("%s takes %s: %v", row[0], number, !takes)
				}
			}
		}
	}
	for _, row := range table(t, "| refused | because |") {
		if p, err := plan.Pattern(quoted(row[0])[0]); err == nil {
			t.Errorf("%s is not refused, it is %s", row[0], p)
		}
		for _, instead := range quoted(row[1]) {
			if _, err := plan.Pattern(instead); err != nil && regexp.MustCompile(`\d`).MatchString(instead) {
				t.Errorf("%s, written instead of %s: %v", instead, row[0], err)
			}
		}
	}
}

func TestKindTable(t *testing.T) {
	plan := plan(t)
	rows := table(t, "| kind | is | such as |")
	if diff := cmp.Diff(number.KindNames(), column(rows, 0)); diff != "" {
		t.Error(diff)
	}
	for _, row := range rows {
		kind, _ := number.ParseKind(quoted(row[0])[0])
		for _, text := range quoted(row[2]) {
			n := plan.Parse(text)
			if kind == number.Internal {
				n = plan.ParseInternal(text)
			}
			if !n.Kinds.Has(kind) {
				t.Errorf("%s is %v, not %s", text, n.Kinds.Strings(), kind)
			}
		}
	}
}

func TestWrittenTable(t *testing.T) {
	singapore, err := number.NewPlan(number.PlanOptions{Country: "SG"})
	if err != nil {
		t.Fatal(err)
	}
	rows := table(t, "| way | in China | in Singapore |")
	if diff := cmp.Diff(number.FormNames(), column(rows, 0)); diff != "" {
		t.Error(diff)
	}
	for _, row := range rows {
		for i, plan := range []*number.Plan{plan(t), singapore} {
			for _, text := range quoted(row[i+1]) {
				if n := plan.Parse(text); n.Form.String() != quoted(row[0])[0] {
					t.Errorf("%s is written %s, not %s", text, n.Form, row[0])
				}
			}
		}
	}
}

func TestHoursTable(t *testing.T) {
	moment := func(text string) time.Time {
		if at, err := time.ParseInLocation("2006-01-02 15:04", text, time.UTC); err == nil {
			return at
		}
		day, clock, _ := strings.Cut(text, " ")
		at, err := time.ParseInLocation("15:04", clock, time.UTC)
		if err != nil {
			t.Fatalf("%q is no time", text)
		}
		at = time.Date(2026, time.March, 1, at.Hour(), at.Minute(), 0, 0, time.UTC) // a Sunday
		for range 7 {
			if at.Format("Mon") == day {
				return at
			}
			at = at.AddDate(0, 0, 1)
		}
		t.Fatalf("%q has no day", text)
		return at
	}
	for _, row := range table(t, "| entry | holds | does not hold |") {
		p, faults := policy.Load("p.toml", fmt.Appendf(nil, "country = \"CN\"\ntimezone = \"UTC\"\nholidays = [2026-10-01]\nworkdays = [2026-10-10]\n"+
			"[[rule]]\nname = \"x\"\naction = \"reject\"\nwhen = { hours = %q }\n", quoted(row[0])[0]))
		if len(faults) > 0 {
			t.Errorf("%v", faults)
			continue
		}
		for i, holds := range []bool{true, false} {
			for _, at := range quoted(row[i+1]) {
				c := p.Call(policy.Facts{Caller: "13800138000", Time: moment(at)})
				if d := p.Decide(&c, nil); (d.Action == policy.Reject) != holds {
					t.Errorf("%s holds at %s: %v", row[0], at, !holds)
				}
			}
		}
	}
}

func TestNameTables(t *testing.T) {
	if diff := cmp.Diff(policy.ReservedRules(), column(table(t, "| name | stands for |"), 0)); diff != "" {
		t.Error(diff)
	}
	var codes []string
	for _, code := range policy.SIPCodes() {
		codes = append(codes, fmt.Sprint(code))
	}
	if diff := cmp.Diff(codes, column(table(t, "| `sip` | says to the caller's side |"), 0)); diff != "" {
		t.Error(diff)
	}
	if text := page(t); !strings.Contains(text, fmt.Sprintf("For %.0f minutes after", policy.CallbackWindow.Minutes())) {
		t.Errorf("the page does not say how long emergency call-backs pass")
	}
}

// TestWarnings holds the table of warnings against those that the wrong policies of package policy give.
func TestWarnings(t *testing.T) {
	var given []string
	files, _ := filepath.Glob("../policy/testdata/policies/*.want")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(string(text), "\n") {
			if w, ok := strings.CutPrefix(l, "warning: "); ok {
				given = append(given, w)
			}
		}
	}
	p, _ := policy.Load("p.toml", []byte("country = \"CN\"\ndefault = \"warn\"\n[[rule]]\nname = \"x\"\naction = \"reject\"\nwhen = { list = \"x\" }\n"))
	for _, f := range append(p.CheckLists(lists.New()), p.CheckAnnouncements(func(string) bool { return false })...) {
		given = append(given, f.String())
	}
	p, _ = policy.Load("p.toml", []byte("country = \"CN\"\n[[rule]]\nname = \"x\"\naction = \"reject\"\nwhen = { caller_kind = \"invalid\" }\n"))
	for _, f := range p.CheckUnassigned() {
		given = append(given, f.String())
	}
	rows := column(table(t, "| says | means |"), 0)
	used := make(map[string]bool)
	for _, w := range given {
		known := false
		for _, row := range rows {
			if strings.Contains(w, row) || strings.Contains(plainNames(w), row) {
				known, used[row] = true, true
			}
		}
		if !known {
			t.Errorf("the page does not explain %q", w)
		}
	}
	for _, row := range rows {
		if !used[row] {
			t.Errorf("the page explains a warning that there is not: %q", row)
		}
	}
}

// plainNames drops the names in a message.
func plainNames(s string) string {
	return strings.ReplaceAll(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(s, ""), "  ", " ")
}

func TestLimits(t *testing.T) {
	// says asks whether a policy with that rest has a fault with those words; without words, whether it has none.
	says := func(rest, want string) bool {
		_, faults := policy.Load("p.toml", []byte("country = \"CN\"\n"+rest))
		var text strings.Builder
		for _, f := range faults {
			if !f.Warning {
				fmt.Fprintln(&text, f)
			}
		}
		if want == "" {
			return text.Len() == 0
		}
		return strings.Contains(text.String(), want)
	}
	rule, detector := "[[rule]]\nname = \"x\"\n", "[[detector]]\nname = \"x\"\n"
	var ranges strings.Builder
	ranges.WriteString("[ranges]\n")
	for i := range policy.MaxRanges + 1 {
		fmt.Fprintf(&ranges, "\"952%05d\" = \"x\"\n", i)
	}
	bytes65, runes64 := strings.Repeat("x", 65), strings.Repeat("号", 64)
	tries := map[string]struct {
		most string
		ok   bool
	}{
		"the file":              {fmt.Sprintf("%d MiB; put long runs of numbers into a list", tomlfile.MaxFile>>20), true},
		"rules":                 {fmt.Sprint(policy.MaxRules), true},
		"lines":                 {fmt.Sprint(policy.MaxLines), true},
		"detectors":             {fmt.Sprint(policy.MaxDetectors), says(strings.Repeat("[[detector]]\n", policy.MaxDetectors+1), "number 33, more than")},
		"entries of `[ranges]`": {fmt.Sprint(policy.MaxRanges), says(ranges.String(), "number 10001, more than")},
		"names of rules, detectors and holders, labels": {
			fmt.Sprintf("%d characters", number.MaxInert),
			says("[ranges]\n9521 = \""+runes64+"\"", "") && says("[ranges]\n9521 = \""+runes64+"号\"", "more than 64") && says(rule+"action = \"tag\"\nlabel = \""+runes64+"\"", "") && says(rule+"action = \"tag\"\nlabel = \""+runes64+"号\"", "more than 64"),
		},
		"names of lines, trunks, lists, announcements": {
			"64 bytes",
			says("[trunks."+bytes65[1:]+"]", "") && says("[trunks."+bytes65+"]", "longer than 64 bytes"),
		},
		"a pattern": {"16 digits", says("[numbers]\nnever_screen = \"9???????????????\"", "") && says("[numbers]\nnever_screen = \"9????????????????\"", "too long")},
		"a `caller_name` expression": {
			"1000 bytes",
			says(rule+"action = \"allow\"\nwhen = { caller_name = \""+strings.Repeat("x", 1000)+"\" }", "") &&
				says(rule+"action = \"allow\"\nwhen = { caller_name = \""+strings.Repeat("x", 1001)+"\" }", "longer than 1000"),
		},
		"`max_held`":     {"10000 calls", says("[trunks.a]\nmax_held = 1000000", "from 0 to 10000")},
		"`remember`":     {"3650d", says(rule+"action = \"challenge\"\nremember = \"9999d\"", "0s to 3650d")},
		"`known_caller`": {"400d", says(rule+"action = \"allow\"\nwhen = { known_caller = \"9999d\" }", "1m to 400d")},
		"`window`":       {"7d", says(detector+"window = \"8d\"", "1m to 7d")},
		"`hold`, `hold_max`": {
			"30d; 1h for decoys alone",
			says(detector+"hold = \"31d\"", "10s to 30d") && says(detector+"hold_max = \"31d\"", "10s to 30d") && says(detector+"count = \"decoys\"\nhold = \"2h\"", "at most 1h"),
		},
		"`again`": {"1d", says(rule+"action = \"tag\"\nlabel = \"x\"\nwhen = { again = \"9999d\" }", "10s to 1d")},
		"a text of `caller_text`": {
			fmt.Sprintf("%d bytes", number.MaxRaw),
			says(rule+"action = \"allow\"\nwhen = { caller_text = \""+strings.Repeat("x", 256)+"\" }", "") &&
				says(rule+"action = \"allow\"\nwhen = { caller_text = \""+strings.Repeat("x", 257)+"\" }", "longer than 256"),
		},
		"`grace`": {"1d", says(rule+"action = \"challenge\"\ngrace = \"9999d\"", "0s to 1d")},
	}
	for _, row := range table(t, "| what | at most |") {
		try, there := tries[row[0]]
		if !there || !try.ok || try.most != row[1] {
			t.Errorf("at most %s for %s: the code says %q, tried and found so: %v", row[1], row[0], try.most, try.ok)
		}
	}
}
