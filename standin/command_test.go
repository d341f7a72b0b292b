package standin

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRefusals(t *testing.T) {
	tests := []struct {
		command string // sendmsg's lines, or an application and its argument
		sip     int
		phrase  string
		cause   string
	}{
		{"call-command: hangup\nhangup-cause: CALL_REJECTED", 603, "Decline", "CALL_REJECTED"},
		{"call-command: hangup", 480, "Temporarily Unavailable", "NORMAL_CLEARING"},
		{"hangup CALL_REJECTED", 603, "Decline", "CALL_REJECTED"},
		{"hangup USER_BUSY", 486, "Busy Here", "USER_BUSY"},
		{"hangup UNALLOCATED_NUMBER", 404, "Not Found", "UNALLOCATED_NUMBER"},
		{"hangup NO_ANSWER", 480, "Temporarily Unavailable", "NO_ANSWER"},
		{"hangup", 480, "Temporarily Unavailable", "NORMAL_CLEARING"},
		{"hangup 603", 480, "Temporarily Unavailable", "UNKNOWN"},
		{"respond 603 Decline", 603, "Decline", "CALL_REJECTED"},
		{"respond 603 Network Blocked", 603, "Network Blocked", "CALL_REJECTED"},
		{"respond 600 Busy Everywhere", 600, "Busy Everywhere", "USER_BUSY"},
		{"respond 607 Unwanted", 607, "Unwanted", "UNWANTED"},
		{"respond 608 Rejected", 608, "Rejected", "CALL_REJECTED"},
		{"respond 608", 608, "Because", "CALL_REJECTED"},
		{"respond 403", 403, "Forbidden", "CALL_REJECTED"},
		{"respond 404 Not Found", 404, "Not Found", "UNALLOCATED_NUMBER"},
		{"respond 480 Temporarily Unavailable", 480, "Temporarily Unavailable", "NO_USER_RESPONSE"},
		{"respond 486 Busy Here", 486, "Busy Here", "USER_BUSY"},
		{"respond nonsense", 488, "Not Acceptable Here", "INCOMPATIBLE_DESTINATION"},
		{"no_such_application", 502, "Bad Gateway", "DESTINATION_OUT_OF_ORDER"},
	}
	for _, mode := range modes[:2] {
		for _, test := range tests {
			t.Run(mode.name+", "+test.command, func(t *testing.T) {
				t.Parallel()
				c := mobile("1000")
				c.Async, c.Resume = mode.async, mode.resume
				r := screen(t, c, func(p *peer) {
					p.connect()
					if strings.HasPrefix(test.command, "call-command") {
						p.ask("sendmsg\n" + test.command)
					} else {
						app, arg, _ := strings.Cut(test.command, " ")
						p.execute(app, arg)
					}
					all := p.rest()
					if len(all) != 1 || all[0].get("Content-Type") != "text/disconnect-notice" {
						t.Errorf("after the hangup: %v", all)
					}
				})
				if r.Rang || r.Stuck || r.SIP != test.sip || r.Phrase != test.phrase || r.Cause != test.cause {
					t.Errorf("rang %v, stuck %v, %d %s, %s; want %d %s, %s", r.Rang, r.Stuck, r.SIP, r.Phrase, r.Cause, test.sip, test.phrase, test.cause)
				}
				if unknown := test.sip == 502; unknown != contains(r.ProtocolErrors, "no_such_application") {
					t.Errorf("protocol errors %q", r.ProtocolErrors)
				}
			})
		}
	}
}

// TestAnswered: an answered call has no status left to be refused with.
func TestAnswered(t *testing.T) {
	for _, before := range []bool{true, false} {
		c := mobile("1000")
		c.Answered = before
		r := screen(t, c, func(p *peer) {
			p.send("connect")
			want := map[bool]string{true: "answered", false: "ringing"}[before]
			if state := p.next().get("Answer-State"); state != want {
				t.Errorf("Answer-State %q, want %q", state, want)
			}
			p.execute("answer", "")
			p.ask("sendmsg\ncall-command: hangup\nhangup-cause: CALL_REJECTED")
			p.rest()
		})
		if !r.Answered || r.SIP != 200 || r.Cause != "CALL_REJECTED" || r.EarlyMedia {
			t.Errorf("answered %v, %d, %s, early media %v", r.Answered, r.SIP, r.Cause, r.EarlyMedia)
		}
	}
}

