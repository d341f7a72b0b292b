package e2e_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/ami"
	"ringfence/attach"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/asterisk"
)

// managedAsterisk is an Asterisk with a manager, a phone of the house, and a dialplan for it.
type managedAsterisk struct {
	*testAsterisk
	manager string // its address
}

func startManagedAsterisk(t *testing.T, agi, handset string) *managedAsterisk {
	t.Helper()
	port := freePort(t)
	a := startAsteriskWith(t, asterisk.Setup{
		AGI: agi, Handset: handset, PJSIP: asteriskPhones, Dialplan: asterisk.Dialplan + asteriskOutside,
		Files: map[string]string{"manager.conf": fmt.Sprintf(asteriskManager, port)},
	})
	return &managedAsterisk{a, fmt.Sprintf("127.0.0.1:%d", port)}
}

const asteriskManager = `[general]
enabled=yes
bindaddr=127.0.0.1
port=%d
channelvars=RINGFENCE_ID,RINGFENCE_GUARD
[ringfence]
secret=measure-me
read=call
write=
[deaf]
secret=measure-me
read=
write=
[elsewhere]
secret=measure-me
read=call
write=
deny=0.0.0.0/0.0.0.0
permit=192.0.2.7/255.255.255.255
`

const asteriskPhones = `[global]
type=global
endpoint_identifier_order=header,ip
[8001]
` + asterisk.Endpoint + `context=from-phones
[8001]
type=identify
endpoint=8001
match_header=X-Phone: 8001
`

const asteriskOutside = `
[from-phones]
exten => _X.,1,Dial(PJSIP/telecom/sip:${EXTEN}@HANDSET,30)
`

