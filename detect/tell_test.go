package detect

import (
	"fmt"
	"testing"
	"time"
)

// TestTellFlood holds that what is remembered of what was told stays within bounds, whoever calls, and that nothing is left of it in the end.
func TestTellFlood(t *testing.T) {
	b := newBench(t, `
[[detector]]
name   = "dialler"
key    = "caller"
count  = "callees"
window = "10m"
trip   = 3
[[rule]]
name = "campaign"
when = { tripped = ["dialler"] }
action = "challenge"
`)
	d := b.all[0]
	most := 0
	for i := range 60_000 {
		b.call(fmt.Sprintf("1%010d", 3_000_000_000+i), "05925550100")
		if b.wait(500 * time.Microsecond); i%200 == 0 {
			if n := len(b.Tell(b.now, 3, nil)); n > mostShares {
				t.Fatalf("%d shares in one go", n)
			}
			most = max(most, len(d.told))
		}
		if i%2_000 == 0 { // others take their places
			for at := range d.slots.all {
				if d.slots.all[at].used() {
					d.slots.drop(int32(at))
				}
			}
		}
	}
	if most < d.slots.limit || most > 2*d.slots.limit {
		t.Errorf("%d keys are remembered, want a flood of them and %d at most", most, 2*d.slots.limit)
	}
	if b.Shared().Untold == 0 {
		t.Error("what finds no room is not counted")
	}
	for range 30 {
		b.pass(time.Minute)
		b.Tell(b.now, 3, nil)
	}
	if len(d.told) > 0 {
		t.Errorf("%d keys are remembered when all is over", len(d.told))
	}
}
