package traffic

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// What a caller did is seen for a day, each call once, with the one that comes in.
func TestBehaviour(t *testing.T) {
	b := NewBehaviour(10)
	if e := b.Of("", "a", true, noon); e != (policy.Evidence{}) {
		t.Errorf("nobody: %+v", e)
	}
	if e := b.Of("+861", "a", true, noon); e != (policy.Evidence{Calls: 1, Callees: 1, Decoys: 1}) {
		t.Errorf("the first call: %+v", e)
	}
	b.Ended("+861", true, true, time.Hour, noon) // of a call that nobody noted
	for i, callee := range []string{"a", "b", "a", "a", "c"} {
		at := noon.Add(time.Duration(i) * time.Minute)
		b.Note("+861", callee, callee == "c", at)
		b.Note("+861", callee, callee == "c", at.Add(2*time.Second)) // the same call
	}
	b.Ended("+861", true, true, 6*time.Second, noon)
	b.Ended("+861", true, true, 7*time.Second, noon)
	b.Ended("+861", true, true, time.Minute, noon)
	b.Ended("+861", true, false, 0, noon)
	b.Ended("+861", false, false, 0, noon)
	want := policy.Evidence{Calls: 5, Callees: 3, Decoys: 1, Short: 1, Unanswered: 1, Talks: 1}
	if e := b.Of("+861", "c", true, noon.Add(4*time.Minute)); e != want {
		t.Errorf("the call that was noted: got %+v, want %+v", e, want)
	}
	want.Calls, want.Callees, want.Decoys = 6, 4, 2
	if e := b.Of("+861", "d", true, noon.Add(5*time.Minute)); e != want {
		t.Errorf("one more: got %+v, want %+v", e, want)
	}
	if e := b.Of("+861", "a", false, noon.Add(20*time.Hour)); e.Calls != 6 || e.Talks != 1 || e.Callees != 3 {
		t.Errorf("20 hours later: %+v", e)
	}
	if e := b.Of("+861", "a", false, noon.Add(24*time.Hour)); e != (policy.Evidence{Calls: 1, Callees: 1}) {
		t.Errorf("a day later: %+v", e)
	}
	b.Note("+861", "a", false, noon.Add(24*time.Hour))
	b.Note("+861", "b", false, noon) // a clock that was set back: it counts as the latest
	if e := b.Of("+861", "b", false, noon.Add(24*time.Hour)); e.Calls != 2 || e.Callees != 2 || e.Short != 0 {
		t.Errorf("after the clock was set back: %+v", e)
	}
	if e, last, ok := b.last("+861"); !ok || e.Calls != 2 || !last.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("what is held: %+v, last %v", e, last)
	}
	if _, _, ok := b.last("+862"); ok {
		t.Error("something is held of one who never called")
	}
	if b.forgetNumber("+861") != 1 || b.forgetNumber("+861") != 0 || b.Len() != 0 {
		t.Errorf("%d callers are left", b.Len())
	}
}

// Callees are bounded, and those of more than a day ago give way.
func TestBehaviourCallees(t *testing.T) {
	b := NewBehaviour(10)
	for i := range 3 * maxCallees {
		b.Note("+861", fmt.Sprint("a", i), false, noon.Add(time.Duration(i)*10*time.Second))
	}
	if e := b.Of("+861", "a0", false, noon.Add(time.Hour)); e.Callees != maxCallees || e.Calls != 3*maxCallees+1 {
		t.Errorf("%+v, want %d callees", e, maxCallees)
	}
	later := noon.Add(48 * time.Hour)
	b.Note("+861", "b", false, later)
	if e := b.Of("+861", "b", false, later); e.Callees != 1 || e.Calls != 1 {
		t.Errorf("two days later: %+v", e)
	}
	for range 70_000 {
		later = later.Add(time.Second * 6)
		b.Note("+862", "b", false, noon)
		b.Ended("+862", true, false, 0, noon)
		b.Forget(noon.Add(-time.Hour))
	}
	if e := b.Of("+862", "b", false, noon); e.Unanswered > 1<<16 || e.Unanswered < 1<<16-1 {
		t.Errorf("%+v, want what a count holds at most", e)
	}
}

// Callers who make up a number for each call push out each other, and not one who calls again.
func TestBehaviourIsBounded(t *testing.T) {
	b := NewBehaviour(100)
	for i := range 10_000 {
		at := noon.Add(time.Duration(i) * time.Second)
		b.Note(fmt.Sprint("+86", i), "a", false, at)
		if i%20 == 0 {
			b.Note("+8613800138000", fmt.Sprint(i%60), false, at)
		}
	}
	if b.Len() > 100 || b.Lost() < 9_800 || b.Lost() > 9_950 {
		t.Errorf("%d callers, %d lost", b.Len(), b.Lost())
	}
	if e := b.Of("+8613800138000", "0", false, noon.Add(10_000*time.Second)); e.Calls != 501 || e.Callees != 3 {
		t.Errorf("who calls again: %+v", e)
	}
	b.Forget(noon.Add(9_990 * time.Second))
	if n := b.Len(); n > 11 {
		t.Errorf("%d callers are left", n)
	}
}

