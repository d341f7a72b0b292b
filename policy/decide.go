package policy

import (
	"math/bits"
	"time"

	"ringfence/number"
)

// Decision is what becomes of a call. Rule, Would, List, Entry and Reason belong together: Would is what the rule named Rule
// says, for that reason. Action and the fields after Trial are what is done.
//
// Under mode = "observe", of the policy or of the line called, Action is Allow and the fields for carrying it out are empty, whatever Would is. A rule that is on
// trial by itself never decides: the first one that matched is in Trial and TrialWould. When the call is let
// through in the end, nothing else has to be explained, and so Rule, Would and the reason are that rule's
// then, with Mode Observe.
type Decision struct {
	Action Action // what is done
	Would  Action // what the rule says
	Mode   Mode   // Observe if what the rule says is not done because it is on trial
	Rule   string // a rule's name or a reserved one
	Line   string // the line called, the narrowest if several fit; "" if the callee belongs to none
	// LineKey and Customer are those of the line called, see Line.
	LineKey, Customer string

	Trunk string
	List  string    // the list that the rule found the caller on
	Entry ListEntry // and its entry there

	Trial      string // the first rule on trial that matched, "" if none did
	TrialWould Action // and what it would have done

	Label        string        // tag: what the handset shows before the name
	Announcement string        // warn, reject: what the caller hears
	Whisper      string        // allow, tag, warn: what the person who answers hears first
	Then         string        // warn: "continue" or "hangup"
	Media        string        // with an announcement or a challenge: "early" or "answer"
	Overflow     string        // warn, challenge: "allow" or "reject" when the trunk holds max_held calls
	Otherwise    string        // challenge: "reject" or "allow" for who does not pass
	To           string        // divert: an extension, "voicemail", or "extension dialplan context"
	SIP          int           // reject, warn, challenge: the SIP answer where the call is refused before it is answered, overflow included
	Digits       int           // challenge
	Tries        int           // challenge
	Remember     time.Duration // challenge: how long who passes is remembered
	Grace        time.Duration // challenge: how soon a second call is let through
	By           DetectorSet   // the detectors without which the rule would not have matched, if it does something to the call
	TrialBy      DetectorSet   // those by which a rule would have, if it were not on trial, or they
	// HandsOff: nothing of the call may be touched, not even what the handset shows: the policy is on trial, or the line called is, or is off.
	HandsOff bool
	Listed   bool // warn, challenge: the caller is on a list that a rule which refuses asks; Overflow is "reject" then

	evidence evidence
	decider  *rule // the rule that decided, also where one on trial is named instead
}

// evidence is what the reason is written from, gathered when a rule has matched.
type evidence struct {
	rule          *rule
	who           number.Number
	held          *number.Number // which of the numbers that who's text holds the rule found, if not who itself
	callerPattern number.Pattern
	calleePattern number.Pattern
	name          string
	attestation   string
	hours         string
	known         time.Time // when the caller was known last, by the policy's clock
	again         time.Time // when the caller called the line last, by the same
	named         string    // what of caller_text took the caller
	other         string    // the number that the call names its caller by besides
	callback      bool
	profile       string // of the line called
	withheld      bool
	unread, asks  string    // a list that was not read yet, and the rule that asks it
	passed, tried time.Time // of an earlier challenge that lets the call through, by the policy's clock
	behaviour
}

// Decide says what becomes of a call. It does not allocate, and the lists are asked only by rules that name one. lists may
// be nil: then nobody is on any list.
func (p *Policy) Decide(c *Call, lists ListSource) Decision {
	return p.decide(c, lists, nil)
}

// decide tries the rules in order. steps, when wanted, gets one for each.
func (p *Policy) decide(c *Call, lists ListSource, steps *[]Step) Decision {
	s := scan{p: p, c: c, lists: lists}
	s.look()
	p.callees.find(&s.callee, &c.Callee)

	s.findLine(&c.Callee)

	d := Decision{Line: s.called.Name, LineKey: s.called.Key, Customer: s.called.Customer, Trunk: c.Trunk}
	decider := s.passes(&d, steps)
	if decider == nil {
		decider = s.rules(&d, steps)
	}
	s.carryOut(&d, decider)
	return d
}

