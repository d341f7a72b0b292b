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
	t.courses = []*course{newCourse(t.mind, t.o)}
	t.courses[0].tally.trip = t.o.Trip
	if t.against != nil {
		t.courses = append(t.courses, newCourse(t.against, t.o))
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
	for _, co := range t.courses {
		co.pass(c.Facts.Time)
	}
	switch o.way {
	case directionLocal:
		s.Internal++
		return nil
	case directionOut:
		s.Outgoing++
		for _, co := range t.courses {
			co.dialled(c)
		}
		return nil
	}
	if c.unreadable {
		return t.add(file, o)
	}
	for i, co := range t.courses {
		co.tally.zone = c.Facts.Time.Location()
		what := co.decide(c)
		co.tally.decided(c, &co.call, &co.d, what)
		co.tally.labels.decided(c, co, what)
		if i == 0 && t.o.Each != nil {
			t.o.Each(fateOf(file, c, co, what))
		}
	}
	co := t.courses[0]
	o.seen = co
	o.decided(&co.d)
	switch {
	case len(t.courses) > 1:
		o.was, o.compared = verdictOf(&t.courses[1].d), true
	case c.recorded:
		o.was, o.compared = c.was, true
	}
	return t.add(file, o)
}

func fateOf(file string, c *Call, co *course, what does) *Fate {
	f := &Fate{
		File: file, Line: c.Line, Time: c.Facts.Time, Caller: co.call.Caller.E164, Callee: c.Facts.Callee, Is: verdictOf(&co.d), Does: what.String(),
		Rings: co.rings, Tripped: co.call.Tripped, TrialBy: co.d.TrialBy, Fired: co.call.Trips,
	}
	if what != lets {
		f.By = co.d.By
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

// endCourses takes what came of the detectors and labels into the report.
func (t *tally) endCourses() {
	for i, co := range t.courses {
		co.finish()
		into := &t.report.Course
		if i > 0 {
			into = &t.report.Against
		}
		into.Detectors = co.detectors()
		if l := &co.tally.labels; l.all[0].calls+l.all[1].calls > 0 {
			into.Labels = l.export(co.mind.judge.Policy)
		}
	}
	if n := t.report.Summary.OutOfOrder; n > 0 {
		t.report.Notes = append(t.report.Notes, fmt.Sprintf("%d %s stood so far behind later ones that they were decided after them, although detectors count in the order "+
			"of time: sort the records by when the calls came in, and name the files in that order", n, plural(n, "call")))
	}
}
