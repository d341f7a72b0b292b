package detect

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ringfence/policy"
)

// peer is another node, by what it has said.
type peer struct {
	name   string // "": nobody
	epoch  uint64 // of its latest start
	starts uint32 // tells what it says now from what it, or a node that had its place, said before it started
	heard  int64  // when
	shares int    // that are kept of it
	things int
}

// abroad is what the other nodes have said of a detector's keys. It stands beside what is counted here, and never goes into it.
type abroad struct {
	of   map[uint64]*foreign
	list []*foreign
	bits [1024]uint64 // of keys that may be among them: nearly always one that is asked for is not

	swept uint32 // when those that have faded were forgotten last

	hand  int        // of reckonSome
	held  []*foreign // those of which the breaker holds here
	stale bool       // held is to be found again
}

// foreign is what the other nodes have said of one key.
type foreign struct {
	key    uint64
	hash   uint64
	said   []said
	things []heard // of all of them, each once, those of a called number together and the oldest first
	sub    uint32  // when it was reckoned last
	n      int32   // what it came to
}

// said is what one node has said.
type said struct {
	node   uint8
	held   bool
	starts uint32 // of the node
	things int
	at     int64        // by its clock, when it said so
	heldAt int64        // by its clock, since when its breaker is known to hold
	since  int64        // since when it counts
	now    int32        // calls under way
	heard  int64        // when it was heard
	cur    uint32       // the latest sub-window
	n      *[subs]int32 // what adds up, nil for nothing
	where  *spread      // of a range
	what   []heard
}

// heard is a thing that nodes have named.
type heard struct {
	id, line uint64
	sub      uint32
	n        uint16
	nodes    uint16 // a bit each
}

func (f *foreign) by(node int) *said {
	for i := range f.said {
		if int(f.said[i].node) == node {
			return &f.said[i]
		}
	}
	return nil
}

// abroadOf is what other nodes have said of a key, nil for nothing.
func (d *detector) abroadOf(key, hash uint64) *foreign {
	a := d.abroad
	if a == nil || a.bits[hash>>6%uint64(len(a.bits))]&(1<<(hash&63)) == 0 {
		return nil
	}
	return a.of[key]
}

func (a *abroad) mark(f *foreign) { a.bits[f.hash>>6%uint64(len(a.bits))] |= 1 << (f.hash & 63) }

// Heard takes what a node said at a time by its clock, which must not go back before its next start. It takes the place of what the node said before of these
// keys; what it said earlier than that, and what it said before its latest start, which is its epoch, is left out. No shares are a word as well: of a
// node that has started and has nothing to say. A peer is trusted to count: it can trip a range falsely. It cannot
// fill memory, reach a caller who is protected, or undo what a person did.
func (s *Set) Heard(node string, epoch uint64, at, now time.Time, shares []Share) {
	t := s.lock()
	t.advance(now)
	who := t.peerOf(node, epoch, t.clock.ms(at))
	if who < 0 {
		t.shared.Refused += uint64(len(shares))
	}
	t.mu.Unlock()
	if who < 0 {
		return
	}
	for len(shares) > 0 { // calls come in between
		n := min(len(shares), inOneGo)
		t := s.lock()
		for i := range shares[:n] {
			if j := t.number(shares[i].Detector); j < 0 || t.all[j].form() != shares[i].Form || !t.all[j].summed() {
				t.shared.Unknown++
			} else if t.peers[who].name == node && t.peers[who].epoch == epoch {
				t.all[j].hear(who, t.clock.ms(at), &shares[i])
			}
		}
		t.mu.Unlock()
		shares = shares[n:]
	}
}

// plain reports whether a text of a peer can be taken as it is.
func plain(text string, most int) bool {
	return len(text) <= most && utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }) < 0
}

// keyAbroad is a key that a peer speaks of. Half of the room for names of trunks and holders is for those that come with calls.
func (d *detector) keyAbroad(trunk, text string) (key uint64, ok bool) {
	s := d.set
	if !plain(trunk, 512) || !plain(text, 512) || d.Key == policy.ByCallee && len(text) > mostText {
		return 0, false
	}
	if d.Key == policy.ByTrunk {
		trunk = text
	}
	if s.trunks.find(trunk) < 0 && len(s.trunks.list) >= mostTrunks/2 || d.Key == policy.ByHolder && s.holders.find(text) < 0 && len(s.holders.list) >= mostHolders/2 {
		return 0, false
	}
	if key, ok = d.keyOf(trunk, text); !ok || d.levelOfKey(key) < 0 {
		return 0, false
	}
	return uint64(s.trunkID(trunk))<<keyBits | key&keyMask, true
}

