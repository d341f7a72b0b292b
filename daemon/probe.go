package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"ringfence/policy"
)

// Probe finds out whether a call would be screened now: it connects to the screening port as the switch
// does, with a call that is none, and has a decision made. The watchdog is fed only when it succeeds.
func (d *Daemon) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	decided := make(chan struct{})
	go func() {
		defer close(decided)
		r := d.force.Rules()
		c := r.Policy.Call(policy.Facts{Caller: "anonymous", Time: time.Now()})
		r.Policy.Decide(&c, r.Lists)
	}()
	select {
	case <-decided:
	case <-ctx.Done():
		return fmt.Errorf("no decision within 2s")
	}
	address := d.probeAddress()
	if address == "" {
		return nil // we may not connect to ourselves; the decision has to do
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("the screening port does not answer: %w", err)
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	in := bufio.NewReader(conn)
	for _, turn := range []struct{ want, say string }{
		{"connect", "Unique-ID: probe\nvariable_ringfence_intent: probe\nContent-Type: command/reply\nReply-Text: +OK\n\n"},
		{"exit", "Content-Type: command/reply\nReply-Text: +OK bye\n\n"},
	} {
		line, err := in.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != turn.want {
			return fmt.Errorf("the screening port said %.40q instead of %s: %w", line, turn.want, err)
		}
		in.ReadString('\n')
		if _, err := io.WriteString(conn, turn.say); err != nil {
			return err
		}
	}
	return nil
}

// probeAddress is the screening port as seen from this machine, "" if it takes no one from here.
func (d *Daemon) probeAddress() string {
	tcp, ok := d.listener.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	a := tcp.AddrPort()
	ip := a.Addr().Unmap()
	if ip.IsUnspecified() {
		ip = netip.MustParseAddr("127.0.0.1")
	}
	for _, p := range d.conf.Screen.Allow {
		if p.Contains(ip) {
			return netip.AddrPortFrom(ip, a.Port()).String()
		}
	}
	return ""
}
