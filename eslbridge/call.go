package eslbridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// call is one connection of the switch's socket application, from accept to close. Its way, in order:
//
//	begin    the deadline starts to run
//	connect  we ask for the call, the switch replies with its facts
//	decide   the Screener says what to do
//	carryOut variables, announcement, challenge, refusal; in the end `exit`
//	finish   the switch has the call back (or it is over); the Screener is told
//
// Past its deadline a call is given back: `exit` is written by the timer, and nothing after it.
type call struct {
	srv   *Server
	conn  net.Conn
	rd    *Reader
	in    Frame
	event Frame // the event in the frame of in
	cmd   commands

	accepted time.Time // when the connection was complete
	tooLate  string    // what running out of time is called
	seen     bool      // facts were read
	facts    Facts
	verdict  Verdict
	keyed    Keyed      // how the caller met the challenge
	owed     []bool     // replies the switch owes us; see commands.owed
	told     []variable // to be set in one go; see tell

	mu       sync.Mutex // guards what follows; held while writing
	deadline time.Time
	timer    *time.Timer
	over     string // why no more may be written; "" while it may
	left     bool   // `exit` was written
}

var (
	errOver   = errors.New("the call was given back")
	errHungUp = errors.New("the caller hung up")
)

func newCall(s *Server) *call {
	return &call{srv: s, rd: NewReader(nil, 0)}
}

// begin starts the clock. Time that the connection spent in the accept queue counts.
func (c *call) begin(conn net.Conn, accepted time.Time) {
	c.conn, c.accepted = conn, accepted.Add(-queued(conn))
	c.rd.reset(conn, MaxBody)
	c.deadline = c.accepted.Add(c.srv.o.Deadline)
	left := time.Until(c.deadline)
	c.tooLate = FailDeadline
	if left <= 0 {
		c.tooLate = FailLate
	}
	c.timer = time.AfterFunc(left, func() { c.expire(c.tooLate) })
}

// release closes the connection and puts the buffers back.
func (c *call) release() {
	c.timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.Close()
	// Only the buffers are used again: a timer that fires late still has this call in hand.
	next := &call{srv: c.srv, rd: c.rd, in: c.in, cmd: c.cmd, owed: c.owed[:0], told: c.told[:0]}
	next.rd.reset(nil, 0)
	next.in.block, next.in.body = nil, nil
	next.cmd.reset()
	c.srv.buffers.Put(next)
}

// run takes the call its whole way.
func (c *call) run() {
	err := c.screen()
	r := Result{Keyed: c.keyed}
	switch {
	case errors.Is(err, errHungUp):
		r.HungUp = true
	case err != nil:
		r.FailOpen = c.failure(err)
	}
	if r.FailOpen != "" {
		c.giveBack(r.FailOpen)
		c.srv.Counters.countFailOpen(r.FailOpen)
		c.srv.warn("call let through unscreened", "reason", r.FailOpen, "error", err, "uuid", c.facts.UUID, "peer", c.conn.RemoteAddr().String())
	}
	if c.seen {
		r.Took = time.Since(c.accepted)
		c.record(r)
	}
}

// screen returns nil when the verdict was carried out, errHungUp, or why the call is let through.
func (c *call) screen() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	if err := c.connect(); err != nil {
		return err
	}
	if c.facts.ScreenedID != "" || c.facts.Guard != "" {
		c.srv.Counters.Repeated.Add(1)
		return c.leave()
	}
	if c.facts.Intent != "" && c.facts.Intent != "screen" {
		c.srv.Counters.Unscreened.Add(1)
		switch c.facts.Intent {
		case "report":
			if r, ok := c.srv.screener.(StarCoder); ok {
				return c.report(r)
			}
		case "dialled":
			if d, ok := c.srv.screener.(Dialler); ok {
				d.Dialled(&c.facts)
			}
		}
		return c.leave()
	}
	c.seen = true
	c.srv.Counters.Screened.Add(1)
	c.verdict = c.srv.screener.Screen(&c.facts)
	return c.carryOut(&c.verdict)
}

var errPanic = errors.New("fault in the screening code")

