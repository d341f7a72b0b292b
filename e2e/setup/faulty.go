package setup

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"ringfence/e2e/phone"
	"ringfence/eslbridge"
)

// Fault is a daemon that has gone wrong: what it does with the connection of a call.
type Fault struct {
	Name  string
	Serve func(c net.Conn) // nil: nobody listens on the port

	Guarded bool // only the switch's guard gets such a call through, in async mode
	Bound   time.Duration
}

// Promise is how soon a handset rings when the guard had to take the call.
const Promise = 3 * time.Second

// Reset ends a connection so that the switch is told of an error.
func Reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// Drain takes what comes on a connection and says nothing, until the switch leaves.
func Drain(c net.Conn) {
	c.SetDeadline(time.Now().Add(40 * time.Second))
	io.Copy(io.Discard, c)
	c.Close()
}

// Hello asks for the call and reads the reply to its empty line.
func Hello(c net.Conn) {
	c.SetDeadline(time.Now().Add(60 * time.Second))
	io.WriteString(c, "connect\n\n")
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil || line == "\n" {
			return
		}
	}
}

// Listen runs a faulty daemon at an address ("127.0.0.1:0" for any) and returns where it listens and how to end it.
func (f Fault) Listen(t testing.TB, address string) (where string, end func()) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	end = func() { ln.Close() }
	if f.Serve == nil {
		end()
		return ln.Addr().String(), end
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go f.Serve(c)
		}
	}()
	t.Cleanup(end)
	return ln.Addr().String(), end
}

// DialAndMeasure places a call that must ring, and says when it did and whether it was torn down before the
// caller hung up.
func DialAndMeasure(t *testing.T, caller, handset *phone.Phone, server, to string) (rang time.Duration, torn bool) {
	return DialAndMeasureFrom(t, caller, handset, server, "13800138000", to)
}

// DialAndMeasureFrom is DialAndMeasure with another caller.
func DialAndMeasureFrom(t *testing.T, caller, handset *phone.Phone, server, from, to string) (rang time.Duration, torn bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	start := time.Now()
	h, err := caller.Dial(ctx, server, from, "", to)
	if err != nil {
		t.Errorf("the call to %s: %v", to, err)
		return time.Hour, true
	}
	in, ok := handset.Invited(to)
	if !ok {
		t.Errorf("the handset of %s did not ring: %+v", to, h)
		return time.Hour, true
	}
	return in.At.Sub(start), h.Torn != 0
}

// SilentDaemon is one that hangs. It gives what it is shown of each call: the switch's reply to connect.
func SilentDaemon(t *testing.T) (address string, shown <-chan *eslbridge.Frame) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	calls := make(chan *eslbridge.Frame, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				io.WriteString(c, "connect\n\n")
				f := &eslbridge.Frame{}
				rd := eslbridge.NewReader(c, 0)
				if rd.Next(f) != nil {
					return
				}
				calls <- f
				rd.Next(&eslbridge.Frame{}) // hangs, as the daemon would
			}()
		}
	}()
	return ln.Addr().String(), calls
}
