package lists

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// plainList is what a list is: patterns and what is said of them.
type plainList map[number.Pattern]policy.ListEntry

// lookup is the plain definition of Lists.Lookup.
func (l plainList) lookup(n *number.Number, at time.Time) (best policy.ListEntry, ok bool) {
	for q, e := range l {
		if q.Matches(n) && (e.Expires.IsZero() || at.Before(e.Expires)) && (!ok || q.Narrower(best.Pattern, n)) {
			best, ok = e, true
		}
	}
	return best, ok
}

// Lists must find what trying every entry finds, through edits one by one and many at a time, and after loading.
func TestListsAreTheReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	start := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	different := 3 // reasons; more than a chunk takes in every other round
	randomEntry := func() policy.ListEntry {
		q := number.Pattern{Lo: rnd.Uint64N(3000), Size: uint8(4 + rnd.IntN(13)), Plus: rnd.IntN(2) == 0}
		for range min(int(q.Size)-4, rnd.IntN(13)) {
			q.Lo *= 10
		}
		q.Hi = q.Lo
		if rnd.IntN(3) == 0 { // mostly exact numbers, near each other and of up to 16 digits
			q.Open = rnd.IntN(2) == 0
			q.Size = min(q.Size, 6)
			q.Lo, q.Hi = q.Lo%1000, q.Lo%1000
			if !q.Open {
				q.Hi += rnd.Uint64N(20)
			}
		}
		e := policy.ListEntry{List: "l", Pattern: q, Reason: fmt.Sprint("reason ", rnd.IntN(different)), Added: start}
		if rnd.IntN(3) == 0 {
			e.Expires = start.Add(time.Duration(rnd.IntN(5)) * time.Hour)
		}
		return e
	}
	for round := range 6 {
		different = []int{3, 3000}[round%2]
		l, want := New(), plainList{}
		compare := func() {
			t.Helper()
			if l.Len("l") != len(want) {
				t.Fatalf("round %d: %d entries, want %d", round, l.Len("l"), len(want))
			}
			for range 200 {
				e := randomEntry()
				digits := fmt.Sprintf("%0*d", e.Pattern.Size, e.Pattern.Lo)
				n := number.Written(digits, digits)
				if rnd.IntN(2) == 0 {
					n = number.Written(fmt.Sprintf("%04d", rnd.Uint64N(3000)), digits)
				}
				at := start.Add(time.Duration(rnd.IntN(6)) * time.Hour)
				got, ok := l.Lookup("l", &n, at)
				if wanted, wantOK := want.lookup(&n, at); got != wanted || ok != wantOK {
					t.Fatalf("round %d: %+v at %v: got %+v, %v; want %+v, %v", round, n, at, got, ok, wanted, wantOK)
				}
			}
		}
		for range 30 {
			changes := make([]Change, 1+rnd.IntN(1<<rnd.IntN(11)))
			for i := range changes {
				c := Change{ListEntry: randomEntry(), Remove: rnd.IntN(4) == 0}
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
				var es []policy.ListEntry
				for _, e := range want {
					es = append(es, e)
				}
				slices.SortFunc(es, func(a, b policy.ListEntry) int { return strings.Compare(a.Pattern.String(), b.Pattern.String()) })
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
				b.Add(&policy.ListEntry{Pattern: es[0].Pattern, Reason: es[0].Reason, Added: es[0].Added, Expires: es[0].Expires}) // a stray
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

// Texts that do not fit are left out and counted; the number is found all the same, and expires.
func TestListsTextsAreBounded(t *testing.T) {
	l := New()
	l.texts.bound = 3000
	at := time.Now()
	for i := range 100 {
		l.Put(policy.ListEntry{List: "l", Pattern: number.Pattern{Lo: uint64(i), Hi: uint64(i), Size: 5, Plus: true}, Reason: fmt.Sprint("reason ", i), Expires: at.Add(time.Hour * time.Duration(i%2))})
	}
	n := number.Written("", "00099")
	if e, ok := l.Lookup("l", &n, at); !ok || e.Reason != "" {
		t.Errorf("found %+v, %v", e, ok)
	}
	if _, ok := l.Lookup("l", &n, at.Add(time.Hour)); ok {
		t.Error("it does not expire")
	}
	if left := l.LeftOut("l"); left < 80 || left > 95 {
		t.Errorf("%d are left out", left)
	}
	n = number.Written("", "00001")
	if e, ok := l.Lookup("l", &n, at); !ok || e.Reason != "reason 1" {
		t.Errorf("found %+v, %v", e, ok)
	}
}
