package standin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Header is a header of a SIP request or of the connect reply. The value is
// as it is in SIP: not URL-encoded.
type Header struct {
	Name, Value string
}

// Call is what arrives at the switch: an INVITE, and the dialplan's way of
// handing it to the screening daemon. Every field but To may be left out.
// Texts are as in SIP: %XX in From and Display is decoded by the switch.
type Call struct {
	From    string // user part of From, with its parameters if any; empty is a caller without one
	Display string // display name in From, without the quotation marks
	Host    string // host of From, with port and URI parameters if any; default Addr
	Addr    string // address the INVITE came from; default 127.0.0.1
	To      string // destination number

	PAI     string   // user part of P-Asserted-Identity
	PAIName string   // its display name
	PPI     string   // user part of P-Preferred-Identity, which the switch takes before the others
	RPID    string   // Remote-Party-ID, the whole header value
	Privacy bool     // Privacy: id
	SIP     []Header // further headers of the INVITE, in order, such as Diversion or X-…

	Gateway string // the gateway the call came in by; empty is none
	Profile string // SIP profile; default internal
	Context string // dialplan context; default public

	Loopback bool // not SIP: a channel of mod_loopback, which `respond` does nothing to

	Async    bool // socket … async
	Resume   bool // socket_resume=true is set before
	NotFull  bool // socket without full
	Answered bool // the dialplan has answered before screening
	Down     bool // nobody listens on the daemon's port

	// Vars are further channel variables that the dialplan sets before
	// screening, as they are; only "${last_sched_id}" is replaced, by the
	// number of the Guard's task.
	Vars    map[string]string
	Headers []Header // further headers near the end of the connect reply

	// Keys is what the caller keys in when a file is played that asks for it, as `read` plays it; nil is a
	// caller who presses nothing.
	Keys func(file string) string

	CancelAfter time.Duration // the caller gives up so long after the socket was connected; 0 is never
	TalkFor     time.Duration // how long a call lasts that a guard has bridged or that was sent away; default 1 s

	// Guard is the time from the connected socket until the switch's own
	// sched_transfer takes the call away and bridges it; 0 is no guard. As on
	// the real switch it has no effect in sync mode. GuardUnsets says that its
	// destination begins with `unset socket_resume`, as it should.
	Guard       time.Duration
	GuardUnsets bool
}

// Result is what became of a call.
type Result struct {
	UUID string

	Rang  bool // the dialplan went on after the socket application and the handset got its INVITE
	Stuck bool // the channel was left parked or in reset: it neither rang nor ended

	SIP    int    // final SIP status of a call that did not ring: 603 …, 487 after CANCEL, 200 if it had been answered; 0 if it rang or is stuck
	Phrase string // its reason phrase
	Cause  string // hangup cause, such as CALL_REJECTED; empty if the call was not hung up

	ShownName   string // what the handset shows
	ShownNumber string

	EarlyMedia bool // 183 was sent before control came back
	Answered   bool // 200 was sent before control came back
	Cancelled  bool // the caller gave up while the daemon had the call

	Played        []string          // files played, in order
	Vars          map[string]string // channel variables that the daemon set and did not unset
	Commands      []string          // every command received, its lines joined by \n
	Expanded      []string          // API commands that ${…} in application arguments would have run
	Armed         []string          // variables left holding ${…}: any later application that mentions one runs it
	TransferredTo string            // where the daemon sent the call

	ReplyAt     time.Duration // from connected until the last byte of the connect reply
	FirstAnswer time.Duration // from then until the daemon's next command was here: 1 ns if it came earlier, 0 if none came
	Took        time.Duration // from connected until control came back

	GuardFired bool     // the guard took the call away
	Late       []string // commands but `exit` that came after that
	Killed     bool     // the daemon tore down a call that already rang

	ProtocolErrors []string // what the daemon did that it should not: unknown commands, broken lines, missing files
}

// Switch is a simulated FreeSWITCH. Its methods may be used from several
// goroutines; it must not be copied.
type Switch struct {
	Address  string  // host:port of the daemon's screening address
	Speed    float64 // playback and sleeps run so many times faster, in Run also the scenario's own times; default 1
	MaxCalls int     // calls at once in Run; default 100

	ConnectWait time.Duration // how long the peer may take to its first command; default 24.5 s, as in FreeSWITCH
	DialTimeout time.Duration // how long the TCP connection may take; default 134 s, as Linux retries

	// SoundLength says how long a file plays and whether it is there. By
	// default WAV files are looked up and read.
	SoundLength func(file string) (time.Duration, bool)

	calls   atomic.Uint64
	events  atomic.Uint64
	once    sync.Once
	core    string
	started time.Time
}

