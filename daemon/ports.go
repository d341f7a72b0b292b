package daemon

import (
	"context"
	"fmt"

	"ringfence/agibridge"
	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/eslbridge"
)

// servePorts opens the port that FreeSWITCH connects to, and the one for Asterisk if the daemon's file asks for it.
func (d *Daemon) servePorts(ctx context.Context, c *conf.Daemon) (err error) {
	if d.screen, err = eslbridge.NewServer(d.screener, bridge.Options{Allow: c.Screen.Allow, Deadline: c.Screen.Deadline, Log: d.log}); err != nil {
		return err
	}
	if d.listener, err = bridge.Listen(ctx, c.Screen.Listen); err != nil {
		return fmt.Errorf("the screening port cannot be opened: %w", err)
	}
	d.serve(func() error { return d.screen.Serve(d.listener) })
	d.onStop("screening", d.screen.Shutdown)
	if c.AGI == nil {
		return nil
	}
	agi, err := agibridge.NewServer(d.screener, bridge.Options{Allow: c.AGI.Allow, Deadline: c.AGI.Deadline, Log: d.log})
	if err != nil {
		return err
	}
	if d.asterisk, err = bridge.Listen(ctx, c.AGI.Listen); err != nil {
		return fmt.Errorf("the port for Asterisk ([agi] listen) cannot be opened: %w", err)
	}
	d.agi = agi
	d.serve(func() error { return agi.Serve(d.asterisk) })
	d.onStop("screening for Asterisk", agi.Shutdown)
	d.log.Info("screening calls of Asterisk", "address", d.asterisk.Addr().String())
	return nil
}

// ports are those that are open.
func (d *Daemon) ports() []*bridge.Port {
	ports := []*bridge.Port{d.screen.Port}
	if d.agi != nil {
		ports = append(ports, d.agi.Port)
	}
	return ports
}

// Address is where FreeSWITCH connects.
func (d *Daemon) Address() string { return d.listener.Addr().String() }

// AsteriskAddress is where Asterisk connects, "" if it does not.
func (d *Daemon) AsteriskAddress() string {
	if d.asterisk == nil {
		return ""
	}
	return d.asterisk.Addr().String()
}
