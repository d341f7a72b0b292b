package traffic

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// What is remembered of a call does not keep all lines in memory that there were then.
func TestAgainKeepsNoText(t *testing.T) {
	a := NewAgain(100)
	lines := strings.Repeat("line", 1000)
	a.Note(lines[4:8], "+865925550100", "+8613800138000", time.Now())
	for key := range a.newer {
		if unsafe.StringData(key.line) == unsafe.StringData(lines[4:]) {
			t.Error("the line is a part of the text that it came with")
		}
	}
}

// long: because it is one table, of the calls of a day in their order
func TestAgain(t *testing.T) {
	start := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	a := NewAgain(100)
	const staff, one, two, li = "staff", "+865925550100", "+865925550101", "+8613800138000"
	for i, c := range []struct {
		after, last          time.Duration // since the start; last is what is remembered, -1 for nothing
		line, callee, caller string
	}{
		{0, -1, staff, one, li},
		{4 * time.Second, -1, staff, one, li},                // the same call once more
		{6 * time.Second, 0, staff, one, li},                 // another one: who dials without a pause is no exception
		{7 * time.Second, 0, staff, one, li},                 // that one once more
		{8 * time.Second, 6 * time.Second, staff, two, li},   // to another number of the line
		{8 * time.Second, -1, "hotline", two, li},            // to another line
		{9 * time.Second, -1, staff, one, "+8613800138001"},  // another caller
		{9 * time.Second, -1, staff, one, ""},                // nobody
		{10 * time.Second, -1, staff, one, ""},               // is nobody again
		{time.Hour, 8 * time.Second, staff, one, li},         // much later
		{30 * time.Minute, 8 * time.Second, staff, one, li},  // of before, told of late
		{time.Hour + time.Minute, time.Hour, staff, one, li}, // and nothing is lost by it
		{time.Hour + 2*time.Minute, 8 * time.Second, "hotline", two, li},
	} {
		at := start.Add(c.after)
		want := time.Time{}
		if c.last >= 0 {
			want = start.Add(c.last)
		}
		if before := a.Last(c.line, c.callee, c.caller, at); !before.Equal(want) {
			t.Errorf("call %d: before it is noted the last was %s, want %s", i, before, want)
		}
		if got := a.Note(c.line, c.callee, c.caller, at); !got.Equal(want) {
			t.Errorf("call %d: the last was %s, want %s", i, got, want)
		}
		if after := a.Last(c.line, c.callee, c.caller, at); c.after != 30*time.Minute && !after.Equal(want) {
			t.Errorf("call %d: once it is noted the last was %s, want %s", i, after, want)
		}
	}
	if a.Forget(start.Add(time.Minute)); a.Len() != 2 {
		t.Errorf("%d pairs are left", a.Len())
	}
}

// Callers who make up numbers do not push out one who calls on and on, and there is a bound.
func TestAgainFull(t *testing.T) {
	a := NewAgain(100)
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	for i := range 1000 {
		at = at.Add(time.Second)
		a.Note("staff", "1", fmt.Sprint("+86138", i), at)
		if i%40 != 0 {
			continue
		}
		if last := a.Note("staff", "1", "+49301", at); i > 0 && !last.Equal(at.Add(-40*time.Second)) {
			t.Fatalf("call %d: the last was %s", i, last)
		}
	}
	if a.Len() > 100 || a.Lost() < 850 || a.Lost() > 1000-50 {
		t.Errorf("%d pairs are remembered, %d were forgotten", a.Len(), a.Lost())
	}
	lost := a.Lost()
	at = at.AddDate(0, 0, 2)
	for i := range 50 { // what is older than anybody asks for is no loss
		a.Note("hotline", "1", fmt.Sprint("+86138", i), at)
	}
	if a.Lost() > lost {
		t.Errorf("%d were forgotten before their time", a.Lost()-lost)
	}
}

// A number that is forgotten has never called.
func TestForgetsWhoCalled(t *testing.T) {
	m := New(nil)
	at := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	m.Again.Note("staff", "05925550100", "+8695211613", at)
	m.Again.Note("staff", "05925550100", "+8613800138000", at)
	if n := m.ForgetNumber("+8695211613"); n != 1 || m.Again.Len() != 1 {
		t.Errorf("%d forgotten, %d left", n, m.Again.Len())
	}
	if was := m.Again.Last("staff", "05925550100", "+8695211613", at.Add(time.Minute)); !was.IsZero() {
		t.Error("called on", was)
	}
}
