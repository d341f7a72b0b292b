package policy

// Stops reports whether a call gets to nobody by a decision, be it done or on trial: it is refused, diverted, or asked for digits,
// of which nobody knows yet whether they will be keyed in. Who passed a challenge before is not stopped by one.
func (p *Policy) Stops(d *Decision) bool {
	if r := d.decider; r != nil && r.stops() && !(r.do.action == Challenge && d.Action == Allow && p.mode != Observe) {
		return true
	}
	if d.Trial == "" || d.TrialWould == Allow || d.TrialWould == Tag {
		return false
	}
	for i := range p.rules {
		if r := &p.rules[i]; r.name == d.Trial {
			return r.stops()
		}
	}
	return false
}

func (r *rule) stops() bool {
	switch r.do.action {
	case Reject, Divert, Challenge:
		return true
	case Warn:
		return r.do.then == "hangup"
	}
	return false
}
