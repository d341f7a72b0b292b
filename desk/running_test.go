package desk

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ringfence/conf"
	"ringfence/inforce"
	"ringfence/storage"
)

const smallPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
`

// installation is a folder with a policy and room for a database.
func installation(t testing.TB, policy string) *conf.Daemon {
	t.Helper()
	folder := t.TempDir()
	c := &conf.Daemon{Policy: filepath.Join(folder, "policy.toml"), Data: folder}
	if err := os.WriteFile(c.Policy, []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

// running is a desk as the daemon has it: with a journal, and what works in the background.
type running struct {
	*Desk
	journal *storage.Journal
	end     context.CancelFunc
	work    sync.WaitGroup
	once    sync.Once
}

// run opens a desk; its lists are read when it returns.
func run(c *conf.Daemon, log *slog.Logger) (*running, error) {
	db, err := storage.Open(c.Database(), storage.Options{Node: c.Node})
	if err != nil {
		return nil, err
	}
	d := &running{journal: db.StartJournal(storage.JournalOptions{})}
	d.Desk = New(c, db, &inforce.State{}, Options{Journal: d.journal, Log: log})
	if err := d.Load(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.end = cancel
	d.ReadLists(ctx)
	d.work.Go(func() { d.KeepPieces(ctx) })
	return d, nil
}

func (d *running) stop(t testing.TB) {
	t.Helper()
	d.once.Do(func() {
		d.end()
		d.work.Wait()
		if err := d.journal.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// startLogging runs a desk with a log to look at.
func startLogging(t *testing.T, c *conf.Daemon) (*running, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	d, err := run(c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.stop(t) })
	return d, log
}

// numberAt is one of n numbers, spread as mobile numbers are.
func numberAt(n, i int) uint64 { return 8613000000000 + uint64(i)*(999_999_998/uint64(n))&^1 }

// fileOf is a list file with n numbers.
func fileOf(n int) io.Reader {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "+%d\n", numberAt(n, i))
	}
	return strings.NewReader(b.String())
}

// TestMain makes this test binary a desk that is killed.
func TestMain(m *testing.M) {
	if folder := os.Getenv(piecesChildEnv); folder != "" {
		piecesChild(folder)
		return
	}
	if folder := os.Getenv(ownChildEnv); folder != "" {
		ownChild(folder)
		return
	}
	os.Exit(m.Run())
}
