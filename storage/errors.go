package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	bolterrors "go.etcd.io/bbolt/errors"
)

// What can go wrong, to be told apart with errors.Is. The messages of the errors
// that are returned say more, and what to do.
var (
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("database in use by another process")
	// ErrPermission: this user may not open or create the file.
	ErrPermission = errors.New("no permission for the database")
	// ErrNewer: a newer version of the program wrote the file.
	ErrNewer = errors.New("database of a newer version")
	// ErrCorrupt: the file, or a value in it, is not what this package writes.
	ErrCorrupt = errors.New("database damaged")
	// ErrWrite: the disk did not take a change (it is full, or fails).
	ErrWrite = errors.New("database cannot be written")
	// ErrReadOnly: a write to a database that was opened read-only.
	ErrReadOnly = errors.New("database opened read-only")
	// ErrClosed: the database or the journal has been closed.
	ErrClosed = errors.New("database closed")
	// ErrBusy: other edits kept the database busy for too long; try again.
	ErrBusy = errors.New("database busy")
	// ErrNoList: there is no list of that name.
	ErrNoList = errors.New("no such list")
	// ErrNoReport: there is no report of that id.
	ErrNoReport = errors.New("no such report")
	// ErrNoChange: there is no change of that id, or it is not kept any more.
	ErrNoChange = errors.New("no such change")
	// ErrOlder: an older version wrote the file, and it was opened read-only.
	ErrOlder = errors.New("database of an older version")
	// ErrFull: there is no room for more of what was to be added.
	ErrFull = errors.New("no room left")
	// ErrInvalid: an argument is out of bounds; nothing was changed.
	ErrInvalid = errors.New("invalid argument")
)

// fault is an error that reads as a whole sentence and is one of the kinds above.
type fault struct {
	kind  error
	text  string
	cause error // may be nil
}

func (f *fault) Error() string { return f.text }

func (f *fault) Unwrap() []error {
	if f.cause == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.cause}
}

func invalid(format string, args ...any) error {
	return &fault{kind: ErrInvalid, text: fmt.Sprintf(format, args...)}
}

func corrupt(file string, cause error) *fault {
	return &fault{kind: ErrCorrupt, cause: cause, text: fmt.Sprintf(
		"the database %s is damaged (%v): stop the daemon, keep a copy of the file and restore a backup, or move the file away to start with an empty one",
		file, cause)}
}

func denied(file string, cause error) *fault {
	return &fault{kind: ErrPermission, cause: cause, text: fmt.Sprintf(
		"no permission to open the database %s: run this as the user the daemon runs as, or as root (%v)", file, cause)}
}

// openFault says what an error of bbolt's Open means.
func openFault(file string, err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return &fault{kind: ErrLocked, cause: err, text: fmt.Sprintf(
			"the database %s is in use by another process: is the daemon running? While it is, nothing else can open the file, not even to read: use the daemon's socket, or stop it first",
			file)}
	case errors.Is(err, fs.ErrPermission):
		return denied(file, err)
	case errors.As(err, &errno):
		return fmt.Errorf("cannot open the database %s: %w", file, err)
	default:
		// What is left are bbolt's complaints about the file's contents, not all of
		// which have a name, and panics.
		return corrupt(file, err)
	}
}
