package lines

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

func planOf(t testing.TB) *number.Plan {
	t.Helper()
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN", Internal: []string{"8???"}})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func pattern(t testing.TB, plan *number.Plan, text string) number.Pattern {
	t.Helper()
	p, err := plan.Pattern(text)
	if err != nil {
		t.Fatal(text, err)
	}
	return p
}

// model does what Lines does, in the plainest way.
type model map[string]*Line

func (m model) apply(changes []Change) {
	for i := range changes {
		if delete(m, changes[i].Name); !changes[i].Remove {
			m[changes[i].Name] = &changes[i].Line
		}
	}
}

func (m model) lineOf(n *number.Number) (found []string) {
	for name, l := range m {
		if slices.ContainsFunc(l.Numbers, func(p number.Pattern) bool { return p.Matches(n) }) {
			found = append(found, name)
		}
	}
	return found
}

func (l *Line) told() policy.Line {
	out := policy.Line{Name: l.Name, Key: l.Key, Customer: l.Customer, Profile: l.Profile, Mode: l.Mode, Zone: l.Zone, Kept: true, Hash: policy.HashKey(l.Key)}
	if out.Customer == "" {
		out.Customer = l.Name
	}
	return out
}

// world is some numbers, close to each other, and what can be written for them.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	plan    *number.Plan
	numbers []number.Number
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 14)), plan: planOf(t)}
	for range 12 {
		base := [...]string{"0592555%04d", "+86138%08d", "8%03d", "+1415555%04d", "955%02d", "+865922%06d"}[w.rnd.IntN(6)]
		from := w.rnd.IntN(90)
		for i := range 8 {
			w.numbers = append(w.numbers, w.plan.ParseInternal(fmt.Sprintf(base, from+i)))
		}
	}
	return w
}

// pattern is one that matches some of the numbers: written as a person would, or in the other way.
func (w *world) pattern() number.Pattern {
	n := &w.numbers[w.rnd.IntN(len(w.numbers))]
	texts := []string{n.National(), n.E164}
	text := texts[w.rnd.IntN(2)]
	for i := 0; text == ""; i++ {
		text = texts[i]
	}
	digits := len(strings.TrimPrefix(text, "+"))
	switch w.rnd.IntN(6) {
	case 0:
		if k := w.rnd.IntN(4); digits > k {
			text = text[:len(text)-k] + "*"
		}
	case 1:
		if k := w.rnd.IntN(3); digits > k {
			text = text[:len(text)-k] + strings.Repeat("?", k)
		}
	case 2:
		p := pattern(w.t, w.plan, text)
		span := p
		span.Hi = p.Hi + uint64(w.rnd.IntN(5))
		if span.Valid() {
			return span
		}
		return p
	}
	p, err := w.plan.Pattern(text)
	if err != nil {
		return pattern(w.t, w.plan, "+"+w.plan.Code()+"59266"+fmt.Sprint(10000+w.rnd.IntN(10)))
	}
	return p
}

func (w *world) change() Change {
	name := fmt.Sprintf("%c%d", 'a'+w.rnd.IntN(3), w.rnd.IntN(12))
	if w.rnd.IntN(4) == 0 {
		return Change{Line: Line{Name: name}, Remove: true}
	}
	l := Line{
		Name: name, Key: policy.NewLineKey(name, fmt.Sprint(w.rnd.IntN(1000))), Customer: []string{"", "firm", "shop", name}[w.rnd.IntN(4)],
		Profile: []string{"", "strict", "label"}[w.rnd.IntN(3)], Mode: policy.LineMode(w.rnd.IntN(3)), Zone: []*time.Location{nil, time.UTC}[w.rnd.IntN(2)],
	}
	for range w.rnd.IntN(4) {
		l.Numbers = append(l.Numbers, w.pattern())
	}
	return Change{Line: l}
}

// shares reports whether two patterns have one of the numbers in common, or look alike and lie over each other.
func (w *world) shares(p, q number.Pattern) bool {
	one := func(p, q number.Pattern) bool {
		n := w.plan.ParseInternal(p.String())
		return p.IsExact() && q.Matches(&n)
	}
	return p.Overlaps(q) || one(p, q) || one(q, p) || slices.ContainsFunc(w.numbers, func(n number.Number) bool { return p.Matches(&n) && q.Matches(&n) })
}

