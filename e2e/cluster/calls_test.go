package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/standin"
)

// How long calls take to be decided while the server is there, hangs, drops what is sent, is dead and comes back empty, by turns, so that a run is held against
// itself.
func TestMeasureCalls(t *testing.T) {
	measured(t)
	g := startGround(t)
	a := g.nodes[0]
	a.add("blacklist", listed)
	decides(t, "the listed caller", listed, staff, true, g.nodes...)
	took := map[string][]time.Duration{} // the 99th percentiles, a turn each
	turn := func(server string) {
		p50, p99 := a.calls(t, 10*time.Second, 50)
		took[server] = append(took[server], p99)
		t.Logf("the server %s: p50 %v, p99 %v", server, p50, p99)
	}
	faults := []struct {
		server     string
		harm, cure func()
	}{
		{"hangs", g.server.Stop, g.server.Cont},
		{"drops what is sent", a.wire.Hold, a.wire.Mend},
		{"is dead", g.server.Kill, g.server.Restart},
		{"comes back empty", func() { g.server.Kill(); g.server.Wipe(); g.server.Restart() }, func() {}},
	}
	for range 3 {
		for _, f := range faults {
			turn("is there")
			f.harm()
			turn(f.server)
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
	there := took["is there"]
	var said []string
	for _, f := range faults {
		said = append(said, fmt.Sprintf("%s %.2f", f.server, ratio(middle(took[f.server]), middle(there))))
		if most, usual := slices.Max(took[f.server]), slices.Max(there); most > 2*usual+10*time.Millisecond { // beyond what the run shows against itself
			t.Errorf("with a server that %s the 99th call takes %v, else %v", f.server, took[f.server], there)
		}
	}
	t.Logf("figure: the 99th of 100 calls takes %v at 50 a second, %.2f to %.2f of that in turns of one run; where the server %s of it; %d of %d calls unscreened",
		middle(there).Round(10*time.Microsecond), ratio(slices.Min(there), middle(there)), ratio(slices.Max(there), middle(there)), strings.Join(said, ", "), unscreened, s.Calls)
}

// calls places so many calls a second, whether or not earlier ones are decided, with an edit each second, and says how long they took: at the median and at
// the 99th of 100.
func (n *node) calls(t *testing.T, span time.Duration, rate int) (p50, p99 time.Duration) {
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
			work.Go(func() { n.add("calls", fmt.Sprintf("9526%04d", i/rate)) })
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
