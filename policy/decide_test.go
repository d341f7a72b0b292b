package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringfence/number"
)

// mustLoad loads a policy that has no faults; warnings are allowed.
func mustLoad(t testing.TB, text string) *Policy {
	t.Helper()
	p, faults := Load("policy.toml", []byte(text))
	if p == nil {
		t.Fatalf("%v", faults)
	}
	return p
}

// office is a policy with something of everything.
const office = `
country  = "CN"
timezone = "Asia/Shanghai"
holidays = [2026-10-01]
workdays = [2026-10-10]

[numbers]
internal     = ["8???"]
never_screen = ["110", "119", "95110", "4008111111"]
never_screen_trunks = ["telecom"]

[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.boss]
numbers = ["05925550001"]
[lines.hotline]
numbers = ["4008001234", "8000"]

[trunks.telecom]
match = ["gateway:telecom"]
[trunks.phones]
match    = ["profile:internal"]
internal = true
media    = "answer"

[[rule]]
name   = "ours"
when   = { list = ["allowlist"] }
action = "allow"
whisper = "known"

[[rule]]
name   = "listed"
when   = { list = ["blacklist", "line:blacklist"], list_not = ["couriers"] }
action = "reject"

[[rule]]
name   = "on trial"
when   = { caller = ["9520????"] }
action = "challenge"
mode   = "observe"

[[rule]]
name   = "952 sales calls"
when   = { caller = ["9521????", "9520????"], caller_not = ["95213333", "952188??"], line = ["staff"] }
action = "warn"
announcement = "suspected-nuisance"

[[rule]]
name   = "loans"
when   = { caller_name = ["(?i)loan", "贷款"], callee_not = ["05925550199"] }
action = "tag"
label  = "Sales?"

[[rule]]
name   = "forged"
when   = { attestation = ["failed"], trunk = ["telecom"] }
action = "reject"
sip    = 608
announcement = "refused"

[[rule]]
name   = "withheld, after hours"
when   = { caller_kind = ["anonymous", "invalid"], hours = ["Mon-Fri 18:00-08:30", "Sat-Sun", "holidays"] }
action = "divert"
to     = "voicemail"

[[rule]]
name   = "fax"
when   = { callee = ["05925550900-05925550909"] }
action = "challenge"
digits = 4
media  = "early"
`

func officeLists(t testing.TB, p *Policy) plainLists {
	t.Helper()
	lists := plainLists{}
	for _, e := range []struct{ list, pattern, reason string }{
		{"blacklist", "95211613", "fake JD service"},
		{"blacklist", "9533*", ""},
		{"allowlist", "13800138000", "the landlord"},
		{"staff:blacklist", "05925554321", "sells wine"},
		{"couriers", "95338", "SF"},
	} {
		pattern, err := p.Plan().Pattern(e.pattern)
		if err != nil {
			t.Fatal(err)
		}
		lists.put(ListEntry{List: e.list, Pattern: pattern, Reason: e.reason})
	}
	return lists
}

var (
	workHour = time.Date(2026, 1, 7, 2, 0, 0, 0, time.UTC) // Wednesday, 10:00 in China
	lateHour = time.Date(2026, 1, 7, 12, 0, 0, 0, time.UTC)
)

