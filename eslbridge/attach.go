package eslbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// AttachOptions say which switch to attach to. Zero values stand for the defaults in brackets.
type AttachOptions struct {
	Name     string       // the switch's, in log lines and CallEnd.Switch [Address]
	Address  string       // host:port of its event socket
	Password string       // of its event_socket.conf.xml
	Log      *slog.Logger // [slog.Default()]

	Queue        int           // ends of calls that may wait for the sink; further ones are dropped [4096]
	Idle         time.Duration // silence after which the switch is asked whether it is there [60 s]
	Wait         time.Duration // bound of every other wait: connection, reply, rest of a frame [10 s]
	RetryMin     time.Duration // pause before the first try to connect again, about doubled each time [1 s]
	RetryMax     time.Duration // the longest such pause [30 s]
	RetryRefused time.Duration // pause after a refusal that only the administrator can lift [60 s]

	// Dial opens the connection [TCP with keep-alive].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// AttachCounters count what happened since the start. All may be read at any time.
type AttachCounters struct {
	Connects      atomic.Uint64 // connections opened
	Refused       atomic.Uint64 // times that the switch refused the password or our address
	Events        atomic.Uint64 // events received, heartbeats included
	Ends          atomic.Uint64 // ends of calls among them
	Dropped       atomic.Uint64 // ends that the sink was too slow for, or could not take
	Unreadable    atomic.Uint64 // events that name no call, or with too many lines
	UnknownFrames atomic.Uint64 // frames of a type we do not know, skipped
}

// Attach is a client of a switch's own event socket that learns how calls ended. It only listens: nothing
// on the way of a call waits for it, and it never sends a command that concerns a call. What ends while it
// is not attached is not learnt.
//
// The switch puts each event into a queue of 100,000 for each client and closes a client that is too slow
// (mod_event_socket.c, event_handler); the reader here therefore waits for nothing but the network.
type Attach struct {
	o        AttachOptions
	log      *slog.Logger
	sink     func(CallEnd)
	Counters AttachCounters

	queue    chan *CallEnd
	running  atomic.Bool
	attached atomic.Bool
	gaveUp   atomic.Bool            // the sink did not return in time at the end; nothing more is given to it
	trouble  atomic.Pointer[string] // why it is not attached; nil while it is
	noise    rate.Sometimes

	// For Run's goroutine alone.
	tries  int    // connections that failed or did not last, in a row
	logged string // the trouble that was logged last, "" when all is well
}

// maxEvent bounds one event. They have 7 to 12 kB; one with the CDR attached, which a channel variable
// asks for, has 30.
const maxEvent = 1 << 20

// Why a switch is not attached. The first two are the administrator's to lift.
var (
	errPassword   = errors.New("the switch refused the password")
	errNotAllowed = errors.New("the switch refuses connections from this address")
	errSilent     = errors.New("the switch was silent for too long")
	errClosed     = errors.New("the switch closed the event socket")
	errNoSwitch   = errors.New("what answers there is no event socket")
	errSubscribe  = errors.New("the switch refused the subscription to events")
)

// NewAttach makes a client that gives each end of a call to sink, one at a time, in the order of the
// switch's events. sink runs on a goroutine of its own: a slow one delays nothing, but what does not fit
// into the queue is dropped and counted. It does nothing before Run.
func NewAttach(o AttachOptions, sink func(CallEnd)) *Attach {
	setDefault := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	setDefault(&o.Idle, time.Minute)
	setDefault(&o.Wait, 10*time.Second)
	setDefault(&o.RetryMin, time.Second)
	setDefault(&o.RetryMax, 30*time.Second)
	setDefault(&o.RetryRefused, time.Minute)
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.Name == "" {
		o.Name = o.Address
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Dial == nil {
		d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
		o.Dial = d.DialContext
	}
	a := &Attach{o: o, sink: sink, queue: make(chan *CallEnd, o.Queue)}
	a.log = o.Log.With("switch", o.Name, "address", o.Address)
	a.noise = rate.Sometimes{First: 1, Interval: time.Minute}
	a.trouble.Store(new("not tried yet"))
	return a
}

// Attached reports whether the switch sends us its events now.
func (a *Attach) Attached() bool { return a.attached.Load() }

// Trouble says why the switch is not attached, "" while it is.
func (a *Attach) Trouble() string {
	if t := a.trouble.Load(); t != nil {
		return *t
	}
	return ""
}

// Run keeps the switch attached until ctx ends, then gives what has arrived to the sink and returns nil.
// A sink that does not return within AttachOptions.Wait is left behind and gets nothing more. Run may be
// called once; the second time it returns an error.
func (a *Attach) Run(ctx context.Context) error {
	if a.running.Swap(true) {
		return errors.New("this switch is being attached already")
	}
	delivered := make(chan struct{})
	go a.deliver(delivered)
	for ctx.Err() == nil {
		up, err := a.connect(ctx)
		if ctx.Err() != nil {
			break
		}
		pause := a.pause(err, up)
		a.report(err, pause)
		sleep(ctx, pause)
	}
	a.trouble.Store(new("stopped"))
	close(a.queue)
	bound := time.NewTimer(a.o.Wait)
	defer bound.Stop()
	select {
	case <-delivered:
	case <-bound.C:
		a.gaveUp.Store(true)
		a.log.Error("ends of calls could not be recorded before the stop", "waiting", len(a.queue))
	}
	return nil
}

// deliver gives the ends of calls to the sink until the queue is closed and empty.
func (a *Attach) deliver(delivered chan<- struct{}) {
	defer close(delivered)
	for e := range a.queue {
		if a.gaveUp.Load() {
			a.Counters.Dropped.Add(1)
			continue
		}
		a.give(e)
	}
}

// give hands one end over. A fault of the sink must not take the daemon down.
func (a *Attach) give(e *CallEnd) {
	defer func() {
		if p := recover(); p != nil {
			a.Counters.Dropped.Add(1)
			a.log.Error("the end of a call could not be recorded", "fault", p, "stack", string(debug.Stack()))
		}
	}()
	a.sink(*e)
}

// pause is how long to wait before the next connection: after RetryMin at first, then longer and longer,
// with chance in it, so that many daemons do not come back to a switch at the same moment. A connection
// that held for RetryMax begins anew.
func (a *Attach) pause(err error, up time.Duration) time.Duration {
	if refused(err) {
		return a.o.RetryRefused
	}
	if up >= a.o.RetryMax {
		a.tries = 0
	}
	base := a.o.RetryMin << min(a.tries, 16)
	a.tries++
	if limit := a.o.RetryMax * 2 / 3; base > limit {
		base = limit
	}
	return base + rand.N(base/2+1)
}

// refused: trying again soon would only fill the switch's log.
func refused(err error) bool {
	return errors.Is(err, errPassword) || errors.Is(err, errNotAllowed) || errors.Is(err, errSubscribe)
}

// report notes why the switch is not attached and logs it when it is not the same as before.
func (a *Attach) report(err error, pause time.Duration) {
	why := reason(err)
	a.trouble.Store(&why)
	if why == a.logged {
		return
	}
	a.logged = why
	var todo string
	switch {
	case errors.Is(err, errPassword):
		todo = "the password of [[attach]] must be the one of the switch's event_socket.conf.xml"
	case errors.Is(err, errNotAllowed):
		todo = "apply-inbound-acl in the switch's event_socket.conf.xml must name a list that holds this machine's address; then reload mod_event_socket"
	case errors.Is(err, errNoSwitch):
		todo = "address of [[attach]] must be the listen-ip and listen-port of the switch's event_socket.conf.xml"
	default:
		todo = "is the switch running, with mod_event_socket loaded?"
	}
	a.log.Warn("not attached: how calls end is not learnt until it is", "reason", why, "todo", todo, "again_in", pause.Round(time.Second/10))
}

// reason is the text of an error without the ports of one connection, so that the same trouble reads the same.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// sleep returns after d or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// attachment is one connection to the switch, from dialling to its end.
type attachment struct {
	a    *Attach
	conn net.Conn
	rd   *Reader
	in   Frame
	ev   Frame // the event in in
	cmd  commands

	until time.Time // when the wait in hand ends; zero between frames, where only Idle counts
	asked bool      // the switch was asked whether it is there and has not said anything yet
}

// connect attaches, reads until the connection ends, and says why it did and how long it was attached.
func (a *Attach) connect(ctx context.Context) (up time.Duration, err error) {
	dial, cancel := context.WithTimeout(ctx, a.o.Wait)
	conn, err := a.o.Dial(dial, "tcp", a.o.Address)
	cancel()
	if err != nil {
		return 0, err
	}
	a.Counters.Connects.Add(1)
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // ends every wait below
	defer stop()
	s := &attachment{a: a, conn: conn}
	s.rd = NewReader(s, maxEvent)
	if err := s.attach(); err != nil {
		if refused(err) {
			a.Counters.Refused.Add(1)
		}
		return 0, err
	}
	began := time.Now()
	a.attached.Store(true)
	defer a.attached.Store(false)
	a.trouble.Store(nil)
	a.logged = ""
	a.log.Info("attached to the switch")
	err = s.listen()
	return time.Since(began), err
}

// attach waits for the greeting, shows the password and subscribes.
func (s *attachment) attach() error {
	s.until = time.Now().Add(s.a.o.Wait)
	if err := s.rd.Next(&s.in); err != nil {
		return closedOr(err)
	}
	if err := greeted(&s.in); err != nil {
		return err
	}
	s.cmd.auth(s.a.o.Password)
	if err := s.ask(errPassword); err != nil {
		return err
	}
	// One event for each leg of a call and one every 20 s. All others stay in the switch.
	s.cmd.events("CHANNEL_HANGUP_COMPLETE HEARTBEAT")
	return s.ask(errSubscribe)
}

// ask sends the command in s.cmd and waits for its reply; refusal is the error for one that is not +OK.
// Events may come before it.
func (s *attachment) ask(refusal error) error {
	s.until = time.Now().Add(s.a.o.Wait)
	if err := s.send(); err != nil {
		return err
	}
	for {
		if err := s.next(); err != nil {
			return err
		}
		switch s.in.Type() {
		case typeReply:
			if !s.in.OK() {
				return refusal
			}
			return nil
		case typeEvent:
			s.event()
		}
	}
}

// listen takes events until the connection ends.
func (s *attachment) listen() error {
	for {
		s.until = time.Time{}
		if s.rd.Begun() {
			s.until = time.Now().Add(s.a.o.Wait)
		}
		if err := s.next(); err != nil {
			return err
		}
		if s.in.Type() == typeEvent { // else it answers a question of Read's, or is not known
			s.event()
		}
	}
}

// next reads a frame. The switch's goodbye is an error; types that are not known are counted.
func (s *attachment) next() error {
	if err := s.rd.Next(&s.in); err != nil {
		return closedOr(err)
	}
	switch s.in.Type() {
	case typeReply, typeAPI, typeEvent:
	case typeDisconnect:
		return errClosed
	default:
		s.a.Counters.UnknownFrames.Add(1)
	}
	return nil
}

// closedOr gives the ways in which a connection ends one name each.
func closedOr(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	case errors.Is(err, ErrHeaderTooLarge), errors.Is(err, ErrBodyTooLarge), errors.Is(err, ErrContentLength):
		return fmt.Errorf("%w: %w", errNoSwitch, err)
	case errors.Is(err, net.ErrClosed):
		return err
	}
	return fmt.Errorf("%w: %s", errClosed, reason(err))
}

// Read is what the Reader reads from: the connection, with a bound on every wait. Between frames the switch
// may be silent for Idle; then it is asked for a word, and one more Wait is its last chance. Within a frame
// the rest must come within Wait, however it trickles in.
func (s *attachment) Read(p []byte) (int, error) {
	for {
		limit := s.until
		if limit.IsZero() {
			limit = time.Now().Add(s.a.o.Idle)
			if s.asked {
				limit = time.Now().Add(s.a.o.Wait)
			}
		}
		s.conn.SetReadDeadline(limit)
		n, err := s.conn.Read(p)
		if n > 0 {
			s.asked = false
			if s.until.IsZero() && len(bytes.TrimLeft(p[:n], "\r\n")) > 0 {
				s.until = time.Now().Add(s.a.o.Wait)
			}
			return n, nil // an error comes again
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !s.until.IsZero() || s.asked {
			return 0, err
		}
		s.asked = true
		s.cmd.api("strepoch") // whatever it answers, a refusal too, shows that it is there
		if err := s.send(); err != nil {
			return 0, err
		}
	}
}

// send writes the command in s.cmd.
func (s *attachment) send() error {
	s.conn.SetWriteDeadline(time.Now().Add(s.a.o.Wait))
	_, err := s.conn.Write(s.cmd.buf)
	s.cmd.reset()
	if err != nil {
		return closedOr(err)
	}
	return nil
}

// event takes the event in s.in.
func (s *attachment) event() {
	c := &s.a.Counters
	c.Events.Add(1)
	if err := s.in.Event(&s.ev); err != nil {
		c.Unreadable.Add(1)
		return
	}
	if string(s.ev.Raw("Event-Name")) != "CHANNEL_HANGUP_COMPLETE" {
		return
	}
	end, ok := readCallEnd(&s.ev, s.a.o.Name)
	if !ok {
		c.Unreadable.Add(1)
		return
	}
	c.Ends.Add(1)
	select {
	case s.a.queue <- &end:
	default:
		c.Dropped.Add(1)
		s.a.noise.Do(func() {
			s.a.log.Warn("the end of a call was dropped: recording is slower than the switch", "queue", s.a.o.Queue, "dropped", c.Dropped.Load())
		})
	}
}
