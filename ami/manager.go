package ami

import (
	"crypto/md5"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ringfence/attach"
)

// Manager is Asterisk's manager interface, to be attached to: attach.New(…, &Manager{…}, …). It keeps what it has heard
// of calls that are up when a connection is lost.
type Manager struct {
	User   string // a section of the switch's manager.conf, with read = call
	Secret string // of that section

	legs legs
}

// Why a switch is not attached. Asterisk says the same of a wrong user, a wrong secret and a wrong address (manager.c,
// authenticate), and waits for a second before it does.
var (
	errPassword = &attach.Trouble{
		Refused: true, Reason: "the switch refused the user, the password or this machine's address (it does not say which)",
		Todo: "user and password of [[attach]] must be a section of the switch's manager.conf and its secret, whose permit, deny and acl let this machine in; then `manager reload`",
	}
	errInUse = &attach.Trouble{
		Reason: "the switch has let in another one by that user's name",
		Todo:   "give the daemon a user of its own in the switch's manager.conf, or set allowmultiplelogin = yes there",
	}
	errRefused = &attach.Trouble{Refused: true, Reason: "the switch refused to let us in"}
	errNoAMI   = &attach.Trouble{
		Reason: "what answers there is no Asterisk manager interface",
		Todo:   "address of [[attach]] must be bindaddr and port (not tlsbindaddr, not the web server's) of the switch's manager.conf",
	}
)

// greeting is how Asterisk begins; a version follows.
const greeting = "Asterisk Call Manager/"

// Begin makes a session of a new connection.
func (m *Manager) Begin(c *attach.Conn) attach.Session {
	m.legs.begin(c.Counters())
	return &session{m: m, conn: c, rd: newReader(c)}
}

// Hint is for a switch that does not answer.
func (m *Manager) Hint() string {
	return "is Asterisk running, with enabled = yes in manager.conf and its bindaddr and port as in the address of [[attach]]?"
}

// session is one connection to the switch.
type session struct {
	m    *Manager
	conn *attach.Conn
	rd   *reader
	in   block
}

// Login waits for the greeting, answers a challenge and asks for the events of calls. The password itself is not sent:
// every Asterisk has the challenge (manager.c, action_challenge), so there is no need to, whoever it is that answers.
func (s *session) Login() error {
	s.conn.Within()
	line, long, err := s.rd.line()
	switch {
	case long || len(line) > 0 && !strings.HasPrefix(string(line), greeting):
		return errNoAMI
	case err != nil:
		return err
	case len(line) == 0:
		return errNoAMI
	}
	if err := s.ask(command("Challenge", "AuthType", "MD5")); err != nil {
		return err
	}
	key := md5.Sum([]byte(s.in.first("Challenge") + s.m.Secret)) // what Asterisk wants
	return s.ask(command("Login", "AuthType", "MD5", "Username", s.m.User, "Key", fmt.Sprintf("%x", key), "Events", "call"))
}

// ask sends a command and waits for its answer, which is then in s.in. Events may come before it.
func (s *session) ask(command []byte) error {
	s.conn.Within()
	err := s.conn.Send(command)
	for err == nil {
		if err = s.Next(); err != nil {
			break
		}
		if kind, name := s.in.kind(); kind == "Response" {
			if name == "Success" {
				return nil
			}
			return refusal(s.in.first("Message"))
		}
	}
	return err
}

// refusal is the error for what Asterisk says when it refuses.
func refusal(message string) error {
	switch message {
	case "Authentication failed":
		return errPassword
	case "Login Already In Use":
		return errInUse
	}
	return fmt.Errorf("%w: it says %.100q", errRefused, message)
}

// Next reads a block and takes it if it is an event of use.
func (s *session) Next() error {
	if err := s.rd.next(&s.in, wanted); err != nil {
		return err
	}
	c := s.conn.Counters()
	switch kind, name := s.in.kind(); kind {
	case "Response": // to ask, or to Ping
	case "Event":
		c.Events.Add(1)
		if events[name] {
			s.event(name)
		}
	default:
		c.UnknownFrames.Add(1)
	}
	return nil
}

// wanted: more than the first line of a block is to be kept.
func wanted(b *block) bool {
	kind, name := b.kind()
	return kind == "Response" || kind == "Event" && events[name]
}

// event takes the event in s.in.
func (s *session) event(name string) {
	now := s.in.moment()
	l, ok := s.m.legs.take(name, &s.in, now)
	if !ok {
		s.conn.Counters().Unreadable.Add(1)
	}
	if l == nil {
		return
	}
	if !l.local() {
		s.conn.End(l.end(s.conn.Name(), now))
	}
	l.other = nil // so that what has ended keeps nothing that ended before it
}

// Begun: a part of the next block has arrived.
func (s *session) Begun() bool { return s.rd.some() }

// Ping is answered with a Pong.
func (s *session) Ping() []byte { return command("Ping") }

// moment is when an event was written, by the switch's clock where timestampevents = yes in manager.conf says so, in the
// third line; else by ours.
func (b *block) moment() time.Time {
	if len(b.fields) < 3 || string(b.key(2)) != "Timestamp" {
		return time.Now()
	}
	seconds, fraction, _ := strings.Cut(string(b.value(2)), ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	us, err2 := strconv.ParseInt(fraction, 10, 64)
	if err != nil || err2 != nil || n <= 0 || n > 1<<33 || len(fraction) != 6 || us < 0 {
		return time.Now()
	}
	return time.Unix(n, us*1000)
}
