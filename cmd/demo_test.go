package cmd

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"ringfence/terminal"
)

// The demo reads well on a terminal of 80 columns: calls in the order they came, each action among them, no line too long, no
// escape sequence where nobody asked for colour, and commands that work at the end.
func TestDemoReads(t *testing.T) {
	var out, errs bytes.Buffer
	cmd := &exec.Cmd{Path: os.Args[0], Args: []string{"ringfence", "demo"}, Env: os.Environ(), Dir: "..", Stdout: &out, Stderr: &errs}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	text := out.String()
	var times []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if n := terminal.Columns(strings.ReplaceAll(line, os.Args[0], "./ringfence")); n > terminal.Page {
			t.Errorf("%d columns: %s", n, line)
		}
		if regexp.MustCompile(`^[0-9]{2}:[0-9]{2}:[0-9]{2}  `).MatchString(line) {
			times = append(times, line[:8])
		}
	}
	if len(times) < 30 || !sort.StringsAreSorted(times) && times[0] < "23:59" {
		t.Errorf("%d calls, in order %v", len(times), sort.StringsAreSorted(times))
	}
	for _, want := range []string{
		"  ALLOW     ", "  TAG       ", "  WARN      ", "  REJECT    ", "  DIVERT    ", "  FAIL-OPEN ", "keyed them in; the phone rang", "keyed in others; the call was ended",
		"was sent to voicemail", "REJECT    8001 IT-Support", "extension from outside", "the phone rang as “外呼",
		"was asked for digits and hung up", "952187 tripped range wakes at 1", "TRIPPED  range wakes: 952187\n         since ", " strangers in ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo does not show %q", want)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("colour where there is no terminal")
	}
	_, next, _ := strings.Cut(text, "Try next:")
	commands := regexp.MustCompile(`(?m)^  ([^# ]\S*) (.*)$`).FindAllStringSubmatch(next, -1)
	if len(commands) < 4 {
		t.Errorf("%d commands to try: %s", len(commands), next)
	}
	for _, m := range commands[1:] { // the first is the demo itself
		try := &exec.Cmd{Path: os.Args[0], Args: append([]string{"ringfence"}, strings.Fields(m[2])...), Env: os.Environ(), Dir: ".."}
		if said, err := try.CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v\n%s", m[1], m[2], err, said)
		}
	}
}

// It is morning in the demo, whenever it is given.
func TestMorningZone(t *testing.T) {
	for hour := range 24 {
		now := time.Date(2026, 3, 4, hour, 30, 0, 0, time.UTC)
		zone, err := time.LoadLocation(morningZone(now))
		if err != nil {
			t.Fatal(err)
		}
		if got := now.In(zone).Hour(); got != 10 {
			t.Errorf("at %s it is %d o'clock in %s", now, got, zone)
		}
	}
}
