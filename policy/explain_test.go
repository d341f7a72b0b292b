package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// long: because it is one table, of calls and every step of their explanation
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
