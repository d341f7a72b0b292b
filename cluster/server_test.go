package cluster

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	debian "ringfence/e2e/unpack"
)

// server is a real NATS server in a process of its own.
type server struct {
	t       testing.TB
	program string
	folder  string
	port    int
	more    []string // arguments
	cmd     *exec.Cmd
}

func startServer(t testing.TB) *server { return startServerWith(t, "") }

// startServerWith gives it some configuration too.
func startServerWith(t testing.TB, settings string) *server {
	t.Helper()
	program, err := debian.Program(t.Context(), "nats-server", "usr/sbin/nats-server")
	if err != nil {
		t.Skipf("NOT TESTED: THIS RUN HAD NO SERVER OF NATS: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, program: program, folder: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	if settings != "" {
		s.more = []string{"-c", filepath.Join(s.folder, "conf")}
		s.configure(settings)
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.port) }

// configure writes its configuration.
func (s *server) configure(settings string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, "conf"), []byte(settings), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// reload has a running server read its configuration again.
func (s *server) reload() { s.cmd.Process.Signal(syscall.SIGHUP) }

// start starts it, and returns when it takes connections.
func (s *server) start() {
	s.t.Helper()
	args := []string{"-a", "127.0.0.1", "-p", fmt.Sprint(s.port), "-l", filepath.Join(s.folder, "log")}
	if s.more == nil {
		args = append(args, "-js", "-sd", filepath.Join(s.folder, "store"))
	}
	s.cmd = exec.Command(s.program, append(args, s.more...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the server takes connections", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// wipe loses all that the server has kept. It must be down.
func (s *server) wipe() { os.RemoveAll(filepath.Join(s.folder, "store")) }

// eventually waits for something to be so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); {
		if time.Now().After(end) {
			t.Fatalf("not so within a minute: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
