// Package storage keeps what must outlive the daemon in one bbolt file: the
// lists of callers, the journal of decisions, what was learnt of callers, what
// people reported, and a few settings.
//
// Its promise is short: an edit that was acknowledged is on disk, and the file
// opens again whatever moment the process was killed at. List edits and
// settings are one transaction each, synced to disk before the call returns.
// Journal records are different: they come from the call path, so they go
// through a bounded queue and are written in batches ([DB.StartJournal]). Learnt
// facts ([DB.PutStamps]) are written in batches by whoever learns them.
//
// To this package a pattern is a canonical text that serves as a key; what it
// matches is known elsewhere.
//
// # Locking
//
// One process at a time may have the file open for writing, and while it has,
// nobody else can open it, not even for reading. Any number of processes may
// have it open read-only together.
//
// No function that takes a callback runs it inside a transaction: data is read
// in pages, each page in a read transaction of its own. So a callback may take
// its time and may call the same DB again, writing included. Inside the package
// the rule is: never begin a write transaction while holding a read transaction,
// because a write that has to grow the memory map waits for all readers to end.
// BackupTo and Verify read all of the file in one transaction, a second or two for some
// million entries, which such a write then waits for. Nobody reads within a read.
//
// # Damaged files
//
// bbolt trusts the pages it reads, so a damaged or truncated file makes it panic
// or fault on the memory map. Every transaction here is guarded: such a panic
// comes back as an error that is [ErrCorrupt]. After one in a write, or while a
// transaction began, bbolt's locks may be left held, so the DB refuses all
// further work with that error until it is opened anew.
//
// This contains the usual damage: files cut short, foreign or overwritten. It is no
// checksum, of which bbolt has one for its first two pages only. A few bits changed
// elsewhere can still show as wrong values, or make bbolt run out of memory.
package storage

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The file's layout.
//
//	meta      "schema"  → "3"
//	          "clock"   → Tick as JSON, the latest that was given out
//	          "journal" → journalSize as JSON
//	          "reports" → reportCount as JSON
//	          "notices" → how many records customers are to be told of
//	          "changes" → changeState as JSON
//	          "staged"  → staged as JSON, while an import is under way
//	settings  key       → bytes
//	lists     name      → listMeta as JSON
//	entries   name, or after an import name NUL its id → bucket: first pattern → block (see blocks.go)
//	          The list "line:" has the lines, see lines.go
//	changes   id, 8 bytes → keptRecord as JSON
//	changed   id, 8 bytes, and first pattern → block of what the change did
//	hits      list NUL pattern → how often and when last
//	journal   ULID text → Record as JSON
//	index     ULID, 16 bytes → outlines of records from that one on, see index.go
//	known     key of a line NUL number → milliseconds since 1970
//	emergency whose → milliseconds since 1970
//	passed    key of a line, or a called number, NUL caller → milliseconds since 1970
//	gone      key of a line → milliseconds since 1970
//	realms    of phones → milliseconds since 1970
//	users, sessions, tokens, links, audit: who may use the console, see access.go
//	breakers  whose → what is kept of a breaker that tripped, or that a person holds
//	notices   what customers are yet to be told, see notices.go
//	policies  those that were in force, see policies.go
//	reports   "all"     → bucket: ULID → Report as JSON
//	          "open"    → bucket: caller NUL extension → ULID
//	          "decided" → bucket: ULID → nothing
//
// Version 2 had one record an entry and no stamps; its blocks are still read (see blocks_old.go). Version 1 kept an entry
// a key, as JSON, and no changes. Its later files had known, emergency, passed and reports too, which did not change the
// version: a bucket that is missing is added by Open. See migrate.go.
//
// JSON costs less than the disk where it matters: a record takes 2 µs to encode, and
// the journal takes some 140,000 of them a second (go test -bench .). Decoding is
// slower, 5 µs a record; the index saves nearly all of it.
const schemaVersion = 3

