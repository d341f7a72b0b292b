package traffic

import (
	"sync"
	"time"
)

// maxHits bounds the entries that wait to be taken.
const maxHits = 50_000

// Hits counts how often the entries of lists decide calls, until somebody takes the counts to write them down. What was
// not taken is lost in a crash.
type Hits struct {
	mu      sync.Mutex
	all     map[hitOf]*Hit
	dropped uint64
}

type hitOf struct{ list, pattern string }

// Hit is how many calls an entry has decided since the last Take, and when the last of them was.
type Hit struct {
	List, Pattern string
	Count         uint64
	Last          time.Time
}

// Note counts a call that an entry decided.
func (h *Hits) Note(list, pattern string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := hitOf{list, pattern}
	hit := h.all[k]
	if hit == nil {
		if len(h.all) >= maxHits {
			h.dropped++
			return
		}
		if h.all == nil {
			h.all = make(map[hitOf]*Hit)
		}
		hit = &Hit{List: list, Pattern: pattern}
		h.all[k] = hit
	}
	hit.Count++
	hit.Last = at
}

// Take hands over what was counted and begins anew.
func (h *Hits) Take() []Hit {
	h.mu.Lock()
	all := h.all
	h.all = nil
	h.mu.Unlock()
	list := make([]Hit, 0, len(all))
	for _, hit := range all {
		list = append(list, *hit)
	}
	return list
}

// Drop counts calls whose hits could not be written down.
func (h *Hits) Drop(hits []Hit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hit := range hits {
		h.dropped += hit.Count
	}
}

// Dropped is how many calls' hits found no room, or were dropped.
func (h *Hits) Dropped() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dropped
}
