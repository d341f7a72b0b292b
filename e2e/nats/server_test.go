package nats

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"ringfence/e2e/setup"
)

// through is a connection to a server by way of a wire.
func through(t *testing.T, n *setup.NATS, w *setup.Wire) *user {
	t.Helper()
	at := *n
	at.Address = w.Address
	u, err := signIn(t, &at, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What tests do to a server is done to it: it keeps what it had on disk when it is killed, loses it when it is wiped, and hangs when it is stopped.
func TestServerDies(t *testing.T) {
	n := setup.StartNATS(t)
	has := func() bool {
		t.Helper()
		u, err := signIn(t, n, "", "")
		if err != nil {
			t.Fatal(err)
		}
		return !strings.Contains(u.ask("pbx1", "$JS.API.STREAM.INFO.S", ""), "stream not found")
	}
	u, err := signIn(t, n, "", "")
	if err != nil {
		t.Fatal(err)
	}
	u.ask("pbx1", "$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.*"],"storage":"file"}`)
	n.Stop()
	u.say("PING")
	silent(t, u)
	n.Cont()
	if line := u.line(); line != "PONG" {
		t.Errorf("it goes on with %q", line)
	}
	n.Kill()
	n.Restart()
	if !has() {
		t.Error("a server that was killed lost its store")
	}
	n.Kill()
	n.Wipe()
	n.Restart()
	if has() {
		t.Error("a server that was wiped has its store")
	}
}

// silent holds that nothing comes. It takes as long as it waits, and cannot fail where nothing does.
func silent(t *testing.T, u *user) {
	t.Helper()
	u.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := u.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("something came, or the connection ended: %v", err)
	}
	u.conn.SetReadDeadline(time.Now().Add(time.Minute))
}

// A wire that holds lets nothing pass until it is mended, a cut one ends connections, and another wire to the same server goes on.
func TestWire(t *testing.T) {
	n := setup.StartNATS(t)
	broken, whole := setup.NewWire(t, n.Address), setup.NewWire(t, n.Address)
	one, two := through(t, n, broken), through(t, n, whole)
	broken.Hold()
	one.say("PING")
	silent(t, one)
	if no := two.publish("x", "", "x"); no != "" {
		t.Error(no)
	}
	broken.Mend()
	if line := one.line(); line != "PONG" {
		t.Errorf("the mended wire brings %q", line)
	}
	broken.Cut()
	if _, err := io.ReadAll(one.in); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a cut wire does not end its connections")
	}
	if no := two.publish("x", "", "x"); no != "" {
		t.Error(no)
	}
	broken.Mend()
	through(t, n, broken)
}
