package cluster

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/setup"
)

// long has `make cluster` measure.
var long = flag.Bool("long", false, "measure, and do more of everything")

func measured(t *testing.T) {
	t.Helper()
	if !*long {
		t.Skip("measured by make prove")
	}
}

// quantiles are the median and the 99th percentile.
func quantiles(took []time.Duration) string {
	slices.Sort(took)
	return fmt.Sprintf("p50 %v, p99 %v", took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond))
}

// until calls until a node stops the call, or lets it ring, and says how long that took.
func (n *node) until(from string, stopped bool) time.Duration {
	n.t.Helper()
	begun := time.Now()
	for n.call(from, staff) != stopped {
		if time.Since(begun) > time.Minute {
			n.t.Fatalf("not within a minute: the call of %s on %s is stopped: %v", from, n.name, stopped)
		}
	}
	return time.Since(begun)
}

// How long it takes from an acknowledged edit until the other node decides by it, and from a trip and a pin.
func TestMeasureTravel(t *testing.T) {
	measured(t)
	nodes := startNodes(t, setup.StartNATS(t), 2)
	a, b := nodes[0], nodes[1]
	var edits, trips, pins []time.Duration
	for i := range 500 {
		number := fmt.Sprintf("95%04d01", 3000+i) // each of a range of its own, which does not trip
		a.add("blacklist", number)
		edits = append(edits, b.until(number, true))
	}
	for i := range 50 {
		ranges := fmt.Sprintf("9530%02d", i)
		if campaign(ranges, time.Millisecond, a) == 30 {
			t.Fatal("the campaign does not trip")
		}
		trips = append(trips, b.until(ranges+"99", true))
		_, err := a.desk.PinBreaker(t.Context(), console.BreakerName{Detector: "range wakes", Key: ranges}, "shut")
		must(t, err)
		pins = append(pins, b.until(ranges+"99", false))
	}
	t.Logf("figure: an acknowledged edit decides on another node within %s; a trip %s; a pin %s", quantiles(edits), quantiles(trips), quantiles(pins))
}
