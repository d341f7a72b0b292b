package agibridge

import (
	"net"
	"sync"
	"time"

	"ringfence/bridge"
)

// Server is what Asterisk's AGI application connects to, one connection a call.
type Server struct {
	*bridge.Port

	screener bridge.Screener
	buffers  sync.Pool // of *reader
}

// NewServer makes a server that asks s. It does not listen yet.
func NewServer(s bridge.Screener, o bridge.Options) (*Server, error) {
	srv := &Server{screener: s}
	srv.buffers.New = func() any { return newReader() }
	port, err := bridge.NewPort(s, o, "agi", func(conn net.Conn, accepted time.Time) bridge.Call {
		c := &call{srv: srv, rd: srv.buffers.Get().(*reader)}
		c.Start(conn, accepted, srv.Deadline(), "") // to close the connection says all
		c.rd.reset(&c.Conn)
		return c
	})
	srv.Port = port
	return srv, err
}
