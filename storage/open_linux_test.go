package storage

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestOpenPermission(t *testing.T) {
	d := open(t, Options{})
	check(t, d.Close())
	dir := filepath.Dir(d.File())
	check(t, os.Chmod(filepath.Dir(dir), 0o755))
	check(t, os.Chmod(dir, 0o755))
	check(t, os.Chmod(d.File(), 0))
	closed := filepath.Join(dir, "closed")
	check(t, os.Mkdir(closed, 0))
	readable := filepath.Join(dir, "readable.db")
	data := sample(t)
	check(t, os.WriteFile(readable, data, 0o444))

	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 {
			// Root is refused nothing. This thread alone becomes nobody, and ends with
			// the goroutine, because that never unlocks it.
			runtime.LockOSThread()
			if err := syscall.Setfsuid(65534); err != nil {
				t.Error(err)
				return
			}
		}
		for _, file := range []string{d.File(), filepath.Join(closed, "ringfence.db"), filepath.Join(closed, "deeper", "ringfence.db"), readable} {
			_, err := Open(file, Options{})
			if !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), "as root") {
				t.Errorf("%s: %v", file, err)
			}
		}
		r, err := Open(readable, Options{ReadOnly: true})
		if err != nil {
			t.Error(err)
			return
		}
		r.Close()
	}()
	<-done
}
