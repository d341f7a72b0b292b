package eslbridge

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/bridge/bridgetest"
)

// drive answers commands as a switch does until the daemon has left, and returns those that are not the five
// variables every call gets. What the caller keys in at each `read` comes from keys;
// "hangs up" ends the call there.
func (p *peer) drive(async bool, keys ...string) (got []string) {
	p.t.Helper()
	task := 41
	pressed := ""
	for {
		cmd := p.command()
		if cmd == "" {
			return got
		}
		shown := cmd
		if list, ok := strings.CutPrefix(cmd, "api uuid_setvar_multi "); ok { // without what every call gets
			_, list, _ = strings.Cut(list, " ")
			var rest []string
			for _, v := range strings.Split(list, ";") {
				if !strings.HasPrefix(v, "ringfence_") {
					rest = append(rest, v)
				}
			}
			shown = strings.Join(rest, ";")
		}
		if shown != "" {
			got = append(got, shown)
		}
		switch {
		case cmd == "exit":
			p.say(bye + farewell)
			p.conn.(*net.TCPConn).CloseWrite()
		case strings.HasPrefix(cmd, "getvar "):
			if pressed == "" {
				pressed = "-ERR command not found" // what a switch says of an empty reply
			}
			p.say("Content-Type: command/reply\nReply-Text: " + pressed + "\n\n")
		case strings.HasPrefix(cmd, "api "):
			p.say(apiOK)
		case strings.Contains(cmd, "execute-app-name: respond"), strings.Contains(cmd, "hangup"):
			p.say(ok + farewell)
			p.conn.(*net.TCPConn).CloseWrite()
		case strings.Contains(cmd, "execute-app-name: "):
			app, _, _ := strings.Cut(strings.SplitAfterN(cmd, "execute-app-name: ", 2)[1], "|")
			var more []string
			switch app {
			case "sched_transfer":
				task++
				more = []string{fmt.Sprintf("variable_last_sched_id: %d", task)}
			case "read":
				pressed = ""
				if len(keys) > 0 {
					pressed, keys = keys[0], keys[1:]
				}
				if pressed == "hangs up" {
					p.say(farewell)
					return got
				}
				if pressed != "" {
					more = []string{"variable_ringfence_keys: " + pressed}
				}
			}
			if !async {
				p.say(ok)
				continue
			}
			// A real switch was seen to send events before the reply.
			p.say(event("Event-Name: CHANNEL_EXECUTE", "Application: "+app, "Application-UUID: ringfence-step"))
			p.say(ok)
			p.say(event("Event-Name: CHANNEL_EXECUTE_COMPLETE", "Application: other", "Application-UUID: else"))
			p.say(event(append(more, "Event-Name: CHANNEL_EXECUTE_COMPLETE", "Application: "+app, "Application-UUID: ringfence-step")...))
		default:
			p.say(ok)
		}
	}
}

const (
	nowait = "|event-lock: true"
	step   = nowait + "|Event-UUID: ringfence-step"
)

// execs is a command as drive returns it.
func execs(app, arg, end string) string {
	if arg != "" {
		arg = "|execute-app-arg: " + arg
	}
	return "sendmsg|call-command: execute|execute-app-name: " + app + arg + end
}

var (
	inAsync = []string{"Socket-Mode: async", "variable_socket_resume: true"}
	guarded = append([]string{"variable_ringfence_guard_task: 41", "variable_ringfence_guard_to: 2001%20XML%20ringfence-open"}, inAsync...)
)

