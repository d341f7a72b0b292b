package standin

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// TestDaemonFails is the table of what FreeSWITCH does when the daemon fails.
func TestDaemonFails(t *testing.T) {
	const length = 300 * time.Millisecond
	file := wav(t, length)
	play := "sendmsg\ncall-command: execute\nexecute-app-name: playback\nexecute-app-arg: " + file
	tests := []struct {
		name   string
		daemon func(p *peer)
		stuck  bool // in async mode alone; else the handset rings
		least  time.Duration
		most   [3]time.Duration // 0: no matter
	}{
		{
			name: "never sends connect", stuck: true, least: 100 * time.Millisecond,
			daemon: func(p *peer) { p.rest() },
		},
		{
			name: "sends half a command", stuck: true, least: 100 * time.Millisecond,
			daemon: func(p *peer) { io.WriteString(p.conn, "connect\n"); p.rest() },
		},
		{name: "closes before connect", stuck: true, daemon: func(p *peer) {}},
		{name: "resets before connect", stuck: true, daemon: func(p *peer) { p.reset() }},
		{name: "closes after connect", stuck: true, daemon: func(p *peer) { p.connect() }},
		{name: "resets after connect", stuck: true, daemon: func(p *peer) { p.connect(); p.reset() }},
		{name: "leaves first", stuck: true, daemon: func(p *peer) { p.send("exit"); p.rest() }},
		{
			name: "resets in a playback", most: [3]time.Duration{0, 200 * time.Millisecond, 0},
			daemon: func(p *peer) { p.connect(); p.send(play); time.Sleep(60 * time.Millisecond); p.reset() },
		},
	}
	for _, test := range tests {
		for i, mode := range modes {
			t.Run(test.name+", "+mode.name, func(t *testing.T) {
				t.Parallel()
				c := mobile("1000")
				c.Async, c.Resume = mode.async, mode.resume
				r, err := meet(t, &Switch{ConnectWait: 100 * time.Millisecond}, c, test.daemon)
				if err != nil {
					t.Fatal(err)
				}
				wantStuck := test.stuck && mode.name == "async alone"
				if r.Stuck != wantStuck || r.Rang == wantStuck {
					t.Errorf("rang %v, stuck %v; want stuck %v", r.Rang, r.Stuck, wantStuck)
				}
				if r.SIP != 0 || r.Cause != "" {
					t.Errorf("refused with %d %s", r.SIP, r.Cause)
				}
				if r.Took < test.least {
					t.Errorf("went on after %v, want %v", r.Took, test.least)
				}
				if most := test.most[i]; most > 0 && r.Took > most {
					t.Errorf("went on after %v, want at most %v", r.Took, most)
				}
				if len(r.Played) > 0 && test.most[i] == 0 && r.Took < length {
					t.Errorf("went on after %v, before the playback's end", r.Took)
				}
			})
		}
	}
}

// TestRefusedConnection is the one failure after which the dialplan goes on at once in every mode.
func TestRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, mode := range modes {
		c := mobile("1000")
		c.Async, c.Resume = mode.async, mode.resume
		r, err := (&Switch{Address: address}).Place(t.Context(), c)
		if err != nil || !r.Rang || r.Stuck {
			t.Errorf("%s: rang %v, stuck %v, %v", mode.name, r.Rang, r.Stuck, err)
		}
	}
	if _, err := (&Switch{Address: "nowhere"}).Place(t.Context(), Call{}); err == nil {
		t.Error("an address without a port was taken")
	}
}

