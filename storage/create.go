package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// prepare makes sure that there is a file to open, and that it is a file.
func prepare(file string, readOnly bool) error {
	info, err := os.Stat(file)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("the database %s is not a file: set `data` to the folder that holds it", file)
	case err == nil && readOnly && info.Size() == 0:
		return corrupt(file, errors.New("it is empty"))
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return denied(file, err)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot open the database %s: %w", file, err)
	case readOnly:
		return fmt.Errorf("there is no database %s yet: start the daemon once, or add an entry to a list (%w)", file, fs.ErrNotExist)
	}
	switch err := create(file); {
	case errors.Is(err, fs.ErrPermission):
		return &fault{kind: ErrPermission, cause: err, text: fmt.Sprintf(
			"no permission to create the database %s: run this as the user the daemon runs as, or as root (%v)", file, err)}
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot create the database %s: make the folder %s first, owned by the user the daemon runs as (%w)",
			file, filepath.Dir(file), err)
	case err != nil:
		return fmt.Errorf("cannot create the database %s: %w", file, err)
	}
	return nil
}

// create makes a new, empty database under another name and moves it into place
// when it is complete and on disk, so that no crash leaves half a file behind. A
// file that appears there meanwhile is kept.
func create(file string) (err error) {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".new-*")
	if err != nil {
		return err
	}
	temp := f.Name()
	defer os.Remove(temp)
	if err := Own(f, dir, 0o640); err != nil {
		f.Close()
		return err
	}
	// bbolt gets the file that is open: in a folder that belongs to another user,
	// root must not follow a name a second time.
	db, err := bolt.Open(temp, 0o640, &bolt.Options{
		Timeout:      time.Second,
		FreelistType: bolt.FreelistMapType,
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
	if err != nil {
		return err
	}
	err = db.Update(layOut)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// Link rather than rename: it does not replace a file that is there.
	switch err := os.Link(temp, file); {
	case err == nil, errors.Is(err, fs.ErrExist):
	default: // a file system without hard links
		if err := os.Rename(temp, file); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// Own gives a file in a folder its mode, whatever the umask, and as root the folder's owner: what an administrator makes the
// daemon must be able to open.
func Own(f *os.File, dir string, mode os.FileMode) error {
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// syncDir puts a folder's new name on disk.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
