package detect

import (
	"slices"
	"time"

	"ringfence/policy"
)

// Tell gives what is worth telling the other nodes now, of so many nodes in all: keys that have a part of the trip by which they matter together, and
// those that were told before and have changed. It is called about four times a second. Calls go on meanwhile.
func (s *Set) Tell(now time.Time, nodes int, dst []Share) []Share {
	if nodes < 2 {
		return dst
	}
	from, things := len(dst), allThings
	for i := 0; ; i++ {
		t := s.lock()
		if i >= len(t.all) {
			t.mu.Unlock()
			return dst
		}
		t.advance(now)
		d := t.all[i]
		if !d.summed() {
			t.mu.Unlock()
			continue
		}
		d.reckonSome(reckonedAtOnce)
		due, ok := s.due(t, d, nodes)
		if !ok {
			return dst // another set has taken over, and tells what is left
		}
		dst = d.share(due, dst, mostShares-(len(dst)-from), &things)
		t.mu.Unlock()
	}
}

// reckonedAtOnce is how many keys of others are reckoned again in one go.
const reckonedAtOnce = 128

// TellAll has all be told anew: a node has come, which knows nothing.
func (s *Set) TellAll() {
	t := s.lock()
	defer t.mu.Unlock()
	t.tellAll(true)
}

// tellAll is TellAll, asked by a person or the wiring; by a peer it is done every ten seconds at most.
func (s *Set) tellAll(asked bool) {
	const again = 10_000
	if !asked && s.clock.now-s.toldAll < again {
		return
	}
	s.toldAll = s.clock.now
	s.round++
}

// told is what was told of a key.
type told struct {
	print uint64 // of what was told, 0 of a key that has no slot any more
	at    int64
	last  int64  // when there was something to tell
	round uint32 // of telling all
	times uint8  // that it was told again since it changed
}

// few is how often it is told that a key counts nothing.
const few = 4

// due reports whether it is time to tell again what has not changed. That a key counts nothing is told a few times.
func (t *told) due(d *detector, counts bool) bool {
	if t.round != d.set.round {
		return counts
	}
	pause := min(int64(refresh)<<min(t.times, 10), max(refresh, min(d.sub, longest)))
	if d.countsConcurrent() {
		pause = refresh
	}
	return d.set.clock.now-t.at >= pause && (counts || t.times < few)
}

// tells notes that a key was told.
func (d *detector) tells(key, print uint64, counts bool) {
	t, now := d.told[key], d.set.clock.now
	if counts || t.print != print {
		t.last = now
	}
	if t.times = min(t.times+1, 60); t.print != print || t.round != d.set.round {
		t.times = 0
	}
	t.print, t.at, t.round = print, now, d.set.round
	d.told[key] = t
	d.set.shared.Told++
}

// telling is one key that is being told.
type telling struct {
	at     int32
	key    uint64
	total  int32
	print  uint64
	things []Thing // of those that count once; Ago is the sub-window's place in a ring
	all    [subs]int32
}

// share adds what is due of a detector. The members of all its keys are looked at in one go, so that they fit to the counts.
func (d *detector) share(due []telling, dst []Share, room int, things *int) []Share {
	if len(due) > room {
		d.set.shared.Untold += uint64(len(due) - room)
		due = due[:room]
	}
	room -= len(due)
	d.gather(due)
	for i := range due {
		if e := &d.slots.all[due[i].at]; e.key == due[i].key {
			x := d.shareOf(&due[i])
			if _, was := d.told[e.key]; len(x.Things) > *things || !was && len(d.told) >= 2*d.slots.limit {
				d.set.shared.Untold++
				continue
			}
			*things -= len(x.Things)
			d.tells(e.key, due[i].print, due[i].total > 0)
			dst = append(dst, x)
		}
	}
	if now := d.set.clock.now; now-d.toldSwept >= refresh {
		d.toldSwept = now
		dst = d.shareGone(dst, room)
	}
	return dst
}