// What the caller hears and is asked, command by command.
//
// long: because each row of its table is a conversation, and rows are read beside each other.
func TestPlaying(t *testing.T) {
	uuid := uuidOf(t)
	setvar := func(name, value string) string { return "api uuid_setvar " + uuid + " " + name + " " + value }
	warn := bridge.Verdict{ID: "X", Action: "warn", Would: "warn", Rule: "r", Reason: "y", Play: bridge.Sound{Files: []string{"/s/w.wav"}, Length: time.Second}}
	answered, refused, ringing, whispered := warn, warn, warn, warn
	ringing.Ringing = "CN"
	answered.Answer, refused.Refuse = true, 603
	both := answered
	both.Refuse = 603
	whispered.Play, whispered.Whisper = bridge.Sound{}, "/s/h.wav"
	spaced := whispered
	spaced.Whisper = "/s/h h.wav"
	shown := bridge.Verdict{ID: "X", Action: "allow", ShowName: "N", ShowNumber: "13800138000"}
	redress := bridge.Verdict{ID: "X", Action: "reject", Refuse: 608, Refusal: bridge.Refusal{CallInfo: "<https://example.com/j>;purpose=jwscard"}}
	analytics := bridge.Verdict{ID: "X", Action: "reject", Refuse: 603, Refusal: bridge.Refusal{Reason: `Q.850;cause=21;text="v=analytics1"`, Phrase: "Network Blocked"}}

	asked := bridge.Verdict{ID: "X", Action: "challenge", Answer: true, Ringing: "JP", Challenge: &bridge.Challenge{
		Tries:  []bridge.Question{{Prompt: bridge.Sounds(bridge.Sound{Files: []string{"/s/i.wav"}, Length: time.Second}, bridge.Sound{Files: []string{"/s/7.wav"}, Length: time.Second}), Want: "7"}, {Prompt: bridge.Sound{Files: []string{"/s/a.wav"}, Length: time.Second}, Want: "23"}},
		Passed: bridge.Sound{Files: []string{"/s/p.wav"}, Length: time.Second}, Failed: bridge.Sound{Files: []string{"/s/f.wav"}, Length: time.Second}, Refuse: 603,
	}}
	open := asked
	openChallenge := *asked.Challenge
	openChallenge.Refuse = 0
	open.Challenge = &openChallenge
	early := asked
	early.Answer = false
	spacedChallenge := early
	spacedChallenge.Challenge = &bridge.Challenge{Tries: []bridge.Question{{Prompt: bridge.Sound{Files: []string{"/a b/i.wav"}, Length: 0}, Want: "1"}}}

	read1 := execs("read", "1 1 file_string:///s/i.wav!/s/7.wav ringfence_keys 5000 # 3000", step)
	read2 := execs("read", "2 2 /s/a.wav ringfence_keys 5000 # 3000", step)
	tones := "ringback=%(1000,2000,400);transfer_ringback=%(1000,2000,400)"
	playback := func(file string) string { return execs("playback", file, step) }
	guard := func(from, seconds int) []string {
		return []string{
			execs("sched_transfer", fmt.Sprintf("+%d 2001 XML ringfence-open", seconds), step), fmt.Sprintf("api sched_del %d", from),
			setvar("ringfence_guard_task", fmt.Sprint(from+1)),
		}
	}
	hangup := "sendmsg|call-command: hangup|hangup-cause: CALL_REJECTED"
	getvar := "getvar ringfence_keys"
	answer := execs("answer", "", step)
	list := func(parts ...any) (all []string) {
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				all = append(all, p)
			case []string:
				all = append(all, p...)
			}
		}
		return all
	}
	for name, c := range map[string]struct {
		reply   []string
		verdict bridge.Verdict
		keys    []string
		want    []string
		keyed   bridge.Keyed
		hungUp  bool
		fails   string
	}{
		"sync, early media":   {verdict: warn, want: list(playback("/s/w.wav"), "exit")},
		"sync, with ringback": {verdict: ringing, want: list("ringback=%(1000,4000,450);transfer_ringback=%(1000,4000,450)", playback("/s/w.wav"), "exit")},
		"sync, with the administrator's ringback": {
			reply: []string{"variable_ringback: his"}, verdict: ringing,
			want: list(playback("/s/w.wav"), "exit"),
		},
		"sync, answered":             {verdict: answered, want: list(answer, playback("/s/w.wav"), "exit")},
		"sync, then refused":         {verdict: refused, want: list(playback("/s/w.wav"), execs("respond", "603 Decline", nowait))},
		"sync, answered, then ended": {verdict: both, want: list(answer, playback("/s/w.wav"), hangup)},
		"async":                      {reply: inAsync, verdict: warn, want: list("myevents", playback("/s/w.wav"), "exit")},
		"async under a guard":        {reply: guarded, verdict: warn, want: list("myevents", guard(41, 3), playback("/s/w.wav"), "exit")},

		"name and number shown": {verdict: shown, want: list(setvar("effective_caller_id_name", "N"), setvar("effective_caller_id_number", "13800138000"), "exit")},
		"whisper": {verdict: whispered, want: list(
			"group_confirm_key=exec;group_confirm_file=execute_extension /s/h.wav XML ringfence-whisper;group_confirm_cancel_timeout=true", "exit")},
		"whisper, but the administrator confirms": {verdict: whispered, reply: []string{"variable_group_confirm_key: 1"}, want: list("exit")},
		"whisper from a folder with a space":      {verdict: spaced, want: list("exit")},
		"with a redress address": {verdict: redress, want: list(execs("set", "sip_rh_Call-Info=<https://example.com/j>;purpose=jwscard", nowait),
			execs("respond", "608 Rejected", nowait))},
		"blocked by analytics": {verdict: analytics, want: list(execs("set", `sip_reason=Q.850;cause=21;text="v=analytics1"`, nowait),
			execs("respond", "603 Network Blocked", nowait))},

		"challenge, sync, passed at once": {
			verdict: asked, keys: []string{"7"}, keyed: bridge.KeyedRight,
			want: list(tones, answer, read1, getvar, playback("/s/p.wav"), "exit"),
		},
		"challenge, sync, no keys": {
			verdict: asked, keyed: bridge.KeyedNothing,
			want: list(tones, answer, read1, getvar, read2, getvar, playback("/s/f.wav"), hangup),
		},
		"challenge, async, passed at once": {
			reply: inAsync, verdict: asked, keys: []string{"7"}, keyed: bridge.KeyedRight,
			want: list(tones, "myevents", answer, read1, playback("/s/p.wav"), "exit"),
		},
		"challenge, async under a guard, passed second": {
			reply: guarded, verdict: asked, keys: []string{"", "23"}, keyed: bridge.KeyedRight,
			want: list(tones, "myevents", answer, guard(41, 9), read1, guard(42, 11), read2, guard(43, 3), playback("/s/p.wav"), "exit"),
		},
		"challenge, wrong": {
			reply: inAsync, verdict: asked, keys: []string{"8", "2"}, keyed: bridge.KeyedWrong,
			want: list(tones, "myevents", answer, read1, read2, playback("/s/f.wav"), hangup),
		},
		"challenge, wrong, then nothing": {
			reply: inAsync, verdict: asked, keys: []string{"8"}, keyed: bridge.KeyedWrong,
			want: list(tones, "myevents", answer, read1, read2, playback("/s/f.wav"), hangup),
		},
		"challenge, wrong, but let through": {
			reply: inAsync, verdict: open, keys: []string{"8", "32"}, keyed: bridge.KeyedWrong,
			want: list(tones, "myevents", answer, read1, read2, playback("/s/f.wav"), "exit"),
		},
		"challenge in early media, wrong": {
			reply: inAsync, verdict: early, keys: []string{"8", "32"}, keyed: bridge.KeyedWrong,
			want: list(tones, "myevents", read1, read2, playback("/s/f.wav"), execs("respond", "603 Decline", nowait)),
		},
		"challenge, hung up at once":     {reply: inAsync, verdict: asked, keys: []string{"hangs up"}, keyed: bridge.KeyedLeft, hungUp: true, want: list(tones, "myevents", answer, read1)},
		"challenge, hung up after wrong": {reply: inAsync, verdict: asked, keys: []string{"9", "hangs up"}, keyed: bridge.KeyedWrong, hungUp: true, want: list(tones, "myevents", answer, read1, read2)},
		"challenge, what are no keys": {
			reply: inAsync, verdict: asked, keys: []string{"7%0A", "23"}, keyed: bridge.KeyedRight,
			want: list(tones, "myevents", answer, read1, read2, playback("/s/p.wav"), "exit"),
		},
		"challenge from a folder with a space": {reply: inAsync, verdict: spacedChallenge, fails: bridge.FailCommand, want: list(tones, "myevents", "exit")},
	} {
		t.Run(name, func(t *testing.T) {
			d := &bridgetest.Screener{Decide: bridgetest.Always(c.verdict), Results: make(chan bridgetest.Result, 1)}
			_, addr := serve(t, d, bridge.Options{})
			p := dial(t, addr)
			p.command()
			p.say(connectReply(t, c.reply...))
			got := p.drive(strings.Contains(fmt.Sprint(c.reply), "async"), c.keys...)
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("commands\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if r := <-d.Results; r.FailOpen != c.fails || r.HungUp != c.hungUp || r.Keyed != c.keyed {
				t.Errorf("recorded %+v", r.Result)
			}
		})
	}
}

