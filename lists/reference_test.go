package lists

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// plainList is what a list is: patterns and what is said of them, a record after the other.
type plainList map[number.Pattern][]Record

// lookup is the plain definition of Lists.Lookup.
func (l plainList) lookup(n *number.Number, at time.Time) (best policy.ListEntry, ok bool) {
	for q, records := range l {
		if !q.Matches(n) || ok && !q.Narrower(best.Pattern, n) {
			continue
		}
		for _, r := range records {
			if r.Expires.IsZero() || at.Before(r.Expires) {
				best, ok = policy.ListEntry{List: "l", Pattern: q, Reason: r.Reason, Source: r.Source, Added: r.Added, Expires: r.Expires}, true
				break
			}
		}
	}
	return best, ok
}

// reference is a list and what it should be.
type reference struct {
	*testing.T
	rnd       *rand.Rand
	lists     *Lists
	want      plainList
	different int // reasons
}

var referenceStart = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

func (r *reference) pattern() number.Pattern {
	rnd := r.rnd
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
	return q
}

// change makes a change and says it to want.
func (r *reference) change() Change {
	rnd := r.rnd
	c := Change{ListEntry: policy.ListEntry{Pattern: r.pattern()}, Remove: rnd.IntN(4) == 0}
	if c.Remove {
		if rnd.IntN(2) == 0 {
			for q := range r.want { // any one that is there
				c.Pattern = q
				break
			}
		}
		delete(r.want, c.Pattern)
		return c
	}
	records := make([]Record, 1+max(0, rnd.IntN(6)-3))
	for i := range records {
		records[i] = Record{Reason: fmt.Sprint("reason ", rnd.IntN(r.different)), Source: fmt.Sprint(i), Added: referenceStart}
		if rnd.IntN(3) == 0 {
			records[i].Expires = referenceStart.Add(time.Duration(rnd.IntN(5)) * time.Hour)
		}
	}
	if r.want[c.Pattern] = records; len(records) > 1 || rnd.IntN(4) == 0 {
		c.Records = records
	} else {
		c.Reason, c.Source, c.Added, c.Expires = records[0].Reason, records[0].Source, records[0].Added, records[0].Expires
	}
	return c
}

func (r *reference) compare() {
	r.Helper()
	rnd := r.rnd
	if r.lists.Len("l") != len(r.want) {
		r.Fatalf("got %d entries, want %d", r.lists.Len("l"), len(r.want))
	}
	for range 200 {
		q := r.pattern()
		digits := fmt.Sprintf("%0*d", q.Size, q.Lo)
		n := number.Written(digits, digits)
		if rnd.IntN(2) == 0 {
			n = number.Written(fmt.Sprintf("%04d", rnd.Uint64N(3000)), digits)
		}
		at := referenceStart.Add(time.Duration(rnd.IntN(6)) * time.Hour)
		got, ok := r.lists.Lookup("l", &n, at)
		if want, wantOK := r.want.lookup(&n, at); got != want || ok != wantOK {
			r.Fatalf("%+v at %v: got %+v, %v; want %+v, %v", n, at, got, ok, want, wantOK)
		}
	}
}

// reopen has the list be a piece of it that was written and read again.
func (r *reference) reopen() {
	r.Helper()
	fit := Fit{List: "l", Stamp: "s"}
	b, err := r.lists.Piece("l").Bytes(fit)
	if err != nil {
		r.Fatal(err)
	}
	p, err := Open(b)
	if err != nil || p.Fit() != fit || p.Len() != len(r.want) {
		r.Fatalf("%v, %+v, got %d entries, want %d", err, p.Fit(), p.Len(), len(r.want))
	}
	r.lists.Adopt("l", p)
}

// reload loads the list again, from its entries in the order of their texts and one out of order.
func (r *reference) reload() {
	r.Helper()
	patterns := slices.Collect(maps.Keys(r.want))
	slices.SortFunc(patterns, func(a, b number.Pattern) int { return strings.Compare(a.String(), b.String()) })
	b := r.lists.Load("l")
	if r.lists.Loaded("l") {
		r.Fatal("loaded before it is")
	}
	add := func(q number.Pattern) {
		if records := r.want[q]; len(records) == 1 {
			b.Add(&policy.ListEntry{Pattern: q, Reason: records[0].Reason, Source: records[0].Source, Added: records[0].Added, Expires: records[0].Expires})
		} else {
			b.AddRecords(q, records)
		}
	}
	for _, q := range patterns {
		add(q)
	}
	if len(b.strays) > 0 {
		r.Fatalf("%d entries are out of order", len(b.strays))
	}
	add(patterns[0])
	b.Done()
	if !r.lists.Loaded("l") {
		r.Fatal("not loaded when it is")
	}
}

// Lists must find what trying every entry finds, through edits one by one and many at a time, as pieces that were written
// and read again, and after loading.
func TestListsAreTheReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for round := range 8 {
		r := &reference{t, rnd, New(), plainList{}, []int{3, 3000}[round%2]} // of 3000 there are more than a chunk takes
		for range 30 {
			changes := make([]Change, 1+rnd.IntN(1<<rnd.IntN(11)))
			for i := range changes {
				changes[i] = r.change()
			}
			r.lists.Apply("l", changes)
			r.compare()
			if rnd.IntN(3) == 0 {
				r.reopen()
				r.compare()
			}
			if rnd.IntN(4) == 0 && len(r.want) > 0 {
				r.reload()
				r.compare()
			}
		}
		if r.lists.Drop("l"); r.lists.cost != 0 {
			t.Fatalf("round %d: texts of %d bytes are left of nothing", round, r.lists.cost)
		}
	}
}

// Texts that do not fit are left out and counted; the number is found all the same, and expires.
func TestListsTextsAreBounded(t *testing.T) {
	l := New()
	l.bound = 3000
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
	left := l.LeftOut("l")
	p := l.Piece("l")
	if opened, err := Open(bytesOf(t, p)); err != nil || int(opened.header.left) != left || l.LeftOut("l") != left {
		t.Errorf("%d are left out after a merge, %d in a piece, want %d; %v", l.LeftOut("l"), opened.header.left, left, err)
	}
	l.Put(policy.ListEntry{List: "m", Pattern: number.Pattern{Lo: 1, Hi: 1, Size: 5}, Reason: strings.Repeat("long", 1000)})
	if l.LeftOut("m") != 1 {
		t.Error("another list has room of its own")
	}
	if l.Drop("l"); l.cost > l.bound {
		t.Errorf("texts of %d bytes are left", l.cost)
	}
	l.Adopt("l", p)
	n = number.Written("", "00001")
	if e, ok := l.Lookup("l", &n, at); !ok || e.Reason != "reason 1" {
		t.Errorf("found %+v, %v", e, ok)
	}
}