func TestPlayback(t *testing.T) {
	const length = 200 * time.Millisecond
	file := wav(t, length)
	for _, mode := range modes[:2] {
		for _, speed := range []float64{1, 4} {
			c := mobile("1000")
			c.Async, c.Resume = mode.async, mode.resume
			var took time.Duration
			r, err := meet(t, &Switch{Speed: speed}, c, func(p *peer) {
				p.connect()
				if mode.async {
					p.ask("myevents")
				}
				start := time.Now()
				p.send("sendmsg\ncall-command: execute\nexecute-app-name: playback\nexecute-app-arg: " + file + "\nEvent-UUID: step-1")
				p.next()
				if mode.async {
					if now := time.Since(start); now > length/2 && speed == 1 {
						t.Errorf("the reply of async mode came after %v", now)
					}
					e := p.event("CHANNEL_EXECUTE_COMPLETE", "playback")
					if e.get("Application-UUID") != "step-1" || e.get("Application-Response") != "FILE%20PLAYED" {
						t.Errorf("completion %q %q", e.get("Application-UUID"), e.get("Application-Response"))
					}
				}
				took = time.Since(start)
				p.send("exit")
				p.rest()
			})
			want := time.Duration(float64(length) / speed)
			if err != nil || !r.Rang || !r.EarlyMedia || r.Answered || !slices.Equal(r.Played, []string{file}) || len(r.ProtocolErrors) > 0 {
				t.Errorf("%s: %v %+v", mode.name, err, r)
			}
			if took < want || took > want+2*time.Second {
				t.Errorf("%s at speed %v: playback took %v, want %v", mode.name, speed, took, want)
			}
		}
	}

	r := screen(t, mobile("1000"), func(p *peer) {
		p.connect()
		if got := p.execute("playback", "/no/such/file.wav"); got != "+OK" {
			t.Errorf("missing file: %q", got)
		}
		p.send("exit")
		p.rest()
	})
	if !r.Rang || !r.EarlyMedia || !contains(r.ProtocolErrors, "/no/such/file.wav") {
		t.Errorf("missing file: rang %v, early media %v, %q", r.Rang, r.EarlyMedia, r.ProtocolErrors)
	}
}

