package daemon

import (
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/console"
	"ringfence/policy"
)

// tenantPolicy lets through whom a line deals with, and whom a line's own list has, and refuses all others.
var tenantPolicy = strings.NewReplacer(
	"[lines.hotline]\nnumbers = [\"4008001234\"]\n", "",
	"[[rule]]\nname = \"known here\"", "[[rule]]\nname = \"ours\"\nwhen = { list = [\"line:allowlist\"] }\naction = \"allow\"\n[[rule]]\nname = \"known here\"",
	"name = \"strangers\"\naction = \"tag\"\nlabel = \"stranger\"", "name = \"strangers\"\naction = \"reject\"",
).Replace(dealing)

const friend = "13800138000"

// phoned is the end of a call of a phone of FreeSWITCH to somebody outside, as its own leg tells it.
func phoned(user, realm string, change func(e *attach.CallEnd)) attach.CallEnd {
	e := attach.CallEnd{
		UUID: "p", OtherUUID: "t", Inbound: true, Context: realm, Profile: "internal", AuthUser: user, AuthRealm: realm, Domain: realm, Caller: user, FromUser: user,
		Callee: friend, OtherCallee: friend, Answered: true, Bridged: true, Talk: time.Minute,
	}
	if change != nil {
		change(&e)
	}
	return e
}

// seen shows a phone of each realm to a daemon, by calls that rang there.
func seen(d *house, realms ...string) {
	for _, realm := range realms {
		screen(d, "seen "+realm, "02087654321", "05925550150", false)
		d.Ended(attach.CallEnd{UUID: "leg " + realm, OtherUUID: "seen " + realm, Callee: "8009", DialledUser: "8009", DialledRealm: realm, Ring: time.Second})
	}
}

// Which of the numbers that a phone has, shows or writes are believed, where there is one tenant and where there are two.
func TestNumbersOfPhones(t *testing.T) {
	trunk := func(e *attach.CallEnd) { // the leg to the trunk of the same call, which does not say whose phone it is for
		e.Inbound, e.AuthUser, e.AuthRealm, e.Domain, e.OtherCaller, e.OtherCallee = false, "", "", "", e.Caller, e.Callee
		e.UUID, e.OtherUUID, e.FromCaller = e.OtherUUID, e.UUID, true
	}
	for _, test := range []struct {
		name     string
		change   func(e *attach.CallEnd)
		one, two bool // whether the line learns
	}{
		{"the dialplan shows another number than the phone's", func(e *attach.CallEnd) { e.OtherCaller = staff }, true, true},
		{"the phone writes the number, which is passed on", func(e *attach.CallEnd) { e.Caller, e.FromUser, e.OtherCaller = staff, staff, staff }, true, false},
		{"in another spelling", func(e *attach.CallEnd) {
			e.Caller, e.FromUser, e.OtherCaller = "+86592"+staff[4:], "+86592"+staff[4:], staff
		}, true, false},
		{"in another header", func(e *attach.CallEnd) {
			e.Caller, e.IDSource, e.Asserted, e.OtherCaller = staff, "pid", "<sip:"+staff+"@x>", staff
		}, true, false},
		{"nothing is shown but the extension", nil, true, false},
		{"the number is the account's, and nothing is shown", func(e *attach.CallEnd) { e.AuthUser = staff }, true, true},
		{"the dialplan names the line", func(e *attach.CallEnd) { e.Line = staff }, true, true},
		{"the dialplan names the extension", func(e *attach.CallEnd) { e.Line = "8001" }, true, false},
		{"the directory has the account show it", func(e *attach.CallEnd) { e.Caller, e.FromUser, e.OtherCaller, e.Outbound = staff, staff, staff, staff }, true, true},
		{"the leg to the trunk alone", func(e *attach.CallEnd) { e.Caller, e.FromUser = staff, staff; trunk(e) }, true, false},
	} {
		for realms, want := range map[string]bool{"tenant-b.example": test.one, "tenant-a.example tenant-b.example": test.two} {
			d := in(start(t, attached(t, dealing)))
			seen(d, strings.Fields(realms)...)
			d.Ended(phoned("8001", "tenant-b.example", test.change))
			if rule := ruleFor(t, d, friend, staff); rule == "known here" != want {
				t.Errorf("%s, with %s: %s", test.name, realms, rule)
			}
		}
	}
}

