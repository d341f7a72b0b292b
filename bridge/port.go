package bridge

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Options of a Port. Zero values stand for the defaults in brackets.
type Options struct {
	Allow    []netip.Prefix // who may connect [loopback]
	Deadline time.Duration  // from accept to the last thing we write [800 ms]; at most MaxDeadline
	MaxCalls int            // calls in hand at once [4096]; beyond it the oldest that has named no call gives way, else the new one rings
	Log      *slog.Logger   // [slog.Default()]
}

// MaxDeadline is the longest a decision may take. FreeSWITCH's guard fires one second after it was set at
// the earliest; a command that comes later than that could hit a call that is being talked on.
const MaxDeadline = 900 * time.Millisecond

// Counters count what happened since the start. All may be read at any time.
type Counters struct {
	Accepted      atomic.Uint64 // connections taken
	Screened      atomic.Uint64 // calls that the Screener was asked about, but for Tests
	Tests         atomic.Uint64 // calls of a doctor
	RefusedPeer   atomic.Uint64 // peer not in Allow
	UnknownFrames atomic.Uint64 // frames or lines of a kind we do not know, skipped
	Nameless      atomic.Uint64 // connections that named no call: of another program, or of a switch that hangs; no record is written of them
	Repeated      atomic.Uint64 // calls that were screened before, or that the guard had taken
	Unscreened    atomic.Uint64 // calls with another ringfence_intent than screen
	Reports       atomic.Uint64 // of them, people who dialled the star code to report a caller
	Releases      atomic.Uint64 // of them, people who dialled the one to let a caller through who was stopped
	Untold        atomic.Uint64 // ringfence_* variables that the switch would not set

	mu       sync.Mutex
	failOpen map[string]uint64
}

// FailOpen returns how many calls passed unscreened, by reason.
func (c *Counters) FailOpen() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]uint64, len(c.failOpen))
	for k, n := range c.failOpen {
		out[k] = n
	}
	return out
}

// Each calls f for those counters that have no other place in status, with their names there.
func (c *Counters) Each(f func(name string, n uint64)) {
	f("accepted", c.Accepted.Load())
	f("refused_peer", c.RefusedPeer.Load())
	f("unknown_frames", c.UnknownFrames.Load())
	f("repeated", c.Repeated.Load())
	f("unscreened", c.Unscreened.Load())
	f("star_code", c.Reports.Load())
	f("release_code", c.Releases.Load())
	f("tests", c.Tests.Load())
	f("untold", c.Untold.Load())
}

func (c *Counters) countFailOpen(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failOpen == nil {
		c.failOpen = make(map[string]uint64)
	}
	c.failOpen[reason]++
}

// Port is what a switch connects to, one connection a call.
type Port struct {
	Counters Counters

	screener Screener
	section  string // of the daemon's file, for advice
	o        Options
	begin    func(conn net.Conn, accepted time.Time) Call
	noise    rate.Sometimes

	mu        sync.Mutex
	listeners []net.Listener
	calls     map[Call]struct{}
	nameless  list.List // of Call: those that have named no call yet, in the order in which they came
	stopping  bool
	idle      sync.WaitGroup
}

// Call is one connection as a bridge serves it.
type Call interface {
	// Connection is what it embeds.
	Connection() *Conn
	// Run takes the call its whole way and closes the connection.
	Run()
	// Expire gives the call back at once, for the reason given. It may come while Run works and after it.
	Expire(reason string)
}

// NewPort makes a port for a bridge, which asks s. begin makes a Call of a new connection, whose clock runs from
// then on; it is called in the loop that accepts, and must not wait. section is the port's in the daemon's file.
func NewPort(s Screener, o Options, section string, begin func(conn net.Conn, accepted time.Time) Call) (*Port, error) {
	if o.Deadline == 0 {
		o.Deadline = 800 * time.Millisecond
	}
	if o.Deadline < 0 || o.Deadline > MaxDeadline {
		return nil, errors.New("the screening deadline must be above 0 and at most 900ms: the switch's guard fires one second after the call began to wait")
	}
	if o.MaxCalls == 0 {
		o.MaxCalls = 4096
	}
	if len(o.Allow) == 0 {
		o.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Port{
		screener: s, section: section, o: o, begin: begin, calls: make(map[Call]struct{}),
		noise: rate.Sometimes{First: 20, Interval: time.Second},
	}, nil
}

// Listen opens a screening port. Keep-alive probes are left out: no connection outlives a deadline.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	return lc.Listen(ctx, "tcp", address)
}

