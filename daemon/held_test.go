package daemon

import (
	"fmt"
	"strings"
	"testing"

	"ringfence/bridge"
)

// A campaign fills the trunk's places for announcements and no more: over them calls pass, or are refused
// where the rule says so, and a place is free again when its call is over.
//
// long: because one trunk fills up and empties again, call by call
func TestFullTrunk(t *testing.T) {
	d := in(start(t, installation(t, `
country = "CN"
[trunks.telecom]
match = ["gateway:telecom"]
max_held = 2
[trunks.other]
match = ["gateway:other"]
max_held = 1
[[rule]]
name = "strict"
when = { caller = ["9520????"] }
action = "warn"
announcement = "suspected-nuisance"
then = "hangup"
sip = 486
overflow = "reject"
[[rule]]
name = "strict, goes on"
when = { caller = ["9523????"] }
action = "warn"
announcement = "suspected-nuisance"
overflow = "reject"
[[rule]]
name = "sales"
when = { caller = ["9521????"] }
action = "warn"
announcement = "suspected-nuisance"
[[rule]]
name = "no"
when = { caller = ["9522????"] }
action = "reject"
announcement = "suspected-nuisance"
`)))
	screen := func(number, gateway string) (*bridge.Facts, bridge.Verdict) {
		f := &bridge.Facts{Number: number, Gateway: gateway}
		return f, d.Screen(f)
	}
	// Two ranges, so that neither has more than its share; both have keyed in what they were asked for, so that neither gives way.
	first, v1 := screen("95231001", "telecom")
	second, v2 := screen("95201001", "telecom")
	if v1.Play.Silent() || v2.Play.Silent() || v1.Action != "warn" {
		t.Fatalf("%+v %+v", v1, v2)
	}
	passed(t, v1, v2)
	third, v3 := screen("95211003", "telecom")
	if !v3.Play.Silent() || v3.Refuse != 0 || v3.Action != "allow" || v3.Would != "warn" || !strings.Contains(v3.Reason, "holds 2 calls already") {
		t.Errorf("on a full trunk: %+v", v3)
	}
	if _, v := screen("95201004", "telecom"); !v.Play.Silent() || v.Refuse != 486 || v.Action != "reject" {
		t.Errorf("overflow = reject on a full trunk: %+v", v)
	}
	if _, v := screen("95231010", "telecom"); v.Refuse != 603 || v.Action != "reject" {
		t.Errorf("overflow = reject of a rule without sip: %+v", v)
	}
	if _, v := screen("95221005", "telecom"); !v.Play.Silent() || v.Refuse != 603 || v.Action != "reject" {
		t.Errorf("a rejection on a full trunk: %+v", v)
	}
	if _, v := screen("95211006", "other"); v.Play.Silent() {
		t.Errorf("the other trunk: %+v", v)
	}
	d.Record(third, &v3, bridge.Result{}) // it held nothing
	if _, v := screen("95211007", "telecom"); !v.Play.Silent() {
		t.Errorf("still full: %+v", v)
	}
	d.Record(first, &v1, bridge.Result{HungUp: true})
	d.Record(second, &v2, bridge.Result{FailOpen: bridge.FailDeadline})
	if calls, over, _ := d.d.memory.Held.Count(); calls["telecom"] != 0 || over != 5 {
		t.Errorf("%d calls are held after all ended, %d met a full trunk", calls["telecom"], over)
	}
	if _, v := screen("95211008", "telecom"); v.Play.Silent() {
		t.Errorf("free again: %+v", v)
	}
	// Made-up trunks share the account of the address that they come from.
	for i := range 90 {
		f := &bridge.Facts{Number: fmt.Sprintf("9521%04d", i), Trunk: strings.Repeat("x", i+1), NetworkIP: "192.0.2.1"}
		// Five are held, and eighty may still hear the end of what was broken off.
		if v := d.Screen(f); (v.Action == "warn") != (i < 85) {
			t.Errorf("call %d of made-up trunks: %+v", i, v)
		}
	}
	if calls, _, _ := d.d.memory.Held.Count(); len(calls) > 3 || calls["address 192.0.2.1"] != 5 {
		t.Errorf("%v are counted", calls)
	}
}

