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

// What calls teach one node counts on another, there and after its restart, and is not told back.
func TestFactsOfOtherNodes(t *testing.T) {
	p, err := policy.Load("policy.toml", []byte("country = \"CN\"\n[lines.staff]\nnumbers = [\"0592555*\"]\n[[rule]]\nname = \"known\"\nwhen = { line = [\"staff\"], known_caller = \"30d\" }\naction = \"allow\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	node := func() (*Keeper, *traffic.Memory, *storage.DB, *[]Shared) {
		db, err := storage.Open(filepath.Join(t.TempDir(), "x.db"), storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		k := NewKeeper(db, func() *policy.Policy { return p }, slog.New(slog.DiscardHandler), time.Now)
		m := traffic.New(k)
		k.memory = m
		told := new([]Shared)
		k.Share(func(facts []Shared) { *told = append(*told, facts...) })
		return k, m, db, told
	}
	now := time.Now().Truncate(time.Millisecond)
	one, oneMemory, _, told := node()
	two, twoMemory, twoDB, toldBack := node()
	oneMemory.Known.Meet("staff", "+8613800138000", now)
	oneMemory.Challenges.Passed(traffic.Asked{Line: "staff", Caller: "+8613900139000", At: now})
	oneMemory.Realms.See("a.example", now)
	if err := one.write(); err != nil || len(*told) != 2 {
		t.Fatalf("%+v, %v", *told, err)
	}
	if n := two.Take(*told); n != 0 {
		t.Errorf("%d refused", n)
	}
	for _, wrong := range []Shared{
		{"known", "no such line\x00+8613800138000", now},
		{"known", "staff", now},
		{"realms", "b.example", now},
		{"known", "", now},
		{"passed", "staff\x00+8613800138001", now.Add(time.Hour)},
		{"emergency", string(make([]byte, 300)), now},
	} {
		if two.Take([]Shared{wrong}) != 1 {
			t.Errorf("%+v is taken", wrong)
		}
	}
	three, threeMemory, _, _ := node()
	threeMemory.Known = traffic.NewKnown(4, nil) // of which the rest is for the calls of this node
	for i, want := range []int{0, 0, 0, 1} {
		if n := three.Take([]Shared{{"known", fmt.Sprintf("staff\x00+861390000000%d", i), now}}); n != want {
			t.Errorf("of the caller %d %d are refused, want %d", i, n, want)
		}
	}
	knows := func(m *traffic.Memory) bool {
		met, _ := m.Known.To("+8613800138000", []string{"staff"}, now)
		passed, _ := m.Challenges.Of("staff", "", "+8613900139000", now)
		return !met.IsZero() && passed.Equal(now)
	}
	if !knows(twoMemory) {
		t.Error("it does not count")
	}
	if err := two.write(); err != nil || len(*toldBack) != 0 {
		t.Errorf("told back: %+v, %v", *toldBack, err)
	}
	again := traffic.New(two)
	if err := LoadFacts(twoDB, again, p, now.Add(time.Minute)); err != nil || !knows(again) {
		t.Errorf("after a restart: %v", err)
	}
	for since, want := range map[time.Duration]int{-time.Hour: 2, time.Hour: 0} {
		n := 0
		if err := two.Since(now.Add(since), func(facts []Shared) error { n += len(facts); return nil }); err != nil || n != want {
			t.Errorf("%v: %d facts, %v", since, n, err)
		}
	}
	twoMemory.Known.Meet("staff", "+8613800138000", now.Add(time.Second)) // now it has learnt it itself
	if err := two.write(); err != nil || len(*toldBack) != 1 {
		t.Errorf("%+v, %v", *toldBack, err)
	}
}
