package cluster

import (
	"fmt"
	"strings"
	"testing"

	"ringfence/console"
	"ringfence/e2e/setup"
)

// The server's disk is full: nodes say that changes wait and why, go on, and are level when there is room again. It is by itself, for imports keep a machine
// busy.
func TestServerDiskFull(t *testing.T) {
	measured(t) // it takes minutes at times: what is missing comes by comparing lists
	g := &ground{server: setup.StartNATS(t)}
	g.server.Kill()
	g.server.Disk("1m")
	g.server.Restart()
	g.nodes = startNodes(t, g.server, 2)
	a, b := g.nodes[0], g.nodes[1]
	traffic := startTraffic(t, g.nodes, "")
	for i := 0; ; i++ {
		if i == 100 {
			t.Fatal("the disk does not become full")
		}
		var file strings.Builder
		for k := range 10_000 { // spread, so that little can be packed
			fmt.Fprintf(&file, "952%07d\n", (i*10_000+k)*7919%10_000_000)
		}
		_, err := a.desk.Import(t.Context(), console.ImportQuery{List: "bought", File: fmt.Sprintf("part %d", i)}, strings.NewReader(file.String()))
		must(t, err)
		if r := a.report(); r.Waiting > 0 || strings.Contains(g.server.Log(), "DISABLED") {
			break
		}
	}
	w := &want{lists: map[string]bool{}}
	w.edit(g.nodes, "before", "")
	for _, n := range g.nodes {
		eventually(t, n.name+" says that changes wait, and why", func() bool { r := n.report(); return r.Waiting >= 5 && r.Why != "" })
	}
	g.server.Kill()
	g.server.Disk("")
	g.server.Restart()
	together(t, g.nodes...)
	w.check(t, g.nodes)
	eventually(t, "both have what was imported", func() bool { one, two := count(t, a, "bought"), count(t, b, "bought"); return one == two && one > 0 })
	traffic.end()
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
