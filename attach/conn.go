package attach

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Ways in which a connection ends.
var (
	// ErrSilent: it said nothing within Options.Wait.
	ErrSilent = errors.New("the switch was silent for too long")
	// ErrClosed: the switch ended the connection, with or without a word.
	ErrClosed = errors.New("the switch closed the connection")
)

// Conn is one connection to the switch, from dialling to its end.
type Conn struct {
	a       *Client
	conn    net.Conn
	session Session

	until time.Time // when the wait in hand ends; zero between messages, where only Idle counts
	asked bool      // the switch was asked whether it is there and has not said anything yet
}

// Name is the switch's, for CallEnd.Switch.
func (c *Conn) Name() string { return c.a.o.Name }

// Counters are the client's.
func (c *Conn) Counters() *Counters { return &c.a.Counters }

// Within begins a wait: what is read from now on must come within Options.Wait.
func (c *Conn) Within() { c.until = time.Now().Add(c.a.o.Wait) }

// listen takes what the switch says until the connection ends.
func (c *Conn) listen() error {
	for {
		c.until = time.Time{}
		if c.session.Begun() {
			c.Within()
		}
		if err := c.session.Next(); err != nil {
			return err
		}
	}
}

// Ended gives the ways in which a connection ends one name each: ErrSilent, ErrClosed with a reason, or what it is.
func Ended(err error) error {
	var t *Trouble
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrSilent
	case errors.As(err, &t), errors.Is(err, net.ErrClosed), errors.Is(err, ErrClosed):
		return err
	}
	return fmt.Errorf("%w: %s", ErrClosed, reason(err))
}

// Read reads from the connection, with a bound on every wait. Between messages the switch may be silent for
// Options.Idle; then it is asked for a word, and one more Options.Wait is its last chance. Within a message the rest
// must come within Options.Wait, however it trickles in.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		limit := c.until
		if limit.IsZero() {
			limit = time.Now().Add(c.a.o.Idle)
			if c.asked {
				limit = time.Now().Add(c.a.o.Wait)
			}
		}
		c.conn.SetReadDeadline(limit)
		n, err := c.conn.Read(p)
		if n > 0 {
			c.asked = false
			if c.until.IsZero() && len(bytes.TrimLeft(p[:n], "\r\n")) > 0 {
				c.Within()
			}
			return n, nil // an error comes again
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !c.until.IsZero() || c.asked {
			return 0, err
		}
		c.asked = true // whatever it answers, a refusal too, shows that it is there
		if err := c.Send(c.session.Ping()); err != nil {
			return 0, err
		}
	}
}

// Send writes a command.
func (c *Conn) Send(command []byte) error {
	c.conn.SetWriteDeadline(time.Now().Add(c.a.o.Wait))
	_, err := c.conn.Write(command)
	return err
}

// End gives the end of a call to the sink, or drops and counts it when the sink is too slow.
func (c *Conn) End(e CallEnd) {
	a := c.a
	a.Counters.Ends.Add(1)
	select {
	case a.queue <- &e:
	default:
		a.Counters.Dropped.Add(1)
		a.noise.Do(func() {
			a.log.Warn("the end of a call was dropped: recording is slower than the switch", "queue", a.o.Queue, "dropped", a.Counters.Dropped.Load())
		})
	}
}
