package policy

import (
	"time"

	"ringfence/number"
)

// Action is what a rule does with a call. The zero value lets it pass, so that whatever goes wrong ends
// in a call that rings.
type Action uint8

const (
	Allow     Action = iota // the handset rings, nothing is noticed
	Tag                     // the handset shows a label before the caller's name
	Warn                    // the caller hears an announcement first
	Challenge               // the caller must key in digits read out at random
	Divert                  // the call goes elsewhere
	Reject                  // the handset never rings
)

var actionNames = [...]string{"allow", "tag", "warn", "challenge", "divert", "reject"}

// String is the action's name in the policy file and in ringfence_action.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "allow"
}

// ParseAction reads an action's name.
func ParseAction(s string) (Action, bool) {
	for i, name := range actionNames {
		if s == name {
			return Action(i), true
		}
	}
	return Allow, false
}

// ActionNames lists the actions, the mildest first.
func ActionNames() []string { return append([]string(nil), actionNames[:]...) }

// Mode reports whether decisions are carried out.
type Mode uint8

const (
	Enforce Mode = iota // decide and carry out
	Observe             // decide and record, never touch a call
)

// String is "enforce" or "observe", as in the policy file and the journal.
func (m Mode) String() string {
	if m == Observe {
		return "observe"
	}
	return "enforce"
}

// Rule names that no rule of a policy may take, because a decision made by something else bears them.
const (
	RuleDefault     = "default"      // no rule matched
	RuleNeverScreen = "never_screen" // an emergency number calls, or one under never_screen; or the line awaits an emergency call-back
	RuleInternal    = "internal"     // an internal number calls, from a trunk that may claim one
	RuleFailOpen    = "fail-open"    // no decision in time, or a technical failure
	RulePaused      = "paused"       // screening is paused
	RuleKnownGrace  = "known-grace"  // let through once after a challenge that was not passed
)

// ReservedRules lists the names that no rule may take.
func ReservedRules() []string {
	return []string{RuleDefault, RuleNeverScreen, RuleInternal, RuleFailOpen, RulePaused, RuleKnownGrace}
}

// CallbackWindow is how long every call to a number passes after that number dialled an emergency number:
// the emergency service may call back, from a number nobody knows.
const CallbackWindow = 30 * time.Minute

// Call is what is known of an inbound call when it is screened.
type Call struct {
	Caller      number.Number
	Name        string // the caller's name as delivered, "" if none
	Callee      number.Number
	Trunk       string    // a name from the policy, or whatever ringfence_trunk named; "" when nothing is known
	Withheld    bool      // the caller asked not to be shown; Caller may still hold the number
	FromInside  bool      // the trunk may claim internal numbers, or the user is authenticated
	Attestation string    // A, B, C, failed or none; "" is none
	Time        time.Time // when the call came in

	// ChallengePassed is when the caller last passed a challenge on a call to the line that is called now. ChallengeTried
	// is when the caller last heard a whole prompt on a call to this very callee and keyed in nothing wrong; it is zero
	// if that never was, or if the caller was let through for it within the last day.
	ChallengePassed, ChallengeTried time.Time

	// EmergencyDialled is when the very number that is called now last dialled an emergency number, or was shown on such
	// a call; zero if it did not. For CallbackWindow from then every call to it passes, but for callers whom a person
	// has put on a list by exactly their number.
	EmergencyDialled time.Time

	// KnownToLine is when the caller was last known to a line that the callee belongs to, by what DialledTalk and CalledTalk
	// say, KnownToAll when to any line at all. Zero is never.
	KnownToLine, KnownToAll time.Time

	// CalledBefore is when the caller last called the line that is called now, or the number where that belongs to no line,
	// before this call. Zero is never, and for a caller without a number always.
	CalledBefore time.Time

	// KnownLines is to how many lines of different customers the caller is known, now or within the last 30 days at least.
	KnownLines int
	// FirstTime: the caller never called any line before, as far as is remembered.
	FirstTime bool
	// Tripped are the detectors whose breakers hold for this call, OnTrial those of them that only record it. Trips says more of
	// each, in the order of the detectors; it is nil for a call that met none.
	Tripped, OnTrial DetectorSet
	Trips            []Trip
	Evidence         Evidence

	// OtherIdentity is the E.164 number that the call names its caller by besides, see Facts.Other; "" if that is no number
	// or no rule asks.
	OtherIdentity string
	Diverted      bool // the call was forwarded here, as it says

	name   string       // a caller that is no number, as caller_text compares it
	held   []heldNumber // what Caller's text holds
	heldBy *Policy      // by which that was found
}

