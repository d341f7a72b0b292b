// Package attachtest is what the tests of attach and of both kinds of switch share.
package attachtest

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/attach"
)

// Logbook keeps what was logged.
type Logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// Lines are the lines so far.
func (l *Logbook) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// Logger writes into the book.
func (l *Logbook) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Run runs a client; the test ends it with the function returned, or by ending.
func Run(t testing.TB, a *attach.Client) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if a.Attached() || a.Trouble() != "stopped" {
			t.Errorf("after its end: attached %v, %q", a.Attached(), a.Trouble())
		}
	})
	t.Cleanup(stop)
	return stop
}

// Hasty makes pauses as short as they can be, and the log quiet if there is none.
func Hasty(o attach.Options) attach.Options {
	if o.Name == "" {
		o.Name = "pbx1"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []*time.Duration{&o.RetryMin, &o.RetryMax, &o.RetryRefused} {
		if *d == 0 {
			*d = time.Millisecond
		}
	}
	return o
}

// Pipes lets a client dial into the test, for a bubble of testing/synctest: next waits for its next connection.
func Pipes(t testing.TB, o *attach.Options) (next func() net.Conn) {
	conns := make(chan net.Conn)
	o.Name, o.Log = "pbx1", slog.New(slog.DiscardHandler)
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case conns <- there:
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return func() net.Conn {
		conn := <-conns
		t.Cleanup(func() { conn.Close() })
		return conn
	}
}

// Socket is where a switch listens, whose end of each connection the test drives.
type Socket struct {
	t  testing.TB
	ln *net.TCPListener
}

// Listen opens one, until the test ends.
func Listen(t testing.TB, address string) *Socket {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &Socket{t, ln.(*net.TCPListener)}
}

// Address is HOST:PORT.
func (s *Socket) Address() string { return s.ln.Addr().String() }

// Close takes no more connections.
func (s *Socket) Close() { s.ln.Close() }

// Accept takes the next connection, which is closed when the test ends.
func (s *Socket) Accept() net.Conn {
	s.t.Helper()
	s.ln.SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := s.ln.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}
