package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// claims is a policy with each condition on what calls say of themselves.
const claims = `
country  = "CN"
timezone = "Asia/Shanghai"

[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.west]
numbers  = ["4008001234"]
timezone = "Asia/Urumqi"
[lines.desk]
numbers = ["05925550100"]

[trunks.telecom]
[trunks.branch]
internal = true

[[rule]]
name   = "two numbers"
when   = { identity_differs = true }
action = "reject"

[[rule]]
name   = "one number"
when   = { identity_differs = false, trunk = "telecom" }
action = "tag"
label  = "one"

[[rule]]
name   = "forwarded"
when   = { diverted = true }
action = "tag"
label  = "forwarded"

[[rule]]
name   = "names"
when   = { caller_text = ["Firm Alpha", "Telesales *", "straße*"] }
action = "reject"

[[rule]]
name   = "again"
when   = { again = "10m", caller_kind = ["mobile", "international", "anonymous"] }
action = "warn"
announcement = "suspected-nuisance"

[[rule]]
name   = "as if from abroad"
when   = { written = ["plus", "international"], caller_kind = ["fixed", "mobile"] }
action = "challenge"

[[rule]]
name   = "night"
when   = { hours = ["22:00-06:00"] }
action = "divert"
to     = "voicemail"
`

// long: because it is one table, of calls and which rule takes them, for which reason
func TestClaims(t *testing.T) {
	p := mustLoad(t, claims)
	noon := time.Date(2026, 1, 7, 4, 0, 0, 0, time.UTC) // 12:00 in Shanghai, 10:00 in Ürümqi
	for _, test := range []struct {
		name   string
		facts  Facts
		before time.Duration // how long ago the caller called here
		rule   string
		reason string
	}{
		{"two numbers", Facts{Caller: "13800138000", Other: "+8613900139000"}, 0, "two numbers", "From and the asserted identity differ (+8613800138000 and +8613900139000)"},
		{"two spellings of one", Facts{Caller: "13800138000", Other: "+8613800138000"}, 0, "default", ""},
		{"two spellings of one, said", Facts{Caller: "13800138000", Other: "+8613800138000", Trunk: "telecom"}, 0, "one number", "From and the asserted identity do not differ, trunk telecom"},
		{"one alone", Facts{Caller: "13800138000", Trunk: "telecom"}, 0, "one number", ""},
		{"withheld in From", Facts{Caller: "+8613800138000", Other: "anonymous"}, 0, "as if from abroad", ""},
		{"a name in From", Facts{Caller: "13800138000", Other: "alice"}, 0, "default", ""},
		{"asserted is withheld", Facts{Caller: "", Other: "13800138000"}, 0, "default", ""},
		{"differs, not to be shown", Facts{Caller: "13800138000", Other: "13900139000", Withheld: true}, 0, "two numbers", "From and the asserted identity differ"},

		{"forwarded", Facts{Caller: "13800138000", Diverted: true}, 0, "forwarded", "the call was forwarded here"},

		{"a name", Facts{Caller: "firm  ALPHA"}, 0, "names", "caller firm ALPHA is under caller_text"},
		{"a name, full-width", Facts{Caller: "Ｆｉｒｍ　Ａｌｐｈａ"}, 0, "names", ""},
		{"a name, with what nobody sees", Facts{Caller: "Fi\u200brm\u00ad Al\u2060pha"}, 0, "names", ""},
		{"a name, longer", Facts{Caller: "Firm Alphabet"}, 0, "default", ""},
		{"a name, the beginning", Facts{Caller: "TELESALES of Berlin"}, 0, "names", "caller TELESALES of Berlin matches Telesales *"},
		{"a name, no blank", Facts{Caller: "telesalesman"}, 0, "default", ""},
		{"a name, folded", Facts{Caller: "STRASSENBAU"}, 0, "names", ""},
		{"a name that hides", Facts{Caller: "Firm Alpha", Withheld: true}, 0, "names", "withheld caller is under caller_text"},
		{"a name as display alone", Facts{Caller: "13800138000", Name: "Firm Alpha"}, 0, "default", ""},
		{"nothing", Facts{Caller: ""}, 0, "default", ""},

		{"again", Facts{Caller: "13800138000"}, 2 * time.Minute, "again", "number +8613800138000 is mobile, number +8613800138000 called here before at 11:58:00"},
		{"again, at the end", Facts{Caller: "13800138000"}, 10 * time.Minute, "again", ""},
		{"again, too late", Facts{Caller: "13800138000"}, 10*time.Minute + time.Second, "default", ""},
		{"later", Facts{Caller: "13800138000"}, -time.Minute, "default", ""},
		{"again, withheld", Facts{Caller: "13800138000", Withheld: true}, time.Minute, "again", "withheld caller is mobile, withheld caller called here before at 11:59:00"},

		{"with plus", Facts{Caller: "+8613800138000"}, 0, "as if from abroad", "number +8613800138000 is mobile, number +8613800138000 is written plus"},
		{"with 00", Facts{Caller: "008613800138000"}, 0, "as if from abroad", "number +8613800138000 is mobile, number +8613800138000 is written international"},
		{"as here", Facts{Caller: "059255510000"}, 0, "default", ""},
		{"inside", Facts{Caller: "8001"}, 0, "default", ""},

		{"evening in Shanghai", Facts{Caller: "13800138000", Callee: "05925550200", Time: time.Date(2026, 1, 7, 14, 30, 0, 0, time.UTC)}, 0, "night", "hours 22:00-06:00"},
		{"not yet in Ürümqi", Facts{Caller: "13800138000", Callee: "4008001234", Time: time.Date(2026, 1, 7, 14, 30, 0, 0, time.UTC)}, 0, "default", ""},
		{"evening in Ürümqi", Facts{Caller: "13800138000", Callee: "4008001234", Time: time.Date(2026, 1, 7, 16, 30, 0, 0, time.UTC)}, 0, "night", "hours 22:00-06:00"},
		{"morning in Ürümqi alone", Facts{Caller: "13800138000", Callee: "4008001234", Time: time.Date(2026, 1, 7, 23, 0, 0, 0, time.UTC)}, 0, "night", ""},
	} {
		if test.facts.Time.IsZero() {
			test.facts.Time = noon
		}
		c := p.Call(test.facts)
		if test.before != 0 {
			c.CalledBefore = c.Time.Add(-test.before)
		}
		d := p.Decide(&c, nil)
		if d.Rule != test.rule || test.reason != "" && d.Reason() != test.reason {
			t.Errorf("%s: by %s: %s", test.name, d.Rule, d.Reason())
		}
		if allocs := testing.AllocsPerRun(10, func() { p.Decide(&c, nil) }); allocs > 0 {
			t.Errorf("%s: the decision allocates %v times", test.name, allocs)
		}
	}
}

