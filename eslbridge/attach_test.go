package eslbridge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ringfence/attach"
	"ringfence/attach/attachtest"
)

// switchSocket is a switch's own event socket.
type switchSocket struct {
	t testing.TB
	*attachtest.Socket
}

func listenEvents(t testing.TB, address string) *switchSocket {
	t.Helper()
	return &switchSocket{t, attachtest.Listen(t, address)}
}

// accept takes the next connection.
func (s *switchSocket) accept() *peer {
	s.t.Helper()
	conn := s.Accept()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{t: s.t, conn: conn, rd: NewReader(conn, 0)}
}

const (
	greeting     = "Content-Type: auth/request\n\n"
	accepted     = "Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
	subscribed   = "Content-Type: command/reply\nReply-Text: +OK event listener enabled plain\n\n"
	subscription = "event plain CHANNEL_HANGUP_COMPLETE HEARTBEAT"
)

// admit lets the client in, as a switch does.
func (p *peer) admit() *peer {
	p.t.Helper()
	p.say(greeting)
	if c := p.command(); c != "auth measure-me" {
		p.t.Fatalf("the first command is %q", c)
	}
	p.say(accepted)
	if c := p.command(); c != subscription {
		p.t.Fatalf("the second command is %q", c)
	}
	p.say(subscribed)
	return p
}

// gone waits until the client has closed, and fails if it says anything before.
func (p *peer) gone() {
	p.t.Helper()
	if c := p.command(); c != "" {
		p.t.Fatalf("instead of its leaving: %q", c)
	}
}

// attachTo runs a client until the test ends. Its pauses are as short as they can be.
func attachTo(t testing.TB, o attach.Options, sink func(attach.CallEnd)) *attach.Client {
	t.Helper()
	if sink == nil {
		sink = func(attach.CallEnd) {}
	}
	a := attach.New(attachtest.Hasty(o), &EventSocket{Password: "measure-me"}, sink)
	attachtest.Run(t, a)
	return a
}

const heartbeat = "Content-Length: 46\nContent-Type: text/event-plain\n\nEvent-Name: HEARTBEAT\nEvent-Info: System%20R\n\n"

// Every recorded event arrives, in order, however the stream is cut, heartbeats between them.
func TestAttachLearnsEnds(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recordedEvents, "*.txt"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d recorded events (%v)", len(files), err)
	}
	var stream strings.Builder
	var want []attach.CallEnd
	for _, f := range files {
		text := recordedEvent(t, filepath.Base(f))
		e, _ := endOf(t, text)
		want = append(want, e)
		stream.WriteString(heartbeat + text)
	}
	for _, size := range []int{1 << 20, 4096, 1000} {
		sw := listenEvents(t, "127.0.0.1:0")
		ends := make(chan attach.CallEnd, len(want))
		a := attachTo(t, attach.Options{Address: sw.Address()}, func(e attach.CallEnd) { ends <- e })
		p := sw.accept().admit()
		for text := stream.String(); text != ""; {
			n := min(size, len(text))
			p.say(text[:n])
			text = text[n:]
		}
		for i, w := range want {
			if e := <-ends; e != w {
				t.Fatalf("%s arrived as\n%+v, want\n%+v", files[i], e, w)
			}
		}
		c := &a.Counters
		if n := uint64(len(want)); !a.Attached() || a.Trouble() != "" || c.Connects.Load() != 1 || c.Ends.Load() != n || c.Events.Load() != 2*n ||
			c.Dropped.Load()+c.Unreadable.Load()+c.UnknownFrames.Load()+c.Refused.Load() != 0 {
			t.Errorf("attached %v, %+v", a.Attached(), c)
		}
	}
}