// hear takes what a node says of a key.
func (d *detector) hear(who int, at int64, x *Share) {
	shared, p := &d.set.shared, &d.set.peers[who]
	cur, ok := d.subHere(x)
	if !ok {
		shared.Refused++
		return
	}
	key, ok := d.keyAbroad(x.Trunk, x.Key)
	if !ok {
		shared.Refused++
		return
	}
	if d.abroad == nil {
		d.abroad = &abroad{of: make(map[uint64]*foreign)}
	}
	f := d.abroad.of[key]
	var w *said
	if f != nil {
		w = f.by(who)
	}
	had := 0
	if w != nil {
		if had = w.things; w.starts != p.starts {
			w.at, w.heldAt, w.held, w.starts = 0, 0, false, p.starts
		}
		if w.at > at {
			shared.Old++
			return
		}
	} else if x.saysNothing() {
		return
	}
	if (w == nil && p.shares >= keptShares) || p.things-had+len(x.Things) > keptThings {
		if d.abroad.swept != d.cur {
			d.sweepAbroad()
		}
		shared.Full++
		return
	}
	if f == nil {
		f = &foreign{key: key, hash: d.slots.hash(key)}
		d.abroad.of[key] = f
		d.abroad.list = append(d.abroad.list, f)
		d.abroad.mark(f)
		if at := d.slots.find(key); at >= 0 && d.slots.all[at].holds() {
			d.abroad.stale = true
		}
	}
	if w == nil {
		f.said = append(f.said, said{node: uint8(who), starts: p.starts})
		w = &f.said[len(f.said)-1]
		p.shares++
	}
	p.things += len(x.Things) - had
	turned := w.held != x.Held
	w.take(d, cur, at, x)
	d.merge(f)
	d.reckon(f)
	if turned {
		d.reckonAround(f.key)
	}
	shared.Heard++
}

// subHere is the sub-window of a share by our clock; false for a share that cannot be.
func (d *detector) subHere(x *Share) (cur uint32, ok bool) {
	sub := int64(x.Sub) + d.shift()
	if sub < subs || sub > int64(d.cur)+1 || len(x.Things) > mostThings || len(x.Tens) > spreadTens || x.Since < 0 || x.Now > mostCount || x.Now > 0 && !d.countsConcurrent() {
		return 0, false
	}
	for _, n := range x.Counts {
		if n > mostCount || n > 0 && (d.kinds&addsUp == 0 || d.PerLine > 0) {
			return 0, false
		}
	}
	for i := range x.Things {
		t := &x.Things[i]
		kind := t.ID >> keyBits
		switch {
		case t.Ago >= subs, t.N == 0, t.Line != 0 && d.PerLine == 0:
			return 0, false
		case t.ID == 0 && (d.PerLine == 0 || d.kinds&addsUp == 0):
			return 0, false
		case t.ID != 0 && (t.N != 1 || kind >= 16 || once&d.kinds&(1<<kind) == 0):
			return 0, false
		}
	}
	for i := range x.Tens {
		if x.Tens[i].Ago >= subs {
			return 0, false
		}
	}
	return uint32(sub), true
}

// saysNothing reports whether a share is of a key that counts nothing.
func (x *Share) saysNothing() bool {
	return x.Counts == [subs]uint32{} && len(x.Things) == 0 && x.Now == 0 && !x.Held
}

// take has a node say a share instead of what it said.
func (w *said) take(d *detector, cur uint32, at int64, x *Share) {
	if x.Held && !w.held {
		w.heldAt = at
	}
	w.held, w.at, w.things, w.since = x.Held, at, len(x.Things), 0
	if x.Since > 0 {
		w.since = x.Since + d.set.clock.ahead
	}
	w.cur, w.n, w.where, w.now, w.heard = cur, nil, nil, int32(x.Now), d.set.clock.now
	for back, n := range x.Counts {
		if n == 0 {
			continue
		}
		if w.n == nil {
			w.n = new([subs]int32)
		}
		w.n[(cur-uint32(back))%subs] = int32(n)
	}
	w.what = make([]heard, 0, len(x.Things))
	for _, t := range x.Things {
		w.what = append(w.what, heard{id: t.ID, line: t.Line, sub: cur - uint32(t.Ago), n: t.N, nodes: 1 << w.node})
	}
	if !d.spread {
		return
	}
	w.where = &spread{last: cur}
	for back, digits := range x.Digits {
		w.where.digits[(cur-uint32(back))%subs] = digits & (1<<(wholeBit+1) - 1)
	}
	for i, t := range x.Tens {
		w.where.tens[i] = ten{t.Block, cur - uint32(t.Ago)}
	}
}

// merge makes one list of the things that nodes have named of a key.
func (d *detector) merge(f *foreign) {
	f.things = f.things[:0]
	for i := range f.said {
		f.things = append(f.things, f.said[i].what...)
	}
	slices.SortFunc(f.things, func(a, b heard) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(b.sub, a.sub))
	})
	kept := f.things[:0]
	for _, t := range f.things {
		if n := len(kept); n > 0 && t.id != 0 && kept[n-1].id == t.id { // it counts by the latest of them
			kept[n-1].nodes |= t.nodes
			continue
		}
		kept = append(kept, t)
	}
	f.things = kept
	slices.SortFunc(f.things, func(a, b heard) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.sub, b.sub), cmp.Compare(a.id, b.id))
	})
}

// sweepAbroad forgets what has faded.
func (d *detector) sweepAbroad() {
	a := d.abroad
	if a == nil {
		return
	}
	a.swept, a.stale = d.cur, true
	clear(a.bits[:])
	a.list = slices.DeleteFunc(a.list, func(f *foreign) bool {
		before := len(f.said)
		f.said = slices.DeleteFunc(f.said, func(w said) bool {
			if p := &d.set.peers[w.node]; !live(w.cur, d.cur) || w.starts != p.starts {
				p.shares--
				p.things -= w.things
				return true
			}
			return false
		})
		if len(f.said) != before {
			d.merge(f)
		}
		if len(f.said) == 0 {
			if at := d.slots.find(f.key); at >= 0 {
				d.slots.all[at].far = 0
			}
			delete(a.of, f.key)
			return true
		}
		a.mark(f)
		return false
	})
	for key, since := range d.anews {
		if d.set.clock.now-since > d.Window.Milliseconds()+d.sub {
			delete(d.anews, key)
		}
	}
}