// A restart does not make two tenants one, and one that was not seen for a month is none any more.
func TestTenantsOutliveARestart(t *testing.T) {
	c := attached(t, dealing)
	d := start(t, c)
	seen(in(d), "tenant-a.example", "tenant-b.example")
	again := func() *house {
		halt(t, d)
		d = start(t, c)
		return in(d)
	}
	claims := phoned("8001", "tenant-b.example", func(e *attach.CallEnd) { e.Caller, e.FromUser, e.OtherCaller = staff, staff, staff })
	h := again()
	h.Ended(claims) // the first call
	if rule := ruleFor(t, h, friend, staff); rule != "strangers" {
		t.Errorf("after a restart what tenant B's phone calls is %s to tenant A's line", rule)
	}
	h.Ended(phoned("8001", "tenant-b.example", func(e *attach.CallEnd) { e.Callee, e.OtherCallee, e.Answered = "110", "110", false }))
	if rule := ruleFor(t, h, "13900139000", "8001"); rule != "strangers" {
		t.Errorf("a call to tenant A's 8001 is a call-back of tenant B's emergency call: %s", rule)
	}
	h = again()
	h.d.stopClock(time.Now().Add(31 * 24 * time.Hour))
	h.d.memory.Forget(h.d.force.Rules().Policy, h.d.clock())
	h.Ended(claims)
	if rule := ruleFor(t, h, friend, staff); rule != "known here" {
		t.Errorf("a month after tenant A's phones were seen last: %s", rule)
	}
}

// The switch's address as the realm says nothing; the domain of the account does.
func TestTenantsOfDomains(t *testing.T) {
	d := in(start(t, attached(t, dealing)))
	rings := func(id, caller, realm string) {
		screen(d, id, caller, staff, false)
		d.Ended(attach.CallEnd{UUID: "leg " + id, OtherUUID: id, Callee: "8001", DialledUser: "8001", DialledRealm: realm, Ring: time.Second})
	}
	rings("1", "13800138001", "a.example")
	rings("2", "13800138002", "b.example")
	star := func(domain string) bool {
		return d.StarCode(&bridge.Facts{AuthUser: "8001", AuthRealm: "192.0.2.1", Domain: domain, Authorized: true}).Confirm != nil
	}
	if !star("a.example") || !star("b.example") || star("c.example") || star("") {
		t.Error("a phone is not that of its domain")
	}
	for domain, want := range map[string]string{"a.example": "+8613800138001", "b.example": "+8613800138002"} {
		if last, ok := d.LastCallAt("8001", domain); !ok || last.Caller.E164 != want {
			t.Errorf("%s: %+v %v", domain, last, ok)
		}
	}
}

