package cluster

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"maps"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	sayAgain  = 10 * time.Minute // after which the log has the same trouble again
	maxSaid   = 32               // troubles that are remembered for that
	deniedFor = 15 * time.Second // how long it is shown that a server has refused something
)

// lost notes why what was asked of the servers was not done. Where there is no connection that is why there is none, which the client knows.
func (c *Cluster) lost(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	switch nc := c.nc(); {
	case nc.IsClosed():
		return // gaveUp has told why
	case !nc.IsConnected():
		err = nc.LastError() // nil: it was told of to failed
	}
	c.failed(err)
}

// failed notes what the client of NATS says of the servers.
func (c *Cluster) failed(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	now, do := c.o.Now(), advice(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrNoServers) {
		return // gaveUp has told of it, or will be told why with the next try
	}
	if errors.Is(err, context.DeadlineExceeded) && now.Sub(c.denied) < deniedFor {
		return // what is refused is not answered
	}
	if c.trouble = err.Error(); do != "" {
		c.trouble = do + " (" + c.trouble + ")"
	}
	if errors.Is(err, nats.ErrPermissionViolation) || isWithoutStore(err) {
		c.denied, c.noStore = now, isWithoutStore(err)
	} else if c.alone.IsZero() {
		return // it may pass by itself: if it does not, look tells of it
	}
	c.complain(cmp.Or(do, c.trouble), now)
}

// hasStore notes that a server keeps changes: one that is being started has none for a moment.
func (c *Cluster) hasStore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noStore {
		c.denied, c.noStore = time.Time{}, false
	}
}

// gaveUp notes why there is no connection, nor will be one by the client's own doing: a file cannot be read, say.
func (c *Cluster) gaveUp(err error) {
	why := "there is no connection, and another one is tried for every " + c.o.Again.String() + ": " + err.Error()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble = why
	c.complain(why, c.o.Now())
}

// complain has the log tell of the trouble, unless it told of one of its kind a while ago. c.mu is held.
func (c *Cluster) complain(kind string, now time.Time) {
	maps.DeleteFunc(c.said, func(_ string, at time.Time) bool { return now.Sub(at) >= sayAgain })
	if _, told := c.said[kind]; told || len(c.said) >= maxSaid {
		return
	}
	c.said[kind] = now
	c.o.Log.Warn("this node is not with its cluster as it should be: calls are screened as before", "error", c.trouble)
}

// twin notes that another node has this one's name. c.mu is held.
func (c *Cluster) twin(now time.Time) {
	c.trouble = "another node calls itself " + c.o.Node + " too, so that each misses what the other changes: give each a name and a user of its own, by `node` and `user` in ringfence.toml"
	c.denied, c.noStore = now, false
	c.complain(c.trouble, now)
}

// advice says what is wrong between this node and the servers, and what to do; "" where the error has to do.
func advice(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return "the server does not take this node's user with this password or key: hold [cluster] in ringfence.toml and its files against the server's configuration"
	case errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return "the server takes this node's credentials no more: give it new ones"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "the server's configuration gives this node's user no right to something: the rights there must name the cluster and the node as ringfence.toml does (`name` in [cluster], `node` at its top); conf/nats/nats-server.conf has them all"
	case isWithoutStore(err):
		return "the server keeps no changes: its configuration needs a section jetstream, and its disk room (its log says what is wrong); until then they come as lists are compared"
	case errors.As(err, &authority):
		return "the server's certificate is of no authority that is known here: copy the ca.crt that signed it to this node, and name it as tls_ca"
	case errors.As(err, &name):
		return "the server's certificate is for another name: make it for the address that `servers` has (subjectAltName), or write the name that it has into `servers`"
	case errors.As(err, &invalid):
		return "the server's certificate does not count: make a new one, and look at the clocks"
	case strings.Contains(err.Error(), "remote error: tls: "), strings.Contains(err.Error(), "closed by remote after TLS handshake"):
		return "the server does not take this node's certificate, or wants one: look at tls_cert and tls_key, and at `verify` in the server's configuration"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server has no TLS: give it a certificate (tls in its configuration)"
	case errors.Is(err, nats.ErrStaleConnection):
		return "the server does not answer any more: look at it, and at the network"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there: start nats-server, or write into `servers` where it listens"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to that address: look at `servers`, and at the network"
	case isDialTimeout(err):
		return "nothing answers there: look at `servers`, at the server and at firewalls between"
	}
	return ""
}

// isWithoutStore reports whether a server is there and keeps nothing.
func isWithoutStore(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

// isDialTimeout reports whether no connection was made in time.
func isDialTimeout(err error) bool {
	var slow interface{ Timeout() bool }
	return errors.As(err, &slow) && slow.Timeout() && strings.HasPrefix(err.Error(), "dial ")
}
