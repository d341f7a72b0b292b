package e2e_test

import (
	"context"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/phone"
)

// dealingRules lets through who is known and refuses others.
const dealingRules = `
country = "CN"
[lines.staff]
numbers = ["05925550000-05925550999"]
[[rule]]
name = "known here"
when = { known_caller = "1d" }
action = "allow"
[[rule]]
name = "strangers"
action = "reject"
`

// checkDealings holds what the daemon learns from a real switch: the last call of an extension, whom a line called
// and talked with for 10 s, whom it said it called, and an emergency call.
func checkDealings(t *testing.T, d *daemon.Daemon, server string, long bool) {
	if c, ok := d.Screener().LastCallAt("05925550100", ""); !ok || c.Caller.E164 != "+8613800138000" || c.Line != "staff" || c.Withheld || c.ID == "" {
		t.Errorf("the last call of the first scenario's handset is %+v, %v", c, ok)
	}
	if c, ok := d.Screener().LastCallAt("05925550115", ""); !ok || c.Caller.E164 != "+8613912345678" || !c.Withheld {
		t.Errorf("the withheld caller's call is %+v, %v", c, ok)
	}
	for _, callee := range []string{"05925550102", "05925550114"} { // refused
		if c, ok := d.Screener().LastCallAt(callee, ""); ok {
			t.Errorf("a handset that did not ring has a last call: %+v", c)
		}
	}

	caller := phone.New(t)
	caller.Hold = 100 * time.Millisecond
	call := func(to string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		if h, err := caller.Dial(ctx, server, "05925550150", "", to); err != nil || h.Final != "200 OK" || h.Torn != 0 {
			t.Fatalf("%s: %+v %v", to, h, err)
		}
	}
	rule := func(caller, callee string) string {
		t.Helper()
		r, err := d.Desk().Check(t.Context(), console.CheckQuery{Caller: caller, Callee: callee, Policy: dealingRules, PolicyFile: "dealing.toml"})
		if err != nil {
			t.Fatal(err)
		}
		return r.Rule
	}
	until := func(caller, callee, want string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); rule(caller, callee) != want; <-time.After(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s to %s is decided by %s, want %s", caller, callee, rule(caller, callee), want)
			}
		}
	}
	call("tell13800138111")
	until("+8613800138111", "05925550160", "known here")
	call("out13800138222")
	if long {
		caller.Hold = 10500 * time.Millisecond
		call("out13800138333")
		until("13800138333", "05925550160", "known here")
		caller.Hold = 0
	}
	call("out110")
	until("13900139000", "05925550150", "never_screen")
	until("13900139000", "05925550160", "strangers") // the call-back is for who called
	if s, err := d.Desk().Status(t.Context()); err != nil || s.Learnt.Known != map[bool]int64{false: 1, true: 2}[long] {
		t.Errorf("%+v, %v", s.Learnt, err)
	}
}
