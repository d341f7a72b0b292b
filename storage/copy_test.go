package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A backup is whole, however many write meanwhile: pages that the edits free are written over at once.
func TestBackupBesideEdits(t *testing.T) {
	d := open(t, Options{})
	_, err := d.AddEntries("blacklist", series(0, 60_000, 1, "old"))
	check(t, err)
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := d.AddEntries("blacklist", series(i*150%60_000, 150, 1, fmt.Sprint("reason ", i))); err != nil {
				done <- err
				return
			}
		}
	}()
	folder := t.TempDir()
	for i := range 12 {
		file := filepath.Join(folder, fmt.Sprint(i))
		f, err := os.Create(file)
		check(t, err)
		check(t, errors.Join(d.BackupTo(io.Writer(f)), f.Close()))
		copied, err := Open(file, Options{ReadOnly: true})
		check(t, err)
		report, err := copied.Verify()
		check(t, err)
		if len(report.Faults) > 0 || report.Entries != 60_000 {
			t.Fatalf("backup %d: %+v", i, report)
		}
		check(t, copied.Close())
	}
	close(stop)
	check(t, <-done)
}
