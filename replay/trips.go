package replay

import (
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// topTrips is how many trips of a detector a report lists.
const topTrips = 20

// longTalk is from how many seconds on people who talked meant to.
const longTalk = 60

// Detector is what a detector of the policy did, in the calls' own time.
type Detector struct {
	Detector string  `json:"detector"`
	Mode     string  `json:"mode"`           // observe: the detector, or the policy, is on trial
	Trips    uint64  `json:"trips"`          // how often a breaker of it tripped
	Met      uint64  `json:"met"`            // calls that met a breaker of it that holds, on trial or not
	Touched  uint64  `json:"touched"`        // calls to which a rule did something by it
	Mistakes uint64  `json:"touched_talked"` // of these, calls that were answered, and people talked for more than a minute
	Would    uint64  `json:"would"`          // calls to which a rule on trial would have done something by it
	WouldBe  uint64  `json:"would_talked"`   // of these, as touched_talked
	HoldS    float64 `json:"hold_s"`         // the longest hold of a trip, in seconds
	Evicted  uint64  `json:"evicted"`        // what found no room, see `ringfence detectors`
	Capped   uint64  `json:"capped"`
	First    []Trip  `json:"-"` // the first trips
}

// Trip is a breaker that tripped.
type Trip struct {
	Detector string    `json:"detector"`
	Time     time.Time `json:"time"`
	Trunk    string    `json:"trunk"`
	Key      string    `json:"key"`    // as a person reads it: 952116, +8613800138000, firm A, all
	Holder   string    `json:"holder"` // of the range of the caller who tripped it, "" if nobody is named
	Why      string    `json:"why"`
	HoldS    float64   `json:"hold_s"` // seconds until it lets calls through to see whether it is over
}

// liveTally adds up what the detectors of one policy did, and how its decisions meet the labels. It is told of breakers.
type liveTally struct {
	policy    *policy.Policy
	zone      *time.Location // that reports are written by
	detectors []Detector
	holder    string      // of the range of the caller whose call is told of
	legs      bool        // a detector tells calls apart by their legs
	trip      func(*Trip) // if set, is told of each
	labels    labelTally
}

func (t *liveTally) begin(p *policy.Policy) {
	t.policy, t.zone = p, time.UTC
	for i, d := range p.Detectors() {
		mode := d.Mode
		if p.Mode() == policy.Observe {
			mode = policy.Observe
		}
		t.detectors = append(t.detectors, Detector{Detector: d.Name, Mode: mode.String()})
		for _, w := range p.Detectors()[i].Count {
			t.legs = t.legs || w.Count == policy.CountConcurrent
		}
	}
	t.labels.begin(len(t.detectors))
}

// Changed is told of a breaker by the detectors.
func (t *liveTally) Changed(b detect.Breaker) {
	if b.State != detect.Tripped {
		return
	}
	i, ok := t.policy.DetectorNamed(b.Detector)
	if !ok {
		return
	}
	d := &t.detectors[i]
	d.Trips++
	d.HoldS = max(d.HoldS, b.Hold.Seconds())
	if len(d.First) >= topTrips && t.trip == nil {
		return
	}
	holder := b.Holder
	if key := t.policy.Detectors()[i].Key; holder == "" && (key == policy.ByPrefix || key == policy.ByCaller) {
		holder = t.holder
	}
	trip := Trip{
		Detector: b.Detector, Time: b.Since.In(t.zone), Trunk: keep(b.Trunk), Key: keep(b.Key), Holder: holder, Why: keep(b.Why), HoldS: b.Hold.Seconds(),
	}
	if len(d.First) < topTrips {
		d.First = append(d.First, trip)
	}
	if t.trip != nil {
		t.trip(&trip)
	}
}

// decided counts a call that was decided, for the detectors.
func (t *liveTally) decided(c *Call, call *policy.Call, d *policy.Decision, what does) {
	n, talked := c.weight(), c.Answered && c.Talk > longTalk
	if call.Tripped == 0 {
		return
	}
	for i := range t.detectors {
		x := &t.detectors[i]
		if call.Tripped.Has(i) {
			x.Met += n
		}
		if d.By.Has(i) && what != lets {
			x.Touched += n
			if talked {
				x.Mistakes += n
			}
		}
		if d.TrialBy.Has(i) {
			x.Would += n
			if talked {
				x.WouldBe += n
			}
		}
	}
}

// export is what came of it.
func (run *liveRun) detectors() []Detector {
	if run.set == nil {
		return nil
	}
	evicted, capped := run.set.Counters()
	for i := range run.tally.detectors {
		d := &run.tally.detectors[i]
		d.Evicted, d.Capped = evicted[d.Detector], capped[d.Detector]
	}
	return run.tally.detectors
}
