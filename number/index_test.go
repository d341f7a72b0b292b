package number

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomPattern makes a pattern of any sort around a few hundred numbers, so that many of them meet.
func randomPattern(rnd *rand.Rand) Pattern {
	q := Pattern{Size: uint8(1 + rnd.IntN(9)), Plus: rnd.IntN(2) == 0}
	limit := pow10[q.Size]
	q.Lo = uint64(rnd.IntN(300)) * (limit / 300 / uint64(1+rnd.IntN(3))) % limit
	q.Hi = q.Lo
	switch rnd.IntN(4) {
	case 0:
		q.Open = true
	case 1:
		k := rnd.IntN(int(q.Size) + 1)
		q.Lo -= q.Lo % pow10[k]
		q.Hi = q.Lo + pow10[k] - 1
	case 2:
		q.Hi = q.Lo + rnd.Uint64N(limit-q.Lo)
	}
	return q
}

// The index must find exactly what trying every pattern finds, also after many changes.
func TestIndexIsTheReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range 20 {
		x := NewIndex()
		want := map[Match]bool{}
		for range 400 {
			m := Match{Set: uint32(rnd.IntN(5)), Pattern: randomPattern(rnd)}
			x.Add(m.Pattern, m.Set)
			want[m] = true
			if rnd.IntN(3) == 0 {
				for gone := range want { // any one
					if !x.Remove(gone.Pattern, gone.Set) {
						t.Fatalf("%v was not there", gone)
					}
					if x.Remove(gone.Pattern, gone.Set) {
						t.Fatalf("%v was there twice", gone)
					}
					delete(want, gone)
					break
				}
			}
		}
		if x.Len() != len(want) {
			t.Fatalf("round %d: %d pairs, want %d", round, x.Len(), len(want))
		}
		for range 300 {
			n := Number{
				national: string(appendPadded(nil, rnd.Uint64N(1e6), 1+rnd.IntN(20))),
				digits:   string(appendPadded(nil, rnd.Uint64N(1e6)*1000, 1+rnd.IntN(20))),
			}
			first := &Match{Set: 99}
			got := x.AppendMatches([]*Match{first}, &n)
			if got[0] != first {
				t.Fatal("what was in the slice is lost")
			}
			got = got[1:]
			count := 0
			for m := range want {
				if m.Pattern.Matches(&n) {
					count++
					if !slices.ContainsFunc(got, func(f *Match) bool { return *f == m }) {
						t.Errorf("%v is not found for %+v", m, n)
					}
				}
			}
			if count != len(got) {
				t.Errorf("%d found for %+v, want %d", len(got), n, count)
			}
			for i := 1; i < len(got); i++ {
				if got[i].Pattern.width(&n) < got[i-1].Pattern.width(&n) {
					t.Errorf("%q comes after the wider %q", got[i].Pattern, got[i-1].Pattern)
				}
			}
		}
		for m := range want {
			x.Remove(m.Pattern, m.Set)
		}
		if x.Len() != 0 || len(x.heads) != 0 {
			t.Errorf("%d pairs and %d keys are left", x.Len(), len(x.heads))
		}
		for form := range x.mask {
			for size, mask := range x.mask[form] {
				if mask != 0 {
					t.Errorf("mask of length %d is left: %b", size, mask)
				}
			}
		}
	}
}

func TestIndexNarrowestFirst(t *testing.T) {
	p := testPlan(t, "CN")
	x := NewIndex()
	texts := []string{"9*", "95211613", "9521????", "952*", "+86*", "+869521*", "95211600..95211699", "9521*", "95211610..95211613", "95588"}
	for i, text := range texts {
		x.Add(mustPattern(t, p, text), uint32(i))
	}
	x.Add(mustPattern(t, p, "9521*"), 7) // again
	if x.Len() != len(texts) {
		t.Errorf("%d pairs, want %d", x.Len(), len(texts))
	}
	n := p.Parse("01095211613")
	var got []string
	for _, m := range x.AppendMatches(nil, &n) {
		if texts[m.Set] != m.Pattern.String() && mustPattern(t, p, texts[m.Set]) != m.Pattern {
			t.Errorf("set %d with %q", m.Set, m.Pattern)
		}
		got = append(got, texts[m.Set])
	}
	want := []string{"95211613", "95211610..95211613", "95211600..95211699", "9521????", "+869521*", "9521*", "952*", "9*", "+86*"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestIndexDoesNotAllocate(t *testing.T) {
	p := testPlan(t, "CN")
	x := NewIndex()
	for i, text := range []string{"9521*", "9521????", "95588", "+86*", "05925550000..05925550998", "8???"} {
		x.Add(mustPattern(t, p, text), uint32(i))
	}
	var room [16]*Match
	for _, text := range []string{"95211613", "05925550500", "+12125550100", "alice", "", "123456789012345678901234567890"} {
		n := p.Parse(text)
		if allocs := testing.AllocsPerRun(100, func() { x.AppendMatches(room[:0], &n) }); allocs != 0 {
			t.Errorf("%q: %v allocations", text, allocs)
		}
	}
}

// BenchmarkIndex shows what a look-up costs against the number of patterns: half are single numbers,
// the rest beginnings and blocks of several lengths.
func BenchmarkIndex(b *testing.B) {
	p := testPlan(b, "CN")
	for _, size := range []int{10, 100, 1000, 10_000, 100_000, 1_000_000} {
		x := filledIndex(b, p, size)
		var hits, misses []Number
		rnd := rand.New(rand.NewPCG(5, 6))
		for range 1024 {
			hits = append(hits, p.Parse(fmt.Sprintf("138%08d", rnd.IntN(size)%(size/2)*2)))
			misses = append(misses, p.Parse(fmt.Sprintf("0592%07d", 2_000_000+rnd.IntN(6_000_000))))
		}
		for _, c := range []struct {
			name    string
			numbers []Number
			found   bool
		}{{"hit", hits, true}, {"miss", misses, false}} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				b.ReportAllocs()
				var room [16]*Match
				for i := 0; b.Loop(); i++ {
					if got := x.AppendMatches(room[:0], &c.numbers[i%1024]); (len(got) > 0) != c.found {
						b.Fatalf("%s: %v", c.numbers[i%1024].E164, got)
					}
				}
			})
		}
	}
}

// filledIndex holds so many different patterns: mobile numbers 13800000000, 13800000002 and on, and
// beginnings and blocks of 95, foreign and 0755 numbers.
func filledIndex(b *testing.B, p *Plan, size int) *Index {
	x := NewIndex()
	for i := range size / 2 {
		x.Add(mustPattern(b, p, fmt.Sprintf("138%08d", i*2)), uint32(i))
	}
	for i := x.Len(); x.Len() < size; i++ {
		text := ""
		switch i % 5 {
		case 0:
			text = fmt.Sprintf("95%06d*", i)
		case 1:
			text = fmt.Sprintf("95%d????", i)
		case 2:
			text = fmt.Sprintf("+1%07d*", i)
		case 3:
			text = fmt.Sprintf("+44%08d", i)
		case 4:
			text = fmt.Sprintf("07551%06d?", i)
		}
		x.Add(mustPattern(b, p, text), uint32(i))
	}
	return x
}
