package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ringfence/storage"
)

// These are nodes beside one that was taken over, called c, and keeps to the form.

// thief is that one.
type thief struct {
	t    *testing.T
	nc   *nats.Conn
	stop chan struct{}
}

// steal signs in as c, which says each moment that it is there, and that its lists are others.
func steal(t *testing.T, url string) *thief {
	t.Helper()
	nc, err := nats.Connect(url, nats.CustomInboxPrefix("ringfence.isp.inbox.c"))
	must(t, err)
	x := &thief{t, nc, make(chan struct{})}
	t.Cleanup(func() { close(x.stop); nc.Close() })
	x.often(50*time.Millisecond, func(n int) {
		text, err := json.Marshal(here{V: wireNow, Epoch: 7, Wall: time.Now().UnixMilli(), Numbers: "2 CN", Told: uint64(n), Sums: map[string]uint64{"theirs": uint64(n) + 2, "blacklist": uint64(n) + 2, "third": 5}})
		if err == nil {
			nc.Publish("ringfence.isp.here.c", text)
		}
	})
	return x
}

// often does something again and again.
func (x *thief) often(every time.Duration, do func(n int)) {
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-x.stop:
				return
			case <-tick.C:
				do(n)
			}
		}
	}()
}

// soon waits for less than a minute, after which much comes by itself.
func soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so within 20 s: %s", what)
		}
	}
}

// Who asks and never says that the answer came does not keep others from being answered.
func TestQuestionsOfAThief(t *testing.T) {
	s := startServerWith(t, "# without a store\n") // so that all comes by asking
	one, two := join(t, s.url(), newKept("a"), nil), join(t, s.url(), newKept("b"), nil)
	eventually(t, "they hear each other", func() bool { return len(one.Report().Nodes) == 1 && len(two.Report().Nodes) == 1 })
	x := steal(t, s.url())
	inbox := x.nc.NewInbox()
	_, err := x.nc.Subscribe(inbox, func(*nats.Msg) {})
	must(t, err)
	x.often(5*time.Millisecond, func(n int) {
		for _, node := range []string{"a", "b"} {
			for _, q := range []string{`{"what":"leaves","list":"blacklist"}`, `{"what":"facts"}`} {
				x.nc.PublishRequest("ringfence.isp.ask."+node+".c", inbox, []byte(q))
			}
		}
	})
	time.Sleep(time.Second)
	for i := range 3 {
		one.kept.edit("blacklist", number(i))
		two.kept.edit("other", number(i))
		soon(t, "an edit", func() bool { return one.kept.state() == two.kept.state() })
	}
}

// An answer goes to who asks: not where it would be this node's word, or another's.
func TestAnswersGoToWhoAsks(t *testing.T) {
	t.Parallel()
	s := startServerWith(t, "# without a store\n")
	m := join(t, s.url(), newKept("a"), nil)
	eventually(t, "it is there", func() bool { return !m.Report().Alone })
	x := steal(t, s.url())
	var astray atomic.Int64
	for _, subject := range []string{"ringfence.isp.change.*", "ringfence.isp.inbox.b.>", "ringfence.isp.inbox.cc.>", "elsewhere"} {
		_, err := x.nc.Subscribe(subject, func(*nats.Msg) { astray.Add(1) })
		must(t, err)
	}
	question := []byte(`{"what":"leaves","list":"blacklist"}`)
	wrong := []string{"ringfence.isp.change.a", "ringfence.isp.change.b", "ringfence.isp.inbox.b.x", "ringfence.isp.inbox.cc.x", "ringfence.isp.inbox.c", "elsewhere"}
	for _, reply := range wrong {
		must(t, x.nc.PublishRequest("ringfence.isp.ask.a.c", reply, question))
		must(t, x.nc.PublishRequest("ringfence.isp.ask.a.c", reply, []byte("nonsense")))
	}
	answer, err := x.nc.Request("ringfence.isp.ask.a.c", question, 10*time.Second)
	must(t, err)
	if h, _, err := unpack(answer.Data); err != nil || h.Error != "" || !h.Last {
		t.Errorf("it answers %+v, %v", h, err)
	}
	if n := m.Report().Dropped["garbled"]; n != uint64(2*len(wrong)) || astray.Load() != 0 {
		t.Errorf("%d of %d questions dropped, and %d answers astray", n, 2*len(wrong), astray.Load())
	}
}