// What `ringfence check` says of rules that do not take a call.
func TestClaimsExplained(t *testing.T) {
	p := mustLoad(t, claims)
	at := time.Date(2026, 1, 7, 14, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		facts  Facts
		before time.Duration
		want   []string
	}{
		{Facts{Caller: "059255510000", Callee: "4008001234", Time: at}, time.Hour, []string{
			"two numbers: identity_differs: the call does not have two numbers of its caller to compare",
			"one number: trunk: the call came from no trunk that the policy knows, not telecom",
			"forwarded: diverted: no header says that the call was forwarded",
			"names: caller_text: caller 059255510000 does not match Firm Alpha, Telesales * or straße*",
			"again: caller_kind: caller 059255510000 is invalid (too long), not mobile, international or anonymous",
			"as if from abroad: caller_kind: caller 059255510000 is invalid (too long), not fixed or mobile",
			"night: hours: Wed 20:30 in Asia/Urumqi is outside 22:00-06:00",
		}},
		{Facts{Caller: "13800138000", Callee: "05925550200", Other: "+8613800138000", Time: at.Add(-8 * time.Hour)}, time.Hour, []string{
			"two numbers: identity_differs: From and the asserted identity are the same number",
			"one number: trunk: the call came from no trunk that the policy knows, not telecom",
			"forwarded: diverted: no header says that the call was forwarded",
			"names: caller_text: number +8613800138000 is no name",
			"again: again: number +8613800138000 called here last at 2026-01-07 13:30:00, longer ago than 10m",
			"as if from abroad: written: number +8613800138000 is written national, not plus or international",
			"night: hours: Wed 14:30 is outside 22:00-06:00",
		}},
		{Facts{Caller: "13800138000", Callee: "05925550200", Time: at.Add(-8 * time.Hour)}, 0, []string{
			"two numbers: identity_differs: the call does not have two numbers of its caller to compare",
			"one number: trunk: the call came from no trunk that the policy knows, not telecom",
			"forwarded: diverted: no header says that the call was forwarded",
			"names: caller_text: number +8613800138000 is no name",
			"again: again: number +8613800138000 did not call here before, as far as is remembered",
		}},
		{Facts{Caller: "anonymous", Time: at}, time.Minute, []string{
			"two numbers: identity_differs: the call does not have two numbers of its caller to compare",
			"one number: trunk: the call came from no trunk that the policy knows, not telecom",
			"forwarded: diverted: no header says that the call was forwarded",
			"names: caller_text: withheld caller does not match Firm Alpha, Telesales * or straße*",
			"again: again: a caller without a number is never the same again",
			"as if from abroad: caller_kind: withheld caller is anonymous, not fixed or mobile",
		}},
	} {
		c := p.Call(test.facts)
		if test.before != 0 {
			c.CalledBefore = c.Time.Add(-test.before)
		}
		_, steps := p.Explain(&c, nil)
		var got []string
		for _, s := range steps[2:] {
			got = append(got, s.Rule+": "+s.Why)
		}
		if diff := cmp.Diff(test.want, got[:min(len(got), len(test.want))]); diff != "" {
			t.Errorf("%+v\n%s", test.facts, diff)
		}
	}
}

