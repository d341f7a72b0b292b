package desk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/alert"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/policy"
)

// maxTrips is how many breakers a person is told of one by one, at a time and within tripsEvery. A campaign may trip hundreds, and close them again:
// those beyond are one incident together, which lasts that long at least.
const (
	maxTrips   = 5
	tripsEvery = time.Hour
)

// moreTrips is the subject of the incident of those beyond.
const moreTrips = "more"

// alertTripped tells a person of the breakers that hold, and that they do not any more. One that only records is not worth a call at night, nor
// is one that somebody holds.
func (d *Desk) alertTripped() {
	if d.o.Alerts == nil {
		return
	}
	d.telling.Lock()
	defer d.telling.Unlock()
	r, now := d.force.Rules(), d.o.Now()
	var holding []detect.Breaker
	r.Detectors.Breakers("", false, now, func(b detect.Breaker) bool {
		if i, ok := r.Policy.DetectorNamed(b.Detector); ok && b.State != detect.Closed && b.Pinned == "" && b.Node == "" && // another node tells of its own
			r.Policy.Mode() == policy.Enforce && r.Policy.Detectors()[i].Mode == policy.Enforce {
			holding = append(holding, b)
		}
		return true
	})
	slices.SortFunc(holding, func(a, b detect.Breaker) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Detector, b.Detector), strings.Compare(a.Key, b.Key), strings.Compare(a.Trunk, b.Trunk))
	})
	open := make(map[string]time.Time) // since when
	for _, i := range d.o.Alerts.Open() {
		if i.Kind == alert.Trip {
			open[i.Subject] = i.Since
		}
	}
	d.tripsTold = slices.DeleteFunc(d.tripsTold, func(at time.Time) bool { return now.Sub(at) >= tripsEvery || at.After(now) })
	wanted := make(map[string]string)
	for _, told := range []bool{true, false} { // those that a person knows of stay, others take the places that are left
		for i := range holding {
			subject := alert.Subject(d.tripSubject(r, &holding[i]))
			_, there := wanted[subject]
			if _, known := open[subject]; there || known != told || len(wanted) >= maxTrips || !known && len(d.tripsTold) >= maxTrips {
				continue
			}
			if wanted[subject] = d.tripText(r, &holding[i]); !told {
				d.tripsTold = append(d.tripsTold, now)
			}
		}
	}
	since, lasts := open[moreTrips]
	switch n := len(holding) - len(wanted); {
	case n > 0 && len(wanted) == 0:
		wanted[moreTrips] = fmt.Sprintf("%d breakers are tripped. See ringfence detectors.", n)
	case n > 0:
		wanted[moreTrips] = fmt.Sprintf("%d more breakers are tripped. See ringfence detectors.", n)
	case lasts && now.Sub(since) < tripsEvery && !since.After(now):
		wanted[moreTrips] = "breakers trip and close again. See ringfence detectors."
	}
	for subject := range open {
		if _, there := wanted[subject]; !there {
			d.o.Alerts.End(alert.Trip, subject, "it holds no more.")
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
		text += " lets some calls through to see whether it is over; it tripped by " + d.whyShown(r.Policy, b)
	default:
		text += " tripped: " + d.whyShown(r.Policy, b)
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

// keyShown is a breaker's key as it may be shown and logged: in a private installation a caller's whole number, or nearly that, is a token.
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
		n := p.Plan().Parse(b.Key)
		return d.o.Private.Token(&n)
	case policy.ByPrefix:
		return d.o.Private.Range(p.Plan(), b.Key)
	}
	return b.Key
}

// whyShown is what a breaker tripped by as it may be shown: it may name a wider range than the key, which is hidden like that.
func (d *Desk) whyShown(p *policy.Policy, b *detect.Breaker) string {
	why := b.Why
	i, ok := p.DetectorNamed(b.Detector)
	if d.o.Private == nil || !ok || p.Detectors()[i].Key != policy.ByPrefix {
		return why
	}
	for n := len(b.Key) - 1; n > 0; n-- {
		shown := d.o.Private.Range(p.Plan(), b.Key[:n])
		if shown == b.Key[:n] {
			break // and so is what is wider
		}
		why = strings.ReplaceAll(why, b.Key[:n], shown)
	}
	return why
}
