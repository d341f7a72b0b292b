package daemon

import (
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/console"
)

// dealingAsterisk is dealing with trunks that are endpoints.
var dealingAsterisk = strings.Replace(dealing, "[[rule]]", `[trunks.carrier]
match = ["endpoint:telecom", "endpoint:8999"]
[trunks.desks]
match    = ["endpoint:anna"]
internal = true
[[rule]]`, 1)

// What legs of Asterisk teach that were not screened.
func TestNumbersDialledOnAsterisk(t *testing.T) {
	talk := 10 * time.Second
	phone := attach.CallEnd{
		UUID: "1.1", OtherUUID: "1.2", Channel: "PJSIP/8001-1", OtherChannel: "PJSIP/telecom-2", Inbound: true, Endpoint: "8001", FromEndpoint: "8001",
		Caller: "8001", Callee: "913800138000", ReqUser: "913800138000", OtherCaller: "8001", OtherCallee: "13800138000", Answered: true, Bridged: true, Talk: talk,
	}
	out := attach.CallEnd{
		UUID: "1.2", OtherUUID: "1.1", Channel: "PJSIP/telecom-2", OtherChannel: "PJSIP/8001-1", Endpoint: "telecom", FromEndpoint: "8001",
		Caller: "8001", Callee: "13800138000", DialledUser: "telecom", OtherCaller: "8001", OtherCallee: "913800138000", Answered: true, Bridged: true, Talk: talk,
	}
	with := func(e attach.CallEnd, change func(e *attach.CallEnd)) []attach.CallEnd {
		change(&e)
		return []attach.CallEnd{e}
	}
	for _, test := range []struct {
		name string
		legs []attach.CallEnd
		want string // the rule for a call from the number back to the staff
	}{
		{"both legs", []attach.CallEnd{out, phone}, "known here"},
		{"the leg to the trunk", []attach.CallEnd{out}, "known here"},
		{"the leg of the phone", []attach.CallEnd{phone}, "known here"},
		{"too short", with(phone, func(e *attach.CallEnd) { e.Talk-- }), "strangers"},
		{"a phone of an internal trunk that shows the line's number", with(out, func(e *attach.CallEnd) { e.FromEndpoint, e.Caller, e.OtherCaller = "anna", "05925550101", "x" }), "known here"},
		{"from outside, claiming to be ours", with(phone, func(e *attach.CallEnd) { e.Endpoint, e.Caller = "telecom", "05925550101" }), "strangers"},
		{"from outside, sent out again", with(out, func(e *attach.CallEnd) { e.FromEndpoint, e.Caller, e.OtherCaller = "telecom", "05925550101", "8001" }), "strangers"},
		{"from an endpoint of which nothing is known", with(out, func(e *attach.CallEnd) { e.FromEndpoint, e.Caller = "ben", "05925550101" }), "strangers"},
		{"from nobody's endpoint", with(out, func(e *attach.CallEnd) { e.FromEndpoint = "" }), "strangers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := in(start(t, installation(t, dealingAsterisk)))
			for _, e := range test.legs {
				d.Ended(e)
			}
			if rule := ruleFor(t, d, "+8613800138000", staff); rule != test.want {
				t.Errorf("decided by %q, want %q", rule, test.want)
			}
		})
	}
	// Nobody from outside makes us wait for an emergency service.
	d := in(start(t, installation(t, dealingAsterisk)))
	for _, e := range append(with(out, func(e *attach.CallEnd) { e.FromEndpoint, e.Callee, e.Caller = "telecom", "110", "05925550101" }),
		with(phone, func(e *attach.CallEnd) {
			e.Endpoint, e.Callee, e.OtherCallee, e.Caller = "telecom", "110", "", "05925550101"
		})...) {
		d.Ended(e)
	}
	if rule := ruleFor(t, d, "13900139000", staff); rule != "strangers" {
		t.Errorf("after an emergency call from outside: %s", rule)
	}
	d.Ended(with(out, func(e *attach.CallEnd) { e.Callee, e.Answered = "110", false })[0])
	if rule := ruleFor(t, d, "13900139000", "8001"); rule != "never_screen" {
		t.Errorf("after an emergency call of ours: %s", rule)
	}
}

