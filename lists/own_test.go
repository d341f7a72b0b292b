package lists

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// plainOwn is what own lists are: of each line and name a list.
type plainOwn map[[2]string]plainList

func (o plainOwn) lookup(key, list string, n *number.Number, at time.Time) (policy.ListEntry, bool) {
	e, ok := o[[2]string{key, list}].lookup(n, at)
	if ok {
		e.List, e.Line = policy.LineName(key)+":"+list, key
	}
	return e, ok
}

// TestOwnLists holds own lists against plain maps, whatever is edited, read anew or dropped.
func TestOwnLists(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 14))
		r := &reference{T: t, rnd: rnd, different: 4}
		l, want := New(), plainOwn{}
		var keys []string
		for i := 0; len(keys) < 6; i++ { // two keys of each name, all in one part
			if key := fmt.Sprintf("c%d~aaaa%04d", len(keys)/2, i); ownPartAt(key) == 3 {
				keys = append(keys, key)
			}
		}
		names := []string{"blacklist", "allowlist"}
		for range 60 {
			name := names[rnd.IntN(2)]
			switch rnd.IntN(8) {
			case 0: // all is read anew, with one line left out
				load := l.RebuildOwn(name)
				if rnd.IntN(2) == 0 {
					load = l.LoadOwn(name)
					if l.Loaded(OwnPrefix + name) {
						t.Fatal("loaded before it is")
					}
				}
				out := keys[rnd.IntN(len(keys))]
				delete(want, [2]string{out, name})
				for _, key := range keys {
					for p, records := range want[[2]string{key, name}] {
						load.Add(key, p, records)
					}
				}
				load.Done()
			case 1:
				key := keys[rnd.IntN(len(keys))]
				l.DropOwn([]string{key, "nobody~000000"})
				delete(want, [2]string{key, names[0]})
				delete(want, [2]string{key, names[1]})
			default:
				var changes []OwnChange
				for range 1 + rnd.IntN(30) {
					key := keys[rnd.IntN(len(keys))]
					of := want[[2]string{key, name}]
					if of == nil {
						of = plainList{}
						want[[2]string{key, name}] = of
					}
					r.want = of
					changes = append(changes, OwnChange{key, r.change()})
				}
				l.ApplyOwn(name, changes)
			}
			r.sameOwn(l, want, keys, names)
		}
	}
}

func (r *reference) sameOwn(l *Lists, want plainOwn, keys, names []string) {
	r.Helper()
	for _, name := range names {
		entries, lines := 0, 0
		for _, key := range keys {
			n := len(want[[2]string{key, name}])
			if got := l.OwnLen(key, name); got != n {
				r.Fatalf("%s of %s has %d entries, not %d", name, key, got, n)
			}
			if entries += n; n > 0 {
				lines++
			}
		}
		if e, n := l.OwnSize(name); e != entries || n != lines {
			r.Fatalf("%s: %d entries of %d lines, not %d of %d", name, e, n, entries, lines)
		}
		if !l.Loaded(OwnPrefix + name) {
			r.Fatal("not loaded")
		}
	}
	for range 40 {
		key, name := keys[r.rnd.IntN(len(keys))], names[r.rnd.IntN(len(names))]
		q := r.pattern()
		for p := range want[[2]string{key, name}] {
			if r.rnd.IntN(2) == 0 {
				q = p
			}
			break
		}
		digits := fmt.Sprintf("%0*d", q.Size, q.Lo)
		n := number.Written(digits, digits)
		at := referenceStart.Add(time.Duration(r.rnd.IntN(20)-10) * time.Hour)
		e, ok := l.LookupOwn(key, policy.HashKey(key), name, &n, at)
		if ok && !l.MayBeOwn(policy.HashKey(key), &n) {
			r.Fatalf("%+v cannot be on a list of %s, and is", n, key)
		}
		we, wok := want.lookup(key, name, &n, at)
		if e.Added, we.Added = e.Added.UTC(), we.Added.UTC(); ok != wok || e != we {
			r.Fatalf("%+v in %s of %s:\ngot  %v %+v\nwant %v %+v", n, name, key, ok, e, wok, we)
		}
	}
}

func chinaPlan(t testing.TB) *number.Plan {
	p, faults := policy.Load("p.toml", []byte(`country = "CN"`))
	if p == nil {
		t.Fatal(faults)
	}
	return p.Plan()
}

