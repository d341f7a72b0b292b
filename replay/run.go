package replay

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"ringfence/policy"
)

// Options say what calls are run through and what is wanted of it.
type Options struct {
	Judge   *Judge
	Against *Judge // nil: calls of a journal are compared with what was decided then, others with nothing

	Keep     int                 // how many changed verdicts the report lists at most
	Change   func(*Change) error // if set, gets every changed verdict, in the order of the calls, and the report lists none
	Progress func(calls uint64)  // if set, is called now and then; Source.Read says how far the files are
	Workers  int                 // how many decide at once; 0: as many as there are processors, 8 at most
}

func (o *Options) mind(j, other *Judge, memory int) *mind {
	if other == nil {
		return newMind(j, nil, memory)
	}
	return newMind(j, other.Policy, memory)
}

// asksKnown reports whether a policy asks for known callers, or for those who call again. Then the calls before one count.
func (o *Options) asksKnown() bool {
	asks := func(p *policy.Policy) bool { return p.KnownWindow() > 0 || p.AgainWindow() > 0 }
	return asks(o.Judge.Policy) || o.Against != nil && asks(o.Against.Policy)
}

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
			err := s.chunks(func(c chunk) bool {
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
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return t.finish(), nil
}

// chunk adds up the calls of a chunk.
func (t *tally) chunk(j *job) error {
	for _, f := range j.reading.faults {
		if f.Text == faultPrivate {
			return fmt.Errorf("%s:%d: %s", f.File, f.Line, f.Text)
		}
	}
	s := &t.report.Summary
	s.Bad += uint64(j.reading.bad)
	s.Skipped += uint64(j.reading.skipped)
	if room := maxFaults - len(t.report.Faults); room > 0 {
		t.report.Faults = append(t.report.Faults, j.reading.faults[:min(room, len(j.reading.faults))]...)
	}
	for i := range j.outcomes {
		if t.o.asksKnown() {
			t.again(&j.outcomes[i])
		}
		if err := t.add(j.chunk.source.Name, &j.outcomes[i]); err != nil {
			return err
		}
		if t.o.asksKnown() {
			t.learn(j.outcomes[i].call)
		}
	}
	if t.o.Progress != nil {
		t.o.Progress(s.Calls)
	}
	return nil
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
		c := &j.reading.calls[i]
		call, d := w.mind.decide(c)
		out := outcome{call: c, number: call.Caller, withheld: call.Withheld}
		out.decided(&d)
		if out.callee = hash(hashStart, call.Callee.E164); call.Callee.E164 == "" {
			out.callee = hash(hashStart, call.Callee.Raw)
		}
		switch {
		case w.against != nil:
			_, was := w.against.decide(c)
			out.was, out.compared = verdictOf(&was), true
		case c.recorded:
			out.was, out.compared = c.was, true
		}
		if w.o.Change != nil && out.changed() && !w.o.asksKnown() {
			out.change = w.mind.changeOf(j.chunk.source.Name, &out)
		}
		j.outcomes = append(j.outcomes, out)
	}
}
