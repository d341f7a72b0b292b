package detect

import (
	"fmt"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// What the breaker of a range explains raises no alarm for all calls, unless it is on trial and the alarm is not.
func TestExplained(t *testing.T) {
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rangeMode, alarmMode policy.Mode
		key                  policy.DetectorKey
		alarm                bool
	}{
		{policy.Enforce, policy.Enforce, policy.ByPrefix, false},
		{policy.Observe, policy.Observe, policy.ByPrefix, false},
		{policy.Enforce, policy.Observe, policy.ByPrefix, false},
		{policy.Observe, policy.Enforce, policy.ByPrefix, true},
		{policy.Enforce, policy.Enforce, policy.ByTrunk, true}, // this says nothing of who calls
		{policy.Enforce, policy.Enforce, policy.ByAll, true},
	} {
		short := []policy.Weighed{{Count: policy.CountDecoys, Weight: 3}, {Count: policy.CountShortCalls, Weight: 1}}
		strangers := []policy.Weighed{{Count: policy.CountStrangers, Weight: 1}}
		other := policy.Detector{Name: "range", Key: c.key, Count: strangers, Window: time.Hour, Hold: 24 * time.Hour, HoldMax: 24 * time.Hour, Probe: 1, MaxShare: 1, Mode: c.rangeMode, Trip: 5}
		if c.key == policy.ByPrefix {
			other.Trip, other.Levels = 0, []policy.Level{{Digits: 6, Trip: 5}}
		}
		s := New([]policy.Detector{
			{Name: "alarm", Key: policy.ByAll, Count: short, Window: time.Hour, Short: 6 * time.Second, Trip: 8, Hold: time.Hour, HoldMax: time.Hour, Probe: 1, MaxShare: 1, Mode: c.alarmMode},
			other,
		}, Options{})
		at, alarm := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), false
		for i := range 40 {
			caller := plan.Parse(fmt.Sprintf("952112%02d", (i*37)%100))
			n := s.Called(&Subject{Time: at, Caller: &caller, Callee: fmt.Sprintf("05925550%03d", i), Customer: "staff", Stranger: true})
			s.Decided(&n, false, 0)
			s.Ended(&n, End{At: at.Add(8 * time.Second), Answered: true, Talk: 3 * time.Second, Rang: true})
			at, alarm = at.Add(30*time.Second), alarm || n.Tripped.Has(0)
			if i > 4 && !n.Tripped.Has(1) {
				t.Fatalf("call %d: the range is not tripped", i)
			}
		}
		if alarm != c.alarm {
			t.Errorf("%s %s, alarm %s: alarm %v, want %v", c.key, c.rangeMode, c.alarmMode, alarm, c.alarm)
		}
	}
}
