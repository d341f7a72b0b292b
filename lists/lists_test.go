package lists

import (
	"fmt"
	"path/filepath"
	"runtime"
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

// Readers go on while a list is edited, merged, written, mapped and replaced, thousands of times: what stays listed is always found, an
// edit counts from the next look-up on, and in the end all is as it was edited.
func TestPiecesConcurrently(t *testing.T) {
	l := New()
	file := filepath.Join(t.TempDir(), "lists.piece")
	exact := func(i int) number.Pattern {
		v := 8613800000000 + uint64(i)*37
		return number.Pattern{Lo: v, Hi: v, Size: 13, Plus: true}
	}
	l.Adopt("l", samplePiece(t, 300_000))
	n := l.Len("l")
	stop := make(chan struct{})
	var all sync.WaitGroup
	for reader := range 2 {
		all.Go(func() {
			stays, at := number.Written("", fmt.Sprint(8613800000000+reader*37*1000)), time.Now()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if e, ok := l.Lookup("l", &stays, at); !ok || e.Reason != "a reason" {
					t.Errorf("what stays listed is not found: %+v, %v", e, ok)
					return
				}
			}
		})
	}
	all.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			p := l.Piece("l")
			if err := WriteFile(file, []SavedPiece{{sampleFit, p}}); err != nil {
				t.Error(err)
				return
			}
			mapped, err := OpenFile(file, func(Fit) bool { return true })
			if err != nil || len(mapped) != 1 {
				t.Errorf("%d pieces, %v", len(mapped), err)
				return
			}
			l.Replace("l", p, mapped[0])
			runtime.GC() // unmaps what nobody uses
		}
	})
	edits := 4000
	if testing.Short() {
		edits = 1000
	}
	for i := range edits {
		p := exact(1_000_000 + i)
		here := number.Written("", fmt.Sprint(p.Lo))
		l.Put(policy.ListEntry{List: "l", Pattern: p, Reason: fmt.Sprint("edit ", i%50)})
		if e, ok := l.Lookup("l", &here, time.Now()); !ok || e.Reason != fmt.Sprint("edit ", i%50) {
			t.Fatalf("edit %d does not count: %+v, %v", i, e, ok)
		}
		if i%2 == 1 {
			if !l.Remove("l", p) {
				t.Fatalf("edit %d was not there", i)
			}
			if _, ok := l.Lookup("l", &here, time.Now()); ok {
				t.Fatalf("edit %d is still there", i)
			}
		}
	}
	close(stop)
	all.Wait()
	if got := l.Len("l"); got != n+edits/2 {
		t.Errorf("%d entries, want %d", got, n+edits/2)
	}
	for i := range edits {
		here := number.Written("", fmt.Sprint(exact(1_000_000+i).Lo))
		if _, ok := l.Lookup("l", &here, time.Now()); ok != (i%2 == 0) {
			t.Fatalf("edit %d: %v", i, ok)
		}
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

// Lists of beginnings and ranges, as national lists of prefixes are.
func BenchmarkListsWide(b *testing.B) {
	for _, size := range []int{10, 1000, 100_000} {
		l := New()
		load := l.Load("l")
		for i := range size {
			lo := 1300000 + uint64(i)*5
			load.Add(&policy.ListEntry{Pattern: number.Pattern{Lo: lo, Hi: lo, Size: 7, Open: i%2 == 0}})
			load.Add(&policy.ListEntry{Pattern: number.Pattern{Lo: lo * 10000, Hi: lo*10000 + 4999, Size: 11}})
		}
		load.Done()
		at := time.Now()
		for name, off := range map[string]uint64{"hit": 0, "miss": 1} {
			b.Run(fmt.Sprint(size, "/", name), func(b *testing.B) {
				b.ReportAllocs()
				numbers := make([]number.Number, 4096)
				for j := range numbers {
					text := fmt.Sprint(1300000 + uint64(j*7919%size)*5 + off)
					numbers[j] = number.Written(text+"1234", "86"+text+"1234")
				}
				for i := 0; b.Loop(); i++ {
					if _, ok := l.Lookup("l", &numbers[i&4095], at); ok != (off == 0) {
						b.Fatal("not what was expected")
					}
				}
			})
		}
	}
}

// One edit of a list: the first after its piece was made, and all of those until the next one is made, with that.
func BenchmarkListsEdit(b *testing.B) {
	for _, size := range []int{1000, 1_000_000, 10_000_000} {
		l := New()
		load := l.Load("l")
		for i := range size {
			v := 8613800000000 + uint64(i)*37
			load.Add(&policy.ListEntry{Pattern: number.Pattern{Lo: v, Hi: v, Size: 13, Plus: true}})
		}
		load.Done()
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				v := 8613800000001 + uint64(i*7919%size)*37
				l.Put(policy.ListEntry{List: "l", Pattern: number.Pattern{Lo: v, Hi: v, Size: 13, Plus: true}, Reason: "a reason"})
			}
		})
		b.Run(fmt.Sprint(size, "/merge"), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				v := 8613800000002 + uint64(i*7919%size)*37
				l.Put(policy.ListEntry{List: "l", Pattern: number.Pattern{Lo: v, Hi: v, Size: 13, Plus: true}, Reason: "a reason"})
				l.Piece("l")
			}
		})
	}
}
