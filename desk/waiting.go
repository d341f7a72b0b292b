package desk

import (
	"strings"
	"sync"
	"time"

	"ringfence/marks"
	"ringfence/storage"
)

// waiting has in memory what marks wait for a decision, for the score of calls: by caller and customer, and when each was made last. It is as bounded as
// the reports are.
type waiting struct {
	mu    sync.RWMutex
	marks map[string]map[string]time.Time // by the caller's name, see markName
}

// markName is under what the marks of a caller are counted, be it of their number or of their token.
func (d *Desk) markName(e164 string) string {
	if d.o.Private != nil {
		return d.o.Private.Name(e164)
	}
	return e164
}

// noteWaiting has a report as it is now count, or not any more.
func (d *Desk) noteWaiting(r *storage.Report) {
	name := d.markName(callerKey(r))
	d.waiting.mu.Lock()
	defer d.waiting.mu.Unlock()
	of := d.waiting.marks[name]
	switch {
	case r.State != storage.ReportOpen:
		if delete(of, r.Owner()); len(of) == 0 {
			delete(d.waiting.marks, name)
		}
	case of == nil:
		if d.waiting.marks == nil {
			d.waiting.marks = make(map[string]map[string]time.Time)
		}
		d.waiting.marks[name] = map[string]time.Time{r.Owner(): r.LastTime()}
	default:
		of[r.Owner()] = r.LastTime()
	}
}

// dropWaiting forgets the marks of a caller, as reports have them.
func (d *Desk) dropWaiting(caller string) {
	name := d.markName(caller)
	d.waiting.mu.Lock()
	defer d.waiting.mu.Unlock()
	delete(d.waiting.marks, name)
}

// readWaiting reads them, before anybody marks or decides.
func (d *Desk) readWaiting() error {
	return d.db.Reports(storage.ReportOpen, func(r storage.Report) error { d.noteWaiting(&r); return nil })
}

// MarksOf is what the marks of a number that wait for a decision count at a time: each customer's 1 when it is new. It does not wait.
func (d *Desk) MarksOf(e164 string, at time.Time) (sum float64) {
	d.waiting.mu.RLock()
	defer d.waiting.mu.RUnlock()
	if len(d.waiting.marks) == 0 {
		return 0
	}
	for _, last := range d.waiting.marks[d.markName(e164)] {
		sum += marks.Fade(at.Sub(last))
	}
	return sum
}

// markedAfter reports whether a customer's mark of a number waits that was made after a moment.
func (d *Desk) markedAfter(e164, customer string, at time.Time) bool {
	d.waiting.mu.RLock()
	defer d.waiting.mu.RUnlock()
	if len(d.waiting.marks) == 0 {
		return false
	}
	return d.waiting.marks[d.markName(e164)][customer].After(at)
}

// IsMarkedFact reports whether what another node has learnt, of whom a line deals with or who passed a challenge on its way, is from before a mark that this line's
// customer made, and that waits: the other node may not have heard of that yet.
func (d *Desk) IsMarkedFact(key string, at time.Time) bool {
	line, caller, isPair := strings.Cut(key, "\x00")
	if !isPair {
		return false
	}
	customer, there := d.force.Rules().Policy.CustomerOfKey(line)
	if !there {
		customer = storage.NoLine
	}
	d.waiting.mu.RLock()
	defer d.waiting.mu.RUnlock()
	return d.waiting.marks[caller][customer].After(at)
}