// passed lets callers key in what they were asked for, as the bridge notes it.
func passed(t *testing.T, verdicts ...bridge.Verdict) {
	t.Helper()
	for _, v := range verdicts {
		v.Held.Pass()
		if !v.Held.Passed() {
			t.Fatal("it is not noted")
		}
	}
}

// Twenty silent calls do not switch challenges off for everybody else.
func TestSilentCallsGiveWay(t *testing.T) {
	d := in(start(t, installation(t, `
country = "CN"
[trunks.telecom]
match = ["gateway:telecom"]
[[rule]]
name = "off"
when = { caller = ["9520????"] }
action = "warn"
announcement = "suspected-nuisance"
then = "hangup"
[[rule]]
name = "ask"
action = "challenge"
`)))
	screen := func(number string) bridge.Verdict {
		return d.Screen(&bridge.Facts{Number: number, Gateway: "telecom"})
	}
	var silent []bridge.Verdict
	for i := range 20 { // from twenty ranges
		silent = append(silent, screen(fmt.Sprintf("1%d%02d130000%d", 3+i%6, i, i%10)))
	}
	for i := range 10 {
		number := fmt.Sprintf("0592555%04d", i)
		if i%2 == 0 {
			number = fmt.Sprintf("9520%04d", i)
		}
		if v := screen(number); v.Challenge == nil && v.Play.Silent() {
			t.Errorf("another caller passes unasked: %+v", v)
		}
	}
	calls, over, gone := d.d.memory.Held.Count()
	if calls["telecom"] != 20 || over != 0 || gone != 10 {
		t.Errorf("%v are held, %d had no room, %d gave way", calls, over, gone)
	}
	// Each of the ranges 9520 and 0592555 has a quarter of the room, and the ones held longest went.
	for i, v := range silent {
		if v.Held.Dismissed() != (i < 10) {
			t.Errorf("silent call %d dismissed: %v", i, v.Held.Dismissed())
		}
	}
}

// Nor do twice or thrice as many, of whom those that gave way hear the end of their prompt still.
func TestManySilentCallsGiveWay(t *testing.T) {
	d := in(start(t, installation(t, `
country = "CN"
[trunks.telecom]
match = ["gateway:telecom"]
[[rule]]
name = "ask"
action = "challenge"
`)))
	for i := range 60 {
		d.Screen(&bridge.Facts{Number: fmt.Sprintf("1%d%02d130000%d", 3+i%6, i, i%10), Gateway: "telecom"})
	}
	for i := range 10 {
		if v := d.Screen(&bridge.Facts{Number: fmt.Sprintf("05925550%d00", i), Gateway: "telecom"}); v.Challenge == nil {
			t.Errorf("another caller passes unasked: %+v", v)
		}
	}
}

// Who has more than his share of the room, and will not leave it, is not let through for that.
func TestOwnShareFull(t *testing.T) {
	d := in(start(t, installation(t, `
country = "CN"
[[rule]]
name = "ask"
action = "challenge"
sip = 486
`)))
	screen := func(number string) bridge.Verdict {
		return d.Screen(&bridge.Facts{Number: number, NetworkIP: "192.0.2.1"})
	}
	passed(t, screen("95211613"), screen("95211613"))
	if v := screen("95211613"); v.Action != "reject" || v.Refuse != 486 {
		t.Errorf("a caller's third call: %+v", v)
	}
	passed(t, screen("95211614"), screen("95211615"), screen("95211616"))
	if v := screen("95211617"); v.Action != "reject" || v.Refuse != 486 {
		t.Errorf("a range's sixth call: %+v", v)
	}
	if v := screen("13800138000"); v.Action != "challenge" {
		t.Errorf("another caller: %+v", v)
	}
	for i := range 15 {
		passed(t, screen(fmt.Sprintf("139%08d", i*1_000_000)))
	}
	if v := screen("13700137000"); v.Action != "allow" {
		t.Errorf("on a trunk that is full of callers who passed: %+v", v)
	}
}
