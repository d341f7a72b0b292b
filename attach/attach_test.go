package attach_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ringfence/attach"
	"ringfence/attach/attachtest"
)

// lines is a switch that says a line at a time: in, or out, at first; then end UUID. It is asked with a line.
type lines struct{}

func (lines) Hint() string { return "is the switch running?" }
func (lines) Begin(c *attach.Conn) attach.Session {
	return &session{c, bufio.NewReader(c)}
}

type session struct {
	conn *attach.Conn
	in   *bufio.Reader
}

func (s *session) Login() error {
	s.conn.Within()
	line, err := s.in.ReadString('\n')
	if line == "out\n" {
		return &attach.Trouble{Refused: true, Reason: "refused", Todo: "let it in"}
	}
	return err
}

func (s *session) Next() error {
	line, err := s.in.ReadString('\n')
	s.conn.Counters().Events.Add(1)
	if uuid, ok := strings.CutPrefix(strings.TrimSpace(line), "end "); ok {
		s.conn.End(attach.CallEnd{UUID: uuid})
	}
	return err
}

func (s *session) Begun() bool  { return s.in.Buffered() > 0 }
func (s *session) Ping() []byte { return []byte("are you there?\n") }

// socket is where such a switch listens.
type socket struct {
	t testing.TB
	*attachtest.Socket
}

func listen(t testing.TB, address string) *socket {
	t.Helper()
	return &socket{t, attachtest.Listen(t, address)}
}

// accept takes the next connection.
func (s *socket) accept() peer {
	s.t.Helper()
	return peer{s.t, s.Accept()}
}

// peer is the switch's end of a connection.
type peer struct {
	t testing.TB
	net.Conn
}

func (p peer) say(text string) peer {
	p.t.Helper()
	p.SetWriteDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Error(err)
	}
	return p
}

func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it did not happen in 20 s")
		}
	}
}

func attachTo(t testing.TB, o attach.Options, sink func(attach.CallEnd)) *attach.Client {
	t.Helper()
	if sink == nil {
		sink = func(attach.CallEnd) {}
	}
	a := attach.New(attachtest.Hasty(o), lines{}, sink)
	attachtest.Run(t, a)
	return a
}

// The switch is restarted: for a while nothing answers, then it is attached again, and one line says so.
func TestSurvivesRestart(t *testing.T) {
	sw := listen(t, "127.0.0.1:0")
	var log attachtest.Logbook
	a := attachTo(t, attach.Options{Address: sw.Address(), Log: log.Logger()}, nil)
	p := sw.accept().say("in\n")
	waitFor(t, a.Attached)
	sw.Close()
	p.Close()
	waitFor(t, func() bool { return strings.Contains(a.Trouble(), "refused") })
	if a.Attached() {
		t.Error("attached to a switch that is not there")
	}
	listen(t, sw.Address()).accept().say("in\n")
	waitFor(t, a.Attached)
	l := log.Lines()
	if len(l) != 4 || !strings.Contains(l[1], "closed the connection") || !strings.Contains(l[2], "connection refused") || !strings.Contains(l[2], "is the switch running?") || !strings.Contains(l[3], "attached to the switch") {
		t.Errorf("logged\n%s", strings.Join(l, "\n"))
	}
}

// What only the administrator can lift is logged once, with what to do.
func TestRefused(t *testing.T) {
	sw := listen(t, "127.0.0.1:0")
	var log attachtest.Logbook
	a := attachTo(t, attach.Options{Address: sw.Address(), Log: log.Logger()}, nil)
	for range 5 {
		sw.accept().say("out\n").Close()
	}
	sw.accept().say("in\n")
	waitFor(t, a.Attached)
	if l := log.Lines(); len(l) != 2 || !strings.Contains(l[0], "let it in") || a.Counters.Refused.Load() != 5 {
		t.Errorf("refused %d times, logged\n%s", a.Counters.Refused.Load(), strings.Join(l, "\n"))
	}
}

