package conf

import (
	"cmp"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Screen is where FreeSWITCH's socket application connects, or Asterisk's AGI.
type Screen struct {
	Listen   string
	Allow    []netip.Prefix
	Deadline time.Duration // from accept; at most 900 ms
}

// readPorts reads [screen] and [agi], the ports that a switch connects to.
func (d *Daemon) readPorts(top *section) {
	screen := top.table("screen")
	d.Screen = readPort(screen, "127.0.0.1:8084")
	if !top.has("agi") {
		return
	}
	s := top.table("agi")
	agi := readPort(s, "127.0.0.1:4573")
	d.AGI = &agi
	if agi.Listen == d.Screen.Listen && !screen.told("listen") && !top.told("screen") && !strings.HasSuffix(agi.Listen, ":0") {
		s.fault("listen", "is where FreeSWITCH connects (screen.listen): give Asterisk a port of its own, as in \"127.0.0.1:4573\"")
	}
}

// readPort checks where a switch connects, and fills in what is not said.
func readPort(s *section, standard string) Screen {
	port := Screen{Listen: cmp.Or(s.text("listen", ""), standard)}
	if host, number, err := net.SplitHostPort(port.Listen); err != nil || !validPort(number) {
		s.fault("listen", "%q is no address with a port: write %q", port.Listen, standard)
	} else if host != "" && host != "localhost" && !validIP(host) {
		s.fault("listen", "%q is no address: write an IP address of this machine, as in %q", host, standard)
	}
	allow := s.texts("allow", "127.0.0.0/8", "::1/128")
	for _, a := range allow {
		prefix, err := parsePrefix(a)
		if err != nil {
			s.fault("allow", "%q is no address range: write \"192.0.2.7/32\" or \"192.0.2.0/24\"", a)
		}
		port.Allow = append(port.Allow, prefix)
	}
	if len(allow) == 0 {
		s.fault("allow", "is empty, so no switch could connect: write [\"127.0.0.0/8\", \"::1/128\"]")
	}
	deadline := cmp.Or(s.text("deadline", ""), "800ms")
	var err error
	if port.Deadline, err = time.ParseDuration(deadline); err != nil || port.Deadline < 10*time.Millisecond || port.Deadline > 900*time.Millisecond {
		s.fault("deadline", "%q is not a time from 10ms to 900ms: write \"800ms\". The switch's own guard takes the call away after a second", deadline)
	}
	return port
}

func validPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= 65535
}

func validIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}
