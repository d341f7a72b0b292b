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

// customersPolicy names profiles, and no customer. What customers have the same caller do is each one's own choice.
const customersPolicy = `
country  = "CN"
[numbers]
internal = ["1??"]
[trunks.carrier]
match = ["endpoint:telecom"]
[[rule]]
name = "ours"
when = { list = ["line:allowlist"] }
action = "allow"
[[rule]]
name = "theirs"
when = { list = ["line:blacklist"] }
action = "reject"
[[rule]]
name = "people we deal with"
when = { known_caller = "30d" }
action = "allow"
[[rule]]
name = "not for these"
when = { line = ["profile:strict"], caller = ["9555*", "138*"] }
action = "reject"
[[rule]]
name = "shown to these"
when = { line = ["profile:label"], caller = ["9555*", "138*"] }
action = "tag"
label = "外呼"
`

// customer is a tenant of the one Asterisk. Each has a phone 101, of which nothing but the endpoint and the context tells whose it is.
type customer struct {
	name, endpoint, number, profile string
	handset                         *phone.Phone
}

// customersPBX is an Asterisk of three customers with the subroutine that we ship, and the star codes in the context of each.
func customersPBX(customers []*customer) (pjsip, dialplan string) {
	pjsip = "[global]\ntype=global\nendpoint_identifier_order=header,ip\n"
	var in, phones strings.Builder
	in.WriteString("[general]\nautofallthrough=yes\n[from-telecom]\n")
	for _, c := range customers {
		pjsip += fmt.Sprintf("[%s]\n%scontext=%s\n[%[1]s]\ntype=identify\nendpoint=%[1]s\nmatch_header=X-Phone: %[1]s\n", c.endpoint, asterisk.Endpoint, c.name)
		fmt.Fprintf(&in, "exten => %s,1,Gosub(ringfence,s,1)\n same => n,Dial(PJSIP/%s/sip:101@%s,30)\n", c.number, c.endpoint, c.handset.Addr)
		fmt.Fprintf(&phones, "[%s]\ninclude => ringfence-phones\nexten => _X.,1,Dial(PJSIP/telecom/sip:${EXTEN}@HANDSET,30)\n", c.name)
	}
	return pjsip, in.String() + phones.String() + "#include extensions_ringfence.conf\n"
}

