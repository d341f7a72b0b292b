package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// plainList is what a list is: patterns and what is said of them.
type plainList map[Pattern]ListEntry

// at is what counts of an entry at a time.
func (e *ListEntry) at(t time.Time) *ListEntry {
	for ; e != nil; e = e.Rest {
		if e.Expires.IsZero() || t.Before(e.Expires) {
			return e
		}
	}
	return nil
}

// lookup is the plain definition of Lists.Lookup.
func (l plainList) lookup(n *Number, at time.Time) (best ListEntry, ok bool) {
	for q, e := range l {
		if said := e.at(at); said != nil && q.Matches(n) && (!ok || q.narrower(best.Pattern, n)) {
			best, ok = ListEntry{List: e.List, Pattern: q, Reason: said.Reason, Source: said.Source, Added: said.Added, Expires: said.Expires}, true
		}
	}
	return best, ok
}

// Lists must find what trying every entry finds, through edits one by one and many at a time, and after loading.
func TestListsAreTheReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	start := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	different := 3 // reasons; more than a chunk takes in every other round
	randomEntry := func() ListEntry {
		q := randomPattern(rnd)
		if rnd.IntN(3) > 0 { // mostly exact numbers, near each other and of up to 16 digits
			q = Pattern{lo: rnd.Uint64N(3000), size: uint8(4 + rnd.IntN(13)), plus: rnd.IntN(2) == 0}
			q.lo *= pow10[min(int(q.size)-4, rnd.IntN(13))]
			q.hi = q.lo
		}
		e := ListEntry{List: "l", Pattern: q, Reason: fmt.Sprint("reason ", rnd.IntN(different)), Added: start}
		if rnd.IntN(3) == 0 {
			e.Expires = start.Add(time.Duration(rnd.IntN(5)) * time.Hour)
		}
		for range rnd.IntN(4) * rnd.IntN(2) * rnd.IntN(2) { // other sources
			rest := e.Rest
			e.Rest = &ListEntry{Reason: fmt.Sprint("reason ", rnd.IntN(different)), Source: "feed x", Added: start, Expires: start.Add(time.Duration(rnd.IntN(5)) * time.Hour), Rest: rest}
		}
		return e
	}
	for round := range 6 {
		different = []int{3, 3000}[round%2]
		l, want := NewLists(), plainList{}
		compare := func() {
			t.Helper()
			if l.Len("l") != len(want) {
				t.Fatalf("round %d: %d entries, want %d", round, l.Len("l"), len(want))
			}
			for range 200 {
				e := randomEntry()
				n := Number{digits: string(appendPadded(nil, e.Pattern.lo, int(e.Pattern.size)))}
				n.national = n.digits
				if rnd.IntN(2) == 0 {
					n.national = string(appendPadded(nil, rnd.Uint64N(3000), 4))
				}
				at := start.Add(time.Duration(rnd.IntN(6)) * time.Hour)
				got, ok := l.Lookup("l", &n, at)
				if wanted, wantOK := want.lookup(&n, at); got != wanted || ok != wantOK {
					t.Fatalf("round %d: %+v at %v: got %+v, %v; want %+v, %v", round, n, at, got, ok, wanted, wantOK)
				}
			}
		}
		for range 30 {
			changes := make([]ListChange, 1+rnd.IntN(1<<rnd.IntN(11)))
			for i := range changes {
				c := ListChange{ListEntry: randomEntry(), Remove: rnd.IntN(4) == 0}
				if c.Remove && rnd.IntN(2) == 0 {
					for q := range want { // any one that is there
						c.Pattern = q
						break
					}
				}
				changes[i] = c
				if c.Remove {
					delete(want, c.Pattern)
				} else {
					want[c.Pattern] = c.ListEntry
				}
			}
			l.Apply("l", changes)
			compare()
			if was := l.list("l").numbers.Load(); rnd.IntN(4) == 0 { // loaded again, from its entries in the order of their texts
				var es []ListEntry
				for _, e := range want {
					es = append(es, e)
				}
				slices.SortFunc(es, func(a, b ListEntry) int { return strings.Compare(a.Pattern.String(), b.Pattern.String()) })
				b := l.Load("l")
				if l.Loaded("l") {
					t.Fatal("loaded before it is")
				}
				for i := range es {
					b.Add(&es[i])
				}
				if len(b.strays) > 0 {
					t.Fatalf("%d entries are out of order", len(b.strays))
				}
				b.Add(&ListEntry{Pattern: es[0].Pattern, Reason: es[0].Reason, Added: es[0].Added, Expires: es[0].Expires, Rest: es[0].Rest}) // a stray
				b.Done()
				if !l.Loaded("l") || l.list("l").numbers.Load().n != was.n {
					t.Fatalf("%d exact numbers after loading, %d before", l.list("l").numbers.Load().n, was.n)
				}
				compare()
			}
		}
		l.Drop("l")
		if len(l.texts.all) > 0 || l.texts.bytes != 0 {
			t.Fatalf("round %d: %d texts of %d bytes are left of nothing", round, len(l.texts.all), l.texts.bytes)
		}
	}
}

