package doctor

import (
	"fmt"
	"net"
	"net/netip"
)

// consolePort says where the console is, and whether others may listen in.
func (x *examination) consolePort() {
	c := x.settings.Console
	if c == nil {
		return // nobody asked for one
	}
	host, _, err := net.SplitHostPort(c.Listen)
	ip, notIP := netip.ParseAddr(host)
	if err == nil && !c.TLS() && host != "localhost" && (notIP != nil || !ip.Unmap().IsLoopback()) {
		x.warn(fmt.Sprintf("the console (%s) can be reached from other machines without TLS: whoever listens in has passwords and sessions", c.Listen),
			fmt.Sprintf("write tls_cert and tls_key into [console] of %s, and take insecure out", x.settings.File))
		return
	}
	if x.status != nil && x.status.Console == "" {
		x.warn("there is no console, though the daemon's file asks for one", "see `ringfence status` and the log; systemctl restart ringfence after a change of the file")
		return
	}
	if x.status != nil {
		x.ok("the console is at %s", x.status.Console)
	}
}
