package cluster

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/storage"
)

// A node that is not in policy_from cannot empty a list, nor stop a country: what it says waits, and counts everywhere or nowhere when somebody has decided.
//
// long: because one thing is said after the other.
func TestHeld(t *testing.T) {
	s := startServer(t)
	nodes := map[string]*member{}
	for _, name := range []string{"a", "b", "stolen"} {
		nodes[name] = join(t, s.url(), newKept(name), func(o *Options) {
			o.PolicyFrom, o.MaxChange = []string{"a"}, 0.3
			o.Breadth = func(_, pattern string) float64 {
				if pattern == "+86*" {
					return 1
				}
				return 0
			}
		})
	}
	a, b, stolen := nodes["a"], nodes["b"], nodes["stolen"]
	rows := func(from, to int, gone bool) (all []storage.Row) {
		for i := from; i < to; i++ {
			r := number(i)
			if r.Gone = gone; gone {
				r.Reason = ""
			}
			all = append(all, r)
		}
		return all
	}
	a.kept.edit("blacklist", rows(0, 1000, false)...)
	level(t, "a list", a, b, stolen)
	stolen.kept.edit("blacklist", rows(0, 50, true)...)
	level(t, "some are taken off", a, b, stolen)

	stolen.kept.edit("blacklist", rows(50, 1000, true)...)
	for _, m := range []*member{a, b} {
		eventually(t, m.kept.node+" holds it", func() bool {
			h := m.Report().Held
			return len(h) == 1 && h[0].Node == "stolen" && h[0].List == "blacklist" && strings.Contains(h[0].Why, "policy_from")
		})
		if n := len(m.kept.all("blacklist")); n != 1000 {
			t.Errorf("%d rows", n)
		}
	}
	live := func(m *member) (n int) {
		for _, r := range m.kept.all("blacklist") {
			if !r.Gone {
				n++
			}
		}
		return n
	}
	if n := live(b); n < 600 {
		t.Errorf("%d entries are left", n)
	}
	if err := b.DecideHeld(t.Context(), 99, true); err == nil {
		t.Error("a change that does not wait is decided")
	}
	if err := b.DecideHeld(t.Context(), b.Report().Held[0].ID, false); err != nil { // it may be said before all was counted
		t.Fatal(err)
	}
	if err := a.DecideHeld(t.Context(), a.Report().Held[0].ID, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was refused counts nowhere", func() bool { return live(stolen) >= 600 && live(stolen) == live(b) && live(a) == live(b) })

	wide := storage.Row{Pattern: "+86*", Reason: "all of China"}
	stolen.kept.edit("blacklist", wide)
	eventually(t, "a country waits", func() bool { return len(b.Report().Held) == 1 && len(a.Report().Held) == 1 })
	again := join(t, s.url(), b.kept, nil) // another run of the program reads what waits
	if len(again.Report().Held) != 1 {
		t.Error("what waits is not kept")
	}
	again.stop()
	for _, m := range []*member{a, b} {
		eventually(t, m.kept.node+" has counted it", func() bool { return m.Report().Held[0].Until.IsZero() })
		if err := m.DecideHeld(t.Context(), m.Report().Held[0].ID, true); err != nil {
			t.Fatal(err)
		}
	}
	level(t, "what was taken counts everywhere", a, b, stolen)
	a.kept.edit("blacklist", rows(0, 1000, true)...)
	level(t, "who is in policy_from may", a, b, stolen)
	if n := live(b); n != 1 {
		t.Errorf("%d entries are left", n)
	}
}

// What waits for a person is not read again and again with the rest of its list: rarely where that takes long, and when somebody has decided.
func TestHeldRests(t *testing.T) {
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	trusting := func(o *Options) { o.PolicyFrom, o.MaxChange = []string{"a"}, 0.3 }
	one, two := join(t, s.url(), a, trusting), join(t, s.url(), b, trusting)
	var rows []storage.Row
	for i := range 100 {
		rows = append(rows, number(i))
	}
	a.edit("blacklist", rows...)
	level(t, "a list", one, two)
	b.slow(300 * time.Millisecond) // so that a list rests for six seconds
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Gone, rows[i].Reason = true, ""
	}
	b.edit("blacklist", rows...)
	eventually(t, "it waits, and has been counted", func() bool {
		h := one.Report().Held
		return len(h) == 1 && h[0].Entries == 100 && h[0].Until.IsZero()
	})
	reads := func() int { b.mu.Lock(); defer b.mu.Unlock(); return b.read }
	before := reads()
	<-time.After(5 * time.Second) // ten comparisons
	if n := reads() - before; n > 2 {
		t.Errorf("the list was read %d times", n)
	}
	if err := one.DecideHeld(t.Context(), one.Report().Held[0].ID, true); err != nil {
		t.Fatal(err)
	}
	level(t, "somebody has decided", one, two)
}

// What a node says no longer does not wait for ever: some minutes after its lists are the same it is gone.
func TestHeldIsMoot(t *testing.T) {
	s := startServer(t)
	a, b := newKept("a"), newKept("b")
	var ahead atomic.Int64
	aside := func(o *Options) {
		o.MaxChange, o.Now = 0.3, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	one, two := join(t, s.url(), a, aside), join(t, s.url(), b, aside)
	rows := []storage.Row{}
	for i := range 100 {
		rows = append(rows, number(i))
	}
	a.edit("blacklist", rows...)
	level(t, "a list", one, two)
	gone := slices.Clone(rows)
	for i := range gone {
		gone[i].Gone, gone[i].Reason = true, ""
	}
	b.edit("blacklist", gone...)
	eventually(t, "it waits", func() bool { return len(one.Report().Held) == 1 })
	b.edit("blacklist", slices.Clone(rows)...) // it was a mistake
	level(t, "the same again", one, two)
	if len(one.Report().Held) != 1 {
		t.Error("it is gone at once")
	}
	ahead.Store(int64(mootAfter + time.Minute))
	eventually(t, "it waits no more", func() bool { return len(one.Report().Held) == 0 })
}
