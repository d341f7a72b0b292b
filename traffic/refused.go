package traffic

import (
	"sync"
	"time"
)

// Refused knows who was refused within the last seconds: the next refusal can be brief.
type Refused struct {
	mu   sync.Mutex
	last map[pair]time.Time // emptied when it is full
	full uint64             // times that it was
}

const (
	repeatSpan = 10 * time.Second
	maxRepeats = 4096
)

// clear forgets all of them.
func (r *Refused) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = nil
}

// Again notes a refusal and reports whether the same caller was refused just before.
func (r *Refused) Again(address, caller string, now time.Time) bool {
	key := pair{address, Cut(caller)}
	r.mu.Lock()
	defer r.mu.Unlock()
	before, ok := r.last[key]
	full := !ok && len(r.last) >= maxRepeats
	if full {
		r.full++
	}
	if full || r.last == nil {
		r.last = make(map[pair]time.Time)
	}
	r.last[key] = now
	return ok && now.Sub(before) < repeatSpan
}

// Full counts how often all were forgotten because there were too many.
func (r *Refused) Full() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full
}
