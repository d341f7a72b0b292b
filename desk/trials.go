package desk

import (
	"time"

	"ringfence/console"
	"ringfence/detect"
	"ringfence/policy"
	"ringfence/traffic"
)

// trialsSetting keeps since when something is on trial, and what it would have done.
const trialsSetting = "observed"

// trialTime is after how long something on trial can be judged.
const trialTime = traffic.TrialDays * 24 * time.Hour

// observe notes what is on trial from now on.
func (d *Desk) observe(p *policy.Policy) {
	if d.o.Trials == nil {
		return
	}
	d.trials.Do(func() {
		text, err := d.db.Setting(trialsSetting)
		if err == nil && text != nil {
			err = d.o.Trials.Load(text)
		}
		if err != nil {
			d.o.Log.Error("since when detectors are on trial is not known any more", "error", err)
		}
	})
	var names []string
	if p.Mode() == policy.Observe {
		names = append(names, "")
	}
	for i := range p.Detectors() {
		if det := &p.Detectors()[i]; det.Mode == policy.Observe || p.Mode() == policy.Observe {
			names = append(names, det.Name)
		}
	}
	d.o.Trials.Observe(names, d.o.Now())
}

// saveTrials keeps what changed of trials.
func (d *Desk) saveTrials() {
	if d.o.Trials == nil {
		return
	}
	text := d.o.Trials.Changes()
	if text == nil {
		return
	}
	if err := d.db.PutSetting(trialsSetting, text); err != nil {
		d.o.Trials.Keep()
		d.o.Log.Warn("what detectors on trial would have done cannot be written", "error", err)
	}
}

// maxFirst is how many breakers the status names.
const maxFirst = 5

// detectorsStatus says how the detectors stand.
func (d *Desk) detectorsStatus(s *console.Status) {
	r, now := d.force.Rules(), d.o.Now()
	st := console.DetectorsStatus{Detectors: len(r.Policy.Detectors()), Unwritten: d.breakers.Dropped()}
	r.Detectors.Breakers("", false, now, func(b detect.Breaker) bool {
		switch b.State {
		case detect.Tripped:
			st.Tripped++
		case detect.Probing:
			st.Probing++
		}
		if b.Pinned != "" {
			st.Pinned++
		}
		if b.State == detect.Tripped && len(st.First) < maxFirst {
			st.First = append(st.First, d.breakerShown(r.Policy, &b))
		}
		return true
	})
	for _, o := range r.Detectors.Over(now) {
		st.Over = append(st.Over, console.OverMaxShare(o))
	}
	if d.o.Trials != nil {
		for _, t := range d.o.Trials.All(now) {
			st.Trials = append(st.Trials, console.TrialStatus{Detector: t.Name, Since: t.Since, Calls: t.Calls, Propose: now.Sub(t.Since) >= trialTime})
		}
	}
	s.Detectors = st
	evicted, capped := r.Detectors.Counters()
	for name, n := range evicted {
		s.Count("detector.evicted."+name, n)
	}
	for name, n := range capped {
		s.Count("detector.capped."+name, n)
	}
	texts, habits := r.Detectors.Full()
	s.Count("detectors.names_full", texts)
	s.Count("detectors.habits_full", habits)
}
