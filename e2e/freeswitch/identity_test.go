package freeswitch_test

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

// A call that does not come by SIP is refused all the same: `respond` does nothing there.
func TestLoopbackReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; a channel of mod_loopback was refused on the simulated switch only")
	}
	for mode, async := range map[string]bool{"async": true, "sync": false} {
		t.Run(mode, func(t *testing.T) {
			d := setup.StartDaemon(t)
			handset, events := phone.New(t), setup.FreePort(t)
			setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, events, async)
			sw := setup.DialSwitch(t, events)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			const to = "05925550100"
			answer, err := sw.API(ctx, "originate {origination_caller_id_number=95211613,originate_timeout=10}loopback/"+to+"/public/XML &hangup")
			if err == nil {
				t.Errorf("the call was connected: %s", answer)
			}
			if _, rang := handset.Invited(to); rang {
				t.Error("the call rang")
			}
			if total, by, _ := setup.RecordsOf(t, d, 1); total != 1 || by["reject by listed"] != 1 {
				t.Errorf("%d records: %v", total, by)
			}
		})
	}
}

// Who calls, by what FreeSWITCH really delivers: a wish stands above what the carrier asserts, and a display name may
// look like an address.
func TestIdentityReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; identities were read from recorded data only")
	}
	const trusting = `
country = "CN"
[trunks.carrier]
match = ["profile:external"]
identity = ["pai", "rpid", "from"]
[[rule]]
name = "all"
action = "reject"
`
	d, _ := setup.StartDaemonWith(t, trusting)
	server := setup.StartFreeSWITCH(t, program, d.Address(), phone.New(t).Addr, setup.FreePort(t), true)
	caller := phone.New(t)
	for i, c := range []struct {
		from  string
		extra []string
		want  string
	}{
		{"95211613", []string{"P-Asserted-Identity: <sip:13800138000@carrier>", "P-Preferred-Identity: <sip:110@x>"}, "+8613800138000"},
		{"95211613", []string{"P-Asserted-Identity: <tel:+8613800138000>", "P-Preferred-Identity: \"Police\" <sip:110@x>"}, ""}, // the switch reads no tel: there
		{"95211613", []string{"P-Preferred-Identity: <sip:110@x>"}, "+8695211613"},
		{"95211613", []string{`Remote-Party-ID: "x<sip:110@evil>" <sip:13800138001@carrier>;party=calling`}, "+8613800138001"},
		{"95211613", []string{`Remote-Party-ID: "x<sip:110@evil>" <sip:13800138001@carrier>;party=calling`, "P-Preferred-Identity: <sip:119@x>"}, "+8613800138001"},
		{"95211613", []string{`Remote-Party-ID: "a%22 <sip:110@evil> %22" <sip:13800138001@carrier>;party=calling`, "P-Preferred-Identity: <sip:119@x>"}, ""},
		{"95211613", []string{`P-Asserted-Identity: "x" <sip:95211614%3Csip:110@evil%3E@carrier>`, "P-Preferred-Identity: <sip:119@x>"}, ""},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		to := fmt.Sprintf("0592555%04d", i)
		if _, err := caller.Dial(ctx, server, c.from, "", to, c.extra...); err != nil {
			t.Errorf("%q: %v", c.extra, err)
		}
		cancel()
		_, _, all := setup.RecordsOf(t, d, i+1)
		var r console.Record
		for _, x := range all {
			if x.Callee == to {
				r = x
			}
		}
		if c.want != "" && r.Caller.E164 != c.want || r.Caller.Kind == "emergency" || r.Rule != "all" {
			t.Errorf("%q: %+v", c.extra, r)
		}
	}
}
