package asterisk_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ringfence/ami"
	"ringfence/attach"
	"ringfence/console"
	"ringfence/e2e/asterisk"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/e2e/sip"
	"ringfence/e2e/tables"
)

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

// What became of calls through a real Asterisk, as the journal tells it.
func TestOutcomesAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	handset, caller := phone.New(t), phone.New(t)
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
		{name: "a line end in the number", from: sip.InUser("1380\r\nUniqueid: 1\r\n\r\nEvent: X"), ringsFor: 300 * ms, hold: 700 * ms, answered: true, cause: "NORMAL_CLEARING", by: "caller", ring: 290 * ms, talk: 650 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			handset.RingsFor(c.ringsFor)
			handset.HangsUpAfter(c.hangsUp)
			handset.Refuses(c.refuses)
			defer func() { handset.RingsFor(0); handset.HangsUpAfter(0); handset.Refuses("") }()
			caller.Hold = c.hold
			if c.patience == 0 {
				c.patience = 40 * time.Second
			}
			place := func(to string) (*console.Outcome, phone.Heard, error) {
				ctx, cancel := context.WithTimeout(t.Context(), c.patience)
				defer cancel()
				h, err := caller.Dial(ctx, a.Address, c.from, "", to)
				return w.outcome(to).Outcome, h, err
			}
			near := func(got float64, least time.Duration) bool {
				s := least.Seconds()
				return got >= s && got <= s+0.6 && (s > 0 || got <= 0.05)
			}
			o, h, err := place(fmt.Sprintf("059255501%02d", i))
			if !near(o.RingS, c.ring) || !near(o.TalkS, c.talk) { // a busy machine rings late, or hears of an answer late
				t.Logf("once more: %+v", *o)
				o, h, err = place(fmt.Sprintf("059255501%02d", 12+i))
			}
			if o.Answered != c.answered || o.Cause != c.cause || o.By != c.by {
				t.Errorf("%+v, want answered %v, %s by %s (the caller saw %+v, %v)", *o, c.answered, c.cause, c.by, h, err)
			}
			if !near(o.RingS, c.ring) || !near(o.TalkS, c.talk) {
				t.Errorf("rang %v s and talked %v s, want %v and %v, and little more", o.RingS, o.TalkS, c.ring, c.talk)
			}
			rows = append(rows, fmt.Sprintf("| %s | %v | `%s` | %s |", c.name, c.answered, o.Cause, o.By))
		})
	}
	if last, ok := w.d.Screener().LastCallAt("handset", ""); !ok || last.ID == "" {
		t.Errorf("the last call of the handset: %+v, %v", last, ok)
	}
	tables.Write(t, "outcomes on Asterisk", rows)
	disturbed(t, w, a, r, handset, caller)
	unheard(t, w, a, r, handset, caller)
	a.MustBeIdle()
}

// place places a call that is answered, and held as long as the caller holds calls.
func (w *watched) place(caller *phone.Phone, server, to string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 40*time.Second)
	defer cancel()
	if h, err := caller.Dial(ctx, server, "13900139000", "", to); err != nil || h.Final != "200 OK" {
		w.t.Fatalf("%+v %v", h, err)
	}
}

// talked holds the journal to a call that was answered and ended by the caller, so many seconds later.
func (w *watched) talked(to string, least, most float64) {
	w.t.Helper()
	if o := w.outcome(to).Outcome; !o.Answered || o.By != "caller" || o.Cause != "NORMAL_CLEARING" || o.TalkS < least || o.TalkS > most {
		w.t.Errorf("%+v, want a talk of %v to %v s", *o, least, most)
	}
}

