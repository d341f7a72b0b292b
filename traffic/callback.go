package traffic

import (
	"sync"
	"sync/atomic"
	"time"

	"ringfence/policy"
)

// maxEmergencies bounds who dialled an emergency number in the last half hour.
const maxEmergencies = 10_000

// Callbacks is who dialled an emergency number just now and may be called back.
type Callbacks struct {
	sink Sink
	most int

	mu   sync.Mutex
	last map[string]int64 // by PhoneKey
	n    atomic.Int64     // so that calls need no lock as long as there is none
	full atomic.Uint64
}

func newCallbacks(sink Sink) *Callbacks {
	return &Callbacks{sink: sink, most: maxEmergencies, last: make(map[string]int64)}
}

// Dialled notes that a phone, by its PhoneKey, dialled an emergency number, and tells the sink.
func (c *Callbacks) Dialled(key string, at time.Time) {
	if c.Expect(key, at, at) {
		c.sink.Keep(EmergencyFacts, key, at.UnixMilli())
	}
}

// Expect is Dialled without the sink, for what it has kept. It is false if there is no room, or if a later call is known.
func (c *Callbacks) Expect(key string, at, now time.Time) bool {
	ms := at.UnixMilli()
	c.mu.Lock()
	defer c.mu.Unlock()
	last, there := c.last[key]
	if there && last >= ms {
		return false
	}
	if !there && len(c.last) >= c.most {
		c.forget(now)
		if len(c.last) >= c.most {
			c.full.Add(1)
			return false
		}
	}
	c.last[key] = ms
	c.n.Store(int64(len(c.last)))
	return true
}

// awaits says when a key last dialled an emergency number.
func (c *Callbacks) awaits(key string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return moment(c.last[key])
}

// awaitsWhere is awaits for any of the keys that will do.
func (c *Callbacks) awaitsWhere(will func(key string) bool) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := int64(0)
	for key, at := range c.last {
		if at > last && will(key) {
			last = at
		}
	}
	return moment(last)
}

// Forget drops what has no effect any more.
func (c *Callbacks) Forget(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(now)
}

func (c *Callbacks) forget(now time.Time) {
	oldest := now.Add(-policy.CallbackWindow).UnixMilli()
	for key, at := range c.last {
		if at <= oldest {
			delete(c.last, key)
		}
	}
	c.n.Store(int64(len(c.last)))
}

// forgetNumber drops a phone with a number of its own, and says how often it was there.
func (c *Callbacks) forgetNumber(e164 string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.last {
		if IsPhone(key, e164) {
			delete(c.last, key)
			n++
		}
	}
	c.n.Store(int64(len(c.last)))
	return n
}

// Any reports whether anybody waits for a call-back.
func (c *Callbacks) Any() bool { return c.n.Load() > 0 }

// Len is how many phones wait for a call-back.
func (c *Callbacks) Len() int { return int(c.n.Load()) }

// Full is how many found no room.
func (c *Callbacks) Full() uint64 { return c.full.Load() }
