package daemon_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/e2e/setup"
)

var rounds = flag.Int("rounds", 5, "rounds of TestClusterRounds")

// member is a node of the rounds: a process with a clock of its own, behind a wire of its own.
type member struct {
	name string
	p    *setup.Process
	wire *setup.Wire
	desk *console.Client // nil while it is killed
}

// saying is what one node said of a number last: the reason that it gave, "" for that it took it off.
type saying map[string]string

// world is three nodes, a server, and what was acknowledged, in plain maps.
type world struct {
	t       *testing.T
	r       *rand.Rand
	server  *setup.NATS
	up      bool // the server is
	members []*member
	said    map[*member]saying
	imports map[*member][]imported // that can be undone
	n       int
}

type imported struct {
	change  uint64
	numbers []string
}

// Three nodes whose clocks are an hour apart edit, import and undo while they, the server and the networks between them die and come back. In the end of
// each round all have the same lists: of each number what one of them said last, and nothing that all who spoke of it took off.
func TestClusterRounds(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED: nodes that die and come back take too long for -short")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 16)), server: setup.StartNATS(t), up: true, said: map[*member]saying{}, imports: map[*member][]imported{}}
	for _, name := range []string{"a", "b", "c"} {
		wire := setup.NewWire(t, w.server.Address)
		p := setup.NewProcess(t, t.TempDir(), setup.FreeAddress(t), "country = \"CN\"\n", fmt.Sprintf("[cluster]\nname = \"isp\"\nservers = [\"nats://%s\"]\npolicy_from = [\"a\", \"b\", \"c\"]", wire.Address))
		text, err := os.ReadFile(p.File)
		w.must(err)
		w.must(os.WriteFile(p.File, append(fmt.Appendf(nil, "node = %q\n", name), text...), 0o644))
		m := &member{name: name, p: p, wire: wire}
		w.members, w.said[m] = append(w.members, m), saying{}
		w.start(m)
	}
	slowest := time.Duration(0)
	for round := range *rounds {
		for range 40 {
			w.step()
		}
		slowest = max(slowest, w.level(round))
		if t.Failed() {
			return
		}
	}
	t.Logf("figure: %d rounds of edits, imports and undos on three nodes that die, with clocks an hour apart: all level, %v at most after the last fault", *rounds, slowest.Round(100*time.Millisecond))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start(m *member) {
	w.t.Helper()
	w.must(os.Setenv("RINGFENCE_SKEWED_CHILD", []string{"-1h", "0s", "1h"}[w.r.IntN(3)]))
	defer os.Unsetenv("RINGFENCE_SKEWED_CHILD")
	m.p.Start(0)
	c, err := conf.LoadDaemon(m.p.File)
	w.must(err)
	m.desk, err = console.Dial(w.t.Context(), c.Socket)
	w.must(err)
}

// step is one thing that a person does, or that goes wrong or is mended.
func (w *world) step() {
	m := w.members[w.r.IntN(len(w.members))]
	switch what := w.r.IntN(30); {
	case what == 0 && m.desk != nil:
		m.desk.Close()
		m.desk = nil
		m.p.Kill()
	case what <= 2 && m.desk == nil:
		w.start(m)
	case what == 3:
		m.wire.Cut()
	case what == 4:
		m.wire.Hold()
	case what <= 7:
		m.wire.Mend()
	case what == 8 && w.up:
		w.server.Kill()
		if w.up = false; w.r.IntN(2) == 0 {
			w.server.Wipe()
		}
	case what <= 10 && !w.up:
		w.server.Restart()
		w.up = true
	case m.desk == nil:
	case what <= 13:
		w.importFile(m)
	case what == 14:
		w.undo(m)
	default:
		w.edit(m)
	}
}

func (w *world) edit(m *member) {
	w.t.Helper()
	w.n++
	number, reason := fmt.Sprintf("+869521%04d", w.r.IntN(40)), fmt.Sprintf("%s %d", m.name, w.n)
	if w.r.IntN(3) > 0 {
		_, err := m.desk.AddEntries(w.t.Context(), "blacklist", []console.NewEntry{{Number: number, Reason: reason}}, false)
		w.must(err)
		w.said[m][number] = reason
		return
	}
	edits, err := m.desk.RemoveEntries(w.t.Context(), "blacklist", []string{number}, true)
	w.must(err)
	if edits[0].Change == "removed" {
		w.said[m][number] = ""
	}
}

// importFile puts numbers on the list that nobody else speaks of.
func (w *world) importFile(m *member) {
	w.t.Helper()
	var numbers []string
	for range 20 + w.r.IntN(100) {
		w.n++
		numbers = append(numbers, fmt.Sprintf("+8613%09d", w.n))
	}
	r, err := m.desk.Import(w.t.Context(), console.ImportQuery{List: "blacklist", File: fmt.Sprintf("%s %d", m.name, w.n)}, strings.NewReader(strings.Join(numbers, "\n")))
	w.must(err)
	for _, number := range numbers {
		w.said[m][number] = "*"
	}
	w.imports[m] = append(w.imports[m], imported{r.Change, numbers})
}

func (w *world) undo(m *member) {
	w.t.Helper()
	if len(w.imports[m]) == 0 {
		return
	}
	i := w.r.IntN(len(w.imports[m]))
	one := w.imports[m][i]
	w.imports[m] = slices.Delete(w.imports[m], i, i+1)
	_, err := m.desk.Undo(w.t.Context(), one.change)
	w.must(err)
	for _, number := range one.numbers {
		w.said[m][number] = ""
	}
}

// level mends all, waits until all nodes have the same, and holds it against what was acknowledged. It says how long that took.
func (w *world) level(round int) time.Duration {
	w.t.Helper()
	if !w.up {
		w.server.Restart()
		w.up = true
	}
	for _, m := range w.members {
		m.wire.Mend()
		if m.desk == nil {
			w.start(m)
		}
	}
	begun := time.Now()
	var all [3]map[string]string
	for {
		for i, m := range w.members {
			all[i] = map[string]string{}
			w.must(m.desk.Entries(w.t.Context(), "blacklist", func(e console.ListEntry) error { all[i][e.Number] = e.Reason; return nil }))
		}
		if maps.Equal(all[0], all[1]) && maps.Equal(all[1], all[2]) && w.wrong(all[0]) == "" {
			return time.Since(begun)
		}
		if time.Since(begun) > 2*time.Minute {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	for i, m := range w.members {
		r, err := m.desk.Cluster(w.t.Context())
		w.t.Errorf("round %d, %s has %d entries; %s; %+v, %v", round, m.name, len(all[i]), w.wrong(all[i]), r, err)
	}
	return 0
}

// wrong says what of a list was not said so by anybody last.
func (w *world) wrong(list map[string]string) string {
	spoken := map[string][]string{}
	for _, said := range w.said {
		for number, reason := range said {
			spoken[number] = append(spoken[number], reason)
		}
	}
	for number := range list {
		if spoken[number] == nil {
			return number + " is there, and nobody put it there"
		}
	}
	for number, reasons := range spoken {
		is, there := list[number]
		if slices.Contains(reasons, is) || !there && slices.Contains(reasons, "") || there && slices.Contains(reasons, "*") {
			continue
		}
		return fmt.Sprintf("%s: there %v, because of %q; they said last %q", number, there, is, reasons)
	}
	return ""
}