// disturbed is what becomes of calls while something happens to the manager, the daemon or the connection between them.
func disturbed(t *testing.T, w *watched, a *managedAsterisk, r *relay, handset, caller *phone.Phone) {
	const ms = time.Millisecond
	caller.Hold = 700 * ms
	t.Run("manager reload", func(t *testing.T) {
		a.MustCLI("manager reload")
		w.place(caller, a.Address, "05925550130")
		w.talked("05925550130", 0.6, 1.2)
	})
	t.Run("the connection is cut and comes back, a call being up", func(t *testing.T) {
		caller.Hold = 4 * time.Second
		defer func() { caller.Hold = 700 * ms }()
		up := make(chan bool)
		go func() {
			defer close(up)
			<-time.After(500 * ms)
			r.cut(false)
		}()
		w.place(caller, a.Address, "05925550131")
		<-up
		setup.WaitAttached(t, w.d)
		w.talked("05925550131", 3.9, 4.6)
	})
	t.Run("the daemon is started again, a call being up", func(t *testing.T) {
		caller.Hold = 6 * time.Second
		defer func() { caller.Hold = 700 * ms }()
		over := make(chan bool)
		go func() {
			defer close(over)
			w.place(caller, a.Address, "05925550132")
		}()
		for rang := false; !rang; _, rang = handset.Invited("05925550132") {
			select {
			case <-over:
				t.Fatal("the handset did not ring")
			case <-time.After(20 * ms):
			}
		}
		w.restart()
		<-over
		w.talked("05925550132", 5.5, 7.5) // Asterisk says in which second it began
	})
}

// unheard is what becomes of calls that the daemon or the manager does not hear of, and of one that a phone places.
func unheard(t *testing.T, w *watched, a *managedAsterisk, r *relay, handset, caller *phone.Phone) {
	const ms = time.Millisecond
	t.Run("a guard that fires is counted", func(t *testing.T) {
		before := w.failOpen("guard")
		w.agi.cut(true)
		w.place(caller, a.Address, "05925550133")
		w.agi.cut(false)
		for end := time.Now().Add(10 * time.Second); w.failOpen("guard") != before+1; <-time.After(20 * ms) {
			if time.Now().After(end) {
				t.Fatalf("guard: %d, was %d", w.failOpen("guard"), before)
			}
		}
	})
	t.Run("nothing waits for the manager", func(t *testing.T) {
		handset.RingsFor(0)
		took := func(to string) time.Duration {
			t.Helper()
			rang, torn := setup.DialAndMeasure(t, phone.New(t), handset, a.Address, to)
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
		setup.WaitAttached(t, w.d)
	})
	t.Run("a phone calls out", func(t *testing.T) {
		caller.Hold = 10500 * ms
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if h, err := caller.Dial(ctx, a.Address, "8001", "", "13800138777", "X-Phone: 8001"); err != nil || h.Final != "200 OK" {
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
		"nobody there":      {setup.FreeAddress(t), "ringfence", "measure-me", "connection refused"},
		"something else is": {newGreeter(t, "220 mail ESMTP\r\n"), "ringfence", "measure-me", "no Asterisk manager interface"},
	} {
		if got := trouble(c.address, c.user, c.secret); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	cut := make(chan string)
	go func() { cut <- trouble(a.manager, "ringfence", "measure-me") }()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(a.MustCLI("manager show connected"), "ringfence"); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not log in")
		}
	}
	a.MustCLI("core stop now")
	if got := <-cut; !strings.Contains(got, "closed the connection") {
		t.Errorf("Asterisk was stopped: %q", got)
	}
}

// A user who may log in and is told nothing is noticed when calls come.
func TestManagerTellsNothing(t *testing.T) {
	setup.AsteriskRoot(t)
	handset, caller := phone.New(t), phone.New(t)
	agi := setup.FreeAddress(t)
	a := startManagedAsterisk(t, agi, handset.Addr)
	d, _ := setup.StartDaemonWith(t, outcomePolicy, fmt.Sprintf("[agi]\nlisten = %q\n[[attach]]\nkind = \"asterisk\"\naddress = %q\nuser = \"deaf\"\npassword = \"measure-me\"\n", agi, a.manager))
	setup.WaitAttached(t, d)
	for i := range 3 {
		s, err := d.Desk().Status(t.Context())
		if err != nil || s.Attached[0].Trouble != "" {
			t.Fatalf("after %d calls: %+v %v", i, s.Attached, err)
		}
		if _, err := caller.Dial(t.Context(), a.Address, "13800138000", "", fmt.Sprintf("0592555017%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := d.Desk().Status(t.Context()); err != nil || !s.Attached[0].Attached || !strings.Contains(s.Attached[0].Trouble, "read = call") {
		t.Errorf("%+v %v", s.Attached, err)
	}
}
