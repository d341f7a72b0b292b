package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
)

// listsEditEnv makes this test binary a command that edits a list while no daemon runs, for a process of its own to be measured.
const listsEditEnv = "RINGFENCE_LISTS_EDIT"

// Bounds of an edit without a daemon, however long the list is: people and scripts wait for it.
const (
	maxEditTime   = 300 * time.Millisecond
	maxEditMemory = 64 << 20
)

// listsEdit adds one number to a list. It says on standard output how long that took since the process began, in milliseconds, and how much
// memory it had at most, in KiB.
func listsEdit(file string) {
	began := processStart()
	c, err := conf.LoadDaemon(file)
	if err == nil {
		var d *Front
		if d, err = OpenDesk(c, false, slog.New(slog.DiscardHandler)); err == nil {
			_, err = d.AddEntries(context.Background(), "blacklist", []console.NewEntry{{Number: fmt.Sprint("9588", os.Getpid()%10_000)}}, false)
			d.Close()
		}
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	took := time.Since(began)
	status, _ := os.ReadFile("/proc/self/status")
	_, most, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Println("edited", took.Milliseconds(), strings.Fields(most)[0])
}

// editRow measures an edit of a list of n numbers without a daemon, the best of three, for other work on the machine.
func editRow(t *testing.T, file string, n int) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	took, memory := time.Hour, int64(1<<62)
	for range 3 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), listsEditEnv+"="+file)
		out, err := cmd.CombinedOutput()
		words := strings.Fields(string(out))
		if err != nil || len(words) != 3 || words[0] != "edited" {
			t.Fatalf("the edit ends with %v and %q", err, out)
		}
		ms, err1 := strconv.Atoi(words[1])
		kib, err2 := strconv.ParseInt(words[2], 10, 64)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		took, memory = min(took, time.Duration(ms)*time.Millisecond), min(memory, kib<<10)
	}
	if took > maxEditTime || memory > maxEditMemory {
		t.Errorf("an edit of a list of %d numbers took %v and %d bytes, want %v and %d at most", n, took, memory, maxEditTime, maxEditMemory)
	}
	return fmt.Sprintf("| %d | %d ms | %.1f MB |", n, took.Milliseconds(), float64(memory)/1e6)
}