// Serve takes connections from ln until Shutdown. The loop does nothing but take them: a connection that
// waits in the kernel's queue holds a call, and a full queue would make the switch wait for minutes.
func (p *Port) Serve(ln net.Listener) error {
	p.mu.Lock()
	p.listeners = append(p.listeners, ln)
	stopping := p.stopping
	p.mu.Unlock()
	if stopping {
		return ln.Close()
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			if p.isStopping() || errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of file descriptors, most likely. The queue must go on being emptied as soon as there
			// is one again; the pause keeps this from becoming a busy loop.
			p.warn("a call could not be taken from the switch", "error", err)
			time.Sleep(5 * time.Millisecond)
			continue
		}
		p.Counters.Accepted.Add(1)
		p.take(conn)
	}
}

// take starts a goroutine for a connection, or closes it, which lets the call ring.
func (p *Port) take(conn net.Conn) {
	accepted := time.Now()
	if !p.allowed(conn.RemoteAddr()) {
		p.Counters.RefusedPeer.Add(1)
		p.warn(fmt.Sprintf("refused a connection to the screening port: add the address to [%s] allow if it is your switch", p.section), "peer", conn.RemoteAddr().String())
		conn.Close()
		return
	}
	c, reason := p.enter(conn, accepted)
	if c == nil {
		p.Counters.countFailOpen(reason)
		conn.Close()
		return
	}
	go func() {
		c.Run()
		p.mu.Lock()
		p.leave(c)
		p.mu.Unlock()
		p.idle.Done()
	}()
}

// leave forgets a call. The lock is held.
func (p *Port) leave(c Call) {
	delete(p.calls, c)
	p.name(c.Connection())
}

// named notes that a connection has said whose call it is: it keeps its place from now on.
func (p *Port) named(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name(c)
}

func (p *Port) name(c *Conn) {
	if c.place != nil {
		p.nameless.Remove(c.place)
		c.place = nil
	}
}

// enter makes a call of a connection, if there is room for it; else it says why there is none.
func (p *Port) enter(conn net.Conn, accepted time.Time) (c Call, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopping:
		return nil, FailStopping
	case len(p.calls) >= p.o.MaxCalls:
		// Anyone on this machine can open connections and say nothing. A switch says within milliseconds whose call it
		// is, so that who has waited longest for that is hardly a call.
		oldest := p.nameless.Front()
		if oldest == nil {
			return nil, FailLimit
		}
		other := oldest.Value.(Call)
		p.leave(other)
		go other.Expire(FailLimit)
	}
	c = p.begin(conn, accepted)
	p.calls[c] = struct{}{}
	c.Connection().place = p.nameless.PushBack(c)
	p.idle.Add(1)
	return c, ""
}

// warn logs what anyone who can reach the port could make us say: the first times, then once a second.
// The Counters have the true numbers.
func (p *Port) warn(msg string, args ...any) {
	p.noise.Do(func() { p.o.Log.Warn(msg, args...) })
}

func (p *Port) allowed(addr net.Addr) bool {
	t, ok := addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	for _, prefix := range p.o.Allow {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// Deadline is how long a decision may take, from accept.
func (p *Port) Deadline() time.Duration { return p.o.Deadline }

// InHand is the number of calls being screened now.
func (p *Port) InHand() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

func (p *Port) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping
}

// Shutdown takes no more calls and waits for those in hand. When ctx ends first, the rest are given back
// to the switch as they are.
func (p *Port) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.stopping = true
	for _, ln := range p.listeners {
		ln.Close()
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { p.idle.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	for c := range p.calls {
		go c.Expire(FailStopping)
	}
	p.mu.Unlock()
	<-done // Expire wakes every wait of a call, so this ends at once
	return ctx.Err()
}