// Tenants of one Asterisk: two have an extension 8001, their endpoints are named by it and by the tenant, and each has a context.
func TestTenantsOfAsterisk(t *testing.T) {
	policy := dealingAsterisk
	leg := func(endpoint, context, other string) attach.CallEnd { // it rang for a call that came in
		return attach.CallEnd{
			UUID: "1." + endpoint, Channel: "PJSIP/" + endpoint + "-7", OtherUUID: other, OtherChannel: "PJSIP/telecom-" + other, Context: context, Home: context,
			Endpoint: endpoint, FromEndpoint: "telecom", DialledUser: endpoint, Callee: "8001", Ring: time.Second,
		}
	}
	rings := func(d *house, id, caller, endpoint, context string) {
		f := bridge.Facts{UUID: id, Channel: "PJSIP/telecom-" + id, Endpoint: "telecom", Context: "from-telecom", Number: caller, Callee: staff}
		v := d.Screen(&f)
		v.Action = "allow"
		d.Record(&f, &v, bridge.Result{})
		d.Ended(leg(endpoint, context, id))
	}
	star := func(d *house, endpoint, context string) string { // who would be reported
		f := bridge.Facts{Channel: "PJSIP/" + endpoint + "-9", Endpoint: endpoint, Context: context, Number: "8001", FromUser: "8001", AuthUser: endpoint, Authorized: true}
		if d.StarCode(&f).Confirm == nil {
			return ""
		}
		last, _ := d.LastCallAt(endpoint, "(endpoint)")
		return last.Caller.E164
	}
	dials := func(d *house, endpoint, context, shows string) { // both legs of a call to somebody outside
		out := attach.CallEnd{
			UUID: "2.2", OtherUUID: "2.1", Channel: "PJSIP/telecom-3", OtherChannel: "PJSIP/" + endpoint + "-8", Endpoint: "telecom", FromEndpoint: endpoint, FromContext: context,
			Context: "from-telecom", Home: "from-telecom", Caller: shows, Callee: friend, DialledUser: "telecom", OtherCaller: shows, OtherCallee: friend, Answered: true, Bridged: true, Talk: time.Minute,
		}
		d.Ended(out)
		out.UUID, out.OtherUUID, out.Channel, out.OtherChannel = out.OtherUUID, out.UUID, out.OtherChannel, out.Channel
		out.Endpoint, out.Context, out.Home, out.Inbound, out.DialledUser = endpoint, context, context, true, ""
		d.Ended(out)
	}

	d := in(start(t, attached(t, policy)))
	rings(d, "1", "13800138001", "8001-acme", "acme")
	rings(d, "2", "13800138002", "globex-8001", "globex")
	for endpoint, want := range map[string]string{"8001-acme": "+8613800138001", "globex-8001": "+8613800138002", "8001-initech": "", "8001": ""} {
		if got := star(d, endpoint, "initech"); got != want {
			t.Errorf("%s may report %q, want %q", endpoint, got, want)
		}
	}
	dials(d, "globex-8001", "globex", staff)
	if rule := ruleFor(t, d, friend, staff); rule != "strangers" {
		t.Errorf("what a phone of another tenant dials by writing the line's number: %s", rule)
	}
	d.Ended(attach.CallEnd{UUID: "3.1", Channel: "PJSIP/8001-acme-11", Inbound: true, Endpoint: "8001-acme", FromEndpoint: "8001-acme", Context: "acme", Home: "acme", Caller: "8001", Callee: "110"})
	if rule := ruleFor(t, d, "13900139000", "8001"); rule != "strangers" {
		t.Errorf("a call-back to an extension that two have: %s", rule)
	}

	// One tenant may have several contexts, devices of one extension in one context, and an endpoint of another context by a change of it.
	d = in(start(t, attached(t, policy)))
	rings(d, "1", "13800138001", "8001-desk", "house")
	rings(d, "2", "13800138002", "8001-mobile", "house")
	rings(d, "3", "13800138003", "8002-desk", "lobby")
	rings(d, "4", "13800138004", "8001-desk", "house-2")
	dials(d, "8002-desk", "lobby", staff)
	if rule := ruleFor(t, d, friend, staff); rule != "known here" {
		t.Errorf("the only tenant's acquaintance: %s", rule)
	}
	if star(d, "8001-desk", "house") == "" || star(d, "8001", "house") == "" {
		t.Error("the only tenant may not report")
	}
}

// A call that came in is no phone's, whatever the endpoint of its trunk is called.
func TestTrunkNamedLikeAPhone(t *testing.T) {
	d := in(start(t, attached(t, dealingAsterisk)))
	f := bridge.Facts{UUID: "1", Channel: "PJSIP/carrier-8005-1", Endpoint: "carrier-8005", Context: "from-carrier", Number: "13800138001", Callee: staff}
	v := d.Screen(&f)
	d.Record(&f, &v, bridge.Result{})
	d.Ended(attach.CallEnd{
		UUID: "2", Channel: "PJSIP/carrier-8005-2", Inbound: true, Endpoint: "carrier-8005", FromEndpoint: "carrier-8005", Context: "from-carrier", Home: "from-carrier",
		Caller: staff, Callee: friend, OtherCallee: friend, OtherCaller: staff, Answered: true, Bridged: true, Talk: time.Minute,
	})
	if rule := ruleFor(t, d, friend, staff); rule != "strangers" {
		t.Errorf("a caller from outside who writes the line's number makes it an acquaintance: %s", rule)
	}
}

