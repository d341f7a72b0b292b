package policy

import (
	"fmt"
	"strings"

	"ringfence/number"
)

// Step says what one rule made of a call: that it matched and why, or the first of its conditions that
// did not hold and why. The reserved rules never_screen and internal are tried first, default last.
type Step struct {
	Rule    string `json:"rule"`
	Matched bool   `json:"matched"`
	Why     string `json:"why"`
}

// Explain decides like Decide, by the same code, and says what each rule made of the call, in their order. Rules behind the
// one that decides have steps too, which say that they were not tried.
func (p *Policy) Explain(c *Call, lists ListSource) (Decision, []Step) {
	d, steps := p.Tried(c, lists)
	reserved := 2 // never_screen and internal
	if d.Rule == RulePaused {
		reserved++ // the line called is off
	}
	decider := steps[len(steps)-1].Rule
	if d.Unread() != "" {
		decider = d.Rule
	}
	for i := max(len(steps)-reserved, 0); i < len(p.rules); i++ {
		steps = append(steps, Step{Rule: p.rules[i].name, Why: "not tried, since " + decider + " decided"})
	}
	return d, steps
}

// Tried is Explain without the rules behind the one that decides.
func (p *Policy) Tried(c *Call, lists ListSource) (Decision, []Step) {
	steps := make([]Step, 0, len(p.rules)+3)
	d := p.decide(c, lists, &steps)
	return d, steps
}

// note adds the step of a rule that matched, and maybe is on trial.
func note(steps *[]Step, d *Decision, trial bool) {
	if steps == nil {
		return
	}
	why := d.because()
	if trial {
		why += "; " + d.whyTrial() + ", so the next rules are tried"
	}
	*steps = append(*steps, Step{Rule: d.Rule, Matched: true, Why: why})
}

// maxReason is how many characters a reason has at most.
const maxReason = 240

// Reason is one line that says why the call was decided so: which number met which pattern, or which entry of which list,
// with the entry's own reason. It is inert, as Inert makes a text, and at most 240 characters long; a
// withheld number is not in it.
func (d *Decision) Reason() string {
	text := d.because()
	switch {
	case d.Trial == "":
	case d.Rule == d.Trial:
		text += "; " + d.whyTrial() + ", would " + d.TrialWould.String()
	default:
		text += "; on trial, rule " + d.Trial + " would " + d.TrialWould.String()
	}
	switch e := &d.evidence; {
	case !e.passed.IsZero():
		text += "; passed the challenge on " + e.passed.Format("2006-01-02 at 15:04")
	case !e.tried.IsZero():
		text += "; rule " + e.rule.name + " asked at " + e.tried.Format("15:04") + ", no wrong digit was keyed, and the caller calls again"
	}
	return number.InertUpTo(text, maxReason)
}

// because is the reason as it was found, not yet inert.
func (d *Decision) because() string {
	e := &d.evidence
	if e.rule == nil {
		return ""
	}
	who := whoCalls(&e.who)
	if e.held != nil && !e.who.Kinds.Has(number.Anonymous) {
		who += ", which holds " + e.held.Shown() + ","
	}
	switch e.rule.name {
	case RuleDefault:
		return "no rule matched " + who
	case RuleInternal:
		return who + " is internal"
	case RulePaused:
		return offText(d.Line)
	case RuleFailOpen:
		return "let through: rule " + e.asks + " asks the list " + e.unread + ", which has not been read yet"
	case RuleNeverScreen:
		switch {
		case e.callback:
			return "the called number dialled an emergency number less than 30 minutes before"
		case e.callerPattern != (number.Pattern{}):
			return who + " matches " + matchText(e.callerPattern, &e.who) + " in never_screen"
		}
		return who + " is an emergency number"
	}
	var parts []string
	for i := range e.rule.conditions {
		if part := d.held(&e.rule.conditions[i], who); part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "the rule has no conditions"
	}
	return strings.Join(parts, ", ")
}

// held says how a condition of the deciding rule held; what is only not the case is not worth a word.
func (d *Decision) held(c *condition, who string) string {
	e := &d.evidence
	switch c.on {
	case onCaller:
		return who + " matches " + matchText(e.callerPattern, &e.who)
	case onCallerKind:
		for _, name := range number.KindNames() {
			if k, _ := number.ParseKind(name); c.kinds.Has(k) && e.who.Kinds.Has(k) {
				return who + " is " + name + invalidBecause(k, &e.who)
			}
		}
	case onCallerName:
		return "the caller’s name " + number.Inert(e.name) + " matches"
	case onLine:
		return d.lineText(c)
	case onCallee:
		return "called number matches " + e.calleePattern.String()
	case onList:
		return who + " is on list " + d.List + entryText(&d.Entry, &e.who)
	case onTrunk:
		return "trunk " + d.Trunk
	case onHours:
		return "hours " + e.hours
	case onKnown:
		return d.knownText(c, who)
	case onAttestation:
		return "attestation " + e.attestation
	case onWritten:
		return who + " is written " + e.who.Form.String()
	case onAgain:
		return againText(e.again, who)
	case onCallerText:
		return namedText(e.named, who, &e.who)
	case onIdentityDiffers:
		return d.identityText(c)
	case onDiverted:
		return divertedText(c.yes)
	case onTripped:
		return d.trippedText(c)
	case onHolder:
		return who + " is of " + e.holder
	case onScore:
		return scoreText(e.sum, e.top) + e.ofHolder(", of ")
	}
	return ""
}

