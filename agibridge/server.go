package agibridge

import (
	"net"
	"sync"
	"time"

	"ringfence/screening"
)

// Server is what Asterisk's AGI application connects to, one connection a call.
type Server struct {
	*screening.Port

	chooser Chooser
	buffers sync.Pool // of *reader
}

// Chooser is a Screener that knows by which headers the calls of a trunk may say who calls.
type Chooser interface {
	// Headers gives what to read of a call from its INVITE, besides From. f has what Asterisk says unasked; of the
	// trunk it knows Endpoint and Trunk.
	Headers(f *screening.Facts) Headers
}

// Headers say what to read of a call. Each costs the call some 0.1 ms.
type Headers struct {
	Asserted bool // P-Asserted-Identity
	RemoteID bool // Remote-Party-ID
	Address  bool // the peer's address
}

// NewServer makes a server that asks s. It does not listen yet.
func NewServer(s screening.Screener, o screening.Options) (*Server, error) {
	srv := &Server{}
	srv.chooser, _ = s.(Chooser)
	srv.buffers.New = func() any { return newReader() }
	port, err := screening.NewPort(s, o, "agi", func(conn net.Conn, accepted time.Time) screening.Call {
		c := &call{srv: srv, rd: srv.buffers.Get().(*reader)}
		c.Start(conn, accepted, srv.Deadline(), "") // to close the connection says all
		c.rd.reset(&c.Conn)
		return c
	})
	srv.Port = port
	return srv, err
}