// cannotTell are patterns of which no digits say whether they have a number in common.
func cannotTell(p, q number.Pattern) bool { return p.Plus != q.Plus && !p.IsExact() && !q.IsExact() }

// Random changes are refused where a number would be on two lines, and else look-ups find what the model finds.
func TestProperty(t *testing.T) {
	refused, applied, found := 0, 0, 0
	for seed := range uint64(30) {
		w, m := newWorld(t, seed), model{}
		l := New(w.plan)
		for range 60 {
			changes := make([]Change, 1+w.rnd.IntN(4))
			for i := range changes {
				changes[i] = w.change()
			}
			taken := l.Check(changes, 1000)
			w.holdCheck(m, changes, taken)
			if len(taken) > 0 {
				refused++
				continue
			}
			applied++
			l.Apply(changes)
			m.apply(changes)
			if w.rnd.IntN(10) == 0 { // as after a restart
				var all []Line
				for _, line := range m {
					all = append(all, *line)
				}
				l = New(w.plan)
				if taken := l.Load(all); len(taken) > 0 {
					t.Fatalf("seed %d: %v", seed, taken[0])
				}
			}
			found += w.holdLookups(l, m)
		}
	}
	t.Logf("%d refused, %d applied, %d numbers found", refused, applied, found)
	if refused < 100 || applied < 100 || found < 1000 {
		t.Error("too few to show anything")
	}
}

// holdCheck holds what Check says against the model.
func (w *world) holdCheck(m model, changes []Change, taken []*Taken) {
	w.t.Helper()
	after := maps.Clone(m)
	after.apply(slices.Clone(changes))
	reported := map[string]bool{}
	for _, k := range taken {
		reported[k.Line+" "+k.Number.String()] = true
		line, other := after[k.Line], after[k.Other]
		if line == nil || other == nil || line == other || !slices.Contains(line.Numbers, k.Number) ||
			!slices.ContainsFunc(other.Numbers, func(q number.Pattern) bool { return w.shares(k.Number, q) || cannotTell(k.Number, q) }) {
			w.t.Fatalf("%v, which is not so: %+v, %+v", k, line, other)
		}
	}
	for _, c := range changes {
		line := after[c.Name]
		if line == nil {
			continue
		}
		for _, p := range line.Numbers {
			for name, other := range after {
				for _, q := range other.Numbers {
					if name != c.Name && w.shares(p, q) && !reported[c.Name+" "+p.String()] && !reported[name+" "+q.String()] {
						w.t.Fatalf("%s of %s and %s of %s have a number in common, and neither is reported (%d are)", p, c.Name, q, name, len(taken))
					}
				}
			}
		}
	}
}

func (w *world) holdLookups(l *Lines, m model) (found int) {
	w.t.Helper()
	for i := range w.numbers {
		n := &w.numbers[i]
		want := m.lineOf(n)
		got, ok := l.LineOf(n)
		if len(want) > 1 || ok != (len(want) == 1) || ok && got != m[want[0]].told() {
			w.t.Fatalf("%s: got %+v, %v; the model has %v", n.Shown(), got, ok, want)
		}
		found += len(want)
	}
	names := slices.Sorted(maps.Keys(m))
	of := map[string][]string{}
	numbers := 0
	for _, name := range names {
		told := m[name].told()
		of[told.Customer] = append(of[told.Customer], name)
		for _, ask := range []string{name, told.Key} {
			if got, ok := l.LineNamed(ask); !ok || got != told {
				w.t.Fatalf("%s: %+v, %v, want %+v", ask, got, ok, told)
			}
		}
		if got, ok := l.LineNamed(told.Key + "x"); ok {
			w.t.Fatalf("another key gives %+v", got)
		}
		if len(m[name].Numbers) > 0 {
			numbers++
		}
	}
	var all []string
	for line := range l.All() {
		if all = append(all, line.Name); line != m[line.Name].told() {
			w.t.Fatalf("%+v", line)
		}
	}
	if !slices.Equal(all, names) {
		w.t.Fatalf("All gives %q, want %q", all, names)
	}
	for _, customer := range []string{"firm", "shop", "a1", "nobody"} {
		var got []string
		for line := range l.Of(customer) {
			got = append(got, line.Name)
		}
		if !slices.Equal(got, of[customer]) {
			w.t.Fatalf("%s has %q, want %q", customer, got, of[customer])
		}
	}
	if lines, have := l.Len(); lines != len(names) || have < numbers {
		w.t.Fatalf("%d lines with %d numbers, want %d with %d at least", lines, have, len(names), numbers)
	}
	return found
}

