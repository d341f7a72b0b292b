package asterisk_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/asterisk"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

const starPolicy = `
country  = "CN"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550100-05925550199", "8001"]
[trunks.carrier]
match = ["endpoint:telecom"]
[[rule]]
name = "ours"
when = { list = ["line:allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
`

// The star codes on a real Asterisk: a phone reports who called it, and lets through who was stopped on their way to its line.
//
// long: because calls and codes follow each other at one phone
func TestStarCodeAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	handset, caller, dialler := phone.New(t), phone.New(t), phone.New(t)
	agi, port := setup.FreeAddress(t), setup.FreePort(t)
	a := setup.StartAsteriskWith(t, asterisk.Setup{
		AGI: agi, Handset: handset.Addr, PJSIP: asteriskPhones, Dialplan: asterisk.Dialplan + asteriskOutside + "include => ringfence-phones\n",
		Files: map[string]string{"manager.conf": fmt.Sprintf(asteriskManager, port)},
	})
	d, file := setup.StartDaemonWith(t, starPolicy, fmt.Sprintf("[agi]\nlisten = %q\n[[attach]]\nkind = \"asterisk\"\naddress = \"127.0.0.1:%d\"\nuser = \"ringfence\"\npassword = \"measure-me\"\n", agi, port))
	setup.WriteTones(t, filepath.Dir(file))
	setup.WaitAttached(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	star := func(code, key string) {
		t.Helper()
		dialler.Hold = 30 * time.Second
		var first time.Time
		dialler.Keys = func(string) string {
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) < time.Second { // a person listens first
				return ""
			}
			return key
		}
		if h, err := dialler.Dial(ctx, a.Address, "8001", "", code, "X-Phone: 8001"); err != nil || h.Final != "200 OK" || h.Torn == 0 {
			t.Fatalf("%s: %+v %v", code, h, err)
		}
	}
	call := func(to string) string {
		t.Helper()
		h, err := caller.Dial(ctx, a.Address, "95551234", "", to)
		if err != nil {
			t.Fatalf("%+v %v", h, err)
		}
		return h.Final
	}
	reports := func() (all []console.Report) {
		if err := d.Desk().Reports(ctx, console.ReportsQuery{}, func(r console.Report) error { all = append(all, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	star("*57", "1")
	if all := reports(); len(all) != 0 {
		t.Errorf("reported before anyone called: %+v", all)
	}
	if final := call("8001"); final != "200 OK" {
		t.Fatal(final)
	}
	for {
		if _, ok := d.Screener().LastCallAt("8001", ""); ok {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal("the last call is not known")
		case <-time.After(20 * time.Millisecond):
		}
	}
	star("*57", "2")
	if all := reports(); len(all) != 0 {
		t.Errorf("reported by another key: %+v", all)
	}
	star("*57", "1")
	all := reports()
	if len(all) != 1 || all[0].Caller.E164 != "+8695551234" || all[0].Extension != "8001" || all[0].Customer != "staff" {
		t.Fatalf("%+v", all)
	}
	if _, err := d.Desk().ConfirmReport(ctx, all[0].ID, false); err != nil {
		t.Fatal(err)
	}
	if final := call("05925550100"); !strings.HasPrefix(final, "603") {
		t.Fatal(final)
	}
	star("*58", "1")
	if final := call("05925550100"); final != "200 OK" {
		t.Errorf("after he was let through: %s", final)
	}
	n := 0
	if err := d.Desk().Entries(ctx, "staff:allowlist", func(console.ListEntry) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d callers let through, %v", n, err)
	}
	a.MustBeIdle()
}