func TestSoundLength(t *testing.T) {
	file := wav(t, 250*time.Millisecond)
	for name, want := range map[string]time.Duration{
		file:                           250 * time.Millisecond,
		"{vol=1}" + file:               250 * time.Millisecond,
		"silence_stream://1500":        1500 * time.Millisecond,
		"silence_stream://1500,1400":   1500 * time.Millisecond,
		"tone_stream://%(300,100,800)": 400 * time.Millisecond,
		"file_string://" + file + "!silence_stream://50": 300 * time.Millisecond,
	} {
		if got, ok := soundLength(name); !ok || got != want {
			t.Errorf("%s: %v %v, want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "/no/such.wav", "channel_test.go", "silence_stream://x", "shout://radio"} {
		if got, ok := soundLength(name); ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestVariables sets them literally and through `set`.
func TestVariables(t *testing.T) {
	tests := []struct {
		how, value, want string
		ran              string // an API command that would have run
		armed            bool
	}{
		{how: "api", value: "plain", want: "plain"},
		{how: "api", value: "two  words ", want: "two  words"},
		{how: "api", value: "it's", want: "it's"},
		{how: "api", value: "a 'quoted one' here", want: "a quoted one here"},
		{how: "api", value: `back\\slash\nline\xstays`, want: "back\\slash\nline\\xstays"},
		{how: "api", value: `say \"x\" \'y\'`, want: `say "x" 'y'`},
		{how: "api", value: "${system(touch /tmp/x)}", want: "${system(touch /tmp/x)}", armed: true},
		{how: "api", value: "", want: ""},
		{how: "set", value: "plain", want: "plain"},
		{how: "set", value: "=x", want: "=x"},
		{how: "set", value: "it's", want: "it's"},
		{how: "set", value: `a\'b`, want: "ab"},
		{how: "set", value: "to ${destination_number}!", want: "to 1000!"},
		{how: "set", value: "${caller_id_number:3:4}", want: "0013"},
		{how: "set", value: "${caller_id_number:-3}", want: "000"},
		{how: "set", value: "x ${system(touch /tmp/x)} y", want: "x  y", ran: "system(touch /tmp/x)"},
		{how: "set", value: `\${system(touch /tmp/x)}`, want: "", ran: "system(touch /tmp/x)"},
		{how: "set", value: `\\\${system(touch /tmp/x)}`, want: "${system(touch /tmp/x)}", armed: true},
		{how: "set", value: "${holds}", want: "", ran: "system(id)"},
		{how: "set", value: "${system echo (a (b))}", want: "", ran: "system(echo (a (b)))"},
		{how: "set", value: "$ {no} $x", want: "$ {no} $x"},
	}
	for _, test := range tests {
		t.Run(test.how+" "+test.value, func(t *testing.T) {
			c := mobile("1000")
			c.Vars = map[string]string{"holds": "${system(id)}"}
			r := screen(t, c, func(p *peer) {
				p.connect()
				if test.how == "api" {
					if got := p.ask("api uuid_setvar " + p.uuid + " v " + test.value); got != "+OK\n" {
						t.Errorf("reply %q", got)
					}
				} else if got := p.execute("set", "v="+test.value); got != "+OK" {
					t.Errorf("reply %q", got)
				}
				p.send("exit")
				p.rest()
			})
			if r.Vars["v"] != test.want {
				t.Errorf("%q, want %q", r.Vars["v"], test.want)
			}
			if test.ran == "" && len(r.Expanded) > 0 || test.ran != "" && !contains(r.Expanded, test.ran) {
				t.Errorf("would have run %q, want %q", r.Expanded, test.ran)
			}
			if armed := contains(r.Armed, "v"); armed != test.armed {
				t.Errorf("armed %v, want %v", armed, test.armed)
			}
		})
	}
}

func TestShown(t *testing.T) {
	c := mobile("1000")
	leave := func(p *peer) { p.connect(); p.send("exit"); p.rest() }
	if r := screen(t, c, leave); r.ShownName != "张三" || r.ShownNumber != "13800138000" {
		t.Errorf("shown %q %q", r.ShownName, r.ShownNumber)
	}
	r := screen(t, c, func(p *peer) {
		p.connect()
		p.ask("api uuid_setvar " + p.uuid + " effective_caller_id_name 推销 张三")
		p.send("exit")
		p.rest()
	})
	if r.ShownName != "推销 张三" || r.Vars["effective_caller_id_name"] != "推销 张三" {
		t.Errorf("shown %q", r.ShownName)
	}
}

// TestHostileName: FreeSWITCH takes the sting out of a display name, and does
// not set variables that hold one.
func TestHostileName(t *testing.T) {
	c := Call{From: "95211234", Display: "${system(touch /tmp/x)}", To: "1000"}
	r := screen(t, c, func(p *peer) {
		p.send("connect")
		f := p.next()
		if got := f.get("Caller-Caller-ID-Name"); got != "%25%7Bsystem(touch%20/tmp/x)%7D" {
			t.Errorf("name %q", got)
		}
		for _, name := range []string{"variable_sip_from_display", "variable_sip_full_from"} {
			if got := f.get(name); got != "" {
				t.Errorf("%s: %q", name, got)
			}
		}
		if got := p.ask("getvar caller_id_name"); got != "%{system(touch /tmp/x)}" {
			t.Errorf("getvar %q", got)
		}
		p.send("exit")
		p.rest()
	})
	if len(r.Expanded) > 0 || len(r.Armed) > 0 {
		t.Errorf("expanded %q, armed %q", r.Expanded, r.Armed)
	}
}

func TestNotFull(t *testing.T) {
	c := mobile("1000")
	c.NotFull = true
	r := screen(t, c, func(p *peer) {
		p.send("connect")
		f := p.next()
		if f.get("Control") != "single-channel" || f.get("variable_current_application_data") == "" ||
			strings.Contains(f.get("variable_current_application_data"), "full") {
			t.Errorf("control %q, %q", f.get("Control"), f.get("variable_current_application_data"))
		}
		for _, command := range []string{"api status", "bgapi status", "linger", "event plain ALL"} {
			if got := p.ask(command); got != "-ERR command not found" {
				t.Errorf("%s: %q", command, got)
			}
		}
		for _, command := range []string{"myevents", "getvar direction", "sendmsg\ncall-command: execute\nexecute-app-name: set\nexecute-app-arg: a=b"} {
			if got := p.ask(command); strings.HasPrefix(got, "-ERR") {
				t.Errorf("%s: %q", command, got)
			}
		}
		p.send("exit")
		p.rest()
	})
	if r.Vars["a"] != "b" || !contains(r.ProtocolErrors, "without full") {
		t.Errorf("vars %v, errors %q", r.Vars, r.ProtocolErrors)
	}
}

// TestGiveUp is the caller's CANCEL while the daemon has the call.
func TestGiveUp(t *testing.T) {
	file := wav(t, 5*time.Second)
	tests := []struct {
		name   string
		async  bool
		daemon func(p *peer)
	}{
		{"sync", false, func(p *peer) { p.connect(); p.disconnect("disconnect") }},
		{"sync, before connect", false, func(p *peer) { p.disconnect("disconnect") }},
		{"sync, in a playback", false, func(p *peer) {
			p.connect()
			if got := p.execute("playback", file); got != "+OK" {
				p.t.Errorf("playback %q", got)
			}
			p.disconnect("disconnect")
		}},
		{"sync, lingering", false, func(p *peer) {
			p.connect()
			p.ask("linger")
			p.disconnect("linger")
			if got := p.ask("api uuid_getvar " + p.uuid + " direction"); got != "-ERR No such channel!\n" {
				p.t.Errorf("the channel is still there: %q", got)
			}
			p.send("exit")
			p.next()
			p.disconnect("disconnect")
		}},
		{"async", true, func(p *peer) { p.connect(); p.disconnect("disconnect") }},
		{"async, with events", true, func(p *peer) {
			p.connect()
			p.ask("myevents")
			e := p.event("CHANNEL_HANGUP", "")
			if e.get("Hangup-Cause") != "ORIGINATOR_CANCEL" {
				p.t.Errorf("hangup cause %q", e.get("Hangup-Cause"))
			}
			p.event("CHANNEL_HANGUP_COMPLETE", "")
			p.disconnect("disconnect")
		}},
		{"async, in a playback", true, func(p *peer) { p.connect(); p.execute("playback", file); p.disconnect("disconnect") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := mobile("1000")
			c.Async, c.Resume, c.CancelAfter = test.async, test.async, 60*time.Millisecond
			r := screen(t, c, test.daemon)
			if !r.Cancelled || r.Rang || r.Stuck || r.SIP != 487 || r.Cause != "ORIGINATOR_CANCEL" {
				t.Errorf("cancelled %v, rang %v, stuck %v, %d, %s", r.Cancelled, r.Rang, r.Stuck, r.SIP, r.Cause)
			}
		})
	}
}

func TestTransfer(t *testing.T) {
	for _, mode := range modes[:2] {
		c := mobile("1000")
		c.Async, c.Resume = mode.async, mode.resume
		r := screen(t, c, func(p *peer) {
			p.connect()
			p.execute("transfer", "voicemail XML default")
			p.send("exit")
			p.rest()
		})
		if r.Rang || r.Stuck || r.TransferredTo != "voicemail XML default" {
			t.Errorf("%s: rang %v, stuck %v, sent to %q", mode.name, r.Rang, r.Stuck, r.TransferredTo)
		}
	}
}

func TestEncoding(t *testing.T) {
	for value, want := range map[string]string{
		"+86 138":     "%2B86%20138",
		"a/b,c-d_e.f": "a/b,c-d_e.f",
		"100%":        "100%25",
		"%0A":         "%0A",
		"%0a %G1 %":   "%250a%20%25G1%20%25",
		"张":           "%E5%BC%A0",
		"\x7f\xff\t":  "%7F%FF%09",
		`<"a">;b=c`:   "%3C%22a%22%3E%3Bb%3Dc",
	} {
		if got := appendEncoded(nil, value); !bytes.Equal(got, []byte(want)) {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// TestGateway names the gateway as the switch does, and what the dialplan set comes along.
func TestGateway(t *testing.T) {
	c := Call{
		From: "10086", To: "4008001234", Gateway: "telecom", Profile: "external", Context: "inbound", Addr: "203.0.113.7",
		Vars: map[string]string{"ringfence_trunk": "telecom"}, Headers: []Header{{"variable_extra", "1 2"}},
	}
	screen(t, c, func(p *peer) {
		p.send("connect")
		f := p.next()
		for name, want := range map[string]string{
			"variable_sip_gateway":     "telecom",
			"variable_ringfence_trunk": "telecom",
			"variable_extra":           "1%202",
			"Caller-Network-Addr":      "203.0.113.7",
			"variable_sip_network_ip":  "203.0.113.7",
			"variable_sip_from_host":   "203.0.113.7",
			"Caller-Context":           "inbound",
			"Channel-Name":             "sofia/external/10086%40203.0.113.7",
		} {
			if got := f.get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		p.send("exit")
		p.rest()
	})
}