// Who answers without an end does not keep a node from comparing its lists with those of others.
func TestAnswersOfAThief(t *testing.T) {
	s := startServerWith(t, "# without a store\n")
	one, two := join(t, s.url(), newKept("x"), nil), join(t, s.url(), newKept("y"), nil) // which come behind c
	eventually(t, "they hear each other", func() bool { return len(one.Report().Nodes) == 1 && len(two.Report().Nodes) == 1 })
	x := steal(t, s.url())
	_, err := x.nc.Subscribe("ringfence.isp.ask.c.*", func(m *nats.Msg) {
		part := 0
		x.often(200*time.Millisecond, func(int) {
			b, err := pack(&head{Numbers: "2 CN", List: "theirs", Part: part}, nil)
			if err == nil {
				x.nc.PublishRequest(m.Reply, "ringfence.isp.inbox.c.came", b)
			}
			part++
		})
	})
	must(t, err)
	time.Sleep(3 * time.Second)
	for i := range 3 {
		one.kept.edit("blacklist", number(i))
		two.kept.edit("other", number(i))
		one.learn("staff\x00+8613800138000", time.Now(), false)
		soon(t, "an edit", func() bool { return one.kept.state() == two.kept.state() })
	}
}

// A node that was away for too long has no more taken off than the nodes of policy_from have not, whatever another one has.
func TestAwayBesideAThief(t *testing.T) {
	s := startServer(t)
	by := func(o *Options) { o.PolicyFrom = []string{"p"} }
	a, p := newKept("a"), newKept("p")
	one, two := join(t, s.url(), a, by), join(t, s.url(), p, by)
	var rows []storage.Row
	for i := range 50 {
		rows = append(rows, number(i))
	}
	p.edit("blacklist", rows...)
	level(t, "at first", one, two)
	eventually(t, "it has heard itself", func() bool { return !one.Report().Alone })
	one.save()
	one.stop()
	x := steal(t, s.url())
	_, err := x.nc.Subscribe("ringfence.isp.ask.c.*", func(m *nats.Msg) { // it has nothing
		var q question
		if json.Unmarshal(m.Data, &q) != nil {
			return
		}
		var body []byte
		if q.What == askLeaves {
			body = make([]byte, 8*storage.LeafCount)
		}
		if b, err := pack(&head{Numbers: "2 CN", List: q.List, Last: true}, body); err == nil {
			x.nc.PublishRequest(m.Reply, "ringfence.isp.inbox.c.came", b)
		}
	})
	must(t, err)
	eventually(t, "it is there", func() bool { return len(two.Report().Nodes) == 2 })
	one = join(t, s.url(), a, func(o *Options) {
		by(o)
		o.Now = func() time.Time { return time.Now().Add(31 * 24 * time.Hour) }
	})
	if !one.isStale() {
		t.Fatal("it does not know how long it was away")
	}
	eventually(t, "it has taken all", func() bool { return !one.isStale() })
	level(t, "it has what those of policy_from have", one, two)
	if got := strings.Count(a.state(), "blacklist"); got != 50 {
		t.Errorf("%d entries of 50", got)
	}
}

// Who dialled an emergency number by the word of one node is not told by another one: it would be twice as many, and take the room of who called by that one.
func TestCallbacksAreNotGivenOn(t *testing.T) {
	t.Parallel()
	s := startServerWith(t, "# without a store\n")
	fact := func(table, key string) Fact {
		return Fact{Table: table, Key: []byte(key), At: time.Now().UnixMilli()}
	}
	has := tells{fact(TableEmergency, "number 1"), fact("known", "number 1"), fact("known", "number 2"), fact(TableEmergency, "number 3")}
	m := join(t, s.url(), newKept("a"), func(o *Options) { o.Facts = has })
	x := steal(t, s.url())
	eventually(t, "it hears c", func() bool { return len(m.Report().Nodes) == 1 })
	told := func() (keys string) {
		sub, err := x.nc.SubscribeSync(x.nc.NewInbox())
		must(t, err)
		defer sub.Unsubscribe()
		must(t, x.nc.PublishRequest("ringfence.isp.ask.a.c", sub.Subject, []byte(`{"what":"facts"}`)))
		for {
			piece, err := sub.NextMsg(10 * time.Second)
			must(t, err)
			h, body, err := unpack(piece.Data)
			must(t, err)
			must(t, piece.Respond(nil))
			var facts []Fact
			if len(body) > 0 {
				must(t, json.Unmarshal(body, &facts))
			}
			for _, f := range facts {
				keys += f.Table + " " + string(f.Key) + ", "
			}
			if h.Last {
				return keys
			}
		}
	}
	if got := told(); strings.Count(got, "number") != len(has) {
		t.Errorf("%s are told, and not all that it has learnt itself", got)
	}
	text, err := json.Marshal([]Fact{fact(TableEmergency, "number 1"), fact("known", "number 2")})
	must(t, err)
	must(t, x.nc.Publish("ringfence.isp.fact.c", text))
	soon(t, "what c has told is not told on, and all else is", func() bool { return told() == "known number 1, known number 2, emergency number 3, " })
}

