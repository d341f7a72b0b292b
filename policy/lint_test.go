package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnreachable holds which rules are said to be out of reach, behind the rule written first.
//
// long: because it is one table, of pairs of conditions
func TestUnreachable(t *testing.T) {
	for _, test := range []struct {
		early, late string
		want        bool
	}{
		{`caller = ["952*"]`, `caller = ["9521????"]`, true},
		{`caller = ["9521????"]`, `caller = ["952*"]`, false},
		{`caller = ["9521*"]`, `caller = ["95211613", "+8695211614"]`, true},
		{`caller = ["+8695*"]`, `caller = ["95211613"]`, true},
		{`caller = ["+8695*"]`, `caller = ["9521????"]`, false}, // they are within, but their digits do not tell
		{`caller = ["95210000-95214999", "95215000-95219999"]`, `caller = ["9521????"]`, true},
		{`caller = ["95210000-95214999", "95215001-95219999"]`, `caller = ["9521????"]`, false},
		{`caller = ["952*"]`, `callee = ["05925550100"], caller = ["9521*"]`, true},
		{`callee = ["05925550100"], caller = ["952*"]`, `caller = ["9521*"]`, false},
		{`caller_not = ["95588"]`, `caller = ["95588"]`, false},
		{`caller_not = ["95588"]`, `caller = ["9521*"]`, true},
		{`caller_not = ["955*"]`, `caller = ["9521*", "95533"]`, false},
		{`caller_not = ["95588"]`, `caller_not = ["955*"]`, true},
		{`caller_not = ["955*"]`, `caller_not = ["95588"]`, false},
		{`caller_not = ["95588"]`, `line = ["staff"]`, false},
		{`line = ["staff", "hotline"]`, `line = ["staff"]`, true},
		{`line = ["staff"]`, `line = ["staff", "hotline"]`, false},
		{`caller_kind = ["anonymous", "invalid"]`, `caller_kind = ["invalid"], line = ["staff"]`, true},
		{`caller_kind = ["invalid"]`, `caller_kind = ["anonymous", "invalid"]`, false},
		{`list = ["a", "b"]`, `list = ["b"]`, true},
		{`list = ["b"]`, `list = ["a", "b"]`, false},
		{`list_not = ["a"]`, `list_not = ["a", "b"]`, true},
		{`list_not = ["a", "b"]`, `list_not = ["a"]`, false},
		{`list_not = ["a"]`, `list = ["b"]`, false},
		{`hours = ["Mon-Fri"]`, `hours = ["Mon 08:00-12:00", "Tue"]`, true},
		{`hours = ["Mon-Fri 08:00-12:00"]`, `hours = ["Mon"]`, false},
		{`trunk = ["telecom"]`, `trunk = ["telecom"], attestation = ["A"]`, true},
		{`attestation = ["A", "B"]`, `attestation = ["A"]`, true},
		{`caller_name = ["loan"]`, `caller_name = ["loan"], line = ["staff"]`, true},
		{`caller_name = ["loan"]`, `caller_name = ["loans"]`, false},
		{`callee = ["0592555*"]`, `callee = ["05925550100"]`, true},
		{`callee_not = ["05925550100"]`, `callee = ["05925550101"]`, true},
		{`written = ["plus", "local"]`, `written = ["local"]`, true},
		{`written = ["local"]`, `written = ["plus", "local"]`, false},
		{`again = "10m"`, `again = "5m"`, true},
		{`again = "5m"`, `again = "10m"`, false},
		{`diverted = true`, `diverted = true, again = "5m"`, true},
		{`diverted = true`, `diverted = false`, false},
		{`identity_differs = true`, `identity_differs = true, diverted = false`, true},
		{`caller_text = ["firm*"]`, `caller_text = ["Firm Ａ", "FIRM b*"]`, true},
		{`caller_text = ["firm a*"]`, `caller_text = ["Firm*"]`, false},
		{`caller_text = ["firm"]`, `caller_text = ["Firm*"]`, false},
		{`caller_text = ["firm *"]`, `caller_text = ["Firm"]`, false},
	} {
		text := fmt.Sprintf(`
country  = "CN"
timezone = "UTC"
[lines.staff]
numbers = ["05925550100"]
[lines.hotline]
numbers = ["4008001234"]
[trunks.telecom]
[[rule]]
name = "early"
when = { %s }
action = "reject"
[[rule]]
name = "late"
when = { %s }
action = "allow"
[[rule]]
name = "for every line"
when = { caller = ["9999"] }
action = "allow"
`, test.early, test.late)
		_, faults := Load("p.toml", []byte(text))
		got := false
		for _, f := range faults {
			if !f.Warning {
				t.Errorf("%s", f)
			}
			got = got || strings.Contains(f.Text, `"late" can never match: rule "early"`)
		}
		if got != test.want {
			t.Errorf("{ %s } behind { %s }: out of reach is %v", test.late, test.early, got)
		}
	}
}

