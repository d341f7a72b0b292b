package policy

import (
	"strings"
	"time"

	"ringfence/number"
	"ringfence/tomlfile"
)

// The conditions on what detectors found, and on who holds the caller's range.

// detectorWords reads the names of detectors.
func (r *reader) detectorWords(s *section, key string, words []word) (set DetectorSet, order []uint8) {
	for _, w := range words {
		i, ok := r.policy.DetectorNamed(w.text)
		if !ok {
			s.fs.add(w.line, s.key(key), "there is no detector %q: %s", w.text, r.otherName(w.text, r.detectorNames(), "[[detector]] and name = "+quote(w.text)))
			continue
		}
		set, order = set.With(i), append(order, uint8(i))
	}
	return set, order
}

func (r *reader) detectorNames() []string {
	var names []string
	for i := range r.policy.detectors {
		if name := r.policy.detectors[i].Name; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// holderWords checks the names of holders.
func (r *reader) holderWords(s *section, key string, words []word) {
	names := r.policy.Holders()
	for _, w := range words {
		if contains(names, w.text) {
			continue
		}
		if near := tomlfile.Nearest(w.text, names); near != "" {
			s.fs.add(w.line, s.key(key), "nobody under [ranges] is called %q: %s", w.text, tomlfile.DidYouMean(w.text, []string{near}))
			continue
		}
		s.fs.add(w.line, s.key(key), "nobody under [ranges] is called %q: write there which numbers are meant, as in %q = %q", w.text, "952112*", w.text)
	}
}

// trips are the detectors whose breakers hold for the call, as far as a rule may go by them: acquaintances are touched by rules alone that ask who
// is known.
func (s *scan) trips(r *rule) DetectorSet {
	if s.c.Tripped == 0 || r.find(onKnown) == nil && s.p.IsAcquaintance(s.c) {
		return 0
	}
	return s.c.Tripped
}

// isTripped tests tripped, and keeps by which detectors. Those on trial hold only where no other does, and put the rule on trial.
func (s *scan) isTripped(r *rule, c *condition) bool {
	trips := c.detectors & s.trips(r)
	if counting := trips &^ s.c.OnTrial; counting != 0 {
		s.by |= counting
	} else {
		s.trialBy |= trips
	}
	return trips != 0
}

// onTrial are the detectors by which a rule that is on trial, or by whose trial it is, would have done something to the call.
func (s *scan) onTrial(r *rule) DetectorSet {
	switch {
	case !r.refuses():
		return 0
	case r.trial:
		return s.by | s.trialBy
	}
	return s.trialBy
}

// callerTripped reports whether a breaker holds for the caller or for the range.
func (s *scan) callerTripped() bool {
	trips := s.c.Tripped &^ s.c.OnTrial
	return trips&s.p.ofCaller != 0 && !s.p.IsAcquaintance(s.c)
}

// isHeldBy tests holder. Rules that refuse look at numbers that the caller's text holds as well.
func (s *scan) isHeldBy(r *rule, c *condition) bool {
	if contains(c.words, s.p.HolderOf(&s.c.Caller)) {
		return true
	}
	for h := range s.held {
		if r.refuses() && contains(c.words, s.p.HolderOf(&s.held[h].number)) {
			s.heldBy = &s.held[h]
			return true
		}
	}
	return false
}

// behaviour is what a reason says of detectors and holders. It is part of every decision: small, and made without an allocation.
type behaviour struct {
	trip    *Trip // the first of the breakers that the rule goes by, nil if nothing more is known of it
	zone    *time.Location
	by      DetectorSet
	today   bool   // the trip was on the day of the call
	onTrial bool   // by are on trial, and the rule is not
	holder  string // of the caller's range
	sum     float64
	top     topTerms
}

// behaved notes by which breakers the rule being tried holds, and who holds the caller's range.
func (s *scan) behaved(e *evidence) {
	e.by, e.zone = s.by|s.trialBy, s.p.calendar.zone
	if s.trialBy != 0 {
		e.by, e.onTrial = s.trialBy, !e.rule.trial
	}
	e.trip = nil
	for i := range s.c.Trips {
		if e.by.Has(s.c.Trips[i].Detector) {
			e.trip = &s.c.Trips[i]
			e.today = dateOf(e.trip.Since.In(e.zone)) == dateOf(s.c.Time.In(e.zone))
			break
		}
	}
	caller := &s.c.Caller
	if e.held != nil {
		caller = e.held
	}
	holder, pattern := s.p.holder(caller)
	if e.holder = holder; pattern.IsExact() && e.who.Kinds.Has(number.Anonymous) {
		e.holder = "" // it would give the number away
	}
}

// whyTrial says why a rule only records.
func (d *Decision) whyTrial() string {
	e := &d.evidence
	if !e.onTrial {
		return "on trial"
	}
	why := "on trial"
	if e.trip != nil && e.trip.Trial != "" {
		why = e.trip.Trial
	}
	if name := e.rule.detectorName(e.by); name != "" {
		return "detector " + name + " is " + why
	}
	return why
}

// detectorName is the name of the first of some detectors that the rule asks for, "" if it asks for none.
func (r *rule) detectorName(set DetectorSet) string {
	c := r.find(onTripped)
	if c == nil {
		return ""
	}
	for i, name := range c.words {
		if set.Has(int(c.order[i])) {
			return name
		}
	}
	return ""
}

// trippedText says how tripped held: "952116 (firm A) tripped range wakes at 14:02 (7 strangers in 3h, trips at 5), held until 2026-11-30 14:02".
func (d *Decision) trippedText(c *condition) string {
	e := &d.evidence
	var parts []string
	if e.trip != nil {
		parts = append(parts, e.tripText(c))
	}
	var more []string
	for i, name := range c.words {
		if at := int(c.order[i]); e.by.Has(at) && (e.trip == nil || e.trip.Detector != at) {
			more = append(more, name)
		}
	}
	switch {
	case len(more) == 0:
	case len(parts) > 0:
		parts = append(parts, strings.Join(more, " and ")+" too")
	default:
		parts = append(parts, "tripped "+strings.Join(more, " and ")+e.ofHolder(" by a number of "))
	}
	return strings.Join(parts, ", ")
}

func (e *evidence) ofHolder(before string) string {
	if e.holder == "" {
		return ""
	}
	return before + e.holder
}

// tripText says what tripped, when and why.
func (e *evidence) tripText(c *condition) string {
	t := e.trip
	name := ""
	for i := range c.words {
		if int(c.order[i]) == t.Detector {
			name = c.words[i]
		}
	}
	key := t.Key
	if key == "" || e.who.Kinds.Has(number.Anonymous) && strings.ContainsAny(key, "0123456789") {
		key = "the caller’s range" // a withheld number is not told, nor what it begins with: that may be all of it
	}
	if e.holder != "" && e.holder != key {
		key += " (" + e.holder + ")"
	}
	text := key + " tripped " + name
	if !t.Since.IsZero() {
		layout := "2006-01-02 15:04"
		if e.today {
			layout = "15:04"
		}
		text += " at " + t.Since.In(e.zone).Format(layout)
	}
	if t.Why != "" {
		text += " (" + t.Why + ")"
	}
	switch {
	case t.Since.IsZero():
	case t.Until.IsZero():
		text += ", held by a person"
	default:
		text += ", held until " + t.Until.In(e.zone).Format("2006-01-02 15:04")
	}
	return text
}

// whyNotTripped says why tripped does not hold.
func (s *scan) whyNotTripped(c *condition) string {
	if trips := c.detectors & s.c.Tripped; trips != 0 {
		var names []string
		for i, name := range c.words {
			if trips.Has(int(c.order[i])) {
				names = append(names, name)
			}
		}
		return strings.Join(names, " and ") + " tripped, but " + s.who() + " is known to " + s.knownTo() + ", and only a rule with known_caller touches those"
	}
	if len(c.words) == 1 {
		return c.words[0] + " is not tripped for this call"
	}
	return "none of " + strings.Join(c.words, ", ") + " is tripped for this call"
}

// knownTo says whose acquaintance the caller is.
func (s *scan) knownTo() string {
	if s.p.isKnownAt(s.c, s.c.KnownToLine) {
		return "the called line"
	}
	return "lines of several customers"
}

// whyNotHeldBy says why holder does not hold.
func (s *scan) whyNotHeldBy(c *condition) string {
	holder, pattern := s.p.holder(&s.c.Caller)
	shown := s.shown()
	switch {
	case holder == "" || pattern.IsExact() && shown.Kinds.Has(number.Anonymous):
		return whoCalls(shown) + " is of nobody under [ranges] who is asked for"
	default:
		return whoCalls(shown) + " is of " + holder + ", not " + some(c.words)
	}
}

// trip has breakers hold for a call, as a test says; the detectors that are on trial only record it.
func (p *Policy) trip(c *Call, set DetectorSet) {
	c.Tripped = set
	for i := range p.detectors {
		if !set.Has(i) {
			continue
		}
		if p.detectors[i].Mode == Observe {
			c.OnTrial = c.OnTrial.With(i)
		}
		c.Trips = append(c.Trips, Trip{Detector: i, Why: "as the test says"})
	}
}
