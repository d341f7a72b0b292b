package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pager is a command that appends what it is told to a file.
func pager(t *testing.T) (command, told string) {
	t.Helper()
	folder := t.TempDir()
	command, told = filepath.Join(folder, "page-me"), filepath.Join(folder, "told")
	script := "#!/bin/sh\necho \"$1: $(cat)\" >> '" + told + "'\n"
	if err := os.WriteFile(command, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return command, told
}

// waitForText waits until a file holds a text.
func waitForText(t *testing.T, file, text string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; <-time.After(20 * time.Millisecond) {
		b, _ := os.ReadFile(file)
		if strings.Contains(string(b), text) {
			return string(b)
		}
		if time.Now().After(end) {
			t.Fatalf("nobody was told of %q: %q", text, b)
		}
	}
}

// A policy that is refused is told of, through the real command.
func TestNotifyPolicy(t *testing.T) {
	c := installation(t, smallPolicy)
	var told string
	c.Notify.Command, told = pager(t)
	d := in(start(t, c))
	if err := os.WriteFile(c.Policy, []byte("country = 7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time is too soon to be told again
		if _, err := d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := waitForText(t, told, "was refused for its faults")
	if !strings.HasPrefix(got, "policy: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("told %q", got)
	}
}

// Five calls let through within a minute are told of, once in five minutes; four, or five in ten minutes, are not.
func TestNotifyFailOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNotifier("/not/run", slog.New(slog.DiscardHandler), time.Now)
		counts := map[string]uint64{"deadline": 3, "stopping": 100}
		copied := make(chan map[string]uint64)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			n.watchFailOpen(ctx, func() map[string]uint64 { return <-copied })
		}()
		tick := func(times int) {
			for range times {
				c := map[string]uint64{}
				for k, v := range counts {
					c[k] = v
				}
				copied <- c
				synctest.Wait()
			}
		}
		tick(1) // the start
		for range 10 {
			counts["deadline"]++
			counts["stopping"] += 50
			tick(24) // two minutes
		}
		if len(n.queue) != 0 {
			t.Errorf("told of single calls: %q", <-n.queue)
		}
		counts["deadline"] += 3
		tick(3)
		counts["guard"] += 2
		tick(1)
		if len(n.queue) != 1 {
			t.Fatalf("%d messages", len(n.queue))
		}
		if m := <-n.queue; m.kind != notifyFailOpen || !strings.HasPrefix(m.text, "5 calls passed unscreened within a minute: 2 guard, 3 deadline.") {
			t.Errorf("told %+v", m)
		}
		counts["wire"] += 100
		tick(10)
		if len(n.queue) != 0 {
			t.Error("told again within five minutes")
		}
		tick(50)
		counts["wire"] += 100
		tick(1)
		if len(n.queue) != 1 {
			t.Error("not told again after five minutes")
		}
		cancel()
		close(copied)
		<-done
	})
}

// A command that fails or hangs is left behind, and what does not fit is counted.
func TestNotifyCommandFails(t *testing.T) {
	n := newNotifier("/no/such/command", slog.New(slog.DiscardHandler), time.Now)
	n.page(t.Context(), message{"policy", "x"})
	if n.Failed.Load() != 1 {
		t.Errorf("%d failures", n.Failed.Load())
	}
	for i := range notifyQueue + 3 {
		n.tell(strings.Repeat("k", i), "x")
	}
	if n.Dropped.Load() != 3 {
		t.Errorf("%d dropped", n.Dropped.Load())
	}
}
