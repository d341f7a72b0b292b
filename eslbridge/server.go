package eslbridge

import (
	"net"
	"sync"
	"time"

	"ringfence/bridge"
)

// Server is what FreeSWITCH's `socket` application connects to, one connection a call.
type Server struct {
	*bridge.Port

	buffers sync.Pool // of *call: reader and command buffer
}

// NewServer makes a server that asks s. It does not listen yet.
func NewServer(s bridge.Screener, o bridge.Options) (*Server, error) {
	srv := &Server{}
	srv.buffers.New = func() any { return newCall(srv) }
	port, err := bridge.NewPort(s, o, "screen", func(conn net.Conn, accepted time.Time) bridge.Call {
		c := srv.buffers.Get().(*call)
		c.begin(conn, accepted)
		return c
	})
	srv.Port = port
	return srv, err
}
