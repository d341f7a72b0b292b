package desk

import (
	"context"
	"sync"
	"time"

	"ringfence/console"
)

// Questions to the journal take a processor each, and calls are decided on the same ones: so few are looked into at once, those that may take long apart,
// and nobody has all others wait behind a heap of their own.
const (
	looks     = 2                // at once
	longLooks = 1                // besides, of those that were asked to look longer than usual
	looksEach = 8                // of one who asks, those that wait included
	looksWait = 15 * time.Second // for a place
)

// looking are those who look through the journal.
type looking struct {
	places, long chan struct{} // hold a token for each

	mu sync.Mutex
	of map[string]int // by who asks; who asks nothing now is not there
}

func newLooking() *looking {
	return &looking{places: make(chan struct{}, looks), long: make(chan struct{}, longLooks), of: make(map[string]int)}
}

// begin waits for a place. Who has one calls done.
func (l *looking) begin(ctx context.Context, long bool) (done func(), err error) {
	who, places := "", l.places
	if w := console.WhoOf(ctx); w != nil {
		who = w.Way + " " + w.Name
	}
	if long {
		places = l.long
	}
	if !l.enter(who) {
		return nil, console.Conflict("so many of your questions are being looked into already: wait for them")
	}
	timeout := time.NewTimer(looksWait)
	defer timeout.Stop()
	select {
	case places <- struct{}{}:
		return func() { <-places; l.leave(who) }, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = console.Conflict("too many are looking through the calls at this moment: try again in a moment")
	}
	l.leave(who)
	return nil, err
}

func (l *looking) enter(who string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if who != "" && l.of[who] >= looksEach {
		return false
	}
	l.of[who]++
	return true
}

func (l *looking) leave(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[who]--; l.of[who] == 0 {
		delete(l.of, who)
	}
}
