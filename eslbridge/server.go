package eslbridge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Screener decides what happens to calls. It is declared here and filled by the daemon, so that this
// package knows nothing of policies.
type Screener interface {
	// Screen decides. It gets nothing that it must not keep, but it must not block: past the call's
	// deadline its answer is thrown away and the call goes on.
	Screen(f *Facts) Verdict
	// Record is told once for every call whose facts were read, after the switch has the call back. v is
	// the zero Verdict when the decision did not come in time.
	Record(f *Facts, v *Verdict, r Result)
}

// StarCoder is a Screener that also serves the star code by which a person in the house reports the last caller
// (ringfence_intent = report).
type StarCoder interface {
	// StarCode says what the person is asked. Like Screen it must not block.
	StarCode(f *Facts) Inquiry
}

// Inquiry is a question to a person in the house, and what the answer brings.
type Inquiry struct {
	Prompt Sound
	Key    string // the one key that confirms
	// Confirm is run when it was pressed and returns what is heard then. Its context ends when the caller is
	// told nothing any more; what it has done by then stands. nil: the prompt asks nothing.
	Confirm func(context.Context) Sound
}

// Dialler is a Screener that also wants to know of calls that go out: those that the dialplan hands over
// with ringfence_intent=dialled. They are given back as soon as it returns, and it must not block.
type Dialler interface {
	Dialled(f *Facts)
}

// Verdict is what to do with a call. Its texts become channel variables: whoever fills them has made
// them inert (no $ \ % " < > { } ' or control character).
type Verdict struct {
	ID     string // the journal's id of this call
	Action string // what is done
	Would  string // what the rule says
	Rule   string
	Reason string

	ShowName   string     // the caller's name as the handset shall show it; "" leaves it alone
	ShowNumber string     // the same for the number
	Play       Sound      // what the caller hears first
	Challenge  *Challenge // what the caller must key in then; nil for nothing
	Answer     bool       // answer before anything is played; else it is early media
	Ringback   string     // tone that the caller hears, after all that, while the phone rings: the switch would send silence
	Whisper    string     // sound file that the person who answers hears before the two are connected; "" for none
	Divert     string     // where the dialplan sends the call once it has it back: "extension dialplan context"
	Refuse     int        // SIP status that refuses the call (403 … 608); 0 lets it go on
	Refusal    Refusal    // what the refusal says besides

	Note any // what the Screener wants to see again in Record
}

// Sound is what the switch plays: a file as the switch finds it, or several behind each other (Sounds).
type Sound struct {
	File   string // "" for nothing
	Length time.Duration
}

// Sounds are several files played behind each other (mod_dptools.c, file_string).
func Sounds(each ...Sound) Sound {
	all := Sound{File: "file_string://"}
	for i, s := range each {
		if i > 0 {
			all.File += "!"
		}
		all.File += s.File
		all.Length += s.Length
	}
	return all
}

// Challenge is what a caller must key in to be put through.
type Challenge struct {
	Tries  []Question // in their order
	Passed Sound      // what who passes hears
	Failed Sound      // what who does not hears
	Refuse int        // SIP status that refuses who does not pass; 0 lets the call go on
}

// Question is a prompt and the digits that answer it.
type Question struct {
	Prompt Sound
	Want   string
}

// Refusal is what a refusal says besides its SIP status. Both texts come from the administrator and hold
// nothing that the switch expands.
type Refusal struct {
	CallInfo string // value of a Call-Info header (RFC 8688); "" for none
	Reason   string // value of a Reason header in place of the switch's own; "" for that
	Phrase   string // in place of the phrase that goes with the status; "" for that
}

// Result is what became of a screened call.
type Result struct {
	FailOpen string        // why the call was let through without the verdict; "" if it was carried out
	HungUp   bool          // the caller gave up before we were done
	Keyed    Keyed         // how the caller met the verdict's Challenge
	Took     time.Duration // from accept until the switch had the call back
}

// Keyed says how a caller met a challenge.
type Keyed int

const (
	NotAsked     Keyed = iota // there was none, or the caller hung up before it
	KeyedNothing              // the caller pressed no key: many cannot
	KeyedWrong
	KeyedRight
)

// Reasons of a fail-open (Result.FailOpen, and the keys of Counters).
const (
	FailDeadline = "deadline" // no decision in time, or the switch was silent for too long
	FailLate     = "late"     // the connection had waited past its deadline before we saw it
	FailWire     = "wire"     // the connection broke, or what came was no Event Socket frame
	FailCommand  = "command"  // the switch refused a command of ours
	FailPanic    = "panic"    // a fault of our own
	FailLimit    = "limit"    // too many calls at once
	FailStopping = "stopping" // the daemon ends
)