// TestOwnListsBounded: a line's list takes so many entries and no more, and long reasons of one line leave others' alone.
func TestOwnListsBounded(t *testing.T) {
	l, plan := New(), chinaPlan(t)
	var changes []OwnChange
	for i := range MaxOwnLine + 5 {
		p, err := plan.Pattern("+86138" + fmt.Sprintf("%08d", i))
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, OwnChange{"loud~aaaaaa", Change{ListEntry: policy.ListEntry{Pattern: p, Reason: strings.Repeat("x", 900) + strconv.Itoa(i)}}})
	}
	l.ApplyOwn("blacklist", changes)
	changes = changes[:1]
	changes[0].Key, changes[0].Reason = "quiet~aaaaaa", "mine"
	l.ApplyOwn("blacklist", changes)
	if n := l.OwnLen("loud~aaaaaa", "blacklist"); n != MaxOwnLine || l.OwnDropped() != 5 {
		t.Errorf("%d entries, %d dropped", n, l.OwnDropped())
	}
	if l.own.texts > 2*maxOwnLineTexts {
		t.Errorf("the texts of a line take %d bytes", l.own.texts)
	}
	n := plan.Parse("+8613800000000")
	if e, ok := l.LookupOwn("quiet~aaaaaa", policy.HashKey("quiet~aaaaaa"), "blacklist", &n, referenceStart); !ok || e.Reason != "mine" {
		t.Errorf("the other line's: %v %+v", ok, e)
	}
	n = plan.Parse("+86138" + fmt.Sprintf("%08d", MaxOwnLine-1))
	if e, ok := l.LookupOwn("loud~aaaaaa", policy.HashKey("loud~aaaaaa"), "blacklist", &n, referenceStart); !ok || e.Reason != "" {
		t.Errorf("the last of the long ones: %v %+v", ok, e)
	}
}

// TestMayBeOwn: a line without lists, or of whose numbers the caller is none, is told apart from one that must be looked at; and what was is forgotten.
func TestMayBeOwn(t *testing.T) {
	l, plan := ownOf(t, 1000, 1, 0), chinaPlan(t)
	ask := func(key, text string) bool {
		n := plan.Parse(text)
		return l.MayBeOwn(policy.HashKey(key), &n)
	}
	perhaps := 0
	for i := range 1000 {
		if !ask(ownKeyOf(i), ownNumber(i, 0)) {
			t.Fatalf("line %d has the number", i)
		}
		if ask(ownKeyOf(i+1000), ownNumber(i, 0)) {
			t.Fatalf("line %d has no list", i+1000)
		}
		if ask(ownKeyOf(i), fmt.Sprintf("+86150%08d", i)) {
			perhaps++
		}
	}
	if perhaps > 100 { // two ways of writing, of 64 bits: some 31
		t.Errorf("of 1000 that are on no list %d may be", perhaps)
	}
	l.DropOwn([]string{ownKeyOf(7)})
	if ask(ownKeyOf(7), ownNumber(7, 0)) {
		t.Error("the lists of a line are gone, and it may have the number")
	}
}

// TestLookupOwnAllocatesNothing also with many patterns that are no numbers.
func TestLookupOwnAllocatesNothing(t *testing.T) {
	l, plan := ownOf(t, 100, 10, 2), chinaPlan(t)
	var changes []OwnChange
	for i := range 50 {
		p, err := plan.Pattern(fmt.Sprintf("+86139%03d*", i))
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, OwnChange{ownKeyOf(7), Change{ListEntry: policy.ListEntry{Pattern: p}}})
	}
	l.ApplyOwn("blacklist", changes)
	for _, key := range []string{ownKeyOf(7), ownKeyOf(8), "nobody~000000"} {
		for _, text := range []string{"+8613900700000", ownNumber(8, 3), "+8613755555555"} {
			n := plan.Parse(text)
			if got := testing.AllocsPerRun(100, func() {
				l.MayBeOwn(policy.HashKey(key), &n)
				l.LookupOwn(key, policy.HashKey(key), "blacklist", &n, referenceStart)
			}); got != 0 {
				t.Errorf("%s of %s: %v allocations", text, key, got)
			}
		}
	}
}

func ownKeyOf(line int) string { return fmt.Sprintf("c%06d~%06d", line, line*7919%1000000) }

func ownNumber(line, i int) string { return fmt.Sprintf("+86137%08d", (line*31+i*7)%100_000_000) }

