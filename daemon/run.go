package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"ringfence/agibridge"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/eslbridge"
	"ringfence/storage"
)

// Daemon is a running Ringfence. Start makes it, Stop ends it.
type Daemon struct {
	desk     *Desk
	screen   *eslbridge.Server
	listener net.Listener
	agi      *agibridge.Server // nil: no Asterisk
	asterisk net.Listener
	started  time.Time
	version  string
	attached []namedAttach
	log      *slog.Logger
	failed   chan error // what ends the daemon by itself

	teardown []step // in the order things were started; Stop goes backwards
}

type step struct {
	name string
	stop func(context.Context) error
}

// Start brings everything up in this order: the database with its lists and what was learnt, the policy, the announcements, the
// journal, the switches to learn from, the port that FreeSWITCH connects to, the socket for commands. When something fails, what was
// started is stopped again.
func Start(ctx context.Context, c *conf.Daemon, version string, log *slog.Logger) (*Daemon, error) {
	d := &Daemon{started: time.Now(), version: version, log: log, failed: make(chan error, 3)}
	if err := d.start(ctx, c); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		d.Stop(stop)
		return nil, err
	}
	return d, nil
}

func (d *Daemon) start(ctx context.Context, c *conf.Daemon) error {
	if err := os.MkdirAll(c.Data, 0o755); err != nil {
		return fmt.Errorf("the data folder cannot be made: %w", err)
	}
	db, err := storage.Open(c.Database(), storage.Options{Node: c.Node})
	if err != nil {
		return err
	}
	d.onStop("database", func(context.Context) error { return db.Close() })
	desk := newDesk(c, db, d.log)
	d.desk = desk

	desk.journal = db.StartJournal(storage.JournalOptions{Keep: c.Journal.Keep, MaxBytes: c.Journal.MaxSize})
	d.onStop("journal", desk.journal.Close)

	if err := desk.openPrivate(false); err != nil {
		return err
	}
	desk.notify = newNotifier(c.Notify.Command, d.log, desk.now)
	desk.status = d.status
	if err := desk.load(); err != nil {
		return err
	}
	d.background("reading lists", desk.readLists)
	d.background("hits", desk.writeHits)
	select {
	case <-desk.listsRead:
	case <-time.After(listsWait):
		d.log.Info("calls are screened while the lists are being read")
	}
	if s := desk.pauseState(); s.Paused {
		d.log.Warn("screening is paused: every call passes and is recorded; `ringfence resume` ends that", "until", s.Until)
	}

	d.onStop("learning", startKeeper(&keeper{l: desk.learnt, db: db, log: d.log, now: desk.now, keep: desk.keepFor, keepPassed: desk.keepPassed}).close)

	d.attach(ctx, c.Attach)

	d.screen, err = eslbridge.NewServer(desk, eslbridge.Options{Allow: c.Screen.Allow, Deadline: c.Screen.Deadline, Log: d.log})
	if err != nil {
		return err
	}
	d.listener, err = eslbridge.Listen(ctx, c.Screen.Listen)
	if err != nil {
		return fmt.Errorf("the screening port cannot be opened: %w", err)
	}
	go func() { d.failed <- d.screen.Serve(d.listener) }()
	d.onStop("screening", d.screen.Shutdown)
	if err := d.serveAsterisk(ctx, c.AGI); err != nil {
		return err
	}
	desk.feeds = newFeeds(desk, c.Feeds, c.FeedFolder(), d.log)
	d.background("feeds", func(ctx context.Context) { desk.feeds.run(ctx) })
	d.background("calls that did not come", desk.recordMissed)
	d.background("notices", func(ctx context.Context) { desk.notify.run(ctx) })
	d.background("watch for fail-opens", func(ctx context.Context) { desk.notify.watchFailOpen(ctx, d.failOpen) })

	if err := d.serveCommands(ctx, c.Socket); err != nil {
		return err
	}
	p := desk.rules.Load().policy
	d.log.Info("screening calls", "address", d.Address(), "policy", c.Policy, "rules", len(p.Rules()), "mode", p.Mode().String(), "commands", c.Socket)
	return nil
}

