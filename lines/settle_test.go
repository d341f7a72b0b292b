package lines

import (
	"fmt"
	"slices"
	"testing"

	"ringfence/number"
	"ringfence/policy"
)

// A number that is on several lines is on that which was written later, whatever the order they come in; the same by each line's numbers one at a time, against
// what lines that were written later have kept.
func TestSettle(t *testing.T) {
	lost := 0
	for _, country := range []string{"CN", "RU", "IT", "US"} {
		for seed := range uint64(6) {
			w := worldOf(t, country, seed)
			var all []Line
			for i, written := range w.rnd.Perm(12) {
				name := fmt.Sprint("l", i)
				l := Line{Name: name, Key: policy.NewLineKey(name, "1"), Written: fmt.Sprintf("%02d", written/2)} // two of each time
				for range 1 + w.rnd.IntN(5) {
					if p := w.pattern(); !slices.Contains(l.Numbers, p) {
						l.Numbers = append(l.Numbers, p)
					}
				}
				all = append(all, l)
			}
			w.rnd.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
			order := slices.Clone(all)
			slices.SortFunc(order, func(a, b Line) int {
				switch {
				case a.Written > b.Written, a.Written == b.Written && a.Name < b.Name:
					return -1
				}
				return 1
			})
			want := New(w.plan)
			for _, l := range order {
				l.Numbers = slices.DeleteFunc(slices.Clone(l.Numbers), func(p number.Pattern) bool {
					return len(want.Check([]Change{{Line: Line{Name: l.Name, Key: l.Key, Numbers: []number.Pattern{p}}}}, 1)) > 0
				})
				want.Apply([]Change{{Line: l}})
			}
			got := New(w.plan)
			taken := got.Load(all)
			if _, n := want.Len(); got.Lost() != (len(taken) > 0) {
				t.Errorf("%s, seed %d: %d numbers stay", country, seed, n)
			}
			for i := range w.numbers {
				a, inWant := want.LineOf(&w.numbers[i])
				b, inGot := got.LineOf(&w.numbers[i])
				if inWant != inGot || a.Name != b.Name {
					t.Fatalf("%s, seed %d: %s is on %q, want %q", country, seed, w.numbers[i].Shown(), b.Name, a.Name)
				}
			}
			_, n := want.Len()
			if _, m := got.Len(); n != m {
				t.Fatalf("%s, seed %d: %d numbers, want %d", country, seed, m, n)
			}
			lost += len(taken)
		}
	}
	if lost < 200 {
		t.Errorf("%d numbers were on several lines: too few to show anything", lost)
	}
}

// So many numbers on two lines take no long time, and each stays on one.
func TestSettleMany(t *testing.T) {
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	var all []Line
	for i := range 2 * maxSettled {
		p, err := plan.Pattern(fmt.Sprintf("+861390000%04d", i/2))
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("l", i)
		all = append(all, Line{Name: name, Key: policy.NewLineKey(name, "1"), Numbers: []number.Pattern{p}, Written: fmt.Sprint(i)})
	}
	l := New(plan)
	taken := l.Load(all)
	if _, numbers := l.Len(); numbers != maxSettled || len(taken) != maxSettled {
		t.Errorf("%d numbers, %d taken", numbers, len(taken))
	}
}
