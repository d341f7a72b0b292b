package number

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCoverage holds covers and meets against every number of up to four digits.
func TestCoverage(t *testing.T) {
	var numbers []Number
	for size := 1; size <= 4; size++ {
		for v := range pow10[size] {
			numbers = append(numbers, Number{national: fmt.Sprintf("%0*d", size, v)})
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	random := func() Pattern {
		size := 1 + r.IntN(3)
		a, b := r.Uint64N(pow10[size]), r.Uint64N(pow10[size])
		p := Pattern{Lo: min(a, b), Hi: max(a, b), Size: uint8(size), Open: r.IntN(2) == 0}
		if p.Open || r.IntN(3) == 0 {
			p.Hi = p.Lo
		}
		return p
	}
	covered, met := 0, 0
	for range 2000 {
		var set []Pattern
		for range 1 + r.IntN(8) {
			set = append(set, random())
		}
		c, p := CoverageOf(set), random()
		all, some := true, false
		for i := range numbers {
			if p.Matches(&numbers[i]) {
				in := slices.ContainsFunc(set, func(q Pattern) bool { return q.Matches(&numbers[i]) })
				all, some = all && in, some || in
			}
		}
		if c.Covers(p) {
			covered++
			if !all {
				t.Fatalf("%v is not wholly in %v", p, set)
			}
		}
		if c.Meets(p) {
			met++
		}
		if c.Meets(p) != some {
			t.Fatalf("%v meets %v: %v", p, set, !some)
		}
	}
	if covered < 100 || met < 500 {
		t.Errorf("only %d covered and %d met", covered, met)
	}
}
