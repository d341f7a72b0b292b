package bridge

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Switch is what a bridge can have a switch do with one call. Everything returns ErrHungUp when the caller has
// hung up, ErrOver when the call was given back, ErrRefused when the switch refuses, ErrUnheard when it ends the
// conversation before it has begun, and any other error when the connection failed.
type Switch interface {
	// Facts gets the call's facts. again says that it was screened before, or that the switch's guard has had it.
	Facts() (f *Facts, again bool, err error)
	// Tell sets what the verdict has for later readers: variables, the name and number shown.
	Tell(v *Verdict) error
	// Begin makes ready for sounds, as early media or by answering the call first. ringing is the verdict's, ""
	// if the call does not go on.
	Begin(answer bool, ringing string) error
	// Play lets the caller hear a sound and returns when it has ended.
	Play(s Sound) error
	// Keys plays a prompt and returns the keys that the caller pressed, from its first word on, until there are
	// n of them, or #, or FirstKey and NextKey are over.
	Keys(prompt Sound, n int) (string, error)
	// Wait gives the next step, in which the caller hears nothing, its time.
	Wait(length time.Duration) error
	// Leave gives the call back, which then goes on.
	Leave() error
	// Refuse has it refused with a SIP status.
	Refuse(status int, r Refusal) error
	// RefuseQuickly has it refused with less said, and sooner, than by Tell and Refuse.
	RefuseQuickly(status int, r Refusal) error
	// Interrupt breaks off what the caller hears; the step then ends as if it had come to its end. It comes from another
	// goroutine than the rest. A switch that cannot do it does nothing, and the sound is heard out.
	Interrupt()
}

// How long a caller has for the keys of a challenge: to the first one, counted from the end of the prompt,
// and from one to the next. Elderly people need it.
const (
	FirstKey = 5 * time.Second
	NextKey  = 3 * time.Second
)

// Margin is what a step may take beyond its own length where no guard of the switch bounds it.
const Margin = 2 * time.Second

var (
	ErrOver    = errors.New("the call was given back")
	ErrHungUp  = errors.New("the caller hung up")
	ErrRefused = errors.New("the switch refused")
	ErrUnheard = errors.New("the switch took the call back before it did anything we said")
	errPanic   = errors.New("fault in the screening code")
)

// handling is the way of one call. In order:
//
//	Facts     what the switch says of it
//	Screen    the Screener says what to do
//	carryOut  variables, announcement, challenge, refusal; in the end the switch gets it back
//	Record    the Screener is told
type handling struct {
	port    *Port
	conn    *Conn
	sw      Switch
	facts   *Facts
	seen    bool // facts were read, and the call is to be screened
	done    bool // or it was screened before, or is none to be screened
	verdict Verdict
	keyed   Keyed // how the caller met the challenge
}

// Run takes a call its whole way and closes the connection. What fails in it lets the call pass.
func (p *Port) Run(c *Conn, sw Switch) {
	w := handling{port: p, conn: c, sw: sw}
	err := w.screen()
	named := w.facts != nil && w.facts.UUID != ""
	r := Result{Keyed: w.keyed, Dismissed: w.verdict.Held.Dismissed()}
	switch {
	case errors.Is(err, ErrHungUp) && named:
		r.HungUp = true
	case err != nil:
		r.FailOpen = failure(c, err)
	}
	if r.FailOpen != "" {
		c.giveBack(r.FailOpen)
		p.Counters.countFailOpen(r.FailOpen)
		if named {
			p.warn("call let through unscreened", "reason", r.FailOpen, "error", err, "uuid", w.facts.UUID, "peer", c.conn.RemoteAddr().String())
		} else {
			p.Counters.Nameless.Add(1)
			p.warn("a connection that named no call", "reason", r.FailOpen, "error", err, "peer", c.conn.RemoteAddr().String())
		}
	}
	if w.seen || err != nil && named && !w.done {
		r.Took = time.Since(c.accepted)
		w.record(r)
	}
	c.Close() // not before the record: what Asterisk does then may end the call, and its end is looked for there
}

// screen returns nil when the verdict was carried out, ErrHungUp, or why the call is let through.
func (w *handling) screen() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	f, again, err := w.sw.Facts()
	w.facts, w.done = f, again
	if err != nil {
		return err
	}
	w.port.named(w.conn)
	if again {
		w.port.Counters.Repeated.Add(1)
		return w.sw.Leave()
	}
	if f.Intent != "" && f.Intent != "screen" {
		w.done = true
		w.port.Counters.Unscreened.Add(1)
		switch f.Intent {
		case IntentReport:
			w.port.Counters.Reports.Add(1)
			return w.starCode()
		case IntentRelease:
			w.port.Counters.Releases.Add(1)
			return w.starCode()
		case "dialled":
			w.port.screener.Dialled(f)
		}
		return w.sw.Leave()
	}
	w.seen = true
	if f.Test {
		w.port.Counters.Tests.Add(1)
	} else {
		w.port.Counters.Screened.Add(1)
	}
	w.verdict = w.port.screener.Screen(f)
	return w.carryOut(&w.verdict)
}

