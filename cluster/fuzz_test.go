package cluster

import (
	"log/slog"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"

	"ringfence/detect"
	"ringfence/storage"
)

// What comes as rows is read within its bounds or refused, and what was read is told and read as the same.
func FuzzRows(f *testing.F) {
	good, err := packRows(&head{Numbers: "2 CN", List: "blacklist", ID: 7, Last: true}, []storage.Row{number(1), {Pattern: "x", Gone: true, Stamp: storage.Tick{Wall: 5, Count: 1, Node: "a"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\n\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := unpack(b)
		if err != nil {
			return
		}
		if len(body) > maxPlain || h.V != wireNow {
			t.Fatalf("%d bytes of version %d", len(body), h.V)
		}
		rows, err := rowsOf(body)
		if err != nil {
			return
		}
		if len(rows) > pageRows+storage.MaxEdit {
			t.Fatalf("%d rows", len(rows))
		}
		again, err := packRows(&h, rows)
		if err != nil {
			t.Fatal(err)
		}
		h2, body, err := unpack(again)
		if err != nil {
			if len(again) < maxHead {
				t.Fatal(err)
			}
			return // a head with what JSON writes longer
		}
		same, err := rowsOf(body)
		if err != nil || !reflect.DeepEqual(rows, same) || h2.ID != h.ID {
			t.Fatalf("%v: %+v became %+v", err, rows, same)
		}
	})
}

// FuzzRowsBody is FuzzRows behind the checksum, which a fuzzer does not find.
func FuzzRowsBody(f *testing.F) {
	body, err := encoding.Marshal(&page{Said: []said{{Wall: 1, Node: "a", Reason: "r"}}, Of: []uint32{0, 0}, Patterns: []string{"+8695211613", "+8695211614"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte{0x9b, 0, 0, 0, 1, 0, 0, 0, 0}) // an array that says it is long
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, err := rowsOf(body)
		if err == nil && len(rows) > len(body) {
			t.Fatalf("%d rows of %d bytes", len(rows), len(body))
		}
		for i := range rows {
			rows[i].Check("blacklist")
		}
	})
}

// offline is a connection to no server.
var offline = sync.OnceValue(func() *nats.Conn {
	nc, err := nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true), nats.ReconnectWait(time.Hour), nats.ReconnectBufSize(-1))
	if err != nil {
		panic(err)
	}
	return nc
})

// heard is a node that has heard of z, and runs nothing.
func heard(t testing.TB) (*Cluster, *kept) {
	k := newKept("a")
	c, err := New(Options{Name: "isp", Node: "a", Store: k, Taker: k, Facts: k, Numbers: func() string { return "2 CN" }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c.peers["z"] = &peer{tried: make(map[string]tried)}
	c.link.Store(&link{nc: offline()})
	return c, k
}

// What comes on the subjects of facts, counts, breakers and who is there stops nothing, and is taken within bounds or counted.
func FuzzHeard(f *testing.F) {
	f.Add([]byte(`[{"t":"known","k":"AA==","at":5}]`))
	f.Add([]byte(`{"v":2,"epoch":3,"wall":5,"sums":{"blacklist":7}}`))
	f.Add([]byte(`{"what":"leaves","list":"blacklist"}`))
	f.Add([]byte(`{"epoch":1,"news":[{"detector":"d","key":"1"}]}`))
	counts, err := encoding.Marshal(&counted{Epoch: 1, Shares: []share{{Detector: "d", Counts: []uint32{1}, Things: []detect.Thing{{ID: 1}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s2.Encode(nil, counts))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, k := heard(t)
		dropped := func() uint64 { return c.counts.garbled.Load() + c.counts.refused.Load() + c.counts.full.Load() }
		c.hearFacts(&nats.Msg{Subject: "ringfence.isp.fact.z", Data: b})
		if len(k.facts) == 0 && len(b) == 0 && dropped() == 0 {
			t.Fatal("nothing was taken, and nothing counted")
		}
		for key, at := range k.facts {
			if len(key) == 0 || len(key) > maxFactKey || at < 0 || at > time.Now().UnixMilli() {
				t.Fatalf("%q at %d", key, at)
			}
		}
		c.hear(&nats.Msg{Subject: "ringfence.isp.here.z", Data: b})
		c.hear(&nats.Msg{Subject: "ringfence.isp.here.*", Data: b})
		if len(c.peers) != 1 || len(c.peers["z"].Sums) > maxSums || len(c.peers["z"].Journal) > 300 {
			t.Fatalf("%d peers: %+v", len(c.peers), c.peers["z"])
		}
		c.hearCounts(&nats.Msg{Subject: "ringfence.isp.count.z", Data: b}) // without detectors
		c.hearNews(&nats.Msg{Subject: "ringfence.isp.trip.z", Data: b})
		c.answer(&nats.Msg{Subject: "ringfence.isp.ask.a.z", Reply: "ringfence.isp.inbox.z.1", Data: b})
		c.Report()
	})
}
