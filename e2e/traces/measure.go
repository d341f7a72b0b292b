package traces

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"ringfence/policy"
	"ringfence/replay"
)

// Share is some of many calls.
type Share struct{ N, Of int }

// Add counts a call.
func (s *Share) Add(in bool) {
	s.Of++
	if in {
		s.N++
	}
}

// Percent is 0 of none.
func (s Share) Percent() float64 {
	if s.Of == 0 {
		return 0
	}
	return 100 * float64(s.N) / float64(s.Of)
}

// Figures are what a policy does to the calls of a trace. A call is stopped if no phone rings: it was rejected, or challenged, for
// diallers key in nothing. An honest call is touched if a rule does anything to it by a breaker.
type Figures struct {
	Prefix   Share // calls of campaigns with a common prefix that are stopped
	Sublet   Share // of those from heads that an honest call centre calls from
	Anywhere Share // of those without a common prefix
	Touched  Share // honest calls
	Late     Share // the same without the first week, before which nobody is known
	Rejected Share
	Others   Share // honest calls that rules without a breaker do something to

	Sources  map[string]*Share // calls of campaigns that are stopped, by where their numbers come from
	Classes  map[string]*Share // honest calls that are touched, by class
	StormRej int               // honest callers of a storm that are rejected
	Leaks    []int             // of each campaign with a prefix: the calls that rang before the first that did not
	Adds     map[string]*Adds  // by detector
}

// Adds is what one detector does.
type Adds struct {
	Trips   int
	Stopped int // calls of campaigns, by it
	Alone   int // of these, by no other
	Touched int // honest calls
}

// Judge reads a policy to measure by.
func Judge(text string) (*replay.Judge, error) {
	p, faults := policy.Load("policy.toml", []byte(text))
	if p == nil {
		return nil, fmt.Errorf("%v", faults)
	}
	return replay.NewJudge(p, nil), nil
}

// Measure runs a trace through a policy.
func (t *Trace) Measure(ctx context.Context, j *replay.Judge) (*Figures, error) {
	if t.csv == nil {
		var b bytes.Buffer
		if err := t.CSV(&b); err != nil {
			return nil, err
		}
		t.csv = b.Bytes()
	}
	source, err := replay.Open("trace.csv", bytes.NewReader(t.csv), int64(len(t.csv)), replay.SourceOptions{
		Zone: zone, Columns: replay.Columns{Label: "campaign"}, Now: begin.AddDate(1, 0, 0),
	})
	if err != nil {
		return nil, err
	}
	f := newFigures(j.Policy)
	names := j.Policy.Detectors()
	first := map[string]int{} // calls of a campaign before the first that is stopped
	stopped := map[string]bool{}
	_, err = replay.Run(ctx, []*replay.Source{source}, replay.Options{
		Judge: j, Workers: 1,
		Trip: func(trip *replay.Trip) { f.Adds[trip.Detector].Trips++ },
		Each: func(is *replay.Fate) {
			c := &t.Calls[is.Line-2]
			f.count(c, is, names)
			if c.Campaign != "" {
				if stopped[c.Campaign] = stopped[c.Campaign] || !is.Rings; !stopped[c.Campaign] {
					first[c.Campaign]++
				}
			}
		},
	})
	for _, c := range t.Campaigns {
		if c.Source != FromAnywhere && c.Source != FromSublet && c.Source != FromOne {
			f.Leaks = append(f.Leaks, first[c.Name])
		}
	}
	return f, err
}

func newFigures(p *policy.Policy) *Figures {
	f := &Figures{Sources: map[string]*Share{}, Classes: map[string]*Share{}, Adds: map[string]*Adds{}}
	for _, s := range Sources() {
		f.Sources[s] = &Share{}
	}
	for _, c := range Classes() {
		f.Classes[c] = &Share{}
	}
	for _, d := range p.Detectors() {
		f.Adds[d.Name] = &Adds{}
	}
	return f
}

// count adds what became of a call.
func (f *Figures) count(c *Call, is *replay.Fate, detectors []policy.Detector) {
	for i := range detectors {
		if is.By.Has(i) {
			a := f.Adds[detectors[i].Name]
			switch {
			case c.Campaign == "":
				a.Touched++
			case !is.Rings:
				a.Stopped++
				if is.By == policy.DetectorSet(0).With(i) {
					a.Alone++
				}
			}
		}
	}
	if c.Campaign != "" {
		f.Sources[c.Class].Add(!is.Rings)
		switch c.Class {
		case FromSublet:
			f.Sublet.Add(!is.Rings)
		case FromAnywhere:
			f.Anywhere.Add(!is.Rings)
		case FromOne: // Sources has them
		default:
			f.Prefix.Add(!is.Rings)
		}
		return
	}
	touched := is.By != 0
	f.Touched.Add(touched)
	f.Classes[c.Class].Add(touched)
	if c.At.Sub(begin) >= 7*24*time.Hour {
		f.Late.Add(touched)
	}
	f.Rejected.Add(touched && is.Does == "rejects")
	f.Others.Add(!touched && is.Does != "lets")
	if c.Class == Storms && touched && is.Does == "rejects" {
		f.StormRej++
	}
}

// Wrong are the honest calls of all that detectors touch or stop.
func (f *Figures) Wrong() Share {
	all := f.Touched.N
	for _, s := range f.Sources {
		all += s.N
	}
	return Share{f.Touched.N, all}
}

// Mean is the mean of a share over the traces that have such calls, in percent.
func Mean(of []*Figures, share func(*Figures) Share) float64 {
	total, n := 0.0, 0
	for _, f := range of {
		if s := share(f); s.Of > 0 {
			total += s.Percent()
			n++
		}
	}
	return total / float64(max(n, 1))
}

// MedianLeak is how many calls a campaign with a prefix gets through at the median before one is stopped, over all traces.
func MedianLeak(of []*Figures) int {
	var all []int
	for _, f := range of {
		all = append(all, f.Leaks...)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}
