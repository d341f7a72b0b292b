package cluster

import (
	"slices"
	"time"

	"ringfence/policy"
)

// Who dialled an emergency number may be called back by anybody for half an hour, on whichever node. A node that says so of all lines would have all calls
// pass, and leave no room for those who did: so it says it of few at a time, unless it is in policy_from. Calls of the emergency numbers themselves pass always.

// TableEmergency is the table of who dialled an emergency number.
const TableEmergency = "emergency"

const (
	maxCallbacksOf = 200 // of one node, within policy.CallbackWindow: more than all emergency calls of a small provider
	maxCallbacks   = 2000
)

// callback is who dialled an emergency number on another node.
type callback struct {
	node string
	at   int64 // milliseconds since 1970, of this node's clock
}

// expects looks at what one message of another node says of them.
type expects struct {
	c    *Cluster
	node string
	room int // for those of whom it was not said yet
	now  time.Time
}

func (c *Cluster) expects(node string, now time.Time) *expects {
	e := &expects{c, node, maxCallbacksOf, now}
	if slices.Contains(c.o.PolicyFrom, node) {
		return nil
	}
	oldest := now.Add(-policy.CallbackWindow).UnixMilli()
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, b := range c.callbacks {
		if b.at <= oldest || b.at > now.UnixMilli() {
			delete(c.callbacks, key)
		} else if b.node == node {
			e.room--
		}
	}
	e.room = min(e.room, maxCallbacks-len(c.callbacks))
	return e
}

// may reports whether somebody may be called back whom it names: of whom it was said within the half hour it may be said again.
func (e *expects) may(f *Fact) bool {
	if e == nil || f.At <= e.now.Add(-policy.CallbackWindow).UnixMilli() {
		return true
	}
	c, key := e.c, string(f.Key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.callbacks[key]; known {
		return true
	}
	if e.room <= 0 {
		return false
	}
	e.room--
	c.callbacks[key] = callback{e.node, e.now.UnixMilli()}
	return true
}

// notHearsay leaves out who dialled an emergency number by the word of another node: each says so itself, and what it is given on by others would count as theirs, and
// take the room of who called by them.
func (c *Cluster) notHearsay(facts []Fact) []Fact {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(facts), func(f Fact) bool {
		_, heard := c.callbacks[string(f.Key)]
		return heard && f.Table == TableEmergency
	})
}
