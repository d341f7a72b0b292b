package eslbridge

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
)

const recordedEvents = "testdata/events"

// recordedEvent returns the bytes of one recorded CHANNEL_HANGUP_COMPLETE of a real FreeSWITCH, some of its
// headers left out.
func recordedEvent(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(recordedEvents, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// endOf reads an event's frame.
func endOf(t testing.TB, frame string) (attach.CallEnd, *Frame) {
	t.Helper()
	var f, e Frame
	var c callEnd
	if err := NewReader(strings.NewReader(frame), 0).Stream(&f, &c); err != nil {
		t.Fatal(err)
	}
	end, ok := c.end("pbx1")
	if !ok {
		t.Fatal("the event names no call")
	}
	// The event's headers, for what a test looks up besides.
	if err := NewReader(strings.NewReader(frame), 0).Next(&f); err != nil {
		t.Fatal(err)
	}
	if err := NewReader(strings.NewReader(string(f.Body())+"\n\n"), 0).Next(&e); err != nil {
		t.Fatal(err)
	}
	return end, &e
}

// summary is what became of a call, in short.
func summary(e attach.CallEnd) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s by %s,", e.Cause, e.By)
	if e.Answered {
		s.WriteString(" answered")
	}
	if e.Bridged {
		s.WriteString(" bridged")
	}
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
	fmt.Fprintf(&s, " ring %v talk %v", round(e.Ring), round(e.Talk))
	return s.String()
}

// What became of calls whose course is known. .a is the caller's leg, .b the callee's.
func TestRecordedEnds(t *testing.T) {
	want := map[string]string{
		"caller-hangs-up.a": "NORMAL_CLEARING by caller, answered bridged ring 320ms talk 1.54s",
		"caller-hangs-up.b": "NORMAL_CLEARING by caller, answered bridged ring 320ms talk 1.54s",
		"callee-hangs-up.a": "NORMAL_CLEARING by callee, answered bridged ring 320ms talk 1.52s",
		"callee-hangs-up.b": "NORMAL_CLEARING by callee, answered bridged ring 320ms talk 1.52s",
		"with-cdr.a":        "NORMAL_CLEARING by caller, answered bridged ring 340ms talk 1.52s",

		"cancelled.a":    "ORIGINATOR_CANCEL by caller, ring 1.26s talk 0s",
		"cancelled.b":    "ORIGINATOR_CANCEL by caller, ring 1.26s talk 0s",
		"busy.a":         "USER_BUSY by callee, ring 0s talk 0s",
		"busy.b":         "USER_BUSY by callee, ring 0s talk 0s",
		"no-answer.a":    "NORMAL_CLEARING by switch, ring 1.44s talk 0s",
		"no-answer.b":    "NO_ANSWER by switch, ring 1.44s talk 0s",
		"no-route.a":     "NO_ROUTE_DESTINATION by switch, ring 0s talk 0s",
		"rejected.a":     "CALL_REJECTED by ringfence, ring 0s talk 0s",
		"rejected-608.a": "CALL_REJECTED by ringfence, ring 0s talk 0s",

		// 8.4 s of announcement are neither ringing nor talk.
		"warned-early.a":              "NORMAL_CLEARING by caller, answered bridged ring 320ms talk 1.54s",
		"warned-after-answer.a":       "NORMAL_CLEARING by caller, answered bridged ring 320ms talk 9.26s",
		"warned-and-ended.a":          "CALL_REJECTED by ringfence, ring 0s talk 0s",
		"warned-early-and-ended.a":    "CALL_REJECTED by ringfence, ring 0s talk 0s",
		"cancelled-in-announcement.a": "ORIGINATOR_CANCEL by caller, ring 0s talk 0s",

		"ivr.a":                      "NORMAL_CLEARING by switch, answered ring 0s talk 1.2s",
		"no-answer-then-voicemail.a": "NORMAL_CLEARING by switch, answered ring 1.3s talk 1.5s",
		"answered-first-then-busy.a": "USER_BUSY by callee, ring 0s talk 0s",
		"goes-on-after-bridge.a":     "NORMAL_CLEARING by callee, answered bridged ring 320ms talk 2.24s",
		"transferred.a":              "NORMAL_CLEARING by callee, answered bridged ring 320ms talk 2.68s",

		// Two phones ring, one answers.
		"forked.a":  "NORMAL_CLEARING by caller, answered bridged ring 320ms talk 1.54s",
		"forked.b":  "LOSE_RACE by switch, ring 320ms talk 0s",
		"forked.b2": "NORMAL_CLEARING by caller, answered bridged ring 320ms talk 1.54s",

		// An operator ended these.
		"killed.a":               "NORMAL_CLEARING by switch, answered bridged ring 320ms talk 760ms",
		"killed.b":               "NORMAL_CLEARING by switch, answered bridged ring 300ms talk 780ms",
		"callee-leg-killed.a":    "NORMAL_CLEARING by switch, answered bridged ring 320ms talk 760ms",
		"callee-leg-killed.b":    "NORMAL_CLEARING by switch, answered bridged ring 300ms talk 780ms",
		"killed-while-ringing.a": "NORMAL_CLEARING by switch, ring 1.04s talk 0s",
		"click-to-call.a":        "MANAGER_REQUEST by switch, answered bridged ring 320ms talk 1.04s",
		"click-to-call.b":        "MANAGER_REQUEST by switch, answered bridged ring 320ms talk 700ms",

		"from-a-phone.a":    "NORMAL_CLEARING by caller, answered bridged ring 320ms talk 1.84s",
		"from-a-phone.b":    "NORMAL_CLEARING by caller, answered bridged ring 320ms talk 1.82s",
		"through-gateway.a": "NO_ROUTE_DESTINATION by switch, ring 0s talk 0s",

		// A bridge within the switch: its two inner legs are not SIP and do not say who ended them.
		"through-loopback.a":       "NORMAL_CLEARING by callee, answered bridged ring 320ms talk 1.5s",
		"through-loopback.inner-b": "NORMAL_CLEARING by , answered bridged ring 320ms talk 1.5s",
		"through-loopback.inner-a": "NORMAL_CLEARING by , answered bridged ring 320ms talk 1.5s",
		"through-loopback.b":       "NORMAL_CLEARING by callee, answered bridged ring 300ms talk 1.52s",
	}
	// The switch's own seconds to be paid for hold what the caller heard from the switch alone.
	otherBill := map[string]bool{"warned-after-answer.a": true, "warned-and-ended.a": true, "answered-first-then-busy.a": true}
	files, err := filepath.Glob(filepath.Join(recordedEvents, "*.txt"))
	if err != nil || len(files) != len(want) {
		t.Errorf("%d recorded events, %d expectations (%v)", len(files), len(want), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		e, f := endOf(t, recordedEvent(t, name+".txt"))
		if got := summary(e); got != want[name] {
			t.Errorf("%s: %s, want %s", name, got, want[name])
		}
		if bill, _ := f.Get("variable_billusec"); !otherBill[name] && bill != fmt.Sprint(e.Talk.Microseconds()) {
			t.Errorf("%s: talk %v, but the switch counts %s µs", name, e.Talk, bill)
		}
		if e.Switch != "pbx1" || e.Started.Year() < 2026 || e.Ended.Before(e.Started) || e.Ended.Sub(e.Started) < e.Ring+e.Talk {
			t.Errorf("%s: %+v", name, e)
		}
		if e.Guard || e.Withheld || (strings.HasSuffix(name, ".a") && e.Inbound == (name == "click-to-call.a")) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// Who is who on the legs of the calls that matter most.
func TestRecordedParties(t *testing.T) {
	untimed := func(name string) attach.CallEnd {
		e, _ := endOf(t, recordedEvent(t, name))
		e.Ring, e.Talk, e.Started, e.Ended = 0, 0, time.Time{}, time.Time{}
		return e
	}
	const phone, trunk = "952c091c-1872-4e0b-b26c-868cd6452ce2", "f549ba4a-0b04-4022-9697-f4feee10c86f"
	for name, want := range map[string]attach.CallEnd{
		// Extension 8001 dials 9 and a number; the dialplan takes the 9 off and shows the line's number.
		"from-a-phone.a.txt": {
			Switch: "pbx1", NetworkIP: "127.0.0.1", UUID: phone, OtherUUID: trunk, Inbound: true, Context: "internal", Profile: "internal", AuthRealm: "127.0.0.1", Domain: "127.0.0.1",
			Caller: "8001", CallerName: "8001", Callee: "905925550199", ReqUser: "905925550199", FromUser: "8001", AuthUser: "8001",
			OtherCaller: "05925550101", OtherCallee: "05925550199",
			Answered: true, Bridged: true, Cause: "NORMAL_CLEARING", By: attach.ByCaller,
		},
		"from-a-phone.b.txt": {
			Switch: "pbx1", NetworkIP: "127.0.0.1", UUID: trunk, OtherUUID: phone, Context: "internal", Profile: "external", Gateway: "telecom",
			Caller: "05925550101", CallerName: "Li Lei", Callee: "05925550199", FromUser: "05925550101",
			FromCaller: true, OtherCaller: "8001", OtherCallee: "905925550199",
			Answered: true, Bridged: true, Cause: "NORMAL_CLEARING", By: attach.ByCaller,
		},
		"rejected.a.txt": {
			Switch: "pbx1", NetworkIP: "127.0.0.1", UUID: "8da5a5b6", Inbound: true, Context: "public", Profile: "external",
			Caller: "13900139000", CallerName: "13900139000", Callee: "1001", ReqUser: "1001", FromUser: "13900139000",
			RingfenceID: "01M85T5DP5NRMCR5ANC0H0BVAJ", Line: "05925550101", Action: "reject", Cause: "CALL_REJECTED", By: attach.ByRingfence,
		},
		"through-gateway.a.txt": {
			Switch: "pbx1", NetworkIP: "127.0.0.1", UUID: "4dc0d6ab", Inbound: true, Context: "public", Profile: "external", Gateway: "telecom",
			Caller: "05925550123", CallerName: "05925550123", Callee: "trunk", ReqUser: "gw+telecom", FromUser: "05925550123",
			Cause: "NO_ROUTE_DESTINATION", By: attach.BySwitch,
		},
	} {
		got := untimed(name)
		if len(want.UUID) == 8 {
			want.UUID = got.UUID // of no interest
		}
		if got != want {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, want)
		}
	}
	// Before the callee's leg has an event of its own, its caller's names it.
	a, _ := endOf(t, recordedEvent(t, "caller-hangs-up.a.txt"))
	b, _ := endOf(t, recordedEvent(t, "caller-hangs-up.b.txt"))
	if a.OtherUUID != b.UUID || b.OtherUUID != a.UUID {
		t.Errorf("the legs are %s with %s and %s with %s", a.UUID, a.OtherUUID, b.UUID, b.OtherUUID)
	}
	if b, _ := endOf(t, recordedEvent(t, "busy.b.txt")); b.OtherUUID != "1bd5c641-0a8b-4c10-b890-fe6c70f6a09a" {
		t.Errorf("the phone that was busy was called by %q", b.OtherUUID)
	}
}

// What a caller can write stays text, and clocks that jump do no harm.
func TestOddEvents(t *testing.T) {
	end := func(lines ...string) attach.CallEnd {
		e, _ := endOf(t, event(append([]string{"Event-Name: CHANNEL_HANGUP_COMPLETE"}, lines...)...))
		return e
	}
	e := end("Unique-ID: first", "unique-id: x", "Unique-ID: second", "a line without colon",
		"Caller-Caller-ID-Name: A%0ACall-Direction: inbound%0A%24%7Bsystem%28id%29%7D%25zz",
		"Caller-Caller-ID-Number: "+strings.Repeat("%E5%BC%A0", 2*attach.MaxText),
		"Caller-Privacy-Hide-Number: true", "variable_ringfence_guard: fired", "variable_ringfence_trunk: telecom%20",
		"Caller-Destination-Number: "+strings.Repeat("7", 9*attach.MaxText))
	if e.UUID != "first" || e.Inbound || e.CallerName != "A\nCall-Direction: inbound\n${system(id)}%zz" || !e.Withheld || !e.Guard || e.Trunk != "telecom " {
		t.Errorf("%+v", e)
	}
	if e.Caller != strings.Repeat("张", attach.MaxText/3) || e.Callee != strings.Repeat("7", attach.MaxText) {
		t.Errorf("cut to %q and %q", e.Caller, e.Callee)
	}
	if e := end("Unique-ID: x", "Caller-Destination-Number: abc%40%5B%5D", "variable_dialed_user: 8001"); e.DialledUser != "8001" || e.Callee != "abc@[]" {
		t.Errorf("%+v", e)
	}
	if e.By != "" || !e.Started.IsZero() || !e.Ended.IsZero() {
		t.Errorf("%+v", e)
	}
	const now = 1795491530196742
	clock := func(created, answered, bridged, hungup int) attach.CallEnd {
		return end("Unique-ID: x", "Call-Direction: inbound", fmt.Sprintf("Event-Date-Timestamp: %d", now),
			fmt.Sprintf("Caller-Channel-Created-Time: %d", created), fmt.Sprintf("Caller-Channel-Answered-Time: %d", answered),
			fmt.Sprintf("Caller-Channel-Progress-Time: %d", created), fmt.Sprintf("Caller-Channel-Bridged-Time: %d", bridged),
			fmt.Sprintf("Caller-Channel-Hangup-Time: %d", hungup))
	}
	for name, c := range map[string]struct {
		e          attach.CallEnd
		ring, talk time.Duration
	}{
		"set back in the call":     {clock(now, now+1e6, 0, now-3600e6), time.Second, 0},
		"set back while it rang":   {clock(now, now-3600e6, 0, now+1e6), time.Second, 3601 * time.Second},
		"set on by a year":         {clock(now, now+1e6, 0, now+365*86400e6), time.Second, attach.LongestCall},
		"no end, taken from event": {clock(now-5e6, now-4e6, 0, 0), time.Second, 4 * time.Second},
		"negative":                 {clock(-5, -6, -7, -8), 0, 0},
		"too many digits":          {clock(1e18, 1e18+1e7, 0, 1e18+2e7), 0, 0},
	} {
		if c.e.Ring != c.ring || c.e.Talk != c.talk {
			t.Errorf("%s: ring %v talk %v, want %v %v", name, c.e.Ring, c.e.Talk, c.ring, c.talk)
		}
	}
	if e, _ := endOf(t, event(strings.Repeat("a: b\n", 1000)+"Unique-ID: x")); e.UUID != "x" {
		t.Errorf("behind a thousand lines: %+v", e)
	}
}

// A phone that refused before another one answered, or before voicemail did, did not end the call.
func TestRefusedEarlier(t *testing.T) {
	base := []string{
		"Unique-ID: x", "Call-Direction: inbound", "Caller-Channel-Created-Time: 1000000", "Caller-Channel-Hangup-Time: 9000000",
		"Caller-Channel-Answered-Time: 2000000", "variable_last_bridge_hangup_cause: USER_BUSY", "variable_bridge_channel: sofia/internal/1001",
		"variable_last_bridge_proto_specific_hangup_cause: sip%3A486", "variable_sip_hangup_disposition: send_bye", "Hangup-Cause: NORMAL_CLEARING",
	}
	for name, more := range map[string][]string{
		"then another answered": {"variable_originate_disposition: SUCCESS", "Caller-Channel-Bridged-Time: 2000000"},
		"then voicemail":        {"variable_originate_disposition: USER_BUSY"},
	} {
		if e, _ := endOf(t, event(append(base, more...)...)); e.By != attach.BySwitch || !e.Answered || e.Talk != 7*time.Second {
			t.Errorf("%s: %s", name, summary(e))
		}
	}
}

// The screening's own end of a call is known by what it sent, whatever SIP status that was; an
// administrator's `respond` behind a call that was let through is the switch's.
func TestEndedByUs(t *testing.T) {
	base := []string{
		"Unique-ID: x", "Call-Direction: inbound", "variable_ringfence_id: 01J", "variable_sip_hangup_disposition: send_refuse",
		"variable_last_app: respond", "Hangup-Cause: USER_BUSY",
	}
	for action, want := range map[string]string{"reject": attach.ByRingfence, "warn": attach.ByRingfence, "challenge": attach.ByRingfence, "allow": attach.BySwitch, "tag": attach.BySwitch} {
		if e, _ := endOf(t, event(append(base, "variable_ringfence_action: "+action)...)); e.By != want {
			t.Errorf("%s: ended by %s, want %s", action, e.By, want)
		}
	}
	if e, _ := endOf(t, event(append(base, "variable_ringfence_action: warn", "variable_originate_disposition: NO_ANSWER")...)); e.By != attach.BySwitch {
		t.Errorf("warned, rung in vain, then refused by the dialplan: ended by %s", e.By)
	}
}

// FuzzCallEnd: whatever an event's body holds, what it says of a call is within bounds.
func FuzzCallEnd(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(recordedEvents, "*.txt"))
	if err != nil || len(files) == 0 {
		f.Fatal("no recorded events")
	}
	for _, name := range files {
		var fr Frame
		if err := NewReader(strings.NewReader(recordedEvent(f, filepath.Base(name))), 0).Next(&fr); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(fr.Body()))
	}
	f.Add([]byte("Unique-ID: x\r\nHangup-Cause:\r\n\r\nbody"))
	f.Add([]byte("\n\n"))
	f.Add([]byte("Unique-ID: x\nCaller-Channel-Answered-Time: 9999999999999999\nCaller-Channel-Bridged-Time: 1"))
	f.Fuzz(func(t *testing.T, body []byte) {
		rd := NewReader(strings.NewReader(fmt.Sprintf("Content-Type: text/event-plain\nContent-Length: %d\n\n%sContent-Type: behind\n\n", len(body), body)), 0)
		var frame Frame
		var c callEnd
		if err := rd.Stream(&frame, &c); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		e, ok := c.end("pbx1")
		if err := rd.Stream(&frame, &c); err != nil || frame.Type() != "behind" {
			t.Fatalf("%q: the place in the stream is lost: %v, %q", body, err, frame.Type())
		}
		if ok != (e.UUID != "") {
			t.Fatalf("%+v taken: %v", e, ok)
		}
		if e.Ring < 0 || e.Ring > attach.LongestCall || e.Talk < 0 || e.Talk > attach.LongestCall || (e.Talk > 0 && !e.Answered) {
			t.Fatalf("ring %v, talk %v, answered %v", e.Ring, e.Talk, e.Answered)
		}
		switch e.By {
		case "", attach.ByCaller, attach.ByCallee, attach.BySwitch, attach.ByRingfence:
		default:
			t.Fatalf("ended by %q", e.By)
		}
		for _, s := range []string{
			e.UUID, e.OtherUUID, e.RingfenceID, e.Context, e.Profile, e.Gateway, e.Caller, e.CallerName, e.Callee,
			e.ReqUser, e.FromUser, e.AuthUser, e.OtherCaller, e.OtherCallee, e.Line, e.Trunk, e.Action, e.Cause,
		} {
			if len(s) > attach.MaxText {
				t.Fatalf("%d bytes of text", len(s))
			}
		}
	})
}

func BenchmarkReadCallEnd(b *testing.B) {
	raw := []byte(recordedEvent(b, "caller-hangs-up.a.txt"))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	src := bytes.NewReader(raw)
	rd := NewReader(src, 0)
	var f Frame
	for b.Loop() {
		src.Reset(raw)
		var c callEnd
		if rd.Stream(&f, &c) != nil {
			b.Fatal("not read")
		}
		if _, ok := c.end("pbx1"); !ok {
			b.Fatal("not understood")
		}
	}
}
