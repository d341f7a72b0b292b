package cluster

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringfence/cmd"
	"ringfence/console"
	"ringfence/e2e/setup"
	"ringfence/standin"
)

// ground is where something goes wrong: a server, and two nodes that have met, of which the first is in a process of its own.
type ground struct {
	server *setup.NATS
	nodes  []*node
}

// fault is something that goes wrong for a while.
type fault struct {
	name  string
	alone []string // the nodes that are alone meanwhile
	quiet string   // the node that makes no calls and takes no edits meanwhile
	begin func(g *ground)
	end   func(g *ground)
}

var faults = []fault{
	{"the server is killed", []string{"a", "b"}, "", func(g *ground) { g.server.Kill() }, func(g *ground) { g.server.Restart() }},
	{"the server hangs", []string{"a", "b"}, "", func(g *ground) { g.server.Stop() }, func(g *ground) { g.server.Cont() }},
	{"the server loses all", []string{"a", "b"}, "", func(g *ground) { g.server.Kill(); g.server.Wipe() }, func(g *ground) { g.server.Restart() }},
	{"the network drops all of one node", []string{"b"}, "", func(g *ground) { g.nodes[1].wire.Hold() }, func(g *ground) { g.nodes[1].wire.Mend() }},
	{"a node stops", nil, "a", func(g *ground) { g.nodes[0].p.Cmd.Process.Signal(syscall.SIGSTOP) }, func(g *ground) { g.nodes[0].p.Cmd.Process.Signal(syscall.SIGCONT) }},
	{"a node is killed", nil, "a", func(g *ground) { g.nodes[0].p.Kill() }, func(g *ground) { g.nodes[0].startApart() }},
}

// Whatever dies, each call is screened by what its node knows, edits are taken, and are everywhere when it is over. Who is alone says so, and since when.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel() // each waits most of the time
			g := startGround(t)
			traffic := startTraffic(t, g.nodes, f.quiet)
			w := &want{lists: map[string]bool{}}
			w.edit(g.nodes, "before", "")
			w.check(t, g.nodes)
			began := time.Now()
			f.begin(g)
			w.edit(g.nodes, "meanwhile", f.quiet)
			for _, n := range g.nodes {
				g.noticed(t, n, &f, began)
			}
			w.edit(g.nodes, "known", f.quiet)
			f.end(g)
			w.edit(g.nodes, "at the end", "")
			together(t, g.nodes...)
			w.check(t, g.nodes)
			for _, n := range g.nodes {
				if out, code := n.command("cluster", "status"); code != 0 || strings.Contains(out, "ALONE") {
					t.Errorf("%s says when it is over, with %d:\n%s", n.name, code, out)
				}
			}
			traffic.end()
		})
	}
}

func startGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{server: setup.StartNATS(t)}
	g.meet(t, true)
	return g
}

// meet starts its nodes, the second in this process or in one of its own, and waits until they have met.
func (g *ground) meet(t *testing.T, here bool) {
	t.Helper()
	for _, name := range []string{"a", "b"} {
		w := setup.NewWire(t, g.server.Address)
		n := newNode(t, name, "nats://"+w.Address)
		n.wire = w
		g.nodes = append(g.nodes, n)
	}
	g.nodes[0].startApart()
	if here {
		g.nodes[1].start()
	} else {
		g.nodes[1].startApart()
	}
	together(t, g.nodes...)
}

// noticed waits until a node says how it stands while something is wrong.
func (g *ground) noticed(t *testing.T, n *node, f *fault, began time.Time) {
	t.Helper()
	alone := strings.Contains(strings.Join(f.alone, " "), n.name)
	switch {
	case f.quiet == n.name:
	case alone:
		eventually(t, n.name+" says that it is alone", func() bool { return n.report().Alone })
		if r := n.report(); r.Since.Before(began.Add(-10*time.Second)) || r.Since.After(time.Now()) || r.Why == "" {
			t.Errorf("%s is alone since %v, because of %q; it began at %v", n.name, r.Since, r.Why, began)
		}
		eventually(t, n.name+" says how many changes wait", func() bool { return n.report().Waiting > 0 })
		if out, code := n.command("cluster", "status"); code != 1 || !strings.Contains(out, "ALONE") {
			t.Errorf("%s says, with %d:\n%s", n.name, code, out)
		}
	default:
		eventually(t, n.name+" says that it does not hear the other", func() bool {
			r := n.report()
			return !r.Alone && len(r.Nodes) == 1 && !r.Nodes[0].Alone.IsZero()
		})
	}
}

