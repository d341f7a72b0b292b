// Package desk is what people ask and change: lists, imports, history, undo, reports, what would happen to a call, the
// policy, the pause. An edit that it acknowledges is on disk, and counts from the next call on.
//
// It works on the database and the policy alone, where a command finds no daemon running; then lists are read only for
// questions that need them. In the daemon it puts in force what calls are decided by.
package desk

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

	"ringfence/alert"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/traffic"
)

// Desk answers questions and takes edits. It may be used by many goroutines at once.
type Desk struct {
	conf  *conf.Daemon
	db    *storage.DB
	force *inforce.State
	o     Options

	forgotten struct { // who was, as the file has it
		mu    sync.Mutex
		read  bool
		all   *pseudonym.Forgotten
		tried time.Time // to read it, in vain
	}
	forgetting    sync.Mutex        // one number is forgotten at a time; taken before edit
	edit          turn              // one edit or reload at a time: what is on disk and in the lists in force stays the same
	unread        map[string]loader // lists that have not been read yet; nil when they are
	listsRead     chan struct{}     // closed when ReadLists is done
	rules         chan struct{}     // another policy is in force
	pieces        *pieces           // the file of the lists
	warnedInvalid bool              // of ReadAgain alone: rules on invalid were named

	breakers  *breakers   // what must outlive the program of them
	telling   sync.Mutex  // held while a person is told of them (alertTripped)
	tripsTold []time.Time // when that was of one, within tripsEvery; guarded by telling
	counts    counts      // the file of what was counted of calls
	detectors sync.Once   // what was counted before has been read
	trials    sync.Once   // since when something is on trial has been read

	waiting waiting
	marked  chan string // ids of reports that may be confirmed without a person (ConfirmByItself)

	ownRefused atomic.Uint64 // edits of own lists of lines that there was no room for

	merging merging // what other nodes say

	today today // calls to customers, for the status

	ranges rangesSeen // the last answers on ranges

	hub    hub           // tells who follows the calls
	slow   atomic.Uint64 // who was let go of by it
	missed atomic.Uint64 // records that a watch of the journal was too slow for

	looking *looking      // who looks through the journal now
	trying  chan struct{} // holds one token: one policy is tried at a time

	refused atomic.Pointer[console.PolicyRefused] // the policy file as it is on disk; nil: it is in force
}

// Options say what else there is besides the database and the policy.
type Options struct {
	Journal *storage.Journal // of the running daemon; nil when a command works on the files
	Private *pseudonym.Key   // of a private journal, nil if it is not
	// Recall fills in what calls before have taught about a call; nil for nothing.
	Recall func(p *policy.Policy, c *policy.Call)
	// EndPasses lets a caller be asked again who passed a challenge on lines that a function names (by traffic.PassKey), on any where it is nil. A nil
	// EndPasses is for nobody.
	EndPasses func(e164 string, ends func(line string) bool) error
	// Forget drops what memory has of a number, and says how many things; nil for no memory.
	Forget func(e164 string) int
	// Behaviour is how a number has behaved within the last day, for the score, and when it called last; nil for no memory.
	Behaviour func(e164 string) (e policy.Evidence, last time.Time, ok bool)
	// Known are whom the lines deal with; nil for what is on disk alone, where nobody can become known.
	Known Acquaintances
	// LastCalls calls yield for each extension whose last call was of a number; nil for none.
	LastCalls func(e164 string, yield func(extension string, c traffic.LastCall))
	// Trials are told what is on trial, and are kept; nil for nothing.
	Trials *traffic.Trials
	// Sections are kept in the file of counts, besides what detectors count.
	Sections []Section
	// ReadFacts reads again what was learnt of numbers, and says how many facts count for another number now; nil for nothing.
	ReadFacts func(ctx context.Context, plan *number.Plan) (int, error)
	Cluster   Cluster      // how other nodes with the same lists are reached; nil for none
	Peers     detect.Peers // other nodes whose detectors follow those here; nil for none
	Alerts    *alert.Book  // is told that a policy was refused; nil for nobody
	Log       *slog.Logger
	Now       func() time.Time
}

// New makes a desk of an open database. Load comes next.
func New(c *conf.Daemon, db *storage.DB, force *inforce.State, o Options) *Desk {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Recall == nil {
		o.Recall = func(*policy.Policy, *policy.Call) {}
	}
	if o.EndPasses == nil {
		o.EndPasses = func(string, func(string) bool) error { return nil }
	}
	if o.Forget == nil {
		o.Forget = func(string) int { return 0 }
	}
	if o.Behaviour == nil {
		o.Behaviour = func(string) (policy.Evidence, time.Time, bool) { return policy.Evidence{}, time.Time{}, false }
	}
	if o.Known == nil {
		o.Known = onDisk{}
	}
	if o.LastCalls == nil {
		o.LastCalls = func(string, func(string, traffic.LastCall)) {}
	}
	return &Desk{
		conf: c, db: db, force: force, o: o, unread: map[string]loader{}, listsRead: make(chan struct{}), rules: make(chan struct{}, 1), trying: make(chan struct{}, 1), looking: newLooking(), pieces: newPieces(),
		edit:     make(turn, 1),
		marked:   make(chan string, maxMarked),
		breakers: newBreakers(db, o.Private),
	}
}

// OpenDatabase opens the database of an installation. Where there is none yet, a command that only reads gets an empty one.
func OpenDatabase(c *conf.Daemon, readOnly bool) (*storage.DB, error) {
	db, err := storage.Open(c.Database(), storage.Options{ReadOnly: readOnly, Node: c.Node})
	if readOnly && errors.Is(err, fs.ErrNotExist) {
		return emptyDatabase()
	}
	return db, err
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

// Load puts in force what the database and the policy file hold. If the daemon's policy file is refused, the last good policy is put in
// force instead; if there is none either, that is an error, as it is for a command.
func (d *Desk) Load() error {
	if err := d.loadPause(); err != nil {
		return err
	}
	if d.o.Journal != nil {
		if err := d.readWaiting(); err != nil {
			d.o.Log.Error("some marks cannot be read; they do not count for the score of calls", "error", err)
		}
	}
	d.edit.Lock()
	defer d.edit.Unlock()
	report, err := d.reload(context.Background(), "")
	if err == nil && report.Loaded {
		return d.noteReading()
	}
	if err == nil {
		text := ""
		for _, f := range report.Faults {
			if !f.Warning {
				text += "\n" + f.Text
			}
		}
		err = fmt.Errorf("the policy %s has faults:%s", d.conf.Policy, text)
	}
	if d.o.Journal == nil || d.refused.Load() == nil {
		return err
	}
	if err := d.loadLastGood(err); err != nil {
		return err
	}
	return d.noteReading()
}

// ListsRead is closed when ReadLists has read the lists.
func (d *Desk) ListsRead() <-chan struct{} { return d.listsRead }

// Close lets go of the database. The journal, if there is one, is closed before.
func (d *Desk) Close() error { return d.db.Close() }