// What Asterisk does not say of a call is made up for from when it was screened; two Asterisks may use one Uniqueid.
func TestOutcomesOfAsterisk(t *testing.T) {
	d := in(start(t, attached(t, dealingAsterisk)))
	place := func(channel, number string, refuse int) string {
		f := bridge.Facts{UUID: "1795565587.1", Channel: channel, Endpoint: "telecom", Number: number, Callee: staff}
		v := d.Screen(&f)
		v.Action, v.Refuse = "allow", refuse
		if refuse != 0 {
			v.Action = "reject"
		}
		d.Record(&f, &v, bridge.Result{})
		return v.ID
	}
	ids := map[string]string{
		"PJSIP/telecom-1": place("PJSIP/telecom-1", "13800138001", 0),
		"PJSIP/telecom-2": place("PJSIP/telecom-2", "13800138002", 0),
		"PJSIP/telecom-3": place("PJSIP/telecom-3", "13800138003", 603),
		"PJSIP/telecom-4": place("PJSIP/telecom-4", "13800138004", 603),
	}
	end := func(channel string, change func(e *attach.CallEnd)) {
		e := attach.CallEnd{UUID: "1795565587.1", Channel: channel, Inbound: true, Endpoint: "telecom", FromEndpoint: "telecom", Cause: "NORMAL_CLEARING", By: attach.BySwitch}
		change(&e)
		d.Ended(e)
	}
	end("PJSIP/telecom-1", func(e *attach.CallEnd) {
		e.Answered, e.Bridged, e.Talk, e.By, e.OtherUUID = true, true, time.Minute, attach.ByCallee, "1795565587.9"
	})
	end("PJSIP/telecom-2", func(e *attach.CallEnd) { e.By, e.Cause = attach.ByCaller, "ORIGINATOR_CANCEL" })
	end("PJSIP/telecom-3", func(e *attach.CallEnd) { e.Answered, e.Talk = true, 2*time.Second }) // after an announcement that answered
	end("PJSIP/telecom-4", func(e *attach.CallEnd) { e.By = attach.ByCaller })                   // who was quicker than we
	end("PJSIP/telecom-5", func(e *attach.CallEnd) {})                                           // not screened
	// A handset rang for the second caller, and not for anybody else of that Uniqueid.
	d.Ended(attach.CallEnd{
		UUID: "1795565587.7", Channel: "PJSIP/8001-7", OtherUUID: "1795565587.1", OtherChannel: "PJSIP/telecom-2", FromEndpoint: "telecom",
		DialledUser: "8001", Callee: "05925550101", Ring: time.Second,
	})
	for _, extension := range []string{"8001", "05925550101"} {
		if last, ok := d.LastCallAt(extension, ""); !ok || last.ID != ids["PJSIP/telecom-2"] || last.Caller.E164 != "+8613800138002" {
			t.Errorf("the last call of %s: %+v, %v", extension, last, ok)
		}
	}
	want := map[string]console.Outcome{
		"PJSIP/telecom-1": {Answered: true, TalkS: 60, Cause: "NORMAL_CLEARING", By: "callee"},
		"PJSIP/telecom-2": {Cause: "ORIGINATOR_CANCEL", By: "caller"},
		"PJSIP/telecom-3": {Cause: "CALL_REJECTED", By: "ringfence"},
		"PJSIP/telecom-4": {Cause: "NORMAL_CLEARING", By: "caller"},
	}
	for end := time.Now().Add(10 * time.Second); ; <-time.After(5 * time.Millisecond) {
		got := map[string]console.Outcome{}
		if err := d.Journal(t.Context(), console.Query{}, func(r console.Record) error {
			for channel, id := range ids {
				if r.ID == id && r.Outcome != nil {
					got[channel] = *r.Outcome
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(got) == len(want) || time.Now().After(end) {
			for channel, o := range want {
				if got[channel] != o {
					t.Errorf("%s: %+v, want %+v", channel, got[channel], o)
				}
			}
			break
		}
	}
	if rule := ruleFor(t, d, "13800138001", staff); rule != "known here" {
		t.Errorf("who talked with the staff is decided by %s", rule)
	}
}
