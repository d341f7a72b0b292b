package detect

// subs is how many sub-windows a window has. A count is exact to one of them: it holds what came within the eleven before, and
// within the one that is under way.
const subs = 12

// ring is a count over a sliding window, a number for each sub-window.
type ring struct {
	cur   uint32 // the sub-window that is under way, counted since 1970
	total int32
	n     [subs]int32
}

// live reports whether what was in a sub-window still counts in another.
func live(last, now uint32) bool { return now-last < subs || last > now }

// advance drops what is too old.
func (r *ring) advance(sub uint32) {
	switch {
	case sub <= r.cur:
	case sub-r.cur >= subs:
		*r = ring{cur: sub}
	default:
		for r.cur < sub {
			r.cur++
			at := &r.n[r.cur%subs]
			r.total -= *at
			*at = 0
		}
	}
}

// add counts so many now.
func (r *ring) add(sub uint32, k int32) {
	const most = 1 << 30 // it is only asked whether the trip is reached
	r.advance(sub)
	if r.total < most {
		r.n[r.cur%subs] += k
		r.total += k
	}
}

// at is the ring in a sub-window, and leaves it as it is: one that is not put on is idle some day.
func (r *ring) at(sub uint32) ring {
	x := *r
	x.advance(sub)
	return x
}

// take removes so many of a sub-window, as far as there are any.
func (r *ring) take(sub uint32, k int32) {
	if r.cur-sub >= subs {
		return
	}
	at := &r.n[sub%subs]
	k = min(k, *at)
	*at -= k
	r.total -= k
}

// without takes out what another ring of the same window holds.
func (r *ring) without(other *ring) {
	r.advance(other.cur)
	for back := uint32(0); back < subs && back <= other.cur; back++ {
		sub := other.cur - back
		r.take(sub, other.n[sub%subs])
	}
}
