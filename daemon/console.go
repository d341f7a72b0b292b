package daemon

import (
	"context"
	"fmt"
	"time"

	"ringfence/access"
	"ringfence/alert"
	"ringfence/conf"
	"ringfence/pages"
	"ringfence/policy"
	"ringfence/web"
)

// consoleEvery is how often the console's port is tried again that could not be opened.
const consoleEvery = 10 * time.Second

// openConsole opens the port that browsers and scripts come to, if the daemon's file asks for one. Calls are screened without it as well: where it cannot be
// opened, as with a certificate that is none, that is said and tried again, and the daemon starts.
func (d *Daemon) openConsole(ctx context.Context, c *conf.Console) {
	if c == nil {
		return
	}
	err := d.startConsole(ctx, c)
	if err == nil {
		d.alerts.End(alert.Console, "", "the console is there.")
		return
	}
	d.consoleDown(fmt.Errorf("it is tried again every %v: %w", consoleEvery, err))
	d.background("opening the console", func(ctx context.Context) {
		tick := time.NewTicker(consoleEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			again := d.startConsole(ctx, c)
			if again == nil {
				d.alerts.End(alert.Console, "", "the console is there.")
				return
			}
			if again.Error() != err.Error() {
				err = again
				d.consoleDown(fmt.Errorf("it is tried again every %v: %w", consoleEvery, err))
			}
		}
	})
}

func (d *Daemon) consoleDown(err error) {
	d.log.Error("calls are screened, but there is no console", "error", err)
	d.alerts.Begin(alert.Console, "", "calls are screened, but there is no console: "+err.Error())
}

// startConsole opens the port and serves it.
func (d *Daemon) startConsole(ctx context.Context, c *conf.Console) error {
	guarded := access.Guard(d.Desk(), d.book)
	shown, err := pages.New(pages.Options{
		Desk: guarded, Edits: d.book.Edits, Log: d.log, Now: d.clock,
		Policy: func() *policy.Policy { return d.force.Rules().Policy },
	})
	if err != nil {
		return err
	}
	server, err := web.New(web.Options{
		Conf: c, Node: d.conf.Node, Desk: guarded, Book: d.book, Pages: shown, Ready: d.states, Metrics: d.Metrics(), Log: d.log, Now: d.clock,
		Trouble: func(err error) {
			text := "the console has a certificate that counts."
			if err != nil {
				text = "the console's new certificate cannot be used, and the one before it stays until it ends: " + err.Error()
			}
			d.alerts.See(alert.Console, "certificate", err != nil, text, 0, 0)
		},
	})
	if err == nil {
		err = server.Listen(ctx)
	}
	if err != nil {
		shown.Close()
		return err
	}
	d.web.Store(server)
	go func() {
		if err := server.Serve(); err != nil { // calls are screened all the same
			d.consoleDown(fmt.Errorf("it ended, and comes back when the daemon is started anew: %w", err))
		}
	}()
	d.log.Info("the console is there", "address", server.Address())
	if link := d.FirstLink(); link != "" {
		d.log.Warn("nobody may use the console yet: whoever opens this address first is its administrator, and chooses a password", "address", link)
	}
	return nil
}

// stopConsole ends the console before all else that it shows.
func (d *Daemon) stopConsole(ctx context.Context) error {
	if server := d.web.Load(); server != nil {
		return server.Shutdown(ctx)
	}
	return nil
}

// ConsoleAddress is what to write into a browser, "" where there is no console.
func (d *Daemon) ConsoleAddress() string {
	if server := d.web.Load(); server != nil {
		return server.Address()
	}
	return ""
}

// Console is the port that browsers and scripts come to; nil where there is none, or not yet.
func (d *Daemon) Console() *web.Server { return d.web.Load() }

// FirstLink is the address at which the first administrator chooses a password, "" where there is one or no console.
func (d *Daemon) FirstLink() string {
	address := d.ConsoleAddress()
	path, err := d.book.FirstLink()
	if err != nil || path == "" || address == "" {
		return ""
	}
	return address + path
}

// states says what is ready, to whoever asks: without names.
func (d *Daemon) states() []web.State {
	state := func(name string, why string) web.State { return web.State{Name: name, Ready: why == "", Why: why} }
	lists, journal := "", ""
	select {
	case <-d.desk.ListsRead():
	default:
		lists = "lists are still being read: calls that a rule asks one of them for pass"
	}
	if d.journal.Err() != nil {
		journal = "records of calls cannot be written: the log says why"
	}
	inForce := ""
	if d.force.Rules() == nil {
		inForce = "no policy is in force"
	}
	var asterisk uint64
	if d.agi != nil {
		asterisk = d.agi.Counters.Screened.Load()
	}
	away := 0
	for _, a := range d.attached {
		if a.trouble(asterisk) != "" {
			away++
		}
	}
	attached := ""
	if away > 0 {
		attached = fmt.Sprintf("%d of %d switches are not attached: ringfence status says why", away, len(d.attached))
	}
	return []web.State{state("policy", inForce), state("lists", lists), state("journal", journal), state("attached", attached)}
}