// failure names the reason of a fail-open.
func failure(c *Conn, err error) string {
	over := c.Over()
	switch {
	case errors.Is(err, errPanic):
		return FailPanic
	case errors.Is(err, ErrRefused):
		return FailCommand
	case errors.Is(err, ErrUnheard):
		return FailUnheard
	case over != "":
		return over
	case errors.Is(err, ErrOver): // the timer is about to fire
		return c.tooLate
	}
	return FailWire
}

// record tells the Screener; a fault there must not take the daemon down with it.
func (w *handling) record(r Result) {
	defer func() {
		if p := recover(); p != nil {
			w.port.o.Log.Error("a call could not be recorded", "fault", p, "stack", string(debug.Stack()))
		}
	}()
	w.port.screener.Record(w.facts, &w.verdict, r)
}

// crowded is how many calls in hand make the switch slow: what is left out then are the variables of calls that are
// refused, which only its own call records would show.
const crowded = 48

// carryOut does what the verdict says.
func (w *handling) carryOut(v *Verdict) error {
	silent := v.Play.Silent() && v.Challenge == nil
	if v.Refuse != 0 && silent && (v.Brief || w.port.InHand() > crowded) {
		return w.sw.RefuseQuickly(v.Refuse, v.Refusal)
	}
	if err := w.sw.Tell(v); err != nil {
		return err
	}
	if silent {
		return w.end(v, v.Refuse)
	}
	defer v.Held.bind(nil)
	v.Held.bind(w.sw.Interrupt)
	ringing := v.Ringing
	if v.Refuse != 0 {
		ringing = ""
	}
	if err := w.sw.Begin(v.Answer, ringing); err != nil {
		return err
	}
	if !v.Held.Dismissed() {
		if err := w.play(v.Play); err != nil {
			return err
		}
	}
	if v.Challenge != nil {
		passed, err := w.challenge(v.Challenge)
		if err != nil {
			return err
		}
		if !passed {
			return w.end(v, v.Challenge.Refuse)
		}
	}
	return w.end(v, v.Refuse)
}

// end refuses the call with a SIP status or, if that is 0, gives it back.
func (w *handling) end(v *Verdict, status int) error {
	if status == 0 {
		return w.sw.Leave()
	}
	return w.sw.Refuse(status, v.Refusal)
}

func (w *handling) play(s Sound) error {
	if s.Silent() {
		return nil
	}
	return w.sw.Play(s)
}

// challenge asks the caller for digits and reports whether they came. w.keyed keeps how it went, also when the
// caller hangs up on it.
func (w *handling) challenge(ch *Challenge) (passed bool, err error) {
	for _, q := range ch.Tries {
		if w.verdict.Held.Dismissed() {
			return false, nil
		}
		asked := time.Now()
		keys, err := w.sw.Keys(q.Prompt, len(q.Want))
		switch {
		case err != nil:
			if errors.Is(err, ErrHungUp) && w.keyed == NotAsked {
				w.keyed = KeyedLeft
				if time.Since(asked) >= q.Prompt.Length {
					w.keyed = KeyedNothing
				}
			}
			return false, err
		case keys == "" && w.verdict.Held.Dismissed():
			return false, nil
		case keys == q.Want:
			w.keyed = KeyedRight
			w.verdict.Held.Pass()
			return true, w.play(ch.Passed)
		case keys != "":
			w.keyed = KeyedWrong
		case w.keyed == NotAsked:
			w.keyed = KeyedNothing
		}
	}
	if w.verdict.Held.Dismissed() {
		return false, nil
	}
	return false, w.play(ch.Failed)
}

// What a phone of the house asks for by a star code (Facts.Intent).
const (
	IntentReport  = "report"
	IntentRelease = "release"
)

// confirmWait is how long a report, or a release, may take to get to the disk before its caller is left without an answer.
const confirmWait = 2 * time.Second

// starCode serves a star code. The dialplan ends the call when it has it back.
func (w *handling) starCode() error {
	q := w.port.screener.StarCode(w.facts)
	if err := w.sw.Begin(true, ""); err != nil {
		return err
	}
	if q.Confirm == nil {
		if err := w.play(q.Prompt); err != nil {
			return err
		}
		return w.sw.Leave()
	}
	key, err := w.sw.Keys(q.Prompt, len(q.Key))
	if err != nil {
		return err
	}
	if key == q.Key {
		if err := w.sw.Wait(confirmWait); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), confirmWait)
		defer cancel()
		done := make(chan Sound, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					w.port.o.Log.Error("what a star code asked for could not be done", "fault", p, "stack", string(debug.Stack()))
					done <- Sound{}
				}
			}()
			done <- q.Confirm(ctx)
		}()
		select {
		case s := <-done:
			if err := w.play(s); err != nil {
				return err
			}
		case <-ctx.Done():
		}
	}
	return w.sw.Leave()
}
