package systemd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine is a systemd that runs the unit, in namespaces of its own.
type machine struct {
	pid    string // its first process, as this machine sees it
	folder string
}

// boot starts one with the program, the samples and the unit as README has them installed.
func boot(t *testing.T) *machine {
	t.Helper()
	for _, tool := range []string{"unshare", "nsenter", "systemctl", "journalctl", "useradd", "/usr/lib/systemd/systemd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT TESTED under systemd: there is no %s", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED under systemd: only root can boot one of its own")
	}
	m := &machine{folder: t.TempDir()}
	files := filepath.Join(m.folder, "files")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(files, "usr/local/bin/ringfence"), "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for from, to := range map[string]string{
		"../conf/ringfence.toml": "etc/ringfence/ringfence.toml", "../conf/policy.toml": "var/lib/ringfence/policy.toml", "ringfence.service": "etc/systemd/system/ringfence.service",
		"testdata/test.target": "etc/systemd/system/test.target",
	} {
		text, err := os.ReadFile(from)
		if err == nil {
			to = filepath.Join(files, to)
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m.start(t)
	return m
}

// start boots it, and waits until the unit is up.
func (m *machine) start(t *testing.T) {
	t.Helper()
	cgroup := filepath.Join(cgroup2(t), fmt.Sprintf("ringfence-test-%d", os.Getpid()))
	script, err := filepath.Abs("testdata/boot.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--net", "--kill-child", "sh", script, m.folder, cgroup)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill() // what it started ends with it
		<-ended
		removeCgroup(t, cgroup)
	})
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); ; {
		select {
		case err := <-ended:
			ended <- err
			if code := cmd.ProcessState.ExitCode(); code != 77 && !strings.HasPrefix(said.String(), "unshare:") {
				t.Fatalf("systemd ended by itself (%v): %s", err, said.String())
			}
			t.Skipf("NOT TESTED under systemd: this machine does not let one boot in namespaces of its own (%v)", err)
		case <-tick.C:
		}
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		if m.pid = strings.TrimSpace(string(children)); m.pid != "" {
			name, _ := os.ReadFile("/proc/" + m.pid + "/comm")
			if strings.TrimSpace(string(name)) == "systemd" {
				if said, _ := m.run("systemctl", "is-active", "ringfence"); strings.TrimSpace(said) == "active" {
					return
				}
			}
		}
		if time.Now().After(end) {
			said, _ := m.run("journalctl", "--no-pager", "-n", "30")
			t.Fatalf("the unit did not come up in a minute:\n%s", said)
		}
	}
}

// cgroup2 is where the second version of control groups is mounted.
func cgroup2(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1]
		}
	}
	t.Skip("NOT TESTED under systemd: this machine has no cgroup2")
	return ""
}

// removeCgroup takes a group away, and those below it, once its last process has ended.
func removeCgroup(t *testing.T, group string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		var folders []string
		filepath.WalkDir(group, func(name string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				folders = append(folders, name)
			}
			return nil
		})
		for i := len(folders) - 1; i >= 0; i-- {
			os.Remove(folders[i])
		}
		if _, err := os.Stat(group); err != nil {
			return
		}
	}
	t.Errorf("the control group %s is left", group)
}

// run runs a command in the machine, and gives what it said.
func (m *machine) run(command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", m.pid, "--mount", "--pid", "--uts", "--ipc", "--root", "--wdns=/"}, command...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// policy writes the policy in the machine, with a line before it.
func (m *machine) policy(t *testing.T, line string) {
	t.Helper()
	text, err := os.ReadFile("../conf/policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("/proc", m.pid, "root/var/lib/ringfence/policy.toml")
	if err := os.WriteFile(file, append([]byte(line), text...), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The unit under a real systemd: a reload that is refused fails, and the daemon goes on; warnings and faults have their
// priority in the journal, and nothing else has it.
func TestUnderSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED under systemd: it is not short")
	}
	m := boot(t)
	warnings := func() string {
		t.Helper()
		said, err := m.run("journalctl", "-u", "ringfence", "-p", "warning", "-o", "cat", "--no-pager")
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		return said
	}
	if said := warnings(); !strings.Contains(said, "does not exist yet and counts as empty") || strings.Contains(said, "screening calls") {
		t.Errorf("the warnings of the start are\n%s", said)
	}
	if said, err := m.run("systemctl", "reload", "ringfence"); err != nil {
		t.Errorf("a reload of a policy without faults: %v\n%s", err, said)
	}
	m.policy(t, "nonsense = 1\n")
	if said, err := m.run("systemctl", "reload", "ringfence"); err == nil {
		t.Errorf("a reload of a policy with a fault is done: %s", said)
	}
	if said, _ := m.run("systemctl", "is-active", "ringfence"); strings.TrimSpace(said) != "active" {
		t.Errorf("after a refused reload the unit is %s", said)
	}
	if said := warnings(); !strings.Contains(said, "policy.toml:1: nonsense: is not known here") || !strings.Contains(said, "the running policy stays") {
		t.Errorf("the journal does not have the fault:\n%s", said)
	}
	m.policy(t, "")
	if said, err := m.run("systemctl", "reload", "ringfence"); err != nil {
		t.Errorf("a reload once the fault is mended: %v\n%s", err, said)
	}
}
