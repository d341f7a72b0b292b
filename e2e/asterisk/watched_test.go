package asterisk_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/asterisk"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

// managedAsterisk is an Asterisk with a manager, a phone of the house, and a dialplan for it.
type managedAsterisk struct {
	*setup.Asterisk
	manager string // its address
}

func startManagedAsterisk(t *testing.T, agi, handset string) *managedAsterisk {
	t.Helper()
	port := setup.FreePort(t)
	a := setup.StartAsteriskWith(t, asterisk.Setup{
		AGI: agi, Handset: handset, PJSIP: asteriskPhones, Dialplan: asterisk.Dialplan + asteriskOutside,
		Files: map[string]string{"manager.conf": fmt.Sprintf(asteriskManager, port)},
	})
	return &managedAsterisk{a, fmt.Sprintf("127.0.0.1:%d", port)}
}

// relay stands between a daemon and Asterisk's manager.
type relay struct {
	ln net.Listener
	to string

	mu    sync.Mutex
	conns []net.Conn
	hung  bool // connections are taken, and nothing comes
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{ln: ln, to: to}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns = append(r.conns, c)
			hung := r.hung
			r.mu.Unlock()
			if hung {
				continue
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			done.Go(func() { io.Copy(s, c); s.Close() })
			done.Go(func() { io.Copy(c, s); c.Close() })
		}
	})
	t.Cleanup(func() { ln.Close(); r.cut(false); done.Wait() })
	return r
}

func (r *relay) address() string { return r.ln.Addr().String() }

// cut ends the connections. hang: those that come from now on are left without a word.
func (r *relay) cut(hang bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns, r.hung = nil, hang
}

// watched is a daemon for Asterisk that can be started again, with what it is to learn from.
type watched struct {
	t    *testing.T
	file string
	d    *daemon.Daemon
	agi  *relay // what Asterisk takes for the daemon
}

// startWatched runs an Asterisk, and a daemon that is attached to it through a relay.
func startWatched(t *testing.T, handset *phone.Phone) (w *watched, a *managedAsterisk, r *relay) {
	t.Helper()
	agi := setup.FreeAddress(t)
	w = &watched{t: t, agi: newRelay(t, agi)}
	a = startManagedAsterisk(t, w.agi.address(), handset.Addr)
	r = newRelay(t, a.manager)
	settings := fmt.Sprintf("[agi]\nlisten = %q\n[[attach]]\nkind = \"asterisk\"\naddress = %q\nuser = \"ringfence\"\npassword = \"measure-me\"\n", agi, r.address())
	w.d, w.file = setup.StartDaemonWith(t, outcomePolicy, settings)
	setup.WriteTones(t, filepath.Dir(w.file))
	setup.WaitAttached(t, w.d)
	return w, a, r
}

// restart ends the daemon and starts it again.
func (w *watched) restart() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.d.Stop(ctx); err != nil {
		w.t.Fatal(err)
	}
	c, err := conf.LoadDaemon(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := daemon.Start(w.t.Context(), c, "e2e", slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	w.d = d
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		d.Stop(ctx)
	})
	setup.WaitAttached(w.t, d)
}

// outcome waits for what the journal says of the last call to a number, 10 s at most.
func (w *watched) outcome(callee string) *console.Record {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; <-time.After(20 * time.Millisecond) {
		var last *console.Record
		err := w.d.Desk().Journal(w.t.Context(), console.Query{Callee: callee}, func(r console.Record) error {
			if last == nil || r.Time.After(last.Time) {
				last = &r
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		if last != nil && last.Outcome != nil {
			return last
		}
		if time.Now().After(end) {
			w.t.Fatalf("the journal does not say what became of the call to %s: %+v", callee, last)
		}
	}
}

// failOpen is how many calls passed unscreened, for a reason.
func (w *watched) failOpen(reason string) uint64 {
	w.t.Helper()
	s, err := w.d.Desk().Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.FailOpen[reason]
}

// newGreeter is some server that says a line.
func newGreeter(t *testing.T, line string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, line)
		}
	}()
	return ln.Addr().String()
}
