package web

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Bounds on connections. A browser opens six to a server that speaks HTTP/1.1, and one of them follows the calls.
const (
	maxConnections = 2048
	maxOfAddress   = 256 // from one address, but this machine's, where a proxy may be, and those of proxies
)

// crowd is a listener that has room for so many connections. One too many is closed at once: to let it wait would let whoever holds the others shut out
// all who come.
type crowd struct {
	net.Listener
	refused *atomic.Uint64
	proxies proxies

	mu  sync.Mutex
	all int
	by  map[string]int // by address
}

func (l *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if address := addressOf(conn.RemoteAddr().String()); l.enter(address) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { l.leave(address) })}, nil
		}
		l.refused.Add(1)
		conn.Close()
	}
}

func (l *crowd) enter(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConnections || l.by[address] >= maxOfAddress && !local(address) && !l.proxies.haveNetwork(address) {
		return false
	}
	l.all++
	l.by[address]++
	return true
}

func (l *crowd) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.by[address]--; l.by[address] == 0 {
		delete(l.by, address)
	}
}

// guest is a connection that there was room for.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}

// addressOf is whom a connection counts for: an address, or of the sixth version the network that a single customer has all of.
func addressOf(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	return ip.String()
}

func local(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.IsLoopback()
}
