package cluster

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ringfence/console"
	"ringfence/e2e/setup"
	"ringfence/storage"
)

// tells has the peer say rows of a list, each in a stamp of its own and a message of some.
func (p *peer) tells(numbers, list string, rows ...[]any) {
	p.t.Helper()
	for i, row := range rows {
		row[5] = i + 1
	}
	for some := range slices.Chunk(rows, 60) {
		var all []any
		for _, row := range some {
			all = append(all, row)
		}
		p.say("change", message(map[string]any{
			"v": p.v, "numbers": numbers, "list": list, "id": p.r.Uint32(), "last": true, "kind": "add", "who": "c", "from": "cli", "time": time.Now().UnixMilli(),
		}, all))
	}
	must(p.t, p.nc.Flush())
}

// Somebody who signed in as a node that is not in policy_from takes no more off lists and lines than the share, by no way that is known, and all of what waits
// is one number a list; what is refused stays as it was. The policy and the pause are no node's here.
//
// long: because two nodes are told all of it, one thing after the other.
func TestStolenNode(t *testing.T) {
	server := setup.StartNATS(t)
	nodes := startNodes(t, server, 2)
	a, b := nodes[0], nodes[1]
	ctx := t.Context()
	nc, err := nats.Connect(server.URL())
	must(t, err)
	defer nc.Close()
	p := &peer{t: t, r: rand.New(rand.NewPCG(16, 16)), nc: nc}
	heard, err := nc.SubscribeSync("ringfence.isp.here.a")
	must(t, err)
	said, err := heard.NextMsg(time.Minute)
	must(t, err)
	var here struct {
		V       int
		Numbers string
	}
	must(t, json.Unmarshal(said.Data, &here))
	p.v = here.V

	const many, most = 400, 120 // three in ten
	lists := []string{"blacklist", "allowlist", "third"}
	number := func(i int) string { return fmt.Sprintf("138%08d", i) }
	var numbers []string
	for i := range many {
		numbers = append(numbers, number(i))
	}
	for _, list := range lists {
		a.add(list, numbers...)
	}
	var lines []console.LineSet
	for i := range 150 {
		lines = append(lines, console.LineSet{Name: fmt.Sprint("line", i), Numbers: &[]string{fmt.Sprintf("05925561%03d", i)}})
	}
	_, err = a.desk.AddLines(ctx, lines)
	must(t, err)
	counts := func(n *node, list string) (live int) {
		n.desk.Entries(ctx, list, func(e console.ListEntry) error { // there may be no such list yet
			if e.Expires.IsZero() || time.Until(e.Expires) > time.Minute {
				live++
			}
			return nil
		})
		return live
	}
	hasLines := func(n *node) (own int) {
		must(t, n.desk.Lines(ctx, console.LineQuery{}, func(l console.Line) error {
			if len(l.Numbers) == 1 {
				own++
			}
			return nil
		}))
		return own
	}
	for _, list := range lists {
		eventually(t, "b has "+list, func() bool { return counts(b, list) == many })
	}
	eventually(t, "b has the lines", func() bool { return hasLines(b) >= 150 })
	own := hasLines(b)

	var gone, ends, pushed [][]any
	for i := range many {
		pattern := "+86" + number(i)
		gone = append(gone, rowOf(pattern, 2, "", 3, true, 7, "", 8, "", 9, 0, 10, 0))
		ends = append(ends, rowOf(pattern, 11, time.Now().Add(time.Second).UnixMilli()))
		for k := range 20 {
			pushed = append(pushed, rowOf(pattern, 1, int(storage.FromImport), 2, fmt.Sprint("file", k), 11, time.Now().Add(time.Second).UnixMilli()))
		}
	}
	p.tells(here.Numbers, "blacklist", gone...)
	p.tells(here.Numbers, "allowlist", ends...)
	p.tells(here.Numbers, "third", pushed...)
	thief := storage.Line{Name: "thief", Key: "thief~abc", Mode: "off", Numbers: []string{"+865925561*"}}
	text, err := json.Marshal(thief)
	must(t, err)
	p.tells(here.Numbers, console.LineTable, rowOf("thief", 2, "", 7, string(text)))
	for _, n := range nodes {
		eventually(t, n.name+" holds it", func() bool { return len(n.report().Held) >= 4 })
		eventually(t, n.name+" has counted it", func() bool {
			all := 0
			for _, h := range n.report().Held {
				all += h.Entries
			}
			return all >= 2*(many-most)+150
		})
		held := n.report().Held
		t.Logf("%s: %+v", n.name, held)
		of := map[string]int{}
		for _, h := range held {
			if of[h.List]++; h.Node != "c" {
				t.Errorf("%s: %+v", n.name, h)
			}
		}
		for list, k := range of {
			if k != 1 {
				t.Errorf("%s: %d numbers of %s", n.name, k, list)
			}
		}
		if _, err := n.desk.DecideHeld(ctx, held[0].ID, true); err == nil {
			t.Errorf("%s: what is still being counted was taken", n.name)
		}
		for _, h := range held {
			_, err := n.desk.DecideHeld(ctx, h.ID, false)
			must(t, err)
		}
	}
	p.tells(here.Numbers, "blacklist", gone...) // again, and it is refused
	p.tells(here.Numbers, "blacklist", rowOf("+8613900000000"))
	decides(t, "what comes behind it", "13900000000", staff, true, nodes...)
	for _, n := range nodes {
		for _, list := range lists {
			if live := counts(n, list); live < many-most {
				t.Errorf("%s: %d entries of %s are left", n.name, live, list)
			}
		}
		if got := hasLines(n); got != own {
			t.Errorf("%s: %d lines of %d are as they were", n.name, got, own)
		}
	}
}
