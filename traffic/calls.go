package traffic

import (
	"slices"
	"sync"
	"time"
)

// Bounds of what is remembered of calls.
const (
	maxCalls   = 50_000 // whose legs may still end
	maxCallKey = 256    // bytes; FreeSWITCH's have 36, Asterisk's about 45
	maxWaiting = 10_000 // that ended without a record
)

// Calls remembers calls by the switch's name for them, so that a leg of one of them is recognised when it ends. The oldest
// makes room for a new one. The zero value is empty.
type Calls[T any] struct {
	mu    sync.Mutex
	calls map[string]T
	order []string // a ring, once it is full
	next  int
	lost  uint64
}

// CallKey is the switch's name for a call. Two Asterisks may use the same Uniqueid, hardly with the same channel's name.
func CallKey(uuid, channel string) string {
	if channel == "" || uuid == "" {
		return uuid
	}
	return uuid + " " + channel
}

// Add remembers a call. One without a name, or with a name longer than any switch's, is not.
func (c *Calls[T]) Add(key string, call T) {
	if key == "" || len(key) > maxCallKey {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = make(map[string]T)
	}
	if _, there := c.calls[key]; !there {
		if len(c.order) < maxCalls {
			c.order = append(c.order, key)
		} else {
			delete(c.calls, c.order[c.next])
			c.order[c.next] = key
			c.next = (c.next + 1) % maxCalls
			c.lost++
		}
	}
	c.calls[key] = call
}

// Find gives a call that is remembered.
func (c *Calls[T]) Find(key string) (call T, ok bool) {
	if key == "" {
		return call, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call, ok = c.calls[key]
	return call, ok
}

// Change changes what is remembered of a call, if it still is.
func (c *Calls[T]) Change(key string, how func(call *T)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call, ok := c.calls[key]; ok {
		how(&call)
		c.calls[key] = call
	}
}

// Drop forgets calls that a function names, and says how many.
func (c *Calls[T]) Drop(which func(call *T) bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, call := range c.calls {
		if which(&call) {
			delete(c.calls, key) // its place in the order stays, and is given to another when its turn comes
			n++
		}
	}
	return n
}

// Waiting are things that wait for so long before somebody looks at them, in the order in which they came.
type Waiting[T any] struct {
	mu    sync.Mutex
	queue []waiting[T]
	over  uint64
}

type waiting[T any] struct {
	thing T
	since time.Time
}

// Add has a thing wait from now on, if there is room.
func (w *Waiting[T]) Add(thing T, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= maxWaiting {
		w.over++
		return
	}
	w.queue = append(w.queue, waiting[T]{thing, now})
}

// Due takes those that have waited so long.
func (w *Waiting[T]) Due(now time.Time, wait time.Duration) []T {
	w.mu.Lock()
	defer w.mu.Unlock()
	var due []T
	for len(due) < len(w.queue) && now.Sub(w.queue[len(due)].since) >= wait {
		due = append(due, w.queue[len(due)].thing)
	}
	w.queue = append(w.queue[:0], w.queue[len(due):]...)
	return due
}

// Drop forgets things that a function names, and says how many.
func (w *Waiting[T]) Drop(which func(thing *T) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.queue)
	w.queue = slices.DeleteFunc(w.queue, func(x waiting[T]) bool { return which(&x.thing) })
	return before - len(w.queue)
}

// Over is how many found no room.
func (w *Waiting[T]) Over() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over
}

// Lost is how many calls made room for others before their time.
func (c *Calls[T]) Lost() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}