// A switch that says odd things is listened to.
func TestAttachBearsWith(t *testing.T) {
	end := event("Event-Name: CHANNEL_HANGUP_COMPLETE", "Unique-ID: x")
	for name, c := range map[string]struct {
		before, behind string // what comes before the reply to the subscription, and what behind it
		count          func(c *attach.Counters) uint64
	}{
		"events before replies": {before: end + heartbeat, count: func(c *attach.Counters) uint64 { return c.Ends.Load() - 1 }},
		"unknown frames":        {before: "Content-Type: log/data\nContent-Length: 3\n\nabc", count: func(c *attach.Counters) uint64 { return c.UnknownFrames.Load() }},
		"unknown events":        {behind: event("Event-Name: CUSTOM"), count: func(c *attach.Counters) uint64 { return c.Events.Load() - 1 }},
		"an end of no call":     {behind: event("Event-Name: CHANNEL_HANGUP_COMPLETE"), count: func(c *attach.Counters) uint64 { return c.Unreadable.Load() }},
		"20,000 lines":          {behind: event("Event-Name: CHANNEL_HANGUP_COMPLETE", strings.Repeat("a: b\n", 20000)+"Unique-ID: z"), count: func(c *attach.Counters) uint64 { return c.Ends.Load() - 1 }},
		"12 MB":                 {behind: event("Event-Name: CHANNEL_HANGUP_COMPLETE", "variable_sip_h_X-A: "+strings.Repeat("%22", 4<<20), "Unique-ID: z"), count: func(c *attach.Counters) uint64 { return c.Ends.Load() - 1 }},
		"an empty event":        {behind: "Content-Type: text/event-plain\n\n", count: func(c *attach.Counters) uint64 { return c.Events.Load() - 1 }},
		"line ends behind":      {behind: "\n\r\n\n", count: func(c *attach.Counters) uint64 { return c.Events.Load() }},
		"a reply to nothing":    {behind: ok + apiOK, count: func(c *attach.Counters) uint64 { return c.Events.Load() }},
		"CRLF":                  {behind: "Content-Type: text/event-plain\r\nContent-Length: 58\r\n\r\nEvent-Name: CHANNEL_HANGUP_COMPLETE\r\nUnique-ID: 12345678\r\n\r\n", count: func(c *attach.Counters) uint64 { return c.Ends.Load() - 1 }},
		"an event of 900 kB":    {behind: event("Event-Name: CHANNEL_HANGUP_COMPLETE", "Unique-ID: y", "CDR-Attached: xml", "", strings.Repeat("<a/>\n", 180000)), count: func(c *attach.Counters) uint64 { return c.Ends.Load() - 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			sw := listenEvents(t, "127.0.0.1:0")
			ends := make(chan attach.CallEnd, 2)
			a := attachTo(t, attach.Options{Address: sw.Address()}, func(e attach.CallEnd) {
				if e.UUID == "x" {
					ends <- e
				}
			})
			p := sw.accept()
			p.say(greeting)
			p.command()
			p.say(accepted)
			p.command()
			p.say(c.before + subscribed + c.behind)
			p.say(end)
			<-ends
			waitFor(t, a.Attached)
			if n := c.count(&a.Counters); n != 1 || a.Counters.Connects.Load() != 1 {
				t.Errorf("counted %d, %+v", n, &a.Counters)
			}
		})
	}
}

// However a connection ends, the next one is opened and subscribes again.
func TestAttachComesBack(t *testing.T) {
	cdr := fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-plain\n\n", MaxStream+1)
	for name, act := range map[string]func(p *peer){
		"closed":                  func(p *peer) { p.conn.Close() },
		"reset":                   func(p *peer) { p.conn.(*net.TCPConn).SetLinger(0); p.conn.Close() },
		"closed in a frame":       func(p *peer) { p.say("Content-Length: 100\nContent-Ty"); p.conn.Close() },
		"the switch says goodbye": func(p *peer) { p.say(farewell) },
		"garbage":                 func(p *peer) { p.say("\x00\xff\nContent-Length: nonsense\n\n") },
		"an event without bounds": func(p *peer) { p.say(cdr) },
		"a line without end":      func(p *peer) { io.Copy(p.conn, &endless{text: "A"}) },
		"never let in":            nil,
		"refused while greeting":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			sw := listenEvents(t, "127.0.0.1:0")
			var log attachtest.Logbook
			ends := make(chan attach.CallEnd, 1)
			a := attachTo(t, attach.Options{Address: sw.Address(), Log: log.Logger()}, func(e attach.CallEnd) { ends <- e })
			p := sw.accept()
			switch name {
			case "never let in":
				p.say("SSH-2.0-OpenSSH_9.9\n\n") // another service there
			case "refused while greeting":
				p.say("Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n" + farewell)
			default:
				p.admit()
				waitFor(t, a.Attached)
				act(p)
			}
			p = sw.accept().admit()
			p.say(event("Event-Name: CHANNEL_HANGUP_COMPLETE", "Unique-ID: x"))
			if e := <-ends; e.UUID != "x" {
				t.Errorf("learnt %+v", e)
			}
			if n := a.Counters.Connects.Load(); n != 2 || !a.Attached() {
				t.Errorf("attached %v after %d connections", a.Attached(), n)
			}
			if text := strings.Join(log.Lines(), "\n"); strings.Count(text, "not attached") != 1 || strings.Contains(text, "measure-me") {
				t.Errorf("logged\n%s", text)
			}
		})
	}
}

