// Package daemon is the wiring: it opens the database, makes the rooms of the house and hands them to each other, opens the
// ports, starts what runs in the background, says how all of it is, and stops it in reverse order.
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
	"sync/atomic"
	"time"

	"ringfence/access"
	"ringfence/agibridge"
	"ringfence/alert"
	"ringfence/cluster"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/desk"
	"ringfence/eslbridge"
	"ringfence/feed"
	"ringfence/inforce"
	"ringfence/metrics"
	"ringfence/notice"
	"ringfence/policy"
	"ringfence/screening"
	"ringfence/storage"
	"ringfence/traffic"
	"ringfence/web"
)

// Daemon is a running Ringfence. Start makes it, Stop ends it.
type Daemon struct {
	conf    *conf.Daemon
	started time.Time
	version string
	log     *slog.Logger
	now     func() time.Time // tests set another

	db       *storage.DB
	journal  *storage.Journal
	force    inforce.State
	memory   *traffic.Memory
	keeper   *screening.Keeper
	screener *screening.Screener
	desk     *desk.Desk
	book     *access.Book
	feeds    *feed.Feeds
	alerts   *alert.Book
	notices  *notice.Notices
	metrics  *metrics.Metrics
	cluster  atomic.Pointer[cluster.Cluster] // nil: there is none
	without  *withoutCluster                 // why there is none, where there should be

	screen   *eslbridge.Server
	listener net.Listener
	agi      *agibridge.Server // nil: no Asterisk
	asterisk net.Listener
	attached []namedAttach
	web      atomic.Pointer[web.Server] // nil: there is no console, or not yet

	failed   chan error // what ends the daemon by itself
	teardown []step     // in the order things were started; Stop goes backwards
}

type step struct {
	name string
	stop func(context.Context) error
}

// Start brings everything up in this order: the database with its lists and what was learnt, the policy, the announcements, the
// journal, the switches to learn from, the port that FreeSWITCH connects to, the console, the socket for commands. When something fails, what was
// started is stopped again.
func Start(ctx context.Context, c *conf.Daemon, version string, log *slog.Logger) (*Daemon, error) {
	return (&Daemon{conf: c, version: version, log: log, now: time.Now}).begin(ctx)
}

func (d *Daemon) begin(ctx context.Context) (*Daemon, error) {
	d.started, d.failed = d.now(), make(chan error, 1)
	if err := d.start(ctx, d.conf); err != nil {
		d.alerts.Begin(alert.Start, "", "the daemon does not start, and calls ring unscreened: "+err.Error())
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		d.Stop(stop)
		return nil, err
	}
	return d, nil
}

// listsWait is how long the daemon waits for the lists before it takes calls. What is not read by then, as a list of
// millions may not be, is read while calls are decided.
const listsWait = 250 * time.Millisecond

func (d *Daemon) start(ctx context.Context, c *conf.Daemon) error {
	if err := os.MkdirAll(c.Data, 0o755); err != nil {
		return fmt.Errorf("the data folder cannot be made: %w", err)
	}
	if err := d.openDesk(c); err != nil {
		return err
	}
	d.background("reading lists", d.desk.ReadLists)
	d.background("the file of lists", d.desk.KeepPieces)
	d.background("hits", d.writeHits)
	d.background("notices", d.notices.Run)
	d.background("who uses the console", d.book.Run)
	d.background("own lists of lines that were removed", d.desk.ForgetGone)
	d.background("breakers", d.desk.KeepBreakers)
	d.background("what was counted", d.desk.KeepCounts)
	d.background("detectors", d.desk.TickDetectors)
	d.background("data protection", d.protect)
	select {
	case <-d.desk.ListsRead():
	case <-time.After(listsWait):
		d.log.Info("calls are screened while the lists are being read")
	}
	if p := d.force.Paused(time.Now()); p != nil {
		d.log.Warn("screening is paused: every call passes and is recorded; `ringfence resume` ends that", "until", p.Until)
	}
	d.keeper.Start(d.memory)
	d.onStop("learning", d.keeper.Close)
	d.background("reading numbers again", d.desk.ReadAgain)
	d.attach(ctx, c.Attach)
	d.alerts.Only(alert.Attach, names(c.Attach)...)
	if c.Cluster == nil {
		d.alerts.Only(alert.Cluster)
	}
	if err := d.servePorts(ctx, c); err != nil {
		return err
	}
	d.runCluster()
	d.feeds = feed.New(c.Feeds, feed.Options{Folder: c.FeedFolder(), Lists: d.desk, Settings: d.db, Alerts: d.alerts, Log: d.log, Now: d.clock})
	d.background("marks", d.desk.ConfirmByItself)
	d.background("feeds", d.feeds.Run)
	d.background("calls that did not come", d.screener.RecordMissed)
	d.background("watch", d.watch)
	d.onStop("console", d.stopConsole)
	d.openConsole(ctx, c.Console)
	if err := d.serveCommands(ctx, c.Socket); err != nil {
		return err
	}
	d.alerts.End(alert.Start, "", "the daemon has started.")
	p := d.force.Rules().Policy
	d.log.Info("screening calls", "address", d.Address(), "policy", c.Policy, "rules", len(p.Rules()), "mode", p.Mode().String(), "commands", c.Socket)
	return nil
}

