package detect

import (
	"math/rand/v2"
	"testing"
	"time"

	"ringfence/policy"
)

// TestBusyKnowsAll holds that a set has noted of each detector whether it has breakers on a trunk, and pins: by that it is asked about a call or not.
func TestBusyKnowsAll(t *testing.T) {
	b := busyBench(t)
	check := func(when string, s *Set) (open, pinned int) {
		for i, d := range s.all {
			var by [256]int32
			for j := range d.slots.all {
				if e := &d.slots.all[j]; e.b != nil {
					by[e.trunk()]++
				}
			}
			for trunk, n := range by {
				if n != d.slots.open[trunk] || n > 0 != s.busy.open[trunk].Has(i) {
					t.Errorf("%s, %s has %d breakers on trunk %d: counted are %d, noted is %v", when, d.Name, n, trunk, d.slots.open[trunk], s.busy.open[trunk].Has(i))
				}
				open += int(n)
			}
			if len(d.pins) > 0 != s.busy.pinned.Has(i) {
				t.Errorf("%s, %s has %d pins: noted is %v", when, d.Name, len(d.pins), s.busy.pinned.Has(i))
			}
			pinned += len(d.pins)
		}
		return open, pinned
	}
	some := func(when string, s *Set) {
		t.Helper()
		if open, pinned := check(when, s); open == 0 || pinned == 0 {
			t.Fatalf("%s there are %d breakers and %d pins: nothing to see", when, open, pinned)
		}
	}
	some("after calls", b.Set)
	loaded := New(b.p.Detectors(), Options{Seed: 2})
	if err := loaded.Load(b.Snapshot()); err != nil {
		t.Fatal(err)
	}
	some("after a restart", loaded)
	other := load(t, everything+"\n[[detector]]\nname = \"one more\"\nkey = \"caller\"\ncount = \"calls\"\nwindow = \"1h\"\ntrip = 3\n").Detectors()
	policyWas := b.Set
	b.Set = New(append(other[1:len(other):len(other)], other[0]), Options{Seed: 3})
	b.Adopt(policyWas)
	some("by another policy", b.Set)
	restored := New(b.p.Detectors(), Options{Seed: 4})
	b.Breakers("", false, b.now, func(x Breaker) bool { restored.Restore(x); return true })
	some("from where breakers are kept", restored)
	if b.Unpin("in order", "", "callee of no digits", "anna", b.now) != 1 {
		t.Fatal("there was no such pin")
	}
	check("after unpin", b.Set)
	b.pass(30 * 24 * time.Hour)
	if open, pinned := check("a month on", b.Set); open+pinned != 0 {
		t.Errorf("a month on there are %d breakers and %d pins", open, pinned)
	}
}

// TestKeyOfNothing holds that a snapshot with a key that no call has is none: such a slot would count as free.
func TestKeyOfNothing(t *testing.T) {
	b := newBench(t, everything)
	for _, d := range b.all {
		r := &varints{b: make([]byte, 100)}
		if at := d.loadSlot(r); at >= 0 || !r.bad || d.slots.used != 0 {
			t.Errorf("%s takes a slot of no key", d.Name)
		}
	}
}

// TestSameCallIsKnown compares the table of the last seconds' calls with one that never forgets, while it grows and turns over.
func TestSameCallIsKnown(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := recent{newer: callTimes{seed: 5}, older: callTimes{seed: 5}}
	when := map[uint64]int64{}
	now, again := int64(1_800_000_000_000), 0
	for i := range 200_000 {
		now += random.Int64N(40)
		call := mix(random.Uint64N(600))
		note := i%5 > 0
		at, was := when[call]
		want := was && now-at < sameCall
		if got := r.same(call, now, note); got != want {
			t.Fatalf("call %d is the same as one a moment ago: %v, want %v", i, got, want)
		}
		switch {
		case want:
			again++
		case note:
			when[call] = now
		}
	}
	if again < 1000 || again > 150_000 {
		t.Errorf("%d calls were there a moment ago", again)
	}
	if most := 4 * maxRecent; len(r.newer.all) > most {
		t.Errorf("room for %d calls", len(r.newer.all))
	}
	for call := range uint64(5 * maxRecent) { // all within a moment: there is a bound
		r.same(mix(call), now, true)
	}
	if r.newer.n > maxRecent || r.older.n > maxRecent || len(r.newer.all) > 4*maxRecent {
		t.Errorf("%d and %d calls are kept, in room for %d", r.newer.n, r.older.n, len(r.newer.all))
	}
}

// TestEventAsksWhoCounts holds that what a detector counts is noted, whatever it is.
func TestEventAsksWhoCounts(t *testing.T) {
	b := newBench(t, everything)
	for i, d := range b.all {
		for kind := range policy.Counted(16) {
			if counts := d.kinds&(1<<kind) != 0; counts != b.busy.counts(1<<kind).Has(i) {
				t.Errorf("%s counts %s: %v, and is asked: %v", d.Name, kind, counts, !counts)
			}
		}
	}
}