// Options of a Server. Zero values stand for the defaults in brackets.
type Options struct {
	Allow    []netip.Prefix // who may connect [loopback]
	Deadline time.Duration  // from accept to the last thing we write [800 ms]; at most MaxDeadline
	MaxCalls int            // calls in hand at once [4096]; further ones are closed at once, which lets them ring
	Log      *slog.Logger   // [slog.Default()]
}

// MaxDeadline is the longest a decision may take. The switch's guard fires one second after it was set at
// the earliest; a command that comes later than that could hit a call that is being talked on.
const MaxDeadline = 900 * time.Millisecond

// Counters count what happened since the start. All may be read at any time.
type Counters struct {
	Accepted      atomic.Uint64 // connections taken
	Screened      atomic.Uint64 // calls that the Screener was asked about
	RefusedPeer   atomic.Uint64 // peer not in Allow
	UnknownFrames atomic.Uint64 // frames of a content type we do not know, skipped
	Repeated      atomic.Uint64 // calls that were screened before, or that the guard had taken
	Unscreened    atomic.Uint64 // calls with another ringfence_intent than screen
	Reports       atomic.Uint64 // of them, people who dialled the star code to report a caller
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

func (c *Counters) countFailOpen(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failOpen == nil {
		c.failOpen = make(map[string]uint64)
	}
	c.failOpen[reason]++
}

// Server is what FreeSWITCH's `socket` application connects to, one connection a call.
type Server struct {
	screener Screener
	o        Options
	log      *slog.Logger
	Counters Counters

	buffers sync.Pool // of *call: reader and command buffer
	noise   rate.Sometimes

	mu        sync.Mutex
	listeners []net.Listener
	calls     map[*call]struct{}
	stopping  bool
	idle      sync.WaitGroup
}

// NewServer makes a server that asks s. It does not listen yet.
func NewServer(s Screener, o Options) (*Server, error) {
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
	srv := &Server{screener: s, o: o, log: o.Log, calls: make(map[*call]struct{})}
	srv.noise = rate.Sometimes{First: 20, Interval: time.Second}
	srv.buffers.New = func() any { return newCall(srv) }
	return srv, nil
}

// Listen opens the screening port. Keep-alive probes are left out: no connection outlives a deadline.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	return lc.Listen(ctx, "tcp", address)
}

// Serve takes connections from ln until Shutdown. The loop does nothing but take them: a connection that
// waits in the kernel's queue holds a call, and a full queue would make the switch wait for minutes.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	s.listeners = append(s.listeners, ln)
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		return ln.Close()
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			if s.isStopping() || errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of file descriptors, most likely. The queue must go on being emptied as soon as there
			// is one again; the pause keeps this from becoming a busy loop.
			s.warn("a call could not be taken from the switch", "error", err)
			time.Sleep(5 * time.Millisecond)
			continue
		}
		s.Counters.Accepted.Add(1)
		s.take(conn)
	}
}

// take starts a goroutine for a connection, or closes it, which lets the call ring.
func (s *Server) take(conn net.Conn) {
	accepted := time.Now()
	if !s.allowed(conn.RemoteAddr()) {
		s.Counters.RefusedPeer.Add(1)
		s.warn("refused a connection to the screening port: add the address to [screen] allow if it is your switch", "peer", conn.RemoteAddr().String())
		conn.Close()
		return
	}
	c := s.buffers.Get().(*call)
	s.mu.Lock()
	if s.stopping || len(s.calls) >= s.o.MaxCalls {
		reason := FailLimit
		if s.stopping {
			reason = FailStopping
		}
		s.mu.Unlock()
		s.Counters.countFailOpen(reason)
		conn.Close()
		s.buffers.Put(c)
		return
	}
	s.calls[c] = struct{}{}
	s.idle.Add(1)
	s.mu.Unlock()
	c.begin(conn, accepted)
	go func() {
		c.run()
		s.mu.Lock()
		delete(s.calls, c)
		s.mu.Unlock()
		c.release()
		s.idle.Done()
	}()
}

// warn logs what anyone who can reach the port could make us say: the first times, then once a second.
// The Counters have the true numbers.
func (s *Server) warn(msg string, args ...any) {
	s.noise.Do(func() { s.log.Warn(msg, args...) })
}

func (s *Server) allowed(addr net.Addr) bool {
	t, ok := addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range s.o.Allow {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// InHand is the number of calls being screened now.
func (s *Server) InHand() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// Shutdown takes no more calls and waits for those in hand. When ctx ends first, the rest are given back
// to the switch as they are.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	for _, ln := range s.listeners {
		ln.Close()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.idle.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.calls {
		go c.expire(FailStopping)
	}
	s.mu.Unlock()
	<-done // expire wakes every wait of a call, so this ends at once
	return ctx.Err()
}