// Facts are a call's facts as text, before numbers are normalised.
type Facts struct {
	Caller      string // "" or a word such as "anonymous" when withheld
	Name        string
	Callee      string // as the dialplan saw it: a DID or an extension
	Trunk       string
	Withheld    bool
	Inside      bool // an authenticated user calls; a trunk with internal = true need not say so
	Another     bool // a phone of another customer calls than the one whose line is called: it is not inside there, whatever its trunk
	Attestation string
	Time        time.Time

	// Other is the caller's number by the other of the two that a call may have of it: that of From, where Caller is what a
	// carrier asserts, and the asserted one, where Caller is that of From. "" if the call has but one.
	Other    string
	Diverted bool // a header says that the call was forwarded here
}

// Call normalises a call's facts. Live calls, the command line, the tests of a policy and replays all go
// through it, so that the same facts get the same decision everywhere.
func (p *Policy) Call(f Facts) Call {
	if len(f.Name) > number.MaxRaw {
		f.Name = number.Cut(f.Name) // a rule's expression would be run over all of it
	}
	c := Call{
		Name:        f.Name,
		Trunk:       f.Trunk,
		Withheld:    f.Withheld,
		FromInside:  !f.Another && (f.Inside || p.TrunkNamed(f.Trunk).Internal),
		Attestation: f.Attestation,
		Time:        f.Time,
		Diverted:    f.Diverted,
		Callee:      p.called(f.Callee),
	}
	if c.FromInside {
		c.Caller = p.plan.ParseInternal(f.Caller)
	} else {
		c.Caller = p.plan.Parse(f.Caller)
	}
	if f.Withheld {
		c.Caller = c.Caller.Withheld()
	}
	if p.asks(onIdentityDiffers) && f.Other != "" && f.Other != f.Caller {
		c.OtherIdentity = p.plan.Parse(f.Other).E164
	}
	if isName(&c.Caller) {
		c.name = foldName(c.Caller.Raw)
	}
	c.held, c.heldBy = p.numbersIn(&c.Caller), p
	return c
}

// called reads a called number. Digits that are no number, and that no line or rule names, are to the number that they begin with: a
// caller who dials one digit more, where the dialplan takes it, does not get past what is for the line.
func (p *Policy) called(text string) number.Number {
	n := p.plan.ParseCalled(text)
	if n.Kind != number.Invalid || p.namesCalled(&n) {
		return n
	}
	if begins, ok := n.Beginning(); ok && p.namesCalled(&begins) {
		return begins
	}
	return n
}

// namesCalled reports whether a called number is on a line, or in a rule.
func (p *Policy) namesCalled(n *number.Number) bool {
	var m met
	p.callees.find(&m, n)
	if len(m.all()) > 0 || p.kept == nil {
		return len(m.all()) > 0
	}
	_, ok := p.kept.LineOf(n)
	return ok
}

// ListEntry is one line of an administrator's list.
type ListEntry struct {
	List    string         // the list it belongs to
	Line    string         // the key of the line of the database whose own list that is; else empty
	Pattern number.Pattern // the numbers meant; a list has a pattern once
	Reason  string         // why, for people; may be empty
	Source  string         // who or what put it there; may be empty
	Added   time.Time      // when
	Expires time.Time      // from then on it does not count; zero is never
}

// ListSource knows which caller is on which list.
//
// Lookup finds the narrowest entry of the list that matches n and has not expired at that time. It must
// not keep n. LookupOwn does so in the list that a line of the database has of its own, by the line's key and its HashKey: the List of what it
// finds is "LINE:LIST". All of one name are Loaded together, under "line:LIST". MayBeOwn is false if none of a line's own lists that are Loaded has an
// entry that matches n, by that hash; it may be true for nothing, and is asked first, since that is less work. Exists tells a list that is there, be it
// empty, from one that nobody made yet. Loaded is false of a list that has not been read wholly yet, or cannot be read any more: a call that a rule asks it
// for passes.
type ListSource interface {
	Lookup(list string, n *number.Number, at time.Time) (ListEntry, bool)
	LookupOwn(key string, hash uint64, list string, n *number.Number, at time.Time) (ListEntry, bool)
	MayBeOwn(hash uint64, n *number.Number) bool
	Exists(list string) bool
	Loaded(list string) bool
}

// Attestations are what a carrier's signature may say of a caller (the STIR/SHAKEN letters A, B and C), with "none" for a
// call without one and "failed" for one that does not verify.
func Attestations() []string { return []string{"A", "B", "C", "none", "failed"} }
