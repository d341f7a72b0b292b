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
	for i := range maxLastCalls + 5 {
		l.Put(fmt.Sprint(i), LastCall{ID: "x", Time: now}, now)
	}
	l.Put("0", LastCall{ID: "y", Time: now}, now)
	if n, over := l.Count(); n != maxLastCalls || over != 5 {
		t.Errorf("%d extensions, %d had no room", n, over)
	}
	if c, _ := l.Get("0", func(string) bool { return true }, now); c.ID != "y" {
		t.Errorf("%+v", c)
	}
	later := now.Add(lastCallAge + time.Minute)
	l.Put("new", LastCall{ID: "z", Time: later}, later)
	if n, over := l.Count(); n != 1 || over != 5 {
		t.Errorf("%d extensions, %d had no room", n, over)
	}
}
