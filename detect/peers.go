package detect

import (
	"slices"
	"strings"
)

// staleEpoch is for how long a node's former start is believed to be over, in milliseconds. One whose clock was put back has to be silent so long.
const staleEpoch = 60_000

// Gone forgets what a node has said: it is known that it is not there any more.
func (s *Set) Gone(node string) {
	t := s.lock()
	defer t.mu.Unlock()
	for i := range t.peers {
		if t.peers[i].name == node && node != "" {
			p := &t.peers[i]
			p.name, p.epoch, p.starts = "", 0, p.starts+1
		}
	}
}

// peerOf is the number of a node, -1 for one that is not listened to.
func (s *Set) peerOf(name string, epoch uint64, at int64) int {
	now := s.clock.now
	if !plain(name, mostNode) || name == "" || at < 0 {
		return -1
	}
	who := slices.IndexFunc(s.peers[:], func(p peer) bool { return p.name == name })
	if who < 0 {
		// One of whom nothing is kept makes room, once it has been silent for a while.
		if who = slices.IndexFunc(s.peers[:], func(p peer) bool { return p.name == "" || p.shares == 0 && now-p.heard >= staleEpoch }); who < 0 {
			return -1
		}
		p := &s.peers[who]
		p.name, p.epoch, p.starts = strings.Clone(name), epoch, p.starts+1
		s.tellAll(false)
	}
	p := &s.peers[who]
	switch {
	case epoch < p.epoch && now-p.heard < staleEpoch:
		return -1
	case epoch != p.epoch:
		p.epoch, p.starts = epoch, p.starts+1 // all that it said before is void
		s.tellAll(false)
	}
	p.heard = now
	return who
}

// takeAbroad takes over what other nodes have said, if it means the same.
func (d *detector) takeAbroad(e *detector) {
	if d.anews = e.anews; d.form() != e.form() {
		for i := range d.slots.all {
			d.slots.all[i].far = 0
		}
		return
	}
	if d.abroad, d.told = e.abroad, e.told; d.abroad == nil {
		return
	}
	d.abroad.stale = true
	clear(d.abroad.bits[:])
	for _, f := range d.abroad.list {
		f.hash = d.slots.hash(f.key)
		d.abroad.mark(f)
	}
}

// recountPeers counts what is kept of each node.
func (s *Set) recountPeers() {
	for i := range s.peers {
		s.peers[i].shares, s.peers[i].things = 0, 0
	}
	for _, d := range s.all {
		if d.abroad == nil {
			continue
		}
		for _, f := range d.abroad.list {
			for i := range f.said {
				p := &s.peers[f.said[i].node]
				p.shares++
				p.things += f.said[i].things
			}
		}
	}
}

// forgetAbroad drops what other nodes have said of a number. They will say it again, unless it is dropped there as well.
func (d *detector) forgetAbroad(number, mark uint64) (n int) {
	for key := range d.told {
		if d.isNumber(key&keyMask, number) {
			delete(d.told, key)
		}
	}
	for key := range d.acts {
		if d.isNumber(key&keyMask, number) {
			delete(d.acts, key)
		}
	}
	for key := range d.closings {
		if d.isNumber(key&keyMask, number) {
			delete(d.closings, key)
		}
	}
	if d.abroad == nil {
		return 0
	}
	for _, f := range d.abroad.list {
		whole, had := d.isNumber(f.key&keyMask, number), n
		for i := range f.said {
			w := &f.said[i]
			before := len(w.what)
			w.what = slices.DeleteFunc(w.what, func(t heard) bool { return whole || t.id != 0 && isOf(t.id, number, mark) })
			n += before - len(w.what)
			if whole {
				w.n, w.where, w.now = nil, nil, 0
				n++
			}
		}
		if n > had {
			d.merge(f)
			d.reckon(f)
		}
	}
	return n
}
