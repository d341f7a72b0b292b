package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// synRetriesFile says how often the kernel tries to open a connection to a machine that does not answer.
var synRetriesFile = "/proc/sys/net/ipv4/tcp_syn_retries"

// synRetries looks at the one delay that no guard bounds: a switch whose packets to the daemon are dropped
// waits in connect() for the kernel to give up, and the guard's transfer with it.
func (x *examination) synRetries() {
	address := x.screen
	if address == "" {
		return
	}
	i := strings.LastIndexByte(address, ':') // as the switch reads it, an IPv6 address has no brackets
	if i < 0 {
		return
	}
	if host := strings.Trim(address[:i], "[]"); host == "localhost" || isLoopback(host) {
		x.ok("the switch reaches the daemon on its own machine: no packet gets lost there")
		return
	}
	text, err := os.ReadFile(synRetriesFile)
	n, e := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || e != nil {
		return
	}
	if wait := 1<<(n+1) - 1; n > 1 {
		x.warn(fmt.Sprintf("the daemon is on another machine: if that is gone, calls wait %d s for it (net.ipv4.tcp_syn_retries is %d here)", wait, n),
			"run the daemon on the switch's machine, or set net.ipv4.tcp_syn_retries = 1 on it")
		return
	}
	x.ok("the daemon is on another machine; if that is gone, calls wait %d s for it", 1<<(n+1)-1)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// sameAddress reports whether two addresses reach the same daemon, as far as their texts tell.
func sameAddress(dialplan, listen string) bool {
	i := strings.LastIndexByte(dialplan, ':')
	host, port, err := net.SplitHostPort(listen)
	if i < 0 || err != nil || dialplan[i+1:] != port {
		return false
	}
	name := strings.Trim(dialplan[:i], "[]")
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && ip.IsUnspecified():
		return true // it listens everywhere
	case err != nil || name == host:
		return name == host
	case ip.IsLoopback():
		return name == "localhost"
	}
	other, err := netip.ParseAddr(name)
	return err != nil || other.Unmap() == ip.Unmap() // a name is not looked up
}
