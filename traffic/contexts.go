package traffic

import "sync"

// Contexts are those of the dialplan whose calls are screened, as far as there were any; FreeSWITCH's calls from outside
// come into public.
type Contexts struct {
	mu    sync.Mutex
	names map[string]bool
	full  uint64 // times that one found no room
}

// maxContexts bounds them; the administrator makes them, a few.
const maxContexts = 256

// See notes a context, if there is room.
func (c *Contexts) See(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == "" || c.names[name] {
		return
	}
	if len(c.names) >= maxContexts {
		c.full++
		return
	}
	if c.names == nil {
		c.names = make(map[string]bool)
	}
	c.names[name] = true
}

// Full counts how often a context found no room.
func (c *Contexts) Full() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.full
}

// Has reports whether the calls of a context are screened.
func (c *Contexts) Has(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return name == "public" || c.names[name]
}
