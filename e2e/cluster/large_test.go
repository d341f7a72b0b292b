package cluster

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/setup"
)

// spread is a file of so many numbers, from one on, in the order of nothing.
func spread(from, many int) io.Reader {
	r, w := io.Pipe()
	go func() {
		var b []byte
		for i := range many {
			b = append(strconv.AppendInt(append(b, '1'), 3_000_000_000+int64(from+i)*7_919%6_000_000_000, 10), '\n')
			if len(b) > 1<<16 || i == many-1 {
				if _, err := w.Write(b); err != nil {
					return
				}
				b = b[:0]
			}
		}
		w.Close()
	}()
	return r
}

func (n *node) importAll(list, file string, from, many int) {
	n.t.Helper()
	_, err := n.desk.Import(n.t.Context(), console.ImportQuery{List: list, File: file, Force: true}, spread(from, many))
	must(n.t, err)
}

// has waits until a node's list has so many entries and calls are decided by it, and says how long that took.
func (n *node) has(list string, many int, most time.Duration) time.Duration {
	n.t.Helper()
	begun := time.Now()
	for count(n.t, n, list) != many {
		if time.Since(begun) > most {
			n.t.Fatalf("%s has %d of %d entries of %s after %v: %+v", n.name, count(n.t, n, list), many, list, most, n.report())
		}
		<-time.After(50 * time.Millisecond)
	}
	return time.Since(begun)
}

// How long a node takes that was away for 100,000 edits, a thousand a change and each a change; and how long theirs take that were made where no server was
// reached.
func TestMeasureAway(t *testing.T) {
	measured(t)
	t.Run("a thousand a change", func(t *testing.T) { away(t, 100_000, 1000, false) })
	t.Run("each a change", func(t *testing.T) { away(t, 100_000, 1, false) })
	t.Run("by a node that was alone", func(t *testing.T) { away(t, 100_000, 1, true) })
}

func away(t *testing.T, many, together int, alone bool) {
	nodes := startNodes(t, setup.StartNATS(t), 2)
	a, b := nodes[0], nodes[1]
	b.halt()
	if alone {
		a.wire.Cut()
	}
	begun := time.Now()
	var next atomic.Int64
	var edits sync.WaitGroup
	for range 32 { // who edits at the same time shares a write to disk
		edits.Go(func() {
			for {
				from := int(next.Add(int64(together))) - together
				if from >= many {
					return
				}
				entries := make([]console.NewEntry, together)
				for k := range entries {
					entries[k].Number = fmt.Sprintf("139%08d", (from+k)*97%100_000_000)
				}
				if _, err := a.desk.AddEntries(t.Context(), "blacklist", entries, false); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	edits.Wait()
	made := time.Since(begun)
	if alone {
		a.wire.Mend()
	}
	begun = time.Now()
	b.start()
	up := time.Since(begun)
	b.has("blacklist", many, 5*time.Minute)
	took := time.Since(begun)
	t.Logf("figure: after %d edits, %d a change, made in %v (alone: %v), the node that was away is level %v after its start (%v of that until it takes calls)", many, together, made.Round(time.Second), alone, took.Round(10*time.Millisecond), up.Round(10*time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// How long a new node takes to have lists of ten million numbers.
func TestMeasureNewNode(t *testing.T) {
	measured(t)
	const many = 10_000_000
	server := setup.StartNATS(t)
	a := newNode(t, "a", server.URL()).startApart()
	begun := time.Now()
	a.importAll("blacklist", "all", 0, many)
	t.Logf("imported in %v", time.Since(begun))
	a.has("blacklist", many, time.Minute)
	b := newNode(t, "b", server.URL())
	begun = time.Now()
	b.startApart()
	b.has("blacklist", many, 20*time.Minute)
	b.until("13000000000", true)
	took := time.Since(begun)
	t.Logf("figure: a new node decides by %d numbers %v after its start; it has %s of memory, and %s at most", many, took.Round(100*time.Millisecond), b.resident("VmRSS"), b.resident("VmHWM"))
}

// Most of a large list is taken off on one node: it goes on all, and nothing of it comes back.
func TestMeasureRemoval(t *testing.T) {
	measured(t)
	const many, stay = 6_000_000, 4_500_000 // less than max_change
	nodes := startNodes(t, setup.StartNATS(t), 2)
	a, b := nodes[0], nodes[1]
	a.importAll("blacklist", "all", 0, many)
	a.has("blacklist", many, time.Minute)
	b.has("blacklist", many, 5*time.Minute)
	begun := time.Now()
	_, err := a.desk.Import(t.Context(), console.ImportQuery{List: "blacklist", File: "all", Replace: true, Force: true}, spread(0, stay))
	must(t, err)
	b.has("blacklist", stay, 5*time.Minute)
	took := time.Since(begun)
	together(t, a, b)
	if one, two := count(t, a, "blacklist"), count(t, b, "blacklist"); one != stay || two != stay {
		t.Fatalf("%d and %d entries when all were compared, want %d", one, two, stay)
	}
	t.Logf("figure: %d of %d entries that are taken off on one node are gone from another %v later", many-stay, many, took.Round(100*time.Millisecond))
}

// resident is how much memory a node has, in a process of its own.
func (n *node) resident(what string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.p.Cmd.Process.Pid))
	must(n.t, err)
	m := regexp.MustCompile(what + `:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		return "?"
	}
	kb, _ := strconv.Atoi(string(m[1]))
	return fmt.Sprintf("%d MB", kb/1024)
}

// What a node sends and gets at rest, and with 500 calls a second.
func TestMeasureBytes(t *testing.T) {
	measured(t)
	monitor := setup.FreeAddress(t)
	server := setup.StartNATS(t, fmt.Sprintf("http: %q", monitor))
	nodes := startNodes(t, server, 2)
	rate := func() string {
		const span = 10 * time.Second
		before := traffics(t, monitor)
		<-time.After(span)
		in := (traffics(t, monitor) - before) / 2
		return fmt.Sprintf("%.1f kB/s", float64(in)/span.Seconds()/1000)
	}
	rest := rate()
	stop := make(chan struct{})
	var calls sync.WaitGroup
	for _, n := range nodes {
		tick := time.NewTicker(2 * time.Millisecond)
		for w := range 8 {
			calls.Go(func() {
				for i := w; ; i += 8 {
					select {
					case <-stop:
						return
					case <-tick.C:
						n.call(fmt.Sprintf("139%08d", i*7919%100_000_000), fmt.Sprintf("05925550%03d", i%500))
					}
				}
			})
		}
	}
	busy := rate()
	close(stop)
	calls.Wait()
	placed := uint64(0)
	for _, n := range nodes {
		s, err := n.desk.Status(t.Context())
		must(t, err)
		placed += s.Calls
	}
	t.Logf("figure: a node sends and gets %s at rest and %s with 500 calls a second asked for (%d were placed)", rest, busy, placed)
}

// traffics are the bytes that the server has had and given.
func traffics(t *testing.T, monitor string) (n int64) {
	t.Helper()
	r, err := http.Get("http://" + monitor + "/varz")
	must(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	must(t, err)
	for _, m := range regexp.MustCompile(`"(in|out)_bytes": (\d+)`).FindAllStringSubmatch(string(text), -1) {
		v, _ := strconv.ParseInt(m[2], 10, 64)
		n += v
	}
	return n
}
