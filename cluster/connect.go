package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// link is a connection to the servers, which comes back by itself until the client gives it up.
type link struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// nc is the connection that was made last: from Run on there is one, be it closed.
func (c *Cluster) nc() *nats.Conn { return c.link.Load().nc }

func (c *Cluster) js() jetstream.JetStream { return c.link.Load().js }

// connectAtLast connects, however often it has to be tried: a file of keys may be put right. It is false when ctx ends.
func (c *Cluster) connectAtLast(ctx context.Context) bool {
	for {
		err := c.connect()
		if err == nil {
			return true
		}
		c.gaveUp(err)
		if !wait(ctx, c.o.Again) {
			return false
		}
	}
}

// keepConnected makes a connection that was given up anew.
func (c *Cluster) keepConnected(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.closed:
		}
		if !c.nc().IsClosed() {
			continue // it was told of twice
		}
		if !wait(ctx, c.o.Again) || !c.connectAtLast(ctx) {
			return
		}
	}
}

// connect makes a connection in the place of the last one.
func (c *Cluster) connect() error {
	options := []nats.Option{
		nats.Name("ringfence " + c.o.Node), nats.CustomInboxPrefix(c.subject("inbox", c.o.Node)),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond), nats.Timeout(2 * time.Second),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.ReconnectBufSize(-1), nats.DrainTimeout(time.Second),
		nats.IgnoreAuthErrorAbort(), // a password may be mended at the server
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.failed(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.failed(err) }),
		nats.ReconnectHandler(c.connected),
		nats.ConnectHandler(c.connected),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.failed(err) }),
	}
	switch {
	case c.o.Credentials != "":
		options = append(options, nats.UserCredentials(c.o.Credentials))
	case c.o.NkeyFile != "":
		nkey, err := nats.NkeyOptionFromSeed(c.o.NkeyFile)
		if err != nil {
			return fmt.Errorf("the key of nkey_file cannot be read: %w", err)
		}
		options = append(options, nkey)
	case c.o.User != "":
		options = append(options, nats.UserInfo(c.o.User, c.o.Password))
	}
	if c.o.TLS != nil {
		options = append(options, nats.Secure(c.o.TLS))
	}
	o := nats.GetDefaultOptions()
	o.Servers = c.o.Servers
	for _, option := range options {
		if err := option(&o); err != nil {
			return err
		}
	}
	nc, err := o.Connect()
	if err != nil {
		return fmt.Errorf("the servers of [cluster] cannot be used: %w", err)
	}
	js, err := jetstream.New(nc)
	c.link.Store(&link{nc, js}) // before questions come
	for subject, hear := range map[string]nats.MsgHandler{
		c.subject("here", "*"): c.hear, c.subject("fact", "*"): c.hearFacts, c.subject("count", "*"): c.hearCounts, c.subject("trip", "*"): c.hearNews,
		c.subject("ask", c.o.Node) + ".*": c.answer,
	} {
		if err == nil {
			_, err = nc.Subscribe(subject, hear)
		}
	}
	switch {
	case nc.IsClosed():
		return isNone(nc)
	case err != nil:
		nc.Close()
		return err
	}
	nc.SetClosedHandler(func(nc *nats.Conn) {
		c.gaveUp(isNone(nc))
		signal(c.closed)
	})
	if nc.IsClosed() { // already, and does not tell of it any more
		signal(c.closed)
	}
	return nil
}

// isNone is why the client has given a connection up: what answers says what no server says.
func isNone(nc *nats.Conn) error {
	return fmt.Errorf("look at `servers` in ringfence.toml, and whether nats-server answers there (%w)", nc.LastError())
}

// connected notes that the connection is there. The client is asked for nothing while c.mu is held: it may be dialling.
func (c *Cluster) connected(nc *nats.Conn) {
	server := nc.ConnectedUrlRedacted()
	c.mu.Lock()
	c.server = server
	c.mu.Unlock()
	signal(c.anew)
}
