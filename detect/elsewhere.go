package detect

// NodeCount is what one node counts of a key, as it said.
type NodeCount struct {
	Node  string `json:"node"`
	Count int    `json:"count"`
}

// elsewhere fills in what is counted where.
func (d *detector) elsewhere(x *Breaker, at int32) {
	s := &d.slots.all[at]
	x.Elsewhere = d.nodeCounts(s.key)
	if len(x.Elsewhere) > 0 {
		x.Here = x.Count - int(s.far)
	}
}

func (d *detector) nodeCounts(key uint64) (all []NodeCount) {
	f := d.abroadOf(key, d.slots.hash(key))
	if f == nil {
		return nil
	}
	for i := range f.said {
		node := int(f.said[i].node)
		if n := d.reckoned(f, -1, node); n > 0 {
			all = append(all, NodeCount{d.set.peers[node].name, int(n)})
		}
	}
	return all
}

// kept is a breaker as it is kept and told: without what changes with each call.
func (b Breaker) kept() Breaker {
	b.Here, b.Elsewhere = 0, nil
	return b
}
