package detect_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ringfence/detect"
)

// TestMeshTripsTheSame holds that by detectors of all kinds the same keys trip on three nodes as on one that has all the calls, honest ones and
// campaigns, each call coming by any of them: none slips through, and nobody trips because he is counted by several.
func TestMeshTripsTheSame(t *testing.T) {
	if underRace {
		t.Skip("NOT TESTED under the race detector, which has nothing to find here and takes minutes; `make test` runs this once more without it")
	}
	trips := 0
	for seed := range uint64(seeds(1, 3)) {
		ds := manyDetectors()
		for i := range ds {
			ds[i].Mode = 0
		}
		r := rand.New(rand.NewPCG(seed, 9))
		one, m := newWorld(t, ds...), newMesh(t, 3, seed, ds...)
		m.lost = 0.1
		alone, apart := map[string]bool{}, map[string]bool{}
		note := func(on map[string]bool, set *detect.Set) {
			set.Breakers("", false, m.at, func(b detect.Breaker) bool {
				if b.State == detect.Tripped {
					on[b.Detector+" "+b.Key] = true
				}
				return true
			})
		}
		burst := 0
		for i := range 1500 {
			if burst == 0 && r.IntN(200) == 0 {
				burst = 20 + r.IntN(60)
			}
			c := wave{call: call{from: fmt.Sprintf("13%09d", r.IntN(5000)*1771), to: line(r.IntN(60)), known: r.IntN(4) == 0, decoy: r.IntN(12) == 0}, talk: time.Duration(max(r.IntN(150)-30, 0)) * time.Second}
			if burst > 0 {
				burst--
				c.from, c.known = fmt.Sprintf("95211%03d", r.IntN(1000)), false
				if i%2 == 0 {
					c.from, c.to = "05922116123", line(i%60)
				}
			}
			gap := time.Duration(6000+r.IntN(30_000)) * time.Millisecond // beyond the time in which a call is the same one
			m.passBy(gap, 3*time.Second)
			one.at = m.at
			one.set.Tick(one.at)
			one.placed(c)
			m.nodes[r.IntN(3)].placed(c)
			if i%10 == 0 {
				note(alone, one.set)
				for _, x := range m.nodes {
					note(apart, x.set)
				}
			}
		}
		var other []string
		for _, pair := range [][2]map[string]bool{{alone, apart}, {apart, alone}} {
			for key := range pair[0] {
				if !pair[1][key] {
					other = append(other, key)
				}
			}
		}
		if slices.Sort(other); len(other) > 2 { // one that is near its trip
			t.Errorf("seed %d: %d trip on one node and %d on three; %q on one or three only", seed, len(alone), len(apart), other)
		}
		trips += len(alone)
	}
	if trips < 20 {
		t.Errorf("%d trips: the test tests little", trips)
	}
}