// invalidBecause is why a number is invalid, in brackets.
func invalidBecause(k number.Kind, n *number.Number) string {
	if k == number.Invalid && n.Reason != "" {
		return " (" + n.Reason + ")"
	}
	return ""
}

// matchText is a pattern that matched a caller. One that is a single number would give a withheld number away.
func matchText(p number.Pattern, caller *number.Number) string {
	if p.IsExact() && caller.Kinds.Has(number.Anonymous) {
		return "a number"
	}
	return p.String()
}

// entryText is the pattern and the reason of the entry that a caller was found by, in brackets, as far as they are known
// and may be told.
func entryText(e *ListEntry, caller *number.Number) string {
	var known []string
	if e.Pattern != (number.Pattern{}) && !(e.Pattern.IsExact() && caller.Kinds.Has(number.Anonymous)) {
		known = append(known, e.Pattern.String())
	}
	if e.Reason != "" {
		known = append(known, e.Reason)
	}
	if len(known) == 0 {
		return ""
	}
	return " (" + strings.Join(known, ": ") + ")"
}

// whoCalls names a caller the way a person would read it, without the number if it was withheld.
func whoCalls(n *number.Number) string {
	switch {
	case n.Kinds.Has(number.Anonymous):
		return "withheld caller"
	case n.Kinds.Has(number.Invalid):
		return "caller " + n.Shown()
	}
	return "number " + n.Shown()
}

// shown is the caller of the call being tried, as withheld if that was asked for.
func (s *scan) shown() *number.Number {
	n := s.c.Caller
	if s.c.Withheld {
		n = n.Withheld()
	}
	return &n
}

func (s *scan) who() string { return whoCalls(s.shown()) }

// whoHolds is who, with the number in the caller's text that the condition found, if it was one.
func (s *scan) whoHolds() string {
	n := s.shown()
	if s.heldBy == nil || n.Kinds.Has(number.Anonymous) {
		return whoCalls(n)
	}
	return whoCalls(n) + ", which holds " + s.heldBy.number.Shown() + ","
}

// whyScreened says why a call does not pass as one that is never screened.
func (s *scan) whyScreened() string {
	if s.c.Caller.Kinds.Has(number.Emergency) || s.caller.has(neverScreenBit) {
		return fmt.Sprintf("%s would pass, but only from trunk %s, and it came from %s",
			s.who(), orList(s.p.neverTrunks), trunkText(s.c.Trunk))
	}
	return s.who() + " is no emergency number and not in never_screen"
}

func (s *scan) whyNotInternal() string {
	if s.c.FromInside {
		return s.who() + " is not internal"
	}
	return "the call comes from outside"
}

func trunkText(name string) string {
	if name == "" {
		return "no trunk that the policy knows"
	}
	return "trunk " + name
}

// whyFailed says why a condition does not hold for the call.
func (s *scan) whyFailed(c *condition) string {
	key := c.on.String() + ": "
	switch c.on {
	case onCaller:
		return key + s.who() + " does not match " + some(c.words)
	case onCallerNot:
		met := &s.caller
		if s.heldBy != nil {
			met = &s.heldBy.met
		}
		return key + s.whoHolds() + " is excepted by " + matchText(s.p.callers.narrowest(met.all(), c.bit), s.shown())
	case onCallee:
		return key + "called number " + s.c.Callee.Shown() + " does not match " + some(c.words)
	case onCalleeNot:
		return key + "called number " + s.c.Callee.Shown() + " is excepted by " + s.p.callees.narrowest(s.callee.all(), c.bit).String()
	case onCallerKind:
		return key + s.who() + " is " + strings.Join(s.kinds().Strings(), " and ") + invalidBecause(s.c.Caller.Kind, &s.c.Caller) + ", not " + some(c.words)
	case onCallerName:
		if s.c.Name == "" {
			return key + "the caller has no name"
		}
		return key + "name " + quote(s.c.Name) + " does not match " + some(c.words)
	case onLine:
		return key + s.whyOtherLine(c)
	case onList:
		return key + s.who() + " is not on " + some(c.words)
	case onListNot:
		return key + s.whoHolds() + " is on list " + s.list + entryText(&s.entry, s.shown())
	case onTrunk:
		return key + "the call came from " + trunkText(s.c.Trunk) + ", not " + some(c.words)
	case onHours:
		zone := s.zone()
		at := s.c.Time.In(zone)
		text := at.Format("Mon 15:04")
		if zone != s.p.calendar.zone {
			text += " in " + zone.String()
		}
		if s.clock.day != at.Weekday() {
			text += ", worked like a " + dayNames[s.clock.day] + ","
		}
		return key + text + " is outside " + some(c.words)
	case onKnown:
		return key + s.whyUnknown(c)
	case onAttestation:
		return key + "the attestation is " + s.attestation() + ", not " + some(c.words)
	case onWritten:
		return key + s.whyNotWritten(c)
	case onAgain:
		return key + s.whyNotAgain(c)
	case onCallerText:
		return key + s.whyNotNamed(c)
	case onIdentityDiffers:
		return key + s.whyNotDiffers()
	case onDiverted:
		return key + divertedText(!c.yes)
	case onTripped:
		return key + s.whyNotTripped(c)
	case onHolder:
		return key + s.whyNotHeldBy(c)
	case onScore:
		return key + s.whyNotScored(c)
	}
	return key + "does not hold"
}

// some names the first few of the words of a condition.
func some(words []string) string {
	const few = 4
	if len(words) <= few {
		return orList(words)
	}
	return fmt.Sprintf("%s or %d more", strings.Join(words[:few], ", "), len(words)-few)
}