// linesOf puts lines of the database in, of the customers named.
func linesOf(t testing.TB, d *house, customers map[string]string) {
	t.Helper()
	for number, customer := range customers {
		if _, err := d.AddLines(t.Context(), []console.LineSet{{Name: customer + "." + number[len(number)-3:], Numbers: &[]string{number}, Customer: &customer}}); err != nil {
			t.Fatal(err)
		}
	}
}

// stop has a caller be refused on his way to a number.
func stop(t testing.TB, d *house, caller, callee string) {
	t.Helper()
	f := bridge.Facts{UUID: caller + callee, Number: caller, FromUser: caller, Callee: callee}
	v := d.Screen(&f)
	if v.Action != "reject" {
		t.Fatalf("%s to %s: %+v", caller, callee, v)
	}
	d.Record(&f, &v, bridge.Result{})
}

// finds reports whether a star code finds a call that was stopped, and may let its caller through.
func finds(d *house, f *bridge.Facts) bool { return d.StarCode(f).Confirm != nil }

// Customers of the database that are named as the realms are: each phone has its own customer's lines, from the very first call on, and with one
// line needs to say nothing.
func TestPhonesOfCustomers(t *testing.T) {
	const a, b, b2 = "05925550201", "05925550202", "05925550203"
	d := in(start(t, attached(t, tenantPolicy)))
	linesOf(t, d, map[string]string{a: "a.example"})
	linesOf(t, d, map[string]string{b: "b.example", b2: "b.example"})
	for name, change := range map[string]func(e *attach.CallEnd){
		"shown":         func(e *attach.CallEnd) { e.OtherCaller = a },
		"the directory": func(e *attach.CallEnd) { e.Outbound, e.OtherCaller = a, a },
		"the account":   func(e *attach.CallEnd) { e.AuthUser = a },
		"written":       func(e *attach.CallEnd) { e.Caller, e.FromUser = a, a },
	} {
		d.Ended(phoned("8001", "b.example", change))
		if rule := ruleFor(t, d, friend, a); rule == "known here" {
			t.Errorf("%s: what B's phone dials is %s to A's line", name, rule)
		}
	}
	for _, legs := range []string{"own", "both"} { // the leg to the trunk says nothing of whose phone it is for
		e := phoned("8001", "b.example", func(e *attach.CallEnd) {
			e.Caller, e.FromUser, e.OtherCaller, e.Callee, e.OtherCallee, e.Answered = a, a, a, "110", "110", false
		})
		d.Ended(e)
		if legs == "both" {
			d.Ended(attach.CallEnd{UUID: "t", OtherUUID: "p", FromCaller: true, Caller: a, FromUser: a, Callee: "110", OtherCaller: a, OtherCallee: "110"})
		}
		if rule := ruleFor(t, d, "13900139000", a); rule == "never_screen" {
			t.Errorf("%s: B's emergency call, by writing A's number, has calls to A pass", legs)
		}
	}
	if d.Ended(phoned("8001", "a.example", func(e *attach.CallEnd) { e.Callee, e.OtherCallee = "13800138222", "13800138222" })); ruleFor(t, d, "13800138222", a) != "known here" {
		t.Error("what A's phone dials is not known to its only line")
	}
	d.Ended(phoned("8001", "b.example", func(e *attach.CallEnd) { e.Outbound = b2 }))
	if rule, other := ruleFor(t, d, friend, b2), ruleFor(t, d, friend, b); rule != "known here" || other != "known" {
		t.Errorf("what B's phone dials is %s to its line, and %s to another of the same customer", rule, other)
	}
	stop(t, d, "13800138009", a)
	stop(t, d, "13800138009", b)
	release := func(realm string, f bridge.Facts) bool {
		f.Intent, f.AuthRealm, f.Domain, f.Authorized = bridge.IntentRelease, realm, realm, true
		if f.AuthUser == "" {
			f.AuthUser = "8001"
		}
		return finds(d, &f)
	}
	for _, test := range []struct {
		realm string
		f     bridge.Facts
		want  bool
	}{
		{"a.example", bridge.Facts{}, true}, // the customer's only line
		{"A.Example", bridge.Facts{}, true},
		{"a.example", bridge.Facts{Outbound: b}, true}, // his own all the same
		{"b.example", bridge.Facts{}, false},           // which of two?
		{"b.example", bridge.Facts{Outbound: b}, true},
		{"b.example", bridge.Facts{Outbound: b2}, false},
		{"b.example", bridge.Facts{Outbound: a}, false},
		{"b.example", bridge.Facts{AuthUser: a}, false},
		{"b.example", bridge.Facts{Number: b, FromUser: b}, true},  // it only says so, but it is of its own customer
		{"b.example", bridge.Facts{Number: a, FromUser: a}, false}, // of another's
		{"b.example", bridge.Facts{Line: b}, true},
		{"c.example", bridge.Facts{Number: a, FromUser: a}, false},
	} {
		if got := release(test.realm, test.f); got != test.want {
			t.Errorf("%s, account %q, line %q, directory %q, writes %q: may let a caller through: %v", test.realm, test.f.AuthUser, test.f.Line, test.f.Outbound, test.f.Number, got)
		}
	}
	d.Ended(phoned("8001", "a.example", func(e *attach.CallEnd) {
		e.Caller, e.FromUser, e.OtherCaller, e.Callee, e.OtherCallee, e.Answered = a, a, a, "110", "110", false
	}))
	if rule := ruleFor(t, d, "13900139000", a); rule != "never_screen" {
		t.Errorf("after A's emergency call: %s", rule)
	}
}

