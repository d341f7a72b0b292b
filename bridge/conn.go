package bridge

import (
	"container/list"
	"io"
	"net"
	"sync"
	"time"
)

// Conn is a switch's connection, under the one deadline of its call. A timer, not the code that decides, gives
// the call back when that is reached; a decision that blocks or panics changes nothing. One goroutine runs the
// call and reads; whatever is written, by it or by the timer, is written under the lock.
type Conn struct {
	conn     net.Conn
	parting  string    // the one thing that is written to give the call back; "": the connection is closed for that
	accepted time.Time // when the connection was complete
	tooLate  string    // what running out of time is called

	place *list.Element // among those that have named no call yet; of the port, under its lock

	mu       sync.Mutex // guards what follows; held while writing
	deadline time.Time
	timer    *time.Timer
	over     string // why no more may be written; "" while it may
	left     bool   // the call has been given back in the way of its bridge
}

// Start starts the clock. Time that the connection spent in the accept queue counts: a switch's guard may have
// taken the call meanwhile. parting is what is written to give the call back; without one the connection is closed.
func (c *Conn) Start(conn net.Conn, accepted time.Time, deadline time.Duration, parting string) {
	c.conn, c.parting, c.accepted = conn, parting, accepted.Add(-queued(conn))
	c.deadline = c.accepted.Add(deadline)
	left := time.Until(c.deadline)
	c.tooLate = FailDeadline
	if left <= 0 {
		c.tooLate = FailLate
	}
	c.timer = time.AfterFunc(left, func() { c.Expire(c.tooLate) })
}

// Connection is c, for the port.
func (c *Conn) Connection() *Conn { return c }

// Read reads from the switch until the deadline.
func (c *Conn) Read(b []byte) (int, error) { return c.conn.Read(b) }

// Send writes in one piece, unless the call was given back; then it is ErrOver.
func (c *Conn) Send(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != "" {
		return ErrOver
	}
	if !time.Now().Before(c.deadline) {
		return ErrOver // the timer is about to say so; a stopped process may wake up here
	}
	if len(b) == 0 {
		return nil
	}
	_, err := c.conn.Write(b)
	return err
}

// Extend moves the deadline to the end of a step whose length is known.
func (c *Conn) Extend(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over == "" {
		c.deadline = to
		c.timer.Reset(time.Until(to))
	}
}

// Left notes that the call has been given back, so that nothing is written to say so again.
func (c *Conn) Left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
}

// Expire gives the call back when its time is up: the parting is the one thing written then.
func (c *Conn) Expire(reason string) {
	c.conn.SetWriteDeadline(time.Unix(1, 0)) // frees the lock if a write hangs
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaveNow(reason)
	c.conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
}

// giveBack is Expire for a call that failed before its time was up.
func (c *Conn) giveBack(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaveNow(reason)
}

func (c *Conn) leaveNow(reason string) {
	if c.over != "" || c.conn == nil {
		return
	}
	c.over = reason
	switch {
	case c.parting == "":
		c.conn.Close()
		return
	case c.left:
		return
	}
	c.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	io.WriteString(c.conn, c.parting)
}

// Over says why the call was given back before its end, "" if it was not.
func (c *Conn) Over() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// Close stops the clock and closes the connection.
func (c *Conn) Close() {
	c.timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.Close()
}
