package replay

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"ringfence/policy"
)

// Options say what calls are run through and what is wanted of it.
type Options struct {
	Judge   *Judge
	Against *Judge // nil: calls of a journal are compared with what was decided then, others with nothing

	Keep     int                 // how many changed verdicts the report lists at most
	Change   func(*Change) error // if set, gets every changed verdict, in the order of the calls, and the report lists none
	Progress func(calls uint64)  // if set, is called now and then; Source.Read says how far the files are
	// Meet, if set, is told of each line to which a call made a number known, and from when on; the line is "" for one of a phone that is on
	// none. The text of the number is a part of a larger one. All that people talked counts then, whatever the policy says, but for
	// calls that a journal has as stopped, or that would have been but for a trial.
	Meet    func(line, number string, at time.Time)
	Workers int // how many decide at once; 0: as many as there are processors, 8 at most

	// Where a policy has detectors, or a file says which calls were wanted (Columns.Label), the calls are decided in their own time.
	WantedPass bool        // who is labelled as wanted passes a challenge, and is remembered for it; else nobody passes one
	Each       func(*Fate) // if set, gets every call that came in, as they are decided
	Trip       func(*Trip) // if set, gets every trip of Judge's detectors, as it comes
	timely     bool
}

// inTime reports whether the calls are decided in their own time.
func (o *Options) inTime(sources []*Source) bool {
	if o.Meet != nil {
		return false
	}
	for _, j := range []*Judge{o.Judge, o.Against} {
		if j != nil && len(j.Policy.Detectors()) > 0 {
			return true
		}
	}
	for _, s := range sources {
		if s.labelled() {
			return true
		}
	}
	return false
}

// ordered reports whether the calls before one count.
func (o *Options) ordered() bool { return o.timely || o.asksKnown() }

func (o *Options) mind(j, other *Judge, memory int) *mind {
	if other == nil {
		return newMind(j, nil, memory)
	}
	return newMind(j, other.Policy, memory)
}

// asksKnown reports whether a policy asks for known callers, or for those who call again. Then the calls before one count.
func (o *Options) asksKnown() bool {
	asks := func(p *policy.Policy) bool { return p.KnownWindow() > 0 || p.AgainWindow() > 0 }
	return o.Meet != nil || asks(o.Judge.Policy) || o.Against != nil && asks(o.Against.Policy)
}

// turns reports whether the calls are to be read from the end of the file, where the oldest are, and can be.
func (s *Source) turns() bool { return s.newest && s.file != nil && !s.decoded }

// job is a chunk on its way.
type job struct {
	chunk    chunk
	reading  reading
	outcomes []outcome
	done     chan struct{} // gets one token when the outcomes are there
}