// A number is on one line only, however it is written.
func TestCheck(t *testing.T) {
	plan := planOf(t)
	l := New(plan)
	line := func(name string, numbers ...string) Change {
		c := Change{Line: Line{Name: name, Key: name + "~aaaaaa"}}
		for _, text := range numbers {
			c.Numbers = append(c.Numbers, pattern(t, plan, text))
		}
		return c
	}
	have := []Change{line("firm", "05925550100", "05925551000-05925551999", "8000-8009"), line("shop", "+8613800138*", "+865922*"), line("bank", "95588", "021*")}
	if taken := l.Check(have, 10); len(taken) > 0 {
		t.Fatal(taken[0])
	}
	l.Apply(have)
	for text, want := range map[string]string{
		"+865925550100":           "firm",
		"(0592) 555-0100":         "firm",
		"0592555010?":             "firm",
		"059255501*":              "firm",
		"+865925*":                "firm",
		"+8659255510??":           "firm",
		"+865925551234":           "firm",
		"05925550101":             "",
		"8005":                    "firm",
		"8010-8019":               "",
		"800?":                    "firm",
		"+868000*":                "", // no number inside the country is so written, and those of inside have no other way
		"13800138000":             "shop",
		"1380013????":             "shop",
		"05922000000-05922000009": "shop",
		"059220*":                 "shop",
		"05923*":                  "",
		"+8695588":                "bank",
		"955??":                   "bank",
		"02155501234":             "bank",
		"+862155501234":           "bank",
		"+8621555*":               "bank",
		"+86215550????":           "bank",
		"+86225550????":           "",
		"010*":                    "",
		"+1*":                     "",
	} {
		p := pattern(t, plan, text)
		taken := l.Check([]Change{{Line: Line{Name: "new", Key: "new~aaaaaa", Numbers: []number.Pattern{p}}}}, 10)
		got := ""
		if len(taken) > 0 {
			got = taken[0].Other
		}
		if got != want {
			t.Errorf("%s: it is on %q, want %q", text, got, want)
		}
		met := false
		l.Meet(p, func(policy.Line) bool { met = true; return false })
		if met != (want != "") {
			t.Errorf("%s: Meet says %v", text, met)
		}
	}
	holdMoves(t, func(changes ...Change) []*Taken { return l.Check(changes, 10) }, line)
}

// holdMoves is TestCheck of several lines in one change.
func holdMoves(t *testing.T, check func(...Change) []*Taken, line func(string, ...string) Change) {
	t.Helper()
	// A number moves from one line to another within one change, and back.
	for range 2 {
		move := []Change{line("firm"), line("new", "05925550100", "8000")}
		if taken := check(move...); len(taken) > 0 {
			t.Error(taken[0])
		}
		slices.Reverse(move)
		if taken := check(move...); len(taken) > 0 {
			t.Error(taken[0])
		}
	}
	// Two rows of one file, of which the later is the one that is reported.
	for _, second := range []string{"0592777????", "+865927770000", "059277700*", "05927770000"} {
		taken := check(line("x", "05927770000"), line("y", second))
		if len(taken) != 1 {
			t.Fatalf("%s: %v", second, taken)
		}
		if text := taken[0].Error(); !strings.Contains(text, "ringfence line set") || taken[0].Line == taken[0].Other {
			t.Error(text)
		}
	}
	if taken := check(line("x", "05925550100"), line("x", "05925550102")); len(taken) > 0 {
		t.Errorf("what the last change of a line says counts: %v", taken[0])
	}
}

// Lines that were kept before there was a check, or were read otherwise then, are loaded, and a number goes to one of them.
func TestLoadTaken(t *testing.T) {
	plan := planOf(t)
	l := New(plan)
	p, q := pattern(t, plan, "0592555????"), pattern(t, plan, "+865925550100")
	taken := l.Load([]Line{{Name: "b", Key: "b~1", Numbers: []number.Pattern{q}}, {Name: "a", Key: "a~1", Numbers: []number.Pattern{p}}})
	if len(taken) != 1 || taken[0].Line != "b" || taken[0].Other != "a" || taken[0].Number != q {
		t.Fatalf("%+v", taken)
	}
	n := plan.Parse("05925550100")
	if got, ok := l.LineOf(&n); !ok || got.Name != "a" {
		t.Errorf("%+v, %v", got, ok)
	}
	if lines, numbers := l.Len(); lines != 2 || numbers != 1 {
		t.Errorf("%d lines, %d numbers", lines, numbers)
	}
}

