// Package systemd holds the unit that runs the daemon under systemd: Type=notify, a watchdog that is fed
// only while calls would be screened, restarted always, as a user of its own that can touch nothing but
// its data. The README says how it is installed.
package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func unit(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("ringfence.service")
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string][]string)
	for _, line := range strings.Split(string(text), "\n") {
		if k, v, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			keys[k] = append(keys[k], v)
		}
	}
	return keys
}

// What the daemon and the promise to fail open rely on.
func TestUnit(t *testing.T) {
	keys := unit(t)
	for key, want := range map[string]string{
		"Type":               "notify",
		"Restart":            "always",
		"WatchdogSignal":     "SIGKILL",
		"User":               "ringfence",
		"NoNewPrivileges":    "true",
		"ProtectSystem":      "strict",
		"StateDirectory":     "ringfence",
		"StateDirectoryMode": "0755",
		"RuntimeDirectory":   "ringfence",
		"ExecReload":         "/usr/local/bin/ringfence policy reload --config /etc/ringfence/ringfence.toml",
	} {
		if got := keys[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"WatchdogSec", "TimeoutStopSec", "StartLimitIntervalSec"} {
		if len(keys[key]) != 1 {
			t.Errorf("%s is missing", key)
		}
	}
}

// systemd itself has nothing to say against the unit.
func TestUnitVerified(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("NOT TESTED: no systemd-analyze on this machine to verify ringfence.service")
	}
	text, err := os.ReadFile("ringfence.service")
	if err != nil {
		t.Fatal(err)
	}
	// The program that the unit starts is not installed here.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ringfence.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/ringfence", self)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "verify", file).CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "ringfence.service") {
			t.Errorf("%s (%v)", line, err)
		}
	}
}
