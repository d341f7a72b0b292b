package desk

import (
	"errors"

	"ringfence/alert"
	"ringfence/console"
	"ringfence/detect"
	"ringfence/pseudonym"
)

// Of a number detectors hold what they count of it as a caller, in memory and in the file of counts, and breakers whose key it is.

// inBreaker reports whether the key of a breaker is the subject.
func (s *subject) inBreaker(b *detect.Breaker) bool { return s.names(b.Key, b.Since) }

// sweepBreakers takes the subject's breakers, and the alerts of them, out of the database.
func (d *Desk) sweepBreakers(s *subject, report *console.ForgetReport) error {
	key := d.o.Private
	if key == nil {
		key, _ = pseudonym.Open(d.conf.Data, true)
	}
	n, err := d.breakers.sweep(key, s.inBreaker)
	report.Breakers += n
	_, failed := d.forgetAlerts(s)
	return errors.Join(err, failed)
}

// forgetAlerts takes the alerts out that name the subject: those of its breakers.
func (d *Desk) forgetAlerts(s *subject) (int, error) {
	book := d.o.Alerts
	if book == nil { // the daemon does not run; with a command it would tell the ends of others later
		book = alert.New(alert.Options{Command: "of the daemon", Settings: d.db, Log: d.o.Log, Now: d.o.Now})
	}
	return book.Forget(func(text string) bool { return s.blot(text, d.o.Now()) != text })
}

// forgetCounted takes a number out of what detectors count, and out of the file of that.
func (d *Desk) forgetCounted(s *subject, text string, report *console.ForgetReport) error {
	d.telling.Lock() // else who tells of breakers may have just looked at them
	defer d.telling.Unlock()
	d.LoadDetectors()
	set := d.force.Rules().Detectors
	report.Memory += set.ForgetNumber(text)
	for caller := range s.callers { // as which it stood in what was learnt
		if caller != text {
			report.Memory += set.ForgetNumber(caller)
		}
	}
	var keys []string
	set.Breakers("", true, d.o.Now(), func(b detect.Breaker) bool {
		if s.inBreaker(&b) { // by a token, or in another spelling
			keys = append(keys, b.Key)
		}
		return true
	})
	for _, key := range keys {
		if n := s.plan.Parse(key); n.E164 != "" {
			report.Memory += set.ForgetNumber(n.E164)
		}
	}
	if _, err := d.breakers.sweep(d.o.Private, s.inBreaker); err != nil { // of which the set has just told
		return err
	}
	n, err := d.forgetAlerts(s)
	report.Memory += n
	return errors.Join(err, d.renewCounts())
}

// breakers yields what detectors count of the subject.
func (h *heldScan) breakers(yield func(console.Held) error) error {
	h.d.LoadDetectors()
	r := h.d.force.Rules()
	var found []detect.Breaker
	r.Detectors.Breakers("", true, h.d.o.Now(), func(b detect.Breaker) bool {
		if h.s.inBreaker(&b) {
			found = append(found, b)
		}
		return true
	})
	for i := range found {
		out := h.d.breakerShown(r.Policy, &found[i])
		if err := yield(console.Held{Kind: console.HeldBreaker, Last: out.Since, Breaker: &out}); err != nil {
			return err
		}
	}
	return nil
}
