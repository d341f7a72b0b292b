package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"ringfence/access"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/desk"
	"ringfence/inforce"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/screening"
	"ringfence/storage"
	"ringfence/traffic"
)

// Front is everything that people can ask of a running daemon, or of its files when none runs.
type Front struct {
	*desk.Desk
	*access.Book // who may use the console

	daemon *Daemon // nil when none runs
}

var _ console.Desk = (*Front)(nil)

// Desk answers questions and takes edits.
func (d *Daemon) Desk() *Front { return &Front{d.desk, d.book, d} }

// Guarded does for each who asks what is theirs (access.Guard).
func (f *Front) Guarded() console.Desk { return access.Guard(f, f.Book) }

// Screener decides on calls, and is told of their ends.
func (d *Daemon) Screener() *screening.Screener { return d.screener }

// OpenDesk opens the database and the policy for a command, when no daemon runs. readOnly serves commands
// that change nothing.
func OpenDesk(c *conf.Daemon, readOnly bool, log *slog.Logger) (*Front, error) {
	db, err := desk.OpenDatabase(c, readOnly)
	if err != nil {
		return nil, err
	}
	private, err := openPrivate(c, readOnly)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	force, memory := &inforce.State{}, traffic.New(nil)
	if private != nil {
		memory.Hide(private.Name)
	}
	var once sync.Once // few commands ask what calls have taught
	var learnt error
	learn := func(p *policy.Policy) error {
		once.Do(func() { learnt = loadFacts(db, memory, p, log) })
		return learnt
	}
	d := desk.New(c, db, force, desk.Options{
		Private: private, Log: log, EndPasses: func(e164 string, ends func(line string) bool) error {
			return screening.EndPasses(db, memory, e164, ends)
		},
		Sections: sectionsOf(memory), Behaviour: memory.BehaviourOf, Forget: memory.ForgetNumber,
		Recall: func(p *policy.Policy, call *policy.Call) {
			if err := learn(p); err != nil {
				log.Error("what was learnt of callers cannot be read", "error", err)
			}
			memory.Recall(p, call)
		},
		Known: &screening.Acquaintances{DB: db, Memory: memory, Load: func() error { return learn(force.Rules().Policy) }},
	})
	if err := d.Load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	book, err := access.Open(access.Options{DB: db, Log: log})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Front{Desk: d, Book: book}, nil
}

// sectionsOf are the parts of a memory that are kept in the file of counts.
func sectionsOf(m *traffic.Memory) []desk.Section {
	return []desk.Section{{Name: "callers", Len: m.Behaviour.Len, Snapshot: m.Behaviour.Snapshot, Load: m.Behaviour.Load}}
}

// loadFacts reads what calls have taught. What is damaged is left out and logged.
func loadFacts(db *storage.DB, m *traffic.Memory, p *policy.Policy, log *slog.Logger) error {
	err := screening.LoadFacts(db, m, p, time.Now())
	if errors.Is(err, storage.ErrCorrupt) {
		log.Error("what was learnt of some callers is damaged on disk and is left out", "error", err)
		return nil
	}
	return err
}

// openPrivate opens the key of a private journal, nil if the journal is not private.
func openPrivate(c *conf.Daemon, readOnly bool) (*pseudonym.Key, error) {
	if !c.Journal.Private {
		return nil, nil
	}
	return pseudonym.Open(c.Data, readOnly)
}

// Feeds says how the lists are that others keep.
func (f *Front) Feeds(ctx context.Context) ([]console.FeedStatus, error) {
	if f.daemon == nil {
		return nil, console.ErrNotRunning
	}
	return f.daemon.feeds.Status(), nil
}

// FetchFeed fetches a feed now.
func (f *Front) FetchFeed(ctx context.Context, list string) (*console.FeedStatus, error) {
	if f.daemon == nil {
		return nil, console.ErrNotRunning
	}
	return f.daemon.feeds.FetchFeed(ctx, list)
}

// AcceptFeed makes what is held of a feed count.
func (f *Front) AcceptFeed(ctx context.Context, list string) (*console.FeedStatus, error) {
	if f.daemon == nil {
		return nil, console.ErrNotRunning
	}
	return f.daemon.feeds.AcceptFeed(ctx, list)
}

// Status says how the daemon is.
func (f *Front) Status(context.Context) (*console.Status, error) {
	d := f.daemon
	if d == nil {
		return nil, console.ErrNotRunning
	}
	s := &console.Status{Version: d.version, Started: d.started, Screen: d.Address(), AGI: d.AsteriskAddress(), Console: d.ConsoleAddress()}
	if err := d.desk.Status(s); err != nil {
		return nil, err
	}
	s.Held, s.Overflow, s.Dismissed = d.memory.Held.Count()
	s.Lists.HitsDropped = d.memory.Hits.Dropped()
	s.Learnt = d.learntStatus()
	for _, i := range d.alerts.Open() {
		s.Alerts = append(s.Alerts, console.AlertStatus{Kind: i.Kind, Subject: i.Subject, Text: i.Text, Since: i.Since, Calls: i.Calls})
	}
	var asterisk uint64
	if d.agi != nil {
		asterisk = d.agi.Counters.Screened.Load()
	}
	for _, a := range d.attached {
		s.Attached = append(s.Attached, console.AttachStatus{Name: a.name, Attached: a.attach.Attached(), Trouble: a.trouble(asterisk)})
	}
	if d.feeds != nil {
		s.Feeds = d.feeds.Status()
	}
	s.FailOpen, s.Unrecorded = d.failOpen(), d.screener.Unrecorded()
	d.count(s)
	for _, p := range d.ports() {
		s.Calls, s.InHand, s.Nameless = s.Calls+p.Counters.Screened.Load(), s.InHand+p.InHand(), s.Nameless+p.Counters.Nameless.Load()
	}
	return s, nil
}

// count sets the counters that have no place of their own.
func (d *Daemon) count(s *console.Status) {
	under := func(prefix string) func(string, uint64) {
		return func(name string, n uint64) { s.Count(prefix+"."+name, n) }
	}
	d.screen.Counters.Each(under("screen"))
	if d.agi != nil {
		d.agi.Counters.Each(under("agi"))
	}
	for _, a := range d.attached {
		a.attach.Counters.Each(under("attach." + a.name))
	}
	if server := d.web.Load(); server != nil {
		server.Counters.Each(under("console"))
	}
	s.Count("storage.mended", uint64(len(d.db.Mended())))
	s.Count("alerts.full", d.alerts.Full.Load())
	s.Count("notify.failed", d.alerts.Failed.Load())
	d.countNotices(s)
	d.book.Count(under("access"))
	s.Count("calls.forgotten", d.screener.Forgotten())
	s.Count("calls.again_lost", d.memory.Again.Lost())
	s.Count("calls.behaviour_lost", d.memory.Behaviour.Lost())
	s.Count("calls.refused_full", d.memory.Refused.Full())
	s.Count("calls.contexts_full", d.memory.Contexts.Full())
	s.Count("phones.realms_full", d.memory.Realms.Full())
}

func (d *Daemon) learntStatus() console.LearntStatus {
	m := d.memory
	s := console.LearntStatus{
		Known: int64(m.Known.Len()), Emergency: int64(m.Callbacks.Len()), Unwritten: d.keeper.Waiting(),
		Dropped: d.keeper.Dropped(), Full: m.Known.Full() + m.Callbacks.Full(),
		Challenged: console.ChallengedStatus(m.Challenges.Count()),
	}
	s.Extensions, s.Over = m.LastCalls.Count()
	return s
}
