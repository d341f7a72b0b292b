package cluster

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"

	"ringfence/console"
	"ringfence/e2e/setup"
)

// peer is somebody who signed in as the node c, and says whatever he likes.
type peer struct {
	t    *testing.T
	r    *rand.Rand
	nc   *nats.Conn
	real [][]byte // what honest nodes have said
	v    int      // the version of that
}

func (p *peer) say(what string, b []byte) {
	p.t.Helper()
	must(p.t, p.nc.Publish("ringfence.isp."+what+".c", b))
}

// message is rows of a change as nodes tell them.
func message(head map[string]any, rows any) []byte {
	text, _ := json.Marshal(head)
	if all, ok := rows.([]any); ok && head["v"] != 1 {
		rows = pageOf(all)
	}
	body, _ := cbor.Marshal(rows)
	packed := s2.Encode(nil, body)
	b := append(text, '\n')
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(packed, crc32.MakeTable(crc32.Castagnoli)))
	return append(b, packed...)
}

// pageOf is rows as nodes tell them since version 2: what is said apart from the patterns of which it is.
func pageOf(rows []any) any {
	said, of, patterns := []any{}, make([]uint32, len(rows)), make([]any, len(rows))
	for i, r := range rows {
		row, ok := r.([]any)
		if !ok {
			return rows
		}
		of[i], patterns[i] = uint32(i), row[0]
		said = append(said, row[1:])
	}
	return []any{said, of, patterns}
}

func rowOf(pattern string, more ...any) []any {
	row := []any{pattern, 0, "cli", false, time.Now().UnixMilli(), 0, "c", "hostile", "c", time.Now().UnixMilli(), time.Now().UnixMilli(), 0}
	for i := 0; i+1 < len(more); i += 2 {
		row[more[i].(int)] = more[i+1]
	}
	return row
}

var emergency = []string{"110", "119", "120", "122", "+86110", "+8611*", "1*", "*", "+86*", "12?"}

// changes are changes that somebody who knows the form might tell.
func (p *peer) changes(numbers string) (all [][]byte) {
	head := func(list string, more ...any) map[string]any {
		h := map[string]any{"v": p.v, "numbers": numbers, "list": list, "id": p.r.Uint64(), "last": true, "kind": "add", "who": "c", "from": "cli", "time": time.Now().UnixMilli()}
		for i := 0; i+1 < len(more); i += 2 {
			h[more[i].(string)] = more[i+1]
		}
		return h
	}
	var rows []any
	for _, pattern := range emergency {
		rows = append(rows, rowOf(pattern))
		all = append(all, message(head("blacklist"), []any{rowOf(pattern)}))
	}
	all = append(all, message(head("blacklist"), rows), message(head("nobody:blacklist"), rows))
	for _, list := range []string{"", "../x", "a b", "\x1b[2J", strings.Repeat("x", 5000), "lines", "line:blacklist", "nobody:allowlist"} {
		all = append(all, message(head(list), rows), message(head(list), []any{rowOf("{\"name\":1}")}), message(head(list), []any{rowOf("ann", 7, `{"numbers":["110"]}`)}))
	}
	for _, bad := range [][]any{
		{4, int64(1) << 62},
		{4, int64(-1)},
		{4, time.Now().Add(24*time.Hour).UnixMilli() + 7e6},
		{6, ""},
		{6, "\x00"},
		{6, strings.Repeat("n", 1000)},
		{7, "\x1b]0;x\a\n"},
		{7, strings.Repeat("r", 1<<20)},
		{1, 250},
		{11, int64(-5)},
		{9, int64(1) << 60},
		{2, strings.Repeat("s", 70000)},
	} {
		all = append(all, message(head("blacklist"), []any{rowOf("+8695299999", bad...)}))
	}
	for _, more := range [][]any{{"kind", "forget"}, {"kind", ""}, {"kind", strings.Repeat("k", 4000)}, {"v", p.v + 1}, {"numbers", "1 XX"}, {"who", strings.Repeat("w", 7000)}, {"who", "\x1b[2J\n"}, {"time", int64(-1) << 62}, {"source", "\x00"}} {
		all = append(all, message(head("blacklist", more...), []any{rowOf("+8695299998")}))
	}
	many := make([]any, 9000)
	for i := range many {
		many[i] = rowOf(fmt.Sprintf("+86953%08d", i))
	}
	bomb := append(fmt.Appendf(nil, "{\"v\":%d,\"numbers\":\"x\"}\n\x00\x00\x00\x00", p.v), s2.Encode(nil, make([]byte, 100<<20))...)
	return append(all, message(head("bought"), many), message(head("blacklist"), make([]any, 200_000)), message(head("blacklist"), "rows"), bomb)
}

