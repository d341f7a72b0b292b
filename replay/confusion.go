package replay

import (
	"cmp"
	"math"
	"slices"

	"ringfence/policy"
)

// maxCampaigns bounds the campaigns that are followed by themselves.
const maxCampaigns = 10_000

// Labels is how a policy meets the labels of calls.
type Labels struct {
	All       Confusion
	Rules     []Confusion // that a labelled call met, in the order they are tried
	Detectors []Confusion // all of them, in the order of the file
	Campaigns []Campaign  // in the order of their first calls

	Named         uint64  // campaigns with a name
	Tripped       uint64  // of these, those that met a breaker that holds, on trial or not
	MedianLeak    float64 // the median over them of Campaign.Before
	CampaignsOver uint64  // calls of campaigns that had no room
	Unlabelled    uint64  // calls of files that say nothing of it
}

// Confusion is what became of wanted and unwanted calls, in all, by a rule, or by a detector.
type Confusion struct {
	Scope    string `json:"scope"` // all, rule, detector
	Name     string `json:"name"`  // of the rule or the detector
	Unwanted Side   `json:"unwanted"`
	Wanted   Side   `json:"wanted"`
}

// Side is what became of the calls of one label. Rang and stopped are all of them, and each part is of all calls of
// the label, also that of a rule or a detector.
type Side struct {
	Calls      uint64 `json:"calls"`      // all; or those that the rule took, or that were touched or would have been by the detector
	Rang       Part   `json:"rang"`       // a phone rang: of the unwanted, what leaked
	Stopped    Part   `json:"stopped"`    // none did: rejected, diverted, hung up behind an announcement, or a challenge not passed
	Touched    Part   `json:"touched"`    // stopped, challenged or labelled
	Labelled   Part   `json:"labelled"`   // rang with a label, or after an announcement
	Challenged Part   `json:"challenged"` //
	Diverted   Part   `json:"diverted"`   //
	Rejected   Part   `json:"rejected"`   // also by overflow, or hung up behind an announcement
	WouldStop  Part   `json:"would_stop"` // not stopped, but would be by what is on trial
	WouldTouch Part   `json:"would_touch"`
}

