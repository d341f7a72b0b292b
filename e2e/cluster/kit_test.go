package cluster

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/setup"
	"ringfence/standin"
)

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // tests wait most of the time
	os.Exit(setup.Main(m.Run))
}

// policy is what each node decides by.
const policy = `country = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550499"]
[[detector]]
name = "range wakes"
key = "prefix"
depth = { 6 = 6 }
count = "strangers"
window = "20m"
hold = "12h"
max_share = 1
[[rule]]
name = "own allow"
when = { list = ["line:allowlist"] }
action = "allow"
[[rule]]
name = "own block"
when = { list = ["line:blacklist"] }
action = "reject"
[[rule]]
name = "trusted"
when = { list = ["allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "campaign under way"
when = { tripped = ["range wakes"] }
action = "reject"
`

// staff is a number that the policy's lines have.
const staff = "05925550100"

// node is a daemon of a cluster, in this process or in one of its own.
type node struct {
	t    *testing.T
	name string
	p    *setup.Process
	wire *setup.Wire     // between it and the server; nil: there is none to break
	desk *console.Client // by its socket, as commands come
	sw   *standin.Switch

	halt func() // ends one in this process
}

// newNode writes an installation; start or startApart runs it.
func newNode(t *testing.T, name, server string, settings ...string) *node {
	t.Helper()
	p := setup.NewProcess(t, t.TempDir(), setup.FreeAddress(t), policy, append(settings, fmt.Sprintf("[cluster]\nname = \"isp\"\nservers = [%q]", server))...)
	text, err := os.ReadFile(p.File)
	must(t, err)
	must(t, os.WriteFile(p.File, append(fmt.Appendf(nil, "node = %q\n", name), text...), 0o644))
	sw := &standin.Switch{Address: p.Address, Speed: 100, SoundLength: func(string) (time.Duration, bool) { return 0, false }}
	return &node{t: t, name: name, p: p, sw: sw}
}

// start runs it in this process.
func (n *node) start() *node {
	n.t.Helper()
	c, err := conf.LoadDaemon(n.p.File)
	must(n.t, err)
	d, err := daemon.Start(n.t.Context(), c, "e2e", slog.New(slog.NewTextHandler(n.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("node", n.name))
	must(n.t, err)
	n.halt = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			n.t.Error(err)
		}
	})
	n.t.Cleanup(n.halt)
	return n.dial()
}

// startApart runs it in a process of its own.
func (n *node) startApart() *node {
	n.t.Helper()
	n.p.Start(0)
	return n.dial()
}

func (n *node) dial() *node {
	n.t.Helper()
	c, err := conf.LoadDaemon(n.p.File)
	must(n.t, err)
	n.desk, err = console.Dial(n.t.Context(), c.Socket)
	must(n.t, err)
	n.t.Cleanup(func() { n.desk.Close() })
	return n
}

// startNodes runs so many in this process, called a, b, c, each by a wire of its own, and waits until they have met.
func startNodes(t *testing.T, server *setup.NATS, many int, settings ...string) []*node {
	t.Helper()
	nodes := make([]*node, many)
	for i := range nodes {
		w := setup.NewWire(t, server.Address)
		nodes[i] = newNode(t, string(rune('a'+i)), "nats://"+w.Address, settings...).start()
		nodes[i].wire = w
	}
	together(t, nodes...)
	return nodes
}

// together waits until each node hears each other one, and their lists are the same.
func together(t *testing.T, nodes ...*node) {
	t.Helper()
	togetherWithin(t, 3*time.Minute, nodes...) // lists are compared each minute
}

func togetherWithin(t *testing.T, most time.Duration, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		var r *console.ClusterReport
		if within(most, func() bool {
			r = n.report()
			here := 0
			for i := range r.Nodes {
				if o := &r.Nodes[i]; o.Alone.IsZero() && o.Lists == console.ListsSame && o.Lag == 0 {
					here++
				}
			}
			return !r.Alone && r.Waiting == 0 && here == len(nodes)-1
		}) {
			continue
		}
		t.Fatalf("%s has not the same lists as all others within %v: %+v", n.name, most, r)
	}
}

func (n *node) report() *console.ClusterReport {
	n.t.Helper()
	r, err := n.desk.Cluster(n.t.Context())
	must(n.t, err)
	return r
}

// call places a call on it, through the switch, and reports whether it was stopped.
func (n *node) call(from, to string) (stopped bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	r, err := n.sw.Place(ctx, standin.Call{From: from, To: to, Profile: "external"})
	if err != nil || r.Stuck || len(r.ProtocolErrors) > 0 {
		n.t.Errorf("%s: the call of %s to %s: %+v, %v", n.name, from, to, r, err)
	}
	return !r.Rang
}

// decides waits until nodes stop calls of a caller, or let them ring.
func decides(t *testing.T, what, from, to string, stopped bool, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, fmt.Sprintf("%s: the call of %s to %s on %s is stopped: %v", what, from, to, n.name, stopped), func() bool { return n.call(from, to) == stopped })
	}
}

// add puts numbers on a list, acknowledged when it returns.
func (n *node) add(list string, numbers ...string) {
	n.t.Helper()
	entries := make([]console.NewEntry, len(numbers))
	for i, number := range numbers {
		entries[i] = console.NewEntry{Number: number, Reason: "by " + n.name}
	}
	_, err := n.desk.AddEntries(n.t.Context(), list, entries, false)
	must(n.t, err)
}

func (n *node) remove(list string, numbers ...string) {
	n.t.Helper()
	_, err := n.desk.RemoveEntries(n.t.Context(), list, numbers, true)
	must(n.t, err)
}

// within waits for something to be so, and reports whether it came to be.
func within(d time.Duration, so func() bool) bool {
	for end := time.Now().Add(d); !so(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// eventually waits for something to be so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	if !within(time.Minute, so) {
		t.Fatalf("not so within a minute: %s", what)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