// outcomePolicy has a rule for each way in which we end a call.
const outcomePolicy = `
country  = "CN"
timezone = "Asia/Shanghai"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550100-05925550199", "8001"]
[trunks.carrier]
match = ["endpoint:telecom"]
[[rule]]
name = "known here"
when = { known_caller = "1d", caller = ["138*"] }
action = "tag"
label = "known"
[[rule]]
name = "listed"
when = { caller = ["95211613"] }
action = "reject"
[[rule]]
name = "warned off"
when = { caller = ["95211614"] }
action = "warn"
announcement = "beep"
then = "hangup"
[[rule]]
name = "warned off after answering"
when = { caller = ["95211615"] }
action = "warn"
announcement = "beep"
media = "answer"
then = "hangup"
[[rule]]
name = "asked"
when = { caller = ["95211616"] }
action = "challenge"
tries = 1
`

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
func startWatched(t *testing.T, handset *phone) (w *watched, a *managedAsterisk, r *relay) {
	t.Helper()
	agi := freeAddress(t)
	w = &watched{t: t, agi: newRelay(t, agi)}
	a = startManagedAsterisk(t, w.agi.address(), handset.addr)
	r = newRelay(t, a.manager)
	settings := fmt.Sprintf("[agi]\nlisten = %q\n[[attach]]\nkind = \"asterisk\"\naddress = %q\nuser = \"ringfence\"\npassword = \"measure-me\"\n", agi, r.address())
	w.d, w.file = startDaemonWith(t, outcomePolicy, settings)
	writeTones(t, filepath.Dir(w.file))
	waitAttached(t, w.d)
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
	waitAttached(w.t, d)
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

// What became of calls through a real Asterisk, as the journal tells it.
func TestOutcomesAsterisk(t *testing.T) {
	asteriskRoot(t)
	handset, caller := newPhone(t), newPhone(t)
	w, a, r := startWatched(t, handset)
	const ms = time.Millisecond
	rows := []string{"| the call | answered | cause | by |", "| --- | --- | --- | --- |"}
	for i, c := range []struct {
		name      string
		from      string
		ringsFor  time.Duration
		hangsUp   time.Duration // the handset, after its answer
		refuses   string
		hold      time.Duration // of the caller
		patience  time.Duration // of the caller while it rings
		answered  bool
		cause, by string
		ring,     // at least
		talk time.Duration
	}{
		{name: "answered, the caller hangs up", from: "13800138000", ringsFor: 300 * ms, hold: 700 * ms, answered: true, cause: "NORMAL_CLEARING", by: "caller", ring: 290 * ms, talk: 650 * ms},
		{name: "answered, the handset hangs up", from: "13800138000", ringsFor: 300 * ms, hangsUp: 600 * ms, hold: 5 * time.Second, answered: true, cause: "NORMAL_CLEARING", by: "callee", ring: 290 * ms, talk: 550 * ms},
		{name: "the caller gives up while it rings", from: "13800138000", ringsFor: time.Minute, patience: 700 * ms, cause: "ORIGINATOR_CANCEL", by: "caller", ring: 600 * ms},
		{name: "busy", from: "13800138000", refuses: "486 Busy Here", cause: "USER_BUSY", by: "callee"},
		{name: "declined", from: "13800138000", refuses: "603 Decline", cause: "CALL_REJECTED", by: "callee"},
		{name: "not there", from: "13800138000", refuses: "404 Not Found", cause: "UNALLOCATED_NUMBER", by: "callee"},
		{name: "rejected by us", from: "95211613", cause: "CALL_REJECTED", by: "ringfence"},
		{name: "warned, then hung up on", from: "95211614", cause: "CALL_REJECTED", by: "ringfence"},
		{name: "the same after an answer", from: "95211615", hold: 5 * time.Second, cause: "CALL_REJECTED", by: "ringfence"},
		{name: "the challenge failed", from: "95211616", hold: 20 * time.Second, cause: "CALL_REJECTED", by: "ringfence"},
		{name: "a line end in the number", from: inUser("1380\r\nUniqueid: 1\r\n\r\nEvent: X"), ringsFor: 300 * ms, hold: 700 * ms, answered: true, cause: "NORMAL_CLEARING", by: "caller", ring: 290 * ms, talk: 650 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			handset.ringsFor(c.ringsFor)
			handset.hangsUpAfter(c.hangsUp)
			handset.refuses(c.refuses)
			defer func() { handset.ringsFor(0); handset.hangsUpAfter(0); handset.refuses("") }()
			caller.hold = c.hold
			if c.patience == 0 {
				c.patience = 40 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.patience)
			defer cancel()
			to := fmt.Sprintf("059255501%02d", i)
			h, err := caller.dial(ctx, a.Address, c.from, "", to)
			o := w.outcome(to).Outcome
			if o.Answered != c.answered || o.Cause != c.cause || o.By != c.by {
				t.Errorf("%+v, want answered %v, %s by %s (the caller saw %+v, %v)", *o, c.answered, c.cause, c.by, h, err)
			}
			within := func(what string, got float64, least time.Duration) {
				if s := least.Seconds(); got < s || got > s+0.6 || s == 0 && got > 0.05 {
					t.Errorf("%s %v s, want %v and little more", what, got, least)
				}
			}
			within("rang", o.RingS, c.ring)
			within("talked", o.TalkS, c.talk)
			rows = append(rows, fmt.Sprintf("| %s | %v | `%s` | %s |", c.name, c.answered, o.Cause, o.By))
		})
	}
	if last, ok := w.d.Screener().LastCallAt("handset", ""); !ok || last.ID == "" {
		t.Errorf("the last call of the handset: %+v, %v", last, ok)
	}
	writeTable(t, "outcomes on Asterisk", rows)
	caller.hold = 700 * ms
	place := func(to string, extra ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if h, err := caller.dial(ctx, a.Address, "13900139000", "", to, extra...); err != nil || h.final != "200 OK" {
			t.Fatalf("%+v %v", h, err)
		}
	}
	talked := func(to string, least, most float64) {
		t.Helper()
		if o := w.outcome(to).Outcome; !o.Answered || o.By != "caller" || o.Cause != "NORMAL_CLEARING" || o.TalkS < least || o.TalkS > most {
			t.Errorf("%+v, want a talk of %v to %v s", *o, least, most)
		}
	}

	t.Run("manager reload", func(t *testing.T) {
		a.cli("manager reload")
		place("05925550130")
		talked("05925550130", 0.6, 1.2)
	})
	t.Run("the connection is cut and comes back, a call being up", func(t *testing.T) {
		caller.hold = 4 * time.Second
		defer func() { caller.hold = 700 * ms }()
		up := make(chan bool)
		go func() {
			defer close(up)
			<-time.After(500 * ms)
			r.cut(false)
		}()
		place("05925550131")
		<-up
		waitAttached(t, w.d)
		talked("05925550131", 3.9, 4.6)
	})
	t.Run("the daemon is started again, a call being up", func(t *testing.T) {
		caller.hold = 6 * time.Second
		defer func() { caller.hold = 700 * ms }()
		over := make(chan bool)
		go func() {
			defer close(over)
			place("05925550132")
		}()
		for rang := false; !rang; _, rang = handset.invited("05925550132") {
			select {
			case <-over:
				t.Fatal("the handset did not ring")
			case <-time.After(20 * ms):
			}
		}
		w.restart()
		<-over
		talked("05925550132", 5.5, 7.5) // Asterisk says in which second it began
	})
	t.Run("a guard that fires is counted", func(t *testing.T) {
		before := w.failOpen("guard")
		w.agi.cut(true)
		place("05925550133")
		w.agi.cut(false)
		for end := time.Now().Add(10 * time.Second); w.failOpen("guard") != before+1; <-time.After(20 * ms) {
			if time.Now().After(end) {
				t.Fatalf("guard: %d, was %d", w.failOpen("guard"), before)
			}
		}
	})
	t.Run("nothing waits for the manager", func(t *testing.T) {
		handset.ringsFor(0)
		took := func(to string) time.Duration {
			t.Helper()
			rang, torn := dialAndMeasure(t, newPhone(t), handset, a.Address, to)
			if torn {
				t.Error("torn down")
			}
			return rang
		}
		r.cut(true)
		for i := range 5 {
			if d := took(fmt.Sprintf("0592555014%d", i)); d > 300*ms {
				t.Errorf("it rang after %v while the manager was silent", d)
			}
		}
		r.cut(false)
		waitAttached(t, w.d)
	})
	t.Run("a phone calls out", func(t *testing.T) {
		caller.hold = 10500 * ms
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if h, err := caller.dial(ctx, a.Address, "8001", "", "13800138777", "X-Phone: 8001"); err != nil || h.final != "200 OK" {
			t.Fatalf("%+v %v", h, err)
		}
		for end := time.Now().Add(10 * time.Second); ; <-time.After(20 * ms) {
			q, err := w.d.Desk().Check(t.Context(), console.CheckQuery{Caller: "13800138777", Callee: "05925550160", Trunk: "carrier"})
			if err != nil {
				t.Fatal(err)
			}
			if q.Rule == "known here" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("decided by %s", q.Rule)
			}
		}
	})
	a.idle()
}

