package screening

import (
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/policy"
)

const scorePolicy = `
country = "CN"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.unused]
numbers = ["05925550800-05925550899"]
decoy = true
[[rule]]
name = "listed"
when = { caller = ["9521????"] }
action = "reject"
[[rule]]
name = "behaves badly"
when = { score_at_least = 2 }
action = "tag"
label = "?"
`

// What a caller does is evidence against their next call: each call and each end once, and nothing of calls that were stopped.
func TestBehaviourIsNoted(t *testing.T) {
	sc, _ := screenerOf(t, scorePolicy)
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	sc.o.Now = func() time.Time { return now }
	place := func(id, caller, callee string, e attach.CallEnd) policy.Evidence {
		f := &bridge.Facts{UUID: id, Context: "public", Number: caller, Callee: callee}
		v := sc.Screen(f)
		sc.Record(f, &v, bridge.Result{})
		now = now.Add(time.Minute)
		e.UUID, e.Inbound, e.Caller, e.Callee, e.Context = id, true, caller, callee, "public"
		for range 2 { // a second word changes nothing
			sc.Ended(e)
		}
		return v.Note.(*considered).call.Evidence
	}
	short := attach.CallEnd{By: attach.ByCaller, Answered: true, Bridged: true, Talk: 3 * time.Second, Ring: time.Second}
	rang := attach.CallEnd{By: attach.ByCaller, Ring: 20 * time.Second}
	talk := attach.CallEnd{By: attach.ByCaller, Answered: true, Bridged: true, Talk: time.Hour}
	refused := attach.CallEnd{By: attach.ByRingfence}
	place("1", "13800138000", "05925550100", short)
	place("2", "13800138000", "05925550101", rang)
	place("3", "13800138000", "05925550801", talk)
	place("4", "13800138000", "05921234567", talk)
	e := place("5", "13800138000", "05925550802", short)
	if want := (policy.Evidence{Calls: 5, Callees: 5, Decoys: 2, Short: 1, Unanswered: 1, Talks: 2}); e != want {
		t.Errorf("got %+v, want %+v", e, want)
	}
	place("6", "95211613", "05925550100", refused)
	if e := place("7", "95211613", "05925550100", refused); e != (policy.Evidence{Calls: 2, Callees: 1}) {
		t.Errorf("of one who is refused: %+v", e)
	}
	sc.memory.CountMarks(func(e164 string, _ time.Time) float64 {
		if e164 != "+8613800138000" {
			t.Errorf("asked for the marks of %q", e164)
		}
		return 1.5
	})
	f := &bridge.Facts{UUID: "8", Number: "13800138000", Callee: "05925550100"}
	if v := sc.Screen(f); v.Would != "tag" || v.Note.(*considered).call.Evidence.Marks != 1.5 || !strings.Contains(v.Reason, "decoy +6") {
		t.Errorf("%s: %s", v.Would, v.Reason)
	}
	if sc.memory.Known.Has("+8613800138000") {
		t.Error("who talked with nobody's number is known")
	}
	if n := sc.memory.ForgetNumber("+8613800138000"); n < 1 || sc.memory.Behaviour.Len() != 1 {
		t.Errorf("%d callers are remembered", sc.memory.Behaviour.Len())
	}
}
