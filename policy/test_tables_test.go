package policy

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// long: because it is one table, of test tables and what comes of them
func TestRunTests(t *testing.T) {
	for _, mode := range []string{"enforce", "observe"} {
		p := mustLoad(t, "mode = \""+mode+"\"\n"+office+`
[[test]]
caller = "8695211234"
callee = "05925550100"
expect = "warn"
rule   = "952 sales calls"
[[test]]
caller = "95211613"
list_has = ["blacklist"]
expect = "reject"
[[test]]
caller = "95211613"
callee = "05925550001"
list_has = ["line:blacklist"]
expect = "reject"
rule   = "listed"
[[test]]
caller = "95211613"
callee = "4008001234"
list_has = ["staff:blacklist"]
expect = "allow"
rule   = "default"
[[test]]
caller = "anonymous"
at     = 2026-01-07T20:00:00
expect = "divert"
[[test]]
caller = "anonymous"
at     = 2026-01-07T20:00:00Z
expect = "divert"
[[test]]
caller = "anonymous"
at     = "2026-01-07 20:00"
expect = "divert"
[[test]]
caller = "anonymous"
expect = "allow"
[[test]]
caller = "8001"
trunk  = "phones"
expect = "allow"
rule   = "internal"
[[test]]
caller = "13900139000"
name   = "loan office"
expect = "tag"
[[test]]
caller = "95201234"
expect = "challenge"
rule   = "on trial"
[[test]]
caller = "95201234"
expect = "allow"
rule   = "default"
[[test]]
caller = "95201234"
expect = "allow"

[[test]]
caller = "95588"
expect = "reject"
[[test]]
caller = "95211234"
callee = "05925550100"
expect = "warn"
rule   = "listed"
`)
		var got []string
		for _, r := range p.RunTests() {
			got = append(got, fmt.Sprint(r.Passed, " ", r))
		}
		want := []string{
			`true caller "8695211234": warn by rule "952 sales calls"`,
			`true caller "95211613": reject`,
			`true caller "95211613": reject by rule "listed"`,
			`true caller "95211613": allow by rule "default"`,
			`true caller "anonymous": divert`,
			`true caller "anonymous": divert`,
			`true caller "anonymous": divert`,
			`true caller "anonymous": allow`,
			`true caller "8001": allow by rule "internal"`,
			`true caller "13900139000": tag`,
			`true caller "95201234": challenge by rule "on trial"`,
			`true caller "95201234": allow by rule "default"`,
			`true caller "95201234": allow`,
			`false caller "95588": expected reject, got allow by rule "default": no rule matched number +8695588`,
			`false caller "95211234": expected warn by rule "listed", got warn by rule "952 sales calls": line staff, number +8695211234 matches 9521????`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mode %s:\n%s", mode, diff)
		}
	}
}
