package standin

import (
	"slices"
	"strings"
	"testing"
)

// disconnect expects a disconnect notice next.
func (p *peer) disconnect(disposition string) {
	p.t.Helper()
	f := p.next()
	if f.get("Content-Type") != "text/disconnect-notice" || f.get("Content-Disposition") != disposition {
		p.t.Errorf("%v, want a notice (%s)", f, disposition)
	}
}

// TestFirstCommand: whatever comes before connect is done, but never answered.
func TestFirstCommand(t *testing.T) {
	r := screen(t, mobile("1000"), func(p *peer) {
		p.send("sendmsg\ncall-command: execute\nexecute-app-name: set\nexecute-app-arg: a=b", "connect")
		if f := p.next(); f.get("variable_a") != "b" {
			t.Errorf("first frame %v", f.head[:1])
		}
		p.send("exit")
		p.rest()
	})
	if !contains(r.ProtocolErrors, "before connect") {
		t.Errorf("errors %q", r.ProtocolErrors)
	}
}

// TestPipelined writes everything at once, with CRLF, and gets the replies in order.
func TestPipelined(t *testing.T) {
	for _, mode := range modes[:2] {
		c := mobile("1000")
		c.Async, c.Resume = mode.async, mode.resume
		r := screen(t, c, func(p *peer) {
			p.send("connect\r\n\r\n\r\n\r\ngetvar direction\r\n\r\nsendmsg\r\ncall-command: execute\r\nexecute-app-name: set\r\nexecute-app-arg: a=b\r\n\r\nexit\r\n\r")
			all := p.rest()
			var texts []string
			for _, f := range all {
				texts = append(texts, f.get("Reply-Text"))
			}
			if want := []string{"%2BOK%0A", "inbound", "+OK", "+OK bye", ""}; !slices.Equal(texts, want) {
				t.Errorf("%s: replies %q, want %q", mode.name, texts, want)
			}
		})
		if !r.Rang || r.Vars["a"] != "b" || len(r.Commands) != 4 || len(r.ProtocolErrors) > 0 || r.FirstAnswer <= 0 || r.ReplyAt <= 0 {
			t.Errorf("%s: %+v", mode.name, r)
		}
	}
}

// TestBrokenLines finds out a daemon whose values break out of their lines.
func TestBrokenLines(t *testing.T) {
	for sent, want := range map[string]string{
		"foo":                                "unknown command",
		"api nosuch":                         "nosuch",
		"exit\nX: y":                         "lines of its own",
		"sendmsg":                            "without call-command",
		"sendmsg 1234\ncall-command: hangup": "another call",
		"sendmsg\ncall-command: execute\nexecute-app-name: log\nexecute-app-arg: a\rb": "carriage return",
		"sendmsg\ncall-command: execute\nexecute-app-name: log\nexecute-app-arg: a\nb": "is no header",
		"sendmsg\ncall-command: execute\nexecute-app-name: log\nX-Evil: b":             "header \"X-Evil\"",
		"sendmsg\ncall-command: dance":                                                 "dance",
	} {
		r := screen(t, mobile("1000"), func(p *peer) { p.connect(); p.send(sent, "exit"); p.rest() })
		if !contains(r.ProtocolErrors, want) {
			t.Errorf("%q: errors %q, want one with %q", sent, r.ProtocolErrors, want)
		}
	}
}

// TestEvents subscribes, filters and stops in async mode.
func TestEvents(t *testing.T) {
	c := async(mobile("1000"), true)
	screen(t, c, func(p *peer) {
		p.connect()
		for command, want := range map[string]string{
			"event plain CHANNEL_EXECUTE_COMPLETE BACKGROUND_JOB": "+OK event listener enabled plain",
			"filter Application set":                              "+OK filter added. [Application]=[set]",
		} {
			if got := p.ask(command); got != want {
				t.Errorf("%s: %q", command, got)
			}
		}
		p.execute("log", "INFO x")
		p.execute("set", "a=b")
		f := p.next()
		if e := f.event(); e.get("Application") != "set" || e.get("Application-Data") != "a%3Db" {
			t.Errorf("event %v", f)
		}
		if f.head[0].Name != "Content-Length" || f.head[1].Name != "Content-Type" {
			t.Errorf("an event begins %v", f.head)
		}
		if got := p.ask("filter delete all"); got != "+OK filter deleted. [all][]" {
			t.Errorf("filter delete: %q", got)
		}
		p.send("bgapi echo hello\nJob-UUID: job-1")
		if got := p.next(); got.get("Job-UUID") != "job-1" {
			t.Errorf("bgapi: %v", got)
		}
		if e := p.event("BACKGROUND_JOB", ""); e.get("Job-UUID") != "job-1" || e.body != "hello" {
			t.Errorf("job %v", e)
		}
		for command, want := range map[string]string{
			"noevents": "+OK no longer listening for events",
		} {
			if got := p.ask(command); got != want {
				t.Errorf("%s: %q", command, got)
			}
		}
		p.execute("set", "a=c")
		p.send("exit")
		if all := p.rest(); len(all) != 2 {
			t.Errorf("after noevents: %v", all)
		}
	})
}

// TestOneByteAnswer is the api answer that trips careless readers.
func TestOneByteAnswer(t *testing.T) {
	screen(t, mobile("1000"), func(p *peer) {
		p.connect()
		p.ask("api uuid_setvar " + p.uuid + " one 1")
		if got := p.ask("api uuid_getvar " + p.uuid + " one"); got != "1" {
			t.Errorf("%q", got)
		}
		for command, want := range map[string]string{
			"api uuid_getvar " + p.uuid + " none":          "_undef_",
			"api uuid_getvar 0-0 one":                      "-ERR No such channel!\n",
			"api uuid_getvar":                              "-USAGE: <uuid> <var>\n",
			"api uuid_setvar " + p.uuid:                    "-USAGE: <uuid> <var> [value]\n",
			"api uuid_setvar 0-0 a b":                      "-ERR No such channel!\n",
			"api uuid_setvar_multi " + p.uuid + " a=1;b=2": "+OK\n",
			"api uuid_exists " + p.uuid:                    "true",
			"api echo ":                                    "-ERR no reply\n",
			"api uuid_kill " + p.uuid + " USER_BUSY":       "+OK\n",
		} {
			if strings.Contains(command, "kill") {
				defer func() {
					if got := p.ask(command); got != want {
						t.Errorf("%s: %q", command, got)
					}
					p.rest()
				}()
				continue
			}
			if got := p.ask(command); got != want {
				t.Errorf("%s: %q, want %q", command, got, want)
			}
		}
	})
}