// A sink that stands still delays nothing: what does not fit is dropped and counted, and the switch's bytes
// are read on.
func TestSlowSink(t *testing.T) {
	sw := listen(t, "127.0.0.1:0")
	var log attachtest.Logbook
	entered, hold, got := make(chan bool, 1), make(chan bool), make(chan string, 10)
	first := true
	a := attachTo(t, attach.Options{Address: sw.Address(), Queue: 4, Log: log.Logger()}, func(e attach.CallEnd) {
		if first {
			first = false
			entered <- true
			<-hold
		}
		got <- e.UUID
	})
	p := sw.accept().say("in\nend 0\n")
	<-entered
	for n := range 1000 {
		p.say(fmt.Sprintf("end %d\n", n+1))
	}
	waitFor(t, func() bool { return a.Counters.Events.Load() == 1001 })
	if n := a.Counters.Dropped.Load(); n != 996 || !a.Attached() {
		t.Errorf("%d dropped, attached %v", n, a.Attached())
	}
	close(hold)
	for n := range 5 {
		if uuid := <-got; uuid != fmt.Sprint(n) {
			t.Errorf("got %s instead of %d", uuid, n)
		}
	}
	if text := strings.Join(log.Lines(), "\n"); strings.Count(text, "dropped") < 1 || len(log.Lines()) > 3 {
		t.Errorf("logged\n%s", text)
	}
}

func TestSinkPanics(t *testing.T) {
	sw := listen(t, "127.0.0.1:0")
	ends := make(chan attach.CallEnd, 1)
	a := attachTo(t, attach.Options{Address: sw.Address()}, func(e attach.CallEnd) {
		if e.UUID == "bad" {
			panic("nil map")
		}
		ends <- e
	})
	sw.accept().say("in\nend bad\nend good\n")
	if e := <-ends; e.UUID != "good" || a.Counters.Dropped.Load() != 1 {
		t.Errorf("%+v, %d dropped", e, a.Counters.Dropped.Load())
	}
}

// Whatever the client was doing, it stops at once and leaves nothing behind.
func TestStops(t *testing.T) {
	before := runtime.NumGoroutine()
	for name, act := range map[string]func(p peer){
		"waiting to be let in": func(p peer) {},
		"listening":            func(p peer) { p.say("in\n") },
		"within a message":     func(p peer) { p.say("in\nen") },
		"waiting to come back": func(p peer) { p.Close() },
	} {
		sw := listen(t, "127.0.0.1:0")
		a := attach.New(attach.Options{Address: sw.Address(), Log: slog.New(slog.DiscardHandler), Wait: time.Hour, RetryMin: time.Hour, RetryMax: time.Hour}, lines{}, func(attach.CallEnd) {})
		stop := attachtest.Run(t, a)
		act(sw.accept())
		stop()
		if err := a.Run(context.Background()); err == nil {
			t.Errorf("%s: ran a second time", name)
		}
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

// A switch that falls silent is asked, and left when it does not answer; a message that has begun must end.
func TestNoticesSilence(t *testing.T) {
	for name, c := range map[string]struct {
		act   func(p peer, in *bufio.Reader)
		after time.Duration
	}{
		"it does not let us in": {func(peer, *bufio.Reader) {}, 10 * time.Second},
		"it answers, then it does not": {func(p peer, in *bufio.Reader) {
			p.say("in\n")
			in.ReadString('\n')
			p.say("yes\n")
			in.ReadString('\n')
		}, 130 * time.Second},
		"it does not take the question": {func(p peer, in *bufio.Reader) { p.say("in\n") }, 70 * time.Second},
		"half a message":                {func(p peer, in *bufio.Reader) { p.say("in\nend x\nen") }, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var o attach.Options
				next := attachtest.Pipes(t, &o)
				attachtest.Run(t, attach.New(o, lines{}, func(attach.CallEnd) {}))
				p, began := peer{t, next()}, time.Now()
				c.act(p, bufio.NewReader(p))
				peer{t, next()}.say("in\n")
				if d := time.Since(began) - c.after; d < 0 || d > 2*time.Second {
					t.Errorf("it came back after %v, want %v and at most 1.5 s", time.Since(began), c.after)
				}
			})
		})
	}
}