// A start finds again what was there, and nothing in what is no snapshot.
func TestBehaviourSnapshot(t *testing.T) {
	b := NewBehaviour(100)
	for i := range 120 {
		b.Note(fmt.Sprint("+86", i), fmt.Sprint(i%7), i%5 == 0, noon.Add(time.Duration(i)*time.Minute))
		b.Ended(fmt.Sprint("+86", i), true, i%2 == 0, time.Duration(i)*time.Second, noon)
	}
	kept := b.Snapshot()
	again := NewBehaviour(100)
	again.Note("+8699", "x", false, noon)
	if err := again.Load(kept); err != nil || !bytes.Equal(again.Snapshot(), kept) || again.Len() != b.Len() {
		t.Fatalf("%d of %d callers, %v", again.Len(), b.Len(), err)
	}
	for i := range 120 {
		at := noon.Add(150 * time.Minute)
		if was, is := b.Of(fmt.Sprint("+86", i), "3", true, at), again.Of(fmt.Sprint("+86", i), "3", true, at); was != is {
			t.Errorf("+86%d: %+v became %+v", i, was, is)
		}
	}
	for n := range len(kept) {
		if again.Load(kept[:n]) == nil {
			t.Fatalf("the first %d of %d bytes are taken for all", n, len(kept))
		}
	}
	if NewBehaviour(20).Load(kept) == nil {
		t.Error("more callers than there is room for are taken")
	}
	if !bytes.Equal(again.Snapshot(), kept) {
		t.Error("a snapshot that cannot be read changed something")
	}
}

func FuzzBehaviourLoad(f *testing.F) {
	b := NewBehaviour(10)
	b.Note("+861", "a", true, noon)
	b.Note("+861", "b", false, noon.Add(time.Hour))
	b.Note("+862", "b", false, noon)
	f.Add(b.Snapshot())
	f.Add(NewBehaviour(10).Snapshot())
	f.Fuzz(func(t *testing.T, text []byte) {
		b := NewBehaviour(10)
		if b.Load(text) != nil && b.Len() > 0 || b.Len() > 10 {
			t.Fatalf("%d callers", b.Len())
		}
		b.Note("+861", "c", false, noon)
		b.Ended("+861", true, true, time.Second, noon)
		if e := b.Of("+861", "c", false, noon); e.Callees > maxCallees || e.Decoys > e.Callees || e.Calls < 0 {
			t.Fatalf("%+v", e)
		}
	})
}

// Who spoils their number is counted by it; who has none is not.
func TestCountedCaller(t *testing.T) {
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN", Internal: []string{"8???"}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"95211613": "+8695211613", "95211613#": "+8695211613", "8001": "", "anonymous": "", "": ""} {
		if n := plan.ParseInternal(text); CountedCaller(&n) != want {
			t.Errorf("%q is counted by %q, want %q", text, CountedCaller(&n), want)
		}
	}
}

// BenchmarkBehaviour is what a call pays where there is a score.
func BenchmarkBehaviour(b *testing.B) {
	x, at := NewBehaviour(maxBehaviour), noon
	callers := make([]string, maxBehaviour)
	for i := range callers {
		callers[i] = fmt.Sprintf("+86139%08d", i)
		x.Note(callers[i], fmt.Sprint(i%10), false, at)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		who := callers[i%(maxBehaviour/2)]
		x.Of(who, "05925550100", false, at)
		x.Note(who, "05925550100", false, at)
	}
}

// Where there is a score, a call costs no memory but that of what is remembered of its caller.
func TestRecallAllocatesNothing(t *testing.T) {
	p, faults := policy.Load("p", []byte(`
country = "CN"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.unused]
numbers = ["05925550800-05925550899"]
decoy = true
[[rule]]
name = "bad"
when = { score_at_least = 3 }
action = "tag"
label = "?"
`))
	if p == nil {
		t.Fatal(faults)
	}
	m := New(nil)
	m.CountMarks(func(string, time.Time) float64 { return 1 })
	m.Meet("staff", "+8613800138000", noon)
	c := p.Call(policy.Facts{Caller: "13800138000", Callee: "05925550801", Time: noon})
	m.Called(p, &c)
	if n := testing.AllocsPerRun(100, func() { m.Recall(p, &c); m.Called(p, &c) }); n > 0 {
		t.Errorf("%v allocations a call", n)
	}
	if want := (policy.Evidence{Calls: 1, Callees: 1, Decoys: 1, Marks: 1}); c.Evidence != want || c.KnownLines != 1 {
		t.Errorf("%+v, known to %d lines", c.Evidence, c.KnownLines)
	}
}
