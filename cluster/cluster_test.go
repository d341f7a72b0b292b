package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// What is changed on one node is on the others, also what was there before they met, and what one of them missed.
func TestChangesTravel(t *testing.T) {
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	a.edit("blacklist", number(1), number(2)) // before there was a cluster
	b.edit("blacklist", number(3))
	one, two := join(t, s.url(), a, nil), join(t, s.url(), b, nil)
	level(t, "what was there before", one, two)
	for i := range 100 {
		a.edit("blacklist", number(10+i))
		b.edit("allowlist", number(500+i))
	}
	gone := number(1)
	gone.Gone, gone.Reason = true, ""
	b.edit("blacklist", gone)
	level(t, "edits", one, two)
	many := make([]storage.Row, 5000)
	for i := range many {
		many[i] = number(10_000 + i)
	}
	a.edit("import", many...)
	level(t, "an import", one, two)
	large := make([]storage.Row, 80) // as lines are
	for i := range large {
		large[i] = number(20_000 + i)
		b := make([]byte, 12_000)
		rand.Read(b)
		large[i].Reason = hex.EncodeToString(b)
	}
	a.edit("large", large...)
	level(t, "rows that fill several messages", one, two)
	two.stop()
	for i := range 50 {
		a.edit("blacklist", number(2000+i))
		b.edit("blacklist", number(3000+i)) // it is not running, say an edit by the command line
	}
	two = join(t, s.url(), b, nil)
	level(t, "what was done while one was away", one, two)
	if want := 3 + 100 + 100 + 1 + 5000 + 100; len(a.all("blacklist"))+len(a.all("allowlist"))+len(a.all("import")) != want-1 || len(b.all("large")) != 80 {
		t.Errorf("%d, %d and %d rows of %d", len(a.all("blacklist")), len(a.all("allowlist")), len(a.all("import")), want)
	}
	if n := two.Report().Nodes; len(n) != 1 || n[0].Name != "a" || !n[0].Alone.IsZero() {
		t.Errorf("%+v", n)
	}
}

// Servers that carry messages and keep nothing, as where the one of three is gone that had the stream: changes come by comparing lists, within seconds.
func TestNoStream(t *testing.T) {
	s := startServerWith(t, "# without a store\n")
	a, b := newKept("a"), newKept("b")
	rarely := func(o *Options) { o.Compare = time.Hour }
	one, two := join(t, s.url(), a, rarely), join(t, s.url(), b, rarely)
	eventually(t, "they hear each other", func() bool { return len(one.Report().Nodes) == 1 && len(two.Report().Nodes) == 1 })
	for i := range 2 {
		a.edit("blacklist", number(i)) // one alone: the other has nothing that it could not tell, and is told
		level(t, "a change", one, two)
		eventually(t, "it says that changes wait, and why", func() bool { r := one.Report(); return r.Waiting == i+1 && strings.Contains(r.Why, "jetstream") })
	}
}

// What is too large to be told is fetched when it was made, and a list by a node that comes when it was not summed yet: not when lists are next compared.
func TestLargeChange(t *testing.T) {
	s := startServer(t)
	a, b, x := newKept("a"), newKept("b"), newKept("x")
	rarely := func(o *Options) { o.Compare, o.PolicyFrom, o.MaxTold = time.Hour, []string{"a"}, 300 }
	one, two := join(t, s.url(), a, rarely), join(t, s.url(), b, rarely)
	a.edit("blacklist", number(1))
	level(t, "a change", one, two)
	eventually(t, "both have compared", func() bool {
		return one.Report().Nodes[0].Lists == console.ListsSame && two.Report().Nodes[0].Lists == console.ListsSame
	})
	a.slow(time.Second) // so that the others are told of it before it is summed
	many := make([]storage.Row, 301)
	for i := range many {
		many[i] = number(1000 + i)
	}
	a.edit("blacklist", many...)
	level(t, "a large change", one, two)
	many = slices.Clone(many)
	for i := range many {
		many[i].Gone, many[i].Reason = true, ""
	}
	a.edit("blacklist", many...)
	level(t, "and that it is taken off", one, two)
	a.edit("new", number(2), number(3))
	three := join(t, s.url(), x, rarely)
	level(t, "one that comes", one, two, three)
}

