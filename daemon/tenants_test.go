package daemon

import (
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
)

// Two tenants each have a phone 8001, and neither speaks for the other's.
func TestTenants(t *testing.T) {
	setup := func() *house {
		d := in(start(t, attached(t, dealing)))
		// 02087654321 rings 8001 of tenant A.
		id := screen(d, "a", "02087654321", "05925550101", false)
		d.Ended(attach.CallEnd{UUID: "leg", OtherUUID: "a", Callee: "8001", DialledUser: "8001", DialledRealm: "tenant-a.example", Ring: time.Second})
		if last, ok := d.LastCallAt("8001", "tenant-a.example"); !ok || last.ID != id {
			t.Fatalf("%+v %v", last, ok)
		}
		return d
	}
	star := func(d *house, user, realm, claims string) bool {
		return d.StarCode(&bridge.Facts{Number: claims, FromUser: claims, AuthUser: user, AuthRealm: realm, Authorized: true}).Confirm != nil
	}
	d := setup()
	if star(d, "8001", "tenant-b.example", "8001") {
		t.Error("8001 of tenant B may report what rang at 8001 of tenant A")
	}
	if star(d, "8001", "tenant-b.example", "05925550101") || star(d, "8001", "", "8001") {
		t.Error("by claiming another's number, or no realm, it may")
	}
	if !star(d, "8001", "Tenant-A.example", "8001") {
		t.Error("8001 of tenant A may not report")
	}
	// Whom tenant B calls is not known to tenant A's line, nor does it await its emergency calls.
	d.Ended(attach.CallEnd{
		Inbound: true, AuthUser: "8001", AuthRealm: "tenant-b.example", Caller: "8001", FromUser: "8001", Callee: "13800138000", OtherCallee: "13800138000",
		Answered: true, Bridged: true, Talk: time.Minute,
	})
	d.Ended(attach.CallEnd{
		Inbound: true, AuthUser: "8001", AuthRealm: "tenant-b.example", Caller: "05925550101", FromUser: "05925550101", Callee: "13800138000", OtherCallee: "13800138000",
		Answered: true, Bridged: true, Talk: time.Minute,
	})
	d.Ended(attach.CallEnd{Inbound: true, AuthUser: "8001", AuthRealm: "tenant-b.example", Caller: "05925550101", FromUser: "05925550101", Callee: "110"})
	for _, callee := range []string{"05925550101", "8001"} {
		if rule := ruleFor(t, d, "13800138000", callee); rule != "strangers" {
			t.Errorf("a call to %s is decided by %s", callee, rule)
		}
	}
	// With one tenant, whatever its realm is called, all is as if there were none.
	d = setup()
	for _, realm := range []string{"192.0.2.5", "", "tenant-a.example"} {
		if !star(d, "8001", realm, "8001") {
			t.Errorf("the one tenant's phone, of realm %q, may not report", realm)
		}
	}
	d.Ended(attach.CallEnd{Inbound: true, AuthUser: "8001", AuthRealm: "192.0.2.5", Caller: "8001", Callee: "13800138000", OtherCallee: "13800138000", Answered: true, Bridged: true, Talk: time.Minute})
	if rule := ruleFor(t, d, "13800138000", staff); rule != "known here" {
		t.Errorf("the one tenant's acquaintance: %s", rule)
	}
}
