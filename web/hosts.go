package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"ringfence/conf"
)

// hosts are the names by which browsers may call us. A page of another site can have its own name lead to this machine, and would then read what is
// behind a sign-in here as if it were its own (DNS rebinding): a request that calls us by a name that is not ours is no one's who means us.
type hosts struct {
	names map[string]bool
	url   *url.URL // nil: nobody said
}

func hostsOf(c *conf.Console, node string) hosts {
	h := hosts{names: map[string]bool{"localhost": true, strings.ToLower(node): node != ""}}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil {
		// Not 0.0.0.0, which is no address to call anybody by: pages of other sites reach this machine with it.
		if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
			h.names[ip.String()] = true
		}
	}
	if u, err := url.Parse(c.URL); err == nil && c.URL != "" {
		h.url = u
		h.names[strings.ToLower(u.Hostname())] = true
	}
	return h
}

// ours reports whether a request calls us by a name of ours, or by the address at which it reached us: an address cannot be bent to another
// machine as a name can.
func (h *hosts) ours(r *http.Request) bool {
	host := hostname(r.Host)
	if h.names[host] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	at, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if at == nil {
		return false
	}
	own, err := netip.ParseAddrPort(at.String())
	return err == nil && (own.Addr().Unmap() == ip.Unmap() || own.Addr().Unmap().IsLoopback() && ip.Unmap().IsLoopback())
}

// hostname is the host of a Host header, in lower case and without port, brackets and the dot at its end.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// secure reports whether what a browser sends with a request goes over TLS all the way to us, or to the proxy that the daemon's file names as
// url: then cookies are for TLS alone.
func (h *hosts) secure(r *http.Request) bool {
	return r.TLS != nil || h.url != nil && h.url.Scheme == "https" && strings.EqualFold(r.Host, h.url.Host)
}