func TestRoom(t *testing.T) {
	plan := planOf(t)
	l := New(plan)
	many := make([]number.Pattern, MaxNumbers)
	for i := range many {
		many[i] = number.Pattern{Lo: 8613000000000 + 2*uint64(i), Hi: 8613000000000 + 2*uint64(i), Size: 13, Plus: true}
	}
	some := []Change{{Line: Line{Name: "a", Key: "a~1", Numbers: many[:1000]}}}
	l.Apply(some)
	if err := l.Room([]Change{{Line: Line{Name: "a", Numbers: many}}}); err != nil {
		t.Errorf("in the place of its numbers a line may have as many as all: %v", err)
	}
	if err := l.Room([]Change{{Line: Line{Name: "b", Numbers: many}}}); err == nil || !strings.Contains(err.Error(), "write ranges") {
		t.Errorf("got %v", err)
	}
}

func TestAllocs(t *testing.T) {
	plan := planOf(t)
	l := New(plan)
	l.Load(some(5000))
	l.Apply([]Change{{Line: Line{Name: "range", Key: "range~1", Numbers: []number.Pattern{pattern(t, plan, "021555????"), pattern(t, plan, "022*")}}}})
	var numbers []number.Number
	for _, text := range []string{"+8613000000000", "0215550123", "02255501234", "+4930123456", "8001"} {
		numbers = append(numbers, plan.ParseInternal(text))
	}
	if n := testing.AllocsPerRun(100, func() {
		for i := range numbers {
			l.LineOf(&numbers[i])
		}
		l.LineNamed("customer17")
		l.LineNamed("customer17~000017")
		l.LineNamed("nobody")
	}); n != 0 {
		t.Errorf("look-ups allocate %v times", n)
	}
}

// Calls that come while a number moves to and fro find it on one of the two lines, always; for the race detector too.
func TestLookUpsBesideChanges(t *testing.T) {
	plan := planOf(t)
	l := New(plan)
	l.Load(some(2000))
	p := pattern(t, plan, "+865925550100")
	n := plan.Parse("05925550100")
	put := func(on, off string) {
		l.Apply([]Change{{Line: Line{Name: off, Key: off}}, {Line: Line{Name: on, Key: on, Numbers: []number.Pattern{p}}}})
	}
	put("a", "b")
	done := make(chan struct{})
	var looks sync.WaitGroup
	for range 2 {
		looks.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if got, ok := l.LineOf(&n); !ok || got.Name != "a" && got.Name != "b" {
					t.Errorf("%+v, %v", got, ok)
					return
				}
			}
		})
	}
	for i := range 300 {
		put([]string{"a", "b"}[i%2], []string{"b", "a"}[i%2])
		l.Apply([]Change{{Line: Line{Name: fmt.Sprint("other", i), Key: fmt.Sprint("other", i)}}})
		if i == 150 {
			l.Apply(changesOf(some(3000)[2000:])) // more than are kept apart
		}
	}
	close(done)
	looks.Wait()
	if lines, _ := l.Len(); lines != 3302 {
		t.Errorf("%d lines", lines)
	}
}

func changesOf(all []Line) []Change {
	changes := make([]Change, len(all))
	for i := range all {
		changes[i].Line = all[i]
	}
	return changes
}

// Whether there are several customers is found again after each change.
func TestSeveralCustomers(t *testing.T) {
	l := New(planOf(t))
	line := func(name, customer string) Change {
		return Change{Line: Line{Name: name, Key: name + "~1", Customer: customer}}
	}
	for _, step := range []struct {
		change Change
		want   bool
	}{
		{line("a", "firm"), false},
		{line("b", "firm"), false},
		{line("c", ""), true},
		{Change{Line: Line{Name: "c"}, Remove: true}, false},
		{line("firm", ""), false}, // a customer of the name
		{line("a", "shop"), true},
	} {
		l.Apply([]Change{step.change})
		for range 2 { // the second time from what was found
			if l.SeveralCustomers() != step.want {
				t.Errorf("%s of %q: want %v", step.change.Name, step.change.Customer, step.want)
			}
		}
	}
}