// A phone that calls another customer's line is a caller like all others there, with the number that the directory has it show: it is not let through
// for writing an extension.
func TestPhonesCallOtherCustomers(t *testing.T) {
	const a, b = "05925550201", "05925550202"
	d := in(start(t, attached(t, tenantPolicy)))
	linesOf(t, d, map[string]string{a: "a.example", b: "b.example"})
	for _, test := range []struct {
		realm, writes, outbound, callee string
		rule, shown                     string
	}{
		{"a.example", "8001", "", a, policy.RuleInternal, ""},
		{"b.example", "8001", b, b, policy.RuleInternal, ""},
		{"b.example", "8001", "", a, "strangers", ""},
		{"b.example", "8001", b, a, "strangers", b},
		{"b.example", "110", b, a, "strangers", b},
		{"b.example", "8001", "", staff, "strangers", ""},
		{"c.example", "8001", "", staff, policy.RuleInternal, ""}, // whose they are is not known of either
	} {
		f := bridge.Facts{Number: test.writes, FromUser: test.writes, Callee: test.callee, AuthUser: "8001", AuthRealm: test.realm, Domain: test.realm, Authorized: true, Outbound: test.outbound}
		v := d.Screen(&f)
		if v.Rule != test.rule || v.ShowNumber != test.shown {
			t.Errorf("%+v: %s (%s), shown %q", test, v.Rule, v.Reason, v.ShowNumber)
		}
	}
	if _, err := d.AddEntries(t.Context(), "a.example.201:allowlist", []console.NewEntry{{Number: b}}, false); err != nil {
		t.Fatal(err)
	}
	f := bridge.Facts{Number: "8001", FromUser: "8001", Callee: a, AuthUser: "8001", AuthRealm: "b.example", Authorized: true, Outbound: b}
	if v := d.Screen(&f); v.Rule != "ours" {
		t.Errorf("the other customer's number is on the line's own list: %s (%s)", v.Rule, v.Reason)
	}
	// On Asterisk phones are inside where the policy says so of their trunk.
	d = in(start(t, attached(t, strings.Replace(tenantPolicy, `match    = ["gateway:branch"]`, `match    = ["endpoint:8001-acme", "endpoint:8001-globex", "endpoint:branch"]`, 1))))
	linesOf(t, d, map[string]string{a: "acme", b: "globex"})
	for endpoint, want := range map[string]string{"8001-acme": policy.RuleInternal, "8001-globex": "strangers", "branch": policy.RuleInternal} {
		v := d.Screen(&bridge.Facts{Number: "8001", FromUser: "8001", Callee: a, Channel: "PJSIP/" + endpoint + "-1", Endpoint: endpoint, Context: "phones"})
		if v.Rule != want {
			t.Errorf("%s: %s (%s), want %s", endpoint, v.Rule, v.Reason, want)
		}
	}
}

