package lines

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// some is n lines with two numbers each, as an ISP has them.
func some(n int) []Line {
	zone := time.FixedZone("Asia/Shanghai", 8*3600)
	all := make([]Line, n)
	for i := range all {
		name := fmt.Sprintf("customer%d", i)
		one := func(k int) number.Pattern {
			v := 8613000000000 + uint64(i)*200 + uint64(k)*7
			return number.Pattern{Lo: v, Hi: v, Size: 13, Plus: true}
		}
		all[i] = Line{
			Name: name, Key: policy.NewLineKey(name, fmt.Sprintf("%06d", i)), Customer: fmt.Sprintf("c%05d", i*2/3),
			Numbers: []number.Pattern{one(0), one(1)}, Profile: []string{"label", "strict"}[i%2], Zone: zone,
		}
	}
	return all
}

func BenchmarkLineOf(b *testing.B) {
	plan := planOf(b)
	l := New(plan)
	all := some(100_000)
	l.Load(slices.Clone(all))
	rnd := rand.New(rand.NewPCG(1, 1))
	hits, misses, names := make([]number.Number, 4096), make([]number.Number, 4096), make([]string, 4096)
	for i := range hits {
		line := &all[rnd.IntN(len(all))]
		hits[i] = plan.Parse(line.Numbers[i%2].String())
		misses[i] = plan.Parse(fmt.Sprintf("+%d", line.Numbers[0].Lo+1))
		names[i] = line.Name
	}
	look := func(numbers []number.Number, want bool) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok := l.LineOf(&numbers[i%len(numbers)]); ok != want {
					b.Fatal(numbers[i%len(numbers)].Shown())
				}
			}
		}
	}
	b.Run("hit", look(hits, true))
	b.Run("miss", look(misses, false))
	b.Run("named", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, ok := l.LineNamed(names[i%len(names)]); !ok {
				b.Fatal(names[i%len(names)])
			}
		}
	})
	b.Run("edit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			line := all[i*7%len(all)]
			line.Mode = policy.LineOff
			change := []Change{{Line: line}}
			if taken := l.Check(change, 1); len(taken) > 0 {
				b.Fatal(taken[0])
			}
			l.Apply(change)
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			New(plan).Load(slices.Clone(all))
		}
	})
}
