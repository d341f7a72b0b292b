package traffic

import (
	"fmt"
	"testing"
	"time"
)

// The table is emptied when it is full.
func TestRefusedIsBounded(t *testing.T) {
	var r Refused
	now := time.Now()
	for i := range maxRepeats + 1 {
		r.Again("c", fmt.Sprint(i), now)
	}
	if n := r.Full(); n != 1 {
		t.Errorf("got %d times counted that it was emptied, want 1", n)
	}
	if n := len(r.last); n == 0 || n >= maxRepeats {
		t.Errorf("%d callers are kept: it was not emptied", n)
	}
	if !r.Again("c", fmt.Sprint(maxRepeats), now) || r.Again("c", "0", now) {
		t.Error("the last one is forgotten, or the first one is not")
	}
}
