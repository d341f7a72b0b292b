package access

import (
	"strings"
	"sync"
	"time"
)

// What is tried in vain comes to the audit as well, and whoever tries all the time must neither push everything else out nor use up the room in which
// others' tries would be seen.

const (
	maxFailed   = 1200 // failures within failedSpan that come to the audit, of all addresses
	maxFailedOf = 30   // of one
	fewFailedOf = 3    // of one, once half of maxFailed is used: then many are at it, and of each something shall be seen
	failedSpan  = time.Hour
)

// failures are those within failedSpan, by where they come from.
type failures struct {
	mu    sync.Mutex
	since time.Time
	noted int
	of    map[string]*failed // maxTries at most; where there is no room for one more they are "others"
}

type failed struct{ noted, left int }

// leftOut is what found no room.
type leftOut struct {
	since            time.Time
	tries, addresses int
	most             int
	loudest          string // where most came from
}

const otherAddresses = "others"

// take reports whether there is room in the audit for a failure, and gives what found none in the hour that is over with it.
func (f *failures) take(from string, now time.Time) (room bool, gone *leftOut) {
	gone = f.end(now, false)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.since, f.noted, f.of = now, 0, map[string]*failed{}
	}
	of := f.of[from]
	if of == nil {
		if len(f.of) >= maxTries {
			from = otherAddresses
		}
		if of = f.of[from]; of == nil {
			of = &failed{}
			f.of[strings.Clone(from)] = of
		}
	}
	most := maxFailedOf
	if f.noted >= maxFailed/2 {
		most = fewFailedOf
	}
	if of.noted >= most || f.noted >= maxFailed {
		of.left++
		return false, gone
	}
	of.noted++
	f.noted++
	return true, gone
}

// end ends the hour if it is over, or in any case with all, and gives what found no room in it; nil for nothing.
func (f *failures) end(now time.Time, all bool) *leftOut {
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := now.Sub(f.since); f.of == nil || !all && age >= 0 && age < failedSpan { // the clock may have been set back
		return nil
	}
	gone := &leftOut{since: f.since}
	for from, of := range f.of {
		if of.left == 0 {
			continue
		}
		gone.tries += of.left
		gone.addresses++
		if of.left > gone.most {
			gone.most, gone.loudest = of.left, from
		}
	}
	f.of = nil
	if gone.tries == 0 {
		return nil
	}
	return gone
}
