package daemon

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/eslbridge"
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
	call := func(number string, keyed eslbridge.Keyed) eslbridge.Verdict {
		t.Helper()
		f := &eslbridge.Facts{Number: number, FromUser: number}
		report, err := d.Check(t.Context(), console.CheckQuery{Caller: number})
		if err != nil {
			t.Fatal(err)
		}
		v := d.Screen(f)
		if report.Action != v.Action || report.Rule != v.Rule {
			t.Errorf("check says %s by %s, the call got %s by %s", report.Action, report.Rule, v.Action, v.Rule)
		}
		d.Record(f, &v, eslbridge.Result{Keyed: keyed})
		now = now.Add(time.Minute)
		return v
	}

	v := call("95211613", eslbridge.KeyedWrong)
	ch := v.Challenge
	if v.Action != "challenge" || ch == nil || len(ch.Tries) != 3 || ch.Refuse != 608 || !v.Answer || v.Ringback == "" {
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
		for _, file := range strings.Split(strings.TrimPrefix(q.Prompt.File, "file_string://"), "!") {
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

	if v := call("95211613", eslbridge.KeyedNothing); v.Action != "challenge" {
		t.Errorf("after wrong digits: %s", v.Action)
	}
	if v := call("95211613", eslbridge.NotAsked); v.Action != "allow" || v.Rule != policy.RuleKnownGrace || v.Challenge != nil {
		t.Errorf("after no digits: %s by %s", v.Action, v.Rule)
	}
	if v := call("95211613", eslbridge.KeyedNothing); v.Action != "challenge" {
		t.Errorf("let through a second time: %s by %s", v.Action, v.Rule)
	}
	if v := call("95211613", eslbridge.NotAsked); v.Action != "allow" {
		t.Errorf("and once more: %s by %s", v.Action, v.Rule)
	}
	if v := call("+8695211614", eslbridge.KeyedRight); v.Action != "challenge" {
		t.Errorf("another caller: %s", v.Action)
	}
	if v := call("95211614", eslbridge.NotAsked); v.Action != "allow" || v.Rule != "ask" || !strings.Contains(v.Reason, "passed the challenge") {
		t.Errorf("who passed: %s by %s: %s", v.Action, v.Rule, v.Reason)
	}

	// Nobody is remembered for all who have no number.
	if v := call("anonymous", eslbridge.KeyedRight); v.Action != "challenge" || v.Challenge.Refuse != 0 || v.Challenge.Failed.File != "" {
		t.Errorf("%s %+v", v.Action, v.Challenge)
	}
	if v := call("anonymous", eslbridge.KeyedNothing); v.Action != "challenge" {
		t.Errorf("a second withheld caller: %s", v.Action)
	}
	if v := call("95201234", eslbridge.NotAsked); !strings.HasSuffix(v.Whisper, "/whisper-suspected.wav") {
		t.Errorf("whisper %q", v.Whisper)
	}
}

// Two calls at once use a grace once.
func TestGraceOnce(t *testing.T) {
	d := start(t, installation(t, challengePolicy)).desk
	f := &eslbridge.Facts{Number: "95211613", FromUser: "95211613"}
	v := d.Screen(f)
	d.Record(f, &v, eslbridge.Result{Keyed: eslbridge.KeyedNothing})
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
	f := &eslbridge.Facts{Number: "95211613", FromUser: "95211613"}
	if v := d.Screen(f); v.Action != "allow" || v.Challenge != nil || v.Would != "challenge" {
		t.Errorf("%+v", v)
	}
}

// The table of callers is bounded, and what no longer counts makes room.
func TestChallengedBound(t *testing.T) {
	var m challenged
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for i := range maxChallenged {
		m.note(strconv.Itoa(i), eslbridge.KeyedNothing, at)
	}
	const n = "+8613800138000"
	if kept := m.note(n, eslbridge.KeyedRight, at); kept || m.dropped != 1 {
		t.Errorf("%d callers, %d dropped", len(m.callers), m.dropped)
	}
	m.forget(at.Add(time.Hour), at.Add(time.Hour))
	if kept := m.note(n, eslbridge.KeyedRight, at); !kept || len(m.callers) != 1 {
		t.Errorf("%d callers after the old ones went", len(m.callers))
	}
}
