package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"ringfence/console"
)

// Report says how this node stands with the others. It waits for nobody.
func (c *Cluster) Report() console.ClusterReport {
	now, live := c.o.Now(), c.live()
	c.mu.Lock()
	defer c.mu.Unlock()
	r := console.ClusterReport{
		Name: c.o.Name, Node: c.o.Node, Alone: !c.alone.IsZero(), Since: c.alone, Waiting: c.waits, Held: c.heldNow(now),
		Dropped: map[string]uint64{
			"garbled": c.counts.garbled.Load(), "numbers": c.counts.foreign.Load(), "refused": c.counts.refused.Load(), "full": c.counts.full.Load(),
		},
	}
	if c.o.Refused != nil {
		r.Dropped["rows"], r.Dropped["early"], r.NotTaken = c.o.Refused()
	}
	if c.o.SharePolicy && c.o.Self != nil {
		r.Shared, _, _ = c.o.Self()
	}
	if !r.Alone {
		r.Since = c.joined
	}
	if r.Why = ""; r.Alone || c.waits > 0 || now.Sub(c.denied) < deniedFor {
		r.Why = c.trouble
	}
	if !r.Alone {
		r.Server = c.server
	}
	if c.clamped {
		r.Clock = "the clock of this node is more than a minute ahead of those of all others: what is changed here is stamped by theirs. Set it right."
	}
	if c.noPolicy != "" && !r.Alone {
		r.Why = "the policy of this node is not that of the cluster: " + c.noPolicy
	}
	if c.stale {
		r.Why = "this node was away for too long, and takes all lists from the others before it gives any"
	}
	for _, name := range slices.Sorted(maps.Keys(c.peers)) {
		p := c.peers[name]
		n := console.ClusterNode{
			Name: name, Version: p.Version, Seen: p.heard, Lists: console.ListsSame, Since: p.same, Policy: p.Policy, Journal: p.Journal, Trouble: p.why,
		}
		if p.Loaded > 0 {
			n.Loaded = time.UnixMilli(p.Loaded)
		}
		switch {
		case p.Numbers != c.o.Numbers():
			n.Lists, n.Since = console.ListsOtherNumbers, time.Time{}
		case !p.differ.IsZero():
			n.Lists, n.Since = console.ListsDifferent, p.differ
		case p.same.IsZero():
			n.Lists = console.ListsUnknown
		}
		if !slices.Contains(live, name) {
			n.Alone = p.heard
		}
		if !p.behind.IsZero() {
			n.Lag = now.Sub(p.behind).Seconds()
		}
		r.Nodes = append(r.Nodes, n)
	}
	return r
}

// Leave forgets a node that has gone for good. One that is there would come back with its next word.
func (c *Cluster) Leave(_ context.Context, node string) error {
	if slices.Contains(c.live(), node) {
		return console.Conflict(fmt.Sprintf("the node %s has been heard within the last seconds: stop its daemon, or take [cluster] out of its file, and say it again some seconds later", node))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.peers[node]; !there {
		return console.NotFound(fmt.Sprintf("no node %s is known here: `ringfence cluster status` names them", node))
	}
	c.forget(node)
	return nil
}
