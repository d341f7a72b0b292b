package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/storage"
)

// However many changes wait, they have one number, are written once a batch and logged once a minute.
func TestHeldIsGathered(t *testing.T) {
	v := newTarget(t)
	v.has("blacklist", 0, 6000)
	v.begin()
	v.log.Reset()
	var rows []storage.Row
	for i := range 6000 {
		r := ours(i, gone)
		r.Stamp = storage.Tick{Wall: v.now.UnixMilli(), Count: uint32(10 + i), Node: "stolen"}
		rows = append(rows, r)
	}
	for range 3 { // they come again each time that lists are compared
		v.says("stolen", "blacklist", rows...)
	}
	h := v.held()
	if len(h) != 1 || h[0].Entries != 6000-1800 || h[0].Until.IsZero() {
		t.Fatalf("%+v", h)
	}
	if lines := strings.Count(v.log.String(), "level=WARN"); v.puts > 6 || lines != 1 {
		t.Errorf("%d writes, %d lines:\n%s", v.puts, lines, v.log.String())
	}
	if left := v.left("blacklist", 6000); left != 6000-1800 {
		t.Errorf("%d entries are left", left)
	}
	v.now = v.now.Add(2 * time.Hour) // nor does what waits come in as the hours pass
	v.says("stolen", "blacklist", rows...)
	if left := v.left("blacklist", 6000); left != 6000-1800 || len(v.held()) != 1 {
		t.Errorf("%d entries are left, %+v", left, v.held())
	}
}

// Who takes what waits takes as much as was shown, whatever the node says then.
func TestTakenIsNoMoreThanShown(t *testing.T) {
	v := newTarget(t)
	v.has("blacklist", 0, 2000)
	v.begin()
	at := func(stamp storage.Tick) func(r *storage.Row) {
		return func(r *storage.Row) { gone(r); r.Stamp = stamp }
	}
	stamp := storage.Tick{Wall: v.now.UnixMilli() + 5, Node: "stolen"}
	v.says("stolen", "blacklist", many(0, 800, at(stamp))...)
	id := v.held()[0].ID
	if err := v.DecideHeld(t.Context(), id, true); err == nil {
		t.Error("it is taken while it grows")
	}
	v.now = v.now.Add(61 * time.Second)
	v.says("stolen", "blacklist", many(800, 2000, at(stamp))...) // too late to be counted
	if h := v.held(); len(h) != 1 || h[0].Entries != 800 || !h[0].Until.IsZero() || v.left("blacklist", 2000) != 2000 {
		t.Fatalf("%+v", h)
	}
	must(t, v.DecideHeld(t.Context(), id, true))
	v.says("stolen", "blacklist", many(1000, 1100, at(stamp))...)
	v.begin() // another run knows how much that was
	v.says("stolen", "blacklist", many(1100, 2000, at(stamp))...)
	if left := v.left("blacklist", 2000); left != 2000-800-200 { // the new run has another share, within its hour: 600
		t.Errorf("%d entries are left", left)
	}
	v.says("stolen", "blacklist", many(0, 1000, at(stamp))...)
	if left := v.left("blacklist", 2000); left != 1000 {
		t.Errorf("%d entries are left", left)
	}
	if h := v.held(); len(h) != 1 || h[0].ID == id || h[0].Entries != 1000 {
		t.Errorf("%+v", h)
	}
}

// What waits goes when the node's lists are the same, as where a person refused it on another node; not while it is still said.
func TestWaitsNoMore(t *testing.T) {
	v := newTarget(t)
	v.has("blacklist", 0, 1000)
	rows := many(0, 900, gone)
	v.says("stolen", "blacklist", rows...)
	v.now = v.now.Add(mootAfter + time.Minute)
	v.says("stolen", "blacklist", rows...)
	same := func() int {
		v.mu.Lock()
		v.dropMoot("other", v.now)
		v.dropMoot("stolen", v.now)
		v.mu.Unlock()
		must(t, v.saveHeld())
		return len(v.held())
	}
	if n := same(); n != 1 {
		t.Errorf("%d wait, of which some came a moment ago", n)
	}
	v.now = v.now.Add(mootAfter + time.Minute)
	if n := same(); n != 0 {
		t.Errorf("%d wait still", n)
	}
	if v.begin(); len(v.held()) != 0 {
		t.Errorf("it waits again after a restart: %+v", v.held())
	}
	if left := v.left("blacklist", 1000); left != 700 { // the share of an hour
		t.Errorf("%d entries are left", left)
	}
}

