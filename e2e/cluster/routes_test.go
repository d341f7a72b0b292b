package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ringfence/e2e/setup"
)

// startRoutes runs servers that are routes of each other, by their names.
func startRoutes(t *testing.T, many int) map[string]*setup.NATS {
	t.Helper()
	addresses := make([]string, many)
	routes := make([]string, many)
	for i := range addresses {
		addresses[i] = setup.FreeAddress(t)
		routes[i] = fmt.Sprintf("%q", "nats://"+addresses[i])
	}
	servers := map[string]*setup.NATS{}
	for i, address := range addresses {
		name := fmt.Sprintf("nats%d", i+1)
		servers[name] = setup.StartNATS(t, fmt.Sprintf("server_name: %s\ncluster { name: isp, listen: %q, routes: [%s] }", name, address, strings.Join(routes, ", ")))
	}
	return servers
}

// stream is what servers say of the stream of changes.
func stream(t *testing.T, server *setup.NATS) *jetstream.StreamInfo {
	t.Helper()
	nc, err := nats.Connect(server.URL())
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, "RINGFENCE_isp")
	must(t, err)
	info, err := s.Info(ctx)
	must(t, err)
	return info
}

// Of three servers that are routes of each other any may be lost, that which leads the stream too: edits travel as before, and not only when lists are compared.
func TestRoutes(t *testing.T) {
	t.Parallel()
	servers := startRoutes(t, 3)
	a, b := newNode(t, "a", servers["nats1"].URL()).start(), newNode(t, "b", servers["nats2"].URL()).start()
	together(t, a, b)
	info := stream(t, servers["nats1"])
	if info.Config.Replicas != 3 {
		t.Errorf("three servers keep the changes on %d", info.Config.Replicas)
	}
	leader := info.Cluster.Leader
	servers[leader].Kill()
	for i := range 5 { // one or another may come by a comparison
		number := fmt.Sprintf("1380000000%d", i)
		a.add("blacklist", number)
		if began := time.Now(); within(25*time.Second, func() bool { return b.call(number, staff) }) {
			t.Logf("figure: without %s, which led the stream, an edit is taken after %v", leader, time.Since(began).Round(time.Millisecond))
			continue
		}
		t.Fatalf("without %s, which led the stream, edit %d is not taken within 25 s: %+v", leader, i, a.report())
	}
	servers[leader].Restart()
	together(t, a, b)
}

// Two servers that are routes of each other keep changes on one: three would be needed.
func TestTwoRoutes(t *testing.T) {
	t.Parallel()
	servers := startRoutes(t, 2)
	a, b := newNode(t, "a", servers["nats1"].URL()).start(), newNode(t, "b", servers["nats2"].URL()).start()
	together(t, a, b)
	if info := stream(t, servers["nats1"]); info.Config.Replicas != 1 {
		t.Errorf("two servers keep the changes on %d", info.Config.Replicas)
	}
	a.add("blacklist", "13800000000")
	decides(t, "an edit", "13800000000", staff, true, b)
}
