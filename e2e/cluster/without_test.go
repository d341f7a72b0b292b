package cluster

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"ringfence/e2e/setup"
)

// A node without [cluster] has nothing of it running, and is no part of the cluster that others are.
//
// It is not beside others, whose nodes are in the same process.
func TestWithout(t *testing.T) {
	if !within(20*time.Second, func() bool { return clusterWork() == "" }) {
		t.Fatalf("what the tests before have run goes on:\n%s", clusterWork())
	}
	without := newNode(t, "z", "nats://127.0.0.1:1")
	text, err := os.ReadFile(without.p.File)
	must(t, err)
	before, _, _ := strings.Cut(string(text), "[cluster]")
	must(t, os.WriteFile(without.p.File, []byte(before), 0o644))
	without.start()
	without.add("blacklist", listed)
	decides(t, "its own list", listed, staff, true, without)
	if work := clusterWork(); work != "" {
		t.Errorf("a node without a cluster runs\n%s", work)
	}
	if out, code := without.command("cluster", "status"); code == 0 {
		t.Errorf("it has a cluster: %s", out)
	}
	startNodes(t, setup.StartNATS(t), 2)
	if clusterWork() == "" {
		t.Error("nodes of a cluster run nothing of it: this test sees nothing")
	}
}

// clusterWork are the goroutines of this process that are of a cluster, or of a connection to a server.
func clusterWork() string {
	b := make([]byte, 8<<20)
	b = b[:runtime.Stack(b, true)]
	var found []string
	for _, g := range strings.Split(string(b), "\n\n") {
		if strings.Contains(g, "ringfence/cluster.") || strings.Contains(g, "nats%2ego.(*Conn).readLoop") {
			found = append(found, g)
		}
	}
	return strings.Join(found, "\n\n")
}
