package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/policy"
)

const challengePolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "ask"
when = { caller = ["9521????"] }
action = "challenge"
digits = 4
tries = 3
sip = 608
[[rule]]
name = "ask kindly"
when = { caller_kind = "anonymous" }
action = "challenge"
otherwise = "allow"
[[rule]]
name = "told"
when = { caller = ["9520????"] }
action = "tag"
label = "Sales?"
whisper = "whisper-suspected"
`

// A challenge from the decision to the memory of it: who passes is not asked again, who keyed in nothing is let
// through once, and `check` says what the next call gets.
//
// long: because a caller meets one challenge after another, each by what the last one left
func TestChallenge(t *testing.T) {
	c := installation(t, challengePolicy)
	c.Reject = conf.Reject{Redress: "https://example.com/r.jws", Analytics: "url=https://example.com"}
	d := in(start(t, c))
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	d.d.stopClock(now)
	call := func(number string, keyed bridge.Keyed) bridge.Verdict {
		t.Helper()
		f := &bridge.Facts{Number: number, FromUser: number}
		report, err := d.Check(t.Context(), console.CheckQuery{Caller: number})
		if err != nil {
			t.Fatal(err)
		}
		v := d.Screen(f)
		if report.Action != v.Action || report.Rule != v.Rule {
			t.Errorf("check says %s by %s, the call got %s by %s", report.Action, report.Rule, v.Action, v.Rule)
		}
		d.Record(f, &v, bridge.Result{Keyed: keyed})
		now = now.Add(time.Minute)
		d.d.stopClock(now)
		return v
	}

	v := call("95211613", bridge.KeyedWrong)
	ch := v.Challenge
	if v.Action != "challenge" || ch == nil || len(ch.Tries) != 3 || ch.Refuse != 608 || !v.Answer || v.Ringing == "" {
		t.Fatalf("%+v %+v", v, ch)
	}
	if v.Refusal.CallInfo != "<https://example.com/r.jws>;purpose=jwscard" || v.Refusal.Reason != "" {
		t.Errorf("%+v", v.Refusal)
	}
	seen := map[string]bool{}
	for i, q := range ch.Tries {
		seen[q.Want] = true
		want := "challenge-intro.wav"
		if i > 0 {
			want = "challenge-again.wav"
		}
		for _, digit := range q.Want {
			want += "!…/digits/" + string(digit) + ".wav"
		}
		var names []string
		for _, file := range q.Prompt.Files {
			name := file[strings.LastIndex(file, "/")+1:]
			if strings.Contains(file, "/digits/") {
				name = "…/digits/" + name
			}
			names = append(names, name)
		}
		if got := strings.Join(names, "!"); got != want || len(q.Want) != 4 || q.Prompt.Length < 2*time.Second {
			t.Errorf("try %d of %q lasts %v and plays %s, want %s", i, q.Want, q.Prompt.Length, got, want)
		}
	}
	if len(seen) == 1 {
		t.Errorf("the digits are not random: %v", seen)
	}

	if v := call("95211613", bridge.KeyedNothing); v.Action != "challenge" {
		t.Errorf("after wrong digits: %s", v.Action)
	}
	if v := call("95211613", bridge.NotAsked); v.Action != "allow" || v.Rule != policy.RuleKnownGrace || v.Challenge != nil {
		t.Errorf("after no digits: %s by %s", v.Action, v.Rule)
	}
	if v := call("95211613", bridge.KeyedNothing); v.Action != "challenge" {
		t.Errorf("let through a second time: %s by %s", v.Action, v.Rule)
	}
	if v := call("95211613", bridge.NotAsked); v.Action != "challenge" {
		t.Errorf("and once more on the same day: %s by %s", v.Action, v.Rule)
	}
	if v := call("+8695211614", bridge.KeyedRight); v.Action != "challenge" {
		t.Errorf("another caller: %s", v.Action)
	}
	if v := call("95211614", bridge.NotAsked); v.Action != "allow" || v.Rule != "ask" || !strings.Contains(v.Reason, "passed the challenge") {
		t.Errorf("who passed: %s by %s: %s", v.Action, v.Rule, v.Reason)
	}

	// Nobody is remembered for all who have no number.
	if v := call("anonymous", bridge.KeyedRight); v.Action != "challenge" || v.Challenge.Refuse != 0 || v.Challenge.Failed.Files != nil {
		t.Errorf("%s %+v", v.Action, v.Challenge)
	}
	if v := call("anonymous", bridge.KeyedNothing); v.Action != "challenge" {
		t.Errorf("a second withheld caller: %s", v.Action)
	}
	if v := call("95201234", bridge.NotAsked); !strings.HasSuffix(v.Whisper, "/whisper-suspected.wav") {
		t.Errorf("whisper %q", v.Whisper)
	}
}

// The journal says of those alone that they passed who keyed in the right digits.
func TestPassedIsInTheJournal(t *testing.T) {
	d := in(start(t, installation(t, challengePolicy)))
	for i, keyed := range []bridge.Keyed{bridge.KeyedRight, bridge.KeyedWrong, bridge.KeyedNothing, bridge.KeyedLeft} {
		f := &bridge.Facts{Number: fmt.Sprint("9521161", i), FromUser: "x"}
		v := d.Screen(f)
		d.Record(f, &v, bridge.Result{Keyed: keyed})
	}
	if err := d.d.journal.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := ""
	if err := d.Journal(t.Context(), console.Query{}, func(r console.Record) error {
		got += fmt.Sprintln(r.Caller.Raw, r.Action, r.Passed)
		return nil
	}); err != nil || got != "95211610 challenge true\n95211611 challenge false\n95211612 challenge false\n95211613 challenge false\n" {
		t.Errorf("%v, got\n%s", err, got)
	}
}

// Two calls at once use a grace once.
func TestGraceOnce(t *testing.T) {
	d := in(start(t, installation(t, challengePolicy)))
	f := &bridge.Facts{Number: "95211613", FromUser: "95211613"}
	v := d.Screen(f)
	d.Record(f, &v, bridge.Result{Keyed: bridge.KeyedNothing})
	later := time.Now().Add(time.Minute)
	d.d.stopClock(later)
	actions := make(chan string)
	for range 8 {
		go func() { v := d.Screen(f); actions <- v.Action }()
	}
	through := 0
	for range 8 {
		if <-actions == "allow" {
			through++
		}
	}
	if through != 1 {
		t.Errorf("%d of 8 calls were let through", through)
	}
}

// A recording that is missing lets the call pass.
func TestChallengeWithoutRecordings(t *testing.T) {
	d := in(start(t, installation(t, challengePolicy)))
	r := *d.d.force.Rules()
	r.Sounds = conf.OpenSounds(t.TempDir(), "CN")
	d.d.force.SetRules(&r)
	f := &bridge.Facts{Number: "95211613", FromUser: "95211613"}
	if v := d.Screen(f); v.Action != "allow" || v.Challenge != nil || v.Would != "challenge" {
		t.Errorf("%+v", v)
	}
}

// Who passed a challenge passed it on the line that was called, and until somebody reports them; also after a restart.
func TestPassIsOfALine(t *testing.T) {
	c := installation(t, `
