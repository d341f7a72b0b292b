package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// proxies are whom it is believed for whom they ask. Of what X-Forwarded-For or Forwarded says each counts as far as a proxy of ours has written it: from
// the right, the first address that is none of ours is where somebody comes from. What stands left of it he may have written himself.
type proxies []netip.Prefix

const (
	maxHops    = 16 // proxies of ours, one behind the other
	maxHopText = 64 // bytes: an address with its zone and port
)

// findAddress puts the address of whom a proxy of ours asks for in the place of the proxy's own.
func (s *Server) findAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && s.proxies.have(plain(at.Addr())) {
			client, said := s.proxies.client(plain(at.Addr()), r.Header)
			if !said {
				s.Counters.Forwarded.Add(1)
			}
			r = r.WithContext(r.Context()) // a copy: who is outside of us keeps the proxy's
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		next.ServeHTTP(w, r)
	})
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (p proxies) have(a netip.Addr) bool {
	for _, of := range p {
		if of.Contains(a) {
			return true
		}
	}
	return false
}

// haveNetwork reports whether what addressOf gives is a proxy's.
func (p proxies) haveNetwork(address string) bool {
	if a, err := netip.ParseAddr(address); err == nil {
		return p.have(a)
	}
	net, err := netip.ParsePrefix(address)
	for _, of := range p {
		if err == nil && of.Overlaps(net) {
			return true
		}
	}
	return false
}

// client is for whom a proxy of ours asks, or that proxy if it does not say so. A proxy writes one of the headers and may pass the other on as it came:
// where they differ one of them is a browser's word.
func (p proxies) client(proxy netip.Addr, h http.Header) (client netip.Addr, said bool) {
	list, elements := h.Values("X-Forwarded-For"), h.Values("Forwarded")
	client, said = proxy, false
	if len(list) > 0 {
		client, said = p.walk(proxy, list, func(text string) string { return text })
	}
	if len(elements) == 0 {
		return client, said
	}
	other, ok := p.walk(proxy, elements, forOf)
	if len(list) > 0 && (client != other || !said || !ok) {
		return proxy, false
	}
	return other, ok
}

// walk goes from hop to hop, the last one before. A hop that is no address is nobody's: then the proxy counts that wrote it.
func (p proxies) walk(proxy netip.Addr, lines []string, address func(string) string) (client netip.Addr, said bool) {
	client = proxy
	n := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; n++ {
			hop := rest
			at := strings.LastIndexByte(rest, ',')
			if more = at >= 0; more {
				rest, hop = rest[:at], rest[at+1:]
			}
			a, ok := hopAddress(address(strings.TrimSpace(hop)))
			if !ok || n == maxHops || a.IsLoopback() && !client.IsLoopback() { // of another machine's loopback only that machine knows who it is
				return client, false
			}
			if client = a; !p.have(a) {
				return client, true
			}
		}
	}
	return client, true // all are ours: somebody at a proxy
}

// forOf is for whom an element of Forwarded is, as in for="[2001:db8::7]:4711";proto=https.
func forOf(element string) string {
	if strings.Count(element, `"`)%2 != 0 || strings.Contains(element, `\`) { // the comma before it was within a text
		return ""
	}
	for pair := range strings.SplitSeq(element, ";") {
		if name, value, _ := strings.Cut(pair, "="); strings.EqualFold(strings.TrimSpace(name), "for") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// hopAddress reads an address with or without brackets, port and zone.
func hopAddress(text string) (a netip.Addr, ok bool) {
	if text == "" || len(text) > maxHopText {
		return a, false
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			return a, false
		}
		a = at.Addr()
	}
	a = plain(a)
	return a, !a.IsUnspecified() && !a.IsMulticast()
}