// Three customers with three profiles on the real Asterisk: the same caller rings, rings labelled, and is refused. The star codes of one, and whom
// its phone calls, change nothing for the others.
//
// long: because calls and codes follow each other
func TestCustomersAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	acme := &customer{name: "acme", endpoint: "101-acme", number: "05925550201"}
	globex := &customer{name: "globex", endpoint: "101-globex", number: "05925550202", profile: "label"}
	initech := &customer{name: "initech", endpoint: "initech-101", number: "05925550203", profile: "strict"}
	customers := []*customer{acme, globex, initech}
	for _, c := range customers {
		c.handset = phone.New(t)
	}
	outside, caller, dialler := phone.New(t), phone.New(t), phone.New(t)
	agi, port := setup.FreeAddress(t), setup.FreePort(t)
	pjsip, dialplan := customersPBX(customers)
	a := setup.StartAsteriskWith(t, asterisk.Setup{
		AGI: agi, Handset: outside.Addr, PJSIP: pjsip, Dialplan: dialplan, Files: map[string]string{"manager.conf": fmt.Sprintf(asteriskManager, port)},
	})
	d, file := setup.StartDaemonWith(t, customersPolicy, fmt.Sprintf("[agi]\nlisten = %q\n[[attach]]\nkind = \"asterisk\"\naddress = \"127.0.0.1:%d\"\nuser = \"ringfence\"\npassword = \"measure-me\"\n", agi, port))
	setup.WriteTones(t, filepath.Dir(file))
	setup.WaitAttached(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, c := range customers {
		if _, err := d.Desk().AddLines(ctx, []console.LineSet{{Name: c.name + "-main", Numbers: &[]string{c.number}, Customer: &c.name, Profile: &c.profile}}); err != nil {
			t.Fatal(err)
		}
	}

	// meets is what a caller meets on their way to each customer.
	meets := func(from string) (all string) {
		t.Helper()
		for _, c := range customers {
			c.handset.Again("101")
			h, err := caller.Dial(ctx, a.Address, from, "", c.number)
			if err != nil {
				t.Fatalf("%s to %s: %+v %v", from, c.name, h, err)
			}
			what := h.Final
			if i, rang := c.handset.Invited("101"); rang {
				what = "rings"
				if strings.Contains(i.From, "外呼") {
					what = "rings labelled"
				}
			}
			all += c.name + " " + what + ", "
		}
		return strings.TrimSuffix(all, ", ")
	}
	// star dials a code at a customer's phone and presses 1 at the question.
	star := func(c *customer, code string) {
		t.Helper()
		dialler.Hold = 30 * time.Second
		var first time.Time
		dialler.Keys = func(string) string {
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) < time.Second {
				return ""
			}
			return "1"
		}
		if h, err := dialler.Dial(ctx, a.Address, "101", "", code, "X-Phone: "+c.endpoint); err != nil || h.Final != "200 OK" || h.Torn == 0 {
			t.Fatalf("%s of %s: %+v %v", code, c.name, h, err)
		}
		dialler.Hold, dialler.Keys = 0, nil
	}
	reports := func() (of []string) {
		if err := d.Desk().Reports(ctx, console.ReportsQuery{}, func(r console.Report) error { of = append(of, r.Customer+" "+r.Caller.E164); return nil }); err != nil {
			t.Fatal(err)
		}
		return of
	}
	const nuisance, was = "95551234", "acme rings, globex rings labelled, initech 603 Decline"
	if got := meets(nuisance); got != was {
		t.Fatalf("the same caller: %s, want %s", got, was)
	}
	for _, c := range []*customer{acme, globex} { // the last call is known once it is over there
		for {
			if _, ok := d.Screener().LastCallAt(c.endpoint, "(endpoint)"); ok {
				break
			}
			select {
			case <-ctx.Done():
				t.Fatal("the last call is not known")
			case <-time.After(20 * time.Millisecond):
			}
		}
	}

	star(initech, "*57") // nothing rang there
	if of := reports(); len(of) != 0 {
		t.Fatalf("initech reported what rang elsewhere: %v", of)
	}
	star(acme, "*57")
	if of := reports(); len(of) != 1 || of[0] != "acme +8695551234" {
		t.Fatalf("after acme's report: %v", of)
	}
	star(acme, "*58") // nobody was stopped on their way there, nor to globex
	star(globex, "*58")
	if got := meets(nuisance); got != was {
		t.Errorf("after *57 of acme and *58 of acme and globex: %s, want %s", got, was)
	}
	star(initech, "*58")
	if got, want := meets(nuisance), "acme rings, globex rings labelled, initech rings"; got != want {
		t.Errorf("after *58 of initech: %s, want %s", got, want)
	}
	for _, name := range []string{"acme-main:allowlist", "globex-main:allowlist"} {
		d.Desk().Entries(ctx, name, func(e console.ListEntry) error { t.Errorf("%s has %+v", name, e); return nil })
	}
	star(globex, "*57")
	if of := reports(); len(of) != 2 {
		t.Errorf("after globex's report: %v", of)
	}

	// Whom globex calls is no acquaintance of initech's, whatever number its phone writes.
	const friend = "13800138000"
	dialler.Hold = 10500 * time.Millisecond
	if h, err := dialler.Dial(ctx, a.Address, initech.number, "", friend, "X-Phone: "+globex.endpoint); err != nil || h.Final != "200 OK" {
		t.Fatalf("%+v %v", h, err)
	}
	want := "acme rings, globex rings, initech 603 Decline"
	for end := time.Now().Add(10 * time.Second); ; <-time.After(50 * time.Millisecond) {
		got := meets(friend)
		if got == want {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after globex has called him: %s, want %s", got, want)
		}
	}
	a.MustBeIdle()
}