country = "CN"
[lines.staff]
numbers = ["05925550100-05925550199"]
[lines.hotline]
numbers = ["4008001234"]
[[rule]]
name = "ask"
action = "challenge"
`)
	d := start(t, c)
	caller := func(d *Daemon, callee string, keyed bridge.Keyed) string {
		f := &bridge.Facts{UUID: "x", Number: "95211613", FromUser: "95211613", Callee: callee}
		v := in(d).Screen(f)
		in(d).Record(f, &v, bridge.Result{Keyed: keyed})
		return v.Action
	}
	look := func(d *Daemon, when, want string) {
		t.Helper()
		for callee, want := range map[string]string{"05925550100": want, "05925550199": want, "4008001234": "challenge", "05925559999": "challenge"} {
			if got := caller(d, callee, bridge.NotAsked); got != want {
				t.Errorf("%s, a call to %s: %s, want %s", when, callee, got, want)
			}
		}
	}
	look(d, "before", "challenge")
	caller(d, "05925550100", bridge.KeyedRight)
	look(d, "after he passed", "allow")
	halt(t, d)
	d = start(t, c)
	look(d, "after a restart", "allow")
	if _, err := in(d).Report(t.Context(), console.NewReport{Caller: "95211613", Callee: "05925550100"}); err != nil {
		t.Fatal(err)
	}
	look(d, "after he was reported", "challenge")
	halt(t, d)
	d = start(t, c)
	look(d, "and after a restart", "challenge")
}

// One customer's mark has the caller be asked again on that customer's lines, and nowhere else, on disk as well; everywhere once they are listed for it.
func TestMarkEndsPasses(t *testing.T) {
	for _, private := range []bool{false, true} {
		t.Run(fmt.Sprintf("private %v", private), func(t *testing.T) {
			c := installation(t, `
country = "CN"
[lines.staff]
numbers = ["05925550100-05925550199"]
[lines.hotline]
numbers = ["4008001234"]
[[rule]]
name = "ask"
action = "challenge"
`)
			c.Journal.Private = private
			d := start(t, c)
			callees := []string{"05925550100", "4008001234", "05925559999", "05925559998"} // the last two are of no line
			screen := func(callee string, keyed bridge.Keyed) string {
				f := &bridge.Facts{UUID: "x", Number: "95211613", FromUser: "95211613", Callee: callee}
				v := in(d).Screen(f)
				in(d).Record(f, &v, bridge.Result{Keyed: keyed})
				return v.Action
			}
			look := func(when string, want ...string) {
				t.Helper()
				for range 2 {
					for i, callee := range callees {
						if got := screen(callee, bridge.NotAsked); got != want[i] {
							t.Errorf("%s, a call to %s: %s, want %s", when, callee, got, want[i])
						}
					}
					halt(t, d)
					d, when = start(t, c), when+", after a restart"
				}
			}
			pass := func() {
				for _, callee := range callees {
					screen(callee, bridge.KeyedRight)
				}
			}
			report := func(callee string) string {
				t.Helper()
				edit, err := in(d).Report(t.Context(), console.NewReport{Caller: "95211613", Callee: callee})
				if err != nil {
					t.Fatal(err)
				}
				return edit.ID
			}
			pass()
			look("before", "allow", "allow", "allow", "allow")
			id := report("05925550100")
			look("a line reports him", "challenge", "allow", "allow", "allow")
			report("05925559999")
			look("a number of no line reports him", "challenge", "allow", "challenge", "allow")
			pass()
			if _, err := in(d).ConfirmReport(t.Context(), id, false); err != nil {
				t.Fatal(err)
			}
			look("a report is confirmed", "challenge", "challenge", "challenge", "challenge")
			pass()
			report("4008001234")
			look("he is listed, and reported", "challenge", "challenge", "challenge", "challenge")
		})
	}
}
