package cluster

import (
	"context"
	"fmt"
	"slices"
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

// stream is what servers say of the stream of changes, when it is there and has a leader.
func stream(t *testing.T, server *setup.NATS) (info *jetstream.StreamInfo) {
	t.Helper()
	nc, err := nats.Connect(server.URL())
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(t, err)
	eventually(t, "the stream is there", func() bool { // nodes may have met before the servers have, which do not answer until then
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, "RINGFENCE_isp")
		if err == nil {
			info, err = s.Info(ctx)
		}
		return err == nil && info.Cluster != nil && info.Cluster.Leader != ""
	})
	return info
}

// travels lists a number on a node, and waits until another decides by that.
func travels(t *testing.T, when, number string, from, to *node) {
	t.Helper()
	from.add("blacklist", number)
	began := time.Now()
	if !within(45*time.Second, func() bool { return to.call(number, staff) }) {
		t.Fatalf("%s an edit on %s is not taken by %s within 45 s: %+v, %+v", when, from.name, to.name, from.report(), to.report())
	}
	t.Logf("figure: %s, an edit on %s is taken by %s after %v", when, from.name, to.name, time.Since(began).Round(time.Millisecond))
}

// Of three servers that are routes of each other any may be lost, that which leads the stream and those that nodes read by too: edits travel as before, and not
// only when lists are compared.
func TestRoutes(t *testing.T) {
	t.Parallel()
	servers := startRoutes(t, 3)
	a, b := newNode(t, "a", servers["nats1"].URL()).start(), newNode(t, "b", servers["nats2"].URL()).start()
	together(t, a, b)
	if info := stream(t, servers["nats1"]); info.Config.Replicas != 3 {
		t.Errorf("three servers keep the changes on %d", info.Config.Replicas)
	}
	i := 0
	for name, server := range servers {
		leader := stream(t, server).Cluster.Leader
		server.Kill()
		for range 3 { // one or another may come by a comparison
			for from, to := range map[*node]*node{a: b, b: a} {
				i++
				number := fmt.Sprintf("138000000%02d", i)
				travels(t, fmt.Sprintf("without %s (%s led the stream)", name, leader), number, from, to)
			}
		}
		server.Restart()
		eventually(t, name+" has what it missed", func() bool {
			info := stream(t, server)
			return len(info.Cluster.Replicas) == 2 && !slices.ContainsFunc(info.Cluster.Replicas, func(r *jetstream.PeerInfo) bool { return r.Offline || !r.Current })
		})
	}
}

// Two servers that are routes of each other keep changes on one: three would be needed. Without that one nodes hear each other still, and compare lists as soon as
// one of them cannot tell what it changed.
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
	servers[stream(t, servers["nats1"]).Cluster.Leader].Kill()
	for i, from := range []*node{a, b, a, b} {
		number, to := fmt.Sprintf("1380000000%d", i+1), []*node{b, a, b, a}[i]
		travels(t, "without the server that has the changes", number, from, to)
	}
	for _, n := range []*node{a, b} {
		if r := n.report(); r.Alone || r.Waiting == 0 || r.Why == "" {
			t.Errorf("%s does not say that its changes wait: %+v", n.name, r)
		}
	}
}