// tells is what calls have taught a node.
type tells []Fact

func (t tells) FactsSince(_ time.Time, yield func([]Fact) error) error { return yield(t) }

func (tells) TakeFacts(string, []Fact) int { return 0 }

// A node that begins to send a large list, and does not go on, does not keep those who want to import here from it.
func TestThiefGivesWay(t *testing.T) {
	s := startServerWith(t, "# without a store\n")
	var awaited atomic.Bool
	join(t, s.url(), newKept("a"), func(o *Options) { o.Awaited = awaited.Load })
	x := steal(t, s.url())
	var asked atomic.Int64
	_, err := x.nc.Subscribe("ringfence.isp.ask.c.*", func(m *nats.Msg) {
		asked.Add(1)
		h, rows := head{Numbers: "2 CN", List: "theirs"}, make([]storage.Row, pageRows)
		for i := range rows {
			rows[i] = number(i)
		}
		b, err := packRows(&h, rows)
		if err == nil {
			x.nc.PublishRequest(m.Reply, "ringfence.isp.inbox.c.came", b)
		}
	})
	must(t, err)
	eventually(t, "it is asked", func() bool { return asked.Load() > 0 })
	awaited.Store(true)
	soon(t, "it gives way, and asks for another list", func() bool { return asked.Load() > 2 })
}

// What a node says that cannot be taken, for a different reason each time, does not fill the log.
func TestThiefFillsNoLog(t *testing.T) {
	v := newTarget(t)
	v.peers["stolen"] = &peer{}
	for i := range 1000 {
		_, _, err := v.read(must1(t, func() ([]byte, error) { return pack(&head{Numbers: number(i).Pattern, List: "x"}, nil) }))
		v.troubleWith("stolen", err)
		v.now = v.now.Add(100 * time.Millisecond)
	}
	if n := strings.Count(v.log.String(), "\n"); n == 0 || n > 3 {
		t.Errorf("%d lines within two minutes", n)
	}
	if why := v.peers["stolen"].why; !strings.Contains(why, number(999).Pattern) {
		t.Errorf("the last reason is not shown, but %s", why)
	}
}

func must1[T any](t *testing.T, do func() (T, error)) T {
	t.Helper()
	x, err := do()
	must(t, err)
	return x
}

// So many small ranges that they come to a part of the country are as much as that part.
func TestSmallPartsOfACountry(t *testing.T) {
	v := newTarget(t)
	v.o.Breadth = func(_, pattern string) float64 { return 1e-7 } // ten thousand numbers of 100,000,000,000
	var rows []storage.Row
	for i := range 250_000 {
		rows = append(rows, storage.Row{Pattern: fmt.Sprintf("+86%07d????", 1_300_000+i), Reason: "much", Stamp: storage.Tick{Wall: 1, Node: "stolen"}})
	}
	n, err := v.mergeList(t.Context(), "blacklist", each(rows), storage.Foreign{Node: "stolen", Time: v.now})
	must(t, err)
	if most := 200_000; n < most-1 || n > most { // a fiftieth
		t.Errorf("%d of %d ranges are on the list", n, len(rows))
	}
	if h := v.held(); len(h) != 1 || h[0].List != "blacklist" {
		t.Errorf("%+v", h)
	}
}
