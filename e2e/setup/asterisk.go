package setup

import (
	"os"
	"path/filepath"
	"testing"

	"ringfence/e2e/asterisk"
)

// AsteriskRoot is where Asterisk and sipp lie. A run without them says so, and fails where RINGFENCE_NEED_ASTERISK is set.
func AsteriskRoot(t testing.TB) *asterisk.Root {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED: calls through a real Asterisk take too long for -short")
	}
	root, err := asterisk.Get()
	if err != nil {
		if os.Getenv("RINGFENCE_NEED_ASTERISK") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: THIS RUN HAD NO REAL ASTERISK: %v; docs/measured.md has what the last run on one saw", err)
	}
	return root
}

// Asterisk is one that runs until the test ends.
type Asterisk struct {
	*asterisk.PBX
	t testing.TB
}

// StartAsterisk runs an Asterisk of its own with the subroutine that we ship, which asks the daemon at agi.
func StartAsterisk(t testing.TB, agi, handset string) *Asterisk {
	t.Helper()
	return StartAsteriskWith(t, asterisk.Setup{AGI: agi, Handset: handset})
}

// StartAsteriskWith is StartAsterisk with all that can be set up.
func StartAsteriskWith(t testing.TB, s asterisk.Setup) *Asterisk {
	t.Helper()
	root := AsteriskRoot(t)
	folder, err := os.MkdirTemp("", "ast") // short: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	pbx, err := root.Start(t.Context(), folder, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pbx.Stop()
		if t.Failed() {
			log := pbx.Log()
			t.Logf("Asterisk said:\n%s", log[max(0, len(log)-40000):])
		}
	})
	return &Asterisk{pbx, t}
}

// MustCLI runs a command on Asterisk's own command line.
func (a *Asterisk) MustCLI(command string) string {
	a.t.Helper()
	text, err := a.CLI(command)
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

// MustBeIdle fails the test if a channel is left, which it gives some time to end.
func (a *Asterisk) MustBeIdle() {
	a.t.Helper()
	if err := a.Idle(); err != nil {
		a.t.Error(err)
	}
}

// ReadConf is a file of its configuration.
func (a *Asterisk) ReadConf(name string) string {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.Folder, name))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

// SetConf writes a file of its configuration.
func (a *Asterisk) SetConf(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.Folder, name), []byte(text), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// ProgramFile is a program that is this Asterisk's command line.
func (a *Asterisk) ProgramFile() string {
	a.t.Helper()
	text := "#!/bin/sh\nexec"
	for _, arg := range a.Program().Args {
		text += " '" + arg + "'"
	}
	name := filepath.Join(a.t.TempDir(), "asterisk")
	if err := os.WriteFile(name, []byte(text+" \"$@\"\n"), 0o755); err != nil {
		a.t.Fatal(err)
	}
	return name
}