// Our own deadline lies before the switch's guard at its earliest, and the guard at its latest within three
// seconds of the step, whatever the step's length.
func TestGuardOfAStep(t *testing.T) {
	for length := time.Duration(0); length < 20*time.Second; length += 37 * time.Millisecond {
		seconds := guardSeconds(length)
		earliest := time.Duration(seconds-1) * time.Second
		latest := time.Duration(seconds)*time.Second + 500*time.Millisecond
		if deadline := earliest - guardHair; deadline < length+300*time.Millisecond || latest > length+3*time.Second {
			t.Errorf("a step of %v: guard of %d s, from %v to %v, deadline %v", length, seconds, earliest, latest, deadline)
		}
	}
}

func TestReport(t *testing.T) {
	ask := bridge.Sound{Files: []string{"/s/q.wav"}, Length: time.Second}
	read := execs("read", "1 1 /s/q.wav ringfence_keys 5000 # 3000", step)
	answer := execs("answer", "", step)
	for name, c := range map[string]struct {
		keys    []string
		confirm func(context.Context) bridge.Sound
		want    []string
	}{
		"confirmed": {
			keys: []string{"1"}, confirm: func(context.Context) bridge.Sound {
				return bridge.Sound{Files: []string{"/s/d.wav"}, Length: time.Second}
			},
			want: []string{"myevents", answer, read, execs("playback", "/s/d.wav", step), "exit"},
		},
		"another key":       {keys: []string{"2"}, confirm: func(context.Context) bridge.Sound { panic("not asked for") }, want: []string{"myevents", answer, read, "exit"}},
		"no key":            {confirm: func(context.Context) bridge.Sound { panic("not asked for") }, want: []string{"myevents", answer, read, "exit"}},
		"nothing to report": {want: []string{"myevents", answer, execs("playback", "/s/q.wav", step), "exit"}},
		"the disk hangs": {
			keys: []string{"1"}, confirm: func(ctx context.Context) bridge.Sound { <-t.Context().Done(); return bridge.Sound{} },
			want: []string{"myevents", answer, read, "exit"},
		},
		"a fault": {keys: []string{"1"}, confirm: func(ctx context.Context) bridge.Sound { panic("a bug") }, want: []string{"myevents", answer, read, "exit"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &bridgetest.Screener{Inquiry: bridge.Inquiry{Prompt: ask, Key: "1", Confirm: c.confirm}}
			s, addr := serve(t, d, bridge.Options{})
			p := dial(t, addr)
			p.command()
			p.say(connectReply(t, append([]string{"variable_ringfence_intent: report"}, inAsync...)...))
			got := p.drive(true, c.keys...)
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("commands\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if s.Counters.Reports.Load() != 1 || s.Counters.Screened.Load() != 0 {
				t.Errorf("%d reports, %d screened", s.Counters.Reports.Load(), s.Counters.Screened.Load())
			}
		})
	}
}
