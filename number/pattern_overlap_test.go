package number

import (
	"math/rand/v2"
	"testing"
)

// Two patterns overlap exactly if there is a number that both match.
func TestOverlaps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	met := 0
	for range 3000 {
		p, q := randomPattern(rnd), randomPattern(rnd)
		want := false
		for _, r := range []Pattern{p, q} { // a common one is among the ends of either, perhaps with more digits
			for _, v := range []uint64{r.Lo, r.Hi} {
				for more := 0; more < 10 && !want; more++ {
					d := string(appendPadded(nil, v, int(r.Size)))
					for range more {
						d += "0"
					}
					low := Number{national: d, digits: d}
					high := []byte(d)
					for i := range more {
						high[len(high)-1-i] = '9'
					}
					top := Number{national: string(high), digits: string(high)}
					both := func(n *Number) bool {
						if p.Plus != q.Plus {
							return false
						}
						return p.Matches(n) && q.Matches(n)
					}
					want = both(&low) || both(&top)
				}
			}
		}
		if got := p.Overlaps(q); got != want {
			t.Fatalf("%q and %q: %v, want %v", p, q, got, want)
		}
		if want {
			met++
		}
	}
	if met == 0 {
		t.Error("no two of them met")
	}
}
