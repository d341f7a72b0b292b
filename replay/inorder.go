package replay

import (
	"strings"
	"time"
)

// Where the calls are decided in their own time they are put in order by it first: switches write a record when its call is over, so
// that a call of an hour stands behind all that came in meanwhile.
const (
	maxApartSorted = 4 * time.Hour
	maxSorted      = 1 << 15 // calls
	maxSortedText  = 16 << 20
)

// line is the calls that wait until no earlier one is expected.
type line struct {
	queue queue[*waiting]
	free  []*waiting
	text  int   // bytes of text that they hold
	last  int64 // when the last one came in that was let go
}

// waiting is one of them.
type waiting struct {
	file string
	call Call
	out  outcome
	text int
}

// await has a call wait for its turn, and decides on those whose turn it is.
func (t *tally) await(file string, o *outcome) error {
	l := t.line
	var w *waiting
	if n := len(l.free); n > 0 {
		w, l.free = l.free[n-1], l.free[:n-1]
	} else {
		w = new(waiting)
	}
	w.file, w.call, w.out = file, *o.call, *o
	w.out.call = &w.call
	w.text = w.call.own()
	l.text += w.text
	at := w.call.Facts.Time
	l.queue.put(at, w)
	for oldest := at.Add(-maxApartSorted).UnixNano(); ; {
		first, ok := l.queue.first()
		if !ok || first > oldest && len(l.queue.of) <= maxSorted && l.text <= maxSortedText {
			return nil
		}
		if err := t.next(); err != nil {
			return err
		}
	}
}

// next decides on the first call that waits.
func (t *tally) next() error {
	l := t.line
	at, _ := l.queue.first()
	w := l.queue.take()
	if at < l.last {
		t.report.Summary.OutOfOrder++
	}
	l.last = max(l.last, at)
	l.text -= w.text
	err := t.timely(w.file, &w.out)
	*w = waiting{}
	l.free = append(l.free, w)
	return err
}

// own has the texts of a call be its own, and no parts of a chunk, and says how long they are.
func (c *Call) own() (size int) {
	o := &c.origin
	for _, s := range []*string{
		&c.ID, &c.Facts.Caller, &c.Facts.Name, &c.Facts.Callee, &c.Facts.Trunk, &c.Facts.Attestation, &c.Facts.Other, &c.shown, &c.label.campaign, &c.was.Rule,
		&o.any, &o.switching.Named, &o.switching.Gateway, &o.switching.Endpoint, &o.switching.Profile,
	} {
		*s = strings.Clone(*s)
		size += len(*s)
	}
	return size
}
