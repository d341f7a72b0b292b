// Package web is the port that browsers and scripts come to: TLS, who may come and how often, sign-in by password, passkey, another server or
// token, and behind all of it the API (package console) and the pages (package pages). What anybody may see there package access says; this room finds
// out who it is.
//
// Everything that arrives is hostile until the chain (chain.go) has let it through. Whoever is nobody gets the sign-in, health and readiness, and
// files of style; a page or a route that does not say it is open is not (routes.go).
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"ringfence/access"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/pages"
)

// Options say what a Server works with. All but Metrics and Trouble are needed.
type Options struct {
	Conf    *conf.Console
	Node    string       // this machine's name, by which it may be called too
	Desk    console.Desk // access.Guard's: what each may see and do
	Book    *access.Book
	Pages   *pages.Pages
	Ready   func() []State // what is ready, and what is not; asked often
	Metrics http.Handler   // what a Prometheus reads; nil: nothing
	// Trouble is told when a certificate that came new cannot be used (the one before it stays), and with nil when one can again.
	Trouble func(error)
	Log     *slog.Logger
	Now     func() time.Time
}

// Server is the console's port. It may be used by many goroutines at once.
type Server struct {
	Counters Counters

	o        Options
	pace     pace
	hosts    hosts
	proxies  proxies
	secret   *sealer
	rates    *rates
	passkeys *passkeys // nil: no url
	oidc     *oidcSignIn
	large    chan struct{} // holds a token for each large body that is read
	routes   *routes
	handler  http.Handler
	cert     *certificate // nil: without TLS

	inAddress seldom // tokens that were

	listener net.Listener
	http     *http.Server
	end      context.CancelFunc // ends what streams
}

// Counters count what was turned away, and why.
type Counters struct {
	Connections atomic.Uint64 // had no room
	Host        atomic.Uint64 // called us by a name that is not ours
	CrossOrigin atomic.Uint64 // were written by a page of another site
	Address     atomic.Uint64 // had a token in the address
	Often       atomic.Uint64 // came too often
	Credentials atomic.Uint64 // showed a token that is none, or has ended
	Forwarded   atomic.Uint64 // came by a proxy that does not say from where, or in two ways
	Panics      atomic.Uint64
}

// Each gives each counter by name.
func (c *Counters) Each(yield func(name string, n uint64)) {
	yield("refused_connections", c.Connections.Load())
	yield("refused_host", c.Host.Load())
	yield("refused_cross_origin", c.CrossOrigin.Load())
	yield("token_in_address", c.Address.Load())
	yield("too_often", c.Often.Load())
	yield("refused_tokens", c.Credentials.Load())
	yield("forwarded_unread", c.Forwarded.Load())
	yield("panics", c.Panics.Load())
}

// New makes a Server. The error says what of the daemon's file cannot be used.
func New(o Options) (*Server, error) {
	s := &Server{o: o, pace: usualPace, hosts: hostsOf(o.Conf, o.Node), secret: newSealer(o.Now)}
	s.proxies = o.Conf.Proxies
	s.rates, s.large = newRates(o.Now), make(chan struct{}, large)
	if o.Conf.TLS() {
		var err error
		if s.cert, err = openCertificate(o.Conf.Cert, o.Conf.Key, o.Now, s.certTrouble); err != nil {
			return nil, err
		}
	}
	var err error
	if s.passkeys, err = newPasskeys(o.Conf, o.Now); err != nil {
		return nil, err
	}
	if o.Conf.OIDC != nil {
		s.oidc = newOIDC(o.Conf)
	}
	s.routes = s.serve()
	s.handler = s.chained(s.routes)
	return s, nil
}

// Limits of a connection and of what is asked on it.
const (
	headerWait = 5 * time.Second  // for the header of a request, and for the handshake
	idleWait   = 60 * time.Second // between requests
	maxHeader  = 16 << 10         // bytes
)

// Listen opens the port. The error says which, and why not.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.o.Conf.Listen)
	if err != nil {
		return fmt.Errorf("the console's port ([console] listen) cannot be opened: %w", err)
	}
	s.listener = &crowd{Listener: ln, refused: &s.Counters.Connections, by: map[string]int{}, proxies: s.proxies}
	// Not from ctx: with that comes whoever has started the daemon (console.WithWho), and everybody would be them.
	base, end := context.WithCancel(context.Background())
	s.end = end
	s.http = &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base },
		// Who fails a handshake or sends rubbish is not worth a line each.
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 100},
	}
	if s.cert != nil {
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.cert.get}
	}
	return nil
}

// Serve answers until Shutdown, or until the port takes no more.
func (s *Server) Serve() (err error) {
	if s.cert != nil {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown ends those who follow, lets the others have their answers until ctx ends, and closes the port.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.http == nil {
		return nil
	}
	s.end()
	s.o.Pages.Close()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// Port is where it listens, "" where it does not yet.
func (s *Server) Port() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Address is what to write into a browser on this machine, or elsewhere if the daemon's file says what that is.
func (s *Server) Address() string {
	if s.o.Conf.URL != "" {
		return s.o.Conf.URL
	}
	address := s.o.Conf.Listen
	if s.listener != nil {
		address = s.listener.Addr().String()
	}
	if host, port, err := net.SplitHostPort(address); err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			address = net.JoinHostPort(s.o.Node, port)
		}
	}
	if s.o.Conf.TLS() {
		return "https://" + address
	}
	return "http://" + address
}

func (s *Server) certTrouble(err error) {
	if err != nil {
		s.o.Log.Error("the console's new certificate cannot be used; the one before it stays", "error", err)
	} else {
		s.o.Log.Info("the console has a new certificate", "file", s.o.Conf.Cert)
	}
	if s.o.Trouble != nil {
		s.o.Trouble(err)
	}
}
