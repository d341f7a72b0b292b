package number

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// fuzzCountries are the plans that fuzzing tries, different in trunk and international prefixes.
var fuzzCountries = []string{"CN", "US", "GB", "DE", "JP", "RU", "AU", "IT", "SG", "HK", "BR", "HU", "AR", "MX", "CI", "FR", "IN", "KR", "NO", "AT"}

func fuzzPlans(t testing.TB) []*Plan {
	plans := make([]*Plan, len(fuzzCountries))
	for i, country := range fuzzCountries {
		plans[i] = testPlan(t, country)
	}
	return plans
}

// FuzzParse reads any text as a number: it is the same number when read again, keeps within its
// bounds, and the pattern made from it matches it.
func FuzzParse(f *testing.F) {
	for i, row := range spellings(f) {
		f.Add(row.text, uint8(i))
	}
	f.Add(strings.Repeat("9", 10_000), uint8(0))
	plans := fuzzPlans(f)
	f.Fuzz(func(t *testing.T, text string, country uint8) {
		p := plans[int(country)%len(plans)]
		outside, inside := p.Parse(text), p.ParseInternal(text)
		for _, n := range []Number{outside, inside} {
			if n.Kind != Internal {
				checkNumber(t, p, &n)
			}
			if shown := n.Shown(); Inert(shown) != shown {
				t.Errorf("%q is shown as %q", text, shown)
			}
			written := n.E164
			switch {
			case written != "":
			case n.national != "":
				written = n.national
			case n.digits != "":
				written = "+" + n.digits
			default:
				continue
			}
			q, err := p.Pattern(written)
			if err != nil {
				if len(written) <= maxPatternDigits {
					t.Errorf("%s %q: the pattern %q is refused: %v", p.Country(), text, written, err)
				}
				continue
			}
			if !q.IsExact() || !q.Matches(&n) || q.String() != written {
				t.Errorf("%s %q: the pattern %q (from %q) does not match", p.Country(), text, q, written)
			}
			checkPattern(t, p, q)
		}
		if outside.Kind != Invalid && outside != inside && inside.Kind != Emergency { // the police of another town
			t.Errorf("%q is %+v from outside and %+v from inside", text, outside, inside)
		}
	})
}

// FuzzPattern reads any text as a pattern: its canonical text is the same pattern, the index finds
// what the plain definition finds, and X* takes whatever X???? takes.
func FuzzPattern(f *testing.F) {
	for i, text := range []string{
		"95588", "9521*", "9521????", "+1*", "00*", "8???", "*", "05925550000-05925550999", "0592-5550100",
		"+865925550100..+865925550149", "13800138000..13800138999", "8695*", "1305*", "+49 (0)30*", "?", "??", "+????",
		"10..19", "8000-8999", "955..958", "９５２１＊", "0-0-0", "1..2..3", "011*", "8~10*",
	} {
		f.Add(text, "95211613", uint8(i), uint64(i))
		f.Add(text, "+13055550100", uint8(i), uint64(i))
	}
	plans := fuzzPlans(f)
	f.Fuzz(func(t *testing.T, text, number string, country uint8, pick uint64) {
		p := plans[int(country)%len(plans)]
		q, err := p.Pattern(text)
		if err != nil {
			if q != (Pattern{}) || len(err.Error()) > 400 || strings.Contains(err.Error(), "policy.") {
				t.Errorf("%q: pattern %q with the fault %v", text, q, err)
			}
			q = mustPattern(t, p, "1305????")
		} else {
			checkPattern(t, p, q)
		}
		x := NewIndex()
		x.Add(q, 7)
		inside := p.ParseInternal(number)
		// One number from the middle of the pattern, one beside it.
		some := Number{Kind: Unknown, national: string(appendPadded(nil, q.Lo+pick%(q.Hi-q.Lo+1), int(q.Size)))}
		beside := Number{Kind: Unknown, national: string(appendPadded(nil, (q.Hi+1)%pow10[q.Size], int(q.Size)))}
		if q.Plus {
			some.national, some.digits = "", some.national
			beside.national, beside.digits = "", beside.national
		}
		if !q.Matches(&some) {
			t.Errorf("%q does not match %+v", q, some)
		}
		for _, n := range []*Number{&inside, &some, &beside} {
			found := x.AppendMatches(nil, n)
			if want := q.Matches(n); want != (len(found) == 1) || want && *found[0] != (Match{7, q}) {
				t.Errorf("%q matches %+v: %v, the index says %v", q, n, want, found)
			}
			for _, written := range []string{n.E164, n.national} {
				if len(written) < 6 || n.Kind == Internal {
					continue
				}
				head := written[:len(written)-4]
				fixed, err1 := p.Pattern(head + "????")
				open, err2 := p.Pattern(head + "*")
				if err1 == nil && err2 == nil && fixed.Matches(n) && !open.Matches(n) {
					t.Errorf("%q matches %+v and %q does not", fixed, n, open)
				}
			}
		}
		if !x.Remove(q, 7) || x.Len() != 0 || len(x.heads) != 0 {
			t.Errorf("%q cannot be removed", q)
		}
	})
}

// Digits at random seldom look like numbers, so here they are put behind what numbers begin with.
func TestRandomDigits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	heads := []string{
		"", "0", "00", "000", "+", "+0", "86", "086", "0086", "+86", "+860", "95", "010", "10", "0592", "592", "11", "12", "96",
		"1", "011", "+1", "8", "810", "+7", "001", "0011", "+44", "44", "0044", "+39", "+3906", "06", "+852", "400", "0400", "1010",
	}
	for i, p := range fuzzPlans(t) {
		rounds := 100
		if i == 0 {
			rounds = 10_000
		}
		for range rounds {
			text := heads[rnd.IntN(len(heads))]
			for range rnd.IntN(13) {
				text += string(rune('0' + rnd.IntN(10)))
			}
			n := p.Parse(text)
			checkNumber(t, p, &n)
			switch {
			case n.E164 != "":
				text = n.E164
			case n.national == "" && n.digits == "" || len(n.national+n.digits) > maxPatternDigits:
				continue
			}
			q, err := p.Pattern(text)
			if err != nil || !q.IsExact() || !q.Matches(&n) {
				t.Errorf("%s %q: pattern %q (%v) does not match %+v", p.Country(), text, q, err, n)
				continue
			}
			checkPattern(t, p, q)
		}
		if t.Failed() {
			break
		}
	}
}
