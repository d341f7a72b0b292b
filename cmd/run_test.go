package cmd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/standin"
)

// process is `ringfence run` as a process of its own, with its log.
type process struct {
	cmd  *exec.Cmd
	conf *conf.Daemon
	log  chan string
}

func startProcess(t *testing.T, c *conf.Daemon) *process {
	t.Helper()
	p := &process{conf: c, log: make(chan string, 100)}
	// This test binary is `ringfence` when it is called so (TestMain).
	p.cmd = &exec.Cmd{Path: os.Args[0], Args: []string{"ringfence", "run", "--config", c.File}, Env: os.Environ()}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	go func() {
		defer close(p.log)
		for sc := bufio.NewScanner(errs); sc.Scan(); {
			p.log <- sc.Text()
		}
		io.Copy(io.Discard, errs)
	}()
	p.expect(t, "screening calls")
	return p
}

// expect waits for a line of the log.
func (p *process) expect(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(20 * time.Second)
	var before []string
	for {
		select {
		case line, ok := <-p.log:
			if !ok {
				t.Fatalf("the daemon ended without saying %q:\n%s", text, strings.Join(before, "\n"))
			}
			if strings.Contains(line, text) {
				return line
			}
			before = append(before, line)
		case <-timeout:
			t.Fatalf("the daemon did not say %q in 20 s:\n%s", text, strings.Join(before, "\n"))
		}
	}
}

func (p *process) dial(t *testing.T) *console.Client {
	t.Helper()
	client, err := console.Dial(t.Context(), p.conf.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func installation(t *testing.T) *conf.Daemon {
	t.Helper()
	folder, err := os.MkdirTemp("", "rf-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	file := filepath.Join(folder, "ringfence.toml")
	for name, text := range map[string]string{
		file:                                 "data = \"data\"\nsocket = \"s\"\n[screen]\nlisten = \"127.0.0.1:0\"\n",
		filepath.Join(folder, "policy.toml"): "country = \"CN\"\n[[rule]]\nname = \"listed\"\nwhen = { list = [\"blacklist\"] }\naction = \"reject\"\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := conf.LoadDaemon(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// SIGHUP reads the policy again and says so in the log; with faults the running one stays. SIGTERM ends the
// daemon in order.
func TestSignals(t *testing.T) {
	c := installation(t)
	p := startProcess(t, c)
	good, err := os.ReadFile(c.Policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Policy, append([]byte("nonsense = 1\n"), good...), 0o644); err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.expect(t, "policy.toml:1: nonsense")
	p.expect(t, "the running policy stays")
	if r, err := p.dial(t).Check(t.Context(), console.CheckQuery{Caller: "1"}); err != nil || len(r.Steps) == 0 {
		t.Errorf("%+v %v", r, err)
	}
	if err := os.WriteFile(c.Policy, good, 0o644); err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.expect(t, "the policy was read again")
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.expect(t, "stopping")
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Stat(c.Socket); err == nil {
		t.Error("it left its socket behind")
	}
}

// An edit that the command has acknowledged survives a daemon that is killed at any moment, and the next
// one starts beside what the killed one left.
func TestKilledDuringEdits(t *testing.T) {
	c := installation(t)
	acknowledged := map[string]bool{}
	for round := range 5 {
		p := startProcess(t, c)
		client := p.dial(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				number := fmt.Sprintf("138%02d%06d", round, i)
				edits, err := client.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: number}}, false)
				if err != nil {
					return
				}
				acknowledged[edits[0].Number] = true
				if i == 10+7*round {
					p.cmd.Process.Kill()
				}
			}
		})
		p.cmd.Wait()
		cancel()
		wg.Wait()
	}
	p := startProcess(t, c)
	found := 0
	if err := p.dial(t).Entries(t.Context(), "blacklist", func(e console.ListEntry) error {
		if acknowledged[e.Number] {
			found++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found != len(acknowledged) || found < 50 {
		t.Errorf("%d of %d acknowledged edits are there", found, len(acknowledged))
	}
}

// A daemon that is stopped while a call waits, and goes on after the switch's guard has put the call
// through, leaves that call alone.
func TestStoppedAndContinued(t *testing.T) {
	c := installation(t)
	p := startProcess(t, c)
	status, err := p.dial(t).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitStopped(t, p.cmd.Process.Pid)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() {
		<-time.After(2500 * time.Millisecond) // the guard fires at 2 s
		p.cmd.Process.Signal(syscall.SIGCONT)
	}()
	sw := &standin.Switch{Address: status.Screen}
	r, err := sw.Place(ctx, standin.Call{
		From: "95211613", To: "05925550100", Async: true, Resume: true,
		Guard: 2 * time.Second, GuardUnsets: true, TalkFor: 4 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Rang || !r.GuardFired || r.Killed || r.Stuck || len(r.Late) > 0 {
		t.Errorf("rang %v, guard %v, killed %v, stuck %v, late commands %q", r.Rang, r.GuardFired, r.Killed, r.Stuck, r.Late)
	}
	if len(r.Commands) != 1 || r.Commands[0] != "exit" {
		t.Errorf("the daemon said %q to a call that it was too late for", r.Commands)
	}
	p.expect(t, "reason=late")
}

// waitStopped waits until every thread of a process has stopped: the signal reaches them one by one.
func waitStopped(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		running := 0
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(stats) == 0 {
			t.Skip("NOT TESTED: this system does not tell whether a process has stopped")
		}
		for _, file := range stats {
			text, err := os.ReadFile(file)
			if _, state, ok := strings.Cut(string(text), ") "); err != nil || !ok || !strings.HasPrefix(state, "T") {
				running++
			}
		}
		if running == 0 {
			return
		}
	}
	t.Fatal("the process did not stop in 10 s")
}
