package detect_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"ringfence/detect"
)

// TestAloneIsAsEver holds that a node without others finds what it found before nodes told each other anything, and so does one that tells them and
// hears nothing.
func TestAloneIsAsEver(t *testing.T) {
	if underRace {
		t.Skip("NOT TESTED under the race detector, which has nothing to find here and takes minutes; `make test` runs this once more without it")
	}
	for seed, want := range []uint64{0xb0e177bf45ddb1db, 0xcc92e9508a3fc93f, 0xcd720df6630e5b6f} {
		for _, tells := range []bool{false, true} {
			w := newWorld(t, manyDetectors()...)
			for i := range w.ds {
				w.ds[i].MaxShare = []float64{1, 0.3, 0.7}[i%3]
			}
			h := fnv.New64a()
			for _, found := range trace(w, rand.New(rand.NewPCG(uint64(seed), 31)), 6000, func(i int, _ *call) {
				if tells && i%3 == 0 {
					w.set.Tell(w.at, 3, nil)
				}
			}) {
				fmt.Fprintln(h, found)
			}
			w.set.Breakers("", true, w.at, func(b detect.Breaker) bool {
				text, _ := json.Marshal(b)
				fmt.Fprintf(h, "%s\n", text)
				return true
			})
			x := w.subject(call{from: "95211677", to: line(1)})
			text, _ := json.Marshal(w.set.Explain(&x))
			h.Write(text)
			if got := h.Sum64(); got != want {
				t.Errorf("seed %d, telling %v: got %#x, want %#x", seed, tells, got, want)
			}
		}
	}
}
