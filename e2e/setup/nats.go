package setup

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringfence/e2e/unpack"
)

// NATS is a server of NATS that runs until the test ends, in a process of its own.
type NATS struct {
	Folder  string // its configuration, its log and, in store, what it has kept
	Address string // the same each time it is started

	t       testing.TB
	program string
	disk    string // the size of its disk, "" for that of this machine
	cmd     *exec.Cmd
}

// StartNATS runs Debian's own server with JetStream on loopback; settings are more of its configuration. A run without one says so, and fails where
// RINGFENCE_NEED_NATS is set.
func StartNATS(t testing.TB, settings ...string) *NATS {
	t.Helper()
	program, err := unpack.Program(t.Context(), "nats-server", "usr/sbin/nats-server")
	if err != nil {
		if os.Getenv("RINGFENCE_NEED_NATS") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: THIS RUN HAD NO SERVER OF NATS: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &NATS{Folder: t.TempDir(), Address: ln.Addr().String(), t: t, program: program}
	ln.Close()
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, max_memory_store: 64MB, max_file_store: 4GB }\n%s\n", n.Address, n.store(), strings.Join(settings, "\n"))
	if err := os.WriteFile(filepath.Join(n.Folder, "nats.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	t.Cleanup(func() {
		n.Kill()
		if t.Failed() {
			log := n.Log()
			t.Logf("the server of NATS said:\n%s", log[max(0, len(log)-20000):])
		}
	})
	return n
}

func (n *NATS) store() string { return filepath.Join(n.Folder, "store") }

// URL is how [cluster] names it.
func (n *NATS) URL() string { return "nats://" + n.Address }

// Log is what it has said.
func (n *NATS) Log() string {
	said, _ := os.ReadFile(filepath.Join(n.Folder, "said"))
	log, _ := os.ReadFile(filepath.Join(n.Folder, "log"))
	return string(said) + string(log)
}

func (n *NATS) start() {
	n.t.Helper()
	args := []string{n.program, "-c", filepath.Join(n.Folder, "nats.conf"), "-l", filepath.Join(n.Folder, "log")}
	if n.disk != "" {
		args = append([]string{"unshare", "-rm", "sh", "-c", `mkdir -p "$0" && mount -t tmpfs -o size="$1" tmpfs "$0" && shift && exec "$@"`, n.store(), n.disk}, args...)
	}
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := os.Create(filepath.Join(n.Folder, "said")) // what is wrong with its configuration
	if err != nil {
		n.t.Fatal(err)
	}
	defer said.Close()
	n.cmd.Stderr = said
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		if c, err := net.Dial("tcp", n.Address); err == nil {
			c.Close()
			return
		}
		select {
		case <-ctx.Done():
			n.t.Fatalf("the server of NATS does not come up: %s", n.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends it as a crash would. What it has on disk stays.
func (n *NATS) Kill() {
	n.Cont()
	n.cmd.Process.Kill()
	n.cmd.Wait()
}

// Stop has it hang: connections stay, and nothing is answered from when it returns. Cont has it go on.
func (n *NATS) Stop() {
	n.t.Helper()
	n.cmd.Process.Signal(syscall.SIGSTOP)
	for end := time.Now().Add(10 * time.Second); !n.stopped(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatal("the server of NATS does not stop")
		}
	}
}

func (n *NATS) Cont() { n.cmd.Process.Signal(syscall.SIGCONT) }

// stopped reports whether all its threads are: a signal takes a moment to each.
func (n *NATS) stopped() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", n.cmd.Process.Pid))
	for _, file := range threads {
		text, _ := os.ReadFile(file)
		if _, state, ok := strings.Cut(string(text), ") "); ok && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return len(threads) > 0
}

// Wipe takes away what it has kept, after Kill.
func (n *NATS) Wipe() {
	n.t.Helper()
	if err := os.RemoveAll(n.store()); err != nil {
		n.t.Fatal(err)
	}
}

// Disk gives it an empty disk of a size, as 2m, or that of this machine again; from the next Restart on.
func (n *NATS) Disk(size string) {
	n.t.Helper()
	if size != "" {
		if out, err := exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", n.Folder).CombinedOutput(); err != nil {
			n.t.Skipf("NOT TESTED: THIS RUN HAD NO SMALL DISK: %v: %s", err, out)
		}
	}
	n.disk = size
}

// Restart starts it again, at the same address with what it has kept, after Kill.
func (n *NATS) Restart() {
	n.t.Helper()
	n.start()
}
