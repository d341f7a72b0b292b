package lines

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"ringfence/number"
	"ringfence/policy"
)

// worldOf is a world of numbers of a country, inside and outside it.
func worldOf(t *testing.T, country string, seed uint64) *world {
	plan, err := number.NewPlan(number.PlanOptions{Country: country, Internal: []string{"8???"}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 14)), plan: plan}
	for range 40 {
		size, from := 5+w.rnd.IntN(7), w.rnd.Uint64N(1_000_000_000_000)
		for i := range uint64(8) {
			digits := fmt.Sprintf("%012d", from+i)[12-size:]
			text := []string{"8" + digits[size-3:], "+" + digits, "+" + plan.Code() + digits}[min(w.rnd.IntN(5), 2)]
			if n := plan.ParseInternal(text); n.E164 != "" || n.Kind == number.Internal {
				w.numbers = append(w.numbers, n)
			}
		}
	}
	return w
}

// Of lines that have numbers in common, as another policy may read them, each number stays on one, what it is taken off is reported, and Check says of the
// same lines that they cannot be.
func TestLoadAnyLines(t *testing.T) {
	lost, found := 0, 0
	for _, country := range []string{"CN", "RU", "IT", "US"} {
		for seed := range uint64(6) {
			w, m := worldOf(t, country, seed), model{}
			var all []Line
			for i := range 12 {
				name := fmt.Sprint("l", i)
				l := Line{Name: name, Key: policy.NewLineKey(name, "1")}
				for range 1 + w.rnd.IntN(5) {
					if p := w.pattern(); !slices.Contains(l.Numbers, p) {
						l.Numbers = append(l.Numbers, p)
					}
				}
				all = append(all, l)
			}
			var changes []Change
			for _, l := range all {
				changes = append(changes, Change{Line: l})
			}
			m.apply(changes)
			w.holdCheck(model{}, changes, New(w.plan).Check(changes, 1000))
			l := New(w.plan)
			for _, k := range l.Load(all) {
				left := m[k.Line]
				left.Numbers = slices.DeleteFunc(slices.Clone(left.Numbers), func(p number.Pattern) bool { return p == k.Number })
				lost++
			}
			for i := range w.numbers {
				want := m.lineOf(&w.numbers[i])
				got, ok := l.LineOf(&w.numbers[i])
				if found += len(want); len(want) > 1 || ok != (len(want) == 1) || ok && got.Name != want[0] {
					t.Fatalf("%s, seed %d: %s is on %v, and found on %q", country, seed, w.numbers[i].Shown(), want, got.Name)
				}
			}
		}
	}
	if t.Logf("%d numbers taken off, %d found", lost, found); lost < 200 || found < 600 {
		t.Error("too few to show anything")
	}
}
