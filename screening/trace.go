package screening

import (
	"strings"

	"ringfence/detect"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// traceOf writes down how a call was decided: the rules that were tried, and how the detectors stand that counted it. It is made when the switch has the
// call back, from the facts of then; where the lists have changed so much meanwhile that they would decide otherwise, the rule that decided is told
// alone.
func traceOf(c *considered) *storage.Trace {
	r := c.rules
	if r == nil {
		return nil
	}
	t := &storage.Trace{Policy: r.Version}
	again, steps := r.Policy.Tried(&c.call, r.Lists)
	if again.Rule != c.decision.Rule || again.Would != c.decision.Would || again.Action != c.decision.Action {
		steps = []policy.Step{{Rule: c.decision.Rule, Matched: true, Why: c.decision.Reason() + " (the lists have changed since, and the rules before it are not known any more)"}}
	}
	t.Steps = make([]storage.TraceStep, len(steps))
	for i, s := range steps {
		t.Steps[i] = storage.TraceStep{Rule: s.Rule, Matched: s.Matched, Why: number.InertUpTo(s.Why, maxReason)}
	}
	if set := c.counted.set; set != nil {
		x := detect.SubjectOf(r.Policy, &c.call, r.Lists)
		for _, f := range set.Explain(&x) {
			if f.Key == "" && !f.Protected {
				continue // it has nothing to say of such a call
			}
			t.Saw = append(t.Saw, storage.TraceFinding{Name: f.Detector, Text: number.InertUpTo(strings.TrimPrefix(f.Text, f.Detector+": "), maxReason)})
		}
	}
	return t
}