// What was refused does not count for a moment, and the others come to hear what was there before.
func TestRefusedNeverCounts(t *testing.T) {
	v := newTarget(t)
	v.has("blacklist", 0, 1000)
	v.begin()
	wide := storage.Row{Pattern: "+86*", Reason: "all"}
	rows := many(0, 1000, gone)
	v.says("stolen", "blacklist", rows...)
	v.says("stolen", "blacklist", wide)
	for _, h := range v.held() {
		must(t, v.DecideHeld(t.Context(), h.ID, false))
	}
	v.took = nil
	v.says("stolen", "blacklist", rows[300:]...)
	v.says("stolen", "blacklist", storage.Row{Pattern: "+86*", Reason: "all", Stamp: storage.Tick{Wall: v.now.UnixMilli(), Count: 1, Node: "stolen"}})
	if len(v.took) != 701 {
		t.Errorf("%d rows were taken", len(v.took))
	}
	for _, r := range v.took {
		if r.Gone != (r.Pattern == "+86*") || r.Stamp.Node != "a" {
			t.Fatalf("%+v", r)
		}
	}
	if left := v.left("blacklist", 1000); left != 700 || len(v.held()) != 0 {
		t.Errorf("%d entries are left, %+v", left, v.held())
	}
	v.says("stolen", "blacklist", rows[300:]...) // they change nothing any more
	found, err := v.db.Lookup("blacklist", number(999).Pattern, "+86*")
	must(t, err)
	if len(found[0]) != 1 || found[0][0].Stamp.Compare(rows[999].Stamp) <= 0 || len(found[1]) != 0 || len(v.held()) != 0 {
		t.Errorf("%+v, %+v", found, v.held())
	}
}

// What could not be written was not said: it may be said again.
func TestHeldAfterAFullDisk(t *testing.T) {
	v := newTarget(t)
	v.has("blacklist", 0, 1000)
	v.begin()
	rows := many(0, 250, gone)
	v.fail = fmt.Errorf("no space left on device")
	for range 5 {
		for i := range rows {
			rows[i].Stamp = storage.Tick{Wall: v.now.UnixMilli(), Count: 9, Node: "b"}
		}
		if _, err := v.merge(t.Context(), "blacklist", rows, storage.Foreign{Node: "b"}); err == nil {
			t.Fatal("it was written")
		}
		if _, err := v.mergeList(t.Context(), "blacklist", each(rows), storage.Foreign{Node: "b"}); err == nil {
			t.Fatal("all of it was written")
		}
	}
	v.fail = nil
	v.says("b", "blacklist", rows...)
	if left := v.left("blacklist", 1000); left != 750 || len(v.held()) != 0 {
		t.Errorf("%d entries are left, %+v", left, v.held())
	}
}

// What an older version kept is put away, and what cannot be read is said.
func TestHeldOfBefore(t *testing.T) {
	v := newTarget(t)
	must(t, v.db.PutSetting(settingHeld, []byte(`[{"id":3,"node":"b","list":"blacklist","stamp":{"wall":5,"node":"b"},"time":"2026-11-30T00:00:00Z","entries":7,"why":"x"}]`)))
	v.begin()
	if h := v.held(); len(h) != 0 {
		t.Errorf("%+v", h)
	}
	must(t, v.db.PutSetting(settingHeld, []byte(`{"held":`)))
	if _, err := New(v.o); err == nil || !strings.Contains(err.Error(), settingHeld) {
		t.Errorf("%v", err)
	}
}