// TestSilentDaemon holds the call until the context ends: FreeSWITCH knows no bound.
func TestSilentDaemon(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				io.WriteString(conn, "connect\n\n")
				io.Copy(io.Discard, conn)
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			c := mobile("1000")
			c.Async, c.Resume = mode.async, mode.resume
			r, err := (&Switch{Address: l.Addr().String()}).Place(ctx, c)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			if r.Rang || r.Stuck || r.SIP != 0 || len(r.Commands) != 1 {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// TestSyncResume is the trap of sync mode: with `resume` or socket_resume the channel is left in reset.
func TestSyncResume(t *testing.T) {
	c := mobile("1000")
	if r := screen(t, c, func(p *peer) { p.connect(); p.ask("resume"); p.send("exit"); p.rest() }); !r.Stuck || r.Rang {
		t.Errorf("resume: rang %v, stuck %v", r.Rang, r.Stuck)
	}
	c.Resume = true
	if r := screen(t, c, func(p *peer) { p.connect(); p.send("exit"); p.rest() }); !r.Stuck || r.Rang {
		t.Errorf("socket_resume: rang %v, stuck %v", r.Rang, r.Stuck)
	}
	c.Async, c.Resume = true, false
	if r := screen(t, c, func(p *peer) { p.connect(); p.ask("resume"); p.send("exit"); p.rest() }); r.Stuck || !r.Rang {
		t.Errorf("resume in async mode: rang %v, stuck %v", r.Rang, r.Stuck)
	}
}

// guard is how long the guard of these tests waits.
const guard = 60 * time.Millisecond

// TestGuard: what a daemon does that the guard has overtaken.
//
// long: because each row of its table is a daemon.
func TestGuard(t *testing.T) {
	const hangup = "sendmsg\ncall-command: hangup\nhangup-cause: CALL_REJECTED"
	tests := []struct {
		name   string
		alone  bool // without socket_resume
		unsets bool
		daemon func(p *peer, guardOver <-chan time.Time)
		killed bool
		late   int
		sent   string
		kept   bool // the guard does not come to fire
	}{
		{
			name: "silent, then closes", killed: true,
			daemon: func(p *peer, over <-chan time.Time) { p.connect(); <-over },
		},
		{
			name: "silent, then closes; socket_resume unset", unsets: true,
			daemon: func(p *peer, over <-chan time.Time) { p.connect(); <-over },
		},
		{
			name: "a late hangup", unsets: true, killed: true, late: 1,
			daemon: func(p *peer, over <-chan time.Time) { p.connect(); <-over; p.send(hangup); p.rest() },
		},
		{
			name: "a late respond", unsets: true, killed: true, late: 1,
			daemon: func(p *peer, over <-chan time.Time) {
				p.connect()
				<-over
				p.execute("respond", "603 Decline")
				p.rest()
			},
		},
		{
			name: "a late exit", unsets: true,
			daemon: func(p *peer, over <-chan time.Time) { p.connect(); <-over; p.send("exit"); p.rest() },
		},
		{
			name: "a late resume and exit", unsets: true, killed: true, late: 1,
			daemon: func(p *peer, over <-chan time.Time) { p.connect(); <-over; p.send("resume", "exit"); p.rest() },
		},
		{
			name: "never sends connect", unsets: true,
			daemon: func(p *peer, over <-chan time.Time) { <-over },
		},
		{
			name: "leaves a channel parked", alone: true, unsets: true,
			daemon: func(p *peer, over <-chan time.Time) { p.connect() },
		},
		{
			name: "diverts and leaves the guard", unsets: true, sent: "voicemail",
			daemon: func(p *peer, over <-chan time.Time) {
				p.connect()
				p.execute("transfer", "voicemail")
				p.send("exit")
				p.rest()
			},
		},
		{
			name: "removes the guard and diverts", sent: "voicemail", kept: true,
			daemon: func(p *peer, over <-chan time.Time) {
				p.connect()
				if got := p.ask("api sched_del " + guardTask); got != "+OK Deleted: 1\n" {
					p.t.Errorf("sched_del: %q", got)
				}
				p.execute("transfer", "voicemail")
				p.send("exit")
				p.rest()
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := mobile("1000")
			c.Async, c.Resume, c.Guard, c.GuardUnsets = true, !test.alone, guard, test.unsets
			c.Vars = map[string]string{"guard_task": "${last_sched_id}"}
			c.TalkFor = 5 * time.Second
			start := time.Now()
			r := screen(t, c, func(p *peer) { test.daemon(p, time.After(2*guard)) })
			if test.kept {
				if r.GuardFired || r.Rang || r.TransferredTo != test.sent {
					t.Fatalf("guard fired %v, rang %v, sent to %q", r.GuardFired, r.Rang, r.TransferredTo)
				}
				return
			}
			if !r.GuardFired || !r.Rang || r.Stuck || r.Killed != test.killed || len(r.Late) != test.late || r.TransferredTo != test.sent {
				t.Errorf("guard fired %v, rang %v, stuck %v, killed %v, sent to %q, late %q", r.GuardFired, r.Rang, r.Stuck, r.Killed, r.TransferredTo, r.Late)
			}
			if time.Since(start) > 3*time.Second {
				t.Error("waited for the end of the talk")
			}
		})
	}
}

// TestGuardDoesNothing: in sync mode, and where the talk ends before it fires.
func TestGuardDoesNothing(t *testing.T) {
	t.Run("sync", func(t *testing.T) {
		c := mobile("1000")
		c.Guard = time.Millisecond
		r := screen(t, c, func(p *peer) { p.connect(); time.Sleep(30 * time.Millisecond); p.send("exit"); p.rest() })
		if r.GuardFired || !r.Rang {
			t.Errorf("guard fired %v in sync mode", r.GuardFired)
		}
	})
	t.Run("the talk ends first", func(t *testing.T) {
		c := mobile("1000")
		c.Async, c.Resume, c.Guard, c.GuardUnsets, c.TalkFor = true, true, guard, true, 50*time.Millisecond
		r := screen(t, c, func(p *peer) { p.connect(); p.rest() })
		if r.Killed || !r.Rang || r.Cause != "NORMAL_CLEARING" {
			t.Errorf("killed %v, rang %v, cause %s", r.Killed, r.Rang, r.Cause)
		}
	})
}

// TestMovedGuard replaces the guard by a later one before an announcement.
func TestMovedGuard(t *testing.T) {
	file := wav(t, 300*time.Millisecond)
	c := mobile("1000")
	c.Async, c.Resume, c.Guard = true, true, 200*time.Millisecond
	r := screen(t, c, func(p *peer) {
		p.connect()
		p.ask("myevents")
		p.execute("sched_transfer", "+3 1000 XML guarded")
		task := p.event("CHANNEL_EXECUTE_COMPLETE", "sched_transfer").get("variable_last_sched_id")
		if task == "" || task == guardTask {
			t.Errorf("last_sched_id %q", task)
		}
		p.ask("api sched_del " + guardTask)
		p.execute("playback", file)
		p.event("CHANNEL_EXECUTE_COMPLETE", "playback")
		p.send("exit")
		p.rest()
	})
	if r.GuardFired || !r.Rang || r.Killed {
		t.Errorf("guard fired %v, rang %v, killed %v", r.GuardFired, r.Rang, r.Killed)
	}
}

// TestNothingIsLeft places calls to daemons that close at every possible point.
func TestNothingIsLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const talk = "connect\n\nmyevents\n\nsendmsg\ncall-command: execute\nexecute-app-name: answer\n\nexit\n\n"
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, talk[:n%(len(talk)+1)])
			conn.Close()
		}
	}()
	before := runtime.NumGoroutine()
	sw := &Switch{Address: l.Addr().String()}
	sc := &Scenario{}
	for n := range 3 * (len(talk) + 1) {
		c := mobile("1000")
		c.Async, c.Resume = n%2 == 1, n%2 == 1
		sc.Calls = append(sc.Calls, Planned{Call: c})
	}
	if err := sw.Run(t.Context(), sc, func(n int, c Call, r Result, err error) {
		if err != nil || !r.Rang {
			t.Errorf("call %d: rang %v, stuck %v, %v", n, r.Rang, r.Stuck, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}