// failure names the reason of a fail-open.
func (c *call) failure(err error) string {
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	switch {
	case errors.Is(err, errPanic):
		return FailPanic
	case errors.Is(err, errRefused):
		return FailCommand
	case over != "":
		return over
	case errors.Is(err, errOver): // the timer is about to fire
		return c.tooLate
	}
	return FailWire
}

// record tells the Screener; a fault there must not take the daemon down with it.
func (c *call) record(r Result) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.log.Error("a call could not be recorded", "fault", p, "stack", string(debug.Stack()))
		}
	}()
	c.srv.screener.Record(&c.facts, &c.verdict, r)
}

// connect asks for the call and reads its facts. A switch that would leave the call parked when we go
// (async without socket_resume) is told to go on first of all, before anything can fail here.
func (c *call) connect() error {
	c.cmd.reset()
	c.cmd.connect()
	if err := c.send(); err != nil {
		return err
	}
	if err := c.reply(); err != nil {
		return err
	}
	c.facts = readFacts(&c.in)
	if c.facts.UUID == "" {
		return fmt.Errorf("%w: the reply to connect names no call", errRefused)
	}
	c.cmd.reset()
	switch {
	case c.facts.Async && !c.facts.Resume:
		c.cmd.resume()
	case !c.facts.Async && c.facts.Resume:
		c.set("socket_resume", "false") // a dialplan made for async: here it would leave the channel hanging
	}
	return nil
}

var errRefused = errors.New("the switch refused")

// leave gives the call back untouched.
func (c *call) leave() error {
	c.cmd.exit()
	if err := c.send(); err != nil {
		return err
	}
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	return c.finish()
}

// carryOut does what the verdict says. The commands that connect left in c.cmd go first.
func (c *call) carryOut(v *Verdict) error {
	c.tell("ringfence_action", v.Action)
	c.tell("ringfence_would", v.Would)
	c.tell("ringfence_rule", v.Rule)
	c.tell("ringfence_reason", v.Reason)
	c.tell("ringfence_id", v.ID)
	if v.ShowName != "" {
		c.set("effective_caller_id_name", v.ShowName)
	}
	if v.ShowNumber != "" {
		c.set("effective_caller_id_number", v.ShowNumber)
	}
	if v.Divert != "" {
		// The switch's guard would fetch a call back that we had transferred; the dialplan does it, when
		// the guard is gone.
		c.set("ringfence_divert", v.Divert)
	}
	if v.Whisper != "" {
		c.whisper(v.Whisper)
	}
	silent := v.Play.File == "" && v.Challenge == nil
	if !silent && v.Refuse == 0 && v.Ringback != "" && c.facts.Ringback == "" {
		c.tell("ringback", v.Ringback)
		c.tell("transfer_ringback", v.Ringback)
	}
	c.tellAll()
	if silent {
		return c.end(v, v.Refuse)
	}
	if err := c.beginPlaying(v.Answer); err != nil {
		return err
	}
	if err := c.play(v.Play); err != nil {
		return err
	}
	if v.Challenge != nil {
		passed, err := c.challenge(v.Challenge)
		if err != nil {
			return err
		}
		if !passed {
			return c.end(v, v.Challenge.Refuse)
		}
	}
	return c.end(v, v.Refuse)
}

// end refuses the call with a SIP status or, if that is 0, gives it back.
func (c *call) end(v *Verdict, status int) error {
	if status == 0 {
		return c.leave()
	}
	return c.refuse(status, v.Refusal)
}

// set sets a channel variable. Without `full` in the dialplan's socket line there is no api; then `set`
// serves, whose expansion finds nothing to expand in inert text.
func (c *call) set(name, value string) {
	if c.facts.Full {
		c.cmd.setVariable(c.facts.UUID, name, value)
	} else {
		c.cmd.execute("set", name+"="+value, "")
	}
}

// tell has tellAll set a variable that others read.
func (c *call) tell(name, value string) {
	if value != "" {
		c.told = append(c.told, variable{name, value})
	}
}

// tellAll sets what tell has gathered. The verdict is carried out even if the switch will not have it.
func (c *call) tellAll() {
	if !c.facts.Full {
		for _, v := range c.told {
			c.set(v.name, v.value)
			c.cmd.optional()
		}
	} else if len(c.told) > 0 {
		c.cmd.setVariables(c.facts.UUID, c.told)
		c.cmd.optional()
	}
	c.told = c.told[:0]
}