func TestDecide(t *testing.T) {
	p := mustLoad(t, office)
	lists := officeLists(t, p)
	for _, test := range []struct {
		facts  Facts
		action Action
		rule   string
		line   string
		reason string
	}{
		{Facts{Caller: "13900139000", Callee: "05925550100"}, Allow, "default", "staff", "no rule matched number +8613900139000"},
		{Facts{Caller: "13900139000", Callee: "05925550001"}, Allow, "default", "boss", "no rule matched number +8613900139000"},
		{Facts{Caller: "13900139000", Callee: "8000"}, Allow, "default", "hotline", "no rule matched number +8613900139000"},
		{Facts{Caller: "13900139000", Callee: "1000"}, Allow, "default", "", "no rule matched number +8613900139000"},

		{Facts{Caller: "110", Callee: "05925550100", Trunk: "telecom"}, Allow, "never_screen", "staff", "number +86110 matches +86110 in never_screen"},
		{Facts{Caller: "12110", Callee: "05925550100", Trunk: "telecom"}, Allow, "never_screen", "staff", "number +8612110 is an emergency number"},
		{Facts{Caller: "4008111111", Callee: "05925550100", Trunk: "telecom"}, Allow, "never_screen", "staff", "number +864008111111 matches +864008111111 in never_screen"},
		{Facts{Caller: "110", Callee: "05925550100"}, Allow, "default", "staff", "no rule matched number +86110"},

		{Facts{Caller: "8001", Callee: "05925550100", Trunk: "phones"}, Allow, "internal", "staff", "number 8001 is internal"},
		{Facts{Caller: "8001", Callee: "05925550100", Inside: true}, Allow, "internal", "staff", "number 8001 is internal"},
		{Facts{Caller: "8001", Callee: "05925550100", Trunk: "telecom"}, Allow, "default", "staff", "no rule matched caller 8001"},
		{Facts{Caller: "8001", Callee: "05925550100", Trunk: "telecom", Time: lateHour}, Divert, "withheld, after hours", "staff", "caller 8001 is invalid (internal number from outside), hours Mon-Fri 18:00-08:30"},
		{Facts{Caller: "95211613", Callee: "05925550100", Trunk: "phones"}, Reject, "listed", "staff", "number +8695211613 is on list blacklist (+8695211613: fake JD service)"},

		{Facts{Caller: "8613800138000", Callee: "05925550100"}, Allow, "ours", "staff", "number +8613800138000 is on list allowlist (+8613800138000: the landlord)"},
		{Facts{Caller: "+8695211613", Callee: "4008001234"}, Reject, "listed", "hotline", "number +8695211613 is on list blacklist (+8695211613: fake JD service)"},
		{Facts{Caller: "95211613", Callee: "4008001234", Withheld: true}, Reject, "listed", "hotline", "withheld caller is on list blacklist (fake JD service)"},
		{Facts{Caller: "95331234", Callee: "4008001234"}, Reject, "listed", "hotline", "number +8695331234 is on list blacklist (9533*)"},
		{Facts{Caller: "95338", Callee: "4008001234"}, Allow, "default", "hotline", "no rule matched number +8695338"},
		{Facts{Caller: "057144441234", Callee: "4008001234"}, Allow, "default", "hotline", "no rule matched number +8657144441234"},
		{Facts{Caller: "05925554321", Callee: "05925550001"}, Reject, "listed", "boss", "number +865925554321 is on list staff:blacklist (+865925554321: sells wine)"},
		{Facts{Caller: "05925554321", Callee: "4008001234"}, Allow, "default", "hotline", "no rule matched number +865925554321"},

		{Facts{Caller: "95211234", Callee: "05925550100"}, Warn, "952 sales calls", "staff", "line staff, number +8695211234 matches 9521????"},
		{Facts{Caller: "95211234", Callee: "05925550001"}, Warn, "952 sales calls", "boss", "line boss, number +8695211234 matches 9521????"},
		{Facts{Caller: "95211234", Callee: "4008001234"}, Allow, "default", "hotline", "no rule matched number +8695211234"},
		{Facts{Caller: "95213333", Callee: "05925550100"}, Allow, "default", "staff", "no rule matched number +8695213333"},
		{Facts{Caller: "95218800", Callee: "05925550100"}, Allow, "default", "staff", "no rule matched number +8695218800"},
		{Facts{Caller: "95201234", Callee: "05925550100"}, Warn, "952 sales calls", "staff", "line staff, number +8695201234 matches 9520????; on trial, rule on trial would challenge"},

		{Facts{Caller: "13900139000", Callee: "05925550100", Name: "Easy LOANS"}, Tag, "loans", "staff", "the caller’s name Easy LOANS matches"},
		{Facts{Caller: "13900139000", Callee: "05925550199", Name: "Easy LOANS"}, Allow, "default", "staff", "no rule matched number +8613900139000"},
		{Facts{Caller: "13900139000", Callee: "05925550100", Attestation: "failed", Trunk: "telecom"}, Reject, "forged", "staff", "trunk telecom, attestation failed"},
		{Facts{Caller: "13900139000", Callee: "05925550100", Attestation: "failed"}, Allow, "default", "staff", "no rule matched number +8613900139000"},

		{Facts{Caller: "anonymous", Callee: "05925550100"}, Allow, "default", "staff", "no rule matched withheld caller"},
		{Facts{Caller: "anonymous", Callee: "05925550100", Time: lateHour}, Divert, "withheld, after hours", "staff", "withheld caller is anonymous, hours Mon-Fri 18:00-08:30"},
		{Facts{Caller: "13900139000", Callee: "05925550100", Time: lateHour, Withheld: true}, Divert, "withheld, after hours", "staff", "withheld caller is anonymous, hours Mon-Fri 18:00-08:30"},
		{Facts{Caller: "", Callee: "05925550100", Time: time.Date(2026, 10, 1, 2, 0, 0, 0, time.UTC)}, Divert, "withheld, after hours", "staff", "withheld caller is anonymous, hours holidays"},
		{Facts{Caller: "", Callee: "05925550100", Time: time.Date(2026, 10, 10, 2, 0, 0, 0, time.UTC)}, Allow, "default", "staff", "no rule matched withheld caller"},
		{Facts{Caller: "13900139000", Callee: "05925550905"}, Challenge, "fax", "staff", "called number matches 0592555090?"},
	} {
		if test.facts.Time.IsZero() {
			test.facts.Time = workHour
		}
		c := p.Call(test.facts)
		d := p.Decide(&c, lists)
		got := fmt.Sprintf("%s %s %q %q: %s", d.Action, d.Would, d.Rule, d.Line, d.Reason())
		want := fmt.Sprintf("%s %s %q %q: %s", test.action, test.action, test.rule, test.line, test.reason)
		if got != want {
			t.Errorf("%+v\n got %s\nwant %s", test.facts, got, want)
		}
		if d.Mode != Enforce {
			t.Errorf("%+v: mode %s", test.facts, d.Mode)
		}
	}
}

