package screening

import (
	"fmt"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// counted is what detectors found of a call, until it ends.
type counted struct {
	set   *detect.Set // that counted it; nil: none did
	count detect.Count
}

// keep gives it to be kept, nil if nothing was counted.
func (c *counted) keep() *counted {
	if c.set == nil {
		return nil
	}
	return c
}

// decide has detectors count a call and the policy decide on it, once a call.
func (sc *Screener) decide(r *inforce.Rules, c *considered, f *bridge.Facts, w detect.Way) {
	w.Leg = traffic.CallKey(f.UUID, f.Channel)
	c.rules = r
	c.decision, c.counted.count = r.Detectors.Consider(r.Policy, &c.call, r.Lists, w)
	c.stopped = r.Policy.Stops(&c.decision)
	if w.Look {
		return
	}
	c.counted.set = r.Detectors
	for i := range r.Policy.Detectors() {
		if c.decision.TrialBy.Has(i) {
			sc.memory.Trials.Note(r.Policy.Detectors()[i].Name, sc.o.Now())
		}
	}
	if r.Policy.Mode() == policy.Observe && c.decision.Would != policy.Allow {
		sc.memory.Trials.Note("", sc.o.Now())
	}
}

// over tells the detectors what became of a call that they counted.
func (sc *Screener) over(c *counted, e *attach.CallEnd, passed bool) {
	if c == nil || c.set == nil {
		return
	}
	c.set.Ended(&c.count, endOf(e, sc, passed))
}

// endOf is a call's end as detectors take it. Voicemail and menus are no answer, for nobody spoke with the caller; nor did a phone ring because they,
// or an announcement of ours that the caller did not wait for, took the call.
func endOf(e *attach.CallEnd, sc *Screener, passed bool) detect.End {
	end := detect.End{At: sc.o.Now(), Answered: e.Answered && e.Bridged, Rang: e.Bridged || e.Ring > 0, Passed: passed}
	if end.Answered {
		end.Talk = e.Talk
	}
	return end
}

// countedBefore tells the detectors of the end of a call that was screened before this program was started, or that was
// forgotten since: what they find of it now is what they counted then. It says whether the call would be stopped now: then it teaches nothing.
func (sc *Screener) countedBefore(e *attach.CallEnd) (stopped bool) {
	r := sc.force.Rules()
	f := factsOf(e)
	at := e.Started
	if at.IsZero() {
		at = sc.o.Now()
	}
	call, _ := sc.callOf(r, f, at)
	leg := traffic.CallKey(e.UUID, e.Channel)
	d, n := r.Detectors.Consider(r.Policy, &call, r.Lists, detect.Way{Look: true, Leg: leg})
	stopped = r.Policy.Stops(&d)
	if r.Detectors == nil || !r.Detectors.Wants() {
		return stopped
	}
	if stopped {
		r.Detectors.Decided(&n, true, 0)
	}
	sc.over(&counted{r.Detectors, n}, e, false)
	before := sc.screenedBefore(r.Policy, e)
	before.stopped = stopped
	sc.calls.Add(leg, before) // the switch may tell of it a second time
	return stopped
}

// sawOf writes down what detectors saw of a call, as it was when the call came. p is the policy that decided it: one that was read since may
// have other detectors.
func sawOf(rec *storage.Record, p *policy.Policy, c *policy.Call) {
	all := p.Detectors()
	for i := range c.Trips {
		t := &c.Trips[i]
		if len(rec.Tripped) == storage.MaxTripped {
			break
		}
		text := fmt.Sprintf("%s: %s", all[t.Detector].Name, number.InertUpTo(t.Key, maxShownKey))
		if t.Trial != "" {
			text += " (" + t.Trial + ")"
		} else {
			rec.TrippedBy = append(rec.TrippedBy, all[t.Detector].Name)
		}
		rec.Tripped = append(rec.Tripped, text)
	}
	rec.Holder = p.HolderOf(&c.Caller)
	if p.AsksScore() {
		sum, terms := p.Score(c)
		rec.Score = sum
		for i := range terms {
			rec.Terms = append(rec.Terms, terms[i].String())
		}
	}
}

// maxShownKey is how many characters of a breaker's key are written down; a called number may have more.
const maxShownKey = 64
