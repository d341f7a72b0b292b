package cluster

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/setup"
)

// The server's disk is full: nodes say that changes wait and why, go on, and are level when there is room again and the server was started anew, whether it
// still has what it had or not. It is by itself, for imports keep a machine busy.
func TestServerDiskFull(t *testing.T) {
	measured(t)
	t.Run("its store is kept", func(t *testing.T) { diskFull(t, true) })
	t.Run("its store is lost", func(t *testing.T) { diskFull(t, false) })
}

func diskFull(t *testing.T, kept bool) {
	pid := filepath.Join(t.TempDir(), "pid")
	g := &ground{server: setup.StartNATS(t, fmt.Sprintf("pid_file: %q", pid))}
	g.server.Kill()
	g.server.Disk("1m")
	g.server.Restart()
	g.nodes = startNodes(t, g.server, 2)
	a, b := g.nodes[0], g.nodes[1]
	traffic := startTraffic(t, g.nodes, "")
	fill(t, a, g.server)
	w := &want{lists: map[string]bool{}}
	w.edit(g.nodes, "before", "")
	for _, n := range g.nodes {
		eventually(t, n.name+" says that changes wait, and why", func() bool { r := n.report(); return r.Waiting >= 5 && r.Why != "" })
	}
	level := func() bool {
		one, two := count(t, a, "bought"), count(t, b, "bought")
		return one == two && one > 0 && w.missing(t, a) == nil && w.missing(t, b) == nil
	}
	if kept {
		store := filepath.Join(g.server.Folder, "store")
		small(t, pid, "mount", "-o", "remount,size=64m", store)
		if within(10*time.Second, level) {
			t.Log("figure: a server whose disk has room again goes on by itself")
		} else { // as 2.9.10, which holds a lock for ever
			t.Logf("figure: a server whose disk has room again does not go on by itself; a says %q, b %q", a.report().Why, b.report().Why)
		}
		keep := store + "-kept"
		small(t, pid, "cp", "-a", store, keep) // what is on it goes with the server
		g.server.Kill()
		must(t, os.RemoveAll(store))
		must(t, os.Rename(keep, store))
	} else {
		g.server.Kill()
	}
	g.server.Disk("")
	g.server.Restart()
	begun := time.Now()
	eventually(t, "both have all", level)
	t.Logf("figure: with room and started anew, both nodes have all after %v (store kept: %v)", time.Since(begun).Round(100*time.Millisecond), kept)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	together(t, g.nodes...)
	traffic.end()
}

// fill imports on a node until the server does not take it any more.
func fill(t *testing.T, a *node, server *setup.NATS) {
	t.Helper()
	for i := range 100 {
		var file strings.Builder
		for k := range 10_000 { // spread, so that little can be packed
			fmt.Fprintf(&file, "952%07d\n", (i*10_000+k)*7919%10_000_000)
		}
		_, err := a.desk.Import(t.Context(), console.ImportQuery{List: "bought", File: fmt.Sprintf("part %d", i)}, strings.NewReader(file.String()))
		must(t, err)
		if r := a.report(); r.Waiting > 0 || strings.Contains(server.Log(), "DISABLED") {
			return
		}
	}
	t.Fatal("the disk does not become full")
}

// small does something where a server's small disk is to be seen: beside its process.
func small(t *testing.T, pid string, args ...string) {
	t.Helper()
	text, err := os.ReadFile(pid)
	must(t, err)
	args = append([]string{"-t", strings.TrimSpace(string(text)), "-U", "-m", "--preserve-credentials"}, args...)
	if out, err := exec.CommandContext(t.Context(), "nsenter", args...).CombinedOutput(); err != nil {
		t.Fatalf("nsenter %v: %v: %s", args, err, out)
	}
}

// What a server has taken and nobody has read is lost with its store: nodes find it by comparing lists, at once, though their sums are of before.
func TestServerLosesUnread(t *testing.T) {
	t.Parallel()
	monitor := setup.FreeAddress(t)
	server := setup.StartNATS(t, fmt.Sprintf("http: %q", monitor))
	nodes := startNodes(t, server, 2)
	a, b := nodes[0], nodes[1]
	for i := range 4 {
		b.wire.Hold()
		had := messages(t, monitor)
		a.add("blacklist", fmt.Sprintf("95212%03d", i))
		a.add("blacklist", fmt.Sprintf("95213%03d", i))
		eventually(t, "the server has what was told", func() bool { return messages(t, monitor) == had+2 })
		b.wire.Cut()
		server.Kill()
		server.Wipe()
		b.wire.Mend()
		server.Restart()
		b.has("blacklist", 2*(i+1), 30*time.Second) // lists are compared each minute, else
		togetherWithin(t, 30*time.Second, nodes...)
	}
}

// messages is how many changes the server's store has.
func messages(t *testing.T, monitor string) int {
	t.Helper()
	r, err := http.Get("http://" + monitor + "/jsz")
	must(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	must(t, err)
	m := regexp.MustCompile(`"messages": (\d+)`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("the server's monitor says %s", text)
	}
	n, err := strconv.Atoi(string(m[1]))
	must(t, err)
	return n
}

// count is how many entries a list of a node has.
func count(t *testing.T, n *node, list string) int {
	t.Helper()
	all, err := n.desk.Lists(t.Context())
	must(t, err)
	for i := range all {
		if all[i].List == list {
			return all[i].Entries
		}
	}
	return 0
}
