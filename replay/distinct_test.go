package replay

import (
	"fmt"
	"math"
	"testing"
)

// Few things are counted exactly, many with the error that linear counting has.
func TestDistinct(t *testing.T) {
	worst := 0.0
	for seed := range 40 {
		var d distinct
		for i := range 10_000 {
			for range 2 { // again: nothing new
				d.add(hash(hashStart, fmt.Sprintf("%d0592555%04d", seed, i)), true)
			}
			off := math.Abs(float64(d.n)/float64(i+1) - 1)
			if i < fewThings && off > 0 {
				t.Fatalf("%d things are counted as %d", i+1, d.n)
			}
			if i >= 2*fewThings {
				worst = max(worst, off)
			}
		}
	}
	t.Logf("the worst error of 40 runs is %.1f %%", 100*worst)
	if worst > 0.08 { // four standard errors
		t.Errorf("an error of %.1f %%", 100*worst)
	}
}

func TestDistinctWithoutRoom(t *testing.T) {
	var d distinct
	full := 0
	for i := range 100 {
		if used, f := d.add(hash(hashStart, fmt.Sprint(i)), false); used {
			t.Fatal("it took a bitmap")
		} else if f {
			full++
		}
	}
	if d.n != fewThings || full != 100-fewThings {
		t.Errorf("counted %d, full %d times", d.n, full)
	}
}