// What Asterisk refuses is told apart from an Asterisk that is not there.
func TestManagerRefuses(t *testing.T) {
	a := startManagedAsterisk(t, "127.0.0.1:1", "127.0.0.1:1")
	trouble := func(address, user, secret string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c := attach.New(attach.Options{Address: address, Log: slog.New(slog.DiscardHandler)}, &ami.Manager{User: user, Secret: secret}, nil)
		if _, err := c.Connect(ctx); err != nil {
			return err.Error()
		}
		return ""
	}
	for name, c := range map[string]struct{ address, user, secret, want string }{
		"the secret":        {a.manager, "ringfence", "wrong", "refused the user, the password or this machine's address"},
		"the user":          {a.manager, "nobody", "measure-me", "refused the user, the password or this machine's address"},
		"the address":       {a.manager, "elsewhere", "measure-me", "refused the user, the password or this machine's address"},
		"nobody there":      {freeAddress(t), "ringfence", "measure-me", "connection refused"},
		"something else is": {newGreeter(t, "220 mail ESMTP\r\n"), "ringfence", "measure-me", "no Asterisk manager interface"},
	} {
		if got := trouble(c.address, c.user, c.secret); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	cut := make(chan string)
	go func() { cut <- trouble(a.manager, "ringfence", "measure-me") }()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(a.cli("manager show connected"), "ringfence"); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not log in")
		}
	}
	a.cli("core stop now")
	if got := <-cut; !strings.Contains(got, "closed the connection") {
		t.Errorf("Asterisk was stopped: %q", got)
	}
}

// A user who may log in and is told nothing is noticed when calls come.
func TestManagerTellsNothing(t *testing.T) {
	asteriskRoot(t)
	handset, caller := newPhone(t), newPhone(t)
	agi := freeAddress(t)
	a := startManagedAsterisk(t, agi, handset.addr)
	d, _ := startDaemonWith(t, outcomePolicy, fmt.Sprintf("[agi]\nlisten = %q\n[[attach]]\nkind = \"asterisk\"\naddress = %q\nuser = \"deaf\"\npassword = \"measure-me\"\n", agi, a.manager))
	waitAttached(t, d)
	for i := range 3 {
		s, err := d.Desk().Status(t.Context())
		if err != nil || s.Attached[0].Trouble != "" {
			t.Fatalf("after %d calls: %+v %v", i, s.Attached, err)
		}
		if _, err := caller.dial(t.Context(), a.Address, "13800138000", "", fmt.Sprintf("0592555017%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := d.Desk().Status(t.Context()); err != nil || !s.Attached[0].Attached || !strings.Contains(s.Attached[0].Trouble, "read = call") {
		t.Errorf("%+v %v", s.Attached, err)
	}
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