// What only the administrator can change is logged once, with what to do, and tried again after a while.
func TestAttachRefused(t *testing.T) {
	wrong := string(transcript(t, "c1_auth_wrong.fs2peer.raw"))
	wrong = wrong[len(greeting):]
	for name, c := range map[string]struct {
		refuse func(p *peer)
		say    string
	}{
		"password": {func(p *peer) { p.say(greeting); p.command(); p.say(wrong); p.conn.Close() }, "event_socket.conf.xml"},
		"address":  {func(p *peer) { p.say(string(transcript(p.t, "c8_acl_rude_rejection.fs2peer.raw"))); p.conn.Close() }, "apply-inbound-acl"},
		"events": {func(p *peer) {
			p.say(greeting)
			p.command()
			p.say(accepted)
			p.command()
			p.say("Content-Type: command/reply\nReply-Text: -ERR permission denied\n\n")
		}, "subscription"},
	} {
		t.Run(name, func(t *testing.T) {
			sw := listenEvents(t, "127.0.0.1:0")
			var log attachtest.Logbook
			a := attachTo(t, attach.Options{Address: sw.Address(), Log: log.Logger()}, nil)
			for range 5 {
				c.refuse(sw.accept())
			}
			sw.accept().admit()
			waitFor(t, a.Attached)
			lines := log.Lines()
			if len(lines) != 2 || !strings.Contains(lines[0], c.say) || !strings.Contains(lines[1], "attached to the switch") {
				t.Errorf("logged\n%s", strings.Join(lines, "\n"))
			}
			if n := a.Counters.Refused.Load(); n != 5 {
				t.Errorf("counted %d", n)
			}
		})
	}
}

// bubble runs a client over pipes, in a time of its own. next waits for its next connection.
func bubble(t *testing.T) (a *attach.Client, next func() *peer) {
	var o attach.Options
	conn := attachtest.Pipes(t, &o)
	a = attach.New(o, &EventSocket{Password: "measure-me"}, func(attach.CallEnd) {})
	attachtest.Run(t, a)
	return a, func() *peer {
		c := conn()
		return &peer{t: t, conn: c, rd: NewReader(c, 0)}
	}
}

// A switch that falls silent is asked, and left when it does not answer; every other wait has its bound too.
//
// long: because each entry of its table is one way to fall silent.
func TestAttachNoticesSilence(t *testing.T) {
	const idle, wait = time.Minute, 10 * time.Second // the defaults
	const drop = 700 * time.Millisecond
	lasted := func(t *testing.T, began time.Time, want time.Duration) {
		t.Helper()
		if d := time.Since(began); d < want || d > want+drop {
			t.Errorf("it took %v, want %v", d, want)
		}
	}
	trickle := func(p *peer, text string) {
		for err := error(nil); err == nil; {
			time.Sleep(drop)
			_, err = io.WriteString(p.conn, text)
		}
	}
	for name, act := range map[string]func(t *testing.T, a *attach.Client, p *peer){
		"it answers, then it does not": func(t *testing.T, a *attach.Client, p *peer) {
			p.admit()
			for range 3 {
				began := time.Now()
				if c := p.command(); c != "api strepoch" {
					t.Errorf("asked with %q", c)
				}
				lasted(t, began, idle)
				p.say("Content-Type: api/response\nContent-Length: 10\n\n1795476057")
			}
			p.command()
			began := time.Now()
			p.gone()
			lasted(t, began, wait)
		},
		"it does not even take the question": func(t *testing.T, a *attach.Client, p *peer) {
			p.admit()
			time.Sleep(idle + wait - time.Nanosecond)
			if !a.Attached() {
				t.Error("left too early")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if a.Attached() {
				t.Error("still attached")
			}
		},
		"no greeting": func(t *testing.T, a *attach.Client, p *peer) {
			began := time.Now()
			p.gone()
			lasted(t, began, wait)
		},
		"a greeting without end": func(t *testing.T, a *attach.Client, p *peer) {
			began := time.Now()
			trickle(p, "a: b\n")
			lasted(t, began, wait)
		},
		"no reply, but much else": func(t *testing.T, a *attach.Client, p *peer) {
			p.say(greeting)
			p.command()
			began := time.Now()
			trickle(p, heartbeat+"Content-Type: log/data\n\n")
			lasted(t, began, wait)
		},
		"half an event, then drop by drop": func(t *testing.T, a *attach.Client, p *peer) {
			p.admit()
			time.Sleep(30 * time.Second)
			p.say(heartbeat + "\n")
			time.Sleep(30 * time.Second)
			began := time.Now()
			p.say("Content-Length: 100\n\n")
			trickle(p, "x")
			lasted(t, began, wait)
		},
		"an event that came half with the last": func(t *testing.T, a *attach.Client, p *peer) {
			p.admit()
			began := time.Now()
			p.say(heartbeat + "Content-Length: 100\n")
			p.gone()
			lasted(t, began, wait)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, next := bubble(t)
				act(t, a, next())
				began := time.Now()
				next().admit()
				if d := time.Since(began); d > 3*time.Second {
					t.Errorf("it came back after %v", d)
				}
				synctest.Wait()
				if !a.Attached() {
					t.Error("not attached")
				}
			})
		})
	}
}

