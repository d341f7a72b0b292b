// Package attach keeps the daemon attached to switches, to learn how calls ended. What it needs of a switch, the way
// in and the events, is a Switch: eslbridge has FreeSWITCH's event socket, ami has Asterisk's manager interface. Here is
// what both share: the connection with its bounds (conn.go), coming back after a failure, saying what is wrong, and
// the queue to whoever wants to know (end.go has what that is).
package attach

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Options say which switch to attach to. Zero values stand for the defaults in brackets.
type Options struct {
	Name    string       // the switch's, in log lines and CallEnd.Switch [Address]
	Address string       // host:port of its event socket or manager
	Log     *slog.Logger // [slog.Default()]

	Queue        int           // ends of calls that may wait for the sink; further ones are dropped [4096]
	Idle         time.Duration // silence after which the switch is asked whether it is there [60 s]
	Wait         time.Duration // bound of every other wait: connection, reply, rest of a message [10 s]
	RetryMin     time.Duration // pause before the first try to connect again, about doubled each time [1 s]
	RetryMax     time.Duration // the longest such pause [30 s]
	RetryRefused time.Duration // pause after a refusal that only the administrator can lift [60 s]

	// Dial opens the connection [TCP with keep-alive].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Counters count what happened since the start. All may be read at any time.
type Counters struct {
	Connects      atomic.Uint64 // connections opened
	Refused       atomic.Uint64 // times that the switch refused the password, our address or the subscription
	Events        atomic.Uint64 // events received, heartbeats included
	Ends          atomic.Uint64 // ends of calls among them
	Dropped       atomic.Uint64 // ends that the sink was too slow for, or could not take
	Unreadable    atomic.Uint64 // events that name no call, with too many lines, or with lines that somebody wrote into a number
	UnknownFrames atomic.Uint64 // messages of a type we do not know, skipped
	NoRoom        atomic.Uint64 // channels that were not followed because too many were up (Asterisk)
	Forgotten     atomic.Uint64 // channels that were followed and whose end never came (Asterisk)
}

// Each calls f for every counter, with its name in status.
func (c *Counters) Each(f func(name string, n uint64)) {
	f("connects", c.Connects.Load())
	f("refused", c.Refused.Load())
	f("events", c.Events.Load())
	f("ends", c.Ends.Load())
	f("dropped", c.Dropped.Load())
	f("unreadable", c.Unreadable.Load())
	f("unknown_frames", c.UnknownFrames.Load())
	f("no_room", c.NoRoom.Load())
	f("forgotten", c.Forgotten.Load())
}

// Switch is a kind of switch. It may keep what it knows of calls from one connection to the next.
type Switch interface {
	// Begin makes a session of a new connection. There is one at a time.
	Begin(c *Conn) Session
	// Hint says what to look after when nothing better is known of why the switch is not attached.
	Hint() string
}

// Session is one connection to a switch. What it reads it reads from its Conn, so that no wait is without bound.
type Session interface {
	// Login shows the password and subscribes. It calls Conn.Within before each of its waits. An error that is a
	// *Trouble says what to do about it.
	Login() error
	// Next reads what the switch says next, and takes it.
	Next() error
	// Begun: a part of what comes next has arrived.
	Begun() bool
	// Ping is what to say to a switch that is silent, so that it says something.
	Ping() []byte
}

// Trouble is an error that says what to do about it.
type Trouble struct {
	Reason string
	Todo   string // for the administrator; "" for the switch's Hint
	// Refused: only the administrator can lift it. Trying again soon would only fill the switch's log.
	Refused bool
}

func (t *Trouble) Error() string { return t.Reason }

// Client is a client of a switch that learns how calls ended. It only listens: nothing on the way of a call waits for
// it, and it never sends a command that concerns a call. What ends while it is not attached is not learnt.
//
// Switches close a client that is too slow (FreeSWITCH behind a queue of 100,000 events: mod_event_socket.c,
// event_handler; Asterisk when a write takes 100 ms: manager.c, writetimeout); the reader here therefore waits for
// nothing but the network.
type Client struct {
	o        Options
	sw       Switch
	log      *slog.Logger
	sink     func(CallEnd)
	Counters Counters

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

// New makes a client that gives each end of a call to sink, one at a time, in the order of the switch's events. sink
// runs on a goroutine of its own: a slow one delays nothing, but what does not fit into the queue is dropped and
// counted. It does nothing before Run.
func New(o Options, sw Switch, sink func(CallEnd)) *Client {
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
	a := &Client{o: o, sw: sw, sink: sink, queue: make(chan *CallEnd, o.Queue)}
	a.log = o.Log.With("switch", o.Name, "address", o.Address)
	a.noise = rate.Sometimes{First: 1, Interval: time.Minute}
	a.trouble.Store(new("not tried yet"))
	return a
}

// Attached reports whether the switch sends us its events now.
func (a *Client) Attached() bool { return a.attached.Load() }

// Trouble says why the switch is not attached, "" while it is.
func (a *Client) Trouble() string {
	if t := a.trouble.Load(); t != nil {
		return *t
	}
	return ""
}

// Run keeps the switch attached until ctx ends, then gives what has arrived to the sink and returns nil. A sink that
// does not return within Options.Wait is left behind and gets nothing more. Run may be called once; the second time
// it returns an error.
func (a *Client) Run(ctx context.Context) error {
	if a.running.Swap(true) {
		return errors.New("this switch is being attached already")
	}
	delivered := make(chan struct{})
	go a.deliver(delivered)
	for ctx.Err() == nil {
		up, err := a.Connect(ctx)
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
func (a *Client) deliver(delivered chan<- struct{}) {
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
func (a *Client) give(e *CallEnd) {
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
func (a *Client) pause(err error, up time.Duration) time.Duration {
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

func refused(err error) bool {
	var t *Trouble
	return errors.As(err, &t) && t.Refused
}

// report notes why the switch is not attached and logs it when it is not the same as before.
func (a *Client) report(err error, pause time.Duration) {
	why := reason(err)
	defer a.trouble.Store(&why) // who waits for it finds the line
	if why == a.logged {
		return
	}
	a.logged = why
	todo := a.sw.Hint()
	var t *Trouble
	if errors.As(err, &t) && t.Todo != "" {
		todo = t.Todo
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

// Connect attaches once, reads until the connection ends, and says why it did and how long it was attached. Run calls
// it again and again.
func (a *Client) Connect(ctx context.Context) (up time.Duration, err error) {
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
	c := &Conn{a: a, conn: conn}
	c.session = a.sw.Begin(c)
	c.Within()
	if err := c.session.Login(); err != nil {
		if refused(err) {
			a.Counters.Refused.Add(1)
		}
		return 0, Ended(err)
	}
	began := time.Now()
	a.logged = ""
	a.log.Info("attached to the switch") // before Attached says so: who waits for that finds the line
	a.trouble.Store(nil)
	a.attached.Store(true)
	defer a.attached.Store(false)
	err = c.listen()
	return time.Since(began), Ended(err)
}
