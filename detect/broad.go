package detect

import "ringfence/policy"

// isBroad reports whether a detector adds up evidence over all calls, of callers who have nothing in common.
func isBroad(d *policy.Detector) bool { return d.Key == policy.ByAll && len(d.Count) > 1 }

// explained reports whether the breaker of a caller, a range or a holder holds for a call, so that a broad detector leaves it out: it goes by what
// they do not explain, as a range does by what narrower ones do not. A campaign that is held is no reason to raise an alarm for everybody.
// One on trial explains nothing to one that is not, for its campaign rings. Nor does one of a trunk, a called number or all calls: it says nothing of
// who calls.
func (s *Set) explained(n *Count, d *detector) bool {
	narrow := n.Tripped & s.narrow
	return s.broad.Has(d.number) && (narrow&^n.OnTrial != 0 || d.Mode == policy.Observe && narrow != 0)
}