// shareGone adds the keys that were told and count nothing any more, and forgets those of which everybody has.
func (d *detector) shareGone(dst []Share, room int) []Share {
	var gone []uint64
	for key, t := range d.told {
		switch {
		case d.set.clock.now-t.last > d.Window.Milliseconds()+d.sub, t.print == 0 && t.times >= few:
			delete(d.told, key)
		case d.slots.find(key) < 0 && (t.print != 0 || t.due(d, false)):
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	for _, key := range gone[:min(len(gone), max(room, 0))] {
		if text := d.keyText(key, -1); text != "" {
			dst = append(dst, d.emptyShare(key, text))
		}
		d.tells(key, 0, false)
	}
	return dst
}

// due are the keys to be told now, of a set that is locked; false, and nothing locked, if another has taken over meanwhile.
func (s *Set) due(t *Set, d *detector, nodes int) (due []telling, ok bool) {
	if d.told == nil {
		d.told = make(map[uint64]told)
	}
	const inOneGo = 512
	for i := 0; i < len(d.slots.all); i++ {
		if i%inOneGo == inOneGo-1 {
			t.mu.Unlock()
			if !s.lockAgain(t) {
				return nil, false
			}
		}
		e := &d.slots.all[i]
		if !e.used() {
			continue
		}
		was, before := d.told[e.key]
		if !before && (e.count.total == 0 || !live(e.count.cur, d.cur)) && d.slots.legs == nil {
			continue
		}
		count := e.count.at(d.cur)
		if d.slots.legs != nil { // these are all that such a detector counts
			count = d.slots.legs[i].at(d.curLeg)
		}
		if !before && !d.worthTelling(e, count.total, nodes) {
			continue
		}
		if print := d.print(int32(i), &count); !before || was.print != print || was.due(d, count.total > 0) {
			due = append(due, telling{at: int32(i), key: e.key, total: count.total, print: print})
		}
	}
	return due, true
}

// worthTelling reports whether a key has a quarter of its part of the trip, were the calls spread evenly: with half of it, three nodes that a campaign is
// spread over unevenly would keep a third of the trip to themselves. Of keys of which a trunk has one, all is told.
func (d *detector) worthTelling(s *slot, total int32, nodes int) bool {
	if d.Key == policy.ByAll || d.Key == policy.ByTrunk {
		return total > 0
	}
	return total > 0 && int64(total)*int64(4*nodes) >= int64(d.trip(s.level))
}

// print tells apart what there is to tell of a key; it is never 0.
func (d *detector) print(at int32, count *ring) uint64 {
	s := &d.slots.all[at]
	h := uint64(d.slots.gens[at])
	add := func(v uint64) { h = (h ^ v) * 0x9e3779b97f4a7c15 }
	if s.holds() {
		add(1)
	}
	for i, n := range count.n {
		if n != 0 {
			add(uint64(uint32(n))<<8 | uint64(i))
		}
	}
	if d.spread {
		for i, digits := range d.slots.spread[at].digits {
			if digits != 0 {
				add(uint64(digits)<<8 | uint64(i))
			}
		}
		for _, t := range d.slots.spread[at].tens {
			add(uint64(t.block))
		}
	}
	return mix(h) | 1
}

// gather finds the members of keys that are being told.
func (d *detector) gather(due []telling) {
	if len(due) == 0 || d.kinds&once == 0 && d.PerLine == 0 {
		return
	}
	of := make([]int32, len(d.slots.all))
	for i := range due {
		of[due[i].at] = int32(i) + 1
	}
	added := d.kinds&addsUp != 0 && d.PerLine > 0
	used := make(map[int32]*lineCount) // of lines, by members
	if d.kinds&once != 0 {
		d.members.each(func(_ int32, e *entry[int32]) {
			if of[e.slot>>16] == 0 || e.last&isLeg != 0 || !d.alive(e.slot, e.last) {
				return
			}
			t, x := &due[of[e.slot>>16]-1], Thing{ID: e.id, Ago: uint8(e.last % subs), N: 1}
			t.all[x.Ago] += d.thingWeight(e.id)
			if d.PerLine > 0 && e.v >= 0 {
				x.Line = d.lines.all[e.v].id
				if added {
					if used[e.v] == nil {
						used[e.v] = new(lineCount)
					}
					used[e.v][x.Ago]++
				}
			}
			t.things = append(t.things, x)
		})
	}
	if !added {
		return
	}
	d.lines.each(func(at int32, e *entry[lineCount]) {
		if of[e.slot>>16] == 0 || !d.alive(e.slot, e.last) {
			return
		}
		t := &due[of[e.slot>>16]-1]
		for back := range uint32(subs) {
			sub := e.last - back
			n := e.v[sub%subs]
			if u := used[at]; u != nil {
				n -= min(n, u[sub%subs])
			}
			if n > 0 && live(sub, d.cur) {
				t.things = append(t.things, Thing{Line: e.id, Ago: uint8(sub % subs), N: n})
			}
		}
	})
}

// shareOf makes the share of a key of what was gathered.
func (d *detector) shareOf(t *telling) Share {
	s := &d.slots.all[t.at]
	x := d.emptyShare(s.key, d.keyText(s.key, t.at))
	x.Held = s.holds()
	count := s.count.at(d.cur)
	left := count.n // no more than counts: what narrower ranges explain does not, but its members are there yet
	over := false
	for i := range left {
		over = over || t.all[i] > left[i]
	}
	if over {
		d.explainedLast(t)
	}
	most := mostThings
	if trip := int(d.trip(s.level)); trip > 0 {
		most = min(most, trip)
	}
	for i := range t.things {
		m := &t.things[i]
		weight := d.thingWeight(m.ID)
		n := min(int32(m.N), left[m.Ago]/max(weight, 1))
		if n <= 0 {
			continue
		}
		left[m.Ago] -= n * weight
		if len(x.Things) < most {
			y := *m
			y.N, y.Ago = uint16(n), uint8((d.cur-uint32(m.Ago))%subs)
			x.Things = append(x.Things, y)
		}
	}
	for back := range uint32(subs) {
		if n := left[(d.cur-back)%subs]; d.kinds&addsUp != 0 && d.PerLine == 0 {
			x.Counts[back] = uint32(min(max(n, 0), mostCount))
		}
	}
	if d.slots.legs != nil {
		x.Now = uint32(min(t.total, mostCount))
	}
	if d.spread {
		d.shareSpread(&x, &d.slots.spread[t.at])
	}
	return x
}

// emptyShare is that of a key that counts nothing.
func (d *detector) emptyShare(key uint64, text string) Share {
	x := Share{Detector: d.Name, Form: d.form(), Trunk: d.set.trunkName(key), Key: text, Sub: uint32(int64(d.cur) - d.shift())}
	if d.Key == policy.ByTrunk {
		x.Trunk = ""
	}
	if since := d.anews[key]; since > 0 {
		x.Since = since - d.set.clock.ahead
	}
	return x
}

// shareSpread tells from where in a range the calls came.
func (d *detector) shareSpread(x *Share, s *spread) {
	for back := range uint32(subs) {
		if sub := d.cur - back; s.last-sub < subs && sub <= s.last {
			x.Digits[back] = s.digits[sub%subs]
		}
	}
	for _, t := range s.tens {
		if t.last != 0 && live(t.last, d.cur) {
			x.Tens = append(x.Tens, Ten{t.block, uint8(d.cur - min(t.last, d.cur))})
		}
	}
}

// explainedLast puts behind the others those members of a range that belong to one in it that holds, which explains them.
func (d *detector) explainedLast(t *telling) {
	var narrow []uint32
	for i := range d.slots.all {
		if c := &d.slots.all[i]; c.used() && c.holds() && c.level > d.slots.all[t.at].level && d.within(c, &d.slots.all[t.at]) {
			narrow = append(narrow, d.slots.ref(int32(i)))
		}
	}
	isExplained := func(id uint64) int {
		for _, ref := range narrow {
			if id != 0 && d.members.find(ref, id) >= 0 {
				return 1
			}
		}
		return 0
	}
	slices.SortStableFunc(t.things, func(a, b Thing) int { return isExplained(a.ID) - isExplained(b.ID) })
}
