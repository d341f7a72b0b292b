package marks

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/number"
)

func TestFade(t *testing.T) {
	for age, want := range map[time.Duration]float64{-time.Hour: 1, 0: 1, HalfLife: 0.5, 2 * HalfLife: 0.25, 10 * HalfLife: 1.0 / 1024} {
		if got := Fade(age); math.Abs(got-want) > 1e-9 {
			t.Errorf("a mark of %v counts %v, want %v", age, got, want)
		}
	}
	for n, want := range []float64{1, 0.5, 0.25, 0.125, 0.0625, 0.0625} {
		if got := Doubt(n); got != want {
			t.Errorf("after %d dismissals it counts %v, want %v", n, got, want)
		}
	}
}

// Of Wilson's interval, as tables have it.
func TestLower(t *testing.T) {
	for _, c := range []struct{ k, n, want float64 }{
		{0, 0, 0}, {0, 10, 0}, {1, 1, 0.2065}, {2, 2, 0.3424}, {5, 10, 0.2366}, {10, 10, 0.7225}, {35, 35, 0.9011}, {81, 100, 0.7222}, {1, 0, 0}, {3, 2, 0.3424},
	} {
		if got := Lower(c.k, c.n); math.Abs(got-c.want) > 5e-4 {
			t.Errorf("%v of %v: %.4f, want %.4f", c.k, c.n, got, c.want)
		}
	}
	for n := 1.0; n < 200; n++ {
		for k := 0.0; k <= n; k++ {
			if l := Lower(k, n); !(l >= 0 && l <= k/n) || k > 0 && l <= Lower(k-1, n) {
				t.Fatalf("%v of %v: %v", k, n, l)
			}
		}
	}
}

func TestTally(t *testing.T) {
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	var tally Tally
	for _, c := range []Call{
		{Callee: "1", Customer: "a", Time: at, Count: 3, Rang: true, Answered: true, Talk: 2 * time.Second},
		{Callee: "1", Customer: "a", Time: at.Add(time.Hour), Rang: true, Answered: true, Talk: 90 * time.Second, Warned: true},
		{Callee: "2", Customer: "b", Time: at.Add(-time.Hour), Rang: true},
		{Callee: "3", Customer: "c", Time: at}, // stopped
	} {
		tally.Add(&c)
	}
	if tally.Calls != 6 || tally.Rang != 5 || tally.Answered != 4 || tally.Short != 3 || tally.Long != 1 || tally.Talk != 92*time.Second || tally.Callees() != 3 {
		t.Errorf("%+v", tally)
	}
	if !tally.First.Equal(at.Add(-time.Hour)) || !tally.Last.Equal(at.Add(time.Hour)) {
		t.Errorf("from %v to %v", tally.First, tally.Last)
	}
	if most := tally.Most(2); len(most) != 2 || most[0] != (Callee{"1", 4}) || most[1] != (Callee{"2", 1}) {
		t.Errorf("%v", most)
	}
	// a was reached, b and c were not; c marked them all the same.
	if share, reached := tally.Unwanted(map[string]float64{"a": 1, "c": 1}); reached != 2 || share != Lower(2, 2) {
		t.Errorf("%v of %d", share, reached)
	}
	if share, reached := tally.Unwanted(map[string]float64{"a": 0.5}); reached != 1 || share != Lower(0.5, 1) {
		t.Errorf("an old mark: %v of %d", share, reached)
	}
	for i := range 5000 { // bounded
		tally.Add(&Call{Callee: fmt.Sprint("n", i), Customer: fmt.Sprint("c", i), Rang: true, Answered: true, Talk: time.Minute, Time: at})
	}
	if tally.Callees() != maxCallees || len(tally.reached) != maxCallees || tally.Calls != 5006 {
		t.Errorf("%d called numbers, %d customers, %d calls", tally.Callees(), len(tally.reached), tally.Calls)
	}
}

