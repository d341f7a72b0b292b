package alert

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// program makes a command of a shell script.
func program(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page-me")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func bookOf(command string) *Book {
	return New(Options{Command: command, Node: "pbx1", Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1795305600, 0) }})
}

// The command gets the kind and the state as arguments, the text on standard input and the facts in its environment.
func TestCommand(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	b := bookOf(program(t, "{ echo \"$@\"; cat; env | grep '^RINGFENCE_ALERT_' | sort; } > "+told+"\n"))
	i := &Incident{Kind: Attach, Subject: "pbx1", Text: "the switch pbx1 is away", Since: time.Unix(1795302000, 0), Calls: 4}
	i.Ended, i.End = i.Since.Add(50*time.Minute), "it is there again"
	if err := b.run(t.Context(), i, stateEnd); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	want := `attach end
Over after 50m, 4 calls unscreened: it is there again (It was: the switch pbx1 is away)
RINGFENCE_ALERT_CALLS=4
RINGFENCE_ALERT_ENDED=2026-11-21T23:50:00Z
RINGFENCE_ALERT_ID=attach/pbx1/1795302000
RINGFENCE_ALERT_KIND=attach
RINGFENCE_ALERT_NODE=pbx1
RINGFENCE_ALERT_SECONDS=3000
RINGFENCE_ALERT_SINCE=2026-11-21T23:00:00Z
RINGFENCE_ALERT_STATE=end
RINGFENCE_ALERT_SUBJECT=pbx1
RINGFENCE_ALERT_TEXT=Over after 50m, 4 calls unscreened: it is there again (It was: the switch pbx1 is away)
`
	if string(got) != want {
		t.Errorf("it got\n%s", got)
	}
	if facts := b.facts(&Incident{Kind: Policy, Since: time.Unix(1795302000, 0)}, stateStart); !slices.Contains(facts, "RINGFENCE_ALERT_SECONDS=3600") || slices.ContainsFunc(facts, func(f string) bool { return strings.Contains(f, "ENDED") }) {
		t.Errorf("%q", facts)
	}
}

// A command that is not there, fails, prints without end or hangs is an error that says so, and ends with what it started.
func TestCommandGoesWrong(t *testing.T) {
	if err := bookOf("/no/such/command").run(t.Context(), &Incident{}, stateStart); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
	if err := bookOf(program(t, "echo nobody is on duty; exit 3\n")).run(t.Context(), &Incident{}, stateStart); err == nil || err.Error() != `exit status 3; it printed "nobody is on duty\n"` {
		t.Errorf("%v", err)
	}
	if err := bookOf(program(t, "head -c 10000000 /dev/zero; exit 3\n")).run(t.Context(), &Incident{}, stateStart); err == nil || len(err.Error()) > 2000 {
		t.Errorf("%.100q", err)
	}
	begun := filepath.Join(t.TempDir(), "begun")
	if err := os.WriteFile(begun, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b := bookOf(program(t, "sleep 600 & echo $! > "+begun+"; wait\n"))
	done := make(chan error)
	go func() { done <- b.run(ctx, &Incident{}, stateStart) }()
	child := ""
	for end := time.Now().Add(10 * time.Second); child == "" && time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		text, _ := os.ReadFile(begun)
		if strings.HasSuffix(string(text), "\n") {
			child = strings.TrimSpace(string(text))
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("it was stopped, and that is no error")
	}
	for end := time.Now().Add(10 * time.Second); ; <-time.After(5 * time.Millisecond) {
		state, err := os.ReadFile("/proc/" + child + "/stat")
		if child == "" || err != nil || strings.Contains(string(state), ") Z ") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("what the command started goes on: %s", state)
		}
	}
}