// TestLint holds the warnings of small policies. The rule is the last part of each.
func TestLint(t *testing.T) {
	for _, test := range []struct {
		country, rules string
		want           []string
	}{
		{"CN", `{ name = "a", action = "reject", when = { caller = ["9521????", "9520????"], caller_not = ["95213333"] } }`, nil},
		{
			"CN", `{ name = "a", action = "reject", when = { caller = ["9521*"] } }`,
			[]string{`rule.when.caller: "9521*" also takes short service numbers such as 95210: write "9521????", or the service numbers that are to pass under caller_not`},
		},
		{"CN", `{ name = "a", action = "reject", when = { caller = ["9521*"], caller_not = ["9521?", "9521??"] } }`, nil},
		{"CN", `{ name = "a", action = "allow", when = { caller = ["955*"] } }`, nil},
		{
			"CN", `{ name = "a", action = "tag", label = "?", when = { caller = ["95*"], caller_not = ["95588"] } }`,
			[]string{`rule.when.caller: "95*" also takes short service numbers such as 95533: write "95??????", or the service numbers that are to pass under caller_not`},
		},
		{
			"CN", `{ name = "a", action = "reject", when = { caller = ["1*"] } }`,
			[]string{`rule.when.caller: "1*" also takes short service numbers such as 10086: write "1??????????", or the service numbers that are to pass under caller_not`},
		},
		{
			"CN", `{ name = "a", action = "reject", when = { caller = ["95588*"] } }`,
			[]string{`rule.when.caller: "95588*" also takes short service numbers such as 95588: write "95588???", or the service numbers that are to pass under caller_not`},
		},
		{"CN", `{ name = "a", action = "reject", when = { caller = ["0952*", "+1*", "13*", "400*"] } }`, nil},
		{"CN", `{ name = "a", action = "reject", when = { caller = ["9521????"], caller_not = ["13800138000", "95211*", "0592*"] } }`, []string{
			`rule.when.caller_not: "13800138000" excepts nothing, since no pattern under caller matches it: take it out, or correct it`,
			`rule.when.caller_not: "0592*" excepts nothing, since no pattern under caller matches it: take it out, or correct it`,
		}},
		{
			"CN", `{ name = "a", action = "reject", when = { caller = ["+8695*"], caller_not = ["95588", "9521????", "+1*"] } }`,
			[]string{
				`rule.when.caller_not: "+1*" excepts nothing, since no pattern under caller matches it: take it out, or correct it`,
				`rule.when.caller: "+8695*" also takes short service numbers such as 95533: write "+8695??????", or the service numbers that are to pass under caller_not`,
			},
		},
		{
			"CN", `{ name = "a", action = "reject", when = { caller = ["+86955*"] } }`,
			[]string{`rule.when.caller: "+86955*" also takes short service numbers such as 95588: write "+86955?????", or the service numbers that are to pass under caller_not`},
		},
		{"CN", `{ name = "a", action = "reject", when = { caller = ["+86592*", "+1955*", "+86*"] } }`, nil},
		{
			"FR", `{ name = "a", action = "reject", when = { caller = ["162*"] } }`,
			[]string{`rule.when.caller: "162*" takes no call: no number of FR is written so there: write 0162* or +33162*`},
		},
		{"CN", `{ name = "a", action = "reject", when = { caller = ["+8695211613"], caller_not = ["9522*", "95211*"] } }`, []string{
			`rule.when.caller_not: "9522*" excepts nothing, since no pattern under caller matches it: take it out, or correct it`,
			`rule: "a" can never match: its caller_not excepts all that caller matches`,
		}},
		{
			"CN", `{ name = "a", action = "reject", when = { callee = ["05925550100"], callee_not = ["05925550101"] } }`,
			[]string{`rule.when.callee_not: "05925550101" excepts nothing, since no pattern under callee matches it: take it out, or correct it`},
		},
		{
			"CN", `{ name = "a", action = "allow", when = { caller_kind = ["mobile"] } }, { name = "b", action = "reject", when = { list = ["blacklist"] } }`,
			[]string{`rule: "a" lets calls pass by caller_kind before rule "b" on line 2 asks list blacklist, so a listed caller passes: move it behind that rule`},
		},
		{"CN", `{ name = "a", action = "allow", when = { caller_kind = ["mobile"] } }, { name = "b", action = "allow", when = { list = ["allowlist"] } }`, nil},
		{"CN", `{ name = "a", action = "allow", mode = "observe" }, { name = "b", action = "reject", when = { list = ["blacklist"] } }`, nil},
		{"DE", `{ name = "a", action = "reject", when = { caller = ["0900*", "030*"] } }`, nil},
		{
			"GB", `{ name = "a", action = "reject", when = { caller = ["1*"] } }`,
			[]string{`rule.when.caller: "1*" also takes short service numbers such as 100: write the service numbers that are to pass under caller_not`},
		},
		{"US", `{ name = "a", action = "reject", when = { caller = ["800*"] } }`, nil},
	} {
		_, faults := Load("p.toml", []byte("country = \""+test.country+"\"\nrule = ["+test.rules+"]\n"))
		var got []string
		for _, f := range faults {
			if f.Line != 2 {
				t.Errorf("%s", f)
			}
			got = append(got, f.Key+": "+f.Text)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s\n%s", test.rules, diff)
		}
	}
}

// Rules on invalid callers are told of unassigned ones when a program starts that knows the difference.
func TestCheckUnassigned(t *testing.T) {
	p, faults := Load("p.toml", []byte(`country = "CN"
rule = [
	{ name = "old", action = "reject", when = { caller_kind = ["anonymous", "invalid"] } },
	{ name = "new", action = "reject", when = { caller_kind = ["invalid", "unassigned"] } },
	{ name = "other", action = "reject", when = { caller_kind = ["anonymous"] } },
]`))
	if p == nil {
		t.Fatal(faults)
	}
	var got []string
	for _, f := range p.CheckUnassigned() {
		got = append(got, f.String())
	}
	want := []string{`p.toml:3: rule: "old" asks for callers of the kind invalid; those with a prefix that the plan does not know are unassigned now: add "unassigned" under caller_kind if they are meant as well`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
