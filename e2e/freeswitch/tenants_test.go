package freeswitch_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

const tenantRules = `
country = "CN"
[numbers]
internal = ["1??"]
[trunks.carrier]
match = ["profile:external"]
[[rule]]
name = "people we deal with"
when = { known_caller = "30d" }
action = "allow"
[[rule]]
name = "not for these"
when = { line = ["profile:strict"], caller = ["138*"] }
action = "reject"
`

// inDomain is a domain of the directory with a phone 101, and the extension by which calls to its number ring there.
const inDomain = `<include>
<domain name="%s"><groups><group name="default"><users>
  <user id="101"><params><param name="dial-string" value="sofia/external/101@%s"/></params></user>
</users></group></groups></domain>
</include>
`

const toDomain = `<include>
<extension name="%s"><condition field="destination_number" expression="^%s$">
  <action application="bridge" data="user/101@%s"/>
</condition></extension>
</include>
`

// Two domains of one switch, each with a phone 101 and a line of its own.
//
// long: because calls and codes follow each other
func TestTenantsReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; phones of two realms were those of a test's own switch only")
	}
	events := setup.FreePort(t)
	d, file := setup.StartDaemonWith(t, tenantRules, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword))
	setup.WriteTones(t, filepath.Dir(file))
	handset, caller := phone.New(t), phone.New(t)
	numbers := map[string]string{"a.example": "05925550201", "b.example": "05925550202"}
	server := setup.StartFreeSWITCHWith(t, program, d.Address(), handset.Addr, events, true, func(conf string) error {
		if err := os.MkdirAll(filepath.Join(conf, "directory"), 0o755); err != nil {
			return err
		}
		for domain, number := range numbers {
			for name, text := range map[string]string{
				"directory/" + domain + ".xml":            fmt.Sprintf(inDomain, domain, handset.Addr),
				"dialplan/public/00_a_" + domain + ".xml": fmt.Sprintf(toDomain, domain, number, domain),
			} {
				if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o644); err != nil {
					return err
				}
			}
		}
		return nil
	})
	setup.WaitAttached(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	profile := "strict"
	for domain, number := range numbers {
		if _, err := d.Desk().AddLines(ctx, []console.LineSet{{Name: strings.TrimSuffix(domain, ".example"), Numbers: &[]string{number}, Customer: &domain, Profile: &profile}}); err != nil {
			t.Fatal(err)
		}
	}
	sw := setup.DialSwitch(t, events)
	// dial has 101 of a domain dial something, writing a number for its own, and press a key a second later.
	dial := func(domain, writes, to, key string) {
		t.Helper()
		answer, err := sw.API(ctx, fmt.Sprintf("originate {sip_authorized=true,sip_auth_username=101,sip_auth_realm=%s,domain_name=%[1]s,origination_caller_id_number=%s}loopback/%s/default/XML &park", domain, writes, to))
		if to[0] != '*' {
			return // the dialplan has told of it, whatever became of it
		}
		if err != nil {
			t.Fatalf("%s %v", answer, err)
		}
		uuid := strings.TrimSpace(strings.TrimPrefix(answer, "+OK "))
		<-time.After(time.Second)
		sw.API(ctx, "uuid_send_dtmf "+uuid+" "+key)
		for {
			answer, err := sw.API(ctx, "uuid_exists "+uuid)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(answer) == "false" {
				return
			}
			select {
			case <-ctx.Done():
				t.Fatal("the call does not end")
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	rings := func(from, domain string) string {
		t.Helper()
		h, err := caller.Dial(ctx, server, from, "", numbers[domain])
		if err != nil {
			t.Fatalf("%+v %v", h, err)
		}
		return h.Final
	}
	until := func(domain string) {
		t.Helper()
		for {
			if _, ok := d.Screener().LastCallAt("101", domain); ok {
				return
			}
			select {
			case <-ctx.Done():
				t.Fatal("the last call is not known")
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	reports := func() (of []string) {
		if err := d.Desk().Reports(ctx, console.ReportsQuery{}, func(r console.Report) error { of = append(of, r.Customer+" "+r.Caller.E164); return nil }); err != nil {
			t.Fatal(err)
		}
		return of
	}
	if final := rings("95551234", "a.example"); final != "200 OK" {
		t.Fatal(final)
	}
	until("a.example")
	dial("b.example", "101", "*57", "1")
	dial("b.example", numbers["a.example"], "*57", "1")
	if of := reports(); len(of) != 0 {
		t.Errorf("101 of the other domain reported %v", of)
	}
	if final := rings("95557777", "b.example"); final != "200 OK" {
		t.Fatal(final)
	}
	until("b.example")
	dial("a.example", "101", "*57", "1")
	if of := reports(); len(of) != 1 || of[0] != "a.example +8695551234" {
		t.Errorf("101 of a.example reported %v", of)
	}

	// What one dials is known to its own line alone, whatever number it writes.
	dial("b.example", numbers["a.example"], "13800138000", "1")
	if a, b := rings("13800138000", "a.example"), rings("13800138000", "b.example"); !strings.HasPrefix(a, "603") || b != "200 OK" {
		t.Errorf("whom 101 of b.example called: %s at a.example, %s at b.example", a, b)
	}
}
