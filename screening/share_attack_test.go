package screening

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// These are what somebody tells a node who signed in as another one, the node stolen.

func sharingNode(t *testing.T) (*Keeper, *traffic.Memory, *storage.DB) {
	t.Helper()
	p, faults := policy.Load("policy.toml", []byte("country = \"CN\"\n[lines.staff]\nnumbers = [\"0592555*\"]\n[[rule]]\nname = \"known\"\nwhen = { line = [\"staff\"], known_caller = \"30d\" }\naction = \"allow\"\n"))
	if faults != nil {
		t.Fatal(faults)
	}
	db, err := storage.Open(filepath.Join(t.TempDir(), "x.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	k := NewKeeper(db, func() *policy.Policy { return p }, slog.New(slog.DiscardHandler), time.Now)
	m := traffic.New(k)
	k.memory = m
	return k, m, db
}

// kept is what a table has on disk, by key.
func kept(t *testing.T, db *storage.DB, of storage.StampTable) map[string]time.Time {
	t.Helper()
	all := make(map[string]time.Time)
	if err := db.EachStamp(of, func(s storage.Stamp) error { all[s.Key] = s.At; return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// What counts no more is not brought to disk either: there may be any number of it.
func TestOldFactsAreNotKept(t *testing.T) {
	k, _, db := sharingNode(t)
	now := time.Now()
	for table, ago := range map[string]time.Duration{"emergency": policy.CallbackWindow + time.Second, "passed": 31 * 24 * time.Hour, "known": 400 * 24 * time.Hour} {
		var facts []Shared
		for i := range 1000 {
			facts = append(facts, Shared{table, fmt.Sprintf("staff\x00+86139%08d", i), now.Add(-ago)})
		}
		k.Take(facts)
	}
	if err := k.write(); err != nil {
		t.Fatal(err)
	}
	for _, of := range []storage.StampTable{storage.Emergency, storage.Passed, storage.Known} {
		if n := len(kept(t, db, of)); n != 0 {
			t.Errorf("%d facts of %v are on disk", n, of)
		}
	}
}

// An earlier time that comes later takes the place of none, on disk as little as in memory: after a restart the caller would be a stranger.
func TestEarlierFactsChangeNothing(t *testing.T) {
	k, m, db := sharingNode(t)
	now := time.Now().Truncate(time.Millisecond)
	const caller = "+8613800138000"
	m.Known.Meet("staff", caller, now)
	m.Challenges.Passed(traffic.Asked{Line: "staff", Caller: caller, At: now})
	m.Callbacks.Dialled("number 8001", now)
	if err := k.write(); err != nil {
		t.Fatal(err)
	}
	for ago := range 3 {
		before := now.Add(-time.Duration(ago+1) * time.Minute)
		k.Take([]Shared{{"known", "staff\x00" + caller, before}, {"passed", "staff\x00" + caller, before}, {"emergency", "number 8001", before}})
		if err := k.write(); err != nil {
			t.Fatal(err)
		}
	}
	for _, of := range []storage.StampTable{storage.Known, storage.Passed, storage.Emergency} {
		for key, at := range kept(t, db, of) {
			if !at.Equal(now) {
				t.Errorf("%v: %q is of %v before", of, key, now.Sub(at))
			}
		}
	}
}

// Whoever says that very many passed a challenge takes the place of nobody who did, and does not fill the disk.
func TestPassesOfOthersLeaveRoom(t *testing.T) {
	k, m, db := sharingNode(t)
	now := time.Now().Truncate(time.Millisecond)
	const caller = "+8613800138000"
	m.Challenges.Passed(traffic.Asked{Line: "staff", Caller: caller, At: now})
	refused := 0
	for i := range 120 {
		var facts []Shared
		for j := range 1000 {
			facts = append(facts, Shared{"passed", fmt.Sprintf("staff\x00+86139%05d%03d", i, j), now})
		}
		refused += k.Take(facts)
		if err := k.write(); err != nil {
			t.Fatal(err)
		}
	}
	if passed, _ := m.Challenges.Of("staff", "", caller, now); !passed.Equal(now) {
		t.Error("who passed here has to pass again")
	}
	if n := len(kept(t, db, storage.Passed)); n > 100_000 || refused < 20_000 {
		t.Errorf("%d passes are on disk, %d were refused", n, refused)
	}
	m.Challenges.Passed(traffic.Asked{Line: "staff", Caller: "+8613800138001", At: now}) // there is room for those of this node
	if c := m.Challenges.Count(); c.PassesFull != 0 {
		t.Errorf("%+v", c)
	}
	if n := k.Take([]Shared{{"passed", "staff\x00" + caller, now.Add(time.Millisecond)}}); n != 0 && time.Now().After(now.Add(time.Millisecond)) {
		t.Error("of who passed before nothing more is taken")
	}
}