// The pauses grow from one second to at most thirty, with chance in them, and begin anew behind a
// connection that held. A refusal waits a minute.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := make(chan time.Time)
		var up atomic.Bool
		conns := make(chan net.Conn, 1)
		attachtest.Run(t, attach.New(attach.Options{Log: slog.New(slog.DiscardHandler), Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			answers := up.Load() // before the test knows of this try, and sets it for the next one
			select {
			case dialled <- time.Now():
			case <-ctx.Done():
			}
			if !answers {
				return nil, errors.New("connection refused")
			}
			here, there := net.Pipe()
			conns <- there
			return here, nil
		}}, lines{}, func(attach.CallEnd) {}))
		next := func() peer {
			conn := <-conns
			t.Cleanup(func() { conn.Close() })
			return peer{t, conn}
		}
		last := <-dialled
		pause := func(base time.Duration) time.Duration {
			t.Helper()
			at := <-dialled
			d := at.Sub(last)
			last = at
			if d < base || d > base*3/2 {
				t.Errorf("a pause of %v, want %v to %v", d, base, base*3/2)
			}
			return d
		}
		seen := map[time.Duration]bool{}
		for _, base := range []int{1, 2, 4, 8, 16, 20, 20, 20, 20, 20, 20, 20} {
			seen[pause(time.Duration(base)*time.Second)] = true
		}
		if len(seen) < 10 {
			t.Errorf("the pauses hold no chance: %v", seen)
		}
		up.Store(true)
		last = <-dialled
		p := next().say("in\n")
		time.Sleep(29 * time.Second)
		p.Close() // it did not hold
		last = time.Now()
		pause(20 * time.Second)
		p = next().say("in\n")
		time.Sleep(30 * time.Second)
		p.Close()
		last = time.Now()
		pause(time.Second)
		next().say("out\n")
		last = time.Now()
		if at := <-dialled; at.Sub(last) != time.Minute {
			t.Errorf("tried again %v after the refusal", at.Sub(last))
		}
		next().Close()
	})
}

// A sink that hangs does not keep the daemon from ending, and gets nothing more afterwards.
func TestStopsWithStuckSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan bool)
		calls := 0
		var o attach.Options
		next := attachtest.Pipes(t, &o)
		a := attach.New(o, lines{}, func(attach.CallEnd) { calls++; <-hold })
		stop := attachtest.Run(t, a)
		peer{t, next()}.say("in\n").say("end x\nend y\nend z\n")
		synctest.Wait()
		began := time.Now()
		stop()
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("it took %v to stop", d)
		}
		close(hold)
		synctest.Wait()
		if n := a.Counters.Dropped.Load(); calls != 1 || n != 2 {
			t.Errorf("%d given, %d dropped", calls, n)
		}
	})
}

// What has arrived before the end is recorded.
func TestDeliversBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		var o attach.Options
		next := attachtest.Pipes(t, &o)
		stop := attachtest.Run(t, attach.New(o, lines{}, func(attach.CallEnd) { time.Sleep(time.Second); calls++ }))
		peer{t, next()}.say("in\n").say("end 1\nend 2\nend 3\nend 4\nend 5\n")
		synctest.Wait()
		stop()
		if calls != 5 {
			t.Errorf("%d of 5 were recorded", calls)
		}
	})
}

// Texts are cut between characters.
func TestCut(t *testing.T) {
	for in, want := range map[string]int{"": 0, strings.Repeat("7", 513): 512, strings.Repeat("张", 171): 510, strings.Repeat("\x80", 600): 508} {
		if got := attach.Cut(in); len(got) != want || !strings.HasPrefix(in, got) {
			t.Errorf("%d bytes are cut to %d, want %d", len(in), len(got), want)
		}
	}
}
