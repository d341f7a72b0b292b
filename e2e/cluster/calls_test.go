package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringfence/e2e/setup"
	"ringfence/standin"
)

// How long calls take to be decided while the server is there, hangs, drops what is sent, is dead, comes back empty, has no room on its disk, or the other node
// is stopped, by turns, so that a run is held against itself.
func TestMeasureCalls(t *testing.T) {
	measured(t)
	pid := filepath.Join(t.TempDir(), "pid")
	g := &ground{server: setup.StartNATS(t, fmt.Sprintf("pid_file: %q", pid))}
	g.server.Kill()
	g.server.Disk("64m")
	g.server.Restart()
	g.meet(t, false)
	a, b := g.nodes[0], g.nodes[1]
	a.add("blacklist", listed)
	decides(t, "the listed caller", listed, staff, true, g.nodes...)
	took := map[string][]time.Duration{} // the 99th percentiles, a turn each
	turns := 0
	turn := func(what string) {
		turns++
		p50, p99 := a.calls(t, 10*time.Second, 50, fmt.Sprintf("9526%02d", turns))
		took[what] = append(took[what], p99)
		t.Logf("%s: p50 %v, p99 %v", what, p50, p99)
	}
	const usual = "all are there"
	faults := []struct {
		what             string
		harm, told, cure func()
	}{
		{"the server hangs", g.server.Stop, a.isAlone, g.server.Cont},
		{"the server's port drops what is sent", a.wire.Hold, a.isAlone, a.wire.Mend},
		{"the server is dead", g.server.Kill, a.isAlone, g.server.Restart},
		{"the server comes back empty", func() { g.server.Kill(); g.server.Wipe(); g.server.Restart() }, func() {}, func() {}},
		{"the server's disk is full", func() { g.full(t, pid) }, func() {
			if r := a.report(); r.Waiting < 5 {
				t.Errorf("edits of ten seconds, with the server's disk full, and %+v", r)
			}
		}, func() { g.server.Kill(); g.server.Restart() }},
		{"the other node is stopped", func() { b.p.Cmd.Process.Signal(syscall.SIGSTOP) }, func() {
			if r := a.report(); r.Alone || len(r.Nodes) != 1 || r.Nodes[0].Alone.IsZero() {
				t.Errorf("the other node is stopped for ten seconds, and %+v", r)
			}
		}, func() { b.p.Cmd.Process.Signal(syscall.SIGCONT) }},
	}
	for range 3 {
		for _, f := range faults {
			turn(usual)
			f.harm()
			turn(f.what)
			f.told()
			f.cure()
			together(t, g.nodes...)
		}
	}
	s, err := a.desk.Status(t.Context())
	must(t, err)
	unscreened := uint64(0)
	for _, many := range s.FailOpen {
		unscreened += many
	}
	if unscreened != 0 {
		t.Errorf("%d of %d calls were let through unscreened: %v", unscreened, s.Calls, s.FailOpen)
	}
	there := took[usual]
	var said []string
	for _, f := range faults {
		said = append(said, fmt.Sprintf("%s %.2f", f.what, ratio(middle(took[f.what]), middle(there))))
		if most, usual := slices.Max(took[f.what]), slices.Max(there); most > 2*usual+10*time.Millisecond { // beyond what the run shows against itself
			t.Errorf("where %s the 99th call takes %v, else %v", f.what, took[f.what], there)
		}
	}
	t.Logf("figure: the 99th of 100 calls takes %v at 50 a second, %.2f to %.2f of that in turns of one run; where %s of it; %d of %d calls unscreened",
		middle(there).Round(10*time.Microsecond), ratio(slices.Min(there), middle(there)), ratio(slices.Max(there), middle(there)), strings.Join(said, ", "), unscreened, s.Calls)
}

// isAlone holds that a node has seen what was wrong for ten seconds.
func (n *node) isAlone() {
	n.t.Helper()
	if r := n.report(); !r.Alone {
		n.t.Errorf("%s is not alone: %+v", n.name, r)
	}
}

// full leaves no room on the server's disk, until it is started anew, and waits until it has taken notice.
func (g *ground) full(t *testing.T, pid string) {
	t.Helper()
	small(t, pid, "sh", "-c", `cat /dev/zero >"$0" 2>/dev/null; [ -s "$0" ]`, filepath.Join(g.server.Folder, "store", "ballast"))
	a, i := g.nodes[0], 0
	eventually(t, "the server takes no changes with a full disk", func() bool {
		a.add("calls", fmt.Sprintf("9527%04d", i))
		i++
		return a.report().Waiting > 0
	})
}

// calls places so many calls a second, whether or not earlier ones are decided, with an edit each second, of numbers that begin so, and says how long they took:
// at the median and at the 99th of 100.
func (n *node) calls(t *testing.T, span time.Duration, rate int, edits string) (p50, p99 time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), span+time.Minute)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var work sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	many := int(span.Seconds()) * rate
	for i := range many {
		<-tick.C
		if i%rate == 0 {
			work.Go(func() { n.add("calls", fmt.Sprintf("%s%02d", edits, i/rate)) })
		}
		work.Go(func() {
			from := []string{wanted, listed}[i%2]
			r, err := n.sw.Place(ctx, standin.Call{From: from, To: staff, Profile: "external"})
			if err != nil || r.Rang != (from == wanted) || len(r.ProtocolErrors) > 0 {
				t.Errorf("%s: a call of %s: %+v, %v", n.name, from, r, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, r.Took)
		})
	}
	work.Wait()
	if len(took) < many {
		t.Fatalf("%d of %d calls", len(took), many)
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

func middle(of []time.Duration) time.Duration {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
