package cluster

import (
	"fmt"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/setup"
)

// campaign has strangers of a range call, each on the next node and another line, until one is stopped or there were 30; it says how many rang.
func campaign(ranges string, pace time.Duration, nodes ...*node) (rang int) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ; rang < 30; rang++ {
		if nodes[rang%len(nodes)].call(fmt.Sprintf("%s%d%d", ranges, rang%10, rang/10), fmt.Sprintf("05925550%03d", 100+rang)) {
			break
		}
		<-tick.C
	}
	return rang
}

// A breaker that trips on one node acts on the others, and so does what a person does to one, wherever.
func TestBreakersTravel(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, setup.StartNATS(t), 2)
	a, b := nodes[0], nodes[1]
	const stranger = "95211799"
	if rang := campaign("952117", time.Millisecond, a); rang == 30 {
		t.Fatal("the campaign does not trip")
	}
	decides(t, "tripped on the other", stranger, staff, true, a, b)
	name := console.BreakerName{Detector: "range wakes", Key: "952117"}
	_, err := b.desk.ResetBreaker(t.Context(), name)
	must(t, err)
	decides(t, "reset on the other", stranger, staff, false, a, b)
	_, err = a.desk.PinBreaker(t.Context(), name, "open")
	must(t, err)
	decides(t, "pinned", stranger, staff, true, a, b)
	_, err = b.desk.PinBreaker(t.Context(), name, "shut")
	must(t, err)
	decides(t, "pinned otherwise, elsewhere", stranger, staff, false, a, b)
}

// A campaign that goes round all nodes has no more calls ring than two beyond what it has on one.
func TestCampaignGoesRound(t *testing.T) {
	t.Parallel()
	const pace = 400 * time.Millisecond // nodes tell what they count four times a second
	nodes := startNodes(t, setup.StartNATS(t), 3)
	one := newNode(t, "z", "nats://127.0.0.1:1").start() // by itself
	alone := campaign("952118", time.Millisecond, one)
	round := campaign("952118", pace, nodes...)
	t.Logf("figure: a campaign of rotating numbers: %d calls rang on one node, %d on three", alone, round)
	if alone == 30 || round > alone+2 {
		t.Errorf("%d calls rang on three nodes, and %d on one", round, alone)
	}
}
