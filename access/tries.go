package access

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/number"
)

// Tries to sign in are bounded by where they come from, and for each account. A bound on the account alone would let anybody keep its owner out, so
// it holds only from networks that the owner has not signed in from before, and its wait is short; passkeys and one-time links are not bound
// by it. A wait ends by itself, and what is tried meanwhile does not make it longer.

// limit is how tries are bounded.
type limit struct {
	free int           // tries without a wait
	most time.Duration // the wait doubles up to this, beginning with a second
}

var (
	byAddress = limit{free: 5, most: 15 * time.Minute}
	byAccount = limit{free: 10, most: 30 * time.Second}
	// Behind a proxy on this machine all come from one address, which says nothing of who they are.
	byLoopback = limit{free: 5, most: 30 * time.Second}
)

const (
	maxTries  = 10_000 // addresses or accounts that are remembered
	forgetTry = 15 * time.Minute
)

// TooMany says that there were too many tries, or too much to do; it is worth trying again after Wait.
type TooMany struct{ Wait time.Duration }

func (e *TooMany) Error() string {
	return fmt.Sprintf("too many tries: wait %d seconds", max(int(e.Wait.Round(time.Second)/time.Second), 1))
}

// tries are those of some thousand addresses or accounts. When there are more, of some that chance picks the one with the fewest tries gives way.
type tries struct {
	mu  sync.Mutex
	of  map[string]*try
	max int

	full, refused atomic.Uint64
}

type try struct {
	count float64   // one is forgotten each forgetTry
	at    time.Time // of count
	until time.Time // nothing is looked at before
}

func newTries(most int) *tries { return &tries{of: map[string]*try{}, max: most} }

// left is how many tries count now.
func (t *try) left(now time.Time) float64 {
	return max(t.count-max(float64(now.Sub(t.at))/float64(forgetTry), 0), 0)
}

// begin counts a try before it is known how it ends, since many may be under way at once. It gives how long to wait instead, 0 for not at all.
func (t *tries) begin(key string, l limit, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.of[key]
	if e == nil {
		if len(t.of) >= t.max {
			t.evict(now)
		}
		e = &try{at: now}
		t.of[strings.Clone(key)] = e
	}
	if wait := e.until.Sub(now); wait > 0 && wait <= l.most { // the clock may have been set back
		t.refused.Add(1)
		return wait
	}
	e.count, e.at = e.left(now)+1, now
	if over := int(e.count) - l.free; over >= 0 {
		e.until = now.Add(min(time.Second<<min(over, 20), l.most))
	}
	return 0
}

// forgive takes a try back that ended well; all of them with all.
func (t *tries) forgive(key string, all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.of[key]
	switch {
	case e == nil:
	case all || e.count <= 1:
		delete(t.of, key)
	default:
		e.count--
		e.until = time.Time{}
	}
}

func (t *tries) evict(now time.Time) {
	var least string
	var fewest float64
	n := 0
	for key, e := range t.of {
		left := e.left(now)
		if n == 0 || left < fewest {
			least, fewest = key, left
		}
		if n++; n == 16 {
			break
		}
	}
	if fewest > 0 {
		t.full.Add(1)
	}
	delete(t.of, least)
}

// network is what tells where somebody comes from: an address, or of IPv6 the 64 bits that one customer of a provider has.
func network(address string) (text string, loopback bool) {
	a, ok := ip(address)
	if !ok {
		return number.InertUpTo(address, maxName), false
	}
	if a.Is4() {
		return a.String(), a.IsLoopback()
	}
	p, _ := a.WithZone("").Prefix(64)
	return p.String(), a.IsLoopback()
}

func ip(address string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(address); err == nil {
		return a.Unmap(), true
	}
	a, err := netip.ParseAddrPort(address)
	return a.Addr().Unmap(), err == nil
}

// shownAddress is an address without the port.
func shownAddress(address string) string {
	if a, ok := ip(address); ok {
		return a.String()
	}
	return number.InertUpTo(address, maxName)
}