var (
	bucketMeta     = []byte("meta")
	bucketSettings = []byte("settings")
	bucketLists    = []byte("lists")
	bucketEntries  = []byte("entries")
	bucketJournal  = []byte("journal")

	bucketKnown     = []byte("known")
	bucketEmergency = []byte("emergency")
	bucketPassed    = []byte("passed")
	bucketReports   = []byte("reports")
	bucketChanges   = []byte("changes")
	bucketChanged   = []byte("changed")
	bucketHits      = []byte("hits")
	bucketBreakers  = []byte("breakers")
	bucketNotices   = []byte("notices")
	bucketGone      = []byte("gone")
	bucketRealms    = []byte("realms")
	bucketIndex     = []byte("index")
	bucketPolicies  = []byte("policies")

	bucketUsers    = []byte("users")
	bucketSessions = []byte("sessions")
	bucketTokens   = []byte("tokens")
	bucketLinks    = []byte("links")
	bucketAudit    = []byte("audit")

	// laterBuckets may be missing from a file that an older version wrote.
	laterBuckets = [][]byte{
		bucketKnown, bucketEmergency, bucketPassed, bucketReports, bucketChanges, bucketChanged, bucketHits, bucketBreakers, bucketGone, bucketRealms, bucketNotices, bucketPolicies, bucketIndex,
		bucketUsers, bucketSessions, bucketTokens, bucketLinks, bucketAudit,
	}

	keySchema = []byte("schema")
)

const (
	defaultLockWait    = time.Second
	defaultKeepDeleted = 30 * 24 * time.Hour
	// editWait bounds how long an edit waits for the edits before it.
	editWait = 5 * time.Second
)

// Options tell Open how to open the file. The zero value opens it for writing.
type Options struct {
	// ReadOnly opens an existing file for reading only; writes return ErrReadOnly.
	ReadOnly bool
	// LockWait is how long to wait for another process to let go of the file; 0
	// means one second.
	LockWait time.Duration
	// Now is the clock that dates edits and ages the journal; nil means time.Now.
	Now func() time.Time
	// Node is the name of this node, which the stamps of records bear.
	Node string
	// KeepAt is where the file of before is copied to when it is brought up to date; "" for beside it, see BeforeFiles. It is an error
	// for the folder to have no room for that.
	KeepAt string
	// KeepDeleted is how long it is remembered that a record was taken away; 0 means 30 days.
	KeepDeleted time.Duration
	// Latest, if set, says which time the stamps of this node's own changes may have at most, in milliseconds since 1970; ok is false where there is no
	// bound. So a node whose clock is ahead of all others does not win over what they write later. It is asked in a write: it must not wait.
	Latest func() (millis int64, ok bool)
}

// DB is an open database file. Its methods may be called from many goroutines.
type DB struct {
	bolt *bolt.DB
	file string
	raw  *os.File // bbolt's own file, to let go of when bbolt's Close cannot be trusted
	now  func() time.Time
	node string

	keepDeleted time.Duration
	latest      func() (int64, bool)
	stones      atomic.Uint64 // tombstones that came from other nodes, see pruneList

	edits   chan struct{}         // holds one token: edits take turns, see edit
	damaged atomic.Pointer[fault] // set once bbolt's locks can no longer be trusted

	unindexed atomic.Bool // the journal's index does not go back to its begin
	badIndex  atomic.Bool // a block of it cannot be read: the next write makes it anew

	readers  sync.RWMutex // held by reads; for writing while freed pages are overwritten, see wipe.go
	wipeWait time.Duration

	imports   chan struct{} // holds one token: one import at a time
	foreign   atomic.Bool   // which is what another node of a cluster has, see MergeMany
	giveWay   atomic.Int32  // who waits for that to give way
	importing atomic.Pointer[importing]

	mended []string // see Mended

	// MaxReports and so on; tests make them smaller.
	maxReports, maxChanges, maxChangeRows, maxEdit, maxDeleted, stageBytes, maxLines, maxAudit int

	auditDropped atomic.Uint64 // entries of the audit that gave way before their time

	committed func() // after each write; for tests
}

