package policy

import (
	"ringfence/number"
	"ringfence/tomlfile"
)

// ends: carried out, the rule leaves nobody to talk to, whatever the caller does.
func (r *rule) ends() bool {
	return r.do.action == Reject || r.do.action == Warn && r.do.then == "hangup"
}

// grounded reports whether a rule has a ground to refuse a call besides what detectors found and the score: something that its caller is or
// shows, and that honest callers are not and do not show. When and where a call comes in is none.
func (r *rule) grounded() bool {
	for i := range r.conditions {
		switch c := &r.conditions[i]; c.on {
		case onCaller, onList, onHolder, onCallerName, onCallerText:
			return true
		case onIdentityDiffers:
			if c.yes {
				return true
			}
		case onAttestation:
			if subset(c.words, []string{"failed", "C"}) {
				return true
			}
		case onCallerKind:
			odd := number.Kinds(0).With(number.Anonymous).With(number.Invalid).With(number.Unassigned)
			if c.kinds&^odd == 0 {
				return true
			}
		}
	}
	return false
}

// checkGrounds refuses rules that would refuse honest calls: by a storm on one called number, which may be people who call back, or by decoys,
// which anybody can call with another's number. It warns of those that go by one detector, or by the score, and by nothing else.
func (r *reader) checkGrounds(s *section, rule *rule) {
	tripped, score := rule.find(onTripped), rule.find(onScore)
	overflows := !rule.ends() && rule.do.overflow == "reject" && s.has("overflow")
	if rule.grounded() || !rule.ends() && !overflows {
		return
	}
	byDecoys := score != nil && r.policy.weights.byDecoys() >= score.atLeast
	switch {
	case tripped != nil && (score == nil || byDecoys):
		r.checkTripped(s, rule, tripped)
	case score == nil || tripped != nil || overflows:
	case byDecoys:
		s.fs.add(rule.whenLine(s, onScore), "rule.when."+onScore.String(), "two calls to decoys with a forged number bring %s, so that this rule would refuse whoever has it: "+
			"write more than that, or action = %q", decimalText(r.policy.weights.byDecoys()), Challenge)
	default:
		s.fs.warn(rule.line, "rule", "%q refuses calls by their score alone, and evidence can be made up with a forged number: write action = %q, or a list or numbers beside it",
			rule.name, Challenge)
	}
}

// checkTripped is checkGrounds for a rule that goes by detectors alone.
func (r *reader) checkTripped(s *section, rule *rule, tripped *condition) {
	weak := false
	for i, name := range tripped.words {
		if i >= len(tripped.order) || len(tripped.order) != len(tripped.words) {
			return // one is not there, and says so
		}
		d := &r.policy.detectors[tripped.order[i]]
		why := d.weakGround()
		if why == "" {
			continue
		}
		weak = true
		if !rule.ends() {
			s.fault("overflow", "refuses calls by detector %q alone, which %s: write overflow = \"allow\"", name, why)
			continue
		}
		s.fs.add(rule.whenLine(s, onTripped), "rule.when."+onTripped.String(), "detector %q may not be the only ground to refuse a call, since it %s: "+
			"write action = %q or %q, or put numbers, a list or a score beside it", name, why, Challenge, Divert)
	}
	if !weak && rule.ends() {
		s.fs.warn(rule.line, "rule", "%q refuses calls by what a detector found and by nothing else, and a few calls with forged numbers can frame a range or a caller: "+
			"write action = %q, or put numbers, a list or a score beside it", rule.name, Challenge)
	}
}

// whenLine is where a condition of a rule stands.
func (r *rule) whenLine(s *section, on subject) int { return s.at.Key("when").Key(on.String()).Line }

// byDecoys is the score of an honest caller whose number somebody else has called decoys with.
func (w *scoreWeights) byDecoys() float64 {
	return w[termPrior] + w[termDecoy]*scoreTerms[termDecoy].AtMost + w[termStranger] + w[termFirstTime]
}

// detectors warns of detectors that nothing asks, and of those that spare what never calls.
func (l *linter) detectors() {
	var asked DetectorSet
	for i := range l.p.rules {
		if c := l.p.rules[i].find(onTripped); c != nil {
			asked |= c.detectors
		}
	}
	decoys := l.scored
	for i := range l.p.detectors {
		d := &l.p.detectors[i]
		decoys = decoys || d.Counts(CountDecoys)
		if !asked.Has(i) && !(l.p.asks(onScore) && !l.p.weak.Has(i)) {
			l.fs.warn(d.line, "detector", "no rule asks for %q, so that nothing becomes of the calls by which it trips: name it under tripped in a rule, or take it out", d.Name)
		}
		for j := range d.protect.text {
			p := &d.protect.text[j]
			if why := l.p.plan.Dead(p.Pattern); why != "" && !p.IsExact() {
				l.fs.warn(p.line, "detector.protect", "%q takes no call: %s", p.text, why)
			}
		}
	}
	for i := range l.p.lines {
		if line := &l.p.lines[i]; line.decoy && !decoys {
			l.fs.warn(line.at, "lines."+tomlfile.BareKey(line.name)+".decoy", "nothing counts who calls decoys: write a [[detector]] with count = \"decoys\", or score_at_least in a rule")
		}
	}
}
