package detect

import "ringfence/policy"

// explain says what each detector has to say of a call.
func (s *Set) explain(x *Subject) []Finding {
	var n Count
	s.called(&n, x, true)
	var all []Finding
	for i, d := range s.all {
		all = append(all, d.finding(&n, n.protected.Has(i)))
	}
	return all
}

func (d *detector) finding(n *Count, protected bool) Finding {
	f := Finding{Breaker: Breaker{Detector: d.Name, State: Closed, Trunk: d.set.trunks.name(int(n.id.trunk))}, Protected: protected}
	if d.Mode == policy.Observe {
		f.Trial = "on trial"
	}
	var room [maxLevels]uint64
	path := d.path(&n.id, room[:0])
	switch {
	case protected:
		f.Text = d.Name + ": this caller is never counted and never touched"
		return f
	case len(path) == 0:
		f.Text = d.Name + ": there is nothing to count such a call by"
		return f
	}
	trunk := f.Trunk
	b, key, at := d.holder(&n.id)
	if b == nil {
		key, at = d.fullest(path)
	}
	if at >= 0 {
		f.Breaker = d.breaker(at)
	} else {
		f.Key, f.Elsewhere = d.keyText(key, at), d.nodeCounts(key)
		if f.Key == "" {
			f.Key = n.id.text
		}
	}
	f.Trunk = trunk
	now := d.measure(key, d.levelOf(path, key), at)
	f.Count, f.Trip = int(now.n), int(now.limit)
	if pin := d.pin(key); pin != nil {
		d.describe(&f.Breaker, pin)
		f.Text = d.Name + ": " + f.Key + " is held " + f.Pinned
		if pin.by != "" {
			f.Text += " by " + pin.by
		}
		return f
	}
	f.Text = d.Name + ": " + f.Key + " " + f.State + ", "
	if f.State != Closed {
		f.Text += f.Why
	} else {
		f.Text += d.why(&now)
	}
	if f.State == Probing && !n.Tripped.Has(d.number) {
		f.Text += "; this call would be let through to see whether it is over"
	}
	return f
}

// fullest is the key of a call that is nearest to its trip.
func (d *detector) fullest(path []uint64) (key uint64, at int32) {
	key, at = path[len(path)-1], d.slots.find(path[len(path)-1])
	most := -1.0
	for level := len(path) - 1; level >= 0; level-- {
		if i := d.slots.find(path[level]); i >= 0 {
			if part := float64(d.total(i)) / float64(max(d.trip(uint8(level)), 1)); part > most {
				key, at, most = path[level], i, part
			}
		}
	}
	return key, at
}

func (d *detector) levelOf(path []uint64, key uint64) int {
	for level := range path {
		if path[level] == key {
			return level
		}
	}
	return 0
}
