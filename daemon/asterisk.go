package daemon

import (
	"context"
	"fmt"

	"ringfence/agibridge"
	"ringfence/bridge"
	"ringfence/conf"
)

// serveAsterisk opens the port that Asterisk connects to, if the daemon's file asks for it.
func (d *Daemon) serveAsterisk(ctx context.Context, c *conf.Screen) (err error) {
	if c == nil {
		return nil
	}
	d.agi, err = agibridge.NewServer(d.desk, bridge.Options{Allow: c.Allow, Deadline: c.Deadline, Log: d.log})
	if err != nil {
		return err
	}
	d.asterisk, err = bridge.Listen(ctx, c.Listen)
	if err != nil {
		d.agi = nil
		return fmt.Errorf("the port for Asterisk ([agi] listen) cannot be opened: %w", err)
	}
	go func() { d.failed <- d.agi.Serve(d.asterisk) }()
	d.onStop("screening for Asterisk", d.agi.Shutdown)
	d.log.Info("screening calls of Asterisk", "address", d.asterisk.Addr().String())
	return nil
}

// AsteriskAddress is where Asterisk connects, "" if it does not.
func (d *Daemon) AsteriskAddress() string {
	if d.asterisk == nil {
		return ""
	}
	return d.asterisk.Addr().String()
}

// Headers says what to read of a call on Asterisk: what its trunk may say who calls with, and the peer's address
// where the endpoint's name does not tell the trunk.
func (d *Desk) Headers(f *bridge.Facts) bridge.Headers {
	p := d.rules.Load().policy
	trunk := p.Trunk(trunkFactsOf(f))
	if !trunk.Known && f.Trunk == "" {
		return bridge.Headers{Asserted: true, RemoteID: true, Address: true} // the address may tell the trunk
	}
	var h bridge.Headers
	for _, header := range trunk.Identity {
		switch header {
		case "pai":
			h.Asserted = true
		case "rpid":
			h.RemoteID = true
		case "from":
			return h // it is always there
		}
	}
	return h
}
