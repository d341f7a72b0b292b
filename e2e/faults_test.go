package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"testing"
	"time"

	"ringfence/standin"
)

// fault is a daemon that has gone wrong: what it does with the connection of a call.
type fault struct {
	name  string
	serve func(c net.Conn) // nil: nobody listens on the port

	guarded bool // only the switch's guard gets such a call through, in async mode
	bound   time.Duration
}

// promise is how soon a handset rings when the guard had to take the call.
const promise = 3 * time.Second

var faults = []fault{
	{name: "nobody listens", bound: 300 * time.Millisecond},
	{name: "closes at once", serve: func(c net.Conn) { c.Close() }, bound: 300 * time.Millisecond},
	{name: "resets at once", serve: reset, bound: 300 * time.Millisecond},
	{name: "connects, then closes", serve: func(c net.Conn) { hello(c); c.Close() }, bound: 300 * time.Millisecond},
	{name: "connects, then resets", serve: func(c net.Conn) { hello(c); reset(c) }, bound: 300 * time.Millisecond},
	{name: "dies in an announcement", serve: func(c net.Conn) {
		hello(c)
		io.WriteString(c, "sendmsg\ncall-command: execute\nexecute-app-name: playback\nexecute-app-arg: silence_stream://5000\n\n")
		<-time.After(500 * time.Millisecond)
		reset(c)
	}, bound: time.Second},
	{name: "is silent", serve: func(c net.Conn) { drain(c) }, guarded: true, bound: promise},
	{name: "is silent, closes after 4 s", serve: func(c net.Conn) { <-time.After(4 * time.Second); c.Close() }, guarded: true, bound: promise},
	{name: "is silent, resets after 4 s", serve: func(c net.Conn) { <-time.After(4 * time.Second); reset(c) }, guarded: true, bound: promise},
	{name: "connects, then is silent", serve: func(c net.Conn) { hello(c); drain(c) }, guarded: true, bound: promise},
	{name: "connects, says exit after 4 s", serve: func(c net.Conn) {
		hello(c)
		<-time.After(4 * time.Second)
		io.WriteString(c, "exit\n\n")
		drain(c)
	}, guarded: true, bound: promise},
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func drain(c net.Conn) {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.Copy(io.Discard, c)
	c.Close()
}

// hello asks for the call and reads the reply to its empty line.
func hello(c net.Conn) {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "connect\n\n")
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil || line == "\n" {
			return
		}
	}
}

// listen runs a faulty daemon and returns where it listens.
func (f fault) listen(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if f.serve == nil {
		ln.Close()
		return ln.Addr().String()
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

// Whatever a daemon does wrong, the simulated switch's call rings in time and is not torn down later.
func TestFaultsSimulated(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			sw := &standin.Switch{Address: f.listen(t)}
			r, err := sw.Place(ctx, standin.Call{From: "13800138000", To: "05925550100", Async: true, Resume: true,
				Guard: 2 * time.Second, GuardUnsets: true, TalkFor: 6 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if !r.Rang || r.Stuck || r.Killed || r.GuardFired != f.guarded {
				t.Errorf("rang %v, stuck %v, killed %v, guard %v", r.Rang, r.Stuck, r.Killed, r.GuardFired)
			}
		})
	}
}

// The same on a real switch with the dialplan that we ship. The test logs the table of what was measured.
func TestFaultsReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the guard was tried on the simulated switch only")
	}
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			handset, caller := newPhone(t), newPhone(t)
			caller.hold = 6 * time.Second
			server := startFreeSWITCH(t, program, f.listen(t), handset.addr, freePort(t), true)
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			start := time.Now()
			to := fmt.Sprintf("059255502%02d", i)
			h, err := caller.dial(ctx, server, "13800138000", "", to)
			if err != nil {
				t.Fatal(err)
			}
			in, ok := handset.invited(to)
			if !ok {
				t.Fatalf("the handset did not ring: %+v", h)
			}
			rang := in.at.Sub(start)
			t.Logf("| %s | rang after %d ms | torn down: %v |", f.name, rang.Milliseconds(), h.torn != 0)
			if rang > f.bound || h.torn != 0 {
				t.Errorf("rang after %v (promised %v), torn down after %v", rang, f.bound, h.torn)
			}
		})
	}
}