// A [[test]] can say all of it.
func TestClaimsInTests(t *testing.T) {
	p := mustLoad(t, claims+`
[[test]]
caller   = "13800138000"
identity = "13900139000"
expect   = "reject"
rule     = "two numbers"
[[test]]
caller   = "13800138000"
diverted = true
expect   = "tag"
[[test]]
caller   = "13800138000"
again    = true
expect   = "warn"
[[test]]
caller   = "telesales 1"
expect   = "reject"
[[test]]
caller   = "telesales 1"
again    = true
expect   = "reject"
rule     = "names"
[[test]]
caller   = "+8613800138000"
expect   = "challenge"
[[test]]
caller   = "13800138000"
callee   = "4008001234"
at       = 2026-01-07T22:30:00
expect   = "allow"
`)
	for _, r := range p.RunTests() {
		if !r.Passed {
			t.Errorf("line %d: %s", r.Line, r)
		}
	}
}

// FuzzFoldName holds that folding is done once: what is folded stays so, and no text becomes much longer by it.
func FuzzFoldName(f *testing.F) {
	for _, s := range []string{"Firm Alpha", "Ｆｉｒｍ", "ﷺ", "İstanbul", "ẞ", "a\u0301\u200b", "\xff\xfe", " a  b "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := foldName(s)
		if twice := foldName(once); twice != once {
			t.Errorf("%q is %q, and then %q", s, once, twice)
		}
		if strings.TrimSpace(once) != once || strings.Contains(once, "  ") || len(once) > 20*len(s) {
			t.Errorf("%q is %q", s, once)
		}
	})
}
