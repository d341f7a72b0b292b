package traffic

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The tables of calls are bounded.
func TestCallTablesAreBounded(t *testing.T) {
	var r Calls[string]
	for i := range maxCalls + 10 {
		r.Add(fmt.Sprint(i), fmt.Sprint("id", i))
		r.Add(fmt.Sprint(i), fmt.Sprint("id", i)) // twice is once
	}
	r.Add(strings.Repeat("x", maxCallKey+1), "")
	if len(r.calls) != maxCalls || len(r.order) != maxCalls {
		t.Errorf("%d calls, %d in order", len(r.calls), len(r.order))
	}
	for uuid, want := range map[string]bool{"0": false, "9": false, "10": true, fmt.Sprint(maxCalls + 9): true, "": false} {
		if s, ok := r.Find(uuid); ok != want || ok && s != "id"+uuid {
			t.Errorf("%q: %v %+v", uuid, ok, s)
		}
	}
	var l LastCalls
	now := time.Now()
	for i := range maxLastCalls {
		l.Put(fmt.Sprint(i), LastCall{ID: "x", Time: now.Add(time.Duration(i) * time.Millisecond)}, now)
	}
	l.Put("0", LastCall{ID: "y", Time: now.Add(time.Hour)}, now)
	if n, over := l.Count(); n != maxLastCalls || over != 0 {
		t.Errorf("%d extensions, %d had no room", n, over)
	}
	// Whoever has a dialler call one number after the other keeps nobody's call of just now out.
	l.Put("new", LastCall{ID: "z", Time: now.Add(time.Hour)}, now.Add(time.Hour))
	if n, over := l.Count(); n != maxLastCalls/2+1 || over != maxLastCalls/2 {
		t.Errorf("%d extensions, %d had no room", n, over)
	}
	for extension, want := range map[string]string{"new": "z", "0": "y", "1": "", fmt.Sprint(maxLastCalls / 2): "", fmt.Sprint(maxLastCalls - 1): "x"} {
		if c, _ := l.Get(extension, func(string) bool { return true }, now); c.ID != want {
			t.Errorf("%s: %+v", extension, c)
		}
	}
	later := now.Add(lastCallAge + 2*time.Hour)
	for i := range maxLastCalls/2 - 1 {
		l.Put(fmt.Sprint("filled", i), LastCall{ID: "x", Time: now.Add(time.Hour)}, now.Add(time.Hour))
	}
	l.Put("later", LastCall{ID: "z", Time: later}, later)
	if n, over := l.Count(); n != 1 || over != maxLastCalls/2 {
		t.Errorf("%d extensions, %d had no room", n, over)
	}
}
