package freeswitch_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

// The star code on a real switch: a phone that a nuisance called dials *57, hears the question, presses 1, and the
// report waits for review. Before, and for a phone that nobody called, nothing is reported. With *58 it lets through who was stopped.
//
// long: because calls and codes follow each other at one phone
func TestStarCodeReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the star code's question was asked by a test's own switch only")
	}
	events := setup.FreePort(t)
	policy := strings.Replace(setup.Policy, "[[rule]]\nname = \"listed\"", "[[rule]]\nname = \"ours\"\nwhen = { list = [\"line:allowlist\"] }\naction = \"allow\"\n[[rule]]\nname = \"listed\"", 1)
	d, file := setup.StartDaemonWith(t, policy, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword))
	setup.WriteTones(t, filepath.Dir(file))
	handset, caller := phone.New(t), phone.New(t)
	server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, events, true)
	setup.WaitAttached(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	sw := setup.DialSwitch(t, events)
	dialCode := func(code, extension, keys string) {
		t.Helper()
		answer, err := sw.API(ctx, fmt.Sprintf("originate {sip_authorized=true,sip_auth_username=%s,origination_caller_id_number=%[1]s}loopback/%[2]s/default/XML &park", extension, code))
		if err != nil {
			t.Fatalf("%s %v", answer, err)
		}
		uuid := strings.TrimSpace(strings.TrimPrefix(answer, "+OK "))
		if keys != "" {
			<-time.After(time.Second) // a person listens first; the switch forgets keys from before the question
			if answer, err := sw.API(ctx, "uuid_send_dtmf "+uuid+" "+keys); err != nil {
				t.Fatalf("%s %v", answer, err)
			}
		}
		for { // the dialplan ends the call when it has it back
			answer, err := sw.API(ctx, "uuid_exists "+uuid)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(answer) == "false" {
				return
			}
			select {
			case <-ctx.Done():
				t.Fatal("the star code's call does not end")
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	dial := func(extension, keys string) { t.Helper(); dialCode("*57", extension, keys) }
	reports := func() (all []console.Report) {
		t.Helper()
		if err := d.Desk().Reports(ctx, console.ReportsQuery{}, func(r console.Report) error { all = append(all, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}

	dial("05925550100", "1")
	if all := reports(); len(all) != 0 {
		t.Errorf("reported before anyone called: %+v", all)
	}
	if h, err := caller.Dial(ctx, server, "95551234", "", "05925550100"); err != nil || !strings.HasPrefix(h.Final, "200") {
		t.Fatalf("%+v %v", h, err)
	}
	for {
		if _, ok := d.Screener().LastCallAt("05925550100", ""); ok {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal("the last call is not known")
		case <-time.After(20 * time.Millisecond):
		}
	}
	dial("05925550100", "2")
	dial("05925550101", "1")
	if all := reports(); len(all) != 0 {
		t.Errorf("reported by another key or another phone: %+v", all)
	}
	dial("05925550100", "1")
	all := reports()
	if len(all) != 1 || all[0].Caller.E164 != "+8695551234" || all[0].Extension != "05925550100" || all[0].State != "open" {
		t.Errorf("%+v", all)
	}

	// The other way: who was refused is let through to the line of the phone that asks for it.
	if _, err := d.Desk().AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "95551234"}}, false); err != nil {
		t.Fatal(err)
	}
	if h, err := caller.Dial(ctx, server, "95551234", "", "05925550100"); err != nil || !strings.HasPrefix(h.Final, "603") {
		t.Fatalf("%+v %v", h, err)
	}
	released := func() (n int) {
		d.Desk().Entries(ctx, "staff:allowlist", func(console.ListEntry) error { n++; return nil })
		return n
	}
	dialCode("*58", "05925550100", "2")
	if n := released(); n != 0 {
		t.Errorf("%d callers let through by another key", n)
	}
	dialCode("*58", "05925550100", "1")
	if n := released(); n != 1 {
		t.Errorf("%d callers let through", n)
	}
	if h, err := caller.Dial(ctx, server, "95551234", "", "05925550101"); err != nil || !strings.HasPrefix(h.Final, "200") {
		t.Errorf("%+v %v", h, err)
	}
}