// command runs one of the program's, and gives what it printed and its exit status.
func (n *node) command(args ...string) (string, int) {
	var out bytes.Buffer
	code := cmd.Main(append([]string{"--config", n.p.File}, args...), strings.NewReader(""), &out, &out)
	return out.String(), code
}

// want is what lists should have, by the edits that were acknowledged.
type want struct {
	lists map[string]bool // by number: on the list, or taken off
	n     int
}

// edit puts numbers on lists of all nodes but one, and takes some off again that another node has put there.
func (w *want) edit(nodes []*node, when, but string) {
	for i, n := range nodes {
		if n.name == but {
			continue
		}
		for range 5 {
			w.n++
			number := fmt.Sprintf("9522%04d", w.n)
			n.add("blacklist", number)
			w.lists[number] = true
			if when != "before" && w.n%3 == 0 { // one of long ago, which each node has
				old := fmt.Sprintf("9522%04d", 1+w.n/3%10)
				nodes[i].remove("blacklist", old)
				w.lists[old] = false
			}
		}
	}
}

// check waits until all nodes have what was acknowledged, and nothing else.
func (w *want) check(t *testing.T, nodes []*node) {
	t.Helper()
	for _, n := range nodes {
		var missing []string
		if !within(time.Minute, func() bool { missing = w.missing(t, n); return missing == nil }) {
			t.Fatalf("%s: %v", n.name, missing)
		}
	}
}

// missing is what a node has not of what was acknowledged, or has besides.
func (w *want) missing(t *testing.T, n *node) (missing []string) {
	t.Helper()
	w.lists[listed] = true
	left := maps.Clone(w.lists)
	maps.DeleteFunc(left, func(_ string, on bool) bool { return !on })
	must(t, n.desk.Entries(t.Context(), "blacklist", func(e console.ListEntry) error {
		number := strings.TrimPrefix(e.Number, "+86")
		if !left[number] {
			missing = append(missing, "too much: "+number)
		}
		delete(left, number)
		return nil
	}))
	for number := range left {
		missing = append(missing, "not there: "+number)
	}
	return missing
}

const (
	listed = "95211613"
	wanted = "13800138000"
)

// traffic is calls to nodes, again and again, whose decision is known.
type traffic struct {
	t     *testing.T
	nodes []*node
	calls map[*node]*[2]int // that should ring, and that should not
	stop  context.CancelFunc
	work  sync.WaitGroup
}

func startTraffic(t *testing.T, nodes []*node, but string) *traffic {
	t.Helper()
	nodes[0].add("blacklist", listed)
	decides(t, "the listed caller", listed, staff, true, nodes...)
	ctx, cancel := context.WithCancel(t.Context())
	tr := &traffic{t: t, calls: map[*node]*[2]int{}, stop: cancel}
	t.Cleanup(tr.over)
	for _, n := range nodes {
		if n.name == but {
			continue
		}
		tr.nodes = append(tr.nodes, n)
		calls := new([2]int)
		tr.calls[n] = calls
		tr.work.Go(func() { tr.run(ctx, n, calls) })
	}
	return tr
}

func (tr *traffic) run(ctx context.Context, n *node, calls *[2]int) {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		from := []string{wanted, listed}[i%2]
		calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		r, err := n.sw.Place(calling, standin.Call{From: from, To: staff, Profile: "external"})
		cancel()
		if err != nil || r.Rang != (from == wanted) || len(r.ProtocolErrors) > 0 {
			tr.t.Errorf("%s: a call of %s: %+v, %v", n.name, from, r, err)
		}
		calls[i%2]++
	}
}

func (tr *traffic) over() { tr.stop(); tr.work.Wait() }

// end holds that no call went through unscreened, and that each has its record.
func (tr *traffic) end() {
	tr.t.Helper()
	tr.over()
	for _, n := range tr.nodes {
		s, err := n.desk.Status(tr.t.Context())
		must(tr.t, err)
		for reason, many := range s.FailOpen {
			if many != 0 {
				tr.t.Errorf("%s: %d calls were let through: %s", n.name, many, reason)
			}
		}
		ring, stop := tr.calls[n][0], tr.calls[n][1]
		if ring < 20 || stop < 20 {
			tr.t.Errorf("%s had %d and %d calls", n.name, ring, stop)
		}
		var by map[string]int
		eventually(tr.t, n.name+" has a record of each call", func() bool {
			by = map[string]int{}
			must(tr.t, n.desk.Journal(tr.t.Context(), console.Query{}, func(r console.Record) error {
				by[r.Action+" by "+r.Rule] += 1 + r.Repeats
				return nil
			}))
			return by["reject by listed"] >= stop && by["allow by default"] >= ring
		})
		tr.t.Logf("%s: %v", n.name, by)
	}
}
