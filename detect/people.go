package detect

import (
	"cmp"
	"slices"
	"time"
)

// tick lets time pass: breakers go on, and what counts nothing any more is freed.
func (s *Set) tick(now time.Time) {
	s.clock.at(now)
	at := s.clock.time(s.clock.now)
	s.budgets.habits.tick(at)
	for _, d := range s.all {
		d.settleAll()
		if d.habits != nil {
			d.habits.tick(at)
		}
	}
}

func (d *detector) settleAll() {
	for i := range d.slots.all {
		at := int32(i)
		if !d.slots.all[i].used {
			continue
		}
		d.settleAt(at)
		if d.slots.idle(at) {
			d.slots.drop(at)
		}
	}
}

// breakers are those that are not closed or are pinned, and with all those that count something.
func (s *Set) breakers(name string, all bool, now time.Time) []Breaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.at(now)
	var found []Breaker
	for _, d := range s.all {
		if name != "" && d.Name != name {
			continue
		}
		from := len(found)
		for i := range d.slots.all {
			at := int32(i)
			if !d.slots.all[i].used {
				continue
			}
			d.settleAt(at)
			if e := &d.slots.all[i]; d.pins[e.key] == nil && (e.holds() || all && d.total(at) > 0) {
				found = append(found, d.breaker(at))
			}
		}
		for key := range d.pins {
			found = append(found, d.pinBreaker(key))
		}
		slices.SortFunc(found[from:], func(a, b Breaker) int {
			return cmp.Or(cmp.Compare(order(a), order(b)), a.Since.Compare(b.Since), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Trunk, b.Trunk))
		})
	}
	return found
}

// order puts what holds calls first.
func order(b Breaker) int {
	switch {
	case b.State == Tripped:
		return 0
	case b.State == Probing:
		return 1
	case b.Pinned != "":
		return 2
	}
	return 3
}

// pinBreaker is a pin as people see it.
func (d *detector) pinBreaker(key uint64) Breaker {
	at := d.slots.find(key)
	x := Breaker{Detector: d.Name, Trunk: d.set.trunkName(key), Key: d.keyText(key, at), State: Closed}
	if at >= 0 {
		x = d.breaker(at)
	}
	d.describe(&x, d.pins[key])
	return x
}
