package desk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ringfence/alert"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
)

// maxTrips is how many breakers a person is told of one by one. A campaign may trip hundreds: those beyond are one incident together.
const maxTrips = 5

// moreTrips is the subject of the incident of those beyond.
const moreTrips = "more"

// alertTripped tells a person of the breakers that hold, and that they do not any more. One that only records is not worth a call at night, nor
// is one that somebody holds.
func (d *Desk) alertTripped() {
	if d.o.Alerts == nil {
		return
	}
	r := d.force.Rules()
	var holding []detect.Breaker
	d.breakers.mu.Lock()
	for _, b := range d.breakers.holding {
		if i, ok := r.Policy.DetectorNamed(b.Detector); ok && b.Pinned == "" && r.Policy.Mode() == policy.Enforce && r.Policy.Detectors()[i].Mode == policy.Enforce {
			holding = append(holding, b)
		}
	}
	d.breakers.mu.Unlock()
	slices.SortFunc(holding, func(a, b detect.Breaker) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Detector, b.Detector), strings.Compare(a.Key, b.Key), strings.Compare(a.Trunk, b.Trunk))
	})
	open := make(map[string]bool)
	for _, i := range d.o.Alerts.Open() {
		open[i.Subject] = open[i.Subject] || i.Kind == alert.Trip
	}
	wanted := make(map[string]string)
	for _, told := range []bool{true, false} { // those that a person knows of stay, others take the places that are left
		for i := range holding {
			subject := alert.Subject(d.tripSubject(r, &holding[i]))
			if _, there := wanted[subject]; !there && open[subject] == told && len(wanted) < maxTrips {
				wanted[subject] = d.tripText(r, &holding[i])
			}
		}
	}
	if n := len(holding) - len(wanted); n > 0 {
		wanted[moreTrips] = fmt.Sprintf("%d more breakers are tripped. See ringfence detectors.", n)
	}
	for _, i := range d.o.Alerts.Open() {
		if _, there := wanted[i.Subject]; i.Kind == alert.Trip && !there {
			d.o.Alerts.End(alert.Trip, i.Subject, "it holds no more.")
		}
	}
	for subject, text := range wanted {
		d.o.Alerts.Begin(alert.Trip, subject, text)
	}
}

// tripSubject is what an incident is called.
func (d *Desk) tripSubject(r *inforce.Rules, b *detect.Breaker) string {
	text := b.Detector + ": " + d.keyShown(r.Policy, b)
	if b.Trunk != "" {
		text += " on " + b.Trunk
	}
	return text
}

// tripText says what tripped, by what and until when.
func (d *Desk) tripText(r *inforce.Rules, b *detect.Breaker) string {
	text := d.tripSubject(r, b)
	if holder := holderOf(r.Policy, b); holder != "" && holder != b.Key {
		text += " (" + holder + ")"
	}
	switch {
	case b.State == detect.Probing:
		text += " lets some calls through to see whether it is over; it tripped by " + b.Why
	default:
		text += " tripped: " + b.Why
		if !b.Until.IsZero() {
			text += "; it holds until " + b.Until.In(r.Policy.Zone()).Format("2006-01-02 15:04")
		}
	}
	return text + ". See ringfence detectors."
}

// holderOf is who holds the whole of a breaker's range; "" where that is nobody, or several.
func holderOf(p *policy.Policy, b *detect.Breaker) string {
	i, ok := p.DetectorNamed(b.Detector)
	if b.Holder != "" || !ok {
		return b.Holder
	}
	switch p.Detectors()[i].Key {
	case policy.ByCaller, policy.ByPrefix:
	default:
		return ""
	}
	first, last := heldFrom(p, b.Key, "0"), heldFrom(p, b.Key, "9")
	if first != last {
		return ""
	}
	return first
}

// heldFrom is who holds the number that a range's digits and then others give.
func heldFrom(p *policy.Policy, key, digit string) string {
	const longest = 14
	for n := 0; len(key)+n <= longest; n++ {
		if x := p.Plan().Parse(key + strings.Repeat(digit, n)); x.E164 != "" {
			if holder := p.HolderOf(&x); holder != "" {
				return holder
			}
		}
	}
	return ""
}

// keyShown is a breaker's key as it may be shown and logged: in a private installation a caller's whole number is a token.
func (d *Desk) keyShown(p *policy.Policy, b *detect.Breaker) string {
	if d.o.Private == nil {
		return b.Key
	}
	i, ok := p.DetectorNamed(b.Detector)
	if !ok {
		return d.o.Private.Name(b.Key)
	}
	switch p.Detectors()[i].Key {
	case policy.ByCaller:
	case policy.ByPrefix:
		// A short one may be a service number as well as what many such begin with.
		if n := p.Plan().Parse(b.Key); n.E164 == "" || n.Kinds.Has(number.Service) && len(b.Key) < 8 {
			return b.Key
		}
	default:
		return b.Key
	}
	n := p.Plan().Parse(b.Key)
	return d.o.Private.Token(&n)
}
