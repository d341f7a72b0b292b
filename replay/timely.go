package replay

import (
	"fmt"
	"time"

	"ringfence/policy"
)

// Fate is a call that was decided in its own time, and what became of it.
type Fate struct {
	File    string
	Line    int // of the file
	Time    time.Time
	Caller  string // E.164, or the text of what is no number
	Callee  string // as the file has it
	Label   string // "": wanted; the campaign's name, or "unwanted"
	Is      Verdict
	Does    string             // lets, labels, challenges, diverts, rejects
	Rings   bool               // a phone rings
	Tripped policy.DetectorSet // the detectors whose breakers hold for it
	By      policy.DetectorSet // those by which something is done to it
	TrialBy policy.DetectorSet // and would be, were nothing on trial
	Fired   []policy.Trip      // of Tripped; not to be kept
}

// begin makes what goes through the calls in their own time.
func (t *tally) begin() {
	t.line = &line{}
	t.runs = []*liveRun{newLiveRun(t.mind, t.o)}
	t.runs[0].tally.trip = t.o.Trip
	if t.against != nil {
		t.runs = append(t.runs, newLiveRun(t.against, t.o))
	}
}

// empty decides on all calls that wait still.
func (t *tally) empty() error {
	if t.line == nil {
		return nil
	}
	for len(t.line.queue.of) > 0 {
		if err := t.next(); err != nil {
			return err
		}
	}
	return nil
}

// timely counts a call when its time has come.
func (t *tally) timely(file string, o *outcome) error {
	c, s := o.call, &t.report.Summary
	for _, run := range t.runs {
		run.pass(c.Facts.Time)
	}
	switch o.way {
	case directionLocal:
		s.Internal++
		return nil
	case directionOut:
		s.Outgoing++
		for _, run := range t.runs {
			run.dialled(c)
		}
		return nil
	}
	if c.unreadable {
		return t.add(file, o)
	}
	for i, run := range t.runs {
		run.tally.zone = c.Facts.Time.Location()
		what := run.decide(c)
		run.tally.decided(c, &run.call, &run.d, what)
		run.tally.labels.decided(c, run, what)
		if i == 0 && t.o.Each != nil {
			t.o.Each(fateOf(file, c, run, what))
		}
	}
	run := t.runs[0]
	o.seen = run
	o.decided(&run.d)
	switch {
	case len(t.runs) > 1:
		o.was, o.compared = verdictOf(&t.runs[1].d), true
	case c.recorded:
		o.was, o.compared = c.was, true
	}
	return t.add(file, o)
}

func fateOf(file string, c *Call, run *liveRun, what does) *Fate {
	f := &Fate{
		File: file, Line: c.Line, Time: c.Facts.Time, Caller: run.call.Caller.E164, Callee: c.Facts.Callee, Is: verdictOf(&run.d), Does: what.String(),
		Rings: run.rings, Tripped: run.call.Tripped, TrialBy: run.d.TrialBy, Fired: run.call.Trips,
	}
	if what != lets {
		f.By = run.d.By
	}
	if f.Caller == "" {
		f.Caller = c.Facts.Caller
	}
	if c.label.unwanted {
		if f.Label = c.label.campaign; f.Label == "" {
			f.Label = "unwanted"
		}
	}
	return f
}

// endLiveRuns takes what came of the detectors and labels into the report.
func (t *tally) endLiveRuns() {
	for i, run := range t.runs {
		run.finish()
		into := &t.report.LiveRun
		if i > 0 {
			into = &t.report.Against
		}
		into.Detectors = run.detectors()
		if l := &run.tally.labels; l.all[0].calls+l.all[1].calls > 0 {
			into.Labels = l.export(run.mind.judge.Policy)
		}
	}
	if n := t.report.Summary.OutOfOrder; n > 0 {
		t.report.Notes = append(t.report.Notes, fmt.Sprintf("%d %s stood so far behind later ones that they were decided after them, although detectors count in the order "+
			"of time: sort the records by when the calls came in, and name the files in that order", n, plural(n, "call")))
	}
}