func (s *Switch) init() {
	s.once.Do(func() {
		s.core = newUUID()
		s.started = time.Now()
	})
}

func (s *Switch) coreUUID() string { return s.core }

func (s *Switch) speed() float64 {
	if s.Speed <= 0 {
		return 1
	}
	return s.Speed
}

func (s *Switch) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.speed())
}

func (s *Switch) soundLength(file string) (time.Duration, bool) {
	if s.SoundLength != nil {
		return s.SoundLength(file)
	}
	return soundLength(file)
}

func (s *Switch) connectWait() time.Duration {
	if s.ConnectWait > 0 {
		return s.ConnectWait
	}
	return 24500 * time.Millisecond
}

func (s *Switch) dialTimeout() time.Duration {
	if s.DialTimeout > 0 {
		return s.DialTimeout
	}
	return 134 * time.Second
}

// Place places one call and returns when it is known what became of it and
// the daemon's connection is closed.
//
// A daemon that refuses or resets the connection, or does not answer in time,
// is no error: the dialplan goes on and the handset rings, as on the real
// switch. A daemon that keeps the call holds Place until ctx ends; that and an
// unusable Address are errors. The Result then says how far the call had come.
func (s *Switch) Place(ctx context.Context, c Call) (Result, error) {
	s.init()
	if _, _, err := net.SplitHostPort(s.Address); err != nil {
		return Result{}, fmt.Errorf("the daemon's address %q: give host:port: %w", s.Address, err)
	}
	ch := s.newChannel(c)
	dialer := net.Dialer{Timeout: s.dialTimeout()}
	dialStart := time.Now()
	var conn net.Conn
	var err error = syscall.ECONNREFUSED
	if !c.Down {
		conn, err = dialer.DialContext(ctx, "tcp", s.Address)
	}
	if ctx.Err() != nil {
		if err == nil {
			conn.Close()
		}
		return ch.result(), fmt.Errorf("the call was not placed: %w", context.Cause(ctx))
	}
	if errors.Is(err, syscall.ECONNRESET) {
		// Connected, and reset before we had a look: to the switch that is not a
		// refused connection but one that ends at once.
		var far net.Conn
		conn, far = net.Pipe()
		far.Close()
		err = nil
	}
	if err != nil {
		ch.begun = dialStart
		ch.res.Rang = true
		ch.res.Took = time.Since(dialStart)
		return ch.result(), nil
	}

	ch.begun = time.Now()
	l := newListener(ch, conn)
	ch.mu.Lock()
	ch.listener = l
	ch.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		ch.abort()
		conn.Close()
	})
	defer stop()
	if c.CancelAfter > 0 {
		defer time.AfterFunc(c.CancelAfter, ch.giveUp).Stop()
	}
	if c.Async && c.Guard > 0 {
		ch.schedule(c.Guard)
	}
	defer ch.unschedule(ch.uuid)
	if c.Async {
		go l.run()
		ch.runAsync(ctx, l)
		<-l.gone
	} else {
		ch.runSync(ctx, l)
	}
	if ctx.Err() != nil {
		return ch.result(), fmt.Errorf("call %s was still with the daemon: %w", ch.uuid, context.Cause(ctx))
	}
	return ch.result(), nil
}

// abort stops the channel's threads; nothing of the call counts any more.
func (ch *channel) abort() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.stopLocked()
	ch.nudge()
}

// result completes and hands out the result.
func (ch *channel) result() Result {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	r := ch.res
	r.ShownName = or(ch.varLocked("effective_caller_id_name"), ch.profile.name)
	r.ShownNumber = or(ch.varLocked("effective_caller_id_number"), ch.profile.number)
	for _, v := range ch.vars.list {
		if _, set := r.Vars[v.Name]; set && holdsVariable(v.Value) {
			r.Armed = append(r.Armed, v.Name)
		}
	}
	return r
}

func (ch *channel) varLocked(name string) string {
	v, _ := ch.vars.get(name)
	return v
}
