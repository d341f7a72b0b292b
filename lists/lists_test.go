package lists

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

func china(t testing.TB) *number.Plan {
	t.Helper()
	p, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readPattern(t testing.TB, p *number.Plan, text string) number.Pattern {
	t.Helper()
	q, err := p.Pattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestLists(t *testing.T) {
	p := china(t)
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	l := New()
	n := p.Parse("01095211613")
	if _, ok := l.Lookup("blacklist", &n, now); ok || l.Exists("blacklist") || l.Len("blacklist") != 0 || l.Remove("blacklist", readPattern(t, p, "9521*")) {
		t.Error("a list that nobody made holds something")
	}
	put := func(list, pattern, reason string, expires time.Time) {
		l.Put(policy.ListEntry{List: list, Pattern: readPattern(t, p, pattern), Reason: reason, Source: "test", Added: now, Expires: expires})
	}
	look := func(list string, at time.Time) string {
		e, ok := l.Lookup(list, &n, at)
		if !ok {
			return "nothing"
		}
		if e.List != list || !e.Pattern.Matches(&n) || e.Source != "test" || !e.Added.Equal(now) {
			t.Errorf("entry %+v", e)
		}
		return e.Reason
	}
	put("blacklist", "9521*", "sales", time.Time{})
	put("allowlist", "95588", "bank", time.Time{})
	if got := look("blacklist", now); got != "sales" {
		t.Errorf("found %s", got)
	}
	if got := look("allowlist", now); got != "nothing" {
		t.Errorf("found %s in another list", got)
	}
	put("blacklist", "+8695211613", "caught", now.Add(time.Hour))
	if got := look("blacklist", now); got != "caught" {
		t.Errorf("the narrower entry is not taken: %s", got)
	}
	if got := look("blacklist", now.Add(time.Hour-1)); got != "caught" {
		t.Errorf("expired too early: %s", got)
	}
	if got := look("blacklist", now.Add(time.Hour)); got != "sales" {
		t.Errorf("an expired entry counts, or hides the wider one: %s", got)
	}
	put("blacklist", "01095211613", "again", time.Time{}) // the same number, so the same entry
	if got, entries := look("blacklist", now), l.Len("blacklist"); got != "again" || entries != 2 {
		t.Errorf("not replaced: %s, %d entries", got, entries)
	}
	if !l.Remove("blacklist", readPattern(t, p, "95211613")) || l.Remove("blacklist", readPattern(t, p, "95211613")) {
		t.Error("removed not once")
	}
	if got := look("blacklist", now); got != "sales" {
		t.Errorf("after removing: %s", got)
	}
	if l.Remove("blacklist", readPattern(t, p, "952*")) {
		t.Error("another pattern was removed")
	}
	l.Remove("blacklist", readPattern(t, p, "9521*"))
	if look("blacklist", now) != "nothing" || !l.Exists("blacklist") || l.Len("blacklist") != 0 {
		t.Error("an emptied list is gone or not empty")
	}
	put("blacklist", "9521????", "new", time.Time{}) // in the place of a removed one
	if got := look("blacklist", now); got != "new" {
		t.Errorf("after filling a gap: %s", got)
	}
	if names := l.Names(); !slices.Equal(names, []string{"allowlist", "blacklist"}) {
		t.Errorf("names %v", names)
	}
	l.Put(policy.ListEntry{List: "line:blacklist"})
	if !l.Exists("line:blacklist") || l.Len("line:blacklist") != 0 {
		t.Error("an empty list was not made")
	}
	l.Drop("line:blacklist")
	l.Drop("blacklist")
	if look("blacklist", now) != "nothing" || l.Exists("blacklist") {
		t.Error("a dropped list is there")
	}
	if allocs := testing.AllocsPerRun(100, func() { l.Lookup("allowlist", &n, now) }); allocs != 0 {
		t.Errorf("a look-up allocates %v times", allocs)
	}
}

// Readers and writers at once, for the race detector; a number that stays listed is always found.
func TestListsConcurrently(t *testing.T) {
	p := china(t)
	l := New()
	l.Put(policy.ListEntry{List: "blacklist", Pattern: readPattern(t, p, "9521*")})
	stays, at := p.Parse("95211613"), time.Now()
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 300 {
				q, err := p.Pattern(fmt.Sprintf("952116%d%d", worker, i%10))
				if err != nil {
					t.Error(err)
					return
				}
				l.Put(policy.ListEntry{List: "blacklist", Pattern: q})
				if _, ok := l.Lookup("blacklist", &stays, at); !ok {
					t.Error("a listed number was not found")
					return
				}
				l.Remove("blacklist", q)
				l.Names()
			}
		})
	}
	all.Wait()
	if got := l.Len("blacklist"); got != 1 {
		t.Errorf("%d entries are left", got)
	}
}

// Numbers a list can hold: a million, spread as mobile numbers are. The table up to ten million beside a Go map and
// bbolt is that of `make bench-lists`.
func BenchmarkListsLookup(b *testing.B) {
	for _, size := range []int{1000, 1_000_000} {
		l := New()
		load := l.Load("blacklist")
		for i := range size {
			v := 8613800000000 + uint64(i)*37
			load.Add(&policy.ListEntry{Pattern: number.Pattern{Lo: v, Hi: v, Size: 13, Plus: true}})
		}
		load.Done()
		at := time.Now()
		for name, off := range map[string]uint64{"hit": 0, "miss": 1} {
			b.Run(fmt.Sprint(size, "/", name), func(b *testing.B) {
				b.ReportAllocs()
				i := uint64(0)
				numbers := make([]number.Number, 4096)
				for j := range numbers {
					numbers[j] = number.Written("", fmt.Sprint(8613800000000+uint64(j*7919%size)*37+off))
				}
				for b.Loop() {
					n := &numbers[i&4095]
					i++
					if _, ok := l.Lookup("blacklist", n, at); ok != (off == 0) {
						b.Fatal("not what was expected")
					}
				}
			})
		}
	}
}
