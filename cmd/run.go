package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/terminal"
)

type runCmd struct{}

// stopTime is how long calls in hand may take to finish when the daemon ends.
const stopTime = 15 * time.Second

func (runCmd) Run(a *app) error {
	c, err := conf.LoadDaemon(a.config)
	if err != nil {
		return err
	}
	log := newLog(a.err)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	d, err := daemon.Start(a.ctx, c, thisBuild().String(), log)
	if err != nil {
		return err
	}
	sd.SdNotify(false, sd.SdNotifyReady)
	if link := d.FirstLink(); link != "" && terminal.Is(a.err) { // the log has it too, among other things
		fmt.Fprintf(a.err, "\nNobody may use the console yet. Open this once, in a browser, to be its administrator:\n\n  %s\n\n", link)
	}
	watch, stopWatch := watchdog()
	defer stopWatch()
	for {
		select {
		case <-reload:
			reloadPolicy(a.ctx, d.Desk(), log)
		case <-watch:
			if err := d.Probe(a.ctx); err != nil {
				log.Error("calls would not be screened; the watchdog is not fed", "error", err)
				continue
			}
			sd.SdNotify(false, sd.SdNotifyWatchdog)
		case err := <-d.Failed():
			stop(d, log)
			return fmt.Errorf("the daemon cannot go on: %w", err)
		case <-a.ctx.Done():
			sd.SdNotify(false, sd.SdNotifyStopping)
			return stop(d, log)
		}
	}
}

func stop(d *daemon.Daemon, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	log.Info("stopping")
	return d.Stop(ctx)
}

// watchdog ticks twice in the time after which systemd would take us for dead; never without systemd.
func watchdog() (<-chan time.Time, func()) {
	every, err := sd.SdWatchdogEnabled(false)
	if err != nil || every <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(every / 2)
	return t.C, t.Stop
}

func reloadPolicy(ctx context.Context, desk console.Desk, log *slog.Logger) {
	sd.SdNotify(false, sd.SdNotifyReloading)
	defer sd.SdNotify(false, sd.SdNotifyReady)
	r, err := desk.Reload(ctx)
	switch {
	case err != nil:
		log.Error("the running policy stays: it could not be read again", "error", err)
	case !r.Loaded: // the desk has said why
	default:
		log.Info("the policy was read again", "file", r.File, "rules", r.Rules)
	}
}
