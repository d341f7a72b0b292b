package daemon

import (
	"sync"

	"ringfence/policy"
)

// held counts the calls that hear an announcement now, by trunk, so that a campaign cannot fill a trunk
// with people listening to us.
type held struct {
	mu    sync.Mutex
	calls map[string]int // by trunk; one that holds none is not in it, so the table is as small as the traffic
	over  uint64         // calls that met a full trunk, since the start
}

// take makes room for one more call on a trunk that holds at most max, if it has any.
func (h *held) take(trunk string, max int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls[trunk] >= max {
		h.over++
		return false
	}
	if h.calls == nil {
		h.calls = make(map[string]int)
	}
	h.calls[trunk]++
	return true
}

func (h *held) release(trunk string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls[trunk]--; h.calls[trunk] <= 0 {
		delete(h.calls, trunk)
	}
}

// count is how many calls each trunk holds, and how many met a full one so far.
func (h *held) count() (calls map[string]int, over uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]int, len(h.calls))
	for trunk, n := range h.calls {
		out[trunk] = n
	}
	return out, h.over
}

// trunkOf is the trunk that a call's announcement occupies. Calls of trunks that the policy does not name
// share one: what ringfence_trunk or a caller could make up must not open a new account each time.
func trunkOf(p *policy.Policy, c *policy.Call) policy.Trunk {
	t := p.TrunkNamed(c.Trunk)
	if !t.Known {
		t.Name = ""
	}
	return t
}
