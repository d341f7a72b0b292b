package daemon

import (
	"strconv"
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
func TestChallenge(t *testing.T) {
	c := installation(t, challengePolicy)
	c.Reject = conf.Reject{Redress: "https://example.com/r.jws", Analytics: "url=https://example.com"}
	d := start(t, c).desk
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	d.now = func() time.Time { return now }
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

// Two calls at once use a grace once.
func TestGraceOnce(t *testing.T) {
	d := start(t, installation(t, challengePolicy)).desk
	f := &bridge.Facts{Number: "95211613", FromUser: "95211613"}
	v := d.Screen(f)
	d.Record(f, &v, bridge.Result{Keyed: bridge.KeyedNothing})
	later := time.Now().Add(time.Minute)
	d.now = func() time.Time { return later }
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
	d := start(t, installation(t, challengePolicy)).desk
	r := *d.rules.Load()
	r.sounds = conf.OpenSounds(t.TempDir(), "CN")
	d.rules.Store(&r)
	f := &bridge.Facts{Number: "95211613", FromUser: "95211613"}
	if v := d.Screen(f); v.Action != "allow" || v.Challenge != nil || v.Would != "challenge" {
		t.Errorf("%+v", v)
	}
}

// Passes and tries have tables of their own. However many callers hang up on a challenge, the oldest try goes, and
// nobody who has passed.
func TestChallengedBound(t *testing.T) {
	var m challenged
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	const friend = "+8613800138000"
	m.note("staff", "number 1", friend, bridge.KeyedRight, at)
	for i := range maxTries + 10 {
		m.note("staff", "number 1", "+"+strconv.Itoa(i), bridge.KeyedNothing, at)
	}
	if got, want := m.count(), (console.ChallengedStatus{Passes: 1, Tries: maxTries, TriesFull: 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if passed, _ := m.of("staff", "number 1", friend, at); passed.IsZero() {
		t.Error("who passed is forgotten for others' tries")
	}
	for number, want := range map[string]bool{"+9": false, "+10": true, "+" + strconv.Itoa(maxTries+9): true} {
		if _, tried := m.of("staff", "number 1", number, at); tried.IsZero() == want {
			t.Errorf("%s: tried at %v", number, tried)
		}
	}
	for i := range maxPasses + 5 {
		m.note("staff", "number 1", "+9"+strconv.Itoa(i), bridge.KeyedRight, at)
	}
	if got := m.count(); got.Passes != maxPasses || got.PassesFull != 6 {
		t.Errorf("%+v", got)
	}
	m.forget(at.Add(time.Hour), at.Add(time.Hour))
	if got := m.count(); got.Passes != 0 || got.Tries != 0 || m.passes.order.Len() != 0 || m.tries.order.Len() != 0 {
		t.Errorf("%+v after the old ones went", got)
	}
}

// What lets a caller through who cannot press keys, and what does not.
func TestGraceIsNarrow(t *testing.T) {
	start, callee, other := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), "number 1", "number 2"
	const caller = "+8695211613"
	var m challenged
	at := start
	tried := func(callee string) bool { _, t := m.of("staff", callee, caller, at); return !t.IsZero() }
	m.note("staff", callee, caller, bridge.KeyedLeft, at)
	if tried(callee) {
		t.Error("who hung up before the end of the prompt has tried")
	}
	m.note("staff", callee, caller, bridge.KeyedNothing, at)
	if !tried(callee) || tried(other) {
		t.Errorf("tried here %v, there %v", tried(callee), tried(other))
	}
	m.note("staff", callee, caller, bridge.KeyedLeft, at)
	if tried(callee) {
		t.Error("who hangs up at once the next time still has his grace")
	}
	m.note("staff", callee, caller, bridge.KeyedNothing, at)
	if m.takeGrace(other, caller, at) || !m.takeGrace(callee, caller, at) || m.takeGrace(callee, caller, at) {
		t.Error("the grace is not that of this number, once")
	}
	for at = start.Add(time.Hour); at.Before(start.Add(graceEvery)); at = at.Add(5 * time.Hour) {
		m.note("staff", callee, caller, bridge.KeyedNothing, at)
		if tried(callee) || m.takeGrace(callee, caller, at) {
			t.Errorf("let through again after %v", at.Sub(start))
		}
	}
	at = start.Add(graceEvery)
	m.note("staff", callee, caller, bridge.KeyedNothing, at)
	if !m.takeGrace(callee, caller, at) {
		t.Error("not let through the next day")
	}
	m.note("staff", callee, "", bridge.KeyedNothing, at)
	if _, tried := m.of("staff", callee, "", at); !tried.IsZero() {
		t.Error("callers without a number share a grace")
	}
}

// Who passed a challenge passed it on the line that was called, and until somebody reports him; also after a restart.
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
		v := d.desk.Screen(f)
		d.desk.Record(f, &v, bridge.Result{Keyed: keyed})
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
	if _, err := d.desk.Report(t.Context(), console.NewReport{Caller: "95211613", Extension: "8001"}); err != nil {
		t.Fatal(err)
	}
	look(d, "after he was reported", "challenge")
	halt(t, d)
	d = start(t, c)
	look(d, "and after a restart", "challenge")
}
