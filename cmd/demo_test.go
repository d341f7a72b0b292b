package cmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
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

// While the demo runs its page is at the address that it prints, the link lets in whoever opens it first, and nothing listens beyond this machine.
func TestDemoConsole(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Args, cmd.Dir = []string{"ringfence", "demo"}, ".."
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cancel()
	var links []string
	for sc := bufio.NewScanner(out); len(links) < 2 && sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "  http://127.0.0.1:") {
			links = append(links, strings.TrimSpace(sc.Text()))
		}
	}
	if len(links) < 2 {
		t.Fatalf("got the addresses %q, want that of the page and the link", links)
	}
	go io.Copy(io.Discard, out)
	for _, address := range listening(t, cmd.Process.Pid) {
		if !strings.HasPrefix(address, "0100007F:") && !strings.HasPrefix(address, "0000000000000000FFFF00000100007F:") {
			t.Errorf("the demo listens on %s, which is not 127.0.0.1", address)
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	get := func(address string) (string, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		resp, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: got %s (%v)", address, resp.Status, err)
		}
		return resp.Request.URL.Path, string(body)
	}
	if path, _ := get(links[0]); path != "/signin" {
		t.Errorf("without a session the page is %s, want the sign-in", path)
	}
	get(links[1])
	const password = "a word for the demo"
	form := strings.NewReader(url.Values{"password": {password}, "again": {password}}.Encode())
	r, err := http.NewRequestWithContext(ctx, "POST", links[1], form)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if path, body := get(links[0]); path != "/" || !strings.Contains(body, "</html>") {
		t.Errorf("behind the link is %s, want the page of now:\n%.500s", path, body)
	}
}

// listening are the addresses on which a process listens for TCP, in the hexadecimal of the kernel.
func listening(t *testing.T, pid int) (all []string) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", pid)
	own := make(map[string]bool)
	fds, err := os.ReadDir(proc + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(proc + "fd/" + fd.Name()); err == nil {
			own[to] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(proc + "net/" + table)
		if err != nil && table == "tcp" {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && own["socket:["+f[9]+"]"] {
				all = append(all, f[1])
			}
		}
	}
	if len(all) < 2 {
		t.Errorf("found %q listening, want the port of calls and the console's", all)
	}
	return all
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
