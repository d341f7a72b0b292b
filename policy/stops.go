package policy

// Stops reports whether a call gets to nobody by a decision, be it done or on trial: it is refused, diverted, or asked for digits,
// of which nobody knows yet whether they will be keyed in. Who passed a challenge before is not stopped by one.
func (p *Policy) Stops(d *Decision) bool {
	rule, trial := p.StopsBy(d)
	return rule || trial
}

// StopsBy says of Stops whether it is by the rule that decided, and whether by the one on trial.
func (p *Policy) StopsBy(d *Decision) (rule, trial bool) {
	r := d.decider
	rule = r != nil && r.stops() && !(r.do.action == Challenge && d.Action == Allow && !d.HandsOff)
	if d.Trial == "" || d.TrialWould == Allow || d.TrialWould == Tag {
		return rule, false
	}
	for i := range p.rules {
		if r := &p.rules[i]; r.name == d.Trial {
			return rule, r.stops()
		}
	}
	return rule, false
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