// scan is one call on its way through the rules.
type scan struct {
	p     *Policy
	c     *Call
	lists ListSource

	caller, callee met
	profile        uint32 // the number of its profile, 0 if it has none that a rule names
	called         Line   // the line called; its name is "" if the callee belongs to none
	own            ownAnswer
	onNone         uint64 // the bits of lists that were asked for the caller, and that he is not on

	clock    clock // of the policy's time zone, once clockSet
	clockSet bool

	// What the rule being tried has found so far.
	list   string
	entry  ListEntry
	unread string // a list that was asked before it was read
	hours  string
	heldBy *heldNumber // which of the caller's held numbers, if not the caller itself

	held []heldNumber // what an invalid caller's text holds: rules that refuse look at these as well

	knownAt time.Time
	named   string // what of caller_text, as written

	by, trialBy DetectorSet // without which the rule being tried would not hold; those that count, and those on trial
	decidedBy   DetectorSet // by of the rule that decided

	score scored
}

// look finds what the caller's number met, and the numbers that its text holds.
func (s *scan) look() {
	s.p.callers.find(&s.caller, &s.c.Caller)
	if s.held = s.c.held; s.c.heldBy != s.p && s.c.Caller.MayHold() {
		s.held = s.p.numbersIn(&s.c.Caller) // a call that another policy has read
	}
}

// passes is the rule that lets a call pass before any other is tried: emergency services, a line's call-back from them, and
// colleagues. nil is none.
func (s *scan) passes(d *Decision, steps *[]Step) *rule {
	caller := &s.c.Caller
	if (caller.Kinds.Has(number.Emergency) || s.caller.has(neverScreenBit)) && s.neverScreenTrunk() {
		d.evidence.callerPattern = s.p.callers.narrowest(s.caller.all(), neverScreenBit)
		s.matched(d, passNeverScreen)
		note(steps, d, false)
		return passNeverScreen
	}
	if within(s.c.EmergencyDialled, CallbackWindow, s.c.Time) && !s.onRefusing(true) {
		s.matched(d, passNeverScreen)
		d.evidence.callback = true
		note(steps, d, false)
		return passNeverScreen
	}
	if steps != nil {
		*steps = append(*steps, Step{Rule: RuleNeverScreen, Why: s.whyScreened()})
	}
	if s.c.FromInside && caller.Kinds.Has(number.Internal) {
		s.matched(d, passInternal)
		note(steps, d, false)
		return passInternal
	}
	if steps != nil {
		*steps = append(*steps, Step{Rule: RuleInternal, Why: s.whyNotInternal()})
	}
	if s.called.Mode == LineOff {
		s.matched(d, passOff)
		note(steps, d, false)
		return passOff
	}
	return nil
}

// neverScreenTrunk reports whether emergency numbers may come from the call's trunk. A forged one comes from
// elsewhere.
func (s *scan) neverScreenTrunk() bool {
	return len(s.p.neverTrunks) == 0 || contains(s.p.neverTrunks, s.c.Trunk)
}

// rules tries the rules in order and gives the one that decides.
func (s *scan) rules(d *Decision, steps *[]Step) *rule {
	var onTrial Decision // what the first rule on trial would have made of the call
	var trial *rule
	decider := &s.p.fallback
	quick := steps == nil && s.held == nil // who wants steps is told which condition failed
	for i := s.next(0, quick); i < len(s.p.rules); i = s.next(i+1, quick) {
		r := &s.p.rules[i]
		s.unread, s.heldBy, s.by, s.trialBy = "", nil, 0, 0
		failed := s.try(r)
		if s.unread != "" {
			if steps != nil {
				*steps = append(*steps, Step{Rule: r.name, Why: "list: " + s.unread + " has not been read yet"})
			}
			if !r.trial && s.trialBy == 0 {
				return s.notRead(d, r)
			}
			continue
		}
		if failed >= 0 {
			if steps != nil {
				*steps = append(*steps, Step{Rule: r.name, Why: s.whyFailed(&r.conditions[failed])})
			}
			continue
		}
		if !r.trial && s.trialBy == 0 {
			decider, s.decidedBy = r, s.by
			break
		}
		d.TrialBy |= s.onTrial(r)
		if trial == nil {
			trial = r
			s.matched(&onTrial, r)
			note(steps, &onTrial, true)
		} else if steps != nil {
			var d Decision
			s.matched(&d, r)
			note(steps, &d, true)
		}
	}
	s.matched(d, decider)
	note(steps, d, false)
	if trial == nil {
		return decider
	}
	if decider.do.action == Allow {
		d.Rule, d.Would, d.List, d.Entry, d.evidence = onTrial.Rule, onTrial.Would, onTrial.List, onTrial.Entry, onTrial.evidence
		d.Mode = Observe
	}
	d.Trial, d.TrialWould = trial.name, trial.do.action
	return decider
}