// others are words on the other subjects.
func (p *peer) others(numbers string) map[string][][]byte {
	sums := map[string]uint64{}
	for i := range 300 {
		sums[fmt.Sprint("list", i)] = uint64(i)
	}
	here := func(more map[string]any) []byte {
		h := map[string]any{"v": p.v, "epoch": 5, "wall": time.Now().UnixMilli(), "numbers": numbers, "told": 1 << 60, "sums": map[string]uint64{"blacklist": 5, "lines": 6, "../x": 3}}
		for k, v := range more {
			h[k] = v
		}
		text, _ := json.Marshal(h)
		return text
	}
	facts := make([]map[string]any, 5000)
	for i := range facts {
		facts[i] = map[string]any{"t": "known", "k": []byte(fmt.Sprint("\x00", i)), "at": -int64(i)}
	}
	tooMany, _ := json.Marshal(facts)
	some, _ := json.Marshal(facts[:900])
	news := func(more string) []byte {
		return []byte(`{"epoch":1,"news":[{"detector":"range wakes","key":"138001","state":"tripped","since":"2999-01-01T00:00:00Z","act":"` + more + `"}]}`)
	}
	counted, _ := cbor.Marshal([]any{uint64(1), time.Now().UnixMilli(), []any{[]any{"range wakes", uint64(1), "", "138001", uint32(1 << 31), make([]uint32, 5000), []any{}, []uint16{}, []any{}, true, int64(-1)}}})
	return map[string][][]byte{
		"here": {
			here(nil), here(map[string]any{"wall": int64(-1) << 62}), here(map[string]any{"sums": sums}), here(map[string]any{"version": strings.Repeat("v", 60000)}),
			here(map[string]any{"journal": "\x1b[2J\n"}), here(map[string]any{"pause": map[string]any{"at": time.Now(), "paused": true}}), here(map[string]any{"numbers": "\x1b[2J"}),
		},
		"fact":  {tooMany, some, []byte(`[{"t":"reports","k":"AA==","at":1,"v":{"id":"x"}}]`), []byte(`[{"t":"\u001b[2J","k":"AA==","at":9e18}]`)},
		"count": {s2.Encode(nil, counted), s2.Encode(nil, make([]byte, 100<<20))},
		"trip":  {news("open"), news("\u001b[2J"), []byte(`{"news":[` + strings.TrimSuffix(strings.Repeat(`{},`, 65), ",") + `]}`)},
	}
}

// noise is bytes, by themselves or in what was a message.
func (p *peer) noise() []byte {
	if len(p.real) == 0 || p.r.IntN(3) == 0 {
		b := make([]byte, p.r.IntN(2000))
		for i := range b {
			b[i] = byte(p.r.Uint32())
		}
		return b
	}
	b := append([]byte(nil), p.real[p.r.IntN(len(p.real))]...)
	for range p.r.IntN(4) {
		if len(b) > 0 {
			b[p.r.IntN(len(b))] = byte(p.r.Uint32())
		}
	}
	return b[:p.r.IntN(len(b)+1)]
}

