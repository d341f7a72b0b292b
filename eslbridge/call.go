package eslbridge

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"ringfence/bridge"
)

// call is one connection of the switch's socket application, from accept to close. bridge takes it its way;
// here is what each step says to the switch. Past its deadline a call is given back: `exit` is written by the
// timer, and nothing after it.
type call struct {
	bridge.Conn
	srv   *Server
	rd    *Reader
	in    Frame
	event executed // in the frame of in
	cmd   commands

	facts request
	known bool       // the facts are there; what comes next are events
	heard bool       // the switch has answered something after connect
	told  []variable // to be set in one go; see tell

	mu   sync.Mutex // held while a command is written, with what it is owed: Interrupt comes from elsewhere
	owed []bool     // replies the switch owes us; see commands.owed
}

// maxReply is the most bytes that the body of a reply may have; those that we ask for have a line.
const maxReply = 64 << 10

func newCall(s *Server) *call {
	return &call{srv: s, rd: NewReader(nil, 0), owed: make([]bool, 0, 8)}
}

func (c *call) begin(conn net.Conn, accepted time.Time) {
	c.Start(conn, accepted, c.srv.Deadline(), "exit\n\n")
	c.rd.reset(&c.Conn, maxReply)
}

// Run takes the call its whole way, closes the connection and puts the buffers back.
func (c *call) Run() {
	c.srv.Port.Run(&c.Conn, c)
	// Only the buffers are used again: a timer that fires late still has this call in hand.
	c.mu.Lock()
	defer c.mu.Unlock()
	next := &call{srv: c.srv, rd: c.rd, in: c.in, cmd: c.cmd, owed: c.owed[:0], told: c.told[:0]}
	next.rd.reset(nil, 0)
	next.in.block, next.in.body = nil, nil
	next.cmd.reset()
	c.owed = nil
	c.srv.buffers.Put(next)
}

// Facts asks for the call.
func (c *call) Facts() (f *bridge.Facts, again bool, err error) {
	err = c.connect()
	return &c.facts.Facts, c.facts.ScreenedID != "" || c.facts.Guard != "", err
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
		if errors.Is(err, errUnheard) {
			err = errHungUp // it was not asked for anything yet
		}
		return err
	}
	if c.facts.UUID == "" {
		return fmt.Errorf("%w: the reply to connect names no call", errRefused)
	}
	c.known, c.heard = true, false
	c.cmd.reset()
	switch {
	case c.facts.Async && !c.facts.Resume:
		c.cmd.resume()
	case !c.facts.Async && c.facts.Resume:
		c.set("socket_resume", "false") // a dialplan made for async: here it would leave the channel hanging
	}
	return nil
}

var (
	errOver    = bridge.ErrOver
	errHungUp  = bridge.ErrHungUp
	errRefused = bridge.ErrRefused
	errUnheard = bridge.ErrUnheard
)

// Leave gives the call back.
func (c *call) Leave() error {
	c.tellAll()
	c.cmd.exit()
	if err := c.send(); err != nil {
		return err
	}
	c.Left()
	return c.finish()
}

// Tell collects the variables; they are sent with what comes next, behind the commands that connect left.
func (c *call) Tell(v *bridge.Verdict) error {
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
	if to := v.Divert; to.Extension != "" {
		// The switch's guard would fetch a call back that we had transferred; the dialplan does it, when
		// the guard is gone.
		c.set("ringfence_divert", to.Extension+" "+cmp.Or(to.Dialplan, "XML")+" "+to.Context)
	}
	if v.Whisper != "" {
		c.whisper(v.Whisper)
	}
	return nil
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

// Refuse ends the call with a SIP status. The switch then closes the connection; should it not, the call is
// still there at the deadline and is given back.
func (c *call) Refuse(status int, r bridge.Refusal) error {
	c.tellAll()
	if r.Reason != "" {
		c.cmd.execute("set", "sip_reason="+r.Reason, "")
	}
	if c.facts.CallAnswer {
		c.cmd.hangup("CALL_REJECTED") // an answered call has no SIP status left to send
	} else if c.facts.SIPCallID == "" {
		cause, _ := causeFor(status)
		c.cmd.hangup(cause) // respond does nothing on a channel that is not SIP
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

// RefuseQuickly ends the call by a cause where that gives the SIP status, else as Refuse does. The switch reads what it is
// told byte by byte, and looks at a parked channel every 20 ms: an api command is short and does not wait for that.
func (c *call) RefuseQuickly(status int, r bridge.Refusal) error {
	cause, exact := causeFor(status)
	if r != (bridge.Refusal{}) || !exact && c.facts.SIPCallID != "" {
		return c.Refuse(status, r)
	}
	if c.facts.Async && c.facts.Full {
		c.cmd.api("uuid_kill " + c.facts.UUID + " " + cause)
	} else {
		c.cmd.hangup(cause)
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
		case errors.Is(err, errHungUp) && c.owes():
			return err
		case errors.Is(err, errHungUp):
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err):
			if c.owes() {
				return err // what we said may not have been heard
			}
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

// send writes what c.cmd has collected, in one piece, unless the call was given back.
func (c *call) send() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.Send(c.cmd.buf)
	if !errors.Is(err, errOver) {
		c.owed = append(c.owed, c.cmd.owed...)
		c.cmd.reset()
	}
	return err
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
	for c.owes() {
		if err := c.reply(); err != nil {
			return err
		}
	}
	return nil
}

// owes: the switch has commands that it has not answered.
func (c *call) owes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.owed) > 0
}

// Interrupt breaks off what the caller hears. In sync mode the switch reads nothing before that has ended.
func (c *call) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.facts.Async || !c.facts.Full || c.owed == nil {
		return
	}
	var cmd commands
	cmd.api("uuid_break " + c.facts.UUID + " all")
	cmd.optional()
	if c.Send(cmd.buf) == nil {
		c.owed = append(c.owed, cmd.owed...)
	}
}

// answered counts the reply in c.in. A reply to nothing means that we have lost our place in the stream.
func (c *call) answered() error {
	c.mu.Lock()
	if len(c.owed) == 0 {
		c.mu.Unlock()
		return fmt.Errorf("%w: a reply to no command", errRefused)
	}
	c.heard = true
	optional := c.owed[0]
	c.owed = append(c.owed[:0], c.owed[1:]...)
	c.mu.Unlock()
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

// next reads a frame. Frames of unknown types are counted and skipped; a disconnect notice is errHungUp, or
// errUnheard where no command was answered: a caller hardly ever hangs up in that moment, but a switch whose
// event socket could not open its own port answers connect and then ends every conversation
// (mod_event_socket.c, listener_run), and the call goes on.
func (c *call) next() error {
	for {
		var to lines = &c.facts
		if c.known {
			c.event = executed{}
			to = &c.event
		}
		if err := c.rd.Stream(&c.in, to); err != nil {
			return err
		}
		switch c.in.Type() {
		case typeReply, typeAPI, typeEvent:
			return nil
		case typeDisconnect:
			if c.facts.UUID == "" {
				c.facts.UUID, _ = c.in.Get(controlled)
			}
			switch {
			case string(c.in.Raw("Content-Disposition")) == "linger":
			case c.heard:
				return errHungUp
			default:
				return errUnheard
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
