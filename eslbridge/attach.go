package eslbridge

import (
	"errors"
	"fmt"

	"ringfence/attach"
)

// EventSocket is a switch's own event socket, to be attached to: attach.New(…, &EventSocket{…}, …).
type EventSocket struct {
	Password string // of its event_socket.conf.xml
}

// Why a switch is not attached.
var (
	errPassword = &attach.Trouble{
		Refused: true, Reason: "the switch refused the password",
		Todo: "the password of [[attach]] must be the one of the switch's event_socket.conf.xml",
	}
	errNotAllowed = &attach.Trouble{
		Refused: true, Reason: "the switch refuses connections from this address",
		Todo: "apply-inbound-acl in the switch's event_socket.conf.xml must name a list that holds this machine's address; then reload mod_event_socket",
	}
	errSubscribe = &attach.Trouble{Refused: true, Reason: "the switch refused the subscription to events"}
	errNoSwitch  = &attach.Trouble{
		Reason: "what answers there is no event socket",
		Todo:   "address of [[attach]] must be the listen-ip and listen-port of the switch's event_socket.conf.xml",
	}
)

// Begin makes a session of a new connection.
func (s *EventSocket) Begin(c *attach.Conn) attach.Session {
	return &attachment{sw: s, conn: c, rd: NewReader(c, maxReply)}
}

// Hint is for a switch that does not answer.
func (s *EventSocket) Hint() string { return "is the switch running, with mod_event_socket loaded?" }

// attachment is one connection to the switch.
type attachment struct {
	sw   *EventSocket
	conn *attach.Conn
	rd   *Reader
	in   Frame
	ev   callEnd // the event in in
	cmd  commands
}

// Login waits for the greeting, shows the password and subscribes.
func (s *attachment) Login() error {
	s.conn.Within()
	if err := s.rd.Stream(&s.in, &s.ev); err != nil {
		return unreadable(err)
	}
	if err := greeted(&s.in); err != nil {
		return err
	}
	s.cmd.auth(s.sw.Password)
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
	s.conn.Within()
	err := s.conn.Send(s.cmd.buf)
	s.cmd.reset()
	for err == nil {
		err = s.Next()
		if err == nil && s.in.Type() == typeReply {
			if !s.in.OK() {
				return refusal
			}
			return nil
		}
	}
	return err
}

// Next reads a frame and takes it if it is an event. The switch's goodbye is an error; types that are not known are
// counted.
func (s *attachment) Next() error {
	s.ev = callEnd{}
	if err := s.rd.Stream(&s.in, &s.ev); err != nil {
		return unreadable(err)
	}
	switch s.in.Type() {
	case typeReply, typeAPI: // to ask, or to Ping
	case typeEvent:
		s.event()
	case typeDisconnect:
		return attach.ErrClosed
	default:
		s.conn.Counters().UnknownFrames.Add(1)
	}
	return nil
}

// Begun: a part of the next frame has arrived.
func (s *attachment) Begun() bool { return s.rd.Begun() }

// Ping is a command of no consequence.
func (s *attachment) Ping() []byte {
	var c commands
	c.api("strepoch")
	return c.buf
}

// unreadable: what cannot be a frame does not come from an event socket.
func unreadable(err error) error {
	if errors.Is(err, ErrHeaderTooLarge) || errors.Is(err, ErrBodyTooLarge) || errors.Is(err, ErrContentLength) {
		return fmt.Errorf("%w: %w", errNoSwitch, err)
	}
	return err
}

// event takes the event in s.in.
func (s *attachment) event() {
	c := s.conn.Counters()
	c.Events.Add(1)
	if s.ev.name != "CHANNEL_HANGUP_COMPLETE" {
		return
	}
	end, ok := s.ev.end(s.conn.Name())
	if !ok {
		c.Unreadable.Add(1)
		return
	}
	s.conn.End(end)
}
