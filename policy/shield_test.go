package policy

import (
	"math/rand/v2"
	"testing"
)

// What would hit an emergency number or one that is never screened is told, however it is written.
func TestShield(t *testing.T) {
	p, faults := Load("policy.toml", []byte("country = \"CN\"\ntimezone = \"Asia/Shanghai\"\n[numbers]\nnever_screen = [\"110\", \"95110\", \"96???\", \"+4930*\"]\n"))
	if p == nil {
		t.Fatal(faults)
	}
	s := p.Shield()
	for text, want := range map[string]string{
		"110": "+86110", "+86110": "+86110", "0592110": "+86110", "+8696*": "+8696000", "1*": "+86110", "11?": "+86110", "120": "+86120", "12110": "+8612110", "95110": "+8695110",
		"9511*": "+8695110", "95588": "", "9*": "+8695110", "96123": "96???", "+49301234567": "+4930*", "+49*": "+4930", "+4989*": "", "13800138000": "",
		"95109..95111": "+8695110", "+86*": "+86110", "+1911": "",
	} {
		q, err := p.Plan().Pattern(text)
		if err != nil {
			if want != "" || text == "95588" {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if got, _ := s.Hit(q); got != want {
			t.Errorf("%s hits %q, want %q", text, got, want)
		}
	}
}

// Two patterns overlap exactly if there is a number that both match.
func TestOverlaps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	met := 0
	for range 3000 {
		p, q := randomPattern(rnd), randomPattern(rnd)
		want := false
		for _, r := range []Pattern{p, q} { // a common one is among the ends of either, perhaps with more digits
			for _, v := range []uint64{r.lo, r.hi} {
				for more := 0; more < 10 && !want; more++ {
					d := string(appendPadded(nil, v, int(r.size)))
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
						if p.plus != q.plus {
							return false
						}
						return p.Matches(n) && q.Matches(n)
					}
					want = both(&low) || both(&top)
				}
			}
		}
		if got := p.overlaps(q); got != want {
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
