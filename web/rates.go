package web

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often one may ask: many at once, as a page with its files is, and then so many a second.
const (
	ratePerSecond = 50
	rateAtOnce    = 300
	rateOfProxy   = 10    // times as often, of nobody from this machine: a proxy here may stand for all who have yet to sign in
	maxRates      = 20000 // whose count is kept
)

// rates counts how often each asks. Whom there is no room for pushes out who asked longest ago, whose count has most likely run full again.
type rates struct {
	now func() time.Time

	mu      sync.Mutex
	by      map[string]*list.Element // of *rated
	order   list.List                // who asked last is in front
	evicted uint64
}

// ofAddress begins the keys of those who are nobody, before their address.
const ofAddress = "address "

type rated struct {
	key   string
	limit *rate.Limiter
}

func newRates(now func() time.Time) *rates {
	return &rates{now: now, by: map[string]*list.Element{}}
}

// allow reports whether one more is not too often, or how long to wait.
func (r *rates) allow(key string) (wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, there := r.by[key]
	if there {
		r.order.MoveToFront(at)
	} else {
		if len(r.by) >= maxRates {
			last := r.order.Back()
			r.order.Remove(last)
			delete(r.by, last.Value.(*rated).key)
			r.evicted++
		}
		times := 1
		if address, is := strings.CutPrefix(key, ofAddress); is && local(address) {
			times = rateOfProxy
		}
		at = r.order.PushFront(&rated{key, rate.NewLimiter(rate.Limit(times*ratePerSecond), times*rateAtOnce)})
		r.by[key] = at
	}
	now := r.now()
	reservation := at.Value.(*rated).limit.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return wait, false
	}
	return 0, true
}