// Whatever a node says that somebody else has taken over, the others decide calls, take each other's edits, and say how much they did not take. Nothing that it
// says puts an emergency number, or all of a country, on a list that stops calls. It is by itself, for a machine that is busy with other tests lets calls through.
//
// long: because two nodes are told all of it, one thing after the other.
func TestHostilePeer(t *testing.T) {
	server := setup.StartNATS(t)
	nodes := startNodes(t, server, 2)
	a, b := nodes[0], nodes[1]
	nc, err := nats.Connect(server.URL(), nats.CustomInboxPrefix("ringfence.isp.inbox.c"))
	must(t, err)
	defer nc.Close()
	p := &peer{t: t, r: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 6)), nc: nc}
	heard := make(chan *nats.Msg, 1000)
	_, err = nc.ChanSubscribe("ringfence.isp.>", heard)
	must(t, err)
	a.add("blacklist", "95212345")
	decides(t, "an edit", "95212345", staff, true, b)
	numbers := ""
	eventually(t, "there are messages to be forged", func() bool {
		for len(heard) > 0 {
			m := <-heard
			p.real = append(p.real, m.Data)
			var h struct {
				V       int
				Numbers string
			}
			if strings.Contains(m.Subject, ".here.") && json.Unmarshal(m.Data, &h) == nil {
				numbers, p.v = h.Numbers, h.V
			}
		}
		return numbers != "" && len(p.real) > 20
	})
	var questions atomic.Int64
	_, err = nc.Subscribe("ringfence.isp.ask.c.*", func(m *nats.Msg) { // it answers with nonsense
		n := questions.Add(1)
		m.Respond([][]byte{{}, p.real[0], []byte("{}\n\x00\x00\x00\x00"), message(map[string]any{"v": p.v, "numbers": numbers, "last": true}, []any{rowOf("110")})}[n%4])
	})
	must(t, err)
	before := memory()
	others, changes := p.others(numbers), p.changes(numbers)
	traffic := startTraffic(t, nodes, "") // no sooner: to make all that takes the machine of both nodes
	eventually(t, "both have asked for its lists", func() bool { p.say("here", others["here"][0]); return questions.Load() >= 2 })
	for _, what := range []string{"here", "change", "fact", "count", "trip"} {
		for _, m := range append(others[what], p.real...) {
			if len(m) < 1<<20 {
				p.say(what, m)
			}
		}
	}
	for _, m := range changes {
		if len(m) < 1<<20 {
			p.say("change", m)
		}
	}
	p.tells(numbers, "blacklist", rowOf("+8613911111111"))
	must(t, nc.Flush())
	decides(t, "what is said as nodes say it, so that all that has been read", "13911111111", staff, true, nodes...)
	for range 2000 {
		p.say([]string{"here", "change", "fact", "count", "trip"}[p.r.IntN(5)], p.noise())
		must(t, nc.PublishRequest("ringfence.isp.ask.a.c", "ringfence.isp.inbox.c.x", p.noise()))
	}
	for _, q := range []string{`{"what":"rows","list":"blacklist"}`, `{"what":"leaves","list":"../x"}`, `{"what":"facts","since":-9}`, `{"what":"calls","query":"e30="}`, `{"what":"x"}`, `{}`} {
		must(t, nc.PublishRequest("ringfence.isp.ask.b.c", "ringfence.isp.inbox.c.x", []byte(q)))
	}
	must(t, nc.Flush())
	for i, n := range nodes {
		other := nodes[1-i]
		number := fmt.Sprint("9521400", i)
		n.add("blacklist", number)
		decides(t, "an edit after all that", number, staff, true, n, other)
		decides(t, "after all that", wanted, staff, false, n)
		eventually(t, n.name+" says what it did not take", func() bool { d := n.report().Dropped; return d["garbled"] > 100 && d["numbers"] > 0 })
		t.Logf("%s: %v, asked %d times", n.name, n.report().Dropped, questions.Load())
		for _, list := range []string{"blacklist", "nobody:blacklist", "line:blacklist"} {
			n.desk.Entries(t.Context(), list, func(e console.ListEntry) error {
				for _, pattern := range emergency {
					if e.Number == pattern || strings.TrimPrefix(e.Number, "+86") == pattern {
						t.Errorf("%s has %s on %s", n.name, e.Number, list)
					}
				}
				return nil
			})
		}
	}
	traffic.end()
	if grown := memory() - before; grown > 64<<20 {
		t.Errorf("both have grown by %d MB", grown>>20)
	}
}

// memory is what this process, with both nodes, has in use.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