// Open opens the database file, and creates it with mode 0640 if it is not there
// (in a folder that must exist). What root creates takes the owner and the group
// of the folder, so that the daemon can open what an administrator made.
//
// The error is one of ErrLocked, ErrPermission, ErrNewer and ErrCorrupt where one
// of them fits (test with errors.Is); a read-only open of a missing file gives an
// error that is fs.ErrNotExist.
func Open(file string, o Options) (*DB, error) {
	if o.LockWait <= 0 {
		o.LockWait = defaultLockWait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.KeepDeleted <= 0 {
		o.KeepDeleted = defaultKeepDeleted
	}
	if err := checkNode(o.Node); err != nil {
		return nil, err
	}
	if err := prepare(file, o.ReadOnly); err != nil {
		return nil, err
	}
	d := &DB{
		file: file, now: o.Now, node: o.Node, keepDeleted: o.KeepDeleted, latest: o.Latest, edits: make(chan struct{}, 1), imports: make(chan struct{}, 1),
		maxReports: MaxReports, maxChanges: MaxChanges, maxChangeRows: MaxChangeRows, maxEdit: MaxEdit, maxDeleted: maxDeleted, stageBytes: stageBytes, maxLines: MaxLines, maxAudit: MaxAudit,
		wipeWait: wipeWait,
	}
	err := guard(func() (err error) {
		d.bolt, err = bolt.Open(file, 0o640, &bolt.Options{
			Timeout:      o.LockWait,
			FreelistType: bolt.FreelistMapType,
			ReadOnly:     o.ReadOnly,
			// Remember the file: when bbolt panics while opening it, it leaves
			// the file open and locked.
			OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
				// prepare has created the file. If it went away since, do not make
				// a new one here that would have the wrong owner.
				d.raw, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
				return d.raw, err
			},
			NoStatistics: true,
		})
		return err
	})
	if err != nil {
		if d.raw != nil {
			release(d.raw)
		}
		return nil, openFault(file, err)
	}
	if err := d.checkFormat(o.KeepAt); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close waits for the transactions under way and closes the file. Close the
// Journal first: what is still in its queue cannot be written afterwards.
func (d *DB) Close() error {
	if d.damaged.Load() != nil {
		// bbolt may hold a lock that its Close would wait for, so let go of the
		// file alone. The memory map stays until the process ends.
		release(d.raw)
		return nil
	}
	if err := guard(d.bolt.Close); err != nil {
		return fmt.Errorf("closing the database %s: %w", d.file, err)
	}
	return nil
}

// release lets go of a file that bbolt may have left open when it panicked; if it has
// closed it, this does nothing. Closing alone would not do: the memory map that is
// left keeps the lock alive.
func release(f *os.File) {
	if c, err := f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { syscall.Flock(int(fd), syscall.LOCK_UN) })
	}
	f.Close()
}

// File returns the path the database was opened with.
func (d *DB) File() string { return d.file }

// view runs fn in a read transaction. Keep it short, and copy what outlives it.
func (d *DB) view(fn func(*bolt.Tx) error) error {
	d.readers.RLock()
	defer d.readers.RUnlock()
	return d.transact(d.bolt.View, fn, false)
}

// update runs fn in a write transaction and syncs it to disk.
func (d *DB) update(fn func(*bolt.Tx) error) error {
	return d.transact(d.bolt.Update, fn, true)
}

// edit is update for list edits and settings, which take turns: a caller waits at
// most editWait for the edits before it, then gets ErrBusy. So a disk that hangs
// or a huge import piles up no callers.
func (d *DB) edit(fn func(*bolt.Tx) error) error {
	select {
	case d.edits <- struct{}{}:
	default:
		turn := time.NewTimer(editWait)
		defer turn.Stop()
		select {
		case d.edits <- struct{}{}:
		case <-turn.C:
			return &fault{kind: ErrBusy, text: fmt.Sprintf(
				"the database %s is still busy with another edit after %v: nothing was changed, try again later", d.file, editWait)}
		}
	}
	defer func() { <-d.edits }()
	return d.update(fn)
}

func (d *DB) transact(run func(func(*bolt.Tx) error) error, fn func(*bolt.Tx) error, write bool) error {
	if f := d.damaged.Load(); f != nil {
		return f
	}
	reading := false    // bbolt is past the begin of a read: it holds no lock it would not release
	committing := false // fn is done: what fails now is the disk
	err := guard(func() error {
		return run(func(tx *bolt.Tx) error {
			reading = !write
			err := fn(tx)
			committing = write && err == nil
			return err
		})
	})
	if err == nil && write && d.committed != nil {
		d.committed()
	}
	var p *panicked
	switch {
	case errors.As(err, &p):
		f := corrupt(d.file, p)
		if !reading {
			d.damaged.CompareAndSwap(nil, f)
		}
		return f
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return &fault{kind: ErrClosed, text: fmt.Sprintf("the database %s has been closed", d.file), cause: err}
	case errors.Is(err, bolterrors.ErrDatabaseReadOnly):
		return &fault{kind: ErrReadOnly, text: fmt.Sprintf("the database %s was opened for reading only", d.file), cause: err}
	case err != nil && committing:
		return &fault{kind: ErrWrite, cause: err, text: fmt.Sprintf(
			"the database %s cannot be written: %v: see to the disk, then repeat the change (until then it may be there or not)", d.file, err)}
	}
	return err
}

// panicked is the error for a panic or memory fault inside bbolt.
type panicked struct{ reason any }

func (p *panicked) Error() string { return fmt.Sprintf("reading it failed: %v", p.reason) }

// guard runs fn and turns a panic, and a fault on the memory map (which is how a
// file that was cut short shows), into a *panicked error.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p}
		}
	}()
	return fn()
}
