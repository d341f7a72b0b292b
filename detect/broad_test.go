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
		alarm                bool
	}{
		{policy.Enforce, policy.Enforce, false},
		{policy.Observe, policy.Observe, false},
		{policy.Enforce, policy.Observe, false},
		{policy.Observe, policy.Enforce, true},
	} {
		short := []policy.Weighed{{Count: policy.CountDecoys, Weight: 3}, {Count: policy.CountShortCalls, Weight: 1}}
		strangers := []policy.Weighed{{Count: policy.CountStrangers, Weight: 1}}
		s := New([]policy.Detector{
			{Name: "alarm", Key: policy.ByAll, Count: short, Window: time.Hour, Short: 6 * time.Second, Trip: 8, Hold: time.Hour, HoldMax: time.Hour, Probe: 1, MaxShare: 1, Mode: c.alarmMode},
			{Name: "range", Key: policy.ByPrefix, Levels: []policy.Level{{Digits: 6, Trip: 5}}, Count: strangers, Window: time.Hour, Hold: 24 * time.Hour, HoldMax: 24 * time.Hour, Probe: 1, MaxShare: 1, Mode: c.rangeMode},
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
			t.Errorf("range %s, alarm %s: alarm %v, want %v", c.rangeMode, c.alarmMode, alarm, c.alarm)
		}
	}
}