func (d *Daemon) onStop(name string, stop func(context.Context) error) {
	d.teardown = append(d.teardown, step{name, stop})
}

// background runs work until the daemon stops.
func (d *Daemon) background(name string, work func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); work(ctx) }()
	d.onStop(name, func(ctx context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-ctx.Done(): // the disk hangs
			return ctx.Err()
		}
	})
}

// failOpen is how many calls passed unscreened, by reason: those we know of, and those that the switch's guard
// took away from us.
func (d *Daemon) failOpen() map[string]uint64 {
	counts := d.screen.Counters.FailOpen()
	if d.agi != nil {
		for reason, n := range d.agi.Counters.FailOpen() {
			counts[reason] += n
		}
	}
	if n := d.desk.passed.Load(); n > 0 {
		counts[failLists] = n
	}
	if n := d.desk.guardTook.Load(); n > 0 {
		counts[failGuard] = n
	}
	if n, _ := d.desk.unseen.count(); n > 0 {
		counts[failUnseen] = n
	}
	return counts
}

// failGuard is the reason of calls that the switch's guard took away: the daemon had hung, or was stopped.
const failGuard = "guard"

// failUnseen is the reason of calls that rang without having come to us, as the switch says at their end; those that the
// guard took are among them.
const failUnseen = "unseen"

// serveCommands opens the unix socket. One left behind by a daemon that was killed is removed; one that
// somebody answers is another daemon's.
func (d *Daemon) serveCommands(ctx context.Context, path string) error {
	if client, err := console.Dial(ctx, path); err == nil {
		client.Close()
		return fmt.Errorf("another ringfence answers on %s: stop it first, or give this one a socket of its own", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("the folder of the command socket cannot be made: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the old command socket cannot be removed: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("the command socket cannot be opened: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		ln.Close()
		return err
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	server := &http.Server{
		Handler: console.Handler(d.desk), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return base }, ConnContext: console.WithPeer,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	go func() { d.failed <- server.Serve(ln) }()
	d.onStop("commands", func(ctx context.Context) error {
		cancel() // ends those who follow the journal
		return server.Shutdown(ctx)
	})
	return nil
}

// Desk answers questions and takes edits.
func (d *Daemon) Desk() *Desk { return d.desk }

// Address is where FreeSWITCH connects.
func (d *Daemon) Address() string { return d.listener.Addr().String() }

// Failed delivers the error that ends the daemon by itself: a port that no longer takes connections.
func (d *Daemon) Failed() <-chan error { return d.failed }

func (d *Daemon) status(s *console.Status) {
	s.Version, s.Started, s.Screen = d.version, d.started, d.Address()
	var asterisk uint64
	if d.agi != nil {
		asterisk = d.agi.Counters.Screened.Load()
	}
	for _, a := range d.attached {
		s.Attached = append(s.Attached, console.AttachStatus{Name: a.name, Attached: a.attach.Attached(), Trouble: a.trouble(asterisk)})
	}
	if d.desk.feeds != nil {
		for _, f := range d.desk.feeds.all {
			s.Feeds = append(s.Feeds, f.status())
		}
	}
	s.Calls, s.InHand, s.FailOpen = d.screen.Counters.Screened.Load(), d.screen.InHand(), d.failOpen()
	_, s.Unrecorded = d.desk.unseen.count()
	s.Nameless = d.screen.Counters.Nameless.Load()
	if d.agi != nil {
		s.AGI = d.asterisk.Addr().String()
		s.Calls, s.InHand, s.Nameless = s.Calls+asterisk, s.InHand+d.agi.InHand(), s.Nameless+d.agi.Counters.Nameless.Load()
	}
}

// Stop ends everything in reverse order: no more commands, no more calls (those in hand are finished until
// ctx ends, then given back), the journal to disk, the database closed.
func (d *Daemon) Stop(ctx context.Context) error {
	var errs []error
	for i := len(d.teardown) - 1; i >= 0; i-- {
		s := d.teardown[i]
		if err := s.stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	d.teardown = nil
	return errors.Join(errs...)
}