// next is the place of the first rule from a place on, with quick the first one that the caller's number does not rule out: as try would find.
func (s *scan) next(from int, quick bool) int {
	if !quick {
		return from
	}
	for at := from; at < len(s.p.rules); at = (at | 63) + 1 {
		if todo := (s.caller.hits[at>>6] | s.p.anyCaller[at>>6]) >> (at & 63); todo != 0 {
			return at + bits.TrailingZeros64(todo)
		}
	}
	return len(s.p.rules)
}

// matched notes what a rule says and why it matched.
func (s *scan) matched(d *Decision, r *rule) {
	d.Rule, d.Would = r.name, r.do.action
	e := &d.evidence
	e.rule, e.who, e.withheld = r, s.c.Caller, s.c.Withheld
	met := &s.caller
	if s.heldBy != nil {
		e.held, met = &s.heldBy.number, &s.heldBy.met
	}
	if s.c.Withheld {
		e.who = s.c.Caller.Withheld()
	}
	for i := range r.conditions {
		c := &r.conditions[i]
		switch c.on {
		case onCaller:
			e.callerPattern = s.p.callers.narrowest(met.all(), c.bit)
		case onCallee:
			e.calleePattern = s.p.callees.narrowest(s.callee.all(), c.bit)
		case onList:
			d.List, d.Entry = s.list, s.entry
		case onHours:
			e.hours = s.hours
		case onLine:
			e.profile = s.called.Profile
		case onKnown:
			e.known = s.knownAt.In(s.p.calendar.zone)
		case onCallerName:
			e.name = s.c.Name
		case onAttestation:
			e.attestation = s.attestation()
		case onAgain:
			e.again = s.c.CalledBefore.In(s.p.calendar.zone)
		case onCallerText:
			e.named = s.named
		case onIdentityDiffers:
			e.other = s.c.OtherIdentity
		case onTripped, onHolder:
			s.behaved(e)
		case onScore:
			s.behaved(e)
			e.sum, e.top = s.total(), s.score.largest(&s.p.weights)
		}
	}
}

// carryOut fills in what is done about a decision.
func (s *scan) carryOut(d *Decision, r *rule) {
	p, c := s.p, s.c
	d.decider = r
	d.HandsOff = p.mode == Observe || s.called.Mode != LineEnforce
	if p.mode == Observe || s.called.Mode == LineObserve {
		d.Mode = Observe
		d.Action = Allow
		if r.refuses() {
			d.TrialBy |= s.decidedBy
		}
		return
	}
	t := &r.do
	tripped := false
	if t.action == Warn || t.action == Challenge {
		d.Listed, tripped = s.onRefusing(false), s.callerTripped()
	}
	if t.action == Challenge && p.spared(d, t, c, tripped) {
		d.Action = Allow
		return
	}
	d.Action = t.action
	if r.refuses() {
		d.By = s.decidedBy
	}
	d.Label, d.Announcement, d.Whisper = t.label, t.announcement, t.whisper
	d.Then, d.Overflow, d.Otherwise, d.To = t.then, t.overflow, t.otherwise, t.to
	d.SIP, d.Digits, d.Tries, d.Remember, d.Grace = t.sip, t.digits, t.tries, t.remember, t.grace
	if d.Listed || tripped {
		d.Overflow = "reject"
	}
	if d.Announcement != "" || d.Action == Challenge {
		if d.Media = t.media; d.Media == "" {
			d.Media = p.mediaOf(c.Trunk)
		}
	}
}