// TestCarryOut holds the fields that say how a decision is carried out, with their defaults.
func TestCarryOut(t *testing.T) {
	p := mustLoad(t, office)
	lists := officeLists(t, p)
	for _, test := range []struct {
		facts Facts
		want  Decision
	}{
		{Facts{Caller: "13800138000"}, Decision{Action: Allow, Whisper: "known"}},
		{Facts{Caller: "95211613"}, Decision{Action: Reject, SIP: 603}},
		{Facts{Caller: "95211234", Callee: "05925550100"}, Decision{Action: Warn, Announcement: "suspected-nuisance", Then: "continue", Media: "early", Overflow: "allow", SIP: 603}},
		{Facts{Caller: "95211234", Callee: "05925550100", Trunk: "phones"}, Decision{Action: Warn, Announcement: "suspected-nuisance", Then: "continue", Media: "answer", Overflow: "allow", SIP: 603}},
		{Facts{Caller: "139", Name: "loan"}, Decision{Action: Tag, Label: "Sales?"}},
		{Facts{Caller: "13900139000", Trunk: "telecom", Attestation: "failed"}, Decision{Action: Reject, SIP: 608, Announcement: "refused", Media: "early"}},
		{Facts{Caller: "anonymous", Time: lateHour}, Decision{Action: Divert, To: "voicemail"}},
		{Facts{Caller: "13900139000", Callee: "05925550905"}, Decision{Action: Challenge, Digits: 4, Tries: 2, Remember: 30 * day, Grace: 10 * time.Minute, Otherwise: "reject", Media: "early", Overflow: "allow", SIP: 603}},
	} {
		if test.facts.Time.IsZero() {
			test.facts.Time = workHour
		}
		c := p.Call(test.facts)
		got := p.Decide(&c, lists)
		got = Decision{
			Action: got.Action, Label: got.Label, Announcement: got.Announcement, Whisper: got.Whisper, Then: got.Then, Media: got.Media,
			Overflow: got.Overflow, Otherwise: got.Otherwise, To: got.To, SIP: got.SIP, Digits: got.Digits, Tries: got.Tries, Remember: got.Remember, Grace: got.Grace,
		}
		if got != test.want {
			t.Errorf("%+v\n got %+v\nwant %+v", test.facts, got, test.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	for text, want := range map[string]Decision{
		"":                      {Action: Allow},
		`default = "allow"`:     {Action: Allow},
		`default = "reject"`:    {Action: Reject, SIP: 603},
		`default = "warn"`:      {Action: Warn, Announcement: DefaultAnnouncement, Then: "continue", Media: "early", Overflow: "allow", SIP: 603},
		`default = "challenge"`: {Action: Challenge, Digits: 3, Tries: 2, Remember: 30 * day, Grace: 10 * time.Minute, Otherwise: "reject", Media: "answer", Overflow: "allow", SIP: 603},
	} {
		p := mustLoad(t, "country = \"CN\"\n"+text)
		c := p.Call(Facts{Caller: "95211613"})
		d := p.Decide(&c, nil)
		if d.Rule != "default" || d.Would != want.Action {
			t.Errorf("%q: %s by %s", text, d.Would, d.Rule)
		}
		want.Would, want.Rule, want.evidence, want.decider = d.Would, d.Rule, d.evidence, d.decider
		if d != want {
			t.Errorf("%q:\n got %+v\nwant %+v", text, d, want)
		}
	}
}

func TestTrial(t *testing.T) {
	const rules = `
[[rule]]
name   = "first on trial"
when   = { caller = ["9521????"] }
action = "reject"
mode   = "observe"
[[rule]]
name   = "second on trial"
when   = { caller = ["952*"] }
action = "challenge"
mode   = "observe"
[[rule]]
name   = "in force"
when   = { caller = ["95211???"] }
action = "tag"
label  = "Sales?"
[[rule]]
name   = "passes"
when   = { caller = ["95212???"] }
action = "allow"
`
	for _, test := range []struct {
		head, caller string
		want         string
	}{
		{`mode = "enforce"`, "95210000", `allow, would reject, observe, by "first on trial", trial "first on trial" reject: number +8695210000 matches 9521????; on trial, would reject`},
		{`mode = "enforce"`, "95220000", `allow, would challenge, observe, by "second on trial", trial "second on trial" challenge: number +8695220000 matches 952*; on trial, would challenge`},
		{`mode = "enforce"`, "95211000", `tag, would tag, enforce, by "in force", trial "first on trial" reject: number +8695211000 matches 95211???; on trial, rule first on trial would reject`},
		{`mode = "enforce"`, "95212000", `allow, would reject, observe, by "first on trial", trial "first on trial" reject: number +8695212000 matches 9521????; on trial, would reject`},
		{`mode = "enforce"`, "95330000", `allow, would allow, enforce, by "default", trial "" allow: no rule matched number +8695330000`},
		{`mode = "observe"`, "95210000", `allow, would reject, observe, by "first on trial", trial "first on trial" reject: number +8695210000 matches 9521????; on trial, would reject`},
		{`mode = "observe"`, "95211000", `allow, would tag, observe, by "in force", trial "first on trial" reject: number +8695211000 matches 95211???; on trial, rule first on trial would reject`},
		{`mode = "observe"`, "95330000", `allow, would allow, observe, by "default", trial "" allow: no rule matched number +8695330000`},
		{`default = "reject"`, "95220000", `reject, would reject, enforce, by "default", trial "second on trial" challenge: no rule matched number +8695220000; on trial, rule second on trial would challenge`},
	} {
		p := mustLoad(t, "country = \"CN\"\n"+test.head+rules)
		c := p.Call(Facts{Caller: test.caller})
		d := p.Decide(&c, nil)
		got := fmt.Sprintf("%s, would %s, %s, by %q, trial %q %s: %s", d.Action, d.Would, d.Mode, d.Rule, d.Trial, d.TrialWould, d.Reason())
		if got != test.want {
			t.Errorf("%s, %s\n got %s\nwant %s", test.head, test.caller, got, test.want)
		}
		if d.Action == Allow && d.Label != "" {
			t.Errorf("%s, %s: label %q on a call that is let through", test.head, test.caller, d.Label)
		}
	}
}

func TestEmergencyCallback(t *testing.T) {
	p := mustLoad(t, "country = \"CN\"\ndefault = \"reject\"\n")
	for since, want := range map[time.Duration]string{
		0: "never_screen", 29*time.Minute + 59*time.Second: "never_screen", 30 * time.Minute: "default", -time.Minute: "default",
	} {
		c := p.Call(Facts{Caller: "13900139000", Callee: "05925550100", Time: workHour})
		c.EmergencyDialled = workHour.Add(-since)
		if d := p.Decide(&c, nil); d.Rule != want {
			t.Errorf("%s after the emergency call: decided by %s", since, d.Rule)
		} else if want == "never_screen" && d.Reason() != "the called number dialled an emergency number less than 30 minutes before" {
			t.Errorf("reason %q", d.Reason())
		}
	}
}

func TestExplain(t *testing.T) {
	p := mustLoad(t, office)
	lists := officeLists(t, p)
	for _, test := range []struct {
		facts Facts
		want  []string
	}{
		{Facts{Caller: "95218812", Callee: "4008001234", Name: "x", Trunk: "phones", Attestation: "B", Time: workHour}, []string{
			"no never_screen: number +8695218812 is no emergency number and not in never_screen",
			"no internal: number +8695218812 is not internal",
			"no ours: list: number +8695218812 is not on allowlist",
			"no listed: list: number +8695218812 is not on blacklist or line:blacklist",
			"no on trial: caller: number +8695218812 does not match 9520????",
			"no 952 sales calls: line: called number +864008001234 is line hotline, not staff",
			`no loans: caller_name: name "x" does not match (?i)loan or 贷款`,
			"no forged: trunk: the call came from trunk phones, not telecom",
			"no withheld, after hours: caller_kind: number +8695218812 is service, not anonymous or invalid",
			"no fax: callee: called number +864008001234 does not match 05925550900-05925550909",
			"yes default: no rule matched number +8695218812",
		}},
		{Facts{Caller: "95218812", Callee: "05925550100", Trunk: "telecom", Time: workHour}, []string{
			"no never_screen: number +8695218812 is no emergency number and not in never_screen",
			"no internal: the call comes from outside",
			"no ours: list: number +8695218812 is not on allowlist",
			"no listed: list: number +8695218812 is not on blacklist or line:blacklist",
			"no on trial: caller: number +8695218812 does not match 9520????",
			"no 952 sales calls: caller_not: number +8695218812 is excepted by 952188??",
			"no loans: caller_name: the caller has no name",
			"no forged: attestation: the attestation is none, not failed",
			"no withheld, after hours: caller_kind: number +8695218812 is service, not anonymous or invalid",
			"no fax: callee: called number +865925550100 does not match 05925550900-05925550909",
			"yes default: no rule matched number +8695218812",
		}},
		{Facts{Caller: "95201234", Callee: "05925550100", Time: workHour}, []string{
			"no never_screen: number +8695201234 is no emergency number and not in never_screen",
			"no internal: the call comes from outside",
			"no ours: list: number +8695201234 is not on allowlist",
			"no listed: list: number +8695201234 is not on blacklist or line:blacklist",
			"yes on trial: number +8695201234 matches 9520????; on trial, so the next rules are tried",
			"yes 952 sales calls: line staff, number +8695201234 matches 9520????",
			"no loans: not tried, since 952 sales calls decided",
			"no forged: not tried, since 952 sales calls decided",
			"no withheld, after hours: not tried, since 952 sales calls decided",
			"no fax: not tried, since 952 sales calls decided",
		}},
		{Facts{Caller: "95338", Callee: "1000", Time: time.Date(2026, 10, 10, 2, 0, 0, 0, time.UTC)}, []string{
			"no never_screen: number +8695338 is no emergency number and not in never_screen",
			"no internal: the call comes from outside",
			"no ours: list: number +8695338 is not on allowlist",
			"no listed: list_not: number +8695338 is on list couriers (+8695338: SF)",
			"no on trial: caller: number +8695338 does not match 9520????",
			"no 952 sales calls: line: called number 1000 belongs to no line",
			"no loans: caller_name: the caller has no name",
			"no forged: trunk: the call came from no trunk that the policy knows, not telecom",
			"no withheld, after hours: caller_kind: number +8695338 is service, not anonymous or invalid",
			"no fax: callee: called number 1000 does not match 05925550900-05925550909",
			"yes default: no rule matched number +8695338",
		}},
		{Facts{Caller: "anonymous", Callee: "05925550199", Name: "loan", Time: time.Date(2026, 10, 10, 2, 0, 0, 0, time.UTC)}, []string{
			"no never_screen: withheld caller is no emergency number and not in never_screen",
			"no internal: the call comes from outside",
			"no ours: list: withheld caller is not on allowlist",
			"no listed: list: withheld caller is not on blacklist or line:blacklist",
			"no on trial: caller: withheld caller does not match 9520????",
			"no 952 sales calls: caller: withheld caller does not match 9521???? or 9520????",
			"no loans: callee_not: called number +865925550199 is excepted by +865925550199",
			"no forged: trunk: the call came from no trunk that the policy knows, not telecom",
			"no withheld, after hours: hours: Sat 10:00, worked like a Fri, is outside Mon-Fri 18:00-08:30, Sat-Sun or holidays",
			"no fax: callee: called number +865925550199 does not match 05925550900-05925550909",
			"yes default: no rule matched withheld caller",
		}},
		{Facts{Caller: "110", Trunk: "phones", Time: workHour}, []string{
			"no never_screen: number +86110 would pass, but only from trunk telecom, and it came from trunk phones",
			"no internal: number +86110 is not internal",
		}},
		{Facts{Caller: "110", Trunk: "telecom", Time: workHour}, []string{
			"yes never_screen: number +86110 matches +86110 in never_screen",
			"no ours: not tried, since never_screen decided",
		}},
		{Facts{Caller: "8001", Trunk: "phones", Time: workHour}, []string{
			"no never_screen: number 8001 is no emergency number and not in never_screen",
			"yes internal: number 8001 is internal",
			"no ours: not tried, since internal decided",
		}},
	} {
		c := p.Call(test.facts)
		_, steps := p.Explain(&c, lists)
		var got []string
		for _, s := range steps {
			got = append(got, map[bool]string{true: "yes ", false: "no "}[s.Matched]+s.Rule+": "+s.Why)
		}
		if diff := cmp.Diff(test.want, got[:min(len(got), len(test.want))]); diff != "" {
			t.Errorf("%+v\n%s", test.facts, diff)
		}
	}
}

func TestStepJSON(t *testing.T) {
	got, err := json.Marshal(Step{Rule: "a", Matched: true, Why: "b"})
	if err != nil || string(got) != `{"rule":"a","matched":true,"why":"b"}` {
		t.Errorf("%s, %v", got, err)
	}
}

// randomCalls makes calls from numbers and texts that the office policy knows something about.
func randomCalls(seed uint64, n int) []Facts {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	digits := func(lead string, n int) string {
		for range n {
			lead += string(rune('0' + r.IntN(10)))
		}
		return lead
	}
	calls := make([]Facts, n)
	for i := range calls {
		calls[i] = Facts{
			Caller: pick("", "anonymous", "110", "12110", "95338", "95588", "95211613", "13800138000", "05925554321", digits("9521", 4), digits("9520", 4),
				digits("8", 3), digits("13", 9), digits("+1", 10), digits("0592", 7), digits("9533", r.IntN(6)), "${x}", digits("", r.IntN(20))),
			Callee:      pick("05925550100", "05925550001", "05925550905", "4008001234", "8000", "1000", "", digits("05925550", 3)),
			Name:        pick("", "Li Wei", "Loan Office", "贷款"),
			Trunk:       pick("", "telecom", "phones", "unheard-of"),
			Withheld:    r.IntN(5) == 0,
			Inside:      r.IntN(10) == 0,
			Attestation: pick("", "none", "A", "failed"),
			Time:        time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(60*24*60)) * time.Minute),
		}
	}
	return calls
}

// TestExplainDecidesAlike holds that what is explained is what is decided, and that the steps fit it.
func TestExplainDecidesAlike(t *testing.T) {
	for _, head := range []string{"", "mode = \"observe\"\n", "default = \"reject\"\n"} {
		p := mustLoad(t, head+office)
		lists := officeLists(t, p)
		rules := make(map[string]int)
		for _, facts := range randomCalls(3, 5000) {
			c := p.Call(facts)
			d := p.Decide(&c, lists)
			e, steps := p.Explain(&c, lists)
			if d != e {
				t.Fatalf("%+v\ndecided   %+v\nexplained %+v", facts, d, e)
			}
			rules[d.Rule]++
			decider := ""
			for _, s := range steps {
				if s.Why == "" || strings.Contains(s.Why, "%!") {
					t.Fatalf("%+v: step %+v", facts, s)
				}
				if s.Matched {
					decider = s.Rule // the last that matched; rules on trial come before
				}
			}
			if decider != d.decider.name {
				t.Fatalf("%+v: decided by %s, the steps say %s", facts, d.decider.name, decider)
			}
			if reason := d.Reason(); reason == "" || number.InertUpTo(reason, maxReason) != reason {
				t.Fatalf("%+v: reason %q", facts, reason)
			} else if facts.Withheld && c.Caller.E164 != "" && strings.Contains(reason, c.Caller.E164) {
				t.Fatalf("%+v: reason %q gives the number away", facts, reason)
			}
			if p.Mode() == Observe && (d.Action != Allow || d.Announcement != "" || d.Label != "" || d.Whisper != "" || d.SIP != 0 || d.To != "") {
				t.Fatalf("%+v: %+v under observe", facts, d)
			}
		}
		if len(rules) < len(p.Rules()) {
			t.Errorf("the calls reached only %v", rules)
		}
	}
}

// TestDecideMatchesPlainly holds the index and the bits against the plain definition of matching.
func TestDecideMatchesPlainly(t *testing.T) {
	p := mustLoad(t, office)
	for _, facts := range randomCalls(7, 5000) {
		c := p.Call(facts)
		s := scan{p: p, c: &c}
		p.callers.find(&s.caller, &c.Caller)
		p.callees.find(&s.callee, &c.Callee)
		for i := range p.rules {
			for j := range p.rules[i].conditions {
				cond := &p.rules[i].conditions[j]
				switch cond.on {
				case onCaller:
					if s.caller.has(cond.bit) != matchesAny(cond.text, &c.Caller) {
						t.Fatalf("%+v: rule %s", facts, p.rules[i].name)
					}
				case onCallee:
					if s.callee.has(cond.bit) != matchesAny(cond.text, &c.Callee) {
						t.Fatalf("%+v: rule %s", facts, p.rules[i].name)
					}
				}
			}
		}
		for i := range p.lines {
			if s.callee.has(uint16(i)) != matchesAny(p.lines[i].numbers, &c.Callee) {
				t.Fatalf("%+v: line %s", facts, p.lines[i].name)
			}
		}
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	p := mustLoad(t, office)
	lists := officeLists(t, p)
	for _, facts := range randomCalls(5, 200) {
		facts.Name = "" // expressions take their room from a pool, which the race detector empties now and then
		c := p.Call(facts)
		if n := testing.AllocsPerRun(10, func() { p.Decide(&c, lists) }); n > 0 {
			t.Errorf("%+v: %v allocations", facts, n)
		}
	}
}

// TestManyPatterns is a caller whom more patterns match than there is room for.
func TestManyPatterns(t *testing.T) {
	var b strings.Builder
	b.WriteString("country = \"CN\"\n[[rule]]\nname = \"a\"\naction = \"reject\"\nwhen = { caller_not = [\"13900139999\"], caller = [")
	for i := range 100 {
		fmt.Fprintf(&b, "\"139001380%02d-139001391%02d\",", i, i)
	}
	b.WriteString("] }\n")
	p := mustLoad(t, b.String())
	c := p.Call(Facts{Caller: "13900139000"})
	if d := p.Decide(&c, nil); d.Rule != "a" || !strings.Contains(d.Reason(), "matches 139001380") {
		t.Errorf("%s: %s", d.Rule, d.Reason())
	}
}

// TestWarnings holds that a sound policy is warned of nothing.
func TestWarnings(t *testing.T) {
	_, faults := Load("office.toml", []byte(office))
	for _, f := range faults {
		t.Errorf("%s", f)
	}
}

func ruleNames(p *Policy) (names []string) {
	for _, r := range p.Rules() {
		names = append(names, r.Name)
	}
	return names
}

func TestNames(t *testing.T) {
	p := mustLoad(t, office)
	for name, got := range map[string][]string{
		"ours listed on trial 952 sales calls loans forged withheld, after hours fax": ruleNames(p),
		"staff boss hotline": p.Lines(),
		"allowlist blacklist staff:blacklist boss:blacklist hotline:blacklist couriers": p.Lists(),
		"known suspected-nuisance refused":                                              p.Announcements(),
	} {
		if strings.Join(got, " ") != name {
			t.Errorf("got %q, want %q", got, name)
		}
	}
	n := p.Plan().ParseInternal("05925550001")
	if p.Country() != "CN" || p.Mode() != Enforce || p.Zone().String() != "Asia/Shanghai" || p.LineOf(&n) != "boss" {
		t.Error(p.Country(), p.Mode(), p.Zone(), p.LineOf(&n))
	}
	for _, a := range ActionNames() {
		if got, ok := ParseAction(a); !ok || got.String() != a {
			t.Errorf("ParseAction(%q) = %s, %v", a, got, ok)
		}
	}
}

func TestChecks(t *testing.T) {
	p := mustLoad(t, office)
	lists := officeLists(t, p)
	delete(lists, "couriers")
	var got []string
	for _, f := range append(p.CheckLists(lists), p.CheckAnnouncements(func(name string) bool { return name != "refused" })...) {
		got = append(got, fmt.Sprint(f.Warning, " ", f))
	}
	want := []string{
		`true policy.toml:34: rule.when.list_not: list "couriers" does not exist yet and counts as empty: check its name, or add to it (ringfence list add couriers NUMBER)`,
		`true policy.toml:60: rule.announcement: there is no announcement "refused": record it, or write the name of one that is there`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestSpared holds who is not asked by a challenge: who passed one within `remember`, and who left one within `grace`
// without a wrong digit.
func TestSpared(t *testing.T) {
	p := mustLoad(t, `country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "ask"
when = { caller = ["9521????"] }
action = "challenge"
remember = "2d"
grace = "10m"
`)
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		caller        string
		passed, tried time.Time
		action        Action
		rule, reason  string
	}{
		"never asked":          {"95211613", time.Time{}, time.Time{}, Challenge, "ask", ""},
		"passed":               {"95211613", ago(time.Hour), time.Time{}, Allow, "ask", "; passed the challenge on 2026-03-04 at 19:00"},
		"passed long ago":      {"95211613", ago(48 * time.Hour), time.Time{}, Challenge, "ask", ""},
		"passed in the future": {"95211613", ago(-time.Hour), time.Time{}, Challenge, "ask", ""},
		"left":                 {"95211613", time.Time{}, ago(9 * time.Minute), Allow, RuleKnownGrace, "; rule ask asked at 19:51, no wrong digit was keyed, and the caller calls again"},
		"left too long ago":    {"95211613", time.Time{}, ago(10 * time.Minute), Challenge, "ask", ""},
		"passed, then left":    {"95211613", ago(time.Hour), ago(time.Minute), Allow, "ask", "passed"},
		"not asked anyway":     {"13800138000", ago(time.Hour), ago(time.Minute), Allow, RuleDefault, ""},
	} {
		call := p.Call(Facts{Caller: c.caller, Time: now})
		call.ChallengePassed, call.ChallengeTried = c.passed, c.tried
		d := p.Decide(&call, nil)
		if d.Action != c.action || d.Rule != c.rule || !strings.Contains(d.Reason(), c.reason) || c.reason == "" && strings.Contains(d.Reason(), "challenge") {
			t.Errorf("%s: %s by %s: %s", name, d.Action, d.Rule, d.Reason())
		}
		if asked := c.rule != RuleDefault; asked != (d.Would == Challenge) || (d.Action == Challenge) != (d.Digits == 3) {
			t.Errorf("%s: would %s, %d digits", name, d.Would, d.Digits)
		}
	}
}