// A heartbeat every 20 s is enough: an hour of them, and nothing is asked. Frames of no use do no harm.
func TestAttachHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, next := bubble(t)
		p := next().admit()
		for range 180 {
			time.Sleep(20 * time.Second)
			p.say(heartbeat)
			p.say("Content-Type: log/data\nContent-Length: 2\n\nab")
		}
		synctest.Wait()
		if n := a.Counters.Events.Load(); n != 180 || !a.Attached() || a.Counters.Connects.Load() != 1 {
			t.Errorf("%d heartbeats, %+v", n, &a.Counters)
		}
	})
}

// Neither a password nor the names of events can become a second command.
func TestAttachCommandsStayOneCommand(t *testing.T) {
	evil := "x\n\nexit\r\n\r\napi system id\x00\x7f"
	for name, build := range map[string]func(c *commands){
		"auth":   func(c *commands) { c.auth(evil) },
		"events": func(c *commands) { c.events(evil) },
	} {
		var c commands
		build(&c)
		if got, err := frames(NewReader(bytes.NewReader(c.buf), 0)); err != nil || len(got) != 1 || len(c.owed) != 1 {
			t.Errorf("%s wrote %q (%v)", name, got, err)
		}
	}
}

// stream is a connection that has its bytes already and takes all that is written.
type stream struct {
	net.Conn
	io.Reader
}

func (s stream) Read(p []byte) (int, error)       { return s.Reader.Read(p) }
func (s stream) Write(p []byte) (int, error)      { return len(p), nil }
func (s stream) SetReadDeadline(time.Time) error  { return nil }
func (s stream) SetWriteDeadline(time.Time) error { return nil }
func (s stream) Close() error                     { return nil }

// FuzzAttach: whatever the switch sends, the connection ends with the stream, and memory is bounded.
func FuzzAttach(f *testing.F) {
	in := greeting + accepted + subscribed
	f.Add([]byte(in + recordedEvent(f, "caller-hangs-up.a.txt") + heartbeat + farewell))
	f.Add([]byte(in + event("Event-Name: CHANNEL_HANGUP_COMPLETE", "Unique-ID: x") + apiOK + ok))
	f.Add(transcript(f, "c1_auth_wrong.fs2peer.raw"))
	f.Add(transcript(f, "c7_heartbeat.fs2peer.raw"))
	f.Add(transcript(f, "c8_acl_rude_rejection.fs2peer.raw"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a := attach.New(attach.Options{Log: quiet, Queue: 2, Dial: func(context.Context, string, string) (net.Conn, error) {
			return stream{Reader: bytes.NewReader(raw)}, nil
		}}, &EventSocket{}, nil)
		_, err := a.Connect(context.Background())
		if err == nil {
			t.Fatal("it ended without a reason")
		}
		c := &a.Counters
		if a.Attached() || c.Ends.Load() > c.Events.Load() || c.Dropped.Load()+min(c.Ends.Load(), 2) != c.Ends.Load() {
			t.Fatalf("%v: %+v", err, c)
		}
	})
}
