package setup

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringfence/cmd"
)

// Main runs the tests of a package that has Processes: the test binary is also `ringfence`, where it is called so.
func Main(run func() int) int {
	if filepath.Base(os.Args[0]) == "ringfence" {
		return cmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	return run()
}

// Process is a daemon of its own, which can be stopped, starved and killed.
type Process struct {
	t       *testing.T
	File    string // its ringfence.toml
	Cmd     *exec.Cmd
	Address string // its screening port
}

// FreeAddress is a port for a daemon that is started again and again.
func FreeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// NewProcess writes an installation into a folder; Start runs it.
func NewProcess(t *testing.T, folder, address, policy string, settings ...string) *Process {
	t.Helper()
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, File: filepath.Join(folder, "ringfence.toml"), Address: address}
	sockets, err := os.MkdirTemp("", "rf-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	for name, text := range map[string]string{
		"ringfence.toml": fmt.Sprintf("data = \"data\"\nsocket = %q\n[screen]\nlisten = %q\n%s", filepath.Join(sockets, "s"), p.Address, strings.Join(settings, "\n")),
		"policy.toml":    policy,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Start runs the daemon, with at most so many file descriptors if that is not 0.
func (p *Process) Start(files int) {
	p.t.Helper()
	limit := ""
	if files > 0 {
		limit = fmt.Sprintf("ulimit -n %d; ", files)
	}
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	link := filepath.Join(p.t.TempDir(), "ringfence")
	if err := os.Symlink(self, link); err != nil {
		p.t.Fatal(err)
	}
	p.Cmd = exec.Command("sh", "-c", limit+`exec "$0" run --config "$1"`, link, p.File)
	out, err := p.Cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.Kill)
	ready := make(chan bool)
	go func() {
		up := false
		for sc := bufio.NewScanner(out); sc.Scan(); {
			if !up && strings.Contains(sc.Text(), "screening calls") {
				up = true
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		p.t.Fatal("the daemon did not start")
	}
}

// Kill ends the daemon as a crash would.
func (p *Process) Kill() {
	p.Cmd.Process.Signal(syscall.SIGCONT)
	p.Cmd.Process.Kill()
	p.Cmd.Wait()
}