// ownOf makes own lists of so many lines with so many entries each, some of which are no numbers.
func ownOf(t testing.TB, lines, each, wide int) *Lists {
	l, plan := New(), chinaPlan(t)
	load := l.LoadOwn("blacklist")
	for i := range lines {
		key, records := ownKeyOf(i), []Record{{Reason: "asked for by the customer", Source: "API", Added: referenceStart.Add(time.Duration(i) * time.Second)}}
		for j := range each {
			text := ownNumber(i, j)
			if j < wide {
				text = fmt.Sprintf("+86137%04d*", (i+j)%10000)
			}
			p, err := plan.Pattern(text)
			if err != nil {
				t.Fatal(err)
			}
			load.Add(key, p, records)
		}
	}
	load.Done()
	return l
}

// TestOwnListsBesideEdits: while one line's list is edited, a look-up in it finds what was there before or after, and one of a line in the same
// part of the table finds its entry at all times.
func TestOwnListsBesideEdits(t *testing.T) {
	l, plan := New(), chinaPlan(t)
	const loud = "loud~000000"
	quiet := ""
	for i := 0; ownPartAt(quiet) != ownPartAt(loud); i++ {
		quiet = ownKeyOf(i)
	}
	n := plan.Parse("+8613800138000")
	p, err := plan.Pattern("+8613800138000")
	if err != nil {
		t.Fatal(err)
	}
	change := func(key, reason string) []OwnChange {
		return []OwnChange{{key, Change{ListEntry: policy.ListEntry{Pattern: p, Reason: reason}, Remove: reason == ""}}}
	}
	l.ApplyOwn("blacklist", change(quiet, "mine"))
	stop, done := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if e, ok := l.LookupOwn(quiet, policy.HashKey(quiet), "blacklist", &n, referenceStart); !ok || !l.MayBeOwn(policy.HashKey(quiet), &n) || e.Reason != "mine" || e.Line != quiet {
				done <- fmt.Sprintf("the other line's: %v %+v", ok, e)
				return
			}
			if e, ok := l.LookupOwn(loud, policy.HashKey(loud), "blacklist", &n, referenceStart); ok && (e.Line != loud || e.Reason != "one" && e.Reason != "another") {
				done <- fmt.Sprintf("the line's: %+v", e)
				return
			}
		}
	}()
	for range 3000 {
		for _, reason := range []string{"one", "another", ""} {
			l.ApplyOwn("blacklist", change(loud, reason))
		}
	}
	close(stop)
	if why, failed := <-done; failed {
		t.Error(why)
	}
}

// TestOwnMemory: a million entries of a hundred thousand lines, at the price of the entries: some 35 bytes each, and the process as a whole differs by three.
func TestOwnMemory(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("NOT TESTED: what a million entries of own lists take, in a short run or under the race detector; `make test` runs this once more without it")
	}
	for _, c := range []struct{ lines, each, wide, most int }{{100_000, 10, 0, 40}, {100_000, 10, 1, 40}, {100, 10_000, 0, 16}} {
		before := resident(t)
		l := ownOf(t, c.lines, c.each, c.wide)
		took := resident(t) - before
		entries, _ := l.OwnSize("blacklist")
		t.Logf("%d lines with %d entries each, %d of them no numbers: %.1f bytes an entry", c.lines, c.each, c.wide, float64(took)/float64(entries))
		if took > c.most*entries {
			t.Errorf("%d bytes for %d entries, more than %d an entry", took, entries, c.most)
		}
		runtime.KeepAlive(l)
	}
}

// resident is the memory of this process that is no file's, in bytes.
func resident(t *testing.T) int {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.Atoi(strings.Fields(text)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no RssAnon")
	return 0
}

func BenchmarkLookupOwn(b *testing.B) {
	l, plan := ownOf(b, 100_000, 10, 1), chinaPlan(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	type call struct {
		key  string
		hash uint64
		n    number.Number
	}
	for _, hit := range []bool{true, false} {
		calls := make([]call, 4096)
		for i := range calls {
			line := rnd.IntN(100_000)
			text := ownNumber(line, 5)
			if !hit {
				text = fmt.Sprintf("+86150%08d", i)
			}
			calls[i] = call{ownKeyOf(line), policy.HashKey(ownKeyOf(line)), plan.Parse(text)}
		}
		b.Run(map[bool]string{true: "listed", false: "not listed"}[hit], func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				c := &calls[i%len(calls)]
				if _, ok := l.LookupOwn(c.key, c.hash, "blacklist", &c.n, referenceStart); ok != hit {
					b.Fatal(ok)
				}
			}
		})
	}
	b.Run("edit", func(b *testing.B) {
		p, _ := plan.Pattern("+8613555555555")
		for i := range b.N {
			l.ApplyOwn("blacklist", []OwnChange{{ownKeyOf(i % 100_000), Change{ListEntry: policy.ListEntry{Pattern: p}, Remove: i%2 == 0}}})
		}
	})
}
