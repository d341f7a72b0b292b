package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/standin"
)

// claimRules take calls by what they say of themselves besides their caller's number.
const claimRules = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[trunks.telecom]
match    = ["profile:external", "endpoint:telecom"]
identity = ["pai", "from"]
[[rule]]
name   = "probe"
when   = { callee = ["1*"] }
action = "reject"
[[rule]]
name   = "two numbers"
when   = { identity_differs = true }
action = "reject"
[[rule]]
name   = "forwarded"
when   = { diverted = true }
action = "reject"
[[rule]]
name   = "named"
when   = { caller_text = ["Firm*"] }
action = "reject"
[[rule]]
name   = "again"
when   = { again = "10m" }
action = "reject"
[[rule]]
name   = "with plus"
when   = { written = ["plus"] }
action = "reject"
[[rule]]
name   = "with 00"
when   = { written = ["international"] }
action = "reject"
[[rule]]
name   = "as here"
when   = { written = ["national"] }
action = "reject"
[[rule]]
name   = "else"
action = "reject"
`

// claimedCall is a call and the rule that must take it.
type claimedCall struct {
	from    string
	pai     string
	headers []standin.Header
	rule    string
	by      string // who forwarded it, in the journal
}

// The headers stand as real calls had them. Each call is of another caller but the last two.
var claimedCalls = []claimedCall{
	{from: "13800138001", rule: "as here"},
	{from: "+8613800138002", rule: "with plus"},
	{from: "008613800138003", rule: "with 00"},
	{from: "8613800138004", rule: "with 00"},
	{from: "firm%20alpha", rule: "named"},
	{from: "alpha", rule: "else"},
	{from: "13800138005", pai: "+8613912345605", rule: "two numbers"},
	{from: "13800138006", pai: "+8613800138006", rule: "with plus"},
	{from: "anonymous", pai: "+8613912345607", rule: "with plus"},
	{from: "13800138008", headers: []standin.Header{{Name: "Diversion", Value: "<sip:05925550177@127.0.0.1>;reason=unconditional;counter=1"}}, rule: "forwarded", by: "05925550177"},
	{from: "13800138009", headers: []standin.Header{{Name: "History-Info", Value: "<sip:05925550177@127.0.0.1>;index=1"}}, rule: "as here"},
	{
		from: "13800138010", rule: "forwarded", by: "05925550177",
		headers: []standin.Header{{Name: "History-Info", Value: "<sip:05925550177@127.0.0.1?Reason=SIP%3Bcause%3D302>;index=1, <sip:05925550100@127.0.0.1>;index=1.1"}},
	},
	{
		from: "13800138011", rule: "forwarded", by: "05925550177",
		headers: []standin.Header{{Name: "History-Info", Value: "<sip:05925550177@127.0.0.1>;index=1"}, {Name: "History-Info", Value: "<sip:05925550100@127.0.0.1;cause=486>;index=1.1"}},
	},
	{from: "13800138012", headers: []standin.Header{{Name: "Diversion", Value: "<sip:127.0.0.1>;reason=unknown"}}, rule: "forwarded", by: "unknown"},
	{from: "13800138013", headers: []standin.Header{{Name: "Diversion", Value: "<sip:+8610777@127.0.0.1>;x=" + strings.Repeat("y", 5000)}}, rule: "forwarded"},
	{from: "13800138014", headers: longHistory, rule: "forwarded", by: "05925550177"},
	{from: "13800138001", rule: "again"},
	{from: "+8613800138001", rule: "again"},
}

// longHistory is more than Asterisk gives at once.
var longHistory = []standin.Header{
	{Name: "History-Info", Value: "<sip:05925550177@127.0.0.1;cause=302>;index=1;x=" + strings.Repeat("y", 3000)},
	{Name: "History-Info", Value: "<sip:05925550178@127.0.0.1>;index=1.1;x=" + strings.Repeat("y", 3000)},
	{Name: "History-Info", Value: "<sip:05925550179@127.0.0.1>;index=1.2;x=" + strings.Repeat("y", 3000)},
}

// checkClaims places the calls, each to a number of its own, and asks the journal.
func checkClaims(t *testing.T, d *daemon.Daemon, place func(ctx context.Context, c claimedCall, to string) error) {
	t.Helper()
	for i, c := range claimedCalls {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		to := fmt.Sprintf("05925550%03d", 200+i)
		if err := place(ctx, c, to); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
		cancel()
		_, _, all := setup.RecordsOf(t, d, i+1)
		var r console.Record
		for _, x := range all {
			if x.Callee == to {
				r = x
			}
		}
		if r.Rule != c.rule || c.by != "" && r.Caller.Diverted != c.by {
			t.Errorf("call %d from %s: by %s, forwarded by %q: %s", i, c.from, r.Rule, r.Caller.Diverted, r.Reason)
		}
	}
}

func TestClaimsSimulated(t *testing.T) {
	d, _ := setup.StartDaemonWith(t, claimRules)
	checkClaims(t, d, func(ctx context.Context, c claimedCall, to string) error {
		sw := &standin.Switch{Address: d.Address(), Speed: 100}
		_, err := sw.Place(ctx, standin.Call{From: c.from, PAI: c.pai, SIP: c.headers, Profile: "external", To: to, Async: true, Resume: true})
		return err
	})
}

// dialled places the calls from a telephone.
func dialled(server string, caller *phone.Phone) func(ctx context.Context, c claimedCall, to string) error {
	return func(ctx context.Context, c claimedCall, to string) error {
		var extra []string
		if c.pai != "" {
			extra = append(extra, "P-Asserted-Identity: <sip:"+c.pai+"@carrier.example>")
		}
		for _, h := range c.headers {
			extra = append(extra, h.Name+": "+h.Value)
		}
		_, err := caller.Dial(ctx, server, c.from, "", to, extra...)
		return err
	}
}

func TestClaimsReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the same calls ran through the simulated switch only")
	}
	d, _ := setup.StartDaemonWith(t, claimRules)
	server := setup.StartFreeSWITCH(t, program, d.Address(), phone.New(t).Addr, setup.FreePort(t), true)
	checkClaims(t, d, dialled(server, phone.New(t)))
}

func TestClaimsAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	d, _ := setup.StartDaemonWith(t, claimRules, "[agi]\nlisten = \"127.0.0.1:0\"")
	a := setup.StartAsterisk(t, d.AsteriskAddress(), phone.New(t).Addr)
	checkClaims(t, d, dialled(a.Address, phone.New(t)))
	a.MustBeIdle()
}