// Run runs the calls of the sources through the policies. It ends early when ctx does, when a source cannot be
// read on, or when o.Change gives an error, and returns that error.
func Run(ctx context.Context, sources []*Source, o Options) (*Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.Workers <= 0 {
		o.Workers = min(runtime.GOMAXPROCS(0), 8)
	}
	if o.timely = o.inTime(sources); o.timely {
		sources = earliestFirst(sources)
	}
	// All jobs there are: what bounds the memory.
	free := make(chan *job, 3*o.Workers)
	for range cap(free) {
		free <- &job{done: make(chan struct{}, 1)}
	}
	work, order := make(chan *job, cap(free)), make(chan *job, cap(free))
	var running sync.WaitGroup
	running.Go(func() {
		defer close(work)
		defer close(order)
		for _, s := range sources {
			read := s.chunks
			if o.ordered() && s.turns() {
				read = s.backwards
			}
			err := read(func(c chunk) bool {
				select {
				case j := <-free:
					j.chunk = c
					work <- j // there is room: it is as large as all jobs
					order <- j
					return true
				case <-ctx.Done():
					return false
				}
			})
			if err != nil {
				cancel(err)
			}
			if ctx.Err() != nil {
				return
			}
		}
	})
	for range o.Workers {
		running.Go(func() {
			w := newWorker(&o)
			for j := range work {
				w.do(j)
				j.done <- struct{}{}
			}
		})
	}
	t := newTally(&o)
	for j := range order {
		<-j.done
		if ctx.Err() == nil {
			if err := t.chunk(j); err != nil {
				cancel(err)
			}
		}
		free <- j
	}
	running.Wait()
	if ctx.Err() == nil {
		if err := t.rest(); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := t.finish()
	r.Notes = append(r.Notes, o.turnNotes(sources)...)
	return r, nil
}

// turnNotes says of files with the newest calls first that cannot be read from their end.
func (o *Options) turnNotes(sources []*Source) (notes []string) {
	for _, s := range sources {
		if o.ordered() && s.newest && !s.turns() {
			notes = append(notes, fmt.Sprintf("%s has the newest calls first, and can be read only once: known_caller finds nobody there, for the calls before "+
				"one count. Give a file of UTF-8, or the oldest calls first", s.Name))
		}
	}
	return notes
}

// rest decides on all calls that wait still.
func (t *tally) rest() error {
	if err := t.settle(true); err != nil {
		return err
	}
	return t.empty()
}

// earliestFirst are the files in the order of their first calls, if all of them show when that was.
func earliestFirst(sources []*Source) []*Source {
	if slices.ContainsFunc(sources, func(s *Source) bool { return s.first.IsZero() }) {
		return sources
	}
	sources = slices.Clone(sources)
	slices.SortStableFunc(sources, func(a, b *Source) int { return a.first.Compare(b.first) })
	return sources
}

// chunk adds up the calls of a chunk.
func (t *tally) chunk(j *job) error {
	if f := j.reading.ends; f != nil {
		return fmt.Errorf("%s:%d: %s", f.File, f.Line, f.Text)
	}
	s := &t.report.Summary
	s.Rows += uint64(j.reading.rows)
	s.Bad += uint64(j.reading.bad)
	s.Skipped += j.reading.kinds[kindOther]
	s.Parts += j.reading.kinds[kindLeg]
	s.Tests += j.reading.kinds[kindTest]
	if room := maxFaults - len(t.report.Faults); room > 0 {
		t.report.Faults = append(t.report.Faults, j.reading.faults[:min(room, len(j.reading.faults))]...)
	}
	if j.chunk.last {
		slices.Reverse(j.outcomes)
	}
	for i := range j.outcomes {
		if err := t.join(j.chunk.source.Name, &j.outcomes[i]); err != nil {
			return err
		}
	}
	if t.o.Progress != nil {
		t.o.Progress(s.Calls)
	}
	return t.settle(false)
}

// worker decides on the calls of one chunk after the other.
type worker struct {
	o             *Options
	mind, against *mind // against is nil without a second policy
}

func newWorker(o *Options) *worker {
	w := &worker{o: o, mind: o.mind(o.Judge, o.Against, workerMemory)}
	if o.Against != nil {
		w.against = o.mind(o.Against, o.Judge, workerMemory)
	}
	return w
}

// do reads a chunk and decides on its calls.
func (w *worker) do(j *job) {
	j.chunk.read(&j.reading)
	j.outcomes = j.outcomes[:0]
	for i := range j.reading.calls {
		if w.o.timely {
			c := &j.reading.calls[i]
			call := w.mind.call(c)
			j.outcomes = append(j.outcomes, see(w.mind, c, &call))
			continue
		}
		out := judge(w.mind, w.against, &j.reading.calls[i])
		if w.o.Change != nil && out.changed() && !w.o.asksKnown() {
			out.change = w.mind.changeOf(j.chunk.source.Name, &out)
		}
		j.outcomes = append(j.outcomes, out)
	}
}

// judge is what one or two policies say to a call; against is nil if there is one. A call that did not come in, or
// whose caller cannot be read, is not screened.
func judge(m, against *mind, c *Call) outcome {
	call := m.call(c)
	out := see(m, c, &call)
	if out.way != directionIn || c.unreadable {
		return out
	}
	d := m.decision(&call)
	out.decided(&d)
	switch {
	case against != nil:
		_, was := against.decide(c)
		out.was, out.compared = verdictOf(&was), true
	case c.recorded:
		out.was, out.compared = c.was, true
	}
	return out
}

// see is what a call is, before anything is decided on.
func see(m *mind, c *Call, call *policy.Call) outcome {
	out := outcome{call: c, number: call.Caller, withheld: call.Withheld, way: m.way(c, call)}
	if out.callee = hash(hashStart, call.Callee.E164); call.Callee.E164 == "" {
		out.callee = hash(hashStart, call.Callee.Raw)
	}
	return out
}