// The server is killed, hangs, and comes back with nothing: nodes go on, know that they are alone and since when, and are level again afterwards.
func TestServerDies(t *testing.T) {
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	one, two := join(t, s.url(), a, nil), join(t, s.url(), b, nil)
	together := func() bool { return !one.Report().Alone && !two.Report().Alone }
	alone := func() bool { return one.Report().Alone && two.Report().Alone }
	eventually(t, "both are there", together)
	i := 0
	edits := func() {
		for range 20 {
			i++
			a.edit("blacklist", number(i))
			b.edit("blacklist", number(10_000+i))
		}
	}
	edits()
	level(t, "before", one, two)

	s.kill()
	edits()
	eventually(t, "both know that they are alone", alone)
	if r := one.Report(); r.Since.IsZero() || time.Since(r.Since) > time.Minute || r.Why == "" {
		t.Errorf("%+v", r)
	}
	edits()
	s.start()
	level(t, "after a kill", one, two)
	eventually(t, "both are back", together)

	s.cmd.Process.Signal(syscall.SIGSTOP)
	edits()
	eventually(t, "both know that they are alone", alone)
	s.cmd.Process.Signal(syscall.SIGCONT)
	level(t, "after it hung", one, two)

	s.kill()
	s.wipe()
	edits()
	s.start()
	level(t, "after it lost all", one, two)
	edits()
	level(t, "and goes on", one, two)
}

// A node that was away for longer than tombstones are kept takes all lists, and brings nothing back that was taken off meanwhile.
func TestAwayForTooLong(t *testing.T) {
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	one, two := join(t, s.url(), a, nil), join(t, s.url(), b, nil)
	a.edit("blacklist", number(1), number(2))
	level(t, "at first", one, two)
	eventually(t, "it has heard itself", func() bool { return !two.Report().Alone })
	two.save()
	two.stop()
	a.mu.Lock()
	delete(a.lists["blacklist"], nameOf(&storage.Row{Pattern: number(1).Pattern})) // taken off, and the tombstone is gone as well
	a.mu.Unlock()
	one.changed("blacklist")
	many := make([]storage.Row, heldFew+50) // more than another node might take off
	for i := range many {
		many[i] = number(100 + i)
	}
	b.edit("blacklist", many...)
	two = join(t, s.url(), b, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(31 * 24 * time.Hour) } })
	if !two.isStale() {
		t.Fatal("it does not know how long it was away")
	}
	eventually(t, "it has taken all", func() bool { return !two.isStale() })
	level(t, "it has what the other has", one, two)
	if got := len(a.all("blacklist")); got != 1 {
		t.Errorf("%d rows", got)
	}
}

// What calls teach one node the others know: at once, or within the minute where a message was lost, and a new node all of it.
func TestFactsTravel(t *testing.T) {
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	one := join(t, s.url(), a, nil)
	one.learn("staff long ago", time.Now().Add(-100*time.Hour), false)
	two := join(t, s.url(), b, nil)
	level(t, "what it learnt before", one, two)
	two.learn("sales told", time.Now(), true)
	one.learn("staff lost", time.Now(), false)
	level(t, "both ways", one, two)
	one.learn("staff to come", time.Now().Add(time.Hour), true)
	eventually(t, "a time to come is none", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		at, there := b.facts["staff to come"]
		return there && at <= time.Now().UnixMilli()
	})
	for _, text := range []string{"", "{", `[{"t":"known","k":"","at":1}]`, `[{"k":"` + strings.Repeat("A", 400) + `","at":-5}]`} {
		two.nc().Publish(two.subject("fact", "a"), []byte(text)) // as a would
	}
	eventually(t, "what cannot be read is counted", func() bool { d := two.Report().Dropped; return d["garbled"] == 2 && d["refused"] == 2 })
}

// A clock that is an hour ahead of all others does not win each conflict.
func TestClockAhead(t *testing.T) {
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	join(t, s.url(), a, nil)
	two := join(t, s.url(), b, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Hour) } })
	eventually(t, "it hears the other", func() bool { return len(two.live()) == 1 })
	millis, ok := two.Latest()
	if off := time.Since(time.UnixMilli(millis)).Abs(); !ok || off > 30*time.Second || two.Report().Clock == "" {
		t.Errorf("%v from now, %v", off, ok)
	}
}

// A node that was started anew is not behind by what its earlier run has taken.
func TestNotBehindByARestart(t *testing.T) {
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	one, two := join(t, s.url(), a, nil), join(t, s.url(), b, nil)
	level(t, "together", one, two)
	a.edit("blacklist", number(1))
	level(t, "an edit", one, two)
	two.save()
	two.stop()
	two = join(t, s.url(), b, func(o *Options) { o.Compare = time.Hour })
	eventually(t, "it hears the other", func() bool { return len(two.Report().Nodes) == 1 })
	if n := two.Report().Nodes[0]; n.Lag != 0 {
		t.Errorf("%v s behind, and has all", n.Lag)
	}
}