// Customers of the database on an Asterisk that is not attached: what a phone writes is nothing, what the dialplan says is all.
func TestPhonesOfCustomersAsterisk(t *testing.T) {
	const a, b = "05925550201", "05925550202"
	d := in(start(t, attached(t, tenantPolicy)))
	linesOf(t, d, map[string]string{a: "acme", b: "globex"})
	stop(t, d, "13800138009", a)
	stop(t, d, "13800138009", b)
	for _, test := range []struct {
		endpoint, context, line, writes string
		want                            bool
	}{
		{"8001-acme", "phones", "", "8001", true}, // by its name
		{"8001", "acme", "", "8001", true},        // by its context
		{"8001", "phones", "", "8001", false},
		{"8001", "phones", "", a, false},
		{"8001", "phones", a, "", true},
	} {
		f := bridge.Facts{
			Intent: bridge.IntentRelease, Channel: "PJSIP/" + test.endpoint + "-9", Endpoint: test.endpoint, Context: test.context, Number: test.writes, FromUser: test.writes,
			Line: test.line, AuthUser: test.endpoint, Authorized: true,
		}
		if got := finds(d, &f); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
	// What the dialplan says is dialled.
	tell := func(endpoint, line, writes string) {
		d.Dialled(&bridge.Facts{Intent: "dialled", Channel: "PJSIP/" + endpoint + "-9", Endpoint: endpoint, AuthUser: endpoint, Authorized: true, Number: writes, FromUser: writes, Line: line, Callee: friend})
	}
	tell("8001-globex", "", a)
	if acme, globex := ruleFor(t, d, friend, a), ruleFor(t, d, friend, b); acme != "known" || globex != "known here" {
		t.Errorf("what globex dials by writing acme's number is %s to acme, and %s to globex", acme, globex)
	}
	tell("8001", a, b) // the dialplan says whose it is
	if acme := ruleFor(t, d, friend, a); acme != "known here" {
		t.Errorf("what acme dials is %s to acme", acme)
	}
}

// Where the database has lines of two customers, a call that rang at an extension of nobody knows which tenant is nobody's to report, also while
// phones of one realm alone were seen; a call to a number that was rung as such is the administrator's to name.
func TestLastCallsOfCustomers(t *testing.T) {
	const a, b = "05925550201", "05925550202"
	d := in(start(t, attached(t, dealing)))
	linesOf(t, d, map[string]string{a: "a.example", b: "b.example"})
	screen(d, "1", "13800138001", a, false)
	d.Ended(attach.CallEnd{UUID: "leg 1", OtherUUID: "1", Callee: "8001", Ring: time.Second})
	screen(d, "2", "13800138002", a, false)
	d.Ended(attach.CallEnd{UUID: "leg 2", OtherUUID: "2", Callee: a, Ring: time.Second})
	star := func(f bridge.Facts) bool {
		f.AuthUser, f.AuthRealm, f.Authorized = "8001", "b.example", true
		return d.StarCode(&f).Confirm != nil
	}
	if star(bridge.Facts{}) || star(bridge.Facts{Number: "8001"}) || star(bridge.Facts{Number: a, FromUser: a}) || star(bridge.Facts{Line: "8001"}) {
		t.Error("b's phone may report what rang at somebody's 8001, or at a's number")
	}
	if !star(bridge.Facts{Line: a}) {
		t.Error("the dialplan names the number that rang, and the phone may not report")
	}
}