// refuse ends the call with a SIP status. The switch then closes the connection; should it not, the call is
// still there at the deadline and is given back.
func (c *call) refuse(status int, r Refusal) error {
	if r.Reason != "" {
		c.cmd.execute("set", "sip_reason="+r.Reason, "")
	}
	if c.facts.CallAnswer {
		c.cmd.hangup("CALL_REJECTED") // an answered call has no SIP status left to send
	} else {
		if r.CallInfo != "" {
			c.cmd.execute("set", "sip_rh_Call-Info="+r.CallInfo, "")
		}
		c.cmd.respond(status, r.Phrase)
	}
	if err := c.send(); err != nil {
		return err
	}
	return c.finish()
}

// finish waits until the switch has taken the call back: the notice that it disconnects, or its end of
// the connection. A notice that comes before the last reply is of a caller who hung up.
func (c *call) finish() error {
	for {
		err := c.next()
		switch {
		case errors.Is(err, errHungUp) && len(c.owed) > 0:
			return err
		case errors.Is(err, errHungUp), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err):
			return nil
		case err != nil:
			return err
		}
		if t := c.in.Type(); t == typeReply || t == typeAPI {
			if err := c.answered(); err != nil {
				return err
			}
		}
	}
}

// send writes what c.cmd has collected, in one piece, unless the call was given back. It is the only
// place that writes to the switch but expire and giveBack, which write `exit`.
func (c *call) send() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != "" {
		return errOver
	}
	if !time.Now().Before(c.deadline) {
		return errOver // the timer is about to say so; a stopped process may wake up here
	}
	if len(c.cmd.buf) == 0 {
		return nil
	}
	c.owed = append(c.owed, c.cmd.owed...)
	_, err := c.conn.Write(c.cmd.buf)
	c.cmd.reset()
	return err
}

// extend moves the deadline to the end of a step whose length is known.
func (c *call) extend(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over == "" {
		c.deadline = to
		c.timer.Reset(time.Until(to))
	}
}

// expire gives the call back when its time is up: the one thing written then is `exit`.
func (c *call) expire(reason string) {
	c.conn.SetWriteDeadline(time.Unix(1, 0)) // frees the lock if a write hangs
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaveNow(reason)
	c.conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
}

// giveBack is expire for a call that failed before its time was up.
func (c *call) giveBack(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaveNow(reason)
}

func (c *call) leaveNow(reason string) {
	if c.over != "" || c.conn == nil {
		return
	}
	c.over = reason
	if c.left {
		return
	}
	c.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	io.WriteString(c.conn, "exit\n\n")
}

// reply reads the answer to the one command that is open.
func (c *call) reply() error {
	for {
		if err := c.next(); err != nil {
			return err
		}
		if t := c.in.Type(); t == typeReply || t == typeAPI {
			return c.answered()
		}
	}
}

// replies reads answers until none is owed.
func (c *call) replies() error {
	for len(c.owed) > 0 {
		if err := c.reply(); err != nil {
			return err
		}
	}
	return nil
}

// answered counts the reply in c.in. A reply to nothing means that we have lost our place in the stream.
func (c *call) answered() error {
	if len(c.owed) == 0 {
		return fmt.Errorf("%w: a reply to no command", errRefused)
	}
	optional := c.owed[0]
	c.owed = append(c.owed[:0], c.owed[1:]...)
	if c.in.OK() {
		return nil
	}
	text := c.in.Body()
	if text == nil {
		text = c.in.Raw("Reply-Text")
	}
	if bytes.HasPrefix(text, []byte("-ERR No such channel")) {
		return errHungUp
	}
	if optional {
		c.srv.Counters.Untold.Add(1)
		return nil
	}
	return fmt.Errorf("%w a command: %.120q", errRefused, text)
}

// next reads a frame. Frames of unknown types are counted and skipped; a disconnect notice is errHungUp.
func (c *call) next() error {
	for {
		if err := c.rd.Next(&c.in); err != nil {
			return err
		}
		switch c.in.Type() {
		case typeReply, typeAPI, typeEvent:
			return nil
		case typeDisconnect:
			if string(c.in.Raw("Content-Disposition")) != "linger" {
				return errHungUp
			}
		default:
			c.srv.Counters.UnknownFrames.Add(1)
		}
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}
