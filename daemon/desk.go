// Package daemon is the running Ringfence: the one place where the parts are wired. Desk (desk.go, edit.go)
// answers what people ask, whether the daemon runs or a command works on the files alone; screen.go is
// the way of a call through it; run.go starts and stops everything.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

// Desk holds what decisions are made of: the policy, the lists, the pause. It is a console.Desk.
type Desk struct {
	conf *conf.Daemon
	db   *storage.DB
	log  *slog.Logger
	now  func() time.Time

	rules atomic.Pointer[rules]
	pause atomic.Pointer[pause]

	unread    map[string]*policy.ListLoader // lists that readLists has to read
	listsRead chan struct{}                 // closed when it has
	passed    atomic.Uint64                 // calls that passed because a list had not been read
	hits      hits

	held      held          // calls that hear an announcement
	guardTook atomic.Uint64 // calls that the switch's guard took, as the switch says at their end

	learnt *learnt   // whom the lines deal with
	recent recent    // calls whose legs may still end
	last   lastCalls // the last call of each extension
	realms realms    // of the phones

	contexts contexts // of the dialplan, whose calls are screened
	unseen   unseen   // calls that ended without a record
	repeats  repeats  // who was refused just now

	edit sync.Mutex // one edit or reload at a time: what is on disk and in rules.lists stays the same

	// These are of the running daemon; nil when a command works on the files.
	journal *storage.Journal
	notify  *notifier
	feeds   *feeds
	private *pseudonyms // of [journal] private, nil if it is not; for commands that work on the files too
	status  func(*console.Status)
}

// rules is a loaded policy with everything that was made for it. It is replaced as a whole.
type rules struct {
	policy *policy.Policy
	lists  *policy.Lists
	sounds *conf.Sounds // nil when no daemon runs
	loaded time.Time
	strays int // list entries that this policy's country cannot read
}

// OpenDesk opens the database and the policy for a command, when no daemon runs. readOnly serves commands
// that change nothing.
func OpenDesk(c *conf.Daemon, readOnly bool, log *slog.Logger) (*Desk, error) {
	db, err := storage.Open(c.Database(), storage.Options{ReadOnly: readOnly, Node: c.Node})
	if readOnly && errors.Is(err, fs.ErrNotExist) {
		db, err = emptyDatabase()
	}
	if err != nil {
		return nil, err
	}
	d := newDesk(c, db, log)
	if err := d.openPrivate(readOnly); err != nil {
		db.Close()
		return nil, err
	}
	if err := d.load(); err != nil {
		db.Close()
		return nil, err
	}
	return d, nil
}

// emptyDatabase stands for the one that no daemon has made yet, so that a policy can be tried before. Its
// file has no name any more when this returns.
func emptyDatabase() (*storage.DB, error) {
	folder, err := os.MkdirTemp("", "ringfence-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	return storage.Open(filepath.Join(folder, "ringfence.db"), storage.Options{})
}

func newDesk(c *conf.Daemon, db *storage.DB, log *slog.Logger) *Desk {
	return &Desk{conf: c, db: db, log: log, now: time.Now, learnt: newLearnt(), listsRead: make(chan struct{})}
}

// load reads what the database and the policy file hold. A policy with faults is an error.
func (d *Desk) load() error {
	if err := d.loadPause(); err != nil {
		return err
	}
	report, err := d.Reload(context.Background())
	if err != nil {
		return err
	}
	text := ""
	for _, f := range report.Faults {
		if !f.Warning {
			text += "\n" + f.Text
		}
	}
	if !report.Loaded {
		return fmt.Errorf("the policy %s has faults:%s", d.conf.Policy, text)
	}
	if err := d.learnt.load(d.db, d.now(), d.keepFor(), d.keepPassed()); errors.Is(err, storage.ErrCorrupt) {
		d.log.Error("what was learnt of some callers is damaged on disk and is left out", "error", err)
	} else if err != nil {
		return err
	}
	return nil
}

// Close lets go of the database. The journal, if there is one, is closed before.
func (d *Desk) Close() error { return d.db.Close() }

// maxPolicy bounds a policy file, in bytes.
const maxPolicy = 4 << 20

// readPolicy reads and checks a policy file. The policy is nil if it has faults.
func readPolicy(file string) (*policy.Policy, []policy.Fault, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	if info.Size() > maxPolicy {
		return nil, nil, fmt.Errorf("the policy %s has %d bytes: at most %d are read; keep long lists of numbers in a list (ringfence list import)", file, info.Size(), maxPolicy)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	p, faults := policy.Load(file, text)
	return p, faults, nil
}

// Reload reads the policy file again. With faults the running policy stays, and the report says so.
func (d *Desk) Reload(context.Context) (*console.ReloadReport, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	p, faults, err := readPolicy(d.conf.Policy)
	if err != nil {
		return nil, err
	}
	report := &console.ReloadReport{File: d.conf.Policy, Loaded: p != nil, Faults: []console.Fault{}}
	if p != nil {
		sounds, err := d.sounds(p)
		if err != nil {
			return nil, err
		}
		if err := d.install(p, sounds); err != nil {
			return nil, err
		}
		faults = append(faults, p.CheckLists(d.rules.Load().lists)...)
		if sounds != nil {
			faults = append(faults, p.CheckAnnouncements(sounds.Has)...)
		}
		report.Rules = len(p.Rules())
	}
	if p == nil {
		d.notify.tell(notifyPolicy, fmt.Sprintf("the policy %s was refused for its faults; the one that was in force stays. `ringfence policy check %s` names them.", d.conf.Policy, d.conf.Policy))
	}
	for _, f := range faults {
		if f.Warning && d.journal != nil {
			d.log.Warn(f.String())
		}
		report.Faults = append(report.Faults, console.Fault{Text: f.String(), Warning: f.Warning})
	}
	return report, nil
}

// sounds prepares the announcements for a policy. Only the daemon does that.
func (d *Desk) sounds(p *policy.Policy) (*conf.Sounds, error) {
	if d.journal == nil {
		return nil, nil
	}
	return conf.InstallSounds(d.conf.SoundFolder(), p.Country())
}

// Status says how the daemon is.
func (d *Desk) Status(context.Context) (*console.Status, error) {
	if d.status == nil {
		return nil, console.ErrNotRunning
	}
	r := d.rules.Load()
	s := &console.Status{Node: d.conf.Node, Policy: d.conf.Policy, Loaded: r.loaded, Mode: r.policy.Mode().String(), Pause: d.pauseState()}
	s.Held, s.Overflow, s.Dismissed = d.held.count()
	s.Lists = console.ListsStatus{Unread: r.unreadLists(), HitsDropped: d.hits.dropped.Load()}
	for _, name := range r.lists.Names() {
		s.Lists.Entries += r.lists.Len(name)
		s.Lists.WithoutText += r.lists.LeftOut(name)
	}
	s.Journal.Written, s.Journal.Dropped = d.journal.Written(), d.journal.Dropped()
	if err := d.journal.Err(); err != nil {
		s.Journal.Error = err.Error()
	}
	s.Learnt = console.LearntStatus{
		Known: d.learnt.pairs.Load(), Emergency: d.learnt.emergency.n.Load(), Unwritten: d.learnt.waiting(),
		Dropped: d.learnt.dropped.Load(), Full: d.learnt.full.Load(),
	}
	s.Learnt.Extensions, s.Learnt.Over = d.last.count()
	s.Learnt.Challenged = d.learnt.challenged.count()
	var err error
	if s.Reports.Open, s.Reports.Decided, err = d.db.ReportCount(); err != nil {
		return nil, err
	}
	d.status(s)
	return s, nil
}