// While a person's entry has not expired it is what is said of a number; then what others say counts, as long as one of them does.
func TestListsUnion(t *testing.T) {
	l := NewLists()
	at := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	for _, q := range []Pattern{{lo: 12345, hi: 12345, size: 5, plus: true}, {lo: 12000, hi: 12999, size: 5, plus: true}} {
		l.Put(ListEntry{List: "l", Pattern: q, Reason: "a person", Expires: at.Add(time.Hour), Rest: &ListEntry{
			Reason: "a feed", Expires: at.Add(2 * time.Hour), Rest: &ListEntry{Reason: "a file", Expires: at.Add(3 * time.Hour)},
		}})
		n := Number{digits: "12345"}
		for hours, want := range []string{"a person", "a feed", "a file", ""} {
			got, ok := l.Lookup("l", &n, at.Add(time.Duration(hours)*time.Hour))
			if got.Reason != want || ok != (want != "") || got.Rest != nil {
				t.Errorf("%v after %d hours: %+v, %v, want %q", q, hours, got, ok, want)
			}
		}
		if l.Len("l") != 1 || !l.Remove("l", q) {
			t.Errorf("%d entries", l.Len("l"))
		}
	}
	if len(l.texts.all) > 0 || l.texts.bytes != 0 {
		t.Errorf("%d texts are left of nothing", len(l.texts.all))
	}
}

// Texts that do not fit are left out and counted; the number is found all the same, and expires.
func TestListsTextsAreBounded(t *testing.T) {
	l := NewLists()
	l.texts.bound = 3000
	at := time.Now()
	for i := range 100 {
		l.Put(ListEntry{List: "l", Pattern: Pattern{lo: uint64(i), hi: uint64(i), size: 5, plus: true}, Reason: fmt.Sprint("reason ", i), Expires: at.Add(time.Hour * time.Duration(i%2))})
	}
	n := Number{digits: "00099"}
	if e, ok := l.Lookup("l", &n, at); !ok || e.Reason != "" {
		t.Errorf("found %+v, %v", e, ok)
	}
	if _, ok := l.Lookup("l", &n, at.Add(time.Hour)); ok {
		t.Error("it does not expire")
	}
	if left := l.LeftOut("l"); left < 80 || left > 95 {
		t.Errorf("%d are left out", left)
	}
	n.digits = "00001"
	if e, ok := l.Lookup("l", &n, at); !ok || e.Reason != "reason 1" {
		t.Errorf("found %+v, %v", e, ok)
	}
}

// A call that a rule asks an unread list for passes, and says so; one decided before that rule does not.
func TestDecideUnreadList(t *testing.T) {
	p, faults := Load("policy.toml", []byte(`
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "sales"
when = { caller = ["9521*"] }
action = "tag"
label = "sales"
[[rule]]
name = "on trial"
when = { list_not = ["blacklist"] }
action = "reject"
mode = "observe"
[[rule]]
name = "strangers"
when = { list_not = ["blacklist"] }
action = "reject"
[[rule]]
name = "last"
when = { caller = ["1*"] }
action = "reject"
`))
	if p == nil {
		t.Fatal(faults)
	}
	l := NewLists()
	load := l.Load("blacklist")
	call := p.Call(Facts{Caller: "13800138000", Time: time.Now()})
	d := p.Decide(&call, l)
	if d.Action != Allow || d.Rule != RuleFailOpen || d.Unread() != "blacklist" || d.Trial != "" {
		t.Errorf("%+v", d)
	}
	if want := "let through: rule strangers asks the list blacklist, which has not been read yet"; d.Reason() != want {
		t.Errorf("reason %q", d.Reason())
	}
	e, steps := p.Explain(&call, l)
	if e.Rule != RuleFailOpen || len(steps) != 6 || steps[5].Why != "not tried, since fail-open decided" ||
		steps[4].Why != "list: blacklist has not been read yet" || steps[3].Why != steps[4].Why {
		t.Errorf("%+v", steps)
	}
	call = p.Call(Facts{Caller: "95211613", Time: time.Now()})
	if d := p.Decide(&call, l); d.Rule != "sales" || d.Unread() != "" {
		t.Errorf("%+v", d)
	}
	load.Done()
	call = p.Call(Facts{Caller: "13800138000", Time: time.Now()})
	if d := p.Decide(&call, l); d.Rule != "strangers" || d.Action != Reject {
		t.Errorf("%+v", d)
	}
}