// GraceGap is the least time between a challenge that nothing was keyed into and the call that is let through for it: a
// dialler calls again at once, a person thinks first.
const GraceGap = 30 * time.Second

// spared says that a caller need not be asked: who has passed a challenge is remembered, and who could not press
// keys and calls again soon is let through, but not while a breaker holds for him or his range.
func (p *Policy) spared(d *Decision, t *treatment, c *Call, tripped bool) bool {
	switch {
	case within(c.ChallengePassed, t.remember, c.Time):
		d.evidence.passed = c.ChallengePassed.In(p.calendar.zone)
	case within(c.ChallengeTried, t.grace, c.Time) && c.Time.Sub(c.ChallengeTried) >= GraceGap && !d.Listed && !tripped:
		d.evidence.tried = c.ChallengeTried.In(p.calendar.zone)
		d.Rule = RuleKnownGrace
	default:
		return false
	}
	return true
}

// within reports whether at lies less than window before now. The zero time is never.
func within(at time.Time, window time.Duration, now time.Time) bool {
	return !at.IsZero() && !now.Before(at) && now.Sub(at) < window
}

// mediaOf is how a trunk wants announcements.
func (p *Policy) mediaOf(trunk string) string {
	if t, ok := p.trunks[trunk]; ok {
		return t.Media
	}
	return "early"
}

// try tests a rule's conditions and gives the first that fails, -1 if all hold.
func (s *scan) try(r *rule) int {
	for i := range r.conditions {
		if !s.holds(r, &r.conditions[i]) {
			return i
		}
	}
	return -1
}

// holds tests one condition.
func (s *scan) holds(r *rule, c *condition) bool {
	switch c.on {
	case onCaller:
		return s.caller.has(c.bit) || s.held != nil && s.holdsOne(r, c.bit)
	case onCallerNot:
		return !s.caller.has(c.bit) && !(s.held != nil && s.exceptsHeld(r, c.bit))
	case onCallee:
		return s.callee.has(c.bit)
	case onCalleeNot:
		return !s.callee.has(c.bit)
	case onCallerKind:
		return s.kinds()&c.kinds != 0
	case onCallerName:
		for _, re := range c.names {
			if re.MatchString(s.c.Name) {
				return true
			}
		}
		return false
	case onLine:
		return s.isLine(c)
	case onList:
		return s.listed(c) || s.held != nil && r.refuses() && s.heldListed(c)
	case onListNot:
		return !s.listed(c) && !(s.held != nil && !r.refuses() && s.heldListed(c))
	case onTrunk:
		return contains(c.words, s.c.Trunk)
	case onAttestation:
		return contains(c.words, s.attestation())
	case onKnown:
		return s.isKnown(c)
	case onWritten:
		return c.forms&(1<<s.c.Caller.Form) != 0
	case onAgain:
		return s.calledWithin(c.window)
	case onCallerText:
		return s.isNamed(c)
	case onIdentityDiffers:
		return s.identityDiffers() == c.yes
	case onDiverted:
		return s.c.Diverted == c.yes
	case onTripped:
		return s.isTripped(r, c)
	case onHolder:
		return s.isHeldBy(r, c)
	case onScore:
		return s.scores(r, c)
	case onHours:
		if !s.clockSet {
			s.clock, s.clockSet = s.p.calendar.at(s.c.Time, s.zone()), true
		}
		for i := range c.hours {
			if c.hours[i].holds(s.clock) {
				s.hours = c.hours[i].text
				return true
			}
		}
		return false
	}
	return false
}

// kinds are the caller's; one who asked not to be shown is anonymous whatever the number is.
func (s *scan) kinds() number.Kinds {
	if s.c.Withheld {
		return s.c.Caller.Kinds.With(number.Anonymous)
	}
	return s.c.Caller.Kinds
}

func (s *scan) attestation() string {
	if s.c.Attestation == "" {
		return "none"
	}
	return s.c.Attestation
}