// mergeCalls is how long after a record calls are counted on it that repeat it: a minute of a flood is one record.
const mergeCalls = time.Minute

// openDesk opens the database with everything that is kept in it, and puts the policy in force.
func (d *Daemon) openDesk(c *conf.Daemon) (err error) {
	o := storage.Options{Node: c.Node, Latest: d.latestStamp, Now: d.clock}
	if c.Cluster != nil {
		o.KeepDeleted = c.Cluster.Keep
	}
	if d.db, err = storage.Open(c.Database(), o); err != nil {
		return err
	}
	d.onStop("database", func(context.Context) error { return d.db.Close() })
	for _, what := range d.db.Mended() {
		d.log.Error("the database is damaged in part: see to the disk, and to a backup", "what", what)
	}
	d.background("files of before an upgrade", d.keepBefore)
	d.alerts = alert.New(alert.Options{Command: c.Notify.Command, Remind: c.Notify.Remind, Node: c.Node, Settings: d.db, Log: d.log, Now: d.clock})
	d.openNotices(c)
	d.journal = d.db.StartJournal(storage.JournalOptions{Keep: c.Journal.Keep, MaxBytes: c.Journal.MaxSize, Merge: mergeCalls, Notices: d.notices})
	d.onStop("journal", d.journal.Close)
	private, err := openPrivate(c, false)
	if err != nil {
		return err
	}
	d.background("alerts", d.alerts.Run)
	d.keeper = screening.NewKeeper(d.db, func() *policy.Policy { return d.force.Rules().Policy }, d.log, d.clock)
	d.memory = traffic.New(d.keeper)
	if private != nil {
		d.memory.Hide(private.Name)
	}
	d.openCluster(c.Cluster)
	d.desk = desk.New(c, d.db, &d.force, desk.Options{
		Journal: d.journal, Private: private, Recall: d.memory.Recall, EndPasses: d.keeper.EndPasses, Forget: d.forget, LastCalls: d.lastCallsOf,
		Behaviour: d.memory.BehaviourOf,
		Known:     &screening.Acquaintances{DB: d.db, Memory: d.memory, Keeper: d.keeper},
		ReadFacts: d.keeper.ReadAgain, Trials: d.memory.Trials, Sections: sectionsOf(d.memory), Cluster: d.deskCluster(), Peers: d.peers(), Alerts: d.alerts, Log: d.log, Now: d.clock,
	})
	d.memory.CountMarks(d.desk.MarksOf)
	if d.book, err = access.Open(access.Options{DB: d.db, Log: d.log, Now: d.clock}); err != nil {
		return err
	}
	if err := d.desk.Load(); err != nil {
		return err
	}
	if err := d.desk.ApplyForgottenFacts(); err != nil {
		d.log.Error("who was forgotten could not be taken out of what was learnt of callers", "error", err)
	}
	if err := loadFacts(d.db, d.memory, d.force.Rules().Policy, d.log); err != nil {
		return err
	}
	d.desk.LoadDetectors()
	d.metrics = metrics.New(&asked{d.Desk()})
	d.screener = screening.New(&d.force, d.memory, screening.Options{
		Node: c.Node, Attached: len(c.Attach) > 0, Reject: c.Reject, Journal: d.journal, Reports: d.desk, Private: private, Measure: d.metrics.Calls, Log: d.log,
		Now: d.clock,
	})
	return nil
}

// clock is what every part tells the time by.
func (d *Daemon) clock() time.Time { return d.now() }

func (d *Daemon) onStop(name string, stop func(context.Context) error) {
	d.teardown = append(d.teardown, step{name, stop})
}

// serve runs a server. The first that ends by itself ends the daemon; the others' ends, as when the daemon stops, are of no
// interest.
func (d *Daemon) serve(run func() error) {
	go func() {
		err := run()
		select {
		case d.failed <- err:
		default:
		}
	}()
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

// failOpen is how many calls passed unscreened, by reason.
func (d *Daemon) failOpen() map[string]uint64 {
	counts := d.screener.FailOpen()
	for _, p := range d.ports() {
		for reason, n := range p.Counters.FailOpen() {
			counts[reason] += n
		}
	}
	return counts
}

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
		Handler: console.Handler(access.Guard(d.Desk(), d.book)), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return base }, ConnContext: withAdmin,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	d.serve(func() error { return server.Serve(ln) })
	d.onStop("commands", func(ctx context.Context) error {
		cancel() // ends those who follow the journal
		return server.Shutdown(ctx)
	})
	return nil
}

// withAdmin says who is at the other end of the command socket. Its file mode says who may use it, and whoever may is an administrator.
func withAdmin(ctx context.Context, conn net.Conn) context.Context {
	ctx = console.WithPeer(ctx, conn)
	return console.WithWho(ctx, &console.Who{Name: console.PeerOf(ctx), Way: console.BySocket, Role: console.Admin})
}

// Failed delivers the error that ends the daemon by itself: a port that no longer takes connections.
func (d *Daemon) Failed() <-chan error { return d.failed }

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