// Part is a number of calls, its share of all calls of the label, and Wilson's interval of 95 % for it.
type Part struct {
	Calls uint64  `json:"calls"`
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Campaign is what became of the calls that one label names.
type Campaign struct {
	Name    string `json:"campaign"`
	Calls   uint64 `json:"calls"`
	Stopped uint64 `json:"stopped"`
	Touched uint64 `json:"touched"`
	Leaked  uint64 `json:"leaked"`  // rang
	Before  uint64 `json:"before"`  // of these, before the first call that met a breaker; all of them if none did
	Tripped bool   `json:"tripped"` // a call of it met a breaker that holds, on trial or not
}

// sideCount counts one Side.
type sideCount struct {
	calls, stopped, wouldStop, wouldTouch uint64
	does                                  [rejected + 1]uint64
}

// labelTally adds up how the decisions of one policy meet the labels.
type labelTally struct {
	all       [2]sideCount // wanted, unwanted
	rules     map[string]*[2]sideCount
	detectors [][2]sideCount
	campaigns []Campaign
	ids       map[string]int
	over      uint64
	without   uint64
}

func (t *labelTally) begin(detectors int) {
	t.rules, t.ids, t.detectors = make(map[string]*[2]sideCount), make(map[string]int), make([][2]sideCount, detectors)
}

// met is what became of one call.
type met struct {
	n                     uint64 // how many calls it stands for
	side                  int    // 1: unwanted
	does                  does
	stopped               bool
	wouldStop, wouldTouch bool
}

func (s *sideCount) add(m *met, done, would bool) {
	s.calls += m.n
	if done {
		s.does[m.does] += m.n
		if m.stopped {
			s.stopped += m.n
		}
	}
	if would && m.wouldStop {
		s.wouldStop += m.n
	}
	if would && m.wouldTouch {
		s.wouldTouch += m.n
	}
}

// decided counts a call with a label.
func (t *labelTally) decided(c *Call, run *liveRun, what does) {
	p, d := run.mind.judge.Policy, &run.d
	m := met{n: c.weight(), does: what, stopped: !run.rings}
	if !c.label.given {
		t.without += m.n
		return
	}
	if c.label.unwanted {
		m.side = 1
	}
	onTrial := d.Mode == policy.Observe && d.Would != policy.Allow
	trial := d.Trial != "" && d.TrialWould != policy.Allow
	m.wouldTouch = what == lets && (onTrial || trial)
	m.wouldStop = !m.stopped && what != challenged && (onTrial || d.Trial != "") && p.Stops(d)
	t.all[m.side].add(&m, true, true)
	by, byTrial := p.StopsBy(d) // each rule has what it would do itself
	own := m
	own.wouldStop = m.wouldStop && (by || byTrial && d.Trial == d.Rule)
	t.rule(d.Rule)[m.side].add(&own, !onTrial, onTrial)
	if d.Trial != "" && d.Trial != d.Rule {
		own.wouldStop, own.wouldTouch = m.wouldStop && byTrial, m.wouldTouch && trial
		t.rule(d.Trial)[m.side].add(&own, false, true)
	}
	for i := range t.detectors {
		by := d.By.Has(i) && what != lets
		if trial := d.TrialBy.Has(i); by || trial {
			t.detectors[i][m.side].add(&m, by, trial)
		}
	}
	if c.label.campaign != "" {
		t.campaign(c, &m, run.call.Tripped != 0)
	}
}

func (t *labelTally) rule(name string) *[2]sideCount {
	r := t.rules[name]
	if r == nil {
		r = new([2]sideCount)
		t.rules[name] = r
	}
	return r
}

func (t *labelTally) campaign(c *Call, m *met, tripped bool) {
	id, ok := t.ids[c.label.campaign]
	if !ok {
		if len(t.campaigns) >= maxCampaigns {
			t.over += m.n
			return
		}
		name := keep(c.label.campaign)
		id = len(t.campaigns)
		t.ids[name] = id
		t.campaigns = append(t.campaigns, Campaign{Name: name})
	}
	x := &t.campaigns[id]
	x.Calls += m.n
	x.Tripped = x.Tripped || tripped
	if m.does != lets {
		x.Touched += m.n
	}
	if m.stopped {
		x.Stopped += m.n
		return
	}
	x.Leaked += m.n
	if !x.Tripped {
		x.Before += m.n
	}
}

// export is what came of it. The rules are those of the policy, in their order.
func (t *labelTally) export(p *policy.Policy) *Labels {
	whole := [2]uint64{t.all[0].calls, t.all[1].calls}
	l := &Labels{
		All: confusion("all", "", &t.all, whole), Campaigns: t.campaigns, Named: uint64(len(t.campaigns)), CampaignsOver: t.over, Unlabelled: t.without,
	}
	for _, name := range ruleOrder(p) {
		if r := t.rules[name]; r != nil {
			l.Rules = append(l.Rules, confusion("rule", name, r, whole))
		}
	}
	for i, d := range p.Detectors() {
		l.Detectors = append(l.Detectors, confusion("detector", d.Name, &t.detectors[i], whole))
	}
	var before []uint64
	for i := range t.campaigns {
		before = append(before, t.campaigns[i].Before)
		if t.campaigns[i].Tripped {
			l.Tripped++
		}
	}
	l.MedianLeak = median(before)
	return l
}

// ruleOrder names what may decide, in the order it is tried.
func ruleOrder(p *policy.Policy) []string {
	names := []string{policy.RuleNeverScreen, policy.RuleInternal}
	for _, r := range p.Rules() {
		names = append(names, r.Name)
	}
	return append(names, policy.RuleKnownGrace, policy.RuleDefault)
}

func median(of []uint64) float64 {
	n := len(of)
	if n == 0 {
		return 0
	}
	slices.SortFunc(of, cmp.Compare[uint64])
	return (float64(of[(n-1)/2]) + float64(of[n/2])) / 2
}

func confusion(scope, name string, of *[2]sideCount, whole [2]uint64) Confusion {
	return Confusion{Scope: scope, Name: name, Wanted: of[0].export(whole[0]), Unwanted: of[1].export(whole[1])}
}

func (s *sideCount) export(whole uint64) Side {
	touched := uint64(0)
	for _, n := range s.does[lets+1:] {
		touched += n
	}
	done := touched + s.does[lets]
	part := func(n uint64) Part { return partOf(n, whole) }
	return Side{
		Calls: s.calls, Rang: part(done - s.stopped), Stopped: part(s.stopped), Touched: part(touched), Labelled: part(s.does[labelled]),
		Challenged: part(s.does[challenged]), Diverted: part(s.does[diverted]), Rejected: part(s.does[rejected]),
		WouldStop: part(s.wouldStop), WouldTouch: part(s.wouldTouch),
	}
}

func partOf(n, whole uint64) Part {
	if whole == 0 {
		return Part{Calls: n}
	}
	low, high := wilson(n, whole)
	return Part{Calls: n, Share: float64(n) / float64(whole), Low: low, High: high}
}

// wilson is Wilson's score interval of 95 % for a share.
func wilson(n, of uint64) (low, high float64) {
	const z = 1.959963984540054
	p, m := float64(n)/float64(of), float64(of)
	middle := p + z*z/(2*m)
	apart := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	scale := 1 + z*z/m
	return max((middle-apart)/scale, 0), min((middle+apart)/scale, 1)
}
