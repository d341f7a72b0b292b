package eslbridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"ringfence/attach"
)

// Why Dial and API fail, beside errors of the network and of the context.
var (
	ErrPassword   error = errPassword   // of the event socket
	ErrNotAllowed error = errNotAllowed // its access list refuses this machine's address
	ErrNoSwitch   error = errNoSwitch   // something else listens there
	ErrRefused          = errRefused    // the switch answers the command with -ERR or -USAGE; the text comes as well
)

// askTime bounds Dial and API where the context does not.
const askTime = 10 * time.Second

// maxAnswer bounds the answer to an API command, in bytes. A large dialplan has some megabytes.
const maxAnswer = 16 << 20

// Client asks a switch things over its own event socket, one at a time: for commands that people run, not
// for anything on the way of a call. It is for one goroutine.
type Client struct {
	conn net.Conn
	rd   *Reader
	in   Frame
	cmd  commands
	lost error // why the connection is of no use any more
}

// Dial connects to the event socket at address (host:port) and shows the password. It waits until ctx ends,
// or 10 s if ctx has no deadline.
func Dial(ctx context.Context, address, password string) (*Client, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn}
	c.rd = NewReader(conn, maxAnswer)
	defer c.until(ctx)()
	if err := c.login(password); err != nil {
		conn.Close()
		return nil, ended(ctx, err)
	}
	return c, nil
}

func (c *Client) login(password string) error {
	if err := c.rd.Next(&c.in); err != nil {
		return attach.Ended(unreadable(err))
	}
	if err := greeted(&c.in); err != nil {
		return err
	}
	c.cmd.auth(password)
	if err := c.ask(typeReply); err != nil {
		return err
	}
	if !c.in.OK() {
		return errPassword
	}
	return nil
}

// greeted reads the first frame of a switch's event socket: nil when it asks for the password.
func greeted(f *Frame) error {
	switch f.Type() {
	case typeAuth:
		return nil
	case typeRejection:
		return errNotAllowed
	}
	return errNoSwitch
}

// API runs an API command, as fs_cli -x does, and returns its answer without the line end behind it. It
// waits until ctx ends, or 10 s if ctx has no deadline; then the connection is of no use any more, since the
// answer may still come. The command's texts are ours: whatever came from a caller has no place in it.
func (c *Client) API(ctx context.Context, command string) (string, error) {
	if c.lost != nil {
		return "", c.lost
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	defer c.until(ctx)()
	c.cmd.api(command)
	if err := c.ask(typeAPI); err != nil {
		c.lost = ended(ctx, err)
		c.conn.Close()
		return "", c.lost
	}
	text := strings.TrimRight(string(c.in.Body()), "\r\n")
	if strings.HasPrefix(text, "-ERR") || strings.HasPrefix(text, "-USAGE") {
		return text, fmt.Errorf("%w: %.200q", errRefused, text)
	}
	return text, nil
}

// Close leaves the switch.
func (c *Client) Close() error { return c.conn.Close() }

// ask sends what is in c.cmd and reads the answer, which is of the type named.
func (c *Client) ask(answer string) error {
	_, err := c.conn.Write(c.cmd.buf)
	c.cmd.reset()
	if err != nil {
		return attach.Ended(unreadable(err))
	}
	for {
		if err := c.rd.Next(&c.in); err != nil {
			return attach.Ended(unreadable(err))
		}
		switch c.in.Type() {
		case answer:
			return nil
		case typeDisconnect:
			return attach.ErrClosed
		}
	}
}

// until makes every wait on the connection end with ctx, as long as the function returned is not called.
func (c *Client) until(ctx context.Context) (stop func()) {
	end, _ := ctx.Deadline()
	c.conn.SetDeadline(end)
	woken := make(chan struct{})
	unset := context.AfterFunc(ctx, func() {
		c.conn.SetDeadline(time.Unix(1, 0))
		close(woken)
	})
	return func() {
		if !unset() {
			<-woken // or it would end the next question
		}
	}
}

// bounded is ctx with a deadline.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, askTime)
}

// ended is err, or that ctx has ended where that made the wait end. A context that only ran out is the
// switch's silence.
func ended(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return err
}
