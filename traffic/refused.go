package traffic

import (
	"sync"
	"time"
)

// Refused knows who was refused within the last seconds: the next refusal can be brief.
type Refused struct {
	mu   sync.Mutex
	last map[pair]time.Time // emptied when it is full
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
	if !ok && len(r.last) >= maxRepeats || r.last == nil {
		r.last = make(map[pair]time.Time)
	}
	r.last[key] = now
	return ok && now.Sub(before) < repeatSpan
}