func plan(t testing.TB) *number.Plan {
	p, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func blockOf(t testing.TB, text string) *Block {
	n := plan(t).Parse(text)
	b, ok := BlockOf(&n)
	if !ok {
		t.Fatalf("%s has no block", text)
	}
	return b
}

func TestBlock(t *testing.T) {
	b := blockOf(t, "95211613")
	if b.Own() != 13 || b.Number(13) != "+8695211613" || b.Number(4) != "+8695211604" || b.Alone() || len(b.Places()) != 100 {
		t.Errorf("%+v", b.own)
	}
	// The hotlines of two banks are no neighbours.
	if b := blockOf(t, "95588"); !b.Alone() || !slices.Equal(b.Places(), []int{88}) {
		t.Errorf("a bank has %d numbers around it", len(b.Places()))
	}
	for _, text := range []string{"13800138000", "05925550100", "+14155550123"} {
		if blockOf(t, text).Alone() {
			t.Errorf("%s is alone", text)
		}
	}
	var none number.Number
	if _, ok := BlockOf(&none); ok {
		t.Error("no number has a block")
	}
}

// A range is proposed once enough of it is marked, and never with a number in it that somebody wants.
func TestPropose(t *testing.T) {
	note := func(trait Trait, places ...int) func(*Block) {
		return func(b *Block) {
			for _, i := range places {
				b.Note(i, trait)
			}
		}
	}
	mark := func(customer string, places ...int) func(*Block) { // "": each by another
		return func(b *Block) {
			for _, i := range places {
				b.Mark(i, cmp.Or(customer, fmt.Sprint(i)))
			}
		}
	}
	talked := func(i int, talk time.Duration, warned bool) func(*Block) {
		return func(b *Block) {
			b.Add(i, &Call{Callee: "1", Customer: "a", Rang: true, Answered: true, Talk: talk, Warned: warned})
		}
	}
	ten, hundred := mark("", 10, 13, 14, 19), mark("", 13, 1, 2, 21, 22, 31, 32, 10)
	for name, c := range map[string]struct {
		with []func(*Block)
		want Proposal
		why  string
	}{
		"three of ten":                   {[]func(*Block){mark("", 10, 13, 14)}, Proposal{}, ""},
		"four of ten":                    {[]func(*Block){ten}, Proposal{1, 4}, ""},
		"four, listed and marked":        {[]func(*Block){mark("", 10, 13), note(Listed, 13, 14, 19)}, Proposal{1, 4}, ""},
		"four of another ten":            {[]func(*Block){mark("", 13, 20, 21, 22, 23)}, Proposal{}, ""},
		"eight in four tens":             {[]func(*Block){hundred}, Proposal{2, 8}, ""},
		"seven in four tens":             {[]func(*Block){mark("", 13, 1, 2, 21, 22, 31, 32)}, Proposal{}, ""},
		"eight in three tens":            {[]func(*Block){mark("", 13, 1, 2, 3, 4, 21, 22, 23)}, Proposal{}, ""},
		"with a trusted one":             {[]func(*Block){ten, note(Allowed, 11)}, Proposal{}, "+8695211611 is on the allowlist"},
		"with an acquaintance":           {[]func(*Block){ten, note(Known, 14)}, Proposal{}, "+8695211614 is known to a line"},
		"with a protected one":           {[]func(*Block){ten, note(Protected, 12)}, Proposal{}, "+8695211612 is protected by the policy"},
		"with one that talked":           {[]func(*Block){ten, talked(12, 61*time.Second, false)}, Proposal{}, "+8695211612 talked longer than a minute, without a warning"},
		"with one that talked a minute":  {[]func(*Block){ten, talked(12, 60*time.Second, false)}, Proposal{1, 4}, ""},
		"with one that talked, warned":   {[]func(*Block){ten, talked(12, time.Hour, true)}, Proposal{1, 4}, ""},
		"a marked one talked":            {[]func(*Block){ten, mark("a", 14), talked(14, time.Hour, false)}, Proposal{1, 4}, ""},
		"a listed one talked":            {[]func(*Block){ten, note(Listed, 14), talked(14, time.Hour, false)}, Proposal{1, 4}, ""},
		"a trusted one in another ten":   {[]func(*Block){ten, note(Allowed, 21)}, Proposal{1, 4}, ""},
		"a hundred with a trusted one":   {[]func(*Block){hundred, note(Allowed, 99)}, Proposal{}, "+8695211699 is on the allowlist"},
		"then the ten that is without":   {[]func(*Block){hundred, ten, note(Allowed, 99)}, Proposal{1, 4}, ""},
		"four, by one customer":          {[]func(*Block){mark("a", 10, 13, 14, 19)}, Proposal{}, ""},
		"four, by three":                 {[]func(*Block){mark("a", 10, 13), mark("b", 14), mark("c", 19)}, Proposal{}, ""},
		"four, by three and one of them": {[]func(*Block){mark("a", 10, 13, 14), mark("b", 13, 14), mark("c", 14), mark("d", 19)}, Proposal{1, 4}, ""},
		"three listed, one marks many":   {[]func(*Block){note(Listed, 10, 13, 14), mark("a", 10, 11, 12, 15)}, Proposal{1, 4}, ""},
		"two listed, one marks many":     {[]func(*Block){note(Listed, 10, 13), mark("a", 10, 11, 12, 15)}, Proposal{}, ""},
		"eight in four tens, by one":     {[]func(*Block){mark("a", 13, 1, 2, 21, 22, 31, 32, 10)}, Proposal{}, ""},
		"one whom another marked":        {[]func(*Block){ten, mark("b", 12), talked(12, time.Hour, false)}, Proposal{}, "+8695211612 talked longer than a minute, without a warning"},
		"the caller himself talked":      {[]func(*Block){ten, talked(13, time.Hour, false)}, Proposal{1, 4}, ""},
		"one whom he marked himself":     {[]func(*Block){ten, mark("a", 12), talked(12, time.Hour, false)}, Proposal{1, 5}, ""},
		"nobody calls from there at all": {nil, Proposal{}, ""},
	} {
		b := blockOf(t, "95211613")
		for _, f := range c.with {
			f(b)
		}
		if got, why := b.Propose(); got != c.want || why != c.why {
			t.Errorf("%s: %+v %q, want %+v %q", name, got, why, c.want, c.why)
		}
	}
	alone := blockOf(t, "95588")
	for _, i := range []int{81, 82, 83, 84, 88} {
		alone.Mark(i, fmt.Sprint(i))
	}
	if got, _ := alone.Propose(); got != (Proposal{}) {
		t.Errorf("of a bank and its neighbours %+v", got)
	}
}

func TestEffect(t *testing.T) {
	b := blockOf(t, "95211613")
	for place, talk := range map[int]time.Duration{13: 2 * time.Minute, 14: time.Second, 21: 61 * time.Second} {
		b.Add(place, &Call{Count: 2, Callee: "1", Rang: true, Answered: true, Talk: talk})
		b.Add(place, &Call{Callee: "1"})
	}
	for free, want := range []Effect{{2, 1}, {4, 1}, {6, 2}} {
		if got := b.Refusing(free); got != want {
			t.Errorf("with %d digits free %+v, want %+v", free, got, want)
		}
	}
	if calls, callers, bad, count := b.Around(1); calls.Calls != 6 || callers != 2 || bad != 0 || count != 0 {
		t.Errorf("around: %+v, %d callers, %d marked", calls, callers, bad)
	}
}

// Whatever is known of a block, no range is proposed that has somebody in it whom somebody wants, nor one with too few marks.
func TestProposeNever(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 8_000 {
		b := blockOf(t, fmt.Sprintf("952116%02d", rnd.IntN(100)))
		wanted := map[int]bool{}
		marked, listed, customers := map[int]bool{}, map[int]bool{}, map[int]bool{}
		for range rnd.IntN(60) {
			i := rnd.IntN(100)
			if rnd.IntN(3) == 0 {
				i = b.Own()/10*10 + i%10
			}
			switch trait := Trait(rnd.IntN(12)); {
			case trait > Protected:
				by := rnd.IntN(9)
				b.Mark(i, fmt.Sprint(by))
				marked[i], customers[by] = true, true
			case rnd.IntN(10) > 0:
			default:
				b.Note(i, trait)
				listed[i] = listed[i] || trait == Listed
				wanted[i] = wanted[i] || trait > Listed
			}
		}
		p, why := b.Propose()
		if p.Free == 0 {
			continue
		}
		n, most := 0, len(customers)
		for _, i := range b.Places() {
			if !b.within(i, p.Free) {
				continue
			}
			if wanted[i] {
				t.Fatalf("%s is within what is proposed", b.Number(i))
			}
			if listed[i] {
				most++
			}
			if marked[i] || listed[i] {
				n++
			}
		}
		if n = min(n, most); n < p.Members || p.Members < 4 || p.Free == 2 && p.Members < 8 || why != "" || !strings.HasPrefix(b.Number(b.Own()), "+86952116") {
			t.Fatalf("%+v of %d marked, %q", p, n, why)
		}
	}
}
