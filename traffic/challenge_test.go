package traffic

import (
	"strconv"
	"testing"
	"time"
)

// Passes and tries have tables of their own. However many callers hang up on a challenge, the oldest try goes, and
// nobody who has passed.
func TestChallengedBound(t *testing.T) {
	m := newChallenges(nowhere{})
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	const friend = "+8613800138000"
	m.Passed(Asked{"staff", "number 1", friend, at})
	for i := range maxTries + 10 {
		m.KeyedNothing(Asked{"staff", "number 1", "+" + strconv.Itoa(i), at})
	}
	if got, want := m.Count(), (ChallengeCount{Passes: 1, Tries: maxTries, TriesFull: 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if passed, _ := m.Of("staff", "number 1", friend, at); passed.IsZero() {
		t.Error("who passed is forgotten for others' tries")
	}
	for number, want := range map[string]bool{"+9": false, "+10": true, "+" + strconv.Itoa(maxTries+9): true} {
		if _, tried := m.Of("staff", "number 1", number, at); tried.IsZero() == want {
			t.Errorf("%s: tried at %v", number, tried)
		}
	}
	for i := range maxPasses + 5 {
		m.Passed(Asked{"staff", "number 1", "+9" + strconv.Itoa(i), at})
	}
	if got := m.Count(); got.Passes != maxPasses || got.PassesFull != 6 {
		t.Errorf("%+v", got)
	}
	m.Forget(at.Add(time.Hour), at.Add(time.Hour))
	if got := m.Count(); got.Passes != 0 || got.Tries != 0 || m.passes.order.Len() != 0 || m.tries.order.Len() != 0 {
		t.Errorf("%+v after the old ones went", got)
	}
}

// What lets a caller through who cannot press keys, and what does not.
func TestGraceIsNarrow(t *testing.T) {
	start, callee, other := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), "number 1", "number 2"
	const caller = "+8695211613"
	m := newChallenges(nowhere{})
	at := start
	tried := func(callee string) bool { _, t := m.Of("staff", callee, caller, at); return !t.IsZero() }
	m.Failed(Asked{"staff", callee, caller, at})
	if tried(callee) {
		t.Error("who hung up before the end of the prompt has tried")
	}
	m.KeyedNothing(Asked{"staff", callee, caller, at})
	if !tried(callee) || tried(other) {
		t.Errorf("tried here %v, there %v", tried(callee), tried(other))
	}
	m.Failed(Asked{"staff", callee, caller, at})
	if tried(callee) {
		t.Error("who hangs up at once the next time still has his grace")
	}
	m.KeyedNothing(Asked{"staff", callee, caller, at})
	if m.TakeGrace(other, caller, at) || !m.TakeGrace(callee, caller, at) || m.TakeGrace(callee, caller, at) {
		t.Error("the grace is not that of this number, once")
	}
	for at = start.Add(time.Hour); at.Before(start.Add(graceEvery)); at = at.Add(5 * time.Hour) {
		m.KeyedNothing(Asked{"staff", callee, caller, at})
		if tried(callee) || m.TakeGrace(callee, caller, at) {
			t.Errorf("let through again after %v", at.Sub(start))
		}
	}
	at = start.Add(graceEvery)
	m.KeyedNothing(Asked{"staff", callee, caller, at})
	if !m.TakeGrace(callee, caller, at) {
		t.Error("not let through the next day")
	}
	m.KeyedNothing(Asked{"staff", callee, "", at})
	if _, tried := m.Of("staff", callee, "", at); !tried.IsZero() {
		t.Error("callers without a number share a grace")
	}
}
