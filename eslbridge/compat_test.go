package eslbridge

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-eventsocket/eventsocket"
)

// The library go-eventsocket is an independent reader and writer of the same wire. These tests hold our
// codec against it in both directions; bench_test.go holds the servers side by side.

// goEventsocketServer runs its outbound server on a free port. It cannot be stopped: it ends with the
// test binary.
func goEventsocketServer(t testing.TB, handle eventsocket.HandleFunc) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	go eventsocket.ListenAndServe(addr, handle)
	waitFor(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return addr
}

// As a server it understands the frames that our codec prints, and our codec reads its commands.
func TestCompatibleWithItsServer(t *testing.T) {
	type got struct {
		number, name, reply string
		err                 error
	}
	result := make(chan got, 1)
	addr := goEventsocketServer(t, func(c *eventsocket.Connection) {
		defer c.Close()
		ev, err := c.Send("connect")
		if err != nil {
			return // the dial that found the port open
		}
		g := got{number: ev.Get("Caller-Caller-Id-Number"), name: ev.Get("Caller-Caller-Id-Name")}
		ev, g.err = c.Execute("respond", "603 Decline", true)
		if g.err == nil {
			g.reply = ev.Get("Reply-Text")
		}
		result <- g
		c.Send("exit")
	})
	p := dial(t, addr)
	if c := p.command(); c != "connect" {
		t.Fatalf("its first command reads %q", c)
	}
	var f Frame
	if err := NewReader(bytes.NewReader(transcript(t, "d6_utf8_name.fs2peer.raw")), 0).Next(&f); err != nil {
		t.Fatal(err)
	}
	p.say(string(f.AppendTo(nil)))
	if c := p.command(); !strings.HasPrefix(c, "sendmsg|") {
		t.Fatalf("its sendmsg reads %q", c)
	}
	for name, want := range map[string]string{"call-command": "execute", "execute-app-name": "respond", "execute-app-arg": "603 Decline", "event-lock": "true"} {
		if v, _ := p.f.Get(name); v != want {
			t.Errorf("%s reads %q, want %q", name, v, want)
		}
	}
	p.say(ok)
	if g := <-result; g.err != nil || g.number != "+8613800138000" || g.name != "张三 快递" || g.reply != "+OK" {
		t.Errorf("it read %+v", g)
	}
	if c := p.command(); c != "exit" {
		t.Errorf("its last command reads %q", c)
	}
}

// As a client of an event socket it understands our frames too: greeting, replies, events, api bodies.
func TestCompatibleWithItsClient(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() { served <- eventSocket(ln) }()
	c, err := eventsocket.Dial(ln.Addr().String(), "not-ClueCon")
	if err != nil {
		t.Fatal(err)
	}
	if ev, err := c.Send("api status"); err != nil || ev.Body != "UP 0 years\n" {
		t.Errorf("api: %v %v", ev, err)
	}
	if _, err := c.Send("event plain HEARTBEAT"); err != nil {
		t.Errorf("event: %v", err)
	}
	if ev, err := c.ReadEvent(); err != nil || ev.Get("Event-Name") != "HEARTBEAT" || ev.Get("Up-Time") != "0 years, 1 day" {
		t.Errorf("the event read %v, %v", ev, err)
	}
	c.Send("exit")
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// eventSocket is the switch's side of one event socket session, spoken with our codec.
func eventSocket(ln net.Listener) error {
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	say := func(lines ...string) {
		body := lines[len(lines)-1]
		text := strings.Join(lines[:len(lines)-1], "\n") + "\n\n" + body
		var f Frame
		if err := NewReader(strings.NewReader(text), 0).Next(&f); err == nil {
			conn.Write(f.AppendTo(nil))
		}
	}
	say("Content-Type: auth/request", "")
	r := NewReader(conn, 0)
	var f Frame
	for _, want := range []string{"auth not-ClueCon", "api status", "event plain HEARTBEAT", "exit"} {
		if err := r.Next(&f); err != nil {
			return err
		}
		name, _ := f.Field(0)
		if string(name) != want {
			return fmt.Errorf("its command reads %q, want %q", name, want)
		}
		switch want {
		case "auth not-ClueCon":
			say("Content-Type: command/reply", "Reply-Text: +OK accepted", "")
		case "api status":
			say("Content-Type: api/response", "Content-Length: 11", "UP 0 years\n")
		case "event plain HEARTBEAT":
			body := "Event-Name: HEARTBEAT\nUp-Time: 0%20years,%201%20day\n\n"
			say("Content-Type: command/reply", "Reply-Text: +OK event listener enabled plain", "")
			say(fmt.Sprintf("Content-Length: %d", len(body)), "Content-Type: text/event-plain", body)
		case "exit":
			say("Content-Type: command/reply", "Reply-Text: +OK bye", "")
		}
	}
	return nil
}
