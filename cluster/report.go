package cluster

import (
	"maps"
	"slices"
	"time"
)

// Report is how the cluster is, seen from this node.
type Report struct {
	Name, Node string
	Alone      bool
	Since      time.Time // since when it is alone
	Trouble    string    // why
	Server     string    // that it is connected to
	Stale      bool      // it was away for too long, and takes all lists before it gives any
	Clamped    bool      // its clock is far ahead of all others', and its stamps follow theirs
	Nodes      []Node
	Dropped    map[string]uint64 // messages and rows that were not taken, by reason
	Told       uint64            // the change that was told last
	Took, Gave uint64            // records
}

// Node is another node.
type Node struct {
	Name, Version string
	Heard         time.Time
	Live          bool
	Lag           time.Duration // how long what it told last has not been taken here
	Same          bool          // its lists were the same when they were compared last
	Differ        time.Time     // since when they are not
	Numbers       bool          // it reads numbers as this node does
	Ahead         time.Duration // its clock before this node's
	Stale         bool
	Trouble       string
}

// Report says how the cluster is.
func (c *Cluster) Report() Report {
	now, live := c.o.Now(), c.live()
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{
		Name: c.o.Name, Node: c.o.Node, Alone: !c.alone.IsZero(), Since: c.alone, Stale: c.stale, Clamped: c.clamped, Told: c.told,
		Took: c.counts.took.Load(), Gave: c.counts.gave.Load(),
		Dropped: map[string]uint64{
			"garbled": c.counts.garbled.Load(), "numbers": c.counts.foreign.Load(), "refused": c.counts.refused.Load(), "full": c.counts.full.Load(),
		},
	}
	if r.Alone {
		r.Trouble = c.trouble
	}
	if c.nc != nil {
		r.Server = c.nc.ConnectedUrlRedacted()
	}
	for _, name := range slices.Sorted(maps.Keys(c.peers)) {
		p := c.peers[name]
		n := Node{
			Name: name, Version: p.Version, Heard: p.heard, Live: slices.Contains(live, name), Same: p.differ.IsZero(), Differ: p.differ,
			Numbers: p.Numbers == c.o.Numbers(), Ahead: p.ahead.Round(time.Second), Stale: p.here.Stale, Trouble: p.why,
		}
		if !p.behind.IsZero() {
			n.Lag = now.Sub(p.behind)
		}
		r.Nodes = append(r.Nodes, n)
	}
	return r
}
